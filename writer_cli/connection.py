"""One HTTP exchange: a `Call` goes out, an `Answer` comes back.

This is the one seam where the HTTP library is used and where its exceptions become ours.
"""

import json
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from functools import lru_cache, partial
from typing import Any, NamedTuple, cast
from urllib.request import getproxies, proxy_bypass

import httpx

from writer_cli import __version__, apis, retry, tls
from writer_cli.answer import Answer
from writer_cli.apis import AuthScheme, Call
from writer_cli.deadline import before
from writer_cli.error_answers import error_from_answer
from writer_cli.errors import (
    BadAnswerError,
    ConfigurationError,
    CutError,
    DeadlineError,
    NetworkError,
    RequestTimeoutError,
)
from writer_cli.excerpts import redact
from writer_cli.retry import RetryPolicy

CONNECT_TIMEOUT = 5.0
"""Seconds to wait for a connection, at the most."""

LARGEST_ANSWER = 64 * 1024 * 1024
"""Bytes of an answer, uncompressed. A million tokens are about 4 MB."""

USER_AGENT = f"writer-cli/{__version__} (Python {'.'.join(map(str, sys.version_info[:3]))})"

CONNECTION_HEADERS = {"Accept-Encoding": "gzip, deflate", "Connection": "keep-alive"}
"""What every request says about its connection."""


class PreparedRequest(NamedTuple):
    """What would be sent, without the key."""

    method: str
    url: str
    headers: dict[str, str]
    body: dict[str, Any] | None


