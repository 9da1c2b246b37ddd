"""The worker that fetches a payload from the environment that built it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from headrace.datasets import messages
from headrace.datasets.environments import CREDENTIAL, SOURCES, Credential, sources_of
from headrace.datasets.exchanging import NO_CREDENTIAL, KnowEnvironment, failure_of
from headrace.datasets.model import Process, Result
from headrace.datasets.ports import (
    OtherEnvironments,
    Payloads,
    Processes,
    SourceCredentials,
)
from headrace.datasets.running import Heartbeat, Ran, running
from headrace.kernel.clock import Clock
from headrace.kernel.errors import (
    AddressRefused,
    OtherEnvironmentRefused,
    PayloadRefused,
    Unavailable,
)

_NOT_BUILT = 204


@dataclass(frozen=True)
class FetchPayload:
    """Finds the source environment among the registered ones, and streams its payload into the
    storage. Another run begins anew."""

    environment: KnowEnvironment
    credentials: SourceCredentials
    others: OtherEnvironments
    processes: Processes
    payloads: Payloads
    clock: Clock
    most_bytes: int

    def __call__(self, tenant: str, process_id: str) -> Ran:
        """Without a result the payload is there, and the import is to begin; what it fails for is
        told in messages. Raises Fenced, FileUnavailable, and Unavailable for what may pass."""
        process = running(self.processes, tenant, process_id)
        if process.request.get("sourceEnvironment") is None:
            return Ran(None)  # its payload is there already
        application = self.environment.applications.of_tenant(tenant)
        definition = application.definition(process.definition) if application else None
        if application is None or definition is None:
            unknown = messages.UNKNOWN_DEFINITION(definition=process.definition)
            self.processes.tell(process, [unknown])
            return Ran(Result.FAILURE)
        name = f"{SOURCES}{definition.sources_property}"
        urls = sources_of(self.environment.properties.value(tenant, name))
        credential = self.credentials.of(tenant, CREDENTIAL)
        if credential is None:
            return self._failed(process, NO_CREDENTIAL)
        named, failures = self._named(urls, credential)
        wanted = process.request["sourceEnvironment"]
        found = [url for url, identifier in named.items() if identifier == wanted]
        if len(found) != 1:
            others = sorted(set(named.values()))
            return self._failed(process, _not_one(wanted, found, others, failures))
        return self._fetch(process, found[0], credential)

    def _named(
        self, urls: tuple[str, ...], credential: Credential
    ) -> tuple[dict[str, str], list[str]]:
        """Which environment each source says that it is, and what failed with others."""

        def ask(url: str) -> tuple[str | None, str]:
            try:
                return self.others.environment(url, credential).identifier, ""
            except Unavailable as error:
                return None, f"{url}: {failure_of(error)}"

        if not urls:
            return {}, []
        with ThreadPoolExecutor(len(urls)) as askers:
            answers = list(zip(urls, askers.map(ask, urls), strict=True))
        named = {url: identifier for url, (identifier, _) in answers if identifier is not None}
        return named, [failure for _, (_, failure) in answers if failure]

    def _fetch(self, process: Process, url: str, credential: Credential) -> Ran:
        heartbeat = Heartbeat(self.processes, process, self.clock)
        code, definition = process.data_set, process.definition
        try:
            with self.others.payload(url, definition, code, credential, self.most_bytes) as chunks:
                self.payloads.store(
                    process.tenant,
                    process.request["payload"],
                    "application/octet-stream",
                    _heard_of(chunks, heartbeat),
                )
        except OtherEnvironmentRefused as error:
            if error.status >= 500:  # the source's own trouble, which may pass
                raise
            built = "has not built it yet" if error.status == _NOT_BUILT else failure_of(error)
            return self._failed(process, f"the data set {code} at {url}: {built}")
        except AddressRefused as error:
            return self._failed(process, f"{url}: {failure_of(error)}")
        except PayloadRefused as error:
            return self._failed(process, f"{url}: {error.detail}")
        return Ran(None)

    def _failed(self, process: Process, reason: str) -> Ran:
        self.processes.tell(process, [messages.TECHNICAL_FAILURE(reason=reason)])
        return Ran(Result.FAILURE)


def _not_one(wanted: str, found: list[str], others: list[str], failures: list[str]) -> str:
    if found:
        return f"several source environments say that they are {wanted}: {', '.join(found)}"
    known = [f"there is {' and '.join(others)}"] if others else []
    silent = [f"no answer of: {'; '.join(failures)}"] if failures else []
    told = f" ({'; '.join(known + silent)})" if known or silent else ""
    return f"no registered source environment is {wanted}{told}"


def _heard_of(chunks: Iterator[bytes], heartbeat: Heartbeat) -> Iterator[bytes]:
    for chunk in chunks:
        heartbeat(0)
        yield chunk
