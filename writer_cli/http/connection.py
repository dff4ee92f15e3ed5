"""A connection to one API: it sends calls and returns the answers."""

import json
import sys
import threading
import time
from collections.abc import Callable, Generator
from functools import partial
from typing import Any, NamedTuple

import httpx

from writer_cli import __version__
from writer_cli.apis import access
from writer_cli.apis.access import AuthScheme
from writer_cli.apis.dialect import Call
from writer_cli.errors import BadAnswerError, DeadlineError, NetworkError
from writer_cli.http import timed_stream
from writer_cli.http.answer import Answer
from writer_cli.http.deadline import with_deadline
from writer_cli.http.reply import Reply, bounded_body
from writer_cli.http.retry import RetryPolicy
from writer_cli.http.transport import host_of, parsed_url, timeouts, translated, transport_to
from writer_cli.redaction import contains_key, redact

USER_AGENT = f"writer-cli/{__version__} (Python {'.'.join(map(str, sys.version_info[:3]))})"

CONNECTION_HEADERS = {"Accept-Encoding": "gzip, deflate", "Connection": "keep-alive"}
"""Headers that every request has."""


class PreparedRequest(NamedTuple):
    """A request as it would be sent, without the key.

    If a key would be sent, the `Authorization` header contains `$WRITER_API_KEY` in its place.
    """

    method: str
    url: str
    headers: dict[str, str]
    body: dict[str, Any] | None


