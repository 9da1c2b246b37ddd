"""docs/deploy-role.json: enough to deploy, change and remove the stack, and no more than named.

What a resource type needs is taken from CloudFormation's own schemas, which cfn-lint ships: each
lists the permissions that its create, read, update and delete handlers may use.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import cfnlint
import pytest

from tests.unit.docs.checkout import ROOT, functions, template

ACCOUNT, REGION = "123456789012", "ap-southeast-1"
STACKS = ("headrace", "headrace-dev")
MAX_POLICY_CHARACTERS = 6144
"""IAM's limit of a managed policy, white space not counted."""

LEFT_OUT = {
    "replicas, imports, streams and insights of tables: the template has none": (
        "dynamodb:*Replica",
        "dynamodb:*KinesisStreamingDestination",
        "dynamodb:ImportTable",
        "dynamodb:UpdateContributorInsights",
        "iam:CreateServiceLinkedRole",
        "kinesis:*",
        "logs:CreateLogStream",
        "logs:DescribeLogStreams",
        "logs:PutLogEvents",
        "s3:GetObjectMetadata",
    ),
    "the data itself: a deployer sees none of it": (
        "dynamodb:BatchWriteItem",
        "dynamodb:DeleteItem",
        "dynamodb:GetItem",
        "dynamodb:PutItem",
        "dynamodb:Query",
        "dynamodb:Scan",
        "dynamodb:UpdateItem",
        "kms:CreateGrant",
        "kms:Decrypt",
        "kms:Encrypt",
        "kms:GenerateDataKey",
        "kms:ListAliases",
        "kms:RevokeGrant",
    ),
    "policies of tables, groups, users, boundaries: the template has none": (
        "dynamodb:PutResourcePolicy",
        "dynamodb:DeleteResourcePolicy",
        "iam:*GroupPolicy",
        "iam:*UserPolicy",
        "iam:*RolePermissionsBoundary",
    ),
    "signing, scaling, recursion and runtime settings of functions: the template sets none": (
        "lambda:AssociateRuntimeAlias",
        "lambda:*FunctionCodeSigningConfig",
        "lambda:PassCapacityProvider",
        "lambda:PublishVersion",
        "lambda:PutFunctionRecursionConfig",
        "lambda:PutFunctionScalingConfig",
        "lambda:PutRuntimeManagementConfig",
        "s3files:*",
    ),
    "delivery, protection, indexes, keys and policies of logs: the template sets none": (
        "firehose:*",
        "logs:AssociateKmsKey",
        "logs:CreateLogDelivery",
        "logs:DeleteDataProtectionPolicy",
        "logs:DeleteIndexPolicy",
        "logs:DeleteResourcePolicy",
        "logs:DisassociateKmsKey",
        "logs:PutBearerTokenAuthentication",
        "logs:PutDataProtectionPolicy",
        "logs:PutIndexPolicy",
        "logs:PutLogGroupDeletionProtection",
        "logs:PutResourcePolicy",
        "s3:REST.PUT.OBJECT",
    ),
    "features of buckets that the template does not use": (
        "s3:*BucketMetadata*",
        "s3:PutAccelerateConfiguration",
        "s3:PutAnalyticsConfiguration",
        "s3:PutBucketAbac",
        "s3:PutBucketAcl",
        "s3:PutBucketCORS",
        "s3:PutBucketLogging",
        "s3:PutBucketNotification",
        "s3:PutBucketObjectLockConfiguration",
        "s3:PutBucketReplication",
        "s3:PutBucketWebsite",
        "s3:PutIntelligentTieringConfiguration",
        "s3:PutInventoryConfiguration",
        "s3:PutMetricsConfiguration",
        "s3:PutObjectAcl",
        "s3:PutObjectLockConfiguration",
        "s3:PutReplicationConfiguration",
        "s3tables:*",
    ),
}
"""Permissions that handlers list and that are not given, by why this template needs them not."""


def listed(value: str | list[str]) -> list[str]:
    """IAM writes a list of one as the one."""
    return [value] if isinstance(value, str) else value


