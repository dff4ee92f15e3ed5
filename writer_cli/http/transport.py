"""The HTTP transport: proxy, timeouts, and the HTTP library's exceptions turned into ours."""

from functools import lru_cache
from typing import Any
from urllib.request import getproxies, proxy_bypass

import httpx

from writer_cli.errors import ConfigurationError, CutError, NetworkError, RequestTimeoutError
from writer_cli.http import tls
from writer_cli.http.timed_stream import TimedBackend

CONNECT_TIMEOUT = 5.0
"""Seconds to wait for a connection at most."""


@lru_cache(maxsize=64)
def parsed_url(url: str) -> httpx.URL:
    """Parse a URL, once for all the requests of a batch."""
    return httpx.URL(url)


def host_of(base_url: str) -> str:
    """Return host and port. Raises `ConfigurationError` if the host name is not valid."""
    try:
        url = httpx.URL(base_url)
        url.host.encode("idna")  # as the DNS lookup encodes it
    except (httpx.InvalidURL, UnicodeError) as error:
        raise ConfigurationError(
            f"base_url: {base_url!r} is not a valid URL: {error}",
            hint="a base URL looks like https://enterprise-api.writer.com",
        ) from error
    return url.netloc.decode()


def transport_to(url: httpx.URL) -> httpx.HTTPTransport:
    """Return a transport for a URL. Raises `ConfigurationError` if its proxy cannot be used."""
    plain = url.scheme == "http"
    try:
        # Plain http goes only to this machine or a private network: a proxy could read the key.
        proxy = None if plain else _proxy_to(url)
        if proxy is not None:
            httpx.URL(proxy).host.encode("idna")  # as the DNS lookup encodes it
        transport = httpx.HTTPTransport(
            verify=tls.ssl_context(plain=plain), trust_env=False, proxy=proxy
        )
    except (ImportError, ValueError, httpx.InvalidURL) as error:
        raise ConfigurationError(
            f"the proxy in the environment cannot be used: {error}",
            hint="check HTTPS_PROXY, ALL_PROXY and NO_PROXY; "
            "a proxy looks like http://proxy.example:3128",
        ) from error
    # The pool takes a network backend, but the transport has no parameter for it.
    pool: Any = transport._pool  # noqa: SLF001
    pool._network_backend = TimedBackend(pool._network_backend)  # noqa: SLF001
    return transport


def _proxy_to(url: httpx.URL) -> str | None:
    """Return the proxy for a host from the environment or the system settings, if any."""
    proxies = getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(url.netloc.decode()):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def timeouts(seconds: float) -> dict[str, float]:
    """Return the timeout of each step of an exchange, in seconds."""
    return {
        "connect": min(CONNECT_TIMEOUT, seconds),
        "read": seconds,
        "write": seconds,
        "pool": seconds,
    }


def translated(
    error: httpx.TransportError, reason: str, host: str, timeout: float, *, answer_began: bool
) -> NetworkError | CutError:
    """Return our exception for one of the HTTP library, which never reaches a caller.

    `reason` is its message without the key.
    """
    if isinstance(error, httpx.ConnectTimeout):
        seconds = min(CONNECT_TIMEOUT, timeout)
        return RequestTimeoutError(f"no connection to {host} within {seconds:g} s")
    if isinstance(error, httpx.TimeoutException):
        if not answer_began:
            return RequestTimeoutError(f"no answer from {host} within {timeout:g} s")
        stalled = RequestTimeoutError(
            f"the answer from {host} did not continue within {timeout:g} s"
        )
        stalled.retryable = False
        return stalled
    reason = reason or type(error).__name__
    if answer_began:
        return CutError(f"the answer from {host} was cut short: {reason}")
    failure = NetworkError(f"no answer from {host}: {reason}", hint=_network_hint(error))
    # A retry does not change the answer of a proxy, nor an untrusted certificate.
    failure.retryable = "CERTIFICATE_VERIFY_FAILED" not in reason and not isinstance(
        error, httpx.ProxyError
    )
    return failure


def _network_hint(error: httpx.TransportError) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return "if your network has its own certificate authority, set SSL_CERT_FILE=ca.pem"
    if isinstance(error, httpx.ProxyError):
        return "the proxy comes from HTTPS_PROXY, ALL_PROXY and NO_PROXY"
    return "check the network and the base URL: `writer config check`"