class Connection:
    """A way to one API: its address, the key, and a pool of connections that threads may share.

    Args:
        base_url: Where calls go; `apis.checked_base_url` has approved it.
        api_key: The key, or what returns it when something is sent.
        auth_scheme: How the key is presented.
        timeout: Seconds to wait for an answer, or for each part of a stream.
        retries: Which failures are tried again, and how long everything may take.
        sandbox: What answers in this process instead of the network, if anything.

    Raises:
        ConfigurationError: The host of the address is no name of one.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str | Callable[[], str | None] | None,
        *,
        auth_scheme: AuthScheme,
        timeout: float,
        retries: RetryPolicy,
        sandbox: httpx.BaseTransport | None,
    ) -> None:
        self.base_url = base_url
        self._host = _host_of(base_url)
        self._api_key = api_key
        self._auth_scheme = auth_scheme
        self._timeout = timeout
        self.retries = retries
        self._sandbox = sandbox
        self._lock = threading.Lock()
        self._transport: httpx.BaseTransport | None = None

    def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        with self._lock:
            if self._transport is not None:
                self._transport.close()
                self._transport = None

    def prepare(self, call: Call) -> PreparedRequest:
        """Say what `call` sends, but for the key."""
        headers = {"Accept": call.accept, "User-Agent": USER_AGENT}
        if call.body is not None:
            headers["Content-Type"] = "application/json"
        return PreparedRequest(call.method, self.base_url + call.path, headers, call.body)

    def check_key(self) -> None:
        """Raise `ConfigurationError` unless there is a key that can be sent."""
        apis.authorization(self._key(), self._auth_scheme)

    def send(self, call: Call) -> Answer:
        """Send a call, again if it fails and may succeed later, and read its answer.

        Raises:
            ConfigurationError: No key, or one that cannot be sent, or an unusable proxy.
            NetworkError: No answer came.
            BadAnswerError: An answer that is neither a success nor an error, is too large, or ends
                early.
            SDKError: Any status of 400 to 599.
        """
        started = time.monotonic()
        answer, attempts = self.retries.run(lambda left: self._attempt(call, left).read())
        answer.attempts, answer.elapsed_s = attempts, time.monotonic() - started
        return answer

    def stream(self, call: Call) -> "Reply":
        """Send a call, again if it fails before it is answered, and return once it is.

        Raises as `send` does; the reply raises the same while its body is read. Close it.
        """
        started = time.monotonic()
        reply, attempts = self.retries.run(lambda left: self._attempt(call, left))
        reply.started, reply.attempts = started, attempts
        return reply

    def _attempt(self, call: Call, left: float | None) -> "Reply":
        """Send a call once; return when a success has begun to be answered."""
        authorization = apis.authorization(self._key(), self._auth_scheme)
        began = time.monotonic()
        ends = None if left is None else began + left
        pieces: Generator[httpx.Response | bytes] = self._pieces(call, ends, authorization)
        if ends is not None:
            pieces = before(ends, pieces)
        redacted = partial(redact, key=authorization.removeprefix("Bearer "))
        reply = Reply(pieces, redacted, began=began, timeout=self._timeout)
        reply.raise_unless_successful()
        return reply

    def _pieces(
        self, call: Call, ends: float | None, authorization: str
    ) -> Generator[httpx.Response | bytes]:
        """Yield the head of the answer, then its body as it arrives."""
        prepared = self.prepare(call)
        timeout = self._timeout
        extensions: dict[str, Any] = {}
        if ends is not None:
            # For a thread that has been left to itself: the deadline proper is kept elsewhere.
            timeout = min(timeout, ends - time.monotonic() + 1)
            extensions = {"trace": _unsent_after(ends)}
        request = httpx.Request(
            prepared.method,
            _url(prepared.url),
            headers=prepared.headers | {"Authorization": authorization} | CONNECTION_HEADERS,
            content=None if prepared.body is None else _as_json(prepared.body),
            extensions=extensions | {"timeout": _timeouts(timeout)},
        )
        answer_began = False
        try:
            # A client would follow what is not followed here, and keep cookies that nobody wants.
            response = self._way().handle_request(request)
            # The response refers to it, and an error, which may be pickled, to the response.
            del request.headers["Authorization"]
            response.request = request
            answer_began = True
            try:
                yield response
                yield from _bounded_body(response)
            finally:
                response.close()
        except httpx.TransportError as error:
            raise self._ours(error, timeout, answer_began=answer_began) from error
        except httpx.DecodingError as error:
            raise BadAnswerError(f"the answer cannot be decompressed: {error}") from error

    def _key(self) -> str | None:
        return self._api_key() if callable(self._api_key) else self._api_key

    def _way(self) -> httpx.BaseTransport:
        with self._lock:
            if self._transport is None:
                self._transport = self._sandbox or _transport_to(httpx.URL(self.base_url))
            return self._transport

    def _ours(
        self, error: httpx.TransportError, timeout: float, *, answer_began: bool
    ) -> NetworkError | CutError:
        """Return what an exception of the HTTP library is: none of theirs leaves this module."""
        host = self._host
        if isinstance(error, httpx.ConnectTimeout):
            seconds = min(CONNECT_TIMEOUT, timeout)
            return RequestTimeoutError(f"no connection to {host} within {seconds:g} s")
        if isinstance(error, httpx.TimeoutException):
            if not answer_began:
                return RequestTimeoutError(f"no answer from {host} within {timeout:g} s")
            stalled = RequestTimeoutError(f"{host} stopped answering for {timeout:g} s")
            stalled.retryable = False
            return stalled
        reason = str(error) or type(error).__name__
        if answer_began:
            return CutError(f"the answer from {host} was cut short: {reason}")
        failure = NetworkError(f"no answer from {host}: {reason}", hint=_network_hint(error))
        # Asking a proxy or a stranger once more changes nothing.
        failure.retryable = "CERTIFICATE_VERIFY_FAILED" not in reason and not isinstance(
            error, httpx.ProxyError
        )
        return failure


class Reply:
    """An answer whose body may still be on its way; `redacted` takes the key out of a message.

    Read whole, it has `timeout` seconds from when the request `began`.
    """

    def __init__(
        self,
        pieces: Generator[httpx.Response | bytes],
        redacted: Callable[[str], str],
        *,
        began: float,
        timeout: float,
    ) -> None:
        self._pieces = pieces
        self._began = began
        self._timeout = timeout
        self.redacted = redacted
        head = next(pieces)
        assert isinstance(head, httpx.Response)  # noqa: S101 - what comes first
        self._response = head
        self.status_code = head.status_code
        self.headers: dict[str, list[str]] = {}
        for name, value in head.headers.raw:
            self.headers.setdefault(name.decode("latin-1").lower(), []).append(
                value.decode("utf-8", "replace")
            )
        self.content_type = ", ".join(self.headers.get("content-type", ()))
        self.attempts = 1
        self.started = time.monotonic()

    @property
    def raw_response(self) -> httpx.Response:
        """The HTTP library's own object; its body is read through this one."""
        return self._response

    def close(self) -> None:
        """Close the connection; what has not arrived will not."""
        self._pieces.close()

    def chunks(self) -> Iterator[bytes]:
        """Yield the body as it arrives."""
        for chunk in self._pieces:
            assert isinstance(chunk, bytes)  # noqa: S101 - what comes after the head
            yield chunk

    def read(self) -> Answer:
        """Read the body to its end. Raises `RequestTimeoutError` where it takes too long."""
        try:
            body = b"".join(self._timely_chunks())
        finally:
            self.close()
        text = body.decode("utf-8-sig", "replace")
        return Answer(
            status_code=self.status_code,
            content_type=self.content_type,
            headers=self.headers,
            text=self.redacted(text) if self._response.is_error else text,
            redacted=self.redacted,
            raw_response=partial(_unencoded, self._response, body),
        )

    def _timely_chunks(self) -> Iterator[bytes]:
        """Yield the body, but not for ever: a server that sends a byte now and then is given up."""
        is_late = False
        for chunk in self.chunks():
            if is_late:  # and what came last was not the end
                late = RequestTimeoutError(f"no whole answer within {self._timeout:g} s")
                late.retryable = False
                raise late
            yield chunk
            is_late = time.monotonic() - self._began > self._timeout

    def raise_unless_successful(self) -> None:
        """Raise the error that the answer is, if it is one."""
        if self._response.is_success:
            return
        answer = self.read()
        if not self._response.is_error:
            location = self.redacted(self._response.headers.get("Location", "nowhere"))
            raise BadAnswerError(
                f"HTTP {self.status_code}: the answer redirects to {location}, "
                "and redirects are not followed: the key would go along",
                hint="if that is the right address, give it as --base-url",
            )
        error = error_from_answer(
            self.status_code,
            self.content_type,
            answer.text,
            action_id=None if answer.action_id is None else self.redacted(answer.action_id),
            retry_after=retry.retry_after(self._response.headers),
            raw_response=answer.raw_response(),
        )
        verdict = retry.should_retry(self._response.headers)
        if verdict is not None:
            error.retryable = verdict
        raise error


