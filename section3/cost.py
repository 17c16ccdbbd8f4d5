"""The monthly bill by component: quantities from the simulation, prices from prices.yaml."""

from __future__ import annotations

import math
from collections.abc import Iterator

import msgspec

from batch import config
from batch.errors import ConfigError
from section3.settings import Prices, Workload
from section3.simulate import Result
from section3.storage import Stored

HOURS = 730
GB, TB = 2**30, 2**40  # as AWS counts them
SINK_RATE = 50.0  # images a second that one task of the stream sink moves
BROKER_BYTES = 20e6  # bytes a second that one broker takes in, with two followers to serve
FUNCTION_SECONDS, FUNCTION_GB = 0.03, 0.25
ZONES, ENDPOINTS = 3, 6
LOG_BYTES = 300  # of all programs, for one image
FACT_BYTES = 5 * 1024  # Firehose counts a record as at least 5 KB
PIPE_RECORDS = 128  # facts in the 64 KB that a pipe counts as one request
DATA_KEY_USES = 1000  # bucket keys and queues ask KMS once for so many objects


class Line(msgspec.Struct, frozen=True):
    """One line of the bill: so many units a month at a price of the table."""

    component: str
    price: str
    units: float
    usd: float


class Brokers(msgspec.Struct, frozen=True):
    """Kafka brokers of one stack, and the disk of each in GB."""

    count: int
    gigabytes: int


def brokers(workload: Workload, rate: float) -> Brokers:
    """As many as the stream's bytes at their daily peak need, in each of three zones the same number."""
    flow = rate * workload.stream_share * workload.image.mean_bytes
    count = ZONES * math.ceil(max(1.0, flow * workload.daily_peak / BROKER_BYTES / ZONES))
    kept = flow * 3600 * (24 + 1) * 3  # retention and the open segment, three copies
    return Brokers(count, max(100, math.ceil(kept / count / GB / 0.7 / 100) * 100))


def bill(workload: Workload, prices: Prices, result: Result, stored: Stored, cells: int) -> list[Line]:
    """The bill of `cells` stacks; `result` and `stored` are of all of them together. Volume prices see the sum.

    Raises ConfigError where the table has no price for something.
    """
    lines = []
    for component, name, units in quantities(workload, result, stored, cells):
        if name not in prices.prices:
            hint = config.suggest(name, prices.prices)
            raise ConfigError(f"there is no price `{name}`", where="section3/conf/prices.yaml", hint=hint)
        lines.append(Line(component, name, units, prices.prices[name].of(units)))
    return lines


def quantities(workload: Workload, result: Result, stored: Stored, cells: int) -> Iterator[tuple[str, str, float]]:
    """Component, price and units of each line, for a month of 730 hours."""
    images = result.rate * 3600 * HOURS
    uploads = images * (1 - workload.stream_share)
    reads = images * workload.reads_per_image
    metadata = stored.items * workload.image.metadata_bytes / GB
    kafka = brokers(workload, result.rate / cells)
    sinks = cells * max(3, math.ceil(result.rate / cells * workload.stream_share / SINK_RATE))
    item_units = math.ceil(workload.image.metadata_bytes / 1024)

    for component, requests in (("Upload API", uploads), ("Read API", reads)):
        yield component, "http_api_request", requests
        yield component, "lambda_request", requests
        yield component, "lambda_gb_second_arm", requests * FUNCTION_SECONDS * FUNCTION_GB
    yield "Images bucket", "s3_put", 2 * images  # the original and what the code writes back
    yield "Images bucket", "s3_get", images * result.attempts + reads
    yield "Images bucket", "s3_storage_gb", stored.bytes / GB
    yield "Upload queue", "sqs_request", images * (1 + 0.2 * result.attempts)  # received and deleted ten at a time
    # One task more or less is a task for the whole month; a burst is not the month's average.
    yield "Image processor", "fargate_vcpu_hour_arm", result.tasks_least * HOURS
    yield "Image processor", "fargate_gb_hour_arm", 2 * result.tasks_least * HOURS
    yield "Stream sink", "fargate_vcpu_hour_arm", sinks * HOURS
    yield "Stream sink", "fargate_gb_hour_arm", 2 * sinks * HOURS
    yield "Kafka stream", "msk_broker_hour", cells * kafka.count * HOURS
    yield "Kafka stream", "msk_storage_gb", cells * kafka.count * kafka.gigabytes
    yield "Catalogue", "dynamodb_write", 2 * images * item_units  # the item and its index
    yield "Catalogue", "dynamodb_read", reads * item_units / 2
    yield "Catalogue", "dynamodb_storage_gb", 1.2 * metadata
    yield "Catalogue", "dynamodb_backup_gb", metadata
    yield "Analytics", "pipes_request", images / PIPE_RECORDS
    yield "Analytics", "firehose_gb", images * FACT_BYTES / GB
    yield "Analytics", "athena_tb", images * 20 / TB + 0.1  # each compressed fact is read once; then the counts
    yield "CDN", "cdn_gb", reads * workload.image.processed_bytes / GB
    yield "CDN", "cdn_request", reads
    yield "CDN", "waf_request", reads
    yield "CDN", "waf_month", cells
    yield "Keys and audit", "kms_key_month", 2 * cells
    yield "Keys and audit", "kms_request", 4 * images / DATA_KEY_USES
    yield "Keys and audit", "trail_event", reads  # the CDN's reads of images
    yield "Network and observability", "endpoint_hour", cells * ZONES * ENDPOINTS * HOURS
    yield "Network and observability", "logs_gb", images * LOG_BYTES / GB
    yield "Network and observability", "metrics_month", cells
