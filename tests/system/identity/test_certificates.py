"""Client certificates as deployed: real keys, real handshakes."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.system.conftest import Clients
from tests.system.deployed import Platform
from tests.system.mutual_tls import KeyHolder, another_authority, certified

pytestmark = pytest.mark.system

PATH = "/data/v1/metadata"


@pytest.fixture
def holder(platform: Platform, tmp_path: Path) -> Callable[[str | None], KeyHolder]:
    """Makes holders of one key, with the certificate given."""
    key = ec.generate_private_key(ec.SECP256R1())
    return lambda certificate: KeyHolder(platform, tmp_path, key, certificate)


# --- tokens that are bound to a certificate (RFC 8705) ----------------------------------------


def test_a_client_without_a_secret_gets_a_token_that_its_certificate_opens(
    platform: Platform, clients: Clients, holder: Callable[[str | None], KeyHolder]
) -> None:
    client = clients.special(tls_client_auth_subject_dn="CN=exports,O=Acme")
    form = {"grant_type": "client_credentials", "client_id": client.client_id}
    with another_authority(platform) as authority:
        names = (("O", "Acme"), ("CN", "exports"))
        mine = holder(certified(authority, holder(None).key, *names))
        reply = mine.calls("POST", "/connect/token", data=form)
        assert reply.status_code == 200, reply.text
        given = {"Authorization": f"Bearer {reply.json()['access_token']}"}
        assert mine.calls("GET", PATH, headers=given).status_code == 200
        assert platform.call("GET", PATH, headers=given).status_code == 401
        others = holder(certified(authority, holder(None).key, *names))
        assert others.calls("GET", PATH, headers=given).status_code == 401
        stranger = holder(certified(authority, holder(None).key, ("CN", "exports")))
        assert stranger.calls("POST", "/connect/token", data=form).status_code == 401
    assert platform.call("POST", "/connect/token", data=form).status_code == 401
    with pytest.raises(httpx.TransportError):
        mine.calls("GET", PATH, headers=given)


@pytest.mark.abuse(50)
@pytest.mark.abuse(55)
def test_the_handshake_fails_without_a_certificate_that_is_trusted(
    holder: Callable[[str | None], KeyHolder],
) -> None:
    foreign = ec.generate_private_key(ec.SECP256R1())
    for certificate in (None, certified(foreign, holder(None).key, ("CN", "exports"))):
        with pytest.raises(httpx.TransportError):
            holder(certificate).calls("GET", "/docs")
