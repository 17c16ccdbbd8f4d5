"""Images and their metadata are purged after 7 days, wherever they are: asserted on the plan."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from places import DAY, HOLDS, HOLDS_NOTHING, KEPT_LONGER, LIVE, bucket, leftovers

Resources = dict[str, dict[str, Any]]
LIFECYCLE = "aws_s3_bucket_lifecycle_configuration"
PREFIXES = {"images-analytics": {"facts/", "unreadable/", "aggregates/"}}
"""What a bucket is written under, where that is not the whole bucket."""


def problems(resources: Resources) -> list[str]:
    """Every place that could keep an image or its metadata too long."""
    found = []
    for address, resource in resources.items():
        kind = resource["type"]
        if kind in HOLDS:
            try:
                kept = HOLDS[kind](resource)
            except (AssertionError, IndexError, KeyError) as error:
                found.append(f"{address}: {error}")
                continue
            if kept > LIVE:
                found.append(f"{address} keeps for {kept / DAY:.1f} days")
        elif not HOLDS_NOTHING.fullmatch(kind):
            found.append(f"{address}: nobody has said whether a {kind} holds images or metadata")
    return found + bucket_problems(resources)


def bucket_problems(resources: Resources) -> list[str]:
    found = []
    for address, resource in resources.items():
        if resource["type"] != "aws_s3_bucket":
            continue
        name = resource["values"]["bucket"].rsplit("-", 1)[0]
        rules = resources.get(address.replace("aws_s3_bucket.", f"{LIFECYCLE}."))
        if rules is None or not leftovers(rules):
            found.append(f"{address}: old versions or unfinished uploads stay")
        kept = bucket(rules) if rules else {}
        if not kept.keys() >= PREFIXES.get(name, {""}):
            found.append(f"{address}: some objects have no expiry")
        for prefix, seconds in kept.items():
            allowed = LIVE if name == "images-analytics" and prefix != "aggregates/" else KEPT_LONGER.get(name, LIVE)
            if seconds > allowed:
                found.append(f"{address}: {prefix or 'everything'} is kept for {seconds / DAY:.0f} days")
    return found


def test_every_place_that_can_hold_an_image_or_its_metadata_expires(resources: Resources) -> None:
    assert problems(resources) == []
    assert {resource["type"] for resource in resources.values()} >= set(HOLDS), (
        "a kind of place is not planned any more"
    )


def test_analytics_are_written_only_under_prefixes_that_expire(resources: Resources) -> None:
    rules = next(
        r for a, r in resources.items() if a.startswith("module.analytics.module.bucket.") and r["type"] == LIFECYCLE
    )
    assert set(bucket(rules)) == PREFIXES["images-analytics"]
    written = [
        s["values"]["extended_s3_configuration"][0] for s in resources.values() if s["type"].endswith("delivery_stream")
    ]
    paths = [path for stream in written for path in (stream["prefix"], stream["error_output_prefix"])]
    assert paths and all(path.split("/")[0] + "/" in PREFIXES["images-analytics"] for path in paths)


def test_dead_letters_outlive_the_queue_so_that_none_is_lost_unseen(resources: Resources) -> None:
    kept = {
        a.rsplit(".", 1)[1]: r["values"]["message_retention_seconds"]
        for a, r in resources.items()
        if r["type"] == "aws_sqs_queue"
    }
    assert kept["dead_letter"] - kept["uploaded"] >= 2 * DAY
    assert kept["dead_letter"] + DAY <= LIVE  # an image may have waited a day in Kafka before


def test_the_facts_hold_no_image_id(resources: Resources) -> None:
    pipe = next(r for r in resources.values() if r["type"] == "aws_pipes_pipe")
    template = pipe["values"]["target_parameters"][0]["input_template"]
    assert "customer_id" in template and "image_id" not in template


def test_work_in_progress_is_on_a_disk_that_goes_with_the_task(resources: Resources) -> None:
    for task in (r["values"] for r in resources.values() if r["type"] == "aws_ecs_task_definition"):
        assert not any(volume["efs_volume_configuration"] or volume["host_path"] for volume in task["volume"])


CHANGES: dict[str, tuple[str, list[Any], Any]] = {
    "a queue's retention": ("aws_sqs_queue", ["message_retention_seconds"], 14 * DAY),
    "logs for ever": ("aws_cloudwatch_log_group", ["retention_in_days"], 0),
    "logs for a month": ("aws_cloudwatch_log_group", ["retention_in_days"], 30),
    "backups for a month": ("aws_dynamodb_table", ["point_in_time_recovery", 0, "recovery_period_in_days"], 35),
    "no TTL": ("aws_dynamodb_table", ["ttl", 0, "enabled"], False),
    "TTL on another field": ("aws_dynamodb_table", ["ttl", 0, "attribute_name"], "deleted_at"),
    "a compacted topic": ("aws_msk_configuration", ["server_properties"], "log.cleanup.policy=compact"),
    "a topic for a month": (
        "aws_msk_configuration",
        ["server_properties"],
        "log.cleanup.policy=delete\nlog.retention.hours=720\nlog.roll.hours=1",
    ),
    "segments that are never closed": (
        "aws_msk_configuration",
        ["server_properties"],
        "log.cleanup.policy=delete\nlog.retention.hours=24",
    ),
    "a CDN that keeps for a month": ("aws_cloudfront_distribution", ["default_cache_behavior", 0, "max_ttl"], 30 * DAY),
    "a rule that is off": (LIFECYCLE, ["rule", 1, "status"], "Disabled"),
    "old versions": (LIFECYCLE, ["rule", 0, "noncurrent_version_expiration"], []),
    "unfinished uploads": (LIFECYCLE, ["rule", 0, "abort_incomplete_multipart_upload"], []),
    "a bucket for ten years": (LIFECYCLE, ["rule", 1, "expiration", 0, "days"], 3650),
}


@pytest.mark.parametrize("change", CHANGES)
def test_each_way_to_keep_longer_is_found(change: str, resources: Resources) -> None:
    kind, path, value = CHANGES[change]
    for address in (address for address, resource in resources.items() if resource["type"] == kind):
        changed = copy.deepcopy(resources)
        at = changed[address]["values"]
        for key in path[:-1]:
            at = at[key]
        at[path[-1]] = value
        assert any(address.split(".aws_")[0] in problem for problem in problems(changed)), address


@pytest.mark.parametrize("kind", ["aws_s3_bucket_lifecycle_configuration", "aws_efs_file_system", "aws_backup_vault"])
def test_a_missing_rule_and_a_new_kind_of_place_are_found(kind: str, resources: Resources) -> None:
    changed = {address: r for address, r in resources.items() if r["type"] != kind}
    if len(changed) == len(resources):
        changed["module.new"] = {"type": kind, "values": {}}
    assert problems(changed)
