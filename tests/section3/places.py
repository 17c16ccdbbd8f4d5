"""Every kind of resource in the design: how long what it holds is kept, or why it holds no image and no metadata."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

Resource = dict[str, Any]
DAY = 86_400
LIVE = 7 * DAY
"""Images, their metadata, and whatever names one image."""
KEPT_LONGER = {
    "images-audit": 365 * DAY,  # who did what; no image, no metadata
    "images-analytics": 760 * DAY,  # its aggregates/ alone; checked by prefix in the test
}


def bucket(resource: Resource) -> dict[str, float]:
    """Seconds by prefix, of a lifecycle configuration. A rule that is off or filters by more than a prefix is none."""
    kept: dict[str, float] = {}
    for rule in resource["values"]["rule"]:
        filters = rule["filter"][0] if rule["filter"] else {}
        narrowed = any(
            filters.get(name) for name in ("tag", "and", "object_size_greater_than", "object_size_less_than")
        )
        if rule["status"] == "Enabled" and rule["expiration"] and not narrowed:
            kept[filters.get("prefix") or ""] = rule["expiration"][0]["days"] * DAY
    return kept


def leftovers(resource: Resource) -> bool:
    """Whether old versions and unfinished uploads go after a day."""
    return any(
        rule["status"] == "Enabled"
        and not (rule["filter"][0]["prefix"] if rule["filter"] else "")
        and [v["noncurrent_days"] for v in rule["noncurrent_version_expiration"]] == [1]
        and [u["days_after_initiation"] for u in rule["abort_incomplete_multipart_upload"]] == [1]
        for rule in resource["values"]["rule"]
    )


def topic(resource: Resource) -> float:
    """A topic keeps a segment for its retention after the segment was closed."""
    properties = dict(line.split("=", 1) for line in resource["values"]["server_properties"].split())
    assert properties["log.cleanup.policy"] == "delete", "a compacted topic keeps the last record of a key for ever"
    return 3600 * (int(properties["log.retention.hours"]) + int(properties["log.roll.hours"]))


def table(resource: Resource) -> float:
    """An item has its own expiry, TTL deletes it within days, and a backup keeps it for as long as it reaches back."""
    values = resource["values"]
    assert values["ttl"][0]["enabled"] and values["ttl"][0]["attribute_name"] == "expires_at"
    backups = values["point_in_time_recovery"][0]
    return float(backups["recovery_period_in_days"] * DAY if backups["enabled"] else 0)


def cache(resource: Resource) -> float:
    """A CDN holds what it has served."""
    behaviours = resource["values"]["default_cache_behavior"] + resource["values"]["ordered_cache_behavior"]
    return float(max(behaviour["max_ttl"] for behaviour in behaviours))


def queue(resource: Resource) -> float:
    """A message names an image."""
    return float(resource["values"]["message_retention_seconds"])


def log_group(resource: Resource) -> float:
    """0 days is for ever."""
    return float((resource["values"]["retention_in_days"] or 10**6) * DAY)


HOLDS: dict[str, Callable[[Resource], float]] = {
    "aws_cloudfront_distribution": cache,
    "aws_cloudwatch_log_group": log_group,
    "aws_dynamodb_table": table,
    "aws_msk_configuration": topic,
    "aws_sqs_queue": queue,
}

HOLDS_NOTHING = re.compile(
    r"""aws_(
      apigatewayv2_\w+ | appautoscaling_\w+ | athena_(workgroup|named_query)   # results are in a bucket
    | cloudfront_(public_key|key_group|origin_access_control) | cloudtrail     # writes to the audit bucket
    | cloudwatch_(metric_alarm|dashboard) | default_security_group | ecr_repository
    | ecs_(cluster|service|task_definition)                                    # a task's disk goes with it: checked
    | flow_log | glue_catalog_(database|table) | iam_\w+ | kinesis_firehose_delivery_stream   # AWS: 24 hours at most
    | kms_\w+ | lambda_(function|permission) | msk_cluster                     # its configuration is checked
    | pipes_pipe | route_table(_association)? | s3_bucket(_\w+)?               # its lifecycle is checked
    | scheduler_schedule | secretsmanager_secret | security_group | sns_topic(_subscription)?
    | subnet | vpc(_endpoint|_security_group_\w+)? | wafv2_web_acl
    )""",
    re.VERBOSE,
)
