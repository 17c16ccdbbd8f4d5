"""One GET: within a deadline, tried again where that may help, and nothing taken that is not what was asked for."""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Annotated, NamedTuple, TypeVar

import msgspec

from batch import logs
from batch.errors import InputError

if TYPE_CHECKING:
    import requests
    import tenacity

T = TypeVar("T")
Positive = Annotated[float, msgspec.Meta(gt=0)]

WORTH_ANOTHER_TRY = {408, 425, 429, 500, 502, 503, 504}
REDIRECTS = 5
CHUNK = 1 << 16


class Limits(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """How long a source may take, and how much it may send.

    `timeout` is for each connection and each wait for bytes, `deadline` for everything together, both in seconds.
    Waits between tries double from `first_wait` to `longest_wait` seconds, with jitter.
    """

    timeout: Positive = 10.0
    deadline: Positive = 60.0
    attempts: Annotated[int, msgspec.Meta(ge=1)] = 4
    first_wait: Positive = 0.5
    longest_wait: Positive = 20.0
    max_bytes: Annotated[int, msgspec.Meta(ge=1)] = 16 << 20


class Validators(NamedTuple):
    """What a server said of its answer, for asking whether it has changed since."""

    etag: str = ""
    last_modified: str = ""

    def headers(self) -> dict[str, str]:
        """The headers that make a request conditional."""
        given = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in given.items() if value}


class Answer(NamedTuple):
    """A body, or None where it has not changed."""

    body: bytes | None
    validators: Validators = Validators()


class _AgainError(Exception):
    """Something that another try may mend; `wait` is what the server asked for, in seconds."""

    def __init__(self, why: str, wait: float | None = None) -> None:
        self.why, self.wait = why, wait
        super().__init__(why)


def get(url: str, types: tuple[str, ...], limits: Limits, known: Validators) -> Answer:
    """GET a URL that gives one of these media types.

    Tries again after connection errors, timeouts, broken transfers and the statuses in WORTH_ANOTHER_TRY; a Retry-After
    is honoured as far as the deadline allows. Raises InputError when that does not help, and at once for any other
    status, another media type, an endless redirect, or a body larger than the limit.
    """
    import tenacity

    began = time.monotonic()

    def left() -> float:
        return limits.deadline - (time.monotonic() - began)

    def wait(state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.wait if isinstance(error, _AgainError) else None
        return backoff(state) if asked is None else asked

    def tell(state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        logs.log.info("fetch: %s; trying again in %.1f s", error, state.upcoming_sleep)

    backoff = tenacity.wait_random_exponential(multiplier=limits.first_wait, max=limits.longest_wait)
    tries = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(_AgainError),
        wait=wait,
        stop=tenacity.stop_after_attempt(limits.attempts) | tenacity.stop_before_delay(limits.deadline),
        before_sleep=tell,
        reraise=True,
    )
    try:
        return tries(lambda: _within(left(), lambda: _attempt(url, types, limits, known)))
    except _AgainError as error:
        tried = tries.statistics.get("attempt_number", 1)
        asked = f", and asked to wait {error.wait:.0f} s" if error.wait else ""
        raise InputError(
            f"{error.why}{asked}; gave up after {tried} tries in {time.monotonic() - began:.1f} s", where=url
        ) from error
    except TimeoutError as error:
        raise InputError(f"no whole answer within {limits.deadline:g} s", where=url) from error


def _within(seconds: float, work: Callable[[], T]) -> T:
    """Do it in another thread and wait so long: neither a resolver nor a server that drips can take longer.

    The thread is left behind; it ends with its own timeouts, and never keeps the process from ending.
    """
    results: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            results.put((work(), None))
        except BaseException as error:
            results.put((None, error))

    threading.Thread(target=run, daemon=True).start()
    try:
        result, error = results.get(timeout=max(seconds, 0.0))
    except queue.Empty:
        raise TimeoutError from None
    if error is not None:
        raise error
    return result  # type: ignore[return-value]  # without an error it is work's


def _attempt(url: str, types: tuple[str, ...], limits: Limits, known: Validators) -> Answer:
    import requests
    import urllib3

    headers = {"User-Agent": "section4-covid-loader", "Accept": ", ".join(types), **known.headers()}
    try:
        with requests.Session() as session:
            session.max_redirects = REDIRECTS
            with session.get(url, headers=headers, timeout=limits.timeout, stream=True) as response:
                return _taken(response, types, limits.max_bytes)
    except requests.TooManyRedirects as error:
        raise InputError(f"redirected more than {REDIRECTS} times", where=url) from error
    except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as error:
        raise InputError("the address, or where it leads, cannot be asked", where=url) from error
    except requests.Timeout as error:
        raise _AgainError(f"no answer within {limits.timeout:g} s") from error
    except (requests.exceptions.ChunkedEncodingError, urllib3.exceptions.ProtocolError) as error:
        raise _AgainError("the answer broke off") from error
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        cause = _cause(error)
        if isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_NONAME:
            raise InputError(f"cannot be reached ({cause.strerror})", where=url) from error
        raise _AgainError(f"cannot be reached ({getattr(cause, 'strerror', None) or type(cause).__name__})") from error


def _taken(response: requests.Response, types: tuple[str, ...], most: int) -> Answer:
    validators = Validators(response.headers.get("ETag", ""), response.headers.get("Last-Modified", ""))
    if response.status_code == 304:
        return Answer(None, validators)
    if response.status_code in WORTH_ANOTHER_TRY:
        raise _AgainError(f"answered {response.status_code} {response.reason}", _retry_after(response))
    if response.status_code != 200:
        raise InputError(f"answered {response.status_code} {response.reason}{_message(response)}", where=response.url)
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind not in types:
        raise InputError(f"sent {kind or 'no media type'} where {types[0]} was asked for", where=response.url)
    body = bytearray()
    for chunk in response.iter_content(CHUNK):
        body += chunk
        if len(body) > most:
            raise InputError(f"sent more than {most:,} bytes, which `max_bytes` allows", where=response.url)
    return Answer(bytes(body), validators)


def _retry_after(response: requests.Response) -> float | None:
    """Seconds that the server asks to wait; RFC 9110, 10.2.3: a number, or a date."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def _message(response: requests.Response) -> str:
    """What an error's body says, where it is a short JSON object with a text in it."""
    try:
        said = msgspec.json.decode(response.raw.read(CHUNK, decode_content=True), type=dict[str, object])
    except Exception:  # whatever is wrong with it, the status says enough
        return ""
    return next((f": {text[:200]}" for text in said.values() if isinstance(text, str)), "")


def _cause(error: BaseException) -> BaseException:
    """The innermost reason."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return error
