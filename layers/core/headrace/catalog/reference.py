"""The reference page of the catalog files, from the models that read them.

python -m headrace.catalog.reference            writes docs/catalog-reference.md
python -m headrace.catalog.reference --check    exits with 1 if that page is not up to date
"""

import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from headrace.catalog.application_entries import (
    ApplicationEntry,
    ApplicationTableEntry,
    DefinitionEntry,
    ReferenceEntry,
    TaskProcessingEntry,
)
from headrace.catalog.schema import (
    OPTIONS,
    AccessEntry,
    ClientEntry,
    ColumnEntry,
    ConfigurationEntry,
    RegionEntry,
    RowsEntry,
    ScheduleEntry,
    ServiceEntry,
    SourceEntry,
    TableEntry,
    TenantEntry,
    WebhookEntry,
)
from headrace.catalog.template_entries import TemplateEntry

PAGE = Path("docs/catalog-reference.md")

_INTRODUCTION = """\
# Catalog reference

<!-- Generated from layers/core/headrace/catalog/schema.py; `make check` compares. To change this
     page, change the models, then run: python -m headrace.catalog.reference -->

The catalog says who may take what. It is a folder of YAML files in your git; this page is what
may stand in them. How to check and publish one: [admin.md](admin.md). A walk through with data of
your own: [your-own-data.md](your-own-data.md).

## Files

All `*.yaml` and `*.yml` files below the folder together are the catalog. Each has some of the keys
`tenants`, `regions`, `clients`, `sources`, `configurations`, `templates`, `schedules` and
`applications`, each with a list. How you spread entries over files is up to you: one file, a file
per key, a folder per tenant. A small one, whole:

```yaml
{example}```

- **Strict.** An unknown key, a key given twice, a value of another type is an error, never a
  guess. Texts that YAML takes for something else (`no`, `0042`) go in quotes.
- **Variables.** `${{NAME}}` in a text stands for a variable of the environment, or of
  `--set NAME=VALUE`; one that is not set is an error. `$${{NAME}}` stands for `${{NAME}}` itself.
  Published catalogs hold the values, so they are the operator's of that moment.
- **Anchors.** `&name` and `*name` of YAML work within a file, for tables that several
  configurations share.
- **Public names** (of tables and columns, as callers see them) have at most 63 bytes, no control
  characters, and differ in more than upper and lower case.
- **Ids** (of tenants, regions, clients, sources, configurations, templates, schedules and
  applications, and codes of data set definitions) have letters, digits, dots, hyphens and
  underscores.

What is wrong is said all at once, as `file:line: path: what, and what to do`:

```
catalog/configurations.yaml:14: configurations[0].tables[0].columns[2]: hr.employees has no column \
"salry"; did you mean "salary"?
```
"""

EXAMPLE = """\
tenants:
  - id: northwind-care
    name: Northwind Care
    time_zone: Europe/Amsterdam

clients:
  - id: payroll-bureau
    name: Payroll Bureau Ltd.
    tenants: [northwind-care]
    allowed_networks: ["192.0.2.0/24", "2001:db8::/32"]
    webhooks:
      - {name: hooks, url: "https://hooks.bureau.example/headrace"}

sources:
  - name: hr
    kind: ducklake
    options:
      catalog: sqlite:${HEADRACE_WAREHOUSE}/catalog.sqlite
      data_path: ${HEADRACE_WAREHOUSE}/data/

configurations:
  - id: payroll
    client: payroll-bureau
    tenant: northwind-care
    default: true
    source: hr
    tables:
      - name: employees
        source: hr.employees
        primary_key: [id]
        tenant_column: tenant_id
        rows:
          - {column: active, values: [true]}
        columns:
          - id
          - {source: first_name, name: firstName}
          - {source: last_name, name: lastName}
"""

