"""The network: its timeouts, its errors, and the certificates that are trusted."""

import ssl
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from writer_cli.errors import ConfigurationError, CutError, NetworkError, RequestTimeoutError
from writer_cli.http import timed_stream, tls
from writer_cli.http.deadline import with_deadline
from writer_cli.http.retry import Wait, retry_after, should_retry
from writer_cli.http.timed_stream import PIECE, TimedBackend, TimedStream
from writer_cli.http.transport import host_of, timeouts, translated, transport_to

OWN_AUTHORITY = "if your network has its own certificate authority, set SSL_CERT_FILE=ca.pem"
PROXY = "the proxy comes from HTTPS_PROXY, ALL_PROXY and NO_PROXY"
NETWORK = "check the network and the base URL: `writer config check`"


NEVER_BEGAN = [
    (
        httpx.ConnectTimeout("r"),
        RequestTimeoutError,
        "no connection to HOST within 5 s",
        None,
        True,
    ),
    (httpx.ReadTimeout("r"), RequestTimeoutError, "no answer from HOST within 9 s", "", True),
    (httpx.ReadError("r"), NetworkError, "no answer from HOST: r", NETWORK, True),
    (httpx.ReadError(""), NetworkError, "no answer from HOST: ReadError", NETWORK, True),
    (
        httpx.ConnectError("CERTIFICATE_VERIFY_FAILED"),
        NetworkError,
        "no answer from HOST: CERTIFICATE_VERIFY_FAILED",
        OWN_AUTHORITY,
        False,
    ),
    (httpx.ProxyError("407"), NetworkError, "no answer from HOST: 407", PROXY, False),
]


@pytest.mark.parametrize(("error", "kind", "message", "hint", "retryable"), NEVER_BEGAN)
def test_an_answer_that_does_not_begin_is_an_error_of_the_network(
    error: httpx.TransportError,
    kind: type[NetworkError],
    message: str,
    *,
    hint: str,
    retryable: bool,
) -> None:
    """The kind, the message, the hint, and whether a retry may help."""
    found = translated(error, str(error), "HOST", 9, answer_began=False)
    assert type(found) is kind
    assert (found.message, found.retryable) == (message, retryable)
    assert found.hint == (hint or RequestTimeoutError.hint)


def test_an_answer_that_has_begun_is_not_asked_for_again() -> None:
    """An answer that stops is a timeout, and one that breaks is cut."""
    stalled = translated(httpx.ReadTimeout("r"), "r", "HOST", 9, answer_began=True)
    assert type(stalled) is RequestTimeoutError
    assert stalled.message == "the answer from HOST did not continue within 9 s"
    assert not stalled.retryable
    cut = translated(httpx.ReadError("r"), "r", "HOST", 9, answer_began=True)
    assert type(cut) is CutError
    assert cut.message == "the answer from HOST was cut short: r"


def test_a_connection_has_five_seconds_at_most() -> None:
    """All other steps have the whole timeout."""
    assert timeouts(9) == {"connect": 5, "read": 9, "write": 9, "pool": 9}
    assert timeouts(2) == {"connect": 2, "read": 2, "write": 2, "pool": 2}
    found = translated(httpx.ConnectTimeout(""), "", "HOST", 2, answer_began=False)
    assert found.message == "no connection to HOST within 2 s"


def test_the_host_of_an_address_has_its_port() -> None:
    """An address with an invalid host has a hint."""
    assert host_of("https://a.example:81/v1") == "a.example:81"
    with pytest.raises(ConfigurationError) as caught:
        host_of(f"https://{'a' * 64}.example")
    assert caught.value.message.startswith(f"base_url: 'https://{'a' * 64}.example' is not a valid")
    assert caught.value.hint == "a base URL looks like https://enterprise-api.writer.com"


def test_a_proxy_may_be_named_without_its_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    """`HTTPS_PROXY=proxy.example:3128` is a proxy by http."""
    monkeypatch.setenv("HTTPS_PROXY", "proxy.example:3128")
    pool: Any = transport_to(httpx.URL("https://a.example"))._pool  # noqa: SLF001
    assert pool._proxy_url.scheme == b"http"  # noqa: SLF001
    assert (pool._proxy_url.host, pool._proxy_url.port) == (b"proxy.example", 3128)  # noqa: SLF001


class Line:
    """A connection that notes what is sent, and how long each step may take."""

    def __init__(self) -> None:
        self.steps: list[tuple[Any, float]] = []

    def connect_tcp(self, *arguments: Any, **named: Any) -> "Line":
        """Connect."""
        self.steps.append(((arguments, named), 0))
        return self

    start_tls = connect_tcp

    def write(self, buffer: bytes, timeout: float) -> None:
        """Send."""
        self.steps.append((buffer, timeout))

    def read(self, max_bytes: int, timeout: float) -> bytes:
        """Receive."""
        self.steps.append((max_bytes, timeout))
        return b"x"

    name = "a line"


