"""How a source's options and its secret become a connection."""

import json
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from headrace.adapters.postgresql import connection
from headrace.adapters.postgresql.connection import connection_parameters, secret_was_renewed
from headrace.exports.sources import Source
from headrace.kernel.errors import SourceUnavailable

CANARY = "canary-5f1d"
"""Stands in every secret, and may stand in no message."""


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(connection, "_secrets", {})
    with mock_aws():
        yield


def a_secret(**values: str | int) -> str:
    reply = boto3.client("secretsmanager").create_secret(
        Name="warehouse/reader", SecretString=json.dumps(values)
    )
    return str(reply["ARN"])


def a_source(**options: str) -> Source:
    return Source("books", "postgresql", options)


def test_a_secret_as_rds_makes_it_says_it_all(tmp_path: Path) -> None:
    certificates = tmp_path / "ca.pem"
    certificates.touch()
    a_secret(
        engine="postgres",
        username="reader",
        password=CANARY,
        host="db.example",
        port=6432,
        dbname="hr",
        masterarn="arn:aws:rds:…",
    )
    source = a_source(secret="warehouse/reader", tls_ca=str(certificates))
    assert connection_parameters(source) == {
        "host": "db.example",
        "port": "6432",
        "dbname": "hr",
        "user": "reader",
        "password": CANARY,
        "sslmode": "verify-full",
        "sslrootcert": str(certificates),
        "application_name": "headrace",
        "connect_timeout": "10",
        "client_encoding": "UTF8",
        "keepalives_idle": "15",
        "keepalives_interval": "5",
        "keepalives_count": "3",
        "tcp_user_timeout": "30000",
    }


def test_what_the_source_says_comes_before_its_secret() -> None:
    arn = a_secret(username="reader", password=CANARY, host="old", port=1, dbname="old")
    options = {"host": "new", "port": "5433", "database": "now", "tls": "require"}
    made = connection_parameters(a_source(secret=arn, **options))
    assert (made["host"], made["port"], made["dbname"]) == ("new", "5433", "now")
    assert made["sslmode"] == "require"
    assert "sslrootcert" not in made


def test_without_a_secret_there_is_no_password() -> None:
    made = connection_parameters(
        a_source(host="/run/postgresql", database="hr", user="etl", lock_timeout="2.5")
    )
    assert "password" not in made
    assert made["user"] == "etl"
    assert made["sslmode"] == "disable"
    assert made["options"] == "-c lock_timeout=2500"


def test_a_replica_is_read_where_there_is_one() -> None:
    options = {"host": "main", "replica_host": "replica", "database": "hr", "tls": "disable"}
    made = connection_parameters(a_source(statement_timeout="60", lock_timeout="1", **options))
    assert made["host"] == "replica"
    assert made["options"] == "-c statement_timeout=60000 -c lock_timeout=1000"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"database": "hr"}, "a host"),
        ({"host": "db"}, "a database"),
        ({"port": "5432; x"}, "port"),
        ({"tls": "prefer"}, "verify-full, verify-ca, require, disable"),
        ({"tls_ca": "/nowhere/ca.pem"}, "tls_ca"),
        ({"lock_timeout": "soon"}, "lock_timeout"),
        ({"statement_timeout": "nan"}, "statement_timeout"),
        ({"statement_timeout": "-1"}, "statement_timeout"),
    ],
)
def test_a_wrong_option_is_said(options: dict[str, str], said: str) -> None:
    whole = {} if said.startswith("a ") else {"host": "db", "database": "hr", "tls": "require"}
    if "tls_ca" in options:
        whole["tls"] = "verify-ca"
    with pytest.raises(SourceUnavailable, match=said):
        connection_parameters(a_source(**whole | options))


def test_a_secret_that_is_not_there_is_said() -> None:
    with pytest.raises(SourceUnavailable, match="secret that the source books names is not there"):
        connection_parameters(a_source(secret="nowhere", host="db", database="hr"))


@pytest.mark.parametrize("text", [CANARY, f'["{CANARY}"]', f'{{"user": "{CANARY}"}}'])
def test_a_secret_of_another_form_is_said_without_its_text(text: str) -> None:
    boto3.client("secretsmanager").create_secret(Name="odd", SecretString=text)
    with pytest.raises(SourceUnavailable, match="username and password") as caught:
        connection_parameters(a_source(secret="odd", host="db", database="hr"))
    assert CANARY not in repr(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_secret_is_read_once_and_again_after_a_refusal() -> None:
    client = boto3.client("secretsmanager")
    a_secret(username="reader", password="first")
    source = a_source(secret="warehouse/reader", host="db", database="hr", tls="require")
    assert connection_parameters(source)["password"] == "first"
    assert not secret_was_renewed(source)
    client.put_secret_value(
        SecretId="warehouse/reader",
        SecretString=json.dumps({"username": "reader", "password": "second"}),
    )
    assert connection_parameters(source)["password"] == "first"
    assert secret_was_renewed(source)
    assert connection_parameters(source)["password"] == "second"
    assert not secret_was_renewed(a_source(host="db", database="hr"))


def test_a_secret_is_read_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    a_secret(username="reader", password="first")
    source = a_source(secret="warehouse/reader", host="db", database="hr", tls="require")
    connection_parameters(source)
    boto3.client("secretsmanager").put_secret_value(
        SecretId="warehouse/reader",
        SecretString=json.dumps({"username": "reader", "password": "second"}),
    )
    monkeypatch.setattr(connection, "SECRET_KEPT_S", -1.0)
    assert connection_parameters(source)["password"] == "second"


def test_without_an_answer_the_source_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    with pytest.raises(SourceUnavailable, match="cannot be read now"):
        connection_parameters(a_source(secret="reader", host="db", database="hr"))
