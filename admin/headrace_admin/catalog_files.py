"""Catalog files as commands take them: where they are, and what their variables stand for."""

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from headrace.adapters.postgresql.application_schemas import PostgresqlApplicationSchemas
from headrace.adapters.warehouse.by_kind import WarehouseByKind
from headrace.catalog.compiling import compile_catalog
from headrace.catalog.declarations import read_folder
from headrace.catalog.model import Catalog
from headrace.kernel.errors import InvalidRequest
from headrace_admin.target import Target

Folder = Annotated[Path, Parameter(help="The catalog's folder, or one file of it.")]
Variables = Annotated[
    tuple[str, ...],
    Parameter(
        name="--set",
        help="NAME=VALUE for `${NAME}` in the files; repeat it for more. What is not set so "
        "comes from the environment.",
        show_default=False,
        negative="",
    ),
]


def with_environment(assignments: tuple[str, ...], target: Target) -> Mapping[str, str]:
    """The environment, over what the local platform knows, under what was given by --set."""
    variables = dict(os.environ)
    if target.local:
        variables = {**target.deployment().catalog_variables, **variables}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not name or not equals:
            raise InvalidRequest(f"--set takes NAME=VALUE, and not {assignment}.")
        variables[name] = value
    return variables


def surroundings(target: Target) -> AbstractContextManager[None]:
    """Within, sources find AWS, for their secrets and files, where the deployment has it."""
    return target.deployment().surroundings() if target.local else nullcontext()


def compiled(folder: Path, variables: Mapping[str, str], target: Target) -> Catalog:
    """The catalog that the folder's files say, checked."""
    with surroundings(target):
        return compile_catalog(
            read_folder(folder),
            variables,
            WarehouseByKind(),
            PostgresqlApplicationSchemas(),
            local=target.local,
        )
