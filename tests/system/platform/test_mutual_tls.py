"""A custom domain with mutual TLS is the only way to its API, as on AWS."""

from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.system.deployed import Platform
from tests.system.mutual_tls import KeyHolder, another_authority, certified
from tests.system.platform.conftest import Scratch

pytestmark = pytest.mark.system

DOMAIN = {"Host": "closed.example.com"}


@pytest.mark.abuse(58)
def test_the_default_endpoint_and_the_domain_without_tls_refuse(scratch: Scratch) -> None:
    default = f"{scratch.endpoint}/_aws/execute-api/{scratch.outputs['ClosedApi']}/test/x"
    for reply in (
        httpx.get(default),
        httpx.get(f"{scratch.endpoint}/x", headers=DOMAIN),
        httpx.get(default, headers={"X-Headrace-Front-Certificate": "AAAA"}),
    ):
        assert (reply.status_code, reply.json()) == (403, {"message": "Forbidden"})


def test_the_domain_shows_a_function_the_certificate(
    platform: Platform, scratch: Scratch, tmp_path: Path
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    with another_authority(platform) as authority:
        pem = certified(authority, key, ("O", "Acme"), ("CN", "exports"))
        reply = KeyHolder(platform, tmp_path, key, pem).calls("GET", "/some/where", headers=DOMAIN)
    assert reply.status_code == 200, reply.text
    seen = reply.json()["context"]["identity"]["clientCert"]
    assert (seen["clientCertPem"], seen["subjectDN"]) == (pem, "CN=exports,O=Acme")
