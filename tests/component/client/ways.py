"""A Headrace service that takes API keys, logins and proofs of possession, and is strict: a refresh
token that comes a second time ends its key at once, whenever that is."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import jwt

from tests.component.client.service import Answer, ApiRequest, Service, csv_rows, problem

USERNAME, PASSWORD = "ada@acme.example", "a long enough one"
TABLES = {"absences": csv_rows(30)}


@dataclass
class Family:
    """A refresh token and those that follow it."""

    current: str
    bound_to: str | None = None
    spent: set[str] = field(default_factory=set)
    revoked: bool = False
    access_token: str | None = None


class KeyService(Service):
    """The service; a context manager."""

    def __init__(self) -> None:
        super().__init__(TABLES)
        self.static_keys: set[str] = set()
        self.families: dict[str, Family] = {}
        self.exchanges: list[tuple[str, str]] = []
        """Refresh token and Idempotency-Key of each exchange that came."""
        self.nonce: str | None = None
        self.proofs: list[dict[str, Any]] = []
        self.lose_answers = 0
        """How many exchanges are carried out, and not answered."""
        self.hold: threading.Event | None = None
        """If given, an exchange is carried out, and answered once this is set."""

    def a_static_key(self) -> str:
        key = f"hrk_{secrets.token_hex(13)}_{secrets.token_urlsafe(32)}"
        self.static_keys.add(key)
        return key

    def a_refresh_key(self, prefix: str = "hrr", bound_to: str | None = None) -> str:
        key_id = secrets.token_hex(13)
        token = f"{prefix}_{key_id}_{secrets.token_urlsafe(32)}"
        self.families[key_id] = Family(token, bound_to)
        return token

    def family(self, token: str) -> Family:
        return self.families[token.split("_")[1]]

    def answer(self, request: ApiRequest) -> Answer:
        with self.lock:
            self.api_requests.append(request)
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        try:
            proven = self._proven(request)
        except ValueError as wrong:
            return self._bad_proof(request, str(wrong))
        if request.path == "/api/ver3/auth/login":
            return self._login(json.loads(request.body), proven)
        if request.path == "/connect/revoke":
            self.family(form["token"]).revoked = True
            return Answer(200)
        if request.path == "/connect/token" and form.get("grant_type") == "refresh_token":
            return self._exchange(form["refresh_token"], request, proven)
        if request.path == "/connect/token":
            return self._bound(self._token(request), proven)
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        token = token.partition(";")[0]
        if token in self.static_keys:
            return self._route(request)
        if token not in self.tokens or (scheme == "DPoP") != (proven is not None):
            return problem(401, "invalid_token", "The token is not valid.")
        with self.lock:
            return self._route(request)

    # --- refresh tokens -----------------------------------------------------------------------

    def _exchange(self, token: str, request: ApiRequest, proven: str | None) -> Answer:
        key = request.headers.get("idempotency-key", "")
        with self.lock:
            self.exchanges.append((token, key))
            family = self.family(token)
            given = self._next(token, key)
            repeated = given == family.current and token in family.spent
            if family.revoked:
                return self._refused("Its key was revoked.")
            if token != family.current and not repeated:
                family.revoked = True
                self.tokens.discard(family.access_token or "")
                return self._refused("It had been exchanged before, so the key is revoked.")
            if family.bound_to not in (None, proven):
                return self._refused("It is bound to another key.")
            family.spent.add(token)
            family.current, family.bound_to = given, proven
            answer = self._granted(family, proven)
            hold, self.hold = self.hold, None
            lost = self.lose_answers > 0
            self.lose_answers -= lost
        if hold is not None:
            hold.wait()
            return Answer(0, drop=True)
        return Answer(0, drop=True) if lost else answer

    def _granted(self, family: Family, proven: str | None) -> Answer:
        self.tokens.discard(family.access_token or "")
        family.access_token = secrets.token_hex(16)
        self.tokens.add(family.access_token)
        held = {
            "access_token": family.access_token,
            "refresh_token": family.current,
            "token_type": "Bearer",
            "expires_in": self.expires_in,
        }
        return self._bound(Answer(200, held), proven)

    @staticmethod
    def _next(token: str, key: str) -> str:
        derived = hmac.digest(token.encode(), key.encode(), "sha256")
        secret = base64.urlsafe_b64encode(derived).decode().rstrip("=")
        return "_".join([*token.split("_")[:2], secret])

    @staticmethod
    def _refused(detail: str) -> Answer:
        return Answer(400, {"error": "invalid_grant", "error_description": detail})

    def _login(self, sent: Mapping[str, str], proven: str | None) -> Answer:
        if sent != {"username": USERNAME, "password": PASSWORD}:
            return problem(401, "login_failed", "User name and password do not fit.")
        with self.lock:
            return self._granted(self.family(self.a_refresh_key("hrl", proven)), proven)

    # --- proofs (RFC 9449), read by a library that is not ours --------------------------------

    def _bound(self, answer: Answer, proven: str | None) -> Answer:
        if proven is None or answer.status != 200:
            return answer
        return Answer(200, {**(answer.document or {}), "token_type": "DPoP"})

    def _proven(self, request: ApiRequest) -> str | None:
        """The public key of the request's proof. Raises ValueError for one that is not good."""
        text = request.headers.get("dpop")
        if text is None:
            return None
        header = jwt.get_unverified_header(text)
        key = jwt.PyJWK(header["jwk"])
        claims = jwt.decode(text, key, algorithms=["ES256", "RS256"], options={"verify_iat": True})
        token = request.headers.get("authorization", "").partition(" ")[2].partition(";")[0]
        hashed = base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).decode()
        if header["typ"] != "dpop+jwt" or "d" in header["jwk"]:
            raise ValueError("no proof")
        if (claims["htm"], claims["htu"]) != (request.method, f"{self.api_url}{request.path}"):
            raise ValueError("of another request")
        if token and claims.get("ath") != hashed.rstrip("="):
            raise ValueError("of another token")
        with self.lock:
            if claims["jti"] in {one["jti"] for one in self.proofs}:
                raise ValueError("used before")
            if self.nonce is not None and claims.get("nonce") != self.nonce:
                raise ValueError("nonce")
            self.proofs.append(claims)
        return json.dumps(header["jwk"], sort_keys=True)

    def _bad_proof(self, request: ApiRequest, why: str) -> Answer:
        code = "use_dpop_nonce" if why == "nonce" else "invalid_dpop_proof"
        headers = {"DPoP-Nonce": self.nonce or ""} if why == "nonce" else {}
        if request.path == "/connect/token":
            return Answer(400, {"error": code, "error_description": why}, headers)
        return problem(401, code, why, headers)
