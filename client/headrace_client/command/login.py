"""`headrace login`, `logout` and `whoami`: what proves who calls."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from headrace_client.command.access import Access, refresh_path
from headrace_client.command.outcome import (
    Common,
    Exit,
    Printer,
    access,
    advised,
    finished,
)
from headrace_client.command.profile import (
    API_KEY,
    API_URL,
    CERTIFICATE_FILE,
    CERTIFICATE_KEY_FILE,
    CLIENT_ID,
    CLIENT_SECRET,
    DPOP_KEY_FILE,
    PASSWORD,
    PRIVATE_KEY_FILE,
    PRIVATE_KEY_ID,
    PUBLIC_URL,
    SERVICE,
    TENANT,
    USERNAME,
    Profile,
    Way,
    environment,
    forget_profile,
    profile_in,
    store_profile,
    stored_profile,
)
from headrace_client.credentials import key_id_of
from headrace_client.errors import HeadraceClientError, ProtocolError, SetupError
from headrace_client.refreshing import RefreshFile
from headrace_client.transport import json_object

_NO_OPTIONS = Common()
_LOGIN_PATH = "/api/ver3/auth/login"
_REVOKE_PATH = "/connect/revoke"


def login(
    *,
    api_url: Annotated[str | None, Parameter(env_var=API_URL)] = None,
    client_id: Annotated[str | None, Parameter(env_var=CLIENT_ID)] = None,
    tenant: Annotated[str | None, Parameter(env_var=TENANT)] = None,
    username: Annotated[str | None, Parameter(env_var=USERNAME)] = None,
    api_key: Annotated[bool, Parameter(negative="")] = False,
    service: Annotated[str | None, Parameter(env_var=SERVICE)] = None,
    private_key: Annotated[Path | None, Parameter(env_var=PRIVATE_KEY_FILE)] = None,
    key_id: Annotated[str | None, Parameter(env_var=PRIVATE_KEY_ID)] = None,
    certificate: Annotated[Path | None, Parameter(env_var=CERTIFICATE_FILE)] = None,
    certificate_key: Annotated[Path | None, Parameter(env_var=CERTIFICATE_KEY_FILE)] = None,
    dpop: Annotated[bool, Parameter(negative="")] = False,
    dpop_key: Annotated[Path | None, Parameter(env_var=DPOP_KEY_FILE)] = None,
    public_url: Annotated[str | None, Parameter(env_var=PUBLIC_URL)] = None,
    secret_stdin: Annotated[bool, Parameter(negative="")] = False,
    common: Common = _NO_OPTIONS,
) -> int:
    """Try credentials and store them for later commands, readable by you alone.

    Say what you have: --username (a person), --api-key (a service), --certificate (a service, or
    with --client-id a client), --private-key (a client); with none of them, a client's secret.
    --dpop goes with all that give tokens. What is not given is asked for.

    A secret, a key or a password is never an option, since other users of the machine can read a
    command line: it comes from HEADRACE_CLIENT_SECRET, HEADRACE_API_KEY or HEADRACE_PASSWORD, from
    standard input, or from a prompt that does not show it. With --profile-file the chosen client is
    stored.

    Parameters
    ----------
    api_url
        The address of the API; with a certificate, the domain that asks for certificates.
    client_id
        The client's id.
    tenant
        The tenant, for a client that serves several.
    username
        Log in as this person, by password.
    api_key
        Log in by an API key, static (hrk_…) or refresh (hrr_…).
    service
        The id of the service that the API key is of; what `sync` began goes on with the next key.
    private_key
        A file with the client's private key, in PEM.
    key_id
        The name that the operator has for its public half; its thumbprint unless given.
    certificate
        A file with the certificate to show, in PEM.
    certificate_key
        A file with its private key, unless that is in the same.
    dpop
        Bind tokens to a key that is made for you and kept.
    dpop_key
        Bind tokens to the key in this file.
    public_url
        What the service calls itself, if that is another address.
    secret_stdin
        Read the secret, the API key or the password from standard input.
    """
    printer = Printer(common)
    held = environment()

    def work() -> Exit:
        if common.profile_file is not None:
            profile = profile_in(common.profile_file, common.client)
        else:
            profile = Profile(
                api_url or _asked("Address of the API: "),
                "the prompt",
                client_id=client_id,
                tenant=tenant,
                service=service,
                private_key_file=_path(private_key),
                private_key_id=key_id,
                certificate_file=_path(certificate),
                certificate_key_file=_path(certificate_key),
                dpop="1" if dpop else None,
                dpop_key_file=_path(dpop_key),
                public_url=public_url,
            )
            profile = _with_secret(profile, username, api_key, secret_stdin, held, printer)
        return _accepted(Access.of(profile, held, common.on_behalf), printer)

    return finished(printer, work)


def _accepted(given: Access, printer: Printer) -> Exit:
    """Try credentials, store them in place of those of before, and tell it."""
    held = given.environment
    with advised(given):
        chosen = _kept(given)
        with chosen.client(printer.note) as client:
            client.check_credentials()
    before = _stored(held)
    path = store_profile(chosen.profile, held)
    if before is not None and not _goes_on(before, chosen.profile):
        _forget_tokens(before, held, printer)
    document = chosen.document()
    url = chosen.profile.api_url
    who = document["username"] or document["clientId"] or document["keyId"] or "the certificate"
    printer.result(
        {"apiUrl": url, "clientId": who, "way": document["way"], "storedIn": str(path)},
        lambda out: out.print(f"Logged in to {url} as {who}; stored in {path}.", markup=False),
    )
    return Exit.OK


def logout(*, common: Common = _NO_OPTIONS) -> int:
    """Delete the stored credentials. A person's login is ended at the service, too."""
    printer = Printer(common)
    held = environment()

    def work() -> Exit:
        profile = _stored(held)
        path = forget_profile(held)
        note = "" if profile is None else _forget_tokens(profile, held, printer)
        said = "Nothing was stored." if path is None else f"Deleted {path}.{note}"
        printer.result(
            {"deleted": None if path is None else str(path)},
            lambda out: out.print(said, markup=False),
        )
        return Exit.OK

    return finished(printer, work)


