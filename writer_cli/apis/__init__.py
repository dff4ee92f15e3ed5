"""The wire dialects of Writer's completion APIs: pure translation, no I/O.

A dialect turns a `CompletionRequest` into a `Call` and the JSON of an answer into our models.
`client.py` sends calls and knows no dialect.
"""

from dataclasses import dataclass
from typing import Any, Literal, Protocol
from urllib.parse import quote, urlsplit

from writer_cli.errors import ConfigurationError, UsageError
from writer_cli.models import CompletionRequest, CompletionResponse

ApiName = Literal["enterprise"]

AuthScheme = Literal["bearer", "raw"]
"""`Authorization: Bearer KEY`, as Writer documents it, or the bare key, as its old SDK sends it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """An HTTP request without its host and its key."""

    method: Literal["GET", "POST"]
    path: str
    body: dict[str, Any] | None = None
    accept: str = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a completion is asked of: a model, within an organization, perhaps customized."""

    model_id: str
    organization_id: int | None = None
    customization_id: str | None = None


class Api(Protocol):
    """One dialect."""

    name: ApiName
    base_url: str

    def completion(self, request: CompletionRequest, target: Target) -> Call:
        """Say how to ask for a completion. Raises `ConfigurationError` or `UsageError`."""
        ...

    def read_completion(self, body: dict[str, Any]) -> CompletionResponse:
        """Read the JSON of an answer. Raises pydantic's `ValidationError` or a `TypeError`."""
        ...


def path_of(*segments: str | int) -> str:
    """Join segments to a path, each percent-encoded whole (RFC 3986, 2.1).

    A segment that is empty, `.` or `..` is refused: it would name another path, encoded or not.
    """
    for segment in segments:
        # Python hides bytes that are not UTF-8 behind lone surrogates, which no address can carry.
        is_text = str(segment).encode("utf-8", "replace").decode() == str(segment)
        if segment in {"", ".", ".."} or not is_text:
            raise UsageError(
                f"{segment!r} is not an id", hint="ids look like palmyra-x5: writer config check"
            )
    return "/" + "/".join(quote(str(segment), safe="") for segment in segments)


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


OTHER_HOSTS = ("api.writer.com", "enterprise-api.writer.com")
"""Where Writer's own APIs are; an address among them that is not the chosen API's is a mix-up."""

HOW_TO_SET_A_KEY = (
    "set one with `writer config set api_key`, or WRITER_API_KEY; to try without one: --sandbox"
)


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


def get(name: ApiName) -> Api:
    """Return the dialect of that name."""
    from writer_cli.apis.enterprise import EnterpriseApi

    return {"enterprise": EnterpriseApi}[name]()
