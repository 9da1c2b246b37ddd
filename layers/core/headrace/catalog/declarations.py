"""What the catalog files declare, and everything that is wrong with it in itself.

Whatever can be found wrong is found at once, so that nobody mends a catalog one message at a time.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path as FilePath
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from headrace.catalog import marked
from headrace.catalog.application_entries import ApplicationEntry
from headrace.catalog.applications import check_application
from headrace.catalog.declared import Declared
from headrace.catalog.marked import MarkedFile, Path
from headrace.catalog.model import CatalogRefused, Problem
from headrace.catalog.schema import (
    ClientEntry,
    ColumnEntry,
    ConfigurationEntry,
    RegionEntry,
    ScheduleEntry,
    SourceEntry,
    TableEntry,
    TenantEntry,
)
from headrace.catalog.sections import SECTIONS
from headrace.catalog.suggestions import did_you_mean
from headrace.catalog.template_entries import TemplateEntry
from headrace.exports.model import CHANGE_COLUMN, Compression, ExportRequest, FileFormat


class CatalogText(NamedTuple):
    """A catalog file: the name to show in messages, and its text."""

    name: str
    text: str


@dataclass
class Declarations:
    """All entries of all files that are right in themselves, and all problems so far."""

    tenants: list[Declared[TenantEntry]] = field(default_factory=list)
    clients: list[Declared[ClientEntry]] = field(default_factory=list)
    sources: list[Declared[SourceEntry]] = field(default_factory=list)
    configurations: list[Declared[ConfigurationEntry]] = field(default_factory=list)
    schedules: list[Declared[ScheduleEntry]] = field(default_factory=list)
    applications: list[Declared[ApplicationEntry]] = field(default_factory=list)
    regions: list[Declared[RegionEntry]] = field(default_factory=list)
    templates: list[Declared[TemplateEntry]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    names: dict[str, set[str]] = field(default_factory=dict)
    """By section, the ids that stand there, of broken entries too: they are not unknown."""

    def refuse(self) -> None:
        """Raises CatalogRefused if there are problems."""
        if self.problems:
            raise CatalogRefused(self.problems)


def read_folder(folder: FilePath) -> tuple[CatalogText, ...]:
    """The catalog files (``*.yaml``, ``*.yml``) below a folder, or the one file that it is.

    Raises CatalogRefused if there is none or one is not UTF-8.
    """
    if folder.is_file():
        paths = [folder]
    else:
        paths = sorted(p for p in folder.rglob("*") if p.suffix in (".yaml", ".yml"))
    if not paths:
        reason = "no .yaml file here" if folder.is_dir() else "there is no such folder"
        raise CatalogRefused([Problem(str(folder), 0, "", reason)])
    texts, problems = [], []
    for path in paths:
        try:
            texts.append(CatalogText(str(path), path.read_text(encoding="utf-8-sig")))
        except UnicodeDecodeError as error:
            line = path.read_bytes().count(b"\n", 0, error.start) + 1
            problems.append(Problem(str(path), line, "", "not UTF-8 text; save it as UTF-8"))
    if problems:
        raise CatalogRefused(problems)
    return tuple(texts)


def read_declarations(
    texts: Iterable[CatalogText], variables: Mapping[str, str], *, local: bool = False
) -> Declarations:
    """What the files declare; what is wrong is among its ``problems``.

    ``local``: it is for a platform on this machine, whose webhooks may go to this machine by http.
    """
    declared = Declarations()
    for name, text in texts:
        file = marked.read(name, text, variables)
        declared.problems += file.problems
        if file.data is not None:
            _read_file(file, declared)
    _check_names(declared)
    _check_references(declared)
    _check_defaults(declared)
    _check_schedules(declared)
    _check_organizations(declared)
    if not local:
        _check_webhooks(declared)
        _check_urls(declared)
    for configuration in declared.configurations:
        declared.problems += _check_tables(configuration)
    for application in declared.applications:
        declared.problems += check_application(application)
    for template in declared.templates:
        declared.problems += _check_columns(template, (), template.entry.columns)
        declared.problems += _check_chosen(template, "order", template.entry)
    return declared


# --- one file -------------------------------------------------------------------------------


def _read_file(file: MarkedFile, declared: Declarations) -> None:
    if not isinstance(file.data, dict):
        declared.problems.append(
            file.problem((), f"must have keys, among {', '.join(SECTIONS)}, each with a list")
        )
        return
    for section, entries in file.data.items():
        if section not in SECTIONS:
            hint = did_you_mean(section, SECTIONS) or f"; there are {', '.join(SECTIONS)}"
            declared.problems.append(file.problem((section,), f'unknown key "{section}"{hint}'))
        elif isinstance(entries, list):
            for index, entry in enumerate(entries):
                _read_entry(file, section, (section, index), entry, declared)
        elif entries is not None:
            declared.problems.append(
                file.problem((section,), f"must be a list of {section}, each begun by a hyphen")
            )


def _read_entry(
    file: MarkedFile, section: str, path: Path, data: Any, declared: Declarations
) -> None:
    if isinstance(data, dict):
        name = data.get("name" if section in ("sources", "schedules") else "id")
        if isinstance(name, str):
            declared.names.setdefault(section, set()).add(name)
    try:
        entry = SECTIONS[section].model_validate(data)
    except ValidationError as error:
        declared.problems += [
            _explain(file, path, SECTIONS[section], details)
            for details in error.errors(include_url=False)
        ]
        return
    if any(unset[: len(path)] == path for unset in file.unset):
        return
    getattr(declared, section).append(Declared(entry, file, path))


def _explain(file: MarkedFile, path: Path, model: type[BaseModel], error: ErrorDetails) -> Problem:
    where: Path = (*path, *error["loc"])
    found = error["input"]
    kind = error["type"]
    if kind == "missing":
        name = str(error["loc"][-1])
        fields = _model_at(model, error["loc"][:-1]).model_fields
        meaning = (
            (fields[name].description or "").split(". ")[0].rstrip(".") if name in fields else ""
        )
        return file.problem(where[:-1], f'"{name}" is missing: {meaning[:1].lower()}{meaning[1:]}')
    if kind == "extra_forbidden":
        known = _model_at(model, error["loc"][:-1]).model_fields
        name = str(error["loc"][-1])
        hint = did_you_mean(name, known) or f"; there are {', '.join(known)}"
        return file.problem(where, f'unknown key "{name}"{hint}')
    if kind == "value_error":
        return file.problem(where, str(error["ctx"]["error"]))
    if kind == "literal_error":
        expected = str(error["ctx"]["expected"]).replace("'", "")
        return file.problem(where, f'"{found}" is none of {expected}')
    if kind == "too_short":
        return file.problem(where, "must not be empty")
    wanted = _WANTED.get(kind, error["msg"])
    quote = "; put it in quotes" if kind == "string_type" and _is_scalar(found) else ""
    return file.problem(where, f"must be {wanted}, and is {_name_of(found)}{quote}")


_WANTED = {
    "string_type": "a text",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a set of keys with values",
    "model_type": "a set of keys with values",
    "model_attributes_type": "a set of keys with values",
    "greater_than_equal": "0 or more",
    "less_than_equal": "at most a million",
}


def _is_scalar(value: object) -> bool:
    return isinstance(value, (bool, int, float))


def _name_of(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return f"the number {value}"
    if isinstance(value, str):
        return f'the text "{value}"'
    return {type(None): "empty", list: "a list", dict: "a set of keys"}.get(type(value), "not")


def _model_at(model: type[BaseModel], location: tuple[int | str, ...]) -> type[BaseModel]:
    """The model of the value at a location: annotations are followed to the model in them."""
    return reduce(_step, (step for step in location if isinstance(step, str)), model)


def _step(model: type[BaseModel], name: str) -> type[BaseModel]:
    annotation = model.model_fields[name].annotation
    return next(_models_in(annotation), model)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in getattr(annotation, "__args__", ()):
        yield from _models_in(inner)


# --- all files together ---------------------------------------------------------------------


def _check_names(declared: Declarations) -> None:
    def key_of_id(item: Declared[Any]) -> tuple[str, ...]:
        return (item.entry.id,)

    def key_of_schedule(item: Declared[Any]) -> tuple[str, ...]:
        return item.entry.tenant, item.entry.client, item.entry.name

    def key_of_configuration(item: Declared[Any]) -> tuple[str, ...]:
        return (item.entry.tenant, item.entry.client, item.entry.id)

    sections: tuple[tuple[str, str, list[Any], Callable[[Declared[Any]], tuple[str, ...]]], ...] = (
        ("tenant", "id", declared.tenants, key_of_id),
        ("client", "id", declared.clients, key_of_id),
        ("source", "name", declared.sources, lambda item: (item.entry.name,)),
        ("configuration", "id", declared.configurations, key_of_configuration),
        ("schedule", "name", declared.schedules, key_of_schedule),
        ("application", "id", declared.applications, key_of_id),
        ("region", "id", declared.regions, key_of_id),
        ("template", "id", declared.templates, key_of_id),
    )
    for what, name, items, key in sections:
        seen: dict[tuple[str, ...], Declared[Any]] = {}
        for item in items:
            first = seen.setdefault(key(item), item)
            if first is not item:
                declared.problems.append(
                    item.problem(
                        (name,),
                        f'the {what} "{key(item)[-1]}" is declared already at {first.place}'
                        + (
                            f" for this tenant and client; give one of them another {name}"
                            if what in ("configuration", "schedule")
                            else "; take one of them out"
                        ),
                    )
                )


def _check_references(declared: Declarations) -> None:
    known = {section: declared.names.get(section, set()) for section in SECTIONS}

    def unknown(item: Declared[Any], path: Path, section: str, name: str) -> None:
        if name in known[section]:
            return
        what = section.removesuffix("s")
        hint = did_you_mean(name, known[section]) or f"; declare it under {section}"
        declared.problems.append(item.problem(path, f'there is no {what} "{name}"{hint}'))

    for one in declared.tenants:
        if one.entry.region is not None:
            unknown(one, ("region",), "regions", one.entry.region)
    for client in declared.clients:
        for index, tenant in enumerate(client.entry.tenants):
            unknown(client, ("tenants", index), "tenants", tenant)
    served: dict[str, Declared[ApplicationEntry]] = {}
    for application in declared.applications:
        tenant = application.entry.tenant
        unknown(application, ("tenant",), "tenants", tenant)
        first = served.setdefault(tenant, application)
        if first is not application:
            declared.problems.append(
                application.problem(
                    ("tenant",),
                    f'the tenant "{tenant}" has the application at {first.place} already; it can '
                    "have one only",
                )
            )
    for template in declared.templates:
        unknown(template, ("source",), "sources", template.entry.source)
        for index, tenant in enumerate(template.entry.tenants or ()):
            unknown(template, ("tenants", index), "tenants", tenant)
    for schedule in declared.schedules:
        unknown(schedule, ("client",), "clients", schedule.entry.client)
        unknown(schedule, ("tenant",), "tenants", schedule.entry.tenant)
        unknown(schedule, ("configuration",), "configurations", schedule.entry.configuration)
    serves = {client.entry.id: client for client in declared.clients}
    for configuration in declared.configurations:
        entry = configuration.entry
        unknown(configuration, ("client",), "clients", entry.client)
        unknown(configuration, ("tenant",), "tenants", entry.tenant)
        unknown(configuration, ("source",), "sources", entry.source)
        its_client = serves.get(entry.client)
        if (
            its_client is not None
            and entry.tenant not in its_client.entry.tenants
            and entry.tenant in known["tenants"]
        ):
            declared.problems.append(
                configuration.problem(
                    ("tenant",),
                    f'the client "{entry.client}" does not serve the tenant "{entry.tenant}"; '
                    f"add it to the client's tenants at {its_client.place}",
                )
            )


def _check_schedules(declared: Declarations) -> None:
    owned = {
        (one.entry.tenant, one.entry.client, one.entry.id): one.entry
        for one in declared.configurations
    }
    ids = {one.entry.id for one in declared.configurations}
    webhooks = {
        one.entry.id: [webhook.name for webhook in one.entry.webhooks] for one in declared.clients
    }
    for schedule in declared.schedules:
        entry = schedule.entry
        known = webhooks.get(entry.client)
        if entry.webhook is not None and known is not None and entry.webhook not in known:
            hint = did_you_mean(entry.webhook, known) or "; add it to the client's webhooks"
            message = f'the client "{entry.client}" has no webhook "{entry.webhook}"{hint}'
            declared.problems.append(schedule.problem(("webhook",), message))
        configuration = owned.get((entry.tenant, entry.client, entry.configuration))
        if configuration is not None:
            declared.problems += _check_schedule(schedule, configuration)
        elif entry.configuration in ids:  # else it is unknown, or wrong in itself
            declared.problems.append(
                schedule.problem(
                    ("configuration",),
                    f'the client "{entry.client}" has no configuration "{entry.configuration}" '
                    f'for the tenant "{entry.tenant}"',
                )
            )


def _check_schedule(
    schedule: Declared[ScheduleEntry], configuration: ConfigurationEntry
) -> Iterator[Problem]:
    entry = schedule.entry
    names = [table.name for table in configuration.tables]
    if entry.entity is not None and entry.entity not in names:
        hint = did_you_mean(entry.entity, names) or f"; it has {', '.join(names)}"
        message = f'the configuration "{configuration.id}" has no table "{entry.entity}"{hint}'
        yield schedule.problem(("entity",), message)
    keyless = [
        table.name
        for table in configuration.tables
        if entry.entity in (None, table.name) and not table.primary_key
    ]
    if entry.kind == "incremental" and keyless and configuration.resync == "refuse":
        yield schedule.problem(
            ("kind",),
            f'the table "{keyless[0]}" has no primary_key, so there are no increments of it; '
            "give it one, or say resync: document in the configuration",
        )


def _check_defaults(declared: Declarations) -> None:
    defaults: dict[tuple[str, str], Declared[ConfigurationEntry]] = {}
    for configuration in declared.configurations:
        entry = configuration.entry
        if not entry.default:
            continue
        first = defaults.setdefault((entry.tenant, entry.client), configuration)
        if first is not configuration:
            declared.problems.append(
                configuration.problem(
                    ("default",),
                    f'"{first.entry.id}" at {first.place} is the default of this tenant and '
                    "client already; there can be one only",
                )
            )


_HTTPS_ONLY = "must be https; http is for a platform on this machine (--local)"


def _check_webhooks(declared: Declarations) -> None:
    for client in declared.clients:
        for index, webhook in enumerate(client.entry.webhooks):
            if not webhook.url.lower().startswith("https:"):
                declared.problems.append(client.problem(("webhooks", index, "url"), _HTTPS_ONLY))


def _check_organizations(declared: Declarations) -> None:
    known: dict[str, Declared[TenantEntry]] = {}
    for tenant in declared.tenants:
        organization = tenant.entry.organization_id
        first = known.setdefault(organization, tenant) if organization is not None else tenant
        if first is not tenant:
            declared.problems.append(
                tenant.problem(
                    ("organization_id",),
                    f'the tenant "{first.entry.id}" at {first.place} has it already; each has one '
                    "of its own",
                )
            )


def _check_urls(declared: Declarations) -> None:
    urls: list[tuple[Declared[Any], str, str | None]] = [
        *((one, "profile_url", one.entry.profile_url) for one in declared.tenants),
        *((one, "base_url", one.entry.base_url) for one in declared.regions),
    ]
    for item, key, url in urls:
        if url is not None and not url.lower().startswith("https:"):
            declared.problems.append(item.problem((key,), _HTTPS_ONLY))


# --- one configuration ----------------------------------------------------------------------


def _check_tables(configuration: Declared[ConfigurationEntry]) -> Iterator[Problem]:
    names: dict[str, str] = {}
    files: dict[str, str] = {}
    for index, table in enumerate(configuration.entry.tables):
        path: Path = ("tables", index)
        first = names.setdefault(table.name.casefold(), table.name)
        if names[table.name.casefold()] != table.name or _repeated(configuration.entry, index):
            yield configuration.problem(
                (*path, "name"), f'the table "{first}" is there already{_case(first, table.name)}'
            )
        else:
            other = files.setdefault(_file_name(table.name).casefold(), table.name)
            if other != table.name:
                yield configuration.problem(
                    (*path, "name"),
                    f'its file would be named as that of "{other}"; give one of them another name',
                )
        yield from _check_columns(configuration, path, table.columns)
        yield from _check_changes_column(configuration, path, table)
        yield from _check_chosen(configuration, "primary_key", table, path)


def _repeated(entry: ConfigurationEntry, index: int) -> bool:
    name = entry.tables[index].name
    return any(table.name == name for table in entry.tables[:index])


def _file_name(table: str) -> str:
    """Names of tables may differ in characters that file names cannot hold."""
    return ExportRequest("", (), FileFormat.CSV, Compression.NONE).file_name(table)


def _case(first: str, second: str) -> str:
    return "" if first == second else "; names that differ in case only are the same to many"


def _check_columns(
    declared: Declared[Any], path: Path, columns: Sequence[ColumnEntry]
) -> Iterator[Problem]:
    names: dict[str, str] = {}
    for index, column in enumerate(columns):
        name = column.public_name
        first = names.get(name.casefold())
        if first is not None:
            yield declared.problem(
                (*path, "columns", index),
                f'the column "{first}" is there already{_case(first, name)}',
            )
        names.setdefault(name.casefold(), name)
        if column.name is None:
            yield from _check_as_public(declared, (*path, "columns", index), name)


def _check_changes_column(
    configuration: Declared[ConfigurationEntry], path: Path, table: TableEntry
) -> Iterator[Problem]:
    for index, column in enumerate(table.columns):
        if column.public_name.casefold() == CHANGE_COLUMN:
            yield configuration.problem(
                (*path, "columns", index),
                f'"{column.public_name}" is what increments say in what happened to a row; give '
                "callers another name, as {source: …, name: …}",
            )


def _check_chosen(
    declared: Declared[Any], key: str, entry: TableEntry | TemplateEntry, path: Path = ()
) -> Iterator[Problem]:
    """That what stands under ``key`` are public names of the entry's columns."""
    public = {column.public_name for column in entry.columns}
    renamed = {column.source: column.public_name for column in entry.columns}
    for index, name in enumerate(getattr(entry, key)):
        if name not in public:
            if name in renamed:
                hint = f'; callers see it as "{renamed[name]}", so write that'
            else:
                hint = did_you_mean(name, public) or "; add it to the columns"
            yield declared.problem((*path, key, index), f'"{name}" is not among the columns{hint}')


def _check_as_public(declared: Declared[Any], path: Path, name: str) -> Iterator[Problem]:
    """A source's own name may be one that callers cannot be shown."""
    size = len(name.encode())
    if size > 63 or name != name.strip():
        reason = f"is {size} bytes long, over 63" if size > 63 else "begins or ends with a blank"
        yield declared.problem(
            path, f"the name {reason}: add a name for callers, as {{source: …, name: …}}"
        )
