"""What a dialect does: it turns a request into a `Call`, and the JSON of an answer into models."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol
from urllib.parse import quote

from writer_cli.errors import UsageError

if TYPE_CHECKING:  # every start of the program loads this module, and pydantic is slow to load
    from writer_cli.models import CompletionRequest, CompletionResponse, Customization, Model

ApiName = Literal["enterprise", "studio"]

JSON = "application/json"
EVENT_STREAM = "text/event-stream"


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
