"""Which failures are tried again, and when."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

import writer_cli as writer
from tests.harness.servers import (
    CLOSE,
    HANG,
    RESET,
    Script,
    Server,
    http,
)
from tests.http.times import KEY, QUICK
from writer_cli.apis.dialect import Call
from writer_cli.errors import NetworkError, WriterError
from writer_cli.http.answer import Answer
from writer_cli.http.connection import Connection
from writer_cli.http.retry import RetryPolicy, retry_after, should_retry

CALL = Call(method="GET", path="/")


QUOTA = {"tpe": "CompletionModelQuotaError", "errors": [{"key": "fail.model.quotaExceeded"}]}


class Time:
    """A clock that moves when somebody sleeps by it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: list[float] = []

    def clock(self) -> float:
        """Return the seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let them pass."""
        self.waits.append(seconds)
        self.now += seconds


def tried(
    *scripts: Script, max_retries: int = 3, deadline: float | None = None, timeout: float = 30.0
) -> tuple[Answer | WriterError, list[float], int]:
    """Return what came of a call at last, the waits before, and how many requests were sent."""
    time = Time()
    policy = RetryPolicy(
        max_retries=max_retries, deadline=deadline, clock=time.clock, sleep=time.sleep
    )
    with Server(*scripts) as server:
        connection = Connection(
            server.url, KEY, auth_scheme="bearer", timeout=timeout, retries=policy
        )
        try:
            result: Answer | WriterError = connection.send(CALL)
        except WriterError as error:
            result = error
        finally:
            connection.close()
    return result, time.waits, len(server.requests)


MAY_PASS: dict[str, Script] = {
    "408": http(408),
    "409": http(409),
    "425": http(425),
    "429": http(429, {"tpe": "TooManyRequests", "errors": []}),
    "500": http(500),
    "502": http(502, b"<h1>Bad Gateway</h1>", "text/html"),
    "503": http(503, {"tpe": "ServiceUnavailable", "errors": []}),
    "504": http(504),
    "507": http(507),
    "599": http(599),
    "closed": [CLOSE],
    "reset": [RESET],
    "reset in the head": [b"HTTP/1.1 200 OK\r\nContent-", RESET],
}


WILL_NOT_PASS: dict[str, Script] = {
    **{str(code): http(code) for code in (400, 401, 402, 403, 404, 405, 410, 413, 418, 422, 451)},
    "quota": http(429, QUOTA),
    "redirect": http(307, headers=[("Location", "/elsewhere")]),
    "cut": [http(200, b"{", length=100), CLOSE],
    "reset in the body": [http(200, b"{", length=100), RESET],
    "not gzip": http(200, b"{}", headers=[("Content-Encoding", "gzip")]),
}


@pytest.mark.parametrize("failures", [1, 2, 3])
@pytest.mark.parametrize("cause", MAY_PASS)
def test_what_may_pass_is_tried_again(cause: str, failures: int) -> None:
    """Until it succeeds; the answer knows how many attempts that took."""
    result, waits, requests = tried(*[MAY_PASS[cause]] * failures, http(200, b"{}"))
    assert isinstance(result, Answer)
    assert (result.status_code, result.attempts) == (200, failures + 1)
    assert (len(waits), requests) == (failures, failures + 1)


@pytest.mark.parametrize("cause", MAY_PASS)
def test_what_does_not_pass_fails_after_the_last_retry(cause: str) -> None:
    """With the last error and the number of attempts."""
    for max_retries in (0, 1, 3):
        error, waits, requests = tried(MAY_PASS[cause], max_retries=max_retries)
        assert isinstance(error, WriterError)
        assert error.retryable
        assert (error.attempts, len(waits), requests) == (
            max_retries + 1,
            max_retries,
            max_retries + 1,
        )


@pytest.mark.parametrize("cause", WILL_NOT_PASS)
def test_what_will_not_pass_is_tried_once(cause: str) -> None:
    """The same request would fail in the same way, or has been answered in part."""
    error, waits, requests = tried(WILL_NOT_PASS[cause], http(200, b"{}"))
    assert isinstance(error, WriterError)
    assert (error.retryable, error.attempts, waits, requests) == (False, 1, [], 1)


def test_a_failure_that_will_not_pass_ends_the_attempts() -> None:
    """Whatever the failures before it were."""
    error, waits, requests = tried(http(500), http(500), http(400), http(200, b"{}"))
    assert isinstance(error, writer.SDKError)
    assert (error.status_code, error.attempts, len(waits), requests) == (400, 3, 2, 3)


