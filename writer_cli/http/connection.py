"""One HTTP exchange: a `Call` goes out, an `Answer` comes back."""

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
from writer_cli.errors import BadAnswerError, DeadlineError
from writer_cli.http.answer import Answer
from writer_cli.http.deadline import with_deadline
from writer_cli.http.reply import Reply, bounded_body
from writer_cli.http.retry import RetryPolicy
from writer_cli.http.transport import host_of, parsed_url, timeouts, translated, transport_to
from writer_cli.redaction import redact

USER_AGENT = f"writer-cli/{__version__} (Python {'.'.join(map(str, sys.version_info[:3]))})"

CONNECTION_HEADERS = {"Accept-Encoding": "gzip, deflate", "Connection": "keep-alive"}
"""What every request says about its connection."""


class PreparedRequest(NamedTuple):
    """What would be sent, without the key.

    `headers` have an `Authorization` if a key would be sent, with `$WRITER_API_KEY` for the key.
    """

    method: str
    url: str
    headers: dict[str, str]
    body: dict[str, Any] | None


class Connection:
    """A way to one API: its address, the key, and a pool of connections that threads may share.

    Args:
        base_url: Where calls go; `access.checked_base_url` has approved it.
        api_key: The key, or what returns it when something is sent.
        auth_scheme: How the key is presented.
        needs_key: Whether the API answers nobody without a key.
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
        needs_key: bool = True,
    ) -> None:
        self.base_url = base_url
        self._host = host_of(base_url)
        self._api_key = api_key
        self._auth_scheme = auth_scheme
        self._needs_key = needs_key
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
        headers = self._headers(call)
        if self._needs_key or self._api_key is not None:
            headers["Authorization"] = access.authorization("$WRITER_API_KEY", self._auth_scheme)
        return PreparedRequest(call.method, self._url(call), headers, call.body)

    def check_key(self) -> None:
        """Raise `ConfigurationError` for a key that cannot be sent, or is needed and missing."""
        self._authorization()

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
        authorization = self._authorization()
        began = time.monotonic()
        ends = None if left is None else began + left
        pieces: Generator[httpx.Response | bytes] = self._pieces(call, ends, authorization)
        if ends is not None:
            pieces = with_deadline(ends, pieces)
        redacted = partial(redact, key=(authorization or "").removeprefix("Bearer "))
        reply = Reply(pieces, redacted, began=began, timeout=self._timeout)
        reply.raise_unless_successful()
        return reply

    def _pieces(
        self, call: Call, ends: float | None, authorization: str | None
    ) -> Generator[httpx.Response | bytes]:
        """Yield the head of the answer, then its body as it arrives."""
        headers = self._headers(call) | CONNECTION_HEADERS
        if authorization is not None:
            headers["Authorization"] = authorization
        timeout = self._timeout
        extensions: dict[str, Any] = {}
        if ends is not None:
            # For a thread that has been left to itself: the deadline proper is kept elsewhere.
            timeout = min(timeout, ends - time.monotonic() + 1)
            extensions = {"trace": _unsent_after(ends)}
        request = httpx.Request(
            call.method,
            parsed_url(self._url(call)),
            headers=headers,
            content=None if call.body is None else _as_json(call.body),
            extensions=extensions | {"timeout": timeouts(timeout)},
        )
        answer_began = False
        try:
            # A client would follow what is not followed here, and keep cookies that nobody wants.
            response = self._open_transport().handle_request(request)
            # The response refers to it, and an error, which may be pickled, to the response.
            request.headers.pop("Authorization", None)
            response.request = request
            answer_began = True
            try:
                yield response
                yield from bounded_body(response)
            finally:
                response.close()
        except httpx.TransportError as error:
            raise translated(error, self._host, timeout, answer_began=answer_began) from error
        except httpx.DecodingError as error:
            raise BadAnswerError(f"the answer cannot be decompressed: {error}") from error

    def _headers(self, call: Call) -> dict[str, str]:
        headers = {"Accept": call.accept, "User-Agent": USER_AGENT}
        if call.body is not None:
            headers["Content-Type"] = "application/json"
        return headers

    def _url(self, call: Call) -> str:
        # People give the address of an engine with and without the /v1 that its paths begin with.
        is_twice = self.base_url.endswith("/v1") and call.path.startswith("/v1/")
        return self.base_url.removesuffix("/v1" if is_twice else "") + call.path

    def _authorization(self) -> str | None:
        key = self._api_key() if callable(self._api_key) else self._api_key
        if not key and not self._needs_key:
            return None
        return access.authorization(key, self._auth_scheme)

    def _open_transport(self) -> httpx.BaseTransport:
        with self._lock:
            if self._transport is None:
                self._transport = self._sandbox or transport_to(httpx.URL(self.base_url))
            return self._transport


def _unsent_after(ends: float) -> Callable[[str, dict[str, Any]], None]:
    """Return what keeps a request from being sent once nobody waits for its answer any more.

    That is so where a name took longer to look up than the deadline allowed.
    """

    def trace(event: str, _: dict[str, Any]) -> None:
        if event.endswith("send_request_headers.started") and time.monotonic() >= ends:
            raise DeadlineError

    return trace


def _as_json(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
