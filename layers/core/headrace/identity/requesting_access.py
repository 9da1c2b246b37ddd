"""Recording requests for access, and deciding about them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from headrace.identity.access_requests import AccessRequest, Evidence, RequestState
from headrace.identity.handing_over import HandOver
from headrace.identity.ports import AccessRequests, ClientSecrets
from headrace.identity.usecases import CreateClientSecret
from headrace.kernel.clock import Clock
from headrace.kernel.errors import Conflict, InvalidRequest, NotFound
from headrace.kernel.ids import Ids


@dataclass(frozen=True)
class RecordAccessRequest:
    """Keeps a request with its evidence."""

    requests: AccessRequests
    clock: Clock
    ids: Ids

    def __call__(
        self, client_id: str, tenants: Sequence[str], name: str, content: bytes, operator: str
    ) -> AccessRequest:
        """The request, which waits to be decided about. Raises InvalidRequest, Unavailable."""
        if not tenants:
            raise InvalidRequest("Name at least one tenant that the client is to call for.")
        now = self.clock.now()
        request = AccessRequest(
            self.ids.new(now),
            client_id,
            tuple(dict.fromkeys(tenants)),
            Evidence.of(name, content),
            now,
            operator,
        )
        self.requests.add(request, content)
        return request


@dataclass(frozen=True)
class Approval:
    """An approved request; ``token`` is the link's, and is shown this once."""

    request: AccessRequest
    token: str | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True)
class ApproveAccessRequest:
    """Lets a client in: issues its credential, and puts it behind a link.

    The credential is there before the request is approved: so none is approved without, and what
    was made by somebody who came second, or whose command was killed, is known to nobody.
    """

    requests: AccessRequests
    secrets: ClientSecrets
    create_secret: CreateClientSecret
    hand_over: HandOver
    clock: Clock

    def __call__(
        self,
        request_id: str,
        operator: str,
        may_serve: Sequence[str],
        *,
        with_credential: bool = True,
    ) -> Approval:
        """``may_serve``: the tenants that the client's entry in the published catalog has.

        Raises NotFound, Conflict: somebody has decided already, the catalog does not let the client
        call for a tenant that it asks for, or it has two secrets.
        """
        request = waiting(self.requests, request_id)
        if missing := [one for one in request.tenants if one not in may_serve]:
            raise Conflict(
                f"The published catalog does not let {request.client_id} call for "
                f"{', '.join(missing)}; declare it under the client's tenants and publish first."
            )
        if not with_credential:
            return Approval(self._decide(request.approved(self.clock.now(), operator, None)))
        stored, secret = self.create_secret(request.client_id)
        try:
            token, until = self.hand_over(request.client_id, stored.secret_id, secret)
            approved = request.approved(self.clock.now(), operator, stored.secret_id)
            return Approval(self._decide(approved), token, until)
        except Exception:
            self.secrets.revoke(request.client_id, stored.secret_id)
            raise

    def _decide(self, decided: AccessRequest) -> AccessRequest:
        if not self.requests.decide(decided):
            raise _decided(decided.request_id)
        return decided


@dataclass(frozen=True)
class RejectAccessRequest:
    """Keeps a client out."""

    requests: AccessRequests
    clock: Clock

    def __call__(self, request_id: str, operator: str, reason: str) -> AccessRequest:
        """The rejected request. Raises NotFound, Conflict: somebody has decided already."""
        rejected = waiting(self.requests, request_id).rejected(self.clock.now(), operator, reason)
        if not self.requests.decide(rejected):
            raise _decided(request_id)
        return rejected


def waiting(requests: AccessRequests, request_id: str) -> AccessRequest:
    """A request that nobody has decided about. Raises NotFound, Conflict."""
    found = requests.find(request_id)
    if found is None:
        raise NotFound(f"There is no access request {request_id}.")
    if found.state is not RequestState.WAITING:
        raise _decided(request_id)
    return found


def _decided(request_id: str) -> Conflict:
    return Conflict(f"The access request {request_id} was decided about already.")
