"""One HTTP exchange: a `Call` goes out, an `Answer` comes back.

This is the one seam where the HTTP library is used and where its exceptions become ours.
"""

import json
import os
import platform
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

import httpx

from writer_cli import __version__, apis
from writer_cli.apis import AuthScheme, Call
from writer_cli.errors import (
    BadAnswerError,
    ConfigurationError,
    NetworkError,
    RequestTimeoutError,
    cleaned_excerpt,
    error_from_answer,
    is_json,
    redact,
)

CONNECT_TIMEOUT = 5.0
"""Seconds to wait for a connection, at the most."""

LARGEST_ANSWER = 64 * 1024 * 1024
"""Bytes of an answer, uncompressed. A million tokens are about 4 MB."""

USER_AGENT = f"writer-cli/{__version__} (Python {platform.python_version()})"


@dataclass(frozen=True, slots=True)
class PreparedRequest:
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
        timeout: Seconds to wait for each part of an answer.
        in_process: Answer with the embedded sandbox instead of the network.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str | Callable[[], str | None] | None,
        *,
        auth_scheme: AuthScheme,
        timeout: float,
        in_process: bool,
    ) -> None:
        self.base_url = base_url
        self._host = _host_of(base_url)
        self._api_key = api_key
        self._auth_scheme = auth_scheme
        self._timeout = timeout
        self._in_process = in_process
        self._lock = threading.Lock()
        self._http: httpx.Client | None = None

    def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        with self._lock:
            if self._http is not None:
                self._http.close()
                self._http = None

    def prepare(self, call: Call) -> PreparedRequest:
        """Say what `call` sends, but for the key."""
        headers = {"Accept": call.accept, "User-Agent": USER_AGENT}
        if call.body is not None:
            headers["Content-Type"] = "application/json"
        return PreparedRequest(call.method, self.base_url + call.path, headers, call.body)

    def check_key(self) -> None:
        """Raise `ConfigurationError` unless there is a key that can be sent."""
        apis.authorization(self._key(), self._auth_scheme)

    def send(self, call: Call) -> "Answer":
        """Send a call and read its answer.

        Raises:
            ConfigurationError: No key, or one that cannot be sent.
            NetworkError: No answer came.
            BadAnswerError: An answer that is neither a success nor an error, is too large, or ends
                early.
            SDKError: Any status of 400 to 599.
        """
        prepared = self.prepare(call)
        authorization = apis.authorization(self._key(), self._auth_scheme)
        redacted = partial(redact, key=authorization.removeprefix("Bearer "))
        started = time.monotonic()
        with self._our_exceptions() as progress:
            http = self._pool()
            request = http.build_request(
                prepared.method,
                prepared.url,
                headers=prepared.headers | {"Authorization": authorization},
                content=None if prepared.body is None else _as_json(prepared.body),
            )
            response = http.send(request, stream=True)
            progress.answer_began = True
            try:
                body = _read(response)
            finally:
                response.close()
        text = body.decode("utf-8-sig", "replace")
        answer = Answer(
            status_code=response.status_code,
            content_type=response.headers.get("Content-Type", ""),
            headers={name: response.headers.get_list(name) for name in response.headers},
            text=redacted(text) if response.is_error else text,
            redacted=redacted,
            raw_response=_unencoded(response, body),
            elapsed_s=time.monotonic() - started,
        )
        answer.raise_unless_successful()
        return answer

    def _key(self) -> str | None:
        return self._api_key() if callable(self._api_key) else self._api_key

    def _pool(self) -> httpx.Client:
        with self._lock:
            if self._http is None:
                timeout = httpx.Timeout(self._timeout, connect=min(CONNECT_TIMEOUT, self._timeout))
                if self._in_process:
                    from writer_cli.sandbox.in_process import SandboxTransport

                    self._http = httpx.Client(transport=SandboxTransport(), timeout=timeout)
                else:
                    self._http = self._client(timeout)
            return self._http

    def _client(self, timeout: httpx.Timeout) -> httpx.Client:
        plain = httpx.URL(self.base_url).scheme == "http"
        tls = _tls_context(
            plain=plain,
            file=os.environ.get("SSL_CERT_FILE"),
            directory=os.environ.get("SSL_CERT_DIR"),
        )
        try:
            # A plain address is this machine, so a proxy would be where others can read the key.
            return httpx.Client(verify=tls, timeout=timeout, trust_env=not plain)
        except (ImportError, ValueError, httpx.InvalidURL) as error:
            raise ConfigurationError(
                f"the proxy that the environment names cannot be used: {error}",
                hint="look at HTTPS_PROXY, ALL_PROXY and NO_PROXY; "
                "a proxy looks like http://proxy.example:3128",
            ) from error

    @contextmanager
    def _our_exceptions(self) -> Iterator["_Progress"]:
        """Turn the exceptions of the HTTP library into ours; none of theirs leaves this module."""
        host = self._host
        progress = _Progress()
        try:
            yield progress
        except httpx.ConnectTimeout as error:
            seconds = min(CONNECT_TIMEOUT, self._timeout)
            raise RequestTimeoutError(f"no connection to {host} within {seconds:g} s") from error
        except httpx.TimeoutException as error:
            raise RequestTimeoutError(
                f"no answer from {host} within {self._timeout:g} s"
            ) from error
        except httpx.DecodingError as error:
            raise BadAnswerError(f"the answer cannot be decompressed: {error}") from error
        except httpx.TransportError as error:
            reason = str(error) or type(error).__name__
            if progress.answer_began:
                raise BadAnswerError(
                    f"the answer from {host} was cut short: {reason}",
                    hint="the text is incomplete and was not kept: try again",
                ) from error
            raise NetworkError(
                f"no answer from {host}: {reason}", hint=_network_hint(error)
            ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An HTTP answer, read to its end."""

    status_code: int
    content_type: str
    headers: dict[str, list[str]]
    text: str
    raw_response: httpx.Response = field(repr=False)
    elapsed_s: float
    redacted: Callable[[str], str] = field(repr=False)
    """Takes the key out of what a message quotes."""

    def excerpt(self) -> str:
        """The first words of the answer, for a message."""
        return cleaned_excerpt(self.redacted(self.text))

    def raise_unless_successful(self) -> None:
        """Raise the error that the answer is, if it is one."""
        if self.status_code >= httpx.codes.BAD_REQUEST:
            action_id = self.headers.get("action-id", [None])[0]
            raise error_from_answer(
                self.status_code,
                self.content_type,
                self.text,
                action_id=None if action_id is None else self.redacted(action_id),
                raw_response=self.raw_response,
            )
        if self.status_code >= httpx.codes.MULTIPLE_CHOICES:
            location = self.redacted(self.headers.get("location", ["nowhere"])[0])
            raise BadAnswerError(
                f"HTTP {self.status_code}: the answer redirects to {location}, "
                "and redirects are not followed: the key would go along",
                hint="if that is the right address, give it as --base-url",
            )

    def json_object(self) -> dict[str, Any]:
        """The body as a JSON object. Raises `BadAnswerError`."""
        if not is_json(self.content_type):
            raise BadAnswerError(
                f"the answer is {self.redacted(self.content_type) or 'of no type'} "
                f"and not JSON: {self.excerpt()}"
            )
        try:
            parsed = json.loads(self.text)
        except (ValueError, RecursionError) as error:
            raise BadAnswerError(
                f"the answer says that it is JSON and is not: {self.excerpt()}"
            ) from error
        if not isinstance(parsed, dict):
            raise BadAnswerError(f"the answer is JSON and not an object: {self.excerpt()}")
        return parsed


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


def _as_json(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _read(response: httpx.Response) -> bytes:
    if "," in response.headers.get("Content-Encoding", ""):
        # A kilobyte that is compressed twice can be a gigabyte before its size is known.
        raise BadAnswerError("the answer is compressed more than once")
    body = bytearray()
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > LARGEST_ANSWER:
            raise BadAnswerError(f"the answer is larger than {LARGEST_ANSWER // 2**20} MiB")
    return bytes(body)


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


@dataclass(slots=True)
class _Progress:
    answer_began: bool = False


def _network_hint(error: httpx.TransportError) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return "if your network has an authority of its own, name its file: SSL_CERT_FILE=ca.pem"
    if isinstance(error, httpx.ProxyError):
        return "the proxy is taken from HTTPS_PROXY, ALL_PROXY and NO_PROXY"
    return "is the network up, and the address right? `writer config check` shows it"


@cache
def _tls_context(*, plain: bool, file: str | None, directory: str | None) -> ssl.SSLContext:
    """Return what decides which servers to trust, built once for all connections.

    `SSL_CERT_FILE` and `SSL_CERT_DIR`, which these are, decide; else the system's directory, which
    has the company's authorities and is looked up as needed; else the bundle that comes along. For
    a plain address none is needed, and an empty one trusts nobody.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["http/1.1"])
    if plain:
        return context
    if file or directory:
        try:
            context.load_verify_locations(cafile=file or None, capath=directory or None)
        except OSError as error:
            raise ConfigurationError(
                f"SSL_CERT_FILE or SSL_CERT_DIR cannot be read: {error}",
                hint="SSL_CERT_FILE is a file of certificates in PEM form",
            ) from error
        return context
    for system in (ssl.get_default_verify_paths().capath, "/etc/ssl/certs"):
        if system and any(Path(system).glob("*.0")):
            context.load_verify_locations(capath=system)
            return context
    import certifi

    context.load_verify_locations(cafile=certifi.where())
    return context