def _host_of(base_url: str) -> str:
    """Return host and port. Raises `ConfigurationError` where the host is no name of one."""
    try:
        url = httpx.URL(base_url)
        url.host.encode("idna")  # as the name is looked up
    except (httpx.InvalidURL, UnicodeError) as error:
        raise ConfigurationError(
            f"base_url: {base_url!r} is not an address: {error}",
            hint="an address looks like https://enterprise-api.writer.com",
        ) from error
    return url.netloc.decode()


def _transport_to(url: httpx.URL) -> httpx.HTTPTransport:
    """Return what speaks HTTP to an address. Raises `ConfigurationError` for an unusable proxy."""
    plain = url.scheme == "http"
    try:
        # A plain address is this machine, so a proxy would be where others can read the key.
        proxy = None if plain else _proxy_to(url)
        return httpx.HTTPTransport(verify=tls.trust(plain=plain), trust_env=False, proxy=proxy)
    except (ImportError, ValueError, httpx.InvalidURL) as error:
        raise ConfigurationError(
            f"the proxy that the environment names cannot be used: {error}",
            hint="look at HTTPS_PROXY, ALL_PROXY and NO_PROXY; "
            "a proxy looks like http://proxy.example:3128",
        ) from error


def _proxy_to(url: httpx.URL) -> str | None:
    """Return the proxy that the environment, or the system's settings, name for a host."""
    proxies = getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(url.netloc.decode()):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _unsent_after(ends: float) -> Callable[[str, dict[str, Any]], None]:
    """Return what keeps a request from being sent once nobody waits for its answer any more.

    That is so where a name took longer to look up than the deadline allowed.
    """

    def trace(event: str, _: dict[str, Any]) -> None:
        if event.endswith("send_request_headers.started") and time.monotonic() >= ends:
            raise DeadlineError

    return trace


def _timeouts(seconds: float) -> dict[str, float]:
    """Return what each step of an exchange may take."""
    return {
        "connect": min(CONNECT_TIMEOUT, seconds),
        "read": seconds,
        "write": seconds,
        "pool": seconds,
    }


@lru_cache(maxsize=64)
def _url(url: str) -> httpx.URL:
    """Parse an address, once for all the requests of a batch."""
    return httpx.URL(url)


def _as_json(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _bounded_body(response: httpx.Response) -> Iterator[bytes]:
    """Yield the body as it arrives, up to a size that no answer has."""
    encoding = response.headers.get("Content-Encoding", "")
    if "," in encoding:
        # A kilobyte that is compressed twice can be a gigabyte before its size is known.
        raise BadAnswerError("the answer is compressed more than once")
    chunks = response.iter_bytes() if encoding else cast("Iterable[bytes]", response.stream)
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > LARGEST_ANSWER:
            raise BadAnswerError(f"the answer is larger than {LARGEST_ANSWER // 2**20} MiB")
        yield chunk


def _unencoded(response: httpx.Response, body: bytes) -> httpx.Response:
    """Return the response with the body that was read, so that `.text` and `.json()` work."""
    headers = response.headers.copy()
    for name in ("Content-Encoding", "Transfer-Encoding"):
        headers.pop(name, None)
    return httpx.Response(
        response.status_code,
        headers=headers,
        content=body,
        request=response.request,
        extensions=response.extensions,
    )


def _network_hint(error: httpx.TransportError) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return "if your network has an authority of its own, name its file: SSL_CERT_FILE=ca.pem"
    if isinstance(error, httpx.ProxyError):
        return "the proxy is taken from HTTPS_PROXY, ALL_PROXY and NO_PROXY"
    return "is the network up, and the address right? `writer config check` shows it"
