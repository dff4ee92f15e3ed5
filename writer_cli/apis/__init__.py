"""The wire dialects of Writer's completion APIs: pure translation, no I/O.

A dialect turns a `CompletionRequest` into a `Call` and the JSON of an answer into our models.
`client.py` sends calls and knows no dialect.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol
from urllib.parse import quote, urlsplit

from writer_cli.errors import (
    ConfigurationError,
    DeadlineError,
    NetworkError,
    SDKError,
    UsageError,
    WriterError,
)

if TYPE_CHECKING:  # every start of the program comes by here, and pydantic takes its time
    from writer_cli.models import CompletionRequest, CompletionResponse, Customization, Model

ApiName = Literal["enterprise", "studio"]

JSON = "application/json"
EVENT_STREAM = "text/event-stream"

AuthScheme = Literal["bearer", "raw"]
"""`Authorization: Bearer KEY`, as Writer documents it, or the bare key, as its old SDK sends it."""


class Call(NamedTuple):
    """An HTTP request without its host and its key."""

    method: Literal["GET", "POST"]
    path: str
    body: dict[str, Any] | None = None
    accept: str = JSON


class Target(NamedTuple):
    """What a completion is asked of: a model, within an organization, perhaps customized."""

    model_id: str
    organization_id: int | None = None
    customization_id: str | None = None


LONGEST_ID = 1000
"""Characters of an id; an address of many more is refused on the way."""


class Api(Protocol):
    """One dialect."""

    name: ApiName
    base_url: str

    def completion(
        self, request: CompletionRequest, target: Target, *, stream: bool = False
    ) -> Call:
        """Say how to ask for a completion. Raises `ConfigurationError` or `UsageError`."""
        ...

    def read_completion(self, body: dict[str, Any]) -> CompletionResponse:
        """Read the JSON of an answer. Raises pydantic's `ValidationError` or a `TypeError`."""
        ...

    def models(self, target: Target) -> Call:
        """Say how to ask for the list of models; of the target, the organization counts."""
        ...

    def read_models(self, body: dict[str, Any]) -> list[Model]:
        """Read the JSON of that list. Raises as `read_completion` does."""
        ...

    def customizations(self, target: Target) -> Call:
        """Say how to ask for the customizations of a model. Raises `UsageError`."""
        ...

    def read_customizations(self, body: dict[str, Any]) -> list[Customization]:
        """Read the JSON of that list. Raises as `read_completion` does."""
        ...


def body_of(
    request: CompletionRequest, wire_names: Mapping[str, str], api: ApiName
) -> dict[str, Any]:
    """Return the fields of a request by the names that they have on the wire.

    Raises `UsageError` for a field that the API does not carry: it is never dropped.
    """
    fields = request.set_fields()
    for name in fields:
        if name not in wire_names:
            raise UsageError(
                f"{name} cannot be sent to the {api} API",
                hint=f"leave it out, or choose the other API; {api} is the one in use",
                field=name,
            )
    return {wire_names[name]: value for name, value in fields.items()}


def obstacle_to_streaming(request: CompletionRequest, target: Target) -> str | None:
    """Return the name of what keeps a request from being streamed, if anything does.

    A stream has one text and no log probabilities, and there is none for a customization.
    """
    if target.customization_id is not None:
        return "customization_id"
    for name in ("n", "best_of"):
        if (getattr(request, name) or 1) > 1:
            return name
    return "logprobs" if request.logprobs is not None else None


def unwrapped(event: Any) -> Any:
    """Return what an event says, which the enterprise description writes inside `{"data": …}`."""
    inner = event.get("data") if isinstance(event, dict) else None
    return inner if isinstance(inner, dict) else event


def read_chunk(event: Any) -> str:
    """Return the text of an event, `{"value": "…"}`.

    Raises `TypeError` or `KeyError` for anything else.
    """
    value = event["value"]
    if not isinstance(value, str):
        raise TypeError("value: not a string")
    return value


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


@lru_cache(maxsize=64)
def path_of(*segments: str | int) -> str:
    """Join segments to a path, each percent-encoded whole (RFC 3986, 2.1).

    A segment that is empty, `.` or `..` is refused: it would name another path, encoded or not.
    So is one that cannot be encoded, or is too long for an address.
    """
    hint = "ids look like palmyra-x5: writer config check"
    for segment in segments:
        if segment in {"", ".", ".."}:
            raise UsageError(f"{segment!r} is not an id", hint=hint)
        if len(str(segment)) > LONGEST_ID:
            raise UsageError(f"an id of {len(str(segment))} characters is not one", hint=hint)
    try:
        return "/" + "/".join(quote(str(segment), safe="") for segment in segments)
    except UnicodeEncodeError as error:
        raise UsageError(f"{error.object!r} is not an id", hint=hint) from None


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


API_HOSTS = ("api.writer.com", "enterprise-api.writer.com")
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
    if name == "studio":
        from writer_cli.apis.studio import StudioApi

        return StudioApi()
    from writer_cli.apis.enterprise import EnterpriseApi

    return EnterpriseApi()
