"""What bodies of calls about profiles hold (seed 004, "Push data to VALD Hub")."""

import re
from datetime import date, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from headrace.kernel.view import camel
from headrace.profiles.importing import Pushed
from headrace.profiles.linking import Stays
from headrace.profiles.model import MOST_CHARACTERS, Person, Sex

BODY_TYPES = ("application/json", "application/json-patch+json")
"""The seed's clients send either."""

_CONTROLS = r"^[^\u0000-\u001f\u007f]*$"
_EMAIL = re.compile(r"^[^\s@\u0000-\u001f\u007f]{1,64}@[^\s@\u0000-\u001f\u007f]{1,253}$")
_SEXES = {str(sex).lower(): str(sex) for sex in Sex}


def _born(value: Any) -> Any:
    """The day that the text begins with, whatever time and offset come behind it: who was born
    on a day was born on it everywhere."""
    refused = ValueError("must be a date, as in 1970-03-31 or 1970-03-31T00:00:00Z")
    if not isinstance(value, str) or not value[:10].replace("-", "").isdigit():
        raise refused
    try:
        return datetime.fromisoformat(value).date()
    except ValueError:  # which would tell the date again
        raise refused from None


def _sex(value: Any) -> Any:
    return _SEXES.get(value.lower(), value) if isinstance(value, str) else value


def _said(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be empty")
    return value


def _address(value: str) -> str:
    if not _EMAIL.fullmatch(value):
        raise ValueError("must be an e-mail address")
    return value


def _or_none(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value


Name = Annotated[str, Field(max_length=MOST_CHARACTERS, pattern=_CONTROLS), AfterValidator(_said)]
Born = Annotated[
    date,
    BeforeValidator(_born),
    WithJsonSchema({"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}"}),
]
Email = Annotated[
    str,
    Field(max_length=254, json_schema_extra={"pattern": _EMAIL.pattern}),
    AfterValidator(_address),
]
TenantId = Annotated[str, Field(min_length=1, max_length=64)]
ProfileId = Annotated[str, Field(min_length=1, max_length=64)]


class Body(BaseModel):
    """A body whose members are named as the seed names them, the first letter in either case."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, alias_generator=camel)


class ImportedProfile(Body):
    """A profile that another system pushes. All that is left out is taken away."""

    tenant_id: TenantId = Field(description="The tenant, by its organization id")
    sync_id: Name = Field(
        description="What you know the person by; no two profiles of a tenant have the same"
    )
    given_name: Name
    family_name: Name
    date_of_birth: Born = Field(description="A date; of a date with a time, the date counts")
    sex: Annotated[Annotated[Sex, Field(strict=False)] | None, BeforeValidator(_sex)] = None
    email: Annotated[Email | None, BeforeValidator(_or_none)] = Field(
        None, description="Others of the tenant may have the same"
    )
    external_id: Annotated[
        str | None,
        Field(max_length=MOST_CHARACTERS, pattern=_CONTROLS),
        BeforeValidator(_or_none),
    ] = Field(None, description="A further id of yours; others of the tenant may have the same")
    is_created_by_user_over_18_years_old: bool | None = None
    is_guardian_consent_given: bool | None = None
    is_photo_video_consent_given: bool | None = None

    def pushed(self) -> Pushed:
        """What it says of whom."""
        return Pushed(
            self.sync_id,
            Person(
                given_name=self.given_name,
                family_name=self.family_name,
                date_of_birth=self.date_of_birth,
                sex=self.sex or Sex.UNKNOWN,
                email=self.email,
                external_id=self.external_id,
                is_created_by_user_over_18_years_old=bool(
                    self.is_created_by_user_over_18_years_old
                ),
                is_guardian_consent_given=bool(self.is_guardian_consent_given),
                is_photo_video_consent_given=bool(self.is_photo_video_consent_given),
            ),
        )


class MergedProfiles(Body):
    """Two profiles of one person."""

    tenant_id: TenantId = Field(description="The tenant, by its organization id")
    from_profile_id: ProfileId = Field(description="The profile that goes")
    to_profile_id: ProfileId = Field(description="The profile that stays")
    sync_id_of: Annotated[Stays, Field(strict=False)] | None = Field(
        None, description="Which of the two sync ids stays, if both have one"
    )
