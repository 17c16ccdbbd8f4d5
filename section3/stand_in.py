"""Apply the design to moto, a local stand-in for AWS, look at what is there, send an image through, and destroy it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from batch.errors import DataError, EngineError
from section3 import infrastructure

REGION = "us-east-1"
NAME = "images"
REFUSED = {"with_brokers": False, "with_autoscaling": False}
"""What moto cannot do; terraform/variables.tf quotes its answers."""
FORGOTTEN = {
    "modules/delivery": {"aws_cloudfront_distribution.this": ["origin", "viewer_certificate"]},
    "modules/function_api": {"aws_lambda_function.this": ["image_config"]},
    "modules/ingest": {"aws_sqs_queue.uploaded": ["redrive_policy"]},  # moto adds spaces to its JSON
    "modules/network": {
        f"aws_vpc_security_group_{rule}": ["description"]
        for rule in (
            "egress_rule.worker_to_endpoints",
            "egress_rule.worker_to_gateways",
            "egress_rule.worker_to_kafka",
            "ingress_rule.endpoint_from_worker",
            "ingress_rule.kafka_from_worker",
        )
    },
    "modules/processing": {"aws_ecs_service.this": ["availability_zone_rebalancing", "desired_count"]},
}
"""What moto takes and does not give back as AWS does: a second plan on it must not look at these."""

UNDELETABLE = {
    "module.analytics.aws_athena_named_query.images_by_customer": "delete_named_query",
    "module.delivery.aws_cloudfront_key_group.this": "delete_key_group",
}
"""What moto creates and cannot delete ("NotImplementedError: The delete_... action has not been implemented"): it goes
with the server."""


@contextmanager
def moto() -> Iterator[str]:
    """Run moto's server on a free port of this machine; yields its address. Raises EngineError if it does not start."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    env = os.environ | {"AWS_DEFAULT_REGION": REGION}
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env)
    try:
        address = f"http://127.0.0.1:{port}"
        _wait(address, server)
        yield address
    finally:
        server.terminate()
        server.wait()


def _wait(address: str, server: subprocess.Popen[bytes]) -> None:
    give_up = time.monotonic() + 60
    while time.monotonic() < give_up and server.poll() is None:
        try:
            urllib.request.urlopen(f"{address}/moto-api/", timeout=5).close()
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
        else:
            return
    raise EngineError("moto does not answer", where=address, hint="sh batch/environment.sh default cloud installs it.")


def environment(address: str) -> dict[str, str]:
    """What makes Terraform's provider and boto3 speak to the stand-in."""
    elsewhere = [name for name in os.environ if name.startswith("AWS_ENDPOINT_URL_")]  # a service's own goes before
    endpoints = dict.fromkeys(["AWS_ENDPOINT_URL", *elsewhere], address)
    return endpoints | {"AWS_EC2_METADATA_DISABLED": "true", "AWS_DEFAULT_REGION": REGION}


def client(service: str, address: str) -> Any:
    """A boto3 client of the stand-in."""
    import boto3

    return boto3.client(
        service, endpoint_url=address, region_name=REGION, aws_access_key_id="example", aws_secret_access_key="example"
    )


def apply(work: Path, address: str) -> None:
    """Create everything that the stand-in supports. Raises EngineError with Terraform's words."""
    infrastructure.prepare(work)
    infrastructure.use_example(work, offline=False, protect=False, **REFUSED)
    for module, forgotten in FORGOTTEN.items():
        (work / module / "stand_in_override.tf").write_text("".join(map(_ignore, forgotten, forgotten.values())))
    infrastructure.run(work, "apply", "-auto-approve", "-no-color", "-parallelism=30", env=environment(address))


def _ignore(address: str, attributes: list[str]) -> str:
    kind, name = address.split(".")
    return f'resource "{kind}" "{name}" {{\n  lifecycle {{\n    ignore_changes = [{", ".join(attributes)}]\n  }}\n}}\n'


def assert_settled(work: Path, address: str) -> None:
    """Raise DataError unless a second plan finds nothing to change."""
    told = infrastructure.run(
        work, "plan", "-detailed-exitcode", "-no-color", "-parallelism=30", env=environment(address), codes=(0, 2)
    )
    if "No changes." not in told:
        raise DataError(f"a second plan would change something:\n{told.strip()}", where="terraform plan")


def send_image(address: str) -> str:
    """Upload an object as the upload API's clients do and return the key that arrives in the queue.

    Raises DataError where no event, or another one, arrives.
    """
    bucket, key = f"{NAME}-images-{infrastructure.ACCOUNT}", "original/0f/0f9d7a52"
    s3 = client("s3", address)
    # The bucket refuses plain HTTP, and that is all that the stand-in speaks: the rule is lifted for this one upload.
    s3.delete_bucket_policy(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key=key, Body=b"\xff\xd8\xff\xe0 an image", ContentType="image/jpeg")
    sqs = client("sqs", address)
    queue = sqs.get_queue_url(QueueName=f"{NAME}-uploaded")["QueueUrl"]
    for message in _received(sqs, queue):
        records = json.loads(message["Body"]).get("Records", [])  # S3 sends a test event when it is connected
        if keys := [urllib.parse.unquote_plus(record["s3"]["object"]["key"]) for record in records]:
            if keys != [key]:
                raise DataError(f"the event names {keys}, not {key}", where=queue)
            return key
    raise DataError(f"no event of {key} arrived", where=queue)


def _received(sqs: Any, queue: str) -> Iterator[dict[str, Any]]:
    """The messages that are in a queue, or come within ten seconds."""
    give_up = time.monotonic() + 10
    while time.monotonic() < give_up:
        answer = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1)
        for message in answer.get("Messages", []):
            yield message
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])


def destroy(work: Path, address: str) -> None:
    """Remove everything again that the stand-in can delete. Raises EngineError with Terraform's words."""
    infrastructure.run(work, "state", "rm", *UNDELETABLE)
    infrastructure.run(
        work, "destroy", "-refresh=false", "-auto-approve", "-no-color", "-parallelism=30", env=environment(address)
    )


def resources(work: Path) -> list[str]:
    """The addresses of what Terraform has created."""
    told = infrastructure.run(work, "state", "list")
    return [line for line in told.splitlines() if ".data." not in line and not line.startswith("data.")]