class Connection:
    """A connection to one API: its base URL, the key, and a connection pool. Thread-safe.

    Args:
        base_url: The base URL, as `access.checked_base_url` returns it.
        api_key: The key, or a function that returns it; called when a request is sent.
        auth_scheme: How the `Authorization` header contains the key.
        needs_key: Whether a request without a key is an error.
        timeout: Seconds from the request to the answer, or from one event of a stream to the next.
        retries: Which failures are retried, and the deadline for all attempts together.
        sandbox: Let the embedded model answer in this process, instead of the network.
        on_warning: Called when a part of an answer cannot be read.

    Raises:
        ConfigurationError: The host in the base URL is not a valid host name.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str | Callable[[], str | None] | None,
        *,
        auth_scheme: AuthScheme,
        timeout: float,
        retries: RetryPolicy,
        sandbox: bool = False,
        needs_key: bool = True,
        on_warning: Callable[[str], None] | None = None,
    ) -> None:
        self.base_url = base_url
        self._host = host_of(base_url)
        self._api_key = api_key
        self._auth_scheme = auth_scheme
        self._needs_key = needs_key
        self._on_warning = on_warning
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
        """Return the request that `call` would send, without the key."""
        headers = self._headers(call)
        if self._needs_key or self._api_key is not None:
            headers["Authorization"] = access.authorization("$WRITER_API_KEY", self._auth_scheme)
        return PreparedRequest(call.method, self._url(call), headers, call.body)

    def check_key(self) -> None:
        """Raise `ConfigurationError` if the key is invalid, or required and missing."""
        self._authorization()

    def holds_key(self, text: str) -> bool:
        """Whether the key is part of a text. Call it after a request, when the key is known."""
        return contains_key(text, self._authorization())

    def send(self, call: Call) -> Answer:
        """Send a call, retry it on a temporary failure, and return the complete answer.

        Raises:
            ConfigurationError: The key is missing or invalid, or the proxy cannot be used.
            NetworkError: No answer came.
            BadAnswerError: The answer is a redirect, is too large, or ends early.
            SDKError: Any status of 400 to 599.
        """
        started = time.monotonic()
        answer, attempts = self.retries.run(lambda left: self._attempt(call, left).read())
        answer.attempts, answer.elapsed_s = attempts, time.monotonic() - started
        return answer

    def stream(self, call: Call) -> "Reply":
        """Send a call, retry it on a temporary failure, and return when the answer begins.

        Raises the same errors as `send`; so does the reply while its body is read. The caller
        closes the reply.
        """
        started = time.monotonic()
        reply, attempts = self.retries.run(lambda left: self._attempt(call, left))
        reply.started, reply.attempts = started, attempts
        return reply

    def _attempt(self, call: Call, left: float | None) -> "Reply":
        """Send a call once, and return when a successful answer begins."""
        authorization = self._authorization()
        began = time.monotonic()
        ends = None if left is None else began + left
        pieces: Generator[httpx.Response | bytes] = self._pieces(call, ends, authorization)
        if ends is not None:
            pieces = with_deadline(ends, pieces)
        redacted = partial(redact, key=authorization)
        reply = Reply(
            pieces, redacted, began=began, timeout=self._timeout, on_warning=self._on_warning
        )
        reply.raise_unless_successful()
        return reply

    def _pieces(
        self, call: Call, ends: float | None, authorization: str | None
    ) -> Generator[httpx.Response | bytes]:
        """Yield the head of the response, then its body in chunks as they arrive."""
        headers = self._headers(call) | CONNECTION_HEADERS
        if authorization is not None:
            headers["Authorization"] = authorization
        timeout = self._timeout
        extensions: dict[str, Any] = {}
        if ends is not None:
            # `with_deadline` keeps the deadline. This only ends the thread that it gave up on.
            timeout = min(timeout, ends - time.monotonic() + 1)
            extensions = {"trace": _refuse_to_send_after(ends)}
        request = httpx.Request(
            call.method,
            parsed_url(self._url(call)),
            headers=headers,
            content=None if call.body is None else _as_json(call.body),
            extensions=extensions | {"timeout": timeouts(timeout)},
        )
        answer_began = False
        try:
            # Not `httpx.Client`: it would store cookies, and its layers cost time.
            response = self._open_transport().handle_request(request)
            # Errors refer to the response and may be pickled, so its request must not hold the key.
            request.headers.pop("Authorization", None)
            response.request = request
            try:
                if timed_stream.came_unasked(response):
                    raise NetworkError(f"{self._host} sent an answer that belongs to no request")
                answer_began = True
                yield response
                yield from bounded_body(response)
            finally:
                response.close()
        except httpx.TransportError as error:
            reason = redact(str(error), authorization)  # it may quote a line that the server sent
            cause = error if reason == str(error) else None
            raise translated(
                error, reason, self._host, timeout, answer_began=answer_began
            ) from cause
        except httpx.DecodingError as error:
            raise BadAnswerError(f"the answer cannot be decompressed: {error}") from error

    def _headers(self, call: Call) -> dict[str, str]:
        headers = {"Accept": call.accept, "User-Agent": USER_AGENT}
        if call.body is not None:
            headers["Content-Type"] = "application/json"
        return headers

    def _url(self, call: Call) -> str:
        # Users give the URL of an engine with or without the /v1 that its paths begin with.
        if self.base_url.endswith("/v1") and call.path.startswith("/v1/"):
            return self.base_url + call.path.removeprefix("/v1")
        return self.base_url + call.path

    def _authorization(self) -> str | None:
        key = self._api_key() if callable(self._api_key) else self._api_key
        if not key and not self._needs_key:
            return None
        return access.authorization(key, self._auth_scheme)

    def _open_transport(self) -> httpx.BaseTransport:
        with self._lock:
            if self._transport is None:
                if self._sandbox:
                    from writer_cli.sandbox.in_process import SandboxTransport

                    self._transport = SandboxTransport()
                else:
                    self._transport = transport_to(httpx.URL(self.base_url))
            return self._transport


def _refuse_to_send_after(ends: float) -> Callable[[str, dict[str, Any]], None]:
    """Return a trace hook that stops a request before it is sent, if the deadline has passed.

    That happens when the DNS lookup takes longer than the deadline.
    """

    def trace(event: str, _: dict[str, Any]) -> None:
        if event.endswith("send_request_headers.started") and time.monotonic() >= ends:
            raise DeadlineError

    return trace


def _as_json(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
