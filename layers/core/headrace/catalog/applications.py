"""Applications: what is wrong with one in itself, and what its definitions are made of."""

from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter

from headrace.catalog.application_entries import (
    ApplicationEntry,
    ApplicationTableEntry,
    DefinitionEntry,
)
from headrace.catalog.declared import Declared
from headrace.catalog.marked import Path
from headrace.catalog.model import Problem
from headrace.catalog.suggestions import did_you_mean

type Tables = Mapping[str, ApplicationTableEntry]
"""An application's tables by name."""


def check_application(application: Declared[ApplicationEntry]) -> Iterator[Problem]:
    """All that is wrong with it, whatever its database holds."""
    repeated = [*_repeated(application)]
    yield from repeated
    unknown = [*_unknown(application)]
    yield from unknown
    if repeated or unknown:
        return  # what follows goes along names, from table to table
    circles = [*_owned_in_a_circle(application)]
    yield from circles
    if not circles:
        tables = {table.name: table for table in application.entry.tables}
        for index, definition in enumerate(application.entry.definitions):
            yield from _check_definition(application, ("definitions", index), definition, tables)


def _repeated(application: Declared[ApplicationEntry]) -> Iterator[Problem]:
    """Tables and definitions that are told by the same number, name or code."""
    for what in ("id", "name", "relation"):
        first: dict[object, int] = {}
        for index, table in enumerate(application.entry.tables):
            value = getattr(table, what)
            other = first.setdefault(value, index)
            if other != index:
                line = application.file.line((*application.path, "tables", other))
                shown = value if what == "id" else f'"{value}"'
                yield application.problem(
                    ("tables", index, what),
                    f"the {'number' if what == 'id' else what} {shown} is that of the table at "
                    f"line {line} already; each table has one of its own",
                )
    codes = [definition.code for definition in application.entry.definitions]
    for index, code in enumerate(codes):
        if code in codes[:index]:
            yield application.problem(
                ("definitions", index, "code"), f'there is a definition "{code}" already'
            )


def _unknown(application: Declared[ApplicationEntry]) -> Iterator[Problem]:
    """Names of tables that are not there."""
    named: list[tuple[Path, str]] = []
    for index, table in enumerate(application.entry.tables):
        path: Path = ("tables", index)
        if table.owner:
            named.append(((*path, "owner", "table"), table.owner.table))
        named += [
            ((*path, "references", number, "table"), reference.table)
            for number, reference in enumerate(table.references)
        ]
    for index, definition in enumerate(application.entry.definitions):
        path = ("definitions", index)
        for key in ("top_level", "reference_data"):
            named += [
                ((*path, key, number), name) for number, name in enumerate(getattr(definition, key))
            ]
    known = [table.name for table in application.entry.tables]
    for path, name in named:
        if name not in known:
            hint = did_you_mean(name, known) or "; declare it under the application's tables"
            yield application.problem(path, f'there is no table "{name}"{hint}')


def _owned_in_a_circle(application: Declared[ApplicationEntry]) -> Iterator[Problem]:
    owners = {table.name: table.owner.table for table in application.entry.tables if table.owner}
    for index, table in enumerate(application.entry.tables):
        way = [table.name]
        while way[-1] in owners and way[-1] not in way[:-1]:
            way.append(owners[way[-1]])
        if len(way) > 1 and way[-1] == table.name:
            yield application.problem(
                ("tables", index, "owner"), f"is owned by itself: {_way(way)}"
            )


def _check_definition(
    application: Declared[ApplicationEntry],
    path: Path,
    definition: DefinitionEntry,
    tables: Tables,
) -> Iterator[Problem]:
    before = 0
    for key in ("top_level", "reference_data"):
        for index, name in enumerate(getattr(definition, key)):
            owner = tables[name].owner
            if owner is not None:
                before += 1
                yield application.problem(
                    (*path, key, index),
                    f'"{name}" is owned by "{owner.table}", and goes along with it; take it out',
                )
            elif key == "reference_data" and name in definition.top_level:
                before += 1
                yield application.problem(
                    (*path, key, index),
                    f'"{name}" is a top-level table of this definition; take it out of one of both',
                )
    if before:
        return
    try:
        in_order(definition, tables)
    except CycleError as error:
        yield application.problem(
            path,
            "the records of its tables refer to each other in a circle, so none can be written "
            f"first: {_way(reversed(error.args[1]))}; take one of these references out of its "
            "table, and leave the column out",
        )


def _way(names: Iterable[str]) -> str:
    return " → ".join(names)


# --- what a definition carries --------------------------------------------------------------------


def group_of(name: str, tables: Tables) -> str:
    """The table at the top of a table's owners, perhaps itself."""
    while (owner := tables[name].owner) is not None:
        name = owner.table
    return name


def in_order(definition: DefinitionEntry, tables: Tables) -> tuple[str, ...]:
    """The names of the tables that it carries, each after those that its records refer to.

    Items are written one by one, so an item's tables, which are those of a group, stand together:
    the groups have an order, and the tables within each. Raises CycleError, of ``graphlib``.
    """
    tops = [*definition.top_level, *definition.reference_data]
    groups: dict[str, list[str]] = {top: [] for top in tops}
    for name in tables:
        group = group_of(name, tables)
        if group in groups:
            groups[group].append(name)
    between: TopologicalSorter[str] = TopologicalSorter()
    within: dict[str, TopologicalSorter[str]] = {top: TopologicalSorter() for top in tops}
    for top, names in groups.items():
        between.add(top)
        for name in names:
            within[top].add(name)
            for reference in tables[name].all_references:
                other = group_of(reference.table, tables)
                if other == top and reference.table != name:
                    within[top].add(name, reference.table)
                elif other != top and other in groups:
                    between.add(top, other)
    return tuple(name for top in between.static_order() for name in within[top].static_order())


def referred_to(carried: tuple[str, ...], tables: Tables) -> tuple[str, ...]:
    """The tables that carried records refer to and that are not carried, with their owners."""
    found: dict[str, None] = {}
    named = [one.table for name in carried for one in tables[name].references]
    for name in named:
        while name not in carried and name not in found:
            found[name] = None
            owner = tables[name].owner
            if owner is None:
                break
            name = owner.table  # noqa: PLW2901  the way up
    return tuple(found)