def test_an_answer_that_is_late_is_asked_for_again() -> None:
    """Each attempt has the whole timeout."""
    result, waits, requests = tried([HANG], [HANG], http(200, b"{}"), timeout=0.2)
    assert isinstance(result, Answer)
    assert (result.attempts, len(waits), requests) == (3, 2, 3)


def test_a_connection_that_is_late_is_tried_again() -> None:
    """A TLS handshake that nobody answers is no connection yet."""
    time = Time()
    policy = RetryPolicy(max_retries=1, clock=time.clock, sleep=time.sleep)
    with Server([HANG]) as server:
        connection = Connection(
            server.url.replace("http:", "https:"),
            KEY,
            auth_scheme="bearer",
            timeout=0.2,
            retries=policy,
        )
        with pytest.raises(writer.RequestTimeoutError, match=r"^no connection to .* 0.2 s$") as e:
            connection.send(CALL)
        connection.close()
    assert (e.value.attempts, len(time.waits), server.connections) == (2, 1, 2)


def test_a_refused_connection_is_tried_again() -> None:
    """Nobody listens, and nobody comes."""
    time = Time()
    with Server() as server:
        url = server.url
    policy = RetryPolicy(clock=time.clock, sleep=time.sleep)
    connection = Connection(url, KEY, auth_scheme="bearer", timeout=5, retries=policy)
    with pytest.raises(NetworkError, match="Connection refused") as caught:
        connection.send(CALL)
    connection.close()
    assert (caught.value.attempts, len(time.waits)) == (4, 3)


def test_a_proxy_that_refuses_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It did answer, and would answer the same."""
    with Server([http(407, b"who are you?"), CLOSE]) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with writer.Writer(KEY, 1) as s, pytest.raises(NetworkError, match="407") as caught:
            s.models.list()
    assert (caught.value.attempts, len(proxy.requests)) == (1, 1)


def test_waits_double_with_up_to_a_quarter_more() -> None:
    """From a second to a minute; chance spreads the clients that failed together."""
    first = []
    for _ in range(20):
        _, waits, _ = tried(http(500), max_retries=8)
        for wait, least in zip(waits, (1, 2, 4, 8, 16, 32, 60, 60), strict=True):
            assert least <= wait <= least * 1.25
        first.append(waits[0])
    assert len(set(first)) > 1


def test_thousands_of_retries_are_only_retries() -> None:
    """A job that was told never to give up does not end with an overflow."""

    def attempt(_: float | None) -> None:
        raise NetworkError("no")

    waits: list[float] = []
    with pytest.raises(NetworkError) as caught:
        RetryPolicy(max_retries=1100, sleep=waits.append).run(attempt)
    assert (caught.value.attempts, len(waits)) == (1101, 1100)
    assert all(60 <= wait <= 75 for wait in waits[10:])


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([("retry-after-ms", "1500")], 1.5),
        ([("Retry-After", "7")], 7.0),
        ([("Retry-After", "0")], 0.0),
        ([("Retry-After", "0.5")], 0.5),
        ([("Retry-After", "7"), ("Retry-After-Ms", "2")], 0.002),
        ([("Retry-After", "7"), ("Retry-After-Ms", "soon")], 7.0),
        ([("Retry-After", "120")], 120.0),
        ([("Retry-After", "Thu, 01 Jan 1970 00:00:00 GMT")], 0.0),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_says_how_long_to_wait_is_obeyed(
    headers: list[tuple[str, str]], expected: float, status: int
) -> None:
    """To the millisecond, without chance."""
    result, waits, _ = tried(http(status, headers=headers), http(200, b"{}"))
    assert isinstance(result, Answer)
    assert waits == [expected]


def test_a_server_may_name_the_time_to_come_back() -> None:
    """As a date, in whole seconds."""
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    result, waits, _ = tried(http(429, headers=[("Retry-After", date)]), http(200, b"{}"))
    assert isinstance(result, Answer)
    assert 30 < waits[0] <= 60


def test_a_wait_beyond_reason_is_not_begun() -> None:
    """A server cannot stop a program for an hour."""
    for header in (("Retry-After", "121"), ("retry-after-ms", "1e300")):
        error, waits, requests = tried(http(429, headers=[header]))
        assert isinstance(error, writer.SDKError)
        assert (error.status_code, error.attempts, waits, requests) == (429, 1, [], 1)


@pytest.mark.parametrize(
    "value", ["", "soon", "-1", "nan", "inf", "1e999", "Thu, 99 Foo 2026 00:00:00 GMT", "0x10"]
)
def test_a_wait_that_cannot_be_read_is_not_obeyed(value: str) -> None:
    """The usual one is."""
    result, waits, _ = tried(http(429, headers=[("Retry-After", value)]), http(200, b"{}"))
    assert isinstance(result, Answer)
    assert 1 <= waits[0] <= 1.25


@pytest.mark.parametrize(
    "date",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Sun, 06 Nov 1994 08:49:37 -0000",
    ],
)
def test_each_form_of_a_date_is_in_the_same_zone(
    date: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 9110, 5.6.7 has three; where this machine is does not matter."""
    import time

    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert retry_after({"retry-after": date}, now=lambda: 784111777.0 - 5) == 5
    finally:
        monkeypatch.undo()
        time.tzset()


