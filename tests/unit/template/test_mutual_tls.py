"""What the template makes of a custom domain with mutual TLS."""

import json
import os
import subprocess

import pytest

from tests.unit.template.deployed import TEMPLATE, Deployed
from tests.world import ROOT

DOMAIN = {
    "DomainName": "data.example.com",
    "DomainCertificateArn": "arn:aws:acm:eu-west-1:123456789012:certificate/1",
    "TruststoreUri": "s3://trust/headrace.pem",
}


def test_without_a_domain_the_api_answers_at_its_own_endpoint() -> None:
    plain = Deployed()
    assert not plain.has("Domain") and not plain.has("DomainMapping")
    assert plain.api()["DisableExecuteApiEndpoint"] is False
    assert plain.environment()["PUBLIC_BASE_URL"] == ""
    assert plain.environment()["MUTUAL_TLS_URL"] == ""


@pytest.mark.abuse(58)
def test_with_a_domain_the_default_endpoint_is_disabled() -> None:
    assert Deployed(**DOMAIN).api()["DisableExecuteApiEndpoint"] is True


def test_sam_says_so_where_api_gateway_reads_it_in_openapi_3() -> None:
    done = subprocess.run(
        [
            ROOT / ".tools" / "platform" / "bin" / "python",
            ROOT / "tests" / "unit" / "docs" / "transformed.py",
            ROOT / "template.yaml",
            "Api",
        ],
        env={**os.environ, "AWS_DEFAULT_REGION": "eu-west-1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    body = json.loads(done.stdout)["Body"]
    assert body["openapi"] == "3.0.1"
    [server] = body["servers"]
    configured = server["x-amazon-apigateway-endpoint-configuration"]
    assert configured == {"disableExecuteApiEndpoint": {"Fn::If": ["HasDomain", True, False]}}


def test_the_domain_wants_certificates_of_the_truststore() -> None:
    deployed = Deployed(**DOMAIN)
    assert deployed.has("Domain") and deployed.has("DomainMapping")
    domain = deployed.properties("Domain")
    assert domain["MutualTlsAuthentication"] == {"TruststoreUri": "s3://trust/headrace.pem"}
    assert domain["SecurityPolicy"] == "TLS_1_2"
    assert domain["DomainName"] == "data.example.com"
    assert domain["RegionalCertificateArn"] == DOMAIN["DomainCertificateArn"]


def test_a_version_of_the_truststore_may_be_named() -> None:
    domain = Deployed(**DOMAIN, TruststoreVersion="v2").properties("Domain")
    assert domain["MutualTlsAuthentication"]["TruststoreVersion"] == "v2"


def test_the_domain_is_the_public_url_unless_another_is_given() -> None:
    here = {"Fn::Sub": "https://${DomainName}"}
    assert Deployed(**DOMAIN).environment()["PUBLIC_BASE_URL"] == here
    other = Deployed(**DOMAIN, PublicBaseUrl="https://open.example.com").environment()
    assert other["PUBLIC_BASE_URL"] == "https://open.example.com"
    assert other["MUTUAL_TLS_URL"] == here


def test_the_key_of_the_certificate_authority_outlives_the_stack() -> None:
    key = TEMPLATE["Resources"]["CertificateKey"]
    assert (key["DeletionPolicy"], key["UpdateReplacePolicy"]) == ("Retain", "Retain")
    assert key["Properties"]["KeyUsage"] == "SIGN_VERIFY"
