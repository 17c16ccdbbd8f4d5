"""The design applies to a local stand-in for AWS, settles, takes an image, and goes again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from section3 import infrastructure, stand_in

pytestmark = pytest.mark.full
pytest.importorskip("moto", reason="moto is missing: sh batch/environment.sh default develop cloud")
BUCKET = f"images-images-{infrastructure.ACCOUNT}"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """One applied stack for all tests; the last of them destroys it."""
    work = tmp_path_factory.mktemp("stack")
    try:
        infrastructure.prepare(work)
    except infrastructure.NotInstalledError as error:
        pytest.skip(str(error))
    with stand_in.moto() as address:
        stand_in.apply(work, address)
        yield work, address


def test_what_was_applied_covers_the_design(stack: tuple[Path, str]) -> None:
    addresses = stand_in.resources(stack[0])
    assert len(addresses) > 130
    kinds = {address.split("[")[0].rsplit(".", 2)[-2] for address in addresses}
    assert kinds >= {
        "aws_s3_bucket", "aws_sqs_queue", "aws_dynamodb_table", "aws_iam_role", "aws_kms_key", "aws_apigatewayv2_api",
        "aws_ecs_service", "aws_cloudwatch_log_group", "aws_cloudfront_distribution", "aws_lambda_function",
    }  # fmt: skip


def test_a_second_plan_is_empty(stack: tuple[Path, str]) -> None:
    stand_in.assert_settled(*stack)


def test_buckets_expire_and_are_closed_and_encrypted(stack: tuple[Path, str]) -> None:
    s3 = stand_in.client("s3", stack[1])
    names = [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    assert len(names) == 5
    for name in names:
        rules = s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]
        assert all(rule["Status"] == "Enabled" for rule in rules)
        assert any(rule.get("Expiration", {}).get("Days") for rule in rules)
        assert all(s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"].values())
        assert s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"]
        denied = [
            s for s in json.loads(s3.get_bucket_policy(Bucket=name)["Policy"])["Statement"] if s["Effect"] == "Deny"
        ]
        assert any(s["Condition"].get("Bool") == {"aws:SecureTransport": "false"} for s in denied)
    days = {
        r["ID"]: r.get("Expiration", {}).get("Days")
        for r in s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"]
    }
    assert days["purge"] == 7


def test_the_queue_gives_up_into_its_dead_letters(stack: tuple[Path, str]) -> None:
    sqs = stand_in.client("sqs", stack[1])
    url = sqs.get_queue_url(QueueName="images-uploaded")["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    redrive = json.loads(attributes["RedrivePolicy"])
    assert (
        redrive["deadLetterTargetArn"].endswith(":images-uploaded-dead-letter") and int(redrive["maxReceiveCount"]) == 5
    )
    assert attributes["MessageRetentionPeriod"] == str(3 * 86400) and attributes["KmsMasterKeyId"]


def test_the_catalogue_expires_items_and_keeps_backups_a_day(stack: tuple[Path, str]) -> None:
    dynamodb = stand_in.client("dynamodb", stack[1])
    ttl = dynamodb.describe_time_to_live(TableName="images-catalogue")["TimeToLiveDescription"]
    assert ttl == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires_at"}
    backups = dynamodb.describe_continuous_backups(TableName="images-catalogue")["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
    assert dynamodb.describe_table(TableName="images-catalogue")["Table"]["SSEDescription"]["SSEType"] == "KMS"


def test_roles_exist_with_the_policies_of_the_plan(stack: tuple[Path, str]) -> None:
    iam = stand_in.client("iam", stack[1])
    roles = [role["RoleName"] for page in iam.get_paginator("list_roles").paginate() for role in page["Roles"]]
    assert {"images-processor", "images-upload-api", "images-read-api", "images-team-analytics"} <= set(roles)
    policy = iam.get_role_policy(RoleName="images-processor", PolicyName="only-this")["PolicyDocument"]
    resources = [
        r for s in policy["Statement"] for r in ([s["Resource"]] if isinstance(s["Resource"], str) else s["Resource"])
    ]
    assert resources and all(BUCKET in r or r.endswith((":images-uploaded", "/images-catalogue")) for r in resources)


def test_the_apis_ask_for_a_token(stack: tuple[Path, str]) -> None:
    gateway = stand_in.client("apigatewayv2", stack[1])
    apis = gateway.get_apis()["Items"]
    assert {api["Name"] for api in apis} == {"images-upload-api", "images-read-api"}
    for api in apis:
        assert all(r["AuthorizationType"] == "JWT" for r in gateway.get_routes(ApiId=api["ApiId"])["Items"])


def test_a_plain_http_upload_is_refused(stack: tuple[Path, str]) -> None:
    import botocore.exceptions

    with pytest.raises(botocore.exceptions.ClientError, match="Forbidden"):
        stand_in.client("s3", stack[1]).put_object(Bucket=BUCKET, Key="original/00/0", Body=b"")


def test_an_uploaded_object_arrives_as_an_event(stack: tuple[Path, str]) -> None:
    assert stand_in.send_image(stack[1]).startswith("original/")


def test_everything_goes_again(stack: tuple[Path, str]) -> None:
    stand_in.destroy(*stack)
    assert stand_in.resources(stack[0]) == []
    assert stand_in.client("s3", stack[1]).list_buckets()["Buckets"] == []
    assert stand_in.client("dynamodb", stack[1]).list_tables()["TableNames"] == []
