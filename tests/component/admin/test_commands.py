"""The operator's command, on a deployment in moto that is found by its stack's outputs."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import duckdb
import moto
import pytest

from headrace.audit.model import Action, Event, Failing
from headrace.audit.usecases import NoteFailing, RecordEvent
from headrace.datasets.ending import ENDPOINT, secrets_owner
from headrace.exports.model import (
    Compression,
    ExportRequest,
    Failure,
    FileFormat,
    Operation,
    OperationKind,
    QuotaRule,
    Status,
    new_operation,
)
from headrace.exports.schedules import Cursor, Reason, ScheduledRun
from headrace.exports.webhooks import Notice
from headrace.identity.handing_over import TakeSecret
from headrace.identity.model import secret_matches
from headrace.kernel.clock import SystemClock
from headrace.kernel.ids import RandomIds
from headrace_admin.deployment import Deployment
from headrace_admin.main import app
from tests.component.keyed import KEYED

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)

CATALOG = """\
tenants: [{id: northwind, name: Northwind}, {id: harbour, name: "[bold]Harbour[/bold]"}]
clients:
  - {id: integrator, name: I, tenants: [northwind, harbour]}
  - id: bureau
    name: B
    tenants: [northwind]
    webhooks: [{name: hooks, url: "https://hooks.example/in?key=sesame"}]
sources: [{name: hr, kind: duckdb, options: {path: "${PLACE}"}}]
configurations:
  - id: full
    client: integrator
    tenant: northwind
    default: true
    source: hr
    tables:
      - {name: people, source: employees, columns: [id, name], tenant_column: tenant}
