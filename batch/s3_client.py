"""The connection to an S3 store: boto3's client, installed on first use, and its errors in one line each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, TypeVar

from batch import imports
from batch.errors import BatchError, EngineError, InputError
from batch.s3_url import split

T = TypeVar("T")
TRIES = 3
ABSENT = ("404", "NoSuchKey", "NotFound")
CONFLICT = ("PreconditionFailed", "ConditionalRequestConflict", "412", "409")
NO_CREDENTIALS = "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; on a machine of AWS give it a role."
AWAY = "Is it running, and is its address right (s3.endpoint in the YAML, AWS_ENDPOINT_URL_S3)? Then run again."
DENIED = "They need s3:ListBucket and s3:GetObject; for output s3:PutObject and s3:DeleteObject too."
REFUSED = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "TokenRefreshRequired")


class AbsentError(Exception):
    """There is no such object."""


class ConflictError(Exception):
    """The condition of a request does not hold: somebody else has written the object."""


class UnconditionalError(Exception):
    """The store knows no conditional PUT."""


class UnreadableError(InputError):
    """This object may not be read; others may."""


@lru_cache(maxsize=1)
def client() -> Any:
    """The connection of this process; threads share it."""
    import boto3
    from botocore.config import Config

    return boto3.client(
        "s3",
        config=Config(
            connect_timeout=10,
            retries={"mode": "standard", "total_max_attempts": TRIES},
            request_checksum_calculation="when_required",  # other stores than AWS's know no trailing checksums
            response_checksum_validation="when_required",
        ),
    )


def _need_boto3() -> None:
    """Install it on first use. Raises EngineError where that fails."""
    if not imports.install("s3", "boto3"):
        raise EngineError("boto3 is not installed", hint="s3a:// needs it: sh batch/environment.sh s3")


def tried(where: str, failure: type[BatchError], got: Callable[[], T]) -> T:
    """What `got` reads; again where the connection breaks in the middle, which boto3 does not do by itself."""
    with told(where, failure):
        from botocore.exceptions import IncompleteReadError, ReadTimeoutError, ResponseStreamingError

        for _ in range(TRIES - 1):
            try:
                return got()
            except (IncompleteReadError, ReadTimeoutError, ResponseStreamingError):
                continue
        return got()


@contextmanager
def told(where: str, failure: type[BatchError]) -> Iterator[None]:
    """Report what boto3 raises in one line. Raises AbsentError, ConflictError, UnconditionalError or `failure`."""
    _need_boto3()
    from botocore import exceptions as boto

    try:
        yield
    except boto.ClientError as error:
        raise _refused(error, where, failure) from error
    except (boto.NoCredentialsError, boto.PartialCredentialsError, boto.ProfileNotFound) as error:
        raise failure("there are no AWS credentials", where=where, hint=NO_CREDENTIALS) from error
    except (boto.ConnectionError, boto.HTTPClientError, boto.IncompleteReadError) as error:
        endpoint = client().meta.endpoint_url
        raise failure(f"the store at {endpoint} does not answer", where=where, hint=AWAY) from error
    except (boto.BotoCoreError, ValueError) as error:
        what = " ".join(str(error).split())
        raise failure(f"the store cannot be used: {what}", where=where, hint=AWAY) from error


def _refused(error: Any, where: str, failure: type[BatchError]) -> Exception:
    """What a store's refusal means."""
    code = str(error.response.get("Error", {}).get("Code", ""))
    if code in ABSENT:
        return AbsentError()
    if code in CONFLICT:
        return ConflictError()
    if code in ("NotImplemented", "501"):
        return UnconditionalError()
    bucket = split(where)[0]
    if code == "NoSuchBucket":
        text, hint = f"there is no bucket {bucket}", f"Make it (aws s3 mb s3://{bucket}), or mend the address."
    elif code in ("AccessDenied", "403", "AllAccessDisabled"):
        text, hint = f"the credentials do not allow {error.operation_name}", DENIED
    elif code in REFUSED:
        text, hint = f"the store does not take the credentials: {code}", NO_CREDENTIALS
    elif code == "InvalidObjectState":
        text, hint = "the object is archived", "Restore it, then run again."
    else:
        text, hint = f"the store refuses {error.operation_name}: {code}", AWAY
    if failure is InputError and code in ("AccessDenied", "403", "InvalidObjectState"):
        failure = UnreadableError
    return failure(text, where=where, hint=hint)
