"""Requests to one service: repeated where that is safe, signed where a key is used, and errors as
exceptions."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from headrace_client.connection import ClientCertificate, refused_certificate, tls_context
from headrace_client.errors import (
    ApiError,
    CertificateRefused,
    NetworkError,
    ProtocolError,
    SetupError,
    api_error,
    printable,
)
from headrace_client.keys import SigningKey
from headrace_client.proofs import Proofs
from headrace_client.retrying import REPEATABLE_STATUSES, RetryPolicy, retry_after_seconds
from headrace_client.tokens import Grant
from headrace_client.version import USER_AGENT

DEFAULT_TIMEOUT = httpx.Timeout(35.0, connect=10.0)  # the API's own limit for a reply is 29 s
_NEVER = RetryPolicy(attempts=1)
TOKEN_PATH = "/connect/token"  # noqa: S105  a path


class Transport:
    """One service, as requests go there. Threads may share it.

    `proof_key` signs a proof for each request, and tokens are bound to it (DPoP). `certificate` is
    shown on each connection. `public_url` is what the service calls itself; `api_url` unless given.
    Requests are repeated: by `policy` after connection errors, 429 (not for an exhausted quota),
    502, 503 and 504; `on_repeat` hears before each wait, in a sentence, what it is for. An address
    where nobody listens, and that has never answered, is asked once.
    """

    def __init__(
        self,
        api_url: str,
        *,
        proof_key: SigningKey | None = None,
        certificate: ClientCertificate | None = None,
        public_url: str | None = None,
        timeout: httpx.Timeout | float = DEFAULT_TIMEOUT,
        policy: RetryPolicy | None = None,
        allow_http: bool = False,
        on_repeat: Callable[[str], None] | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.api_url = checked_api_url(api_url, allow_http)
        self.public_url = self.api_url if public_url is None else checked_api_url(public_url, True)
        self.policy = policy or RetryPolicy()
        self._on_repeat = on_repeat
        self._sleep = sleep
        self._has_answered = False
        self._certificate = certificate
        if certificate is not None and not self.api_url.startswith("https:"):
            raise SetupError(
                f"A client certificate needs an encrypted connection, and {self.api_url} is none: "
                "call the domain that asks for certificates."
            )
        self._proofs = None
        if proof_key is not None:
            self._proofs = Proofs(proof_key, self.api_url, self.public_url)
        self._http = httpx.Client(
            timeout=timeout,
            verify=tls_context(certificate),
            follow_redirects=False,  # a redirect must never carry the token to another host
            headers={"User-Agent": USER_AGENT, "Accept": "application/json"},
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    @property
    def bound_to(self) -> str | None:
        """The thumbprint of the key that tokens are bound to, if any."""
        return None if self._proofs is None else self._proofs.key.thumbprint

    def ask(
        self, form: Callable[[], Mapping[str, str]], idempotency_key: str | None = None
    ) -> Grant:
        """Ask the token endpoint; `form` makes what is sent, anew for each time that it is."""
        headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
        response = self.send("POST", TOKEN_PATH, expected=(200,), form=form, headers=headers)
        return self.grant(json_object(response))

    def grant(self, held: Mapping[str, Any]) -> Grant:
        """The tokens in a reply. Raises ProtocolError: there are none, or of another kind."""
        token, life = held.get("access_token"), held.get("expires_in", 3600)
        refresh_token = held.get("refresh_token")
        kind = "bearer" if self._proofs is None else "dpop"
        if not isinstance(token, str) or not token or str(held.get("token_type")).lower() != kind:
            raise ProtocolError(f"The token endpoint's answer holds no {kind} token.")
        if isinstance(life, bool) or not isinstance(life, (int, float)):
            raise ProtocolError("The token endpoint's answer has no usable 'expires_in'.")
        return Grant(token, float(life), refresh_token if isinstance(refresh_token, str) else None)

    def send(
        self,
        method: str,
        path: str,
        *,
        expected: tuple[int, ...],
        params: Mapping[str, str] | None = None,
        json: Mapping[str, Any] | None = None,
        form: Callable[[], Mapping[str, str]] | None = None,
        files: Mapping[str, tuple[str, bytes]] | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        token: str | None = None,
        parameters: str = "",
        repeat: bool = True,
    ) -> httpx.Response:
        """Send until an answer counts. `files`: by field, a name and what is in it, sent with the
        `form` as multipart/form-data; `content`: a body as it is. `parameters` follow the token in
        its header. `repeat`: it may be sent again though it may have been carried out."""
        given = dict(headers or {})
        if token is not None:
            scheme = "Bearer" if self._proofs is None else "DPoP"
            given["Authorization"] = f"{scheme} {token}{parameters}"

        def made() -> httpx.Request:
            request = self._http.build_request(
                method,
                self.api_url + path,
                params=params,
                json=json,
                data=None if form is None else form(),
                files=files,
                content=content,
                headers=given,
            )
            if self._proofs is not None:
                self._proofs.sign(request, token)
            return request

        return self._until_answered(made, expected, self.policy if repeat else _NEVER)

    def _until_answered(
        self, made: Callable[[], httpx.Request], expected: tuple[int, ...], policy: RetryPolicy
    ) -> httpx.Response:
        """Each sending is of a request of its own: what is signed counts once."""
        sent, amended = 0, set[str]()
        while True:
            sent += 1
            request = made()
            try:
                response = self._http.send(request)
            except httpx.TransportError as error:
                if refused_certificate(error):
                    raise self._certificate_refused(request, error) from error
                vain = _hopeless(error) or (_absent(error) and not self._has_answered)
                pause = None if vain else policy.wait(sent)
                if pause is None:
                    raise self._no_answer(request, sent, error) from error
                self._wait(request, f"did not answer: {_said(error)}", pause, sent, policy)
                continue
            self._has_answered = True
            if self._proofs is not None:
                self._proofs.learn(response)
            if response.status_code in expected:
                return response
            retry_after = retry_after_seconds(response.headers.get("Retry-After"))
            problem = api_error(
                response.status_code,
                _problem(response),
                retry_after=retry_after,
                correlation_id=response.headers.get("x-amzn-requestid"),
                sent=sent,
            )
            if problem.code not in amended and self._can_amend(problem, response):
                amended.add(problem.code)
                sent -= 1  # it was refused before anything was done
                continue
            if response.status_code in REPEATABLE_STATUSES and problem.code != "quota_exhausted":
                pause = policy.wait(sent, retry_after)
                if pause is not None:
                    said = f"answered {response.status_code}: {problem.detail}"
                    self._wait(request, said, pause, sent, policy)
                    continue
            raise problem

    def _wait(
        self, request: httpx.Request, said: str, pause: float, sent: int, policy: RetryPolicy
    ) -> None:
        """Waits before the next sending after `sent` of them, and tells what for."""
        if self._on_repeat is not None:
            self._on_repeat(
                f"{_address(request)} {said.rstrip('.')}. Trying again in {pause:.1f} s "
                f"(attempt {sent + 1} of {policy.attempts})."
            )
        self._sleep(pause)

    def _can_amend(self, problem: ApiError, response: httpx.Response) -> bool:
        """Whether the next proof will have what this one lacked (RFC 9449 sections 8 and 9)."""
        if self._proofs is None:
            return False
        if problem.code == "use_dpop_nonce":
            return "DPoP-Nonce" in response.headers
        return problem.code == "invalid_dpop_proof" and self._proofs.corrected(response)

    def _no_answer(
        self, request: httpx.Request, sent: int, error: httpx.TransportError
    ) -> NetworkError:
        made = NetworkError(
            f"{_address(request)} did not answer "
            f"({sent} attempt{'s' if sent > 1 else ''}): {_said(error)}"
        )
        if _absent(error):
            made.hint = f"Is {self.api_url} the right address, and does the service run?"
        cut = isinstance(error, (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError))
        if cut and self.api_url.startswith("https:"):
            # not every server says why it ends a connection
            made.hint = (
                "It may be that it wants a client certificate, and none is given."
                if self._certificate is None
                else "It may be that it does not take the certificate in "
                f"{self._certificate.certificate}."
            )
        return made

    def _certificate_refused(
        self, request: httpx.Request, error: httpx.TransportError
    ) -> CertificateRefused:
        shown = (
            "and none is given"
            if self._certificate is None
            else f"and does not take that in {self._certificate.certificate}"
        )
        return CertificateRefused(
            f"{request.url.host} wants a client certificate, {shown}: {_said(error)}"
        )


def checked_api_url(api_url: str, allow_http: bool) -> str:
    """The base without a slash at its end; SetupError when it is none."""
    base = api_url.strip().rstrip("/")
    try:
        parts = urlsplit(base)
        host = parts.hostname or ""
    except ValueError:
        raise SetupError(f"{api_url!r} is not an address.") from None
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
        raise SetupError(f"{api_url!r} is not the address of an API: it needs https://host/….")
    if parts.username is not None or parts.password is not None:
        raise SetupError("The API's address must not contain credentials.")
    if parts.scheme == "http" and not allow_http and not is_loopback(host):
        raise SetupError(
            f"{base} is not encrypted, so what proves who calls would travel readable. Use https, "
            "or allow plain http expressly (HEADRACE_ALLOW_HTTP=1, or allow_http=True)."
        )
    return base


def is_loopback(host: str) -> bool:
    """Whether the host is this machine by name (RFC 6761) or address."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def path_segment(identifier: str) -> str:
    """An identifier as one path segment; it can never climb out of its place in the path."""
    if identifier in ("", ".", ".."):
        raise SetupError(f"{identifier!r} is not an id.")
    return quote(identifier, safe="")


def json_object(response: httpx.Response) -> Mapping[str, Any]:
    """The answer's document. Raises ProtocolError: it is none."""
    try:
        held = response.json()
    except ValueError:
        held = None
    if not isinstance(held, dict):
        raise ProtocolError(
            f"{response.request.url.path} answered {response.status_code} without a JSON object. "
            "Is the address that of a Headrace API?"
        )
    return held


def _problem(response: httpx.Response) -> Mapping[str, Any] | None:
    try:
        held = response.json()
    except ValueError:
        return None
    return held if isinstance(held, dict) else None


def _hopeless(error: httpx.TransportError) -> bool:
    """Errors that no repetition mends: a certificate that does not verify, an unknown scheme."""
    return isinstance(error, httpx.UnsupportedProtocol) or any(
        isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(error)
    )


def _absent(error: httpx.TransportError) -> bool:
    """Whether nobody listens at the address, or its name is none."""
    return any(
        isinstance(cause, ConnectionRefusedError)
        or (isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_NONAME)
        for cause in _causes(error)
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, and what it came of."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _address(request: httpx.Request) -> str:
    return request.url.netloc.decode()


def _said(error: Exception) -> str:
    return printable(str(error) or type(error).__name__, 300)
