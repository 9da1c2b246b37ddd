"""What those who start imports send."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from headrace.datasets.environments import IDENTIFIER_TEXT
from headrace.datasets.import_starts import ImportOptions
from headrace.kernel.ids import OPERATION_ID
from headrace.kernel.view import camel

_STRICT = ConfigDict(strict=True, extra="forbid", frozen=True, alias_generator=camel)
_EXACT = "Import only what was built by the very version of the application that runs here"
_KEEP = "Delete nothing that is not in the data set"
_DRY = "Only tell what would change. Ours"
_STOP = "Stop background processing before the import, and start it again after. Ours"
Flag = Literal["true", "false"]


class _Options(BaseModel):
    exact_version_match: bool = Field(False, description=_EXACT)
    disable_delete_by_omission: bool = Field(False, description=_KEEP)
    dry_run: bool = Field(False, description=_DRY)
    stop_task_processing: bool = Field(False, description=_STOP)

    @property
    def options(self) -> ImportOptions:
        """How the import is to be done."""
        return ImportOptions(
            self.exact_version_match,
            self.disable_delete_by_omission,
            self.dry_run,
            self.stop_task_processing,
        )


class ImportFromEnvironment(_Options):
    """Which environment has the data set, and how it is to be imported."""

    model_config = _STRICT | ConfigDict(title="ImportFromEnvironment")

    source_environment: Annotated[str, Field(pattern=f"^{IDENTIFIER_TEXT.pattern}$")] = Field(
        description="The environment's identifier, as `fetchavailabledatasets` tells it as `env`"
    )


class ImportUpload(_Options):
    """A file that was uploaded, and how it is to be imported. Ours."""

    model_config = _STRICT | ConfigDict(title="ImportUpload")

    upload_id: Annotated[str, Field(pattern=f"^{OPERATION_ID.pattern}$")] = Field(
        description="The upload, as `POST /dataexchange/uploads` named it"
    )


class StartUndo(BaseModel):
    """How an import is to be undone. Ours."""

    model_config = _STRICT | ConfigDict(title="StartUndo")

    force: bool = Field(False, description="Put back also what somebody changed since the import")
    stop_task_processing: bool = Field(False, description=_STOP)


class ImportForm(BaseModel):
    """A file, and how it is to be imported."""

    model_config = _STRICT | ConfigDict(title="ImportForm")

    exact_version_match: Flag = Field("false", description=_EXACT)
    disable_delete_by_omission: Flag = Field("false", description=_KEEP)
    dry_run: Flag = Field("false", description=_DRY)
    stop_task_processing: Flag = Field("false", description=_STOP)
    file: Annotated[str, Field(json_schema_extra={"format": "binary"})] = Field(
        description="The payload, as it was downloaded; its name ends in `.zip`"
    )

    @property
    def options(self) -> ImportOptions:
        """How the import is to be done."""
        return ImportOptions(
            self.exact_version_match == "true",
            self.disable_delete_by_omission == "true",
            self.dry_run == "true",
            self.stop_task_processing == "true",
        )