"""

TABLES = (
    "CatalogTable",
    "CredentialsTable",
    "WebhookSecretsTable",
    "OperationsTable",
    "AuditTable",
    "StatisticsTable",
    "UsersTable",
    "ConsentsTable",
    "ProfilesTable",
    "TemplatesTable",
    "DataSetsTable",
)

STACK = {
    "Resources": {
        name: {
            "Type": "AWS::DynamoDB::Table",
            "Properties": KEYED,
        }
        for name in TABLES
    }
    | {
        name: {"Type": "AWS::KMS::Key", "Properties": {"KeyPolicy": {}}}
        for name in ("WebhookKey", "FilesKey", "ProfilesKey")
    },
    # moto's stacks make symmetric keys only.
    "Parameters": {"CertificateKeyArn": {"Type": "String", "Default": "none"}},
    "Outputs": {
        **{f"{name}Name": {"Value": {"Ref": name}} for name in TABLES},
        "WebhookKeyArn": {"Value": {"Fn::GetAtt": ["WebhookKey", "Arn"]}},
        "FilesKeyArn": {"Value": {"Fn::GetAtt": ["FilesKey", "Arn"]}},
        "ProfilesKeyArn": {"Value": {"Fn::GetAtt": ["ProfilesKey", "Arn"]}},
        "AuditDays": {"Value": "400"},
        "LogGroupName": {"Value": "/headrace/headrace"},
        "PublicUrl": {"Value": "https://api.example.com/v1"},
        "CertificateKeyArn": {"Value": {"Ref": "CertificateKeyArn"}},
    },
}


@dataclass
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Ran]


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Run]:
    monkeypatch.chdir(tmp_path)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("PLACE", str(tmp_path / "hr.duckdb"))
    for name in ("HEADRACE_STACK", "HEADRACE_HOME", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    with duckdb.connect(str(tmp_path / "hr.duckdb")) as database:
        database.execute("CREATE TABLE employees (id INT NOT NULL, name VARCHAR, tenant VARCHAR)")
        database.execute("INSERT INTO employees VALUES (1, 'a', 'northwind'), (2, 'b', 'harbour')")
    (tmp_path / "catalog").mkdir()
    (tmp_path / "catalog" / "all.yaml").write_text(CATALOG)

    def run(*arguments: str) -> Ran:
        capsys.readouterr()
        code = app(arguments)
        said = capsys.readouterr()
        return Ran(code, said.out, said.err)

    with moto.mock_aws():
        key = boto3.client("kms").create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
        arn = key["KeyMetadata"]["Arn"]
        boto3.client("cloudformation").create_stack(
            StackName="headrace",
            TemplateBody=json.dumps(STACK),
            Parameters=[{"ParameterKey": "CertificateKeyArn", "ParameterValue": arn}],
        )
        yield run


# --- catalog --------------------------------------------------------------------------------


def test_check_says_what_is_there_and_publishes_nothing(run: Run) -> None:
    checked = run("catalog", "check")
    assert checked.code == 0
    assert checked.out == ("All right: 2 tenants, 2 clients, 1 source, 1 configuration, 1 table.\n")
    assert run("catalog", "show").code == 3


def test_check_needs_no_aws(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    assert run("catalog", "check").code == 0


def test_offline_leaves_the_sources_alone(run: Run, tmp_path: Path) -> None:
    (tmp_path / "hr.duckdb").unlink()
    assert run("catalog", "check", "--offline").code == 0
    refused = run("catalog", "check")
    assert refused.code == 1
    assert "cannot be read" in refused.err


def test_problems_go_to_stderr_with_their_lines(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "catalog" / "all.yaml"
    path.write_text(CATALOG.replace("[id, name]", "[id, nam]").replace("bureau", "integrator"))
    refused = run("catalog", "publish")
    assert refused.code == 1
    assert refused.out == ""
    assert refused.err == (
        'catalog/all.yaml:4: clients[1].id: the client "integrator" is declared already at '
        "catalog/all.yaml:3; take one of them out\n"
        "catalog/all.yaml:16: configurations[0].tables[0].columns[1]: main.employees has no "
        'column "nam"; did you mean "name"?\n'
        "2 problems; what is published stays.\n"
    )
    as_json = run("catalog", "publish", "--json")
    assert as_json.code == as_json.json["exitCode"] == 1
    assert [p["line"] for p in as_json.json["error"]["problems"]] == [4, 16]
    assert as_json.err == ""
    assert run("catalog", "show").code == 3


def test_an_unchanged_catalog_makes_no_new_version(run: Run, tmp_path: Path) -> None:
    first = run("catalog", "publish", "--json").json
    assert (first["version"], first["changed"]) == (1, True)
    with duckdb.connect(str(tmp_path / "hr.duckdb")) as database:
        database.execute("INSERT INTO employees VALUES (3, 'c', 'northwind')")
    again = run("catalog", "publish", "--json").json
    assert (again["version"], again["changed"]) == (1, False)
    (tmp_path / "catalog" / "all.yaml").write_text(CATALOG.replace("[id, name]", "[id]"))
    third = run("catalog", "publish", "--json").json
    assert (third["version"], third["changed"]) == (2, True)
    assert [v["version"] for v in run("catalog", "versions", "--json").json["versions"]] == [2, 1]


def test_show_says_what_is_current_and_what_was(run: Run, tmp_path: Path) -> None:
    run("catalog", "publish")
    (tmp_path / "catalog" / "all.yaml").write_text(CATALOG.replace("[id, name]", "[id]"))
    run("catalog", "publish")
    now, before = (
        run("catalog", "show", "--json"),
        run("catalog", "show", "--version", "1", "--json"),
    )
    assert (now.json["version"], before.json["version"]) == (2, 1)
    names = [
        [column["name"] for column in shown.json["configurations"][0]["tables"][0]["columns"]]
        for shown in (now, before)
    ]
    assert names == [["id"], ["id", "name"]]
    read = run("catalog", "show")
    assert "full integrator northwind yes people 1 1 hr: main.employees" in (
        " ".join(read.out.split())
    )
    assert "[bold]Harbour[/bold]" in read.out, "names are no markup"
    assert run("catalog", "show", "--version", "9").code == 3


def test_set_overrides_the_environment(run: Run, tmp_path: Path) -> None:
    elsewhere = tmp_path / "with = in its name.duckdb"
    (tmp_path / "hr.duckdb").rename(elsewhere)
    assert run("catalog", "check").code == 1
    assert run("catalog", "check", "--set", f"PLACE={elsewhere}", "catalog").code == 0
    wrong = run("catalog", "check", "--set", "PLACE")
    assert (wrong.code, "--set takes NAME=VALUE" in wrong.err) == (2, True)


# --- finding the deployment -------------------------------------------------------------------


def test_another_stack_is_not_ours(run: Run) -> None:
    missing = run("catalog", "show", "--stack", "other")
    assert missing.code == 2
    assert "no stack other in eu-west-1" in missing.err
    boto3.client("cloudformation").create_stack(
        StackName="other",
        TemplateBody=json.dumps({**STACK, "Outputs": {"X": {"Value": "y"}}}),
    )
    foreign = run("catalog", "show", "--stack", "other")
    assert foreign.code == 2
    assert "no output CatalogTableName" in foreign.err


def test_without_aws_or_platform_it_says_what_to_set(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    lost = run("client", "list", "--json")
    assert lost.code == 2
    assert lost.json["error"]["code"] == "deployment_not_found"
    assert "--local" in lost.json["error"]["detail"]
    monkeypatch.delenv("AWS_PROFILE")
    nowhere = run("client", "list", "--local")
    assert nowhere.code == 2
    assert "make up" in nowhere.err
    (tmp_path / ".local").mkdir()
    (tmp_path / ".local" / "headrace.json").write_text("{}")
    assert run("client", "list", "--local").code == 2


def test_local_goes_to_the_platform_whatever_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://production.example")
    (tmp_path / "headrace.json").write_text(
        json.dumps(
            {
                "region": "eu-west-1",
                "aws_endpoint_url": "http://127.0.0.1:9",
                "outputs": {"CatalogTableName": "local-catalog"},
            }
        )
    )
    table = Deployment.local(tmp_path).catalogs().table
    assert table.name == "local-catalog"
    assert table.client.meta.endpoint_url == "http://127.0.0.1:9"
    credentials = table.client._request_signer._credentials
    assert credentials.access_key == "local"


def test_a_platform_that_does_not_answer(run: Run, tmp_path: Path) -> None:
    (tmp_path / ".local").mkdir()
    (tmp_path / ".local" / "headrace.json").write_text(
        json.dumps(
            {
                "region": "eu-west-1",
                "aws_endpoint_url": "http://127.0.0.1:9",
                "outputs": {"CatalogTableName": "local-catalog"},
            }
        )
    )
    with moto.mock_aws(config={"core": {"passthrough": {"urls": [r"http://127\.0\.0\.1.*"]}}}):
        silent = run("catalog", "versions", "--local")
    assert silent.code == 5
    assert "127.0.0.1:9" in silent.err


# --- clients --------------------------------------------------------------------------------


def test_a_secret_is_printed_once_and_kept_as_a_hash(run: Run) -> None:
    run("catalog", "publish")
    created = run("client", "create", "integrator")
    assert created.code == 0
    printed = dict(line.split() for line in created.out.splitlines())
    secret = printed["client_secret"]
    assert printed["client_id"] == "integrator"
    assert secret not in created.err
    deployment = Deployment.on_aws("headrace")
    assert secret_matches(secret, deployment.client_secrets().of("integrator"))
    kept = boto3.client("dynamodb").scan(TableName=deployment.outputs["CredentialsTableName"])
    assert secret not in json.dumps(kept["Items"])
    for command in (("client", "list"), ("client", "list", "--json"), ("catalog", "show")):
        assert secret not in run(*command).out


def test_the_certificate_authority_is_made_once_and_shown(run: Run) -> None:
    assert run("ca", "show").code == 3
    boto3.client("s3").create_bucket(
        Bucket="trust", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    created = run("ca", "create", "--truststore", "s3://trust/headrace/ca.pem")
    assert created.code == 0, created.err
    assert created.out.startswith("-----BEGIN CERTIFICATE-----\n")
    kept = boto3.client("s3").get_object(Bucket="trust", Key="headrace/ca.pem")
    assert kept["Body"].read().decode() == created.out == run("ca", "show").out
    shown = run("ca", "show", "--json").json
    assert shown["subject"] == "CN=Headrace headrace client certificates"
    assert run("ca", "create").code == 4


def test_a_truststore_is_an_object_in_s3(run: Run) -> None:
    for place in ("trust/ca.pem", "s3://trust", "s3:///ca.pem"):
        assert run("ca", "create", "--truststore", place).code == 2
    assert run("ca", "show").code == 3


def test_a_link_is_printed_in_place_of_the_secret(run: Run) -> None:
    run("catalog", "publish")
    linked = run("client", "create", "integrator", "--link")
    [url] = linked.out.split()
    assert url.startswith("https://api.example.com/v1/credentials/")
    deployment = Deployment.on_aws("headrace")
    taken = TakeSecret(deployment.handovers(), SystemClock())(url.rpartition("/")[2])
    assert taken is not None
    assert taken[0] == "integrator"
    assert secret_matches(taken[1], deployment.client_secrets().of("integrator"))
    assert taken[1] not in linked.out + linked.err
    assert "It shows the secret once, until 20" in linked.err
    written = run("client", "create", "integrator", "--letter", "--json").json
    assert written["link"] in written["letter"]


def test_secrets_change_without_a_pause(run: Run) -> None:
    run("catalog", "publish")
    first = run("client", "create", "integrator", "--json").json
    second = run("client", "create", "integrator", "--json").json
    third = run("client", "create", "integrator", "--json")
    assert third.code == 4
    assert third.json["error"]["code"] == "conflict"
    assert run("client", "revoke-secret", "integrator", first["secretId"]).code == 0
    clients = {c["clientId"]: c for c in run("client", "list", "--json").json["clients"]}
    assert [s["secretId"] for s in clients["integrator"]["secrets"]] == [second["secretId"]]
    assert clients["bureau"]["secrets"] == []
    assert run("client", "revoke-secret", "integrator", first["secretId"]).code == 3


def test_a_client_must_be_published_first(run: Run) -> None:
    assert run("client", "create", "integrator").code == 3
    run("catalog", "publish")
    unknown = run("client", "create", "integrater")
    assert unknown.code == 3
    assert 'no client integrater; did you mean "integrator"?' in unknown.err
    assert "declare it under clients" in run("client", "create", "zzz").err


# --- webhooks -------------------------------------------------------------------------------


def test_a_signing_secret_is_printed_once_and_kept_sealed(run: Run) -> None:
    run("catalog", "publish")
    issued = run("webhook", "secret", "bureau", "hooks")
    assert issued.code == 0
    secret = issued.out.splitlines()[1].split()[1]
    assert secret.startswith("whsec_")
    assert secret not in issued.err
    deployment = Deployment.on_aws("headrace")
    assert deployment.webhook_secrets().of("bureau", "hooks") == (secret,)
    kept = boto3.client("dynamodb").scan(TableName=deployment.outputs["WebhookSecretsTableName"])
    assert secret.removeprefix("whsec_") not in repr(kept["Items"])
    for command in (("webhook", "list"), ("webhook", "list", "--json")):
        assert secret not in run(*command).out


def test_signing_secrets_change_without_a_pause(run: Run) -> None:
    run("catalog", "publish")
    first = run("webhook", "secret", "bureau", "hooks", "--json").json
    second = run("webhook", "secret", "bureau", "hooks", "--json").json
    assert run("webhook", "secret", "bureau", "hooks").code == 4
    [listed] = run("webhook", "list", "--json").json["webhooks"]
    assert (listed["clientId"], listed["webhook"], listed["default"]) == ("bureau", "hooks", False)
    assert [one["secretId"] for one in listed["secrets"]] == [
        first["secretId"],
        second["secretId"],
    ]
    assert run("webhook", "revoke-secret", "bureau", "hooks", first["secretId"]).code == 0
    assert run("webhook", "revoke-secret", "bureau", "hooks", first["secretId"]).code == 3
    kept = Deployment.on_aws("headrace").webhook_secrets().of("bureau", "hooks")
    assert kept == (second["secret"],)


def test_notices_of_data_sets_have_signing_secrets_of_their_tenant(run: Run) -> None:
    run("catalog", "publish")
    assert "unsigned" in run("notice", "list", "northwind").out
    issued = run("notice", "secret", "northwind", "--json").json
    secrets = Deployment.on_aws("headrace").webhook_secrets()
    assert secrets.of(secrets_owner("northwind"), ENDPOINT) == (issued["secret"],)
    listed = run("notice", "list", "northwind").out
    assert issued["secretId"] in listed and issued["secret"] not in listed
    assert run("notice", "revoke-secret", "northwind", issued["secretId"]).code == 0
    assert secrets.of(secrets_owner("northwind"), ENDPOINT) == ()
    again = run("notice", "revoke-secret", "northwind", issued["secretId"])
    assert (again.code, "The notices of northwind have no secret" in again.err) == (3, True)
    unknown = run("notice", "secret", "nortwind")
    assert (unknown.code, 'did you mean "northwind"?' in unknown.err) == (3, True)


@pytest.mark.parametrize("named", [("bureau", "hoks"), ("integrator", "hooks"), ("no", "hooks")])
def test_only_webhooks_of_the_published_catalog_get_secrets(
    run: Run, named: tuple[str, str]
) -> None:
    run("catalog", "publish")
    refused = run("webhook", "secret", *named)
    assert refused.code == 3
    assert "publish first" in refused.err


def test_a_webhook_to_this_machine_is_for_a_local_platform(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "catalog" / "all.yaml"
    path.write_text(CATALOG.replace("https://hooks.example/in?key=sesame", "http://localhost:80/"))
    refused = run("catalog", "publish")
    assert refused.code == 1
    assert "clients[1].webhooks[0].url: must be https" in refused.err
    assert "clients[1].webhooks[0].url" in run("catalog", "check", "--offline").err
    (tmp_path / ".local").mkdir()
    about = {"region": "eu-west-1", "aws_endpoint_url": "http://127.0.0.1:9", "outputs": {}}
    (tmp_path / ".local" / "headrace.json").write_text(json.dumps(about))
    assert run("catalog", "check", "--offline", "--local").code == 0


def test_an_operation_is_shown_with_what_its_webhook_was_told(run: Run) -> None:
    run("catalog", "publish")
    told = started("northwind", "bureau", 1, notice=Notice("hooks", "https://api.example"))
    shown = run("operations", "show", told.operation_id, "--json").json
    [delivery] = shown["deliveries"]
    assert (delivery["endpoint"], delivery["state"], delivery["tries"]) == ("hooks", "pending", 0)
    printed = run("operations", "show", told.operation_id).out
    assert "hooks" in printed
    assert "pending" in printed
    assert "sesame" not in printed


# --- operations -----------------------------------------------------------------------------


def begun(tenant: str, client_id: str, minute: int, notice: Notice | None = None) -> Operation:
    moment = NOON + timedelta(minutes=minute)
    operation = new_operation(
        RandomIds().new(moment),
        tenant,
        client_id,
        ExportRequest("full", ("people",), FileFormat.CSV, Compression.NONE, notice=notice),
        1,
        "2026-03-01",
        moment,
    )
    return Deployment.on_aws("headrace").operations().start(operation, QuotaRule(10, "UTC"), None)


def cancelled(operation: Operation) -> Operation:
    moment = operation.created_at + timedelta(seconds=90)
    return (
        Deployment.on_aws("headrace")
        .operations()
        .end(operation, Status.CANCELLED, None, expires_at=moment, moment=moment, refund=False)
    )


def started(tenant: str, client_id: str, minute: int, notice: Notice | None = None) -> Operation:
    kept = begun(tenant, client_id, minute, notice)
    moment = kept.created_at
    operations = Deployment.on_aws("headrace").operations()
    return operations.end(
        kept,
        Status.FAILED,
        Failure("source_unavailable", "It was not there."),
        expires_at=moment + timedelta(days=10_000),
        moment=moment + timedelta(seconds=90),
        refund=True,
    )


def test_operations_of_everybody_newest_first(run: Run) -> None:
    run("catalog", "publish")
    one = started("northwind", "integrator", 1)
    two = started("harbour", "integrator", 2)
    three = started("northwind", "bureau", 3)
    four = started("northwind", "integrator", 4)
    gone = started("northwind", "left", 5)

    def listed(*filters: str) -> list[str]:
        found = run("operations", "list", "--json", *filters)
        assert found.code == 0
        return [operation["operationId"] for operation in found.json["operations"]]

    assert listed() == [o.operation_id for o in (four, three, two, one)]
    assert listed("--limit", "2") == [four.operation_id, three.operation_id]
    assert listed("--tenant", "harbour") == [two.operation_id]
    assert listed("--client", "bureau") == [three.operation_id]
    assert listed("--status", "succeeded") == []
    assert len(listed("--status", "succeeded", "--status", "failed")) == 4
    assert listed("--tenant", "northwind", "--client", "left") == [gone.operation_id]
    assert listed("--tenant", "nobody") == []
    assert "source" not in run("operations", "list").out
    read = run("operations", "list").out
    assert "90.0 s" in read
    assert all(o.operation_id in read for o in (one, two, three, four)), "ids are never cut short"


def test_more_operations_than_a_page(run: Run) -> None:
    run("catalog", "publish")
    made = [started("northwind", "integrator", minute) for minute in range(8)]
    found = run("operations", "list", "--json", "--limit", "5").json["operations"]
    assert [o["operationId"] for o in found] == [o.operation_id for o in reversed(made[3:])]


def test_an_operation_with_its_jobs(run: Run) -> None:
    run("catalog", "publish")
    operation = started("harbour", "integrator", 1)
    shown = run("operations", "show", operation.operation_id, "--json").json
    assert shown["tenant"] == "harbour"
    assert shown["status"] == "failed"
    assert shown["refunded"] is True
    assert shown["error"] == {"code": "source_unavailable", "detail": "It was not there."}
    assert [job["table"] for job in shown["jobs"]] == ["people"]
    assert "failed: source_unavailable: It was not there." in (
        run("operations", "show", operation.operation_id).out
    )
    other = run("operations", "show", operation.operation_id, "--tenant", "northwind")
    assert other.code == 3
    assert run("operations", "show", "not-an-id").code == 2
    assert (
        run("operations", "show", replace(operation, operation_id="0" * 26).operation_id).code == 3
    )


# --- schedules ------------------------------------------------------------------------------

SCHEDULES = """
schedules:
  - {name: nightly, client: integrator, tenant: northwind, configuration: full, cron: "0 2 * * *"}
  - name: weekly
    client: integrator
    tenant: northwind
    configuration: full
    cron: 0 4 * * SUN
    time_zone: Europe/Amsterdam
    kind: full
    enabled: false