@cache
def statements() -> tuple[dict[str, Any], ...]:
    """The policy's statements, for an account and a region of long names."""
    text = (ROOT / "docs" / "deploy-role.json").read_text()
    policy = json.loads(text.replace("ACCOUNT_ID", ACCOUNT).replace("REGION", REGION))
    assert policy["Version"] == "2012-10-17"
    return tuple(policy["Statement"])


def granted(action: str, resource: str = "*") -> bool:
    """Does a statement allow the action, on a resource of this name (``*``: on any at all)."""
    return any(
        any(fnmatchcase(action, given) for given in listed(statement["Action"]))
        and any(
            resource == "*" or fnmatchcase(resource, given)
            for given in listed(statement["Resource"])
        )
        for statement in statements()
    )


def left_out(action: str) -> bool:
    """Is it among what is not needed."""
    return any(fnmatchcase(action, name) for names in LEFT_OUT.values() for name in names)


@cache
def handlers() -> dict[str, dict[str, list[str]]]:
    """By resource type of the deployed template, the permissions of each handler."""
    python = ROOT / ".tools" / "platform" / "bin" / "python"
    script = Path(__file__).with_name("transformed.py")
    done = subprocess.run(
        [python, script, ROOT / "template.yaml"],
        env={**os.environ, "AWS_DEFAULT_REGION": "eu-west-1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    kinds = set(done.stdout.split())
    assert {"AWS::Lambda::Function", "AWS::IAM::Role", "AWS::ApiGateway::RestApi"} <= kinds
    found: dict[str, dict[str, list[str]]] = {}
    for path in Path(cfnlint.__file__).parent.glob("data/schemas/resources/*.json"):
        schema = json.loads(path.read_text())
        if schema["typeName"] in kinds:
            found[schema["typeName"]] = {
                verb: handler["permissions"]
                for verb, handler in schema["handlers"].items()
                if verb in ("create", "read", "update", "delete")
            }
    assert found.keys() == kinds
    return found


def needed() -> Iterator[tuple[str, str, str]]:
    """Type, handler and permission, one by one."""
    for kind, verbs in handlers().items():
        for verb, permissions in verbs.items():
            for permission in permissions:
                yield kind, verb, permission


def test_every_type_of_the_template_can_be_created_read_changed_and_deleted() -> None:
    lacking = [
        f"{permission} (of {kind}, to {verb})"
        for kind, verb, permission in needed()
        if not granted(permission) and not left_out(permission)
    ]
    assert lacking == []


def test_nothing_is_left_out_that_no_handler_asks_for() -> None:
    asked = {permission for _, _, permission in needed()}
    stale = [
        name
        for names in LEFT_OUT.values()
        for name in names
        if not any(fnmatchcase(action, name) for action in asked)
    ]
    assert stale == []


@pytest.mark.parametrize("stack", STACKS)
def test_the_names_that_the_template_gives_are_within_the_policy(stack: str) -> None:
    resources = template()["Resources"]

    def named(text: dict[str, str]) -> str:
        name = text["Sub"]
        for variable, value in (
            ("AWS::StackName", stack),
            ("AWS::AccountId", ACCOUNT),
            ("AWS::Region", REGION),
        ):
            name = name.replace(f"${{{variable}}}", value)
        assert "$" not in name
        return name

    here = f"{REGION}:{ACCOUNT}"
    for one in ("FilesBucket", "DataSetsBucket"):
        bucket = named(resources[one]["Properties"]["BucketName"])
        assert granted("s3:CreateBucket", f"arn:aws:s3:::{bucket}")
    log_group = named(resources["LogGroup"]["Properties"]["LogGroupName"])
    assert granted("logs:CreateLogGroup", f"arn:aws:logs:{here}:log-group:{log_group}")
    for one in ("ExportStateMachine", "DeliveryStateMachine", "DataSetsStateMachine"):
        machine = named(resources[one]["Properties"]["Name"])
        arn = f"arn:aws:states:{here}:stateMachine:{machine}"
        assert granted("states:CreateStateMachine", arn)
    queue = named(resources["Undelivered"]["Properties"]["QueueName"])
    assert granted("sqs:CreateQueue", f"arn:aws:sqs:{here}:{queue}")
    assert granted("cloudwatch:PutDashboard", f"arn:aws:cloudwatch::{ACCOUNT}:dashboard/{stack}")
    for resource in resources.values():
        if resource["Type"] == "AWS::CloudWatch::Alarm":
            alarm = named(resource["Properties"]["AlarmName"])
            arn = f"arn:aws:cloudwatch:{here}:alarm:{alarm}"
            assert granted("cloudwatch:PutMetricAlarm", arn)
    for function in ("Sweep", "RunSchedules", "SweepDataSets", "WatchSources"):
        [schedule] = functions()[function]["Events"].values()
        name = schedule["Properties"].get("Name")
        # Without a name of its own, SAM calls a schedule by function and event.
        schedule_name = named(name) if name else f"{function}Schedule"
        assert granted(
            "scheduler:CreateSchedule",
            f"arn:aws:scheduler:{here}:schedule/default/{schedule_name}",
        )


def test_the_names_that_cloudformation_and_sam_make_are_within_the_policy() -> None:
    here = f"{REGION}:{ACCOUNT}"
    for logical_id, resource in template()["Resources"].items():
        made = f"{STACKS[0]}-{logical_id}-1A2B3C4D5E6F"
        match resource["Type"]:
            case "AWS::Serverless::Function":
                arn = f"arn:aws:lambda:{here}:function:{made}"
                assert granted("lambda:CreateFunction", arn)
                assert granted("iam:CreateRole", f"arn:aws:iam::{ACCOUNT}:role/{made}")
                assert granted("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/{made}")
            case "AWS::Serverless::LayerVersion":
                arn = f"arn:aws:lambda:{here}:layer:{logical_id}"
                assert granted("lambda:PublishLayerVersion", arn)
                assert granted("lambda:GetLayerVersion", f"{arn}:7")
            case "AWS::IAM::ManagedPolicy":
                assert granted("iam:CreatePolicy", f"arn:aws:iam::{ACCOUNT}:policy/{made}")
            case "AWS::DynamoDB::Table":
                assert granted("dynamodb:CreateTable", f"arn:aws:dynamodb:{here}:table/{made}")


def test_a_deployer_reads_no_data_uses_no_key_and_runs_no_function() -> None:
    for action in (
        "dynamodb:GetItem",
        "dynamodb:PutItem",
        "dynamodb:Query",
        "dynamodb:Scan",
        "iam:AttachUserPolicy",
        "iam:CreateAccessKey",
        "iam:CreateUser",
        "kms:Decrypt",
        "kms:GenerateDataKey",
        "kms:Sign",
        "lambda:InvokeFunction",
        "sqs:ReceiveMessage",
        "sqs:SendMessage",
        "logs:FilterLogEvents",
        "logs:GetLogEvents",
        "states:StartExecution",
        "sts:AssumeRole",
    ):
        assert not granted(action), action
    for kind in ("files", "datasets"):
        bucket = f"arn:aws:s3:::headrace-{kind}-{ACCOUNT}-{REGION}-headrace"
        for action in ("s3:GetObject", "s3:PutObject", "s3:DeleteObject"):
            assert not granted(action, f"{bucket}/a/file.csv"), action


def test_roles_go_only_to_the_services_that_the_template_uses() -> None:
    [handing_over] = [s for s in statements() if "iam:PassRole" in listed(s["Action"])]
    assert handing_over["Condition"]["StringEquals"]["iam:PassedToService"] == [
        "lambda.amazonaws.com",
        "scheduler.amazonaws.com",
        "states.amazonaws.com",
    ]


def test_iam_takes_it_as_one_managed_policy(tmp_path: Path) -> None:
    policy = {"Version": "2012-10-17", "Statement": statements()}
    assert len(json.dumps(policy, separators=(",", ":"))) <= MAX_POLICY_CHARACTERS
    stack = tmp_path / "role.json"
    resource = {"Type": "AWS::IAM::ManagedPolicy", "Properties": {"PolicyDocument": policy}}
    stack.write_text(json.dumps({"Resources": {"Deployer": resource}}))
    # cfn-lint knows the grammar of policies and the names of all services' actions.
    command = [str(Path(sys.executable).with_name("cfn-lint")), str(stack)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
