"""The `Authorization` header and the base URL: both are checked before a key is sent."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import SplitResult, urlsplit

from writer_cli.errors import ConfigurationError

ApiName = Literal["enterprise", "studio", "openai"]
"""The names of the dialects."""

AuthScheme = Literal["bearer", "raw"]
"""`bearer` sends `Authorization: Bearer KEY`, as Writer documents it; `raw` sends only the key."""


HOW_TO_SET_A_KEY = (
    "set one with `writer config set api_key`, or WRITER_API_KEY; to try without one: --sandbox"
)


BASE_URLS = {
    "enterprise": "https://enterprise-api.writer.com",
    "studio": "https://api.writer.com",
}
"""The base URLs of Writer's own APIs, by name; a server of your own has no usual one."""


API_HOSTS = tuple(url.removeprefix("https://") for url in BASE_URLS.values())
"""The hosts of Writer's own APIs. One of them with `--api` of the other is a mistake."""


USUAL_URLS = (
    "`writer config set base_url URL`, or WRITER_BASE_URL, or --base-url; usual ones: "
    "vLLM http://127.0.0.1:8000, llama.cpp http://127.0.0.1:8080, "
    "Ollama http://127.0.0.1:11434, LM Studio http://127.0.0.1:1234"
)


def authorization(key: str | None, scheme: AuthScheme = "bearer") -> str:
    """Return the value of the `Authorization` header.

    A leading `Bearer ` that was pasted with the key is removed. Raises `ConfigurationError` if the
    key is missing or has a character that a header cannot contain; the message never shows it.
    """
    key = (key or "").removeprefix("Bearer ")
    if not key:
        raise ConfigurationError("no API key", hint=HOW_TO_SET_A_KEY)
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise ConfigurationError(
            "the API key contains "
            "a space, a line break, a control character or a character outside ASCII",
            hint=HOW_TO_SET_A_KEY,
        )
    return f"Bearer {key}" if scheme == "bearer" else key


def pasted_key(text: str) -> str:
    """Return a key without the spaces around it, and without the header's word before it."""
    return text.strip().removeprefix("Bearer ").strip()


def checked_base_url(url: str | None, *, allow_http: bool = False) -> str:
    """Return the base URL without a slash at its end, if a key may be sent there.

    Over plain http anyone on the network can read the key. Therefore http is allowed only to this
    machine, and with `allow_http` to a private network. Raises `ConfigurationError` for any other
    http URL, for an invalid URL, and for None.
    """
    if url is None:
        raise ConfigurationError("no base URL: this API has no default URL", hint=USUAL_URLS)
    parts = _split(url)
    if parts.scheme == "http" and not is_loopback(str(parts.hostname)):
        if not is_private(str(parts.hostname)):
            raise ConfigurationError(
                f"base_url: the key is not sent to {parts.hostname} over plain http",
                hint=f"use https://{parts.netloc}",
            )
        if not allow_http:
            raise ConfigurationError(
                f"base_url: {parts.hostname} is not this machine, "
                "and plain http lets others in the network read the key and the texts",
                hint=f"use https://{parts.netloc}, or set allow_http = true beside base_url "
                "in the configuration file",
            )
    return url.rstrip("/")


def _split(url: str) -> SplitResult:
    """Return the parts of a URL. Raises `ConfigurationError` unless it is a valid http(s) URL."""
    hint = "a base URL looks like https://enterprise-api.writer.com"
    # The part before an @, and the part after a ? or a #, may be a password.
    shown = re.sub(r"[?#].*", "…", re.sub(r".*@", "…@", url, flags=re.DOTALL), flags=re.DOTALL)
    invalid = ConfigurationError(f"base_url: {shown!r} is not a valid URL", hint=hint)
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise invalid from None
    if parts.scheme not in {"http", "https"} or not host or not url.isprintable() or " " in url:
        raise invalid
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ConfigurationError(
            "base_url: a URL with a password, a query or a fragment is not allowed", hint=hint
        )
    return parts


def is_loopback(host: str) -> bool:
    """Whether the host is this machine (RFC 6761, 6.3; RFC 5735; RFC 4291)."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    import ipaddress

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_private(host: str) -> bool:
    """Whether the host is in a private network, by its address or by its name.

    Sources: RFC 1918, RFC 4193 and RFC 3927 for addresses. For names: no dot, `.local` (RFC 6762),
    `.home.arpa` (RFC 8375), `.internal` (reserved by ICANN) and `.lan`.
    """
    import ipaddress

    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        # A name begins with a letter: 134744072 and 0x8080808 are public addresses.
        is_name = re.fullmatch(r"[a-z][a-z0-9-]*", host) is not None
        return is_name or host.endswith((".local", ".home.arpa", ".internal", ".lan"))
    return address.is_private and not address.is_unspecified
