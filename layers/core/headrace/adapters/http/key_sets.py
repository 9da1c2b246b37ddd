"""The key sets that issuers publish, read by https."""

from dataclasses import dataclass, field

from headrace.adapters.http.outbound import Fetcher
from headrace.identity.encoding import object_from_json
from headrace.identity.keys import KeySet, VerificationKey, keys_from_jwks
from headrace.kernel.clock import Clock
from headrace.kernel.errors import Unavailable


@dataclass
class HttpKeySets:
    """Key sets of foreign issuers and of clients. Keep one per process: it holds what was read."""

    fetcher: Fetcher
    clock: Clock
    _sets: dict[str, KeySet] = field(default_factory=dict, init=False)

    def at(self, url: str) -> KeySet:
        """The key set that is published there; nothing is read before a key is asked of it."""
        if url not in self._sets:
            self._sets[url] = KeySet(lambda: self._fetch(url), self.clock)
        return self._sets[url]

    def _fetch(self, url: str) -> tuple[VerificationKey, ...]:
        try:
            return keys_from_jwks(object_from_json(self.fetcher.get(url)))
        except Unavailable as error:
            raise Unavailable(f"{url}: {error.detail}") from error
        except ValueError as error:
            raise Unavailable(f"{url}: This is no key set.") from error
