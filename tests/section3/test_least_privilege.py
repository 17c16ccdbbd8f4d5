"""Every IAM statement names its resources, and the network and the buckets are closed: asserted on the plan."""

from __future__ import annotations

import json
from typing import Any

import pytest

Resources = dict[str, dict[str, Any]]
NO_RESOURCE_KNOWN = {"ecr:GetAuthorizationToken"}
"""Actions for which AWS knows no resource (Service Authorization Reference)."""


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def role_statements(resources: Resources) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for address, resource in resources.items():
        if resource["type"] == "aws_iam_role_policy":
            for statement in as_list(json.loads(resource["values"]["policy"])["Statement"]):
                found.append((address, statement))
    return found


def test_every_statement_of_a_role_names_its_resources(resources: Resources) -> None:
    statements = role_statements(resources)
    assert len(statements) >= 40, "the plan does not show the policies: something in them is not known before an apply"
    for address, statement in statements:
        assert "NotAction" not in statement and "NotResource" not in statement, address
        actions = as_list(statement["Action"])
        if set(actions) <= NO_RESOURCE_KNOWN:
            continue
        for resource in as_list(statement["Resource"]):
            service, name = resource.split(":", 5)[2], resource.split(":", 5)[5]
            assert resource.startswith("arn:aws:") and service != "*" and not name.startswith("*"), (address, resource)
            assert "images" in resource or ":catalog" in resource, (address, resource)  # the stack's name


def test_only_a_refusal_may_name_all_actions_of_a_service(resources: Resources) -> None:
    for address, statement in role_statements(resources):
        if statement["Effect"] == "Allow":
            assert not any("*" in action for action in as_list(statement["Action"])), address


def test_every_role_has_one_policy_and_may_be_taken_only_by_whom_it_is_for(resources: Resources) -> None:
    roles = {r["values"]["name"]: r for r in resources.values() if r["type"] == "aws_iam_role"}
    assert len(roles) == len([r for r in resources.values() if r["type"] == "aws_iam_role_policy"])
    for name, role in roles.items():
        [trust] = as_list(json.loads(role["values"]["assume_role_policy"])["Statement"])
        if name.startswith("images-team-"):
            assert trust["Condition"]["StringEquals"] == {"aws:PrincipalTag/team": name.removeprefix("images-team-")}
            assert trust["Condition"]["Bool"] == {"aws:MultiFactorAuthPresent": "true"}
        else:
            assert trust["Principal"]["Service"].endswith(".amazonaws.com")
    assert not any(r["type"] in ("aws_iam_user", "aws_iam_access_key", "aws_iam_group") for r in resources.values())


@pytest.mark.parametrize("team", ["analytics", "operations", "audit"])
def test_no_team_reads_images(team: str, resources: Resources) -> None:
    address = f'module.security.aws_iam_role_policy.team["{team}"]'
    denied = [s for a, s in role_statements(resources) if a == address and s["Effect"] == "Deny"]
    assert any(
        "s3:*" in as_list(s["Action"]) and any("images-images" in r for r in as_list(s["Resource"])) for s in denied
    )


def test_those_who_run_kafka_can_neither_read_it_nor_change_its_retention(resources: Resources) -> None:
    statements = [s for a, s in role_statements(resources) if a.endswith('team["streaming"]')]
    denied = {action for s in statements if s["Effect"] == "Deny" for action in as_list(s["Action"])}
    assert denied >= {"kafka-cluster:AlterTopicDynamicConfiguration", "kafka:UpdateClusterConfiguration"}
    assert "kafka-cluster:ReadData" in denied  # a topic holds images


def test_everything_that_holds_data_is_encrypted_and_no_bucket_is_public(resources: Resources) -> None:
    kinds: dict[str, list[dict[str, Any]]] = {}
    for resource in (r for r in resources.values() if r["mode"] == "managed"):
        kinds.setdefault(resource["type"], []).append(resource["values"])
    for block in kinds["aws_s3_bucket_public_access_block"]:
        assert all(
            block[key]
            for key in ("block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets")
        )
    assert len(kinds["aws_s3_bucket_public_access_block"]) == len(kinds["aws_s3_bucket"])
    assert len(kinds["aws_s3_bucket_server_side_encryption_configuration"]) == len(kinds["aws_s3_bucket"])
    [cluster] = kinds["aws_msk_cluster"]
    assert cluster["encryption_info"][0]["encryption_in_transit"] == [{"client_broker": "TLS", "in_cluster": True}]
    assert (
        cluster["client_authentication"][0]["sasl"][0]["iam"]
        and not cluster["client_authentication"][0]["unauthenticated"]
    )
    assert all(table["server_side_encryption"][0]["enabled"] for table in kinds["aws_dynamodb_table"])
    assert all(key["enable_key_rotation"] for key in kinds["aws_kms_key"])
    [cdn] = kinds["aws_cloudfront_distribution"]
    assert cdn["default_cache_behavior"][0]["viewer_protocol_policy"] == "https-only"


def test_nothing_is_open_to_the_internet(resources: Resources) -> None:
    kinds = {resource["type"] for resource in resources.values()}
    assert not kinds & {"aws_internet_gateway", "aws_nat_gateway", "aws_eip", "aws_lb"}
    for address, resource in resources.items():
        if resource["type"].startswith("aws_vpc_security_group_"):
            assert resource["values"].get("cidr_ipv4") != "0.0.0.0/0", address
    routes = [r["values"] for r in resources.values() if r["type"] == "aws_apigatewayv2_route"]
    assert len(routes) == 2 and all(route["authorization_type"] == "JWT" for route in routes)


def test_containers_cannot_write_to_their_own_image_and_run_as_nobody(resources: Resources) -> None:
    for task in (r["values"] for r in resources.values() if r["type"] == "aws_ecs_task_definition"):
        assert task["network_mode"] == "awsvpc"
    services = [r["values"] for r in resources.values() if r["type"] == "aws_ecs_service"]
    assert all(not s["network_configuration"][0]["assign_public_ip"] for s in services)
