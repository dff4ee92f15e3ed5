"""Who may be asked, and how: the `Authorization` header and the base URL, checked."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import SplitResult, urlsplit

from writer_cli.errors import ConfigurationError

AuthScheme = Literal["bearer", "raw"]
"""`Authorization: Bearer KEY`, as Writer documents it, or the bare key, as its old SDK sends it."""


HOW_TO_SET_A_KEY = (
    "set one with `writer config set api_key`, or WRITER_API_KEY; to try without one: --sandbox"
)


API_HOSTS = ("api.writer.com", "enterprise-api.writer.com")
"""Where Writer's own APIs are; an address among them that is not the chosen API's is a mix-up."""


USUAL_URLS = (
    "writer config set base_url URL, or WRITER_BASE_URL, or --base-url; usual ones: "
    "vLLM http://127.0.0.1:8000, llama.cpp http://127.0.0.1:8080, "
    "Ollama http://127.0.0.1:11434, LM Studio http://127.0.0.1:1234"
)


def authorization(key: str | None, scheme: AuthScheme = "bearer") -> str:
    """Return the value of the `Authorization` header.

    A pasted `Bearer ` is dropped from the key. Raises `ConfigurationError` where there is no key,
    or one that no header can carry; the message never shows it.
    """
    key = (key or "").removeprefix("Bearer ")
    if not key:
        raise ConfigurationError("no API key", hint=HOW_TO_SET_A_KEY)
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise ConfigurationError(
            "the API key has a character that a key cannot have: "
            "a space, a line break, a control character or one beyond ASCII",
            hint=HOW_TO_SET_A_KEY,
        )
    return f"Bearer {key}" if scheme == "bearer" else key


def checked_base_url(url: str | None, *, allow_http: bool = False) -> str:
    """Return the address without its last slash, if a key may be sent there.

    Over plain http anyone on the way can read the key. So it is for this machine only, and with
    `allow_http` for a private network. Raises `ConfigurationError` for any other address, or none.
    """
    if url is None:
        raise ConfigurationError("no base URL: this API has no address of its own", hint=USUAL_URLS)
    parts = _split(url)
    if parts.scheme == "http" and not is_loopback(str(parts.hostname)):
        if not is_private(str(parts.hostname)):
            raise ConfigurationError(
                f"base_url: a key is not sent to {parts.hostname} over plain http",
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
    """Return the parts of an address. Raises `ConfigurationError` for anything but http(s)."""
    hint = "an address looks like https://enterprise-api.writer.com"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigurationError(f"base_url: {error}", hint=hint) from None
    if parts.scheme not in {"http", "https"} or not host or not url.isprintable() or " " in url:
        raise ConfigurationError(f"base_url: {url!r} is not an address", hint=hint)
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ConfigurationError(
            "base_url: an address with a password, a query or a fragment is not used", hint=hint
        )
    return parts


def is_loopback(host: str) -> bool:
    """Whether the name or the address is this machine (RFC 6761, 6.3; RFC 5735; RFC 4291)."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    import ipaddress

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_private(host: str) -> bool:
    """Whether an address is of a private network, or a name is one that only such networks know.

    Sources: RFC 1918, RFC 4193 and RFC 3927 for addresses; a name without a dot, RFC 6762 for
    `.local`, RFC 8375 for `.home.arpa`, and ICANN's reserved `.internal`.
    """
    import ipaddress

    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        # A name begins with a letter: 134744072 and 0x8080808 are addresses, and public ones.
        is_name = re.fullmatch(r"[a-z][a-z0-9-]*", host) is not None
        return is_name or host.endswith((".local", ".home.arpa", ".internal", ".lan"))
    return address.is_private and not address.is_unspecified