_CHECKS = """\
## What publishing checks against the source

- The source can be read, and has the table and every column that is named: chosen ones, and those
  of `tenant_column` and `rows`. Names are matched exactly.
- Every chosen column has a type that each format carries exactly ([types.md](types.md)). Leave a
  column of another type out, or have the source hold it as another type.
- `tenant_column` holds texts (or UUIDs, where tenants' ids are). Where the source knows a tenant by
  a number, choose its rows by `rows`. Rows can be chosen by texts, whole numbers, booleans, dates
  and UUIDs, and a value must be of its column's type.
- `account_column` holds texts, UUIDs or whole numbers, which are compared with accounts' ids as
  texts. Each table of a service has one, or says `public: true`; its tables do not come from an
  `athena` source. Its access filter names tables and columns that its configurations grant
  ([row-access.md](row-access.md)).
- A column of the primary key is `NOT NULL` in the source. Parquet files cannot say so: there, a key
  is taken at your word.

Of a template also:

- A query is one SELECT that the source can plan; it is not run. What it gives may always be NULL as
  far as publishing knows.
- `date_column` is a date or a time stamp, `anonymized_column` true or false, and `tenant_column` as
  above.
- The order's columns are texts, whole numbers, decimals, booleans, dates, times or UUIDs, and never
  NULL. A table of PostgreSQL has a unique index over them, or over some of them: where nothing
  enforces it (a view, a query, a lake, files), that they tell rows apart is taken at your word.

## What publishing checks against an application's database

- The database can be reached, with texts of a known encoding, and has every table and column that
  is named. A table is a table, no view; its role may read it, and no policy hides rows of it.
- Ids are whole numbers from an identity column or a sequence, with a unique index over them. UUIDs
  are of the type `uuid`, never NULL, with a unique index. A unique index is over the functional
  key, of a dependent over it and the column of its owner, or over some of these columns; where one
  of them may be NULL, two NULLs are the same to it (`NULLS NOT DISTINCT`).
- Every column that refers to ids is declared as a reference, and where the database has a foreign
  key, it leads to the table that is named. The column of an owner is never NULL.
- Every carried column has a text that reads back to the same value in another database. Types that
  name something of one database (`oid`, `regclass`, …), and `money`, have none, nor have types made
  of them. Columns that the database computes cannot be carried.
- Every column that is `NOT NULL` without a default is carried, so that records can be added.
- The tables of a definition refer to each other in no circle, except a table to itself.
- The functions of `task_processing` are there, take no argument, and may be run.

## Versions

Publishing makes the next version and the current one in a single step. An operation keeps the
version that it started with; calls for metadata and new operations see the new one at once. From
that moment a client that it leaves out is refused, and a configuration that it leaves out is not
found. Publishing what is current already makes no version; row estimates alone, which follow the
data, do not count as a change.
"""

_SECTIONS: tuple[tuple[str, type[BaseModel]], ...] = (
    ("`tenants`", TenantEntry),
    ("`regions`", RegionEntry),
    ("`clients`", ClientEntry),
    ("A service", ServiceEntry),
    ("An access filter", AccessEntry),
    ("A webhook", WebhookEntry),
    ("`sources`", SourceEntry),
    ("`configurations`", ConfigurationEntry),
    ("A table", TableEntry),
    ("A column", ColumnEntry),
    ("A choice of rows", RowsEntry),
    ("`templates`", TemplateEntry),
    ("`schedules`", ScheduleEntry),
    ("`applications`", ApplicationEntry),
    ("A table of an application", ApplicationTableEntry),
    ("A reference", ReferenceEntry),
    ("A data set definition", DefinitionEntry),
    ("Task processing", TaskProcessingEntry),
)


def page() -> str:
    """The reference page, as Markdown."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield _INTRODUCTION.format(example=EXAMPLE)
    for title, model in _SECTIONS:
        yield f"## {title}"
        yield ""
        yield _unwrapped(model.__doc__ or "")
        yield ""
        yield "| key | value | without it | meaning |"
        yield "| --- | --- | --- | --- |"
        for name, field in model.model_fields.items():
            value, default = _type(field.annotation), _default(field)
            yield f"| `{name}` | {value} | {default} | {_meaning(field)} |"
        yield ""
        if model is SourceEntry:
            yield from _options()
    yield _CHECKS


def _options() -> Iterator[str]:
    yield "| kind | option | without it | meaning |"
    yield "| --- | --- | --- | --- |"
    for kind, options in OPTIONS.items():
        for name, (required, meaning) in options.items():
            yield f"| `{kind}` | `{name}` | {'an error' if required else ''} | {meaning} |"
    yield ""


def _unwrapped(docstring: str) -> str:
    paragraphs = docstring.strip().split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _type(annotation: Any) -> str:
    """A type in words."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        title = next(title for title, model in _SECTIONS if model is annotation)
        return f"[{title.lower()}](#{title.lower().replace(' ', '-')})"
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if origin is list:
        return f"list of {_type(arguments[0])}"
    if origin is dict:
        return "keys with texts"
    if origin in (Union, types.UnionType):
        words = dict.fromkeys(_type(part) for part in arguments if part is not type(None))
        return " or ".join(words)
    if hasattr(annotation, "__metadata__"):
        return _type(arguments[0])
    return {str: "text", int: "whole number", bool: "`true` or `false`"}[annotation]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "an error"
    if field.default in (None, []):
        return ""
    text = yaml.safe_dump(field.default, default_flow_style=True).removesuffix("...\n").strip()
    return f"`{text}`"


def _meaning(field: FieldInfo) -> str:
    text = field.description or ""
    for example in field.examples or ():
        shown = yaml.safe_dump(example, default_flow_style=True, width=200)
        text += f" Example: `{shown.removesuffix('...\n').strip()}`."
    return text.replace("|", "\\|")


def main(arguments: list[str]) -> int:
    """The command."""
    wanted = page()
    if "--check" in arguments:
        if PAGE.exists() and PAGE.read_text(encoding="utf-8") == wanted:
            return 0
        sys.stderr.write(f"{PAGE} is not up to date; run: python -m headrace.catalog.reference\n")
        return 1
    PAGE.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