"""


def ran(name: str, *runs: ScheduledRun) -> None:
    """The runs of a schedule, as the scheduler records them."""
    recorder = Deployment.on_aws("headrace").schedule_runs()
    cursor = Cursor("northwind", "integrator", name, "0 2 * * * UTC", NOON)
    recorder.advance(cursor, runs, datetime.now(UTC))


def test_schedules_with_their_runs_and_why_some_were_missed(run: Run, tmp_path: Path) -> None:
    (tmp_path / "catalog" / "all.yaml").write_text(CATALOG + SCHEDULES)
    assert run("catalog", "publish").code == 0
    due = [NOON + timedelta(days=day) for day in range(3)]
    busy = Reason("operation_active", "Another operation of this client is active.")
    ran(
        "nightly",
        ScheduledRun("nightly", due[0]).started("01m83447gqypjemp7314mhx90v", OperationKind.FULL),
        ScheduledRun("nightly", due[1]).refused(busy).missed(),
        ScheduledRun("nightly", due[2]),
    )

    nightly, weekly = run("schedule", "list", "--json").json["schedules"]
    assert (nightly["name"], nightly["timeZone"]) == ("nightly", "UTC")
    assert datetime.fromisoformat(nightly["nextRun"]) > datetime.now(UTC)
    assert nightly["lastRun"]["state"] == "waiting"
    assert (weekly["nextRun"], weekly["lastRun"]) == (None, None)
    read = run("schedule", "list").out
    assert "0 2 * * * UTC" in read
    assert "disabled" in read

    runs = run("schedule", "runs", "--json").json["runs"]
    assert [one["state"] for one in runs] == ["waiting", "missed", "started"]
    assert runs[1]["reason"]["code"] == "operation_active"
    assert runs[2]["operationId"] == "01m83447gqypjemp7314mhx90v"
    [missed] = run("schedule", "runs", "nightly", "--missed", "--json").json["runs"]
    assert missed == runs[1]
    assert "operation_active: Another operation" in run("schedule", "runs", "--missed").out
    assert run("schedule", "runs", "weekly", "--json").json["runs"] == []
    assert len(run("schedule", "runs", "--limit", "1", "--json").json["runs"]) == 1
    assert run("schedule", "runs", "nigthly").code == 3
    assert run("schedule", "runs", "--client", "bureau", "--json").json["runs"] == []


# --- audit ----------------------------------------------------------------------------------


def done(*days_ago: int, service: str = "bureau") -> None:
    """Exports of a service, as an endpoint records them, and one failed call."""
    deployment = Deployment.on_aws("headrace")
    record = RecordEvent(deployment.audit_trail(), deployment.statistics())
    now = datetime.now(UTC)
    for number in days_ago:
        moment = now - timedelta(days=number)
        record(Event(moment, Action.EXPORT, "northwind", service, f"call-{number}"))
    NoteFailing(deployment.statistics())(
        Failing(now, Action.FAILURE, service, "GET /x", 404, "not_found", "call-f")
    )


def test_the_trail_is_exported_as_lines_of_json(run: Run, tmp_path: Path) -> None:
    done(2, 1, 0)
    done(5, service="integrator")
    lines = run("audit", "export").out.splitlines()
    events = [json.loads(line) for line in lines]
    assert [event["correlationId"] for event in events] == ["call-5", "call-2", "call-1", "call-0"]
    assert events[0].keys() == {"at", "action", "tenant", "service", "correlationId"}
    assert len(run("audit", "export", "--service", "bureau").out.splitlines()) == 3

    written = run("audit", "export", "--to-file", "trail.ndjson", "--json")
    assert written.json == {"file": "trail.ndjson", "events": 4}
    assert (tmp_path / "trail.ndjson").read_text().splitlines() == lines
    assert run("audit", "export", "--to-file", "trail.ndjson").code == 2
    assert (tmp_path / "trail.ndjson").read_text().splitlines() == lines


def test_statistics_count_per_day_and_name_the_newest_errors(run: Run) -> None:
    done(1, 0)
    found = run("audit", "statistics", "bureau", "--json").json
    assert len(found["days"]) == 30
    assert [day["counts"] for day in found["days"][-2:]] == [
        {"export": 1},
        {"export": 1, "failure": 1},
    ]
    assert found["newestErrors"][0]["code"] == "not_found"
    read = run("audit", "statistics", "bureau").out
    assert "export" in read
    assert "call-f" in read
    assert "nothing was done" in run("audit", "statistics", "integrator").out


@pytest.mark.parametrize(
    ("days", "said"),
    [
        (("--from", "yesterday"), "--from takes a day as 2026-12-01, and not yesterday."),
        (("--to", "1.2.2026"), "--to takes a day as"),
        (("--from", "2020-01-01"), "The days cannot be read"),
    ],
)
def test_days_that_cannot_be_read_are_wrong_usage(
    run: Run, days: tuple[str, ...], said: str
) -> None:
    refused = run("audit", "export", *days)
    assert refused.code == 2
    assert said in refused.err
