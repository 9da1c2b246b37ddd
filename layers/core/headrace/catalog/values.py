"""Values in catalog files: texts and numbers that are checked by themselves."""

import re
import unicodedata
from collections.abc import Callable
from ipaddress import ip_network
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit
from uuid import UUID
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    AfterValidator,
    PlainValidator,
)

from headrace.catalog.model import FURTHER_SCOPES, SCOPES
from headrace.catalog.suggestions import did_you_mean
from headrace.exports.cron import Cron
from headrace.kernel.caller import USER_CLIENT_ID
from headrace.kernel.errors import InvalidRequest
from headrace.kernel.urls import secure_url
from headrace.templates.definitions import ApplicationVersion

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_MAX_PUBLIC_BYTES = 63
"""PostgreSQL's limit: what callers load into it keeps its name."""
_MAX_SOURCE_BYTES = 255
_MAX_KEYS = 10


def _id_of(length: int) -> Callable[[str], str]:
    def check(value: str) -> str:
        if not _ID.fullmatch(value) or len(value) > length:
            raise ValueError(
                f"must be 1 to {length} letters, digits, dots, hyphens and underscores, "
                "and begin with a letter or digit"
            )
        return value

    return check


def _plain(value: str, limit: int) -> str:
    if not value:
        raise ValueError("must not be empty")
    if any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in value):
        raise ValueError("holds a control character or line break; take it out")
    size = len(value.encode())
    if size > limit:
        raise ValueError(f"is {size} bytes long; at most {limit} are allowed")
    return value


def _public_name(value: str) -> str:
    if value != value.strip():
        raise ValueError("begins or ends with a blank; take it out")
    return _plain(value, _MAX_PUBLIC_BYTES)


def _source_name(value: str) -> str:
    return _plain(value, _MAX_SOURCE_BYTES)


def _group_name(value: str) -> str:
    return _plain(title(value), _MAX_SOURCE_BYTES)


def title(value: str) -> str:
    """The text, if there is one."""
    if not value.strip():
        raise ValueError("must not be empty")
    return value


def _time_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        hint = did_you_mean(value, available_timezones()) or "; names are those of the IANA list"
        raise ValueError(f'there is no time zone "{value}"{hint}') from None
    return value


def _network(value: str) -> str:
    try:
        ip_network(value)
    except ValueError:
        try:
            meant = ip_network(value, strict=False)
        except ValueError:
            raise ValueError(
                f'"{value}" is no network; write CIDR such as "192.0.2.0/24" or "2001:db8::/32"'
            ) from None
        raise ValueError(
            f'"{value}" names an address inside a network; the network is "{meant}"'
        ) from None
    return value


def _scope(value: str) -> str:
    known = (*SCOPES, *FURTHER_SCOPES)
    if value not in known:
        hint = did_you_mean(value, known) or f"; there are {', '.join(known)}"
        prefix = "; write it without the prefix" if value.endswith(known) else hint
        raise ValueError(f'there is no scope "{value}"{prefix}')
    return value


_MAX_URL = 2048


def _called_url(value: str) -> str:
    if len(value) > _MAX_URL:
        raise ValueError(f"is {len(value)} characters long; at most {_MAX_URL} are allowed")
    secure_url(value)
    return value


def _version(value: str) -> str:
    """The text, if it is a version as ``ApplicationVersion`` has it."""
    try:
        return str(ApplicationVersion.of(value))
    except InvalidRequest:
        raise ValueError(f'"{value}" is no version; write it as in "2019.2603"') from None


def _organization_id(value: str) -> str:
    try:
        written = str(UUID(value))
    except ValueError:
        written = ""
    if written != value.lower():
        raise ValueError(f'"{value}" is no UUID; write it as in "{EXAMPLE_ORGANIZATION}"')
    return written


EXAMPLE_ORGANIZATION = "5f1c1b9e-4a0e-4d3b-9a55-0a3b1f6f2c11"
PROFILE_ID = "{profileId}"
"""What stands for a profile's id in a ``profile_url``."""


