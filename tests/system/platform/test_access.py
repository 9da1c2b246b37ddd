"""A function on the platform may do what its role's policies say, and no more, as on AWS."""

import json

import pytest
from botocore.exceptions import ClientError

from tests.system.platform.conftest import Scratch

pytestmark = pytest.mark.system


def test_a_role_may_do_what_its_policy_says_and_nothing_else(scratch: Scratch) -> None:
    _, may = scratch.invoke("Task", do="list objects", bucket=scratch.outputs["Bucket"])
    assert may == {"listed": True}
    kind, error = scratch.invoke("Task", do="list tables")
    assert (kind, error["errorType"]) == ("Unhandled", "ClientError")
    assert "AccessDenied" in error["errorMessage"]


def test_a_role_s_denial_names_what_was_tried(scratch: Scratch) -> None:
    _, error = scratch.invoke("Task", do="list tables")
    assert "dynamodb:ListTables" in error["errorMessage"]


def test_keys_that_nobody_issued_are_refused(scratch: Scratch) -> None:
    stranger = scratch.client("s3", aws_access_key_id="AKIASTRANGER00000000")
    with pytest.raises(ClientError) as error:
        stranger.list_objects_v2(Bucket=scratch.outputs["Bucket"])
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_a_bucket_s_policy_refuses_what_a_role_s_would_allow(scratch: Scratch) -> None:
    bucket = scratch.outputs["Bucket"]
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:ListBucket",
                "Resource": f"arn:aws:s3:::{bucket}",
            }
        ],
    }
    scratch.client("s3").put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    try:
        _, error = scratch.invoke("Task", do="list objects", bucket=bucket)
        assert "AccessDenied" in error["errorMessage"]
    finally:
        scratch.client("s3").delete_bucket_policy(Bucket=bucket)