def whoami(*, common: Common = _NO_OPTIONS) -> int:
    """Show which credentials are used and where they come from, and try them."""
    printer = Printer(common)

    def work() -> Exit:
        with advised(access(common)) as chosen:
            document, said = chosen.document(), chosen.sentences()
            if not common.json and not common.quiet:
                printer.out.print("\n".join(said), markup=False)
            with chosen.client(printer.note) as client:
                client.check_credentials()
        printer.result(
            {**document, "accepted": True},
            lambda out: out.print("The service accepts them.", markup=False),
        )
        return Exit.OK

    return finished(printer, work)


def _with_secret(
    profile: Profile,
    username: str | None,
    api_key: bool,
    from_stdin: bool,
    held: Mapping[str, str],
    printer: Printer,
) -> Profile:
    """The profile with what must not be an option. A person's has tokens in place of a password."""
    others = [profile.private_key_file, profile.certificate_file]
    if (username is not None) + api_key > 1 or ((username or api_key) and any(others[:1])):
        raise SetupError("Choose one of --username, --api-key and --private-key.")
    if username is not None:
        password = _secret("Password: ", "password", PASSWORD, from_stdin, held)
        return _logged_in(Access(profile, held), username, password, printer)
    if api_key:
        key = _secret("API key: ", "API key", API_KEY, from_stdin, held)
        return replace(profile, api_key=key)
    if profile.private_key_file is not None:
        return replace(profile, client_id=profile.client_id or _asked("Client id: "))
    if profile.certificate_file is not None and not (from_stdin or held.get(CLIENT_SECRET)):
        return profile
    return replace(
        profile,
        client_id=profile.client_id or _asked("Client id: "),
        client_secret=_secret("Client secret: ", "secret", CLIENT_SECRET, from_stdin, held),
    )


def _logged_in(chosen: Access, username: str, password: str, printer: Printer) -> Profile:
    transport = chosen.transport(printer.note)
    try:
        response = transport.send(
            "POST",
            _LOGIN_PATH,
            expected=(200,),
            json={"username": username, "password": password},
            repeat=False,  # each try counts
        )
        grant = transport.grant(json_object(response))
    finally:
        transport.close()
    if grant.refresh_token is None:
        raise ProtocolError("The login's answer holds no refresh token.")
    name = key_id_of(grant.refresh_token)
    file = RefreshFile(refresh_path(name, chosen.environment))
    file.begin(grant.refresh_token, grant, transport.bound_to)
    return replace(chosen.profile, username=username, refresh_token_id=name)


def _kept(chosen: Access) -> Access:
    """A refresh key goes into its file: what was given is of no use after the first exchange."""
    held = chosen.profile
    if held.way is not Way.REFRESH_KEY or held.api_key is None:
        return chosen
    file = chosen.refresh_file()
    file.begin(held.api_key)
    return replace(chosen, profile=replace(held, api_key=None, refresh_token_id=file.path.stem))


def _stored(held: Mapping[str, str]) -> Profile | None:
    """What was stored, to be replaced or deleted: whoever may read it, and if it can be read."""
    try:
        return stored_profile(held, private=False)
    except SetupError:
        return None


def _goes_on(before: Profile, now: Profile) -> bool:
    """Whether what was stored before is of use yet: nobody goes on with a login that the next one
    replaces."""
    if before.refresh_token_id in (None, now.refresh_token_id):
        return True
    return before.way is not Way.LOGIN


def _forget_tokens(profile: Profile, held: Mapping[str, str], printer: Printer) -> str:
    """Delete its refresh token, and end its login at the service; what there is to be said."""
    if profile.refresh_token_id is None:
        return ""
    chosen = Access(profile, held)
    file = chosen.refresh_file()
    token = file.refresh_token()
    file.forget()
    if profile.way is not Way.LOGIN:
        return (
            " The newest refresh token of the API key went with it: the key is of no use any more, "
            "so have a manager revoke it."
        )
    if token is None:
        return ""
    try:
        transport = chosen.transport(printer.note)
        try:
            transport.send("POST", _REVOKE_PATH, expected=(200,), form=lambda: {"token": token})
        finally:
            transport.close()
    except HeadraceClientError as error:
        return f" The service could not be told, so the login goes on there: {error.detail}"
    return " The login has ended at the service, too."


def _path(given: Path | None) -> str | None:
    return None if given is None else str(given.absolute())


def _asked(prompt: str) -> str:
    if not sys.stdin.isatty():
        raise SetupError(f"{prompt.rstrip(': ')} is missing, and there is no terminal to ask.")
    return input(prompt).strip()


def _secret(
    prompt: str, name: str, variable: str, from_stdin: bool, held: Mapping[str, str]
) -> str:
    if from_stdin:
        given = sys.stdin.readline().strip()
    else:
        given = held.get(variable, "")
        if not given:
            if not sys.stdin.isatty():
                raise SetupError(f"The {name} is missing: use --secret-stdin or {variable}")
            given = getpass.getpass(prompt).strip()
    if not given:
        raise SetupError(f"The {name} is empty.")
    return given