def _profile_url(value: str) -> str:
    shown = value.replace(PROFILE_ID, EXAMPLE_ORGANIZATION)
    _called_url(shown)
    if value.count(PROFILE_ID) != 1 or "{" in shown or "}" in shown:
        raise ValueError(f"must hold {PROFILE_ID} once, where the profile's id stands")
    if PROFILE_ID in value.split("/", 3)[2]:
        raise ValueError(f"must not have {PROFILE_ID} in its host")
    return value


def _base_url(value: str) -> str:
    if urlsplit(_called_url(value)).query:
        raise ValueError("must not hold a query; it is what paths are written behind")
    return value.rstrip("/")


def _distinguished_name(value: str) -> str:
    from cryptography.x509 import Name  # noqa: PLC0415 — slow to import

    try:
        Name.from_rfc4514_string(value)
    except ValueError:
        raise ValueError(
            f'"{value}" is no distinguished name; write it as in "CN=exports,O=Acme,C=NL"'
        ) from None
    return value


def _key_set(value: dict[str, Any]) -> dict[str, Any]:
    from headrace.identity.keys import (  # noqa: PLC0415 — slow to import
        PRIVATE_MEMBERS,
        key_from_jwk,
    )

    keys = value.get("keys")
    if not isinstance(keys, list) or not 0 < len(keys) <= _MAX_KEYS or value.keys() != {"keys"}:
        raise ValueError(f"must be a JWK set: `keys`, a list of 1 to {_MAX_KEYS} keys")
    names = [key.get("kid") if isinstance(key, dict) else None for key in keys]
    for number, key in enumerate(keys):
        if not isinstance(key, dict) or not PRIVATE_MEMBERS.isdisjoint(key):
            raise ValueError(f"key {number + 1} holds something private; give the public key only")
        if key_from_jwk(key) is None:
            raise ValueError(
                f"key {number + 1} cannot check a signature: it must be RSA of 2048 to 8192 bits "
                "or of the curve P-256, have a `kid`, be meant for signatures, and be written as "
                "RFC 7518 section 6 has it"
            )
    if len(set(names)) != len(names):
        raise ValueError("two keys have one `kid`")
    return value


def _row_value(value: object) -> str | int | bool:
    if not isinstance(value, (str, int, bool)):
        raise ValueError("must be a text, a whole number, true or false")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError("is beyond 64 bits; no source holds such a number")
    return value


def without_repeats(values: list[str]) -> list[str]:
    """The values, if none is there twice."""
    for value in values:
        if values.count(value) > 1:
            raise ValueError(f'names "{value}" more than once')
    return values


def _client_id(value: str) -> str:
    if value == USER_CLIENT_ID:
        raise ValueError(f'"{value}" stands for the persons who log in; take another id')
    return value


def _cron(value: str) -> str:
    return Cron(value).text


_T = TypeVar("_T")

Id64 = Annotated[str, AfterValidator(_id_of(64))]
Id128 = Annotated[str, AfterValidator(_id_of(128))]
PublicName = Annotated[str, AfterValidator(_public_name)]
SourceName = Annotated[str, AfterValidator(_source_name)]
RowValue = Annotated[str | int | bool, PlainValidator(_row_value)]
GroupName = Annotated[str, AfterValidator(_group_name)]
VersionText = Annotated[str, AfterValidator(_version)]
Title = Annotated[str, AfterValidator(title)]
TimeZone = Annotated[str, AfterValidator(_time_zone)]
OrganizationId = Annotated[str, AfterValidator(_organization_id)]
ProfileUrl = Annotated[str, AfterValidator(_profile_url)]
BaseUrl = Annotated[str, AfterValidator(_base_url)]
CalledUrl = Annotated[str, AfterValidator(_called_url)]
ClientId = Annotated[Id128, AfterValidator(_client_id)]
ScopeName = Annotated[str, AfterValidator(_scope)]
NetworkText = Annotated[str, AfterValidator(_network)]
KeySet = Annotated[dict[str, Any], AfterValidator(_key_set)]
DistinguishedName = Annotated[str, AfterValidator(_distinguished_name)]
CronText = Annotated[str, AfterValidator(_cron)]
Distinct = Annotated[list[_T], AfterValidator(without_repeats)]
"""A list that holds nothing twice."""
