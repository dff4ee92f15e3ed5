"""The way to a server: proxy, time limits, and the HTTP library's exceptions as our own."""

from functools import lru_cache
from urllib.request import getproxies, proxy_bypass

import httpx

from writer_cli.errors import ConfigurationError, CutError, NetworkError, RequestTimeoutError
from writer_cli.http import tls

CONNECT_TIMEOUT = 5.0
"""Seconds to wait for a connection, at the most."""


@lru_cache(maxsize=64)
def parsed_url(url: str) -> httpx.URL:
    """Parse an address, once for all the requests of a batch."""
    return httpx.URL(url)


def host_of(base_url: str) -> str:
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


def transport_to(url: httpx.URL) -> httpx.HTTPTransport:
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


def timeouts(seconds: float) -> dict[str, float]:
    """Return what each step of an exchange may take."""
    return {
        "connect": min(CONNECT_TIMEOUT, seconds),
        "read": seconds,
        "write": seconds,
        "pool": seconds,
    }


def translated(
    error: httpx.TransportError, host: str, timeout: float, *, answer_began: bool
) -> NetworkError | CutError:
    """Return what an exception of the HTTP library is: none of theirs leaves this module."""
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


def _network_hint(error: httpx.TransportError) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return "if your network has an authority of its own, name its file: SSL_CERT_FILE=ca.pem"
    if isinstance(error, httpx.ProxyError):
        return "the proxy is taken from HTTPS_PROXY, ALL_PROXY and NO_PROXY"
    return "is the network up, and the address right? `writer config check` shows it"
