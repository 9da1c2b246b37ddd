"""Requests for access, in the table of credentials.

    pk                 sk             holds
    access-requests    request#ID     the request; ``wrapped``: the key of its evidence, as KMS
                                      encrypted it; ``ttl`` once it was rejected
    evidence#ID        part#NUMBER    ``sealed``: a part of the evidence; ``ttl`` with the request

Each request has a data key of its own under the stack's key. The parts are there before the
request; a part opens only as that part of that evidence.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from headrace.adapters.dynamodb.table import ConditionFailed, Item, Table
from headrace.adapters.kms.data_keys import KmsDataKeys
from headrace.identity.access_requests import AccessRequest, Evidence, RequestState
from headrace.kernel.clock import from_rfc3339, rfc3339

_PARTITION = "access-requests"
_SORT = "request#"
_PART_BYTES = 256 * 1024
"""An item may have 400 KB."""


@dataclass(frozen=True)
class DynamoAccessRequests:
    """The ``AccessRequests`` port. ``key_id``: the KMS key that wraps the keys of evidence."""

    table: Table
    keys: KmsDataKeys
    key_id: str

    def add(self, request: AccessRequest, evidence: bytes) -> None:
        """See the port."""
        key, wrapped = self.keys.new(self.key_id, _purpose(request.request_id))
        for number, at in enumerate(range(0, len(evidence), _PART_BYTES)):
            part = evidence[at : at + _PART_BYTES]
            place = {"pk": _evidence(request.request_id), "sk": _part(number)}
            sealed = key.seal(part, request.request_id, str(number))
            self.table.put({**place, "sealed": sealed}, "attribute_not_exists(pk)")
        self.table.put({**_item(request), "wrapped": wrapped}, "attribute_not_exists(pk)")

    def find(self, request_id: str) -> AccessRequest | None:
        """See the port."""
        item = self.table.get(_PARTITION, _SORT + request_id)
        return None if item is None else _request(item)

    def listed(self) -> tuple[AccessRequest, ...]:
        """See the port."""
        return tuple(_request(item) for item in self.table.query(_PARTITION, _SORT))

    def evidence(self, request_id: str) -> bytes | None:
        """See the port. Raises cryptography's InvalidTag: somebody changed it."""
        item = self.table.get(_PARTITION, _SORT + request_id)
        if item is None:
            return None
        key = self.keys.unwrap(item["wrapped"], _purpose(request_id))
        parts = self._parts(request_id)
        return b"".join(
            key.open(part["sealed"], request_id, str(number)) for number, part in enumerate(parts)
        )

    def decide(self, request: AccessRequest) -> bool:
        """See the port."""
        item = _item(request)
        changed = [name for name in _DECIDED if item[name] is not None]
        try:
            self.table.update(
                item["pk"],
                item["sk"],
                "SET " + ", ".join(f"#{name} = :{name}" for name in changed),
                "#state = :waiting",
                waiting=str(RequestState.WAITING),
                **{name: item[name] for name in changed},
            )
        except ConditionFailed:
            return False
        if request.kept_until is not None:
            self._forget(request.request_id, request.kept_until)
        return True

    def _forget(self, request_id: str, when: datetime) -> None:
        for part in self._parts(request_id):
            self.table.update(
                part["pk"], part["sk"], "SET #ttl = :ttl", "attribute_exists(pk)", ttl=_ttl(when)
            )

    def _parts(self, request_id: str) -> Iterator[Item]:
        return self.table.query(_evidence(request_id), "part#")


_DECIDED = ("state", "decided_at", "decided_by", "secret_id", "reason", "ttl")


def _item(request: AccessRequest) -> Item:
    decided_at, kept_until = request.decided_at, request.kept_until
    return {
        "pk": _PARTITION,
        "sk": _SORT + request.request_id,
        "client_id": request.client_id,
        "tenants": list(request.tenants),
        "evidence_name": request.evidence.name,
        "evidence_size": request.evidence.size,
        "evidence_sha256": request.evidence.sha256,
        "recorded_at": rfc3339(request.recorded_at),
        "recorded_by": request.recorded_by,
        "state": str(request.state),
        "decided_at": None if decided_at is None else rfc3339(decided_at),
        "decided_by": request.decided_by,
        "secret_id": request.secret_id,
        "reason": request.reason,
        "ttl": None if kept_until is None else _ttl(kept_until),
    }


def _request(item: Item) -> AccessRequest:
    decided_at = item.get("decided_at")
    return AccessRequest(
        item["sk"].removeprefix(_SORT),
        item["client_id"],
        tuple(item["tenants"]),
        Evidence(item["evidence_name"], item["evidence_size"], item["evidence_sha256"]),
        from_rfc3339(item["recorded_at"]),
        item["recorded_by"],
        RequestState(item["state"]),
        None if decided_at is None else from_rfc3339(decided_at),
        item.get("decided_by"),
        item.get("secret_id"),
        item.get("reason"),
    )


def _evidence(request_id: str) -> str:
    return f"evidence#{request_id}"


def _part(number: int) -> str:
    return f"part#{number:04}"


def _purpose(request_id: str) -> dict[str, str]:
    return {"purpose": "access request", "request": request_id}


def _ttl(when: datetime) -> int:
    return int(when.timestamp()) + 1
