"""Which failures are retried, and how long the client waits before."""

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
    """A clock that moves only when `sleep` is called."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: list[float] = []

    def clock(self) -> float:
        """Return the time in seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Move the clock forward."""
        self.waits.append(seconds)
        self.now += seconds


def send_with_retries(
    *scripts: Script, max_retries: int = 3, deadline: float | None = None, timeout: float = 30.0
) -> tuple[Answer | WriterError, list[float], int]:
    """Return the result of a call, the waits before retries, and the number of requests."""
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
def test_a_temporary_failure_is_retried(cause: str, failures: int) -> None:
    """A temporary failure is retried until the call succeeds, and the answer has the attempts."""
    result, waits, requests = send_with_retries(*[MAY_PASS[cause]] * failures, http(200, b"{}"))
    assert isinstance(result, Answer)
    assert (result.status_code, result.attempts) == (200, failures + 1)
    assert (len(waits), requests) == (failures, failures + 1)


@pytest.mark.parametrize("cause", MAY_PASS)
def test_a_lasting_failure_is_raised_after_the_last_retry(cause: str) -> None:
    """After the last retry the last error is raised, with the number of attempts."""
    for max_retries in (0, 1, 3):
        error, waits, requests = send_with_retries(MAY_PASS[cause], max_retries=max_retries)
        assert isinstance(error, WriterError)
        assert error.retryable
        assert (error.attempts, len(waits), requests) == (
            max_retries + 1,
            max_retries,
            max_retries + 1,
        )


@pytest.mark.parametrize("cause", WILL_NOT_PASS)
def test_a_permanent_failure_is_not_retried(cause: str) -> None:
    """A failure that would happen again, or after part of an answer, is not retried."""
    error, waits, requests = send_with_retries(WILL_NOT_PASS[cause], http(200, b"{}"))
    assert isinstance(error, WriterError)
    assert (error.retryable, error.attempts, waits, requests) == (False, 1, [], 1)


def test_a_permanent_failure_ends_the_retries() -> None:
    """A permanent failure after temporary ones is not retried."""
    error, waits, requests = send_with_retries(http(500), http(500), http(400), http(200, b"{}"))
    assert isinstance(error, writer.SDKError)
    assert (error.status_code, error.attempts, len(waits), requests) == (400, 3, 2, 3)


def test_each_attempt_has_the_whole_timeout() -> None:
    """After a timeout, the next attempt has the whole timeout again."""
    result, waits, requests = send_with_retries([HANG], [HANG], http(200, b"{}"), timeout=0.2)
    assert isinstance(result, Answer)
    assert (result.attempts, len(waits), requests) == (3, 2, 3)


def test_a_connection_timeout_is_retried() -> None:
    """A TLS handshake without an answer is a connection timeout and is retried."""
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


def test_a_refused_connection_is_retried() -> None:
    """A refused connection is retried until the last retry."""
    time = Time()
    with Server() as server:
        url = server.url
    policy = RetryPolicy(clock=time.clock, sleep=time.sleep)
    connection = Connection(url, KEY, auth_scheme="bearer", timeout=5, retries=policy)
    with pytest.raises(NetworkError, match="Connection refused") as caught:
        connection.send(CALL)
    connection.close()
    assert (caught.value.attempts, len(time.waits)) == (4, 3)


def test_the_refusal_of_a_proxy_is_not_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that refuses would refuse again, so there is no retry."""
    with Server([http(407, b"who are you?"), CLOSE]) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with writer.Writer(KEY, 1) as s, pytest.raises(NetworkError, match="407") as caught:
            s.models.list()
    assert (caught.value.attempts, len(proxy.requests)) == (1, 1)


def test_waits_double_with_up_to_a_quarter_more() -> None:
    """Waits double from 1 s up to 60 s, plus a random part of up to a quarter."""
    first = []
    for _ in range(20):
        _, waits, _ = send_with_retries(http(500), max_retries=8)
        for wait, least in zip(waits, (1, 2, 4, 8, 16, 32, 60, 60), strict=True):
            assert least <= wait <= least * 1.25
        first.append(waits[0])
    assert len(set(first)) > 1


def test_thousands_of_retries_cause_no_overflow() -> None:
    """The wait does not overflow after thousands of retries."""

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
    """The client waits exactly as long as the header says, without a random part."""
    result, waits, _ = send_with_retries(http(status, headers=headers), http(200, b"{}"))
    assert isinstance(result, Answer)
    assert waits == [expected]


def test_retry_after_may_be_a_date() -> None:
    """The client waits until a date in `Retry-After`."""
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    result, waits, _ = send_with_retries(
        http(429, headers=[("Retry-After", date)]), http(200, b"{}")
    )
    assert isinstance(result, Answer)
    assert 30 < waits[0] <= 60


def test_a_wait_that_is_too_long_is_refused() -> None:
    """If the server asks for more than two minutes, the error is raised at once."""
    for header in (("Retry-After", "121"), ("retry-after-ms", "1e300")):
        error, waits, requests = send_with_retries(http(429, headers=[header]))
        assert isinstance(error, writer.SDKError)
        assert (error.status_code, error.attempts, waits, requests) == (429, 1, [], 1)


@pytest.mark.parametrize(
    "value", ["", "soon", "-1", "nan", "inf", "1e999", "Thu, 99 Foo 2026 00:00:00 GMT", "0x10"]
)
def test_an_invalid_retry_after_is_ignored(value: str) -> None:
    """An invalid value is ignored, and the usual wait is used."""
    result, waits, _ = send_with_retries(
        http(429, headers=[("Retry-After", value)]), http(200, b"{}")
    )
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
    """The three date formats of RFC 9110, 5.6.7 are read as GMT, whatever the local zone."""
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
    """Any value of these headers is read as a wait or ignored."""
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
    """`x-should-retry` counts more than the status."""
    error, _, sent = send_with_retries(script)
    assert isinstance(error, WriterError)
    assert (error.retryable, sent) == (says, requests)


def test_a_wait_that_would_pass_the_deadline_is_not_begun() -> None:
    """If the wait would pass the deadline, the last error is raised at once."""
    error, waits, requests = send_with_retries(
        http(429, headers=[("Retry-After", "4")]), deadline=10
    )
    assert isinstance(error, writer.SDKError)
    assert (error.status_code, waits, requests, error.attempts) == (429, [4, 4], 3, 3)


def test_a_sleep_that_took_too_long_ends_at_the_deadline() -> None:
    """If a wait ends after the deadline, as on a suspended machine, nothing more is sent."""
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
    """Each attempt gets the seconds until the deadline, or None without one."""
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
def test_a_bug_and_an_interrupt_are_not_retried(bug: type[BaseException], failures: int) -> None:
    """An exception that is not a `WriterError` is raised at once."""
    time = Time()
    causes: list[BaseException] = [NetworkError("down")] * failures + [bug()]
    attempts = iter(causes)

    def attempt(_: float | None) -> None:
        raise next(attempts)

    with pytest.raises(bug):
        RetryPolicy(clock=time.clock, sleep=time.sleep).run(attempt)
    assert (len(time.waits), next(attempts, None)) == (failures, None)