@given(st.text(st.characters(codec="latin-1")))
def test_no_header_breaks_a_retry(value: str) -> None:
    """Whatever it says, it is a time to wait or nothing."""
    for name in ("retry-after-ms", "retry-after"):
        seconds = retry_after({name: value}, now=lambda: 0.0)
        assert seconds is None or seconds >= 0
    assert should_retry({"x-should-retry": value}) in {True, False, None}


@pytest.mark.parametrize(
    ("script", "says", "requests"),
    [
        (http(400, headers=[("x-should-retry", "true"), *QUICK]), True, 4),
        (http(500, headers=[("x-should-retry", "false")]), False, 1),
        (http(500, headers=[("X-Should-Retry", "FALSE")]), False, 1),
        (http(500, headers=[("x-should-retry", "maybe"), *QUICK]), True, 4),
        (http(429, QUOTA, headers=[("x-should-retry", "true"), *QUICK]), True, 4),
    ],
)
def test_a_server_decides_whether_to_try_again(script: bytes, says: bool, requests: int) -> None:
    """Over what the status means."""
    error, _, sent = tried(script)
    assert isinstance(error, WriterError)
    assert (error.retryable, sent) == (says, requests)


def test_a_wait_that_would_pass_the_deadline_is_not_begun() -> None:
    """The last error is more use than one about time, and comes earlier."""
    error, waits, requests = tried(http(429, headers=[("Retry-After", "4")]), deadline=10)
    assert isinstance(error, writer.SDKError)
    assert (error.status_code, waits, requests, error.attempts) == (429, [4, 4], 3, 3)


def test_a_sleep_that_took_too_long_ends_at_the_deadline() -> None:
    """A machine may be suspended meanwhile; nothing more is sent."""
    time = Time()

    def oversleep(seconds: float) -> None:
        time.sleep(seconds + 3600)

    left = []

    def attempt(seconds: float | None) -> None:
        left.append(seconds)
        raise NetworkError("down")

    policy = RetryPolicy(deadline=10, clock=time.clock, sleep=oversleep)
    with pytest.raises(writer.RequestTimeoutError, match=r"^the deadline passed") as caught:
        policy.run(attempt)
    assert (left, caught.value.attempts) == ([10], 1)


def test_an_attempt_knows_how_long_it_has() -> None:
    """What is left, or None where there is no deadline."""
    time = Time()
    left: list[float | None] = []

    def attempt(seconds: float | None) -> None:
        left.append(seconds)
        time.now += 2
        error = writer.SDKError("busy", 503)
        error.retry_after = 1
        raise error

    with pytest.raises(writer.SDKError):
        RetryPolicy(deadline=10, clock=time.clock, sleep=time.sleep).run(attempt)
    assert left == [10, 7, 4, 1]
    left.clear()
    with pytest.raises(writer.SDKError):
        RetryPolicy(max_retries=1, clock=time.clock, sleep=time.sleep).run(attempt)
    assert left == [None, None]


@pytest.mark.parametrize("failures", [0, 1])
@pytest.mark.parametrize("bug", [ZeroDivisionError, KeyboardInterrupt])
def test_what_is_no_failure_of_ours_is_not_tried_again(
    bug: type[BaseException], failures: int
) -> None:
    """A bug stays the same, and an interrupt means it."""
    time = Time()
    causes: list[BaseException] = [NetworkError("down")] * failures + [bug()]
    attempts = iter(causes)

    def attempt(_: float | None) -> None:
        raise next(attempts)

    with pytest.raises(bug):
        RetryPolicy(clock=time.clock, sleep=time.sleep).run(attempt)
    assert (len(time.waits), next(attempts, None)) == (failures, None)
