"""What environments tell each other before a data set is carried: who they are, and which data
sets they have built."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus

from headrace.datasets import messages
from headrace.datasets.definitions import Application, Definition, accepts
from headrace.datasets.environments import (
    CREDENTIAL,
    IDENTIFIER,
    SOURCES,
    VERSION,
    Available,
    Credential,
    Environment,
    FromSource,
    Property,
    sources_of,
)
from headrace.datasets.model import DataSet, shown
from headrace.datasets.ports import (
    Applications,
    DataSets,
    EnvironmentProperties,
    OtherEnvironments,
    SourceCredentials,
)
from headrace.kernel.caller import Caller
from headrace.kernel.errors import (
    AddressRefused,
    NotFound,
    OtherEnvironmentRefused,
    OtherVersion,
    TimedOut,
    Unavailable,
    UnknownDefinition,
    ValidationFailed,
)


@dataclass(frozen=True)
class KnowEnvironment:
    """This environment of the caller's application, as it is called here."""

    applications: Applications
    properties: EnvironmentProperties

    def __call__(self, caller: Caller) -> Environment:
        """Raises NotFound: the tenant has no application."""
        application = self.applications.of_tenant(caller.tenant)
        if application is None:
            raise NotFound("There is no application here.")
        return self.of(application)

    def of(self, application: Application) -> Environment:
        """The environment of an application."""
        named = self.properties.value(application.tenant, IDENTIFIER)
        return Environment(named or application.identifier, application.version)

    def definition(self, caller: Caller, code: str) -> tuple[Application, Definition]:
        """A definition, and the caller's application. Raises UnknownDefinition."""
        application = self.applications.of_tenant(caller.tenant)
        definition = None if application is None else application.definition(code)
        if application is None or definition is None:
            raise messages.UNKNOWN_DEFINITION.refusing(UnknownDefinition, definition=shown(code))
        return application, definition


@dataclass(frozen=True)
class ListDataSets:
    """The data sets that were built here: what a target asks its sources for."""

    environment: KnowEnvironment
    data_sets: DataSets

    def __call__(
        self, caller: Caller, definition_code: str, version: str
    ) -> tuple[Environment, tuple[Available, ...]]:
        """This environment, and its data sets of a definition.

        Raises UnknownDefinition, ValidationFailed, and OtherVersion: an application of the version
        that is asked for could not import them.
        """
        application, definition = self.environment.definition(caller, definition_code)
        check_version(version)
        here = self.environment.of(application)
        if not accepts(here.version, version, exactly=False):
            raise messages.WRONG_VERSION.refusing(
                OtherVersion, built_by=here.version, version=version
            )
        found = self.data_sets.of_definition(caller.tenant, definition.code)
        return here, tuple(
            available for one in found if (available := _available(one, here)) is not None
        )


def _available(data_set: DataSet, here: Environment) -> Available | None:
    if data_set.payload_built_at is None:
        return None
    options = data_set.options
    return Available(
        code=data_set.code,
        description=data_set.description,
        environment=here.identifier,
        data_set_id=data_set.data_set_id,
        number_of_items=data_set.number_of_items,
        exact_version_match=options.exact_version_match,
        disable_delete_by_omission=options.disable_delete_by_omission,
        inclusion_date=options.inclusion_date,
        created_at=data_set.created_at,
        updated_at=data_set.updated_at,
        payload_built_at=data_set.payload_built_at,
    )


@dataclass(frozen=True)
class FetchAvailable:
    """Asks all registered sources at the same time which data sets they have."""

    environment: KnowEnvironment
    credentials: SourceCredentials
    others: OtherEnvironments

    def __call__(
        self, caller: Caller, definition_code: str, version: str
    ) -> tuple[FromSource, ...]:
        """What each of them answered, in the order they are registered in.

        Raises UnknownDefinition, ValidationFailed, Unavailable (of our own parts only).
        """
        application, definition = self.environment.definition(caller, definition_code)
        check_version(version)
        urls = self._registered(application, definition)
        if not urls:
            return ()
        credential = self.credentials.of(caller.tenant, CREDENTIAL)
        with ThreadPoolExecutor(len(urls)) as askers:
            return tuple(
                askers.map(lambda url: self._ask(url, definition.code, version, credential), urls)
            )

    def _registered(self, application: Application, definition: Definition) -> tuple[str, ...]:
        name = f"{SOURCES}{definition.sources_property}"
        return sources_of(self.environment.properties.value(application.tenant, name))

    def _ask(
        self, url: str, definition: str, version: str, credential: Credential | None
    ) -> FromSource:
        if credential is None:
            return FromSource(url, failure=NO_CREDENTIAL)
        try:
            return FromSource(url, self.others.available(url, definition, version, credential))
        except Unavailable as error:
            return FromSource(url, failure=failure_of(error))


NO_CREDENTIAL = f"The credential {CREDENTIAL} is not set in this environment"


def failure_of(error: Unavailable) -> str:
    """What went wrong with a source, in words of ours: ``HTTP 401 Unauthorized`` and the like."""
    match error:
        case OtherEnvironmentRefused(status=status):
            known = {one.value: one.phrase for one in HTTPStatus}
            return f"HTTP {status} {known.get(status, '')}".strip()
        case TimedOut():
            return "No answer in time"
        case AddressRefused():
            return f"Not called: {error.detail}"
        case _:
            return error.detail


def check_version(version: str) -> None:
    """Raises ValidationFailed: it is none."""
    if not VERSION.fullmatch(version):
        raise ValidationFailed(
            "The version cannot be read.",
            [{"field": "dataSetVersion", "message": "must be like 4.24.1"}],
        )


@dataclass(frozen=True)
class SetProperty:
    """Sets a property of the caller's environment."""

    applications: Applications
    properties: EnvironmentProperties

    def __call__(self, caller: Caller, name: str, value: str) -> tuple[Property, bool]:
        """The property as it is kept, and whether there was none. An empty value takes it away.

        Raises NotFound: the tenant has no application; ValidationFailed.
        """
        _check_has_application(self.applications, caller)
        wanted = Property.of(name, value)
        return wanted, self.properties.put(caller.tenant, wanted)

    def listed(self, caller: Caller) -> Sequence[Property]:
        """Those that are set. Raises NotFound."""
        _check_has_application(self.applications, caller)
        return self.properties.listed(caller.tenant)


@dataclass(frozen=True)
class SetCredential:
    """Sets what the caller's environment calls others with. Nobody is ever shown it."""

    applications: Applications
    credentials: SourceCredentials

    def __call__(self, caller: Caller, credential: Credential) -> None:
        """Raises NotFound: the tenant has no application; Unavailable."""
        _check_has_application(self.applications, caller)
        self.credentials.put(caller.tenant, CREDENTIAL, credential)


def _check_has_application(applications: Applications, caller: Caller) -> None:
    if applications.of_tenant(caller.tenant) is None:
        raise NotFound("There is no application here.")
