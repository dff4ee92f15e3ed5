"""Who may be asked, and how: the `Authorization` header and the base URL, checked."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from writer_cli.errors import (
    ConfigurationError,
    DeadlineError,
    NetworkError,
    SDKError,
    WriterError,
)

if TYPE_CHECKING:
    from writer_cli.apis.dialect import ApiName

AuthScheme = Literal["bearer", "raw"]
"""`Authorization: Bearer KEY`, as Writer documents it, or the bare key, as its old SDK sends it."""


HOW_TO_SET_A_KEY = (
    "set one with `writer config set api_key`, or WRITER_API_KEY; to try without one: --sandbox"
)


API_HOSTS = ("api.writer.com", "enterprise-api.writer.com")
"""Where Writer's own APIs are; an address among them that is not the chosen API's is a mix-up."""


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


def checked_base_url(url: str) -> str:
    """Return the address without its last slash, if a key may be sent there.

    Raises `ConfigurationError` for anything but `https://host`, or `http://` to this machine: over
    plain http anyone on the way could read the key.
    """
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
    if parts.scheme == "http" and not is_loopback(host):
        raise ConfigurationError(
            f"base_url: a key is not sent to {host} over plain http",
            hint=f"use https://{parts.netloc}",
        )
    return url.rstrip("/")


def is_loopback(host: str) -> bool:
    """Whether the name or the address is this machine (RFC 6761, 6.3; RFC 5735; RFC 4291)."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    import ipaddress

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def hint_at_other_api(name: ApiName, organization_id: int | None, error: WriterError) -> str | None:
    """Return what to try where an answer looks as if it came from the wrong one of the two APIs."""
    status = error.status_code if isinstance(error, SDKError) else None
    if name == "studio":
        if status == HTTPStatus.UNAUTHORIZED and organization_id is not None:
            return "a key that belongs to an organization id is for --api enterprise"
        return None
    if isinstance(error, DeadlineError):  # which says nothing about who was asked
        return None
    if (
        isinstance(error, NetworkError)
        or status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}
        or error.content_type.lower().startswith("text/html")
    ):
        return "a key of AI Studio is for --api studio"
    return None