def test_one_limit_holds_for_all_parts_of_a_request_and_its_answer() -> None:
    """The limit starts with the first byte of a request; later writes and reads share it."""
    line = Line()
    stream = TimedBackend(line).connect_tcp("h", port=1)
    assert isinstance(stream, TimedStream)
    assert isinstance(stream.start_tls("c"), TimedStream)
    assert [step for step, _ in line.steps] == [(("h",), {"port": 1}), (("c",), {})]
    assert stream.name == "a line"
    line.steps.clear()
    stream.write(b"x" * (2 * PIECE + 1), 50)
    stream.write(b"y", 1000)  # the limit is that of the first part
    assert stream.has_read_nothing
    assert stream.read(7, 1000) == b"x"
    assert not stream.has_read_nothing
    sent = [step if isinstance(step, int) else len(step) for step, _ in line.steps]
    assert sent == [PIECE, PIECE, 1, 1, 7]
    left = [seconds for _, seconds in line.steps]
    assert left == sorted(left, reverse=True)
    assert 0 < left[-1] <= left[0] <= 50
    stream.write(b"z", 1000)  # another request
    assert 50 < line.steps[-1][1] <= 1000


def test_a_limit_that_has_passed_is_a_timeout() -> None:
    """Nothing is read or sent any more."""
    line = Line()
    stream = TimedStream(line)
    with pytest.raises(httpx.ReadTimeout):
        stream.read(7, 1000)
    with pytest.raises(httpx.ReadTimeout):
        stream.write(b"x", 0)
    assert line.steps == []


def test_an_answer_that_was_there_before_its_request_is_recognized() -> None:
    """The sandbox has no connection, and so no such answers."""
    stream = TimedStream(Line())
    response = httpx.Response(200, extensions={"network_stream": stream})
    assert timed_stream.came_unasked(response) is False
    stream.write(b"x", 30)
    assert timed_stream.came_unasked(response) is True
    assert timed_stream.came_unasked(httpx.Response(200)) is False
    timed_stream.restart(httpx.Response(200))


@pytest.fixture
def no_context_is_kept() -> Iterator[None]:
    """Forget the contexts before and after the test."""
    tls._context.cache_clear()  # noqa: SLF001
    yield
    tls._context.cache_clear()  # noqa: SLF001


@pytest.mark.usefixtures("no_context_is_kept")
@pytest.mark.parametrize("is_there", [True, False])
def test_the_directory_of_most_systems_is_trusted(
    monkeypatch: pytest.MonkeyPatch, *, is_there: bool
) -> None:
    """`/etc/ssl/certs` is used where OpenSSL names another directory, else certifi."""
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)

    def found(folder: Path, pattern: str) -> list[Path]:
        assert pattern == "*.0"
        return [folder] if is_there and str(folder) == "/etc/ssl/certs" else []

    monkeypatch.setattr(Path, "glob", found)
    context = tls.ssl_context(plain=False)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    # What is in a directory is read only as needed; certifi's bundle is read at once.
    assert (context.get_ca_certs() == []) is is_there
    assert tls.ssl_context(plain=False) is context


@pytest.mark.usefixtures("no_context_is_kept")
def test_the_context_for_plain_http_trusts_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """It reads no certificates, and would verify."""
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere")
    context = tls.ssl_context(plain=True)
    assert (context.verify_mode, context.get_ca_certs()) == (ssl.CERT_REQUIRED, [])
    assert tls.ssl_context(plain=True) is context
    with pytest.raises(ConfigurationError) as caught:
        tls.ssl_context(plain=False)
    assert caught.value.message.startswith("SSL_CERT_FILE or SSL_CERT_DIR cannot be read: ")
    assert caught.value.hint == "SSL_CERT_FILE must be a file of certificates in PEM format"


def test_the_end_of_a_caller_closes_what_it_waited_for() -> None:
    """The generator behind a deadline is closed with it, and its thread has ended."""

    def pieces() -> Generator[int]:
        yield 1
        yield 2

    inner = pieces()
    outer = with_deadline(time.monotonic() + 30, inner)
    assert next(outer) == 1
    outer.close()
    assert next(inner, None) is None


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.94, "0.9"), (1.0, "1"), (1.4, "1"), (59.6, "60"), (0.05, "0.1")]
)
def test_a_wait_is_shown_in_seconds(seconds: float, shown: str) -> None:
    """Waits below a second have one decimal."""
    wait = Wait(NetworkError("e"), seconds, 2, 3)
    assert str(wait) == f"network: trying again in {shown} s (retry 2 of 3)"


def test_what_a_server_says_about_retries() -> None:
    """The answer is true, false or nothing; a wait is read from two headers."""
    for value, expected in (("True", True), ("false", False), ("XX", None), ("", None)):
        assert should_retry({"x-should-retry": value}) is expected
    assert should_retry({}) is None
    assert retry_after({"retry-after-ms": "1500", "retry-after": "9"}) == 1.5
    assert retry_after({"retry-after": "0"}) == 0
    for value in ("-1", "inf", "nan", "x"):
        assert retry_after({"retry-after": value}) is None
