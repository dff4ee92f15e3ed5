"""The `Api` protocol of a dialect: requests become `Call`s, JSON answers become models."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol
from urllib.parse import quote

from writer_cli.apis.access import ApiName
from writer_cli.errors import BadAnswerError, UsageError, WriterError

if TYPE_CHECKING:  # every start loads this module, and pydantic is slow to import
    from writer_cli.apis.retired import Retirement
    from writer_cli.models import (
        CompletionChunk,
        CompletionRequest,
        CompletionResponse,
        Customization,
        Model,
    )

JSON = "application/json"
EVENT_STREAM = "text/event-stream"


class Call(NamedTuple):
    """An HTTP request without host and key."""

    method: Literal["GET", "POST"]
    path: str
    body: dict[str, Any] | None = None
    accept: str = JSON


class Target(NamedTuple):
    """The model that answers, with its organization and customization where there is one."""

    model_id: str
    organization_id: int | None = None
    customization_id: str | None = None

    def checked(self) -> Target:
        """Return the target itself. Raises `UsageError` for an id that UTF-8 cannot carry."""
        for name, value in (
            ("model_id", self.model_id),
            ("customization_id", self.customization_id),
        ):
            if value is not None and any("\ud800" <= letter <= "\udfff" for letter in value):
                raise UsageError(
                    f"{name} is not UTF-8", hint="an id looks like palmyra-x5", field=name
                )
        return self


MOST_CHOICES = 100_000
"""Choices of an answer."""

LONGEST_ID = 1000
"""Characters of an id at most; servers and proxies refuse much longer URLs."""


class Api(Protocol):
    """A dialect.

    Attributes:
        name: Its name for `--api`.
        base_url: The default base URL; None if there is none.
        needs_key: Whether a request without a key is an error.
        needs_organization: Whether a request without an organization id is an error.
        ends_with_done: Whether a stream without `[DONE]` at its end is incomplete.
        retired_models: The models that this API has removed, each with its replacement.
    """

    name: ApiName
    base_url: str | None
    needs_key: bool
    needs_organization: bool
    ends_with_done: bool
    retired_models: Mapping[str, Retirement]

    def completion(
        self, request: CompletionRequest, target: Target, *, stream: bool = False
    ) -> Call:
        """Return the call for a completion. Raises `ConfigurationError` or `UsageError`."""
        ...

    def read_completion(self, body: dict[str, Any]) -> CompletionResponse:
        """Read the JSON of an answer. Raises pydantic's `ValidationError` or a `TypeError`."""
        ...

    def read_event(self, event: Any) -> CompletionChunk:
        """Read the JSON of one event of a stream.

        Raises `TypeError`, `KeyError` or pydantic's `ValidationError` for anything else.
        """
        ...

    def models(self, target: Target) -> Call:
        """Return the call for the list of models; of `target` only the organization is used."""
        ...

    def read_models(self, body: dict[str, Any]) -> list[Model]:
        """Read the JSON of that list. Raises the same errors as `read_completion`."""
        ...

    def customizations(self, target: Target) -> Call:
        """Return the call for the list of customizations of a model. Raises `UsageError`."""
        ...

    def read_customizations(self, body: dict[str, Any]) -> list[Customization]:
        """Read the JSON of that list. Raises the same errors as `read_completion`."""
        ...

    def add_hint(self, error: WriterError, organization_id: int | None) -> None:
        """Append what the error may mean with this API to its hint."""
        ...


def body_of(
    request: CompletionRequest, wire_names: Mapping[str, str], api: ApiName
) -> dict[str, Any]:
    """Return the fields of a request under their wire names.

    Raises `UsageError` for a field that the API does not have: no field is dropped silently.
    """
    fields = request.set_fields()
    for name in fields:
        if name not in wire_names:
            instead = "leave it out"
            if name == "n" and "random_seed" in wire_names:
                instead = "for several texts, repeat the request with another --random-seed"
            raise UsageError(
                f"{name} cannot be sent to the {api} API",
                hint=f"{instead}, or choose another API with --api; {api} is in use",
                field=name,
            )
    return {wire_names[name]: value for name, value in fields.items()}


def choices_in(body: dict[str, Any]) -> Any:
    """Return the choices of an answer as they were sent.

    Raises `BadAnswerError` where they would fill the memory: each takes about a kilobyte.
    """
    choices = body.get("choices") or []
    if len(choices) > MOST_CHOICES:
        raise BadAnswerError(f"the answer has more than {MOST_CHOICES:,} choices")
    return choices


def obstacle_to_streaming(request: CompletionRequest, target: Target) -> str | None:
    """Return the name of the field that prevents streaming, or None.

    A stream has one text and no log probabilities, and customizations cannot be streamed.
    """
    if target.customization_id is not None:
        return "customization_id"
    for name in ("n", "best_of"):
        if (getattr(request, name) or 1) > 1:
            return name
    return "logprobs" if request.logprobs is not None else None


def check_streaming(request: CompletionRequest, target: Target) -> None:
    """Raise `UsageError` for a request that cannot be streamed."""
    obstacle = obstacle_to_streaming(request, target)
    if obstacle is not None:
        raise UsageError(
            f"{obstacle}: a request with it cannot be streamed",
            hint="leave it out, or do not ask for a stream",
            field=obstacle,
        )


def read_value_event(event: Any) -> CompletionChunk:
    """Read an event of Writer's own APIs: `{"value": "…"}`, or the same inside `{"data": …}`.

    Raises `TypeError` or `KeyError` for anything else.
    """
    from writer_cli.models import CompletionChunk

    value = unwrapped(event)["value"]
    if not isinstance(value, str):
        raise TypeError("value: not a string")
    return CompletionChunk(value)


def unwrapped(event: Any) -> Any:
    """Return the content of an event, without the `{"data": …}` of the enterprise description."""
    inner = event.get("data") if isinstance(event, dict) else None
    return inner if isinstance(inner, dict) else event


def logprobs_from_content(logprobs: Any) -> dict[str, Any] | None:
    """Turn the list of tokens that chat APIs send into parallel lists; None for anything else.

    Source: `{"content": [{"token", "bytes", "logprob", "top_logprobs": [{"token", "bytes",
    "logprob"}]}]}`.
    """
    try:
        content = logprobs["content"]
        tokens = _texts(content)
        return {
            "tokens": tokens,
            "token_logprobs": [token["logprob"] for token in content],
            "top_logprobs": [_alternatives(token["top_logprobs"]) for token in content],
            "text_offset": [*accumulate(map(len, tokens), initial=0)][:-1],
        }
    except (TypeError, KeyError, ValueError):  # the text matters more
        return None


def _texts(content: Any) -> list[str]:
    """Return the text of each token; together they are the whole text.

    A token may be part of a character. Then the last of its tokens has the character, and the
    tokens before that one are empty.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    texts = []
    for number, token in enumerate(content, 1):
        text, raw = token["token"], token.get("bytes")
        is_last = number == len(content)
        texts.append(text if raw is None else decoder.decode(bytes(raw), final=is_last))
    return texts


def _alternatives(tokens: Any) -> dict[str, Any]:
    """Return the log probability of each token by its text.

    Of two tokens with the same text, the likelier one counts, which comes first.
    """
    alternatives: dict[str, Any] = {}
    for token in tokens:
        alternatives.setdefault(_name(token), token["logprob"])
    return alternatives


def _name(token: Any) -> Any:
    r"""Return the text of a token alone, or `bytes:\xe2\x82` for one that is part of a character.

    OpenAI's completions API writes such tokens in this way.
    """
    text, raw = token["token"], token.get("bytes")
    if raw is None:
        return text
    try:
        return bytes(raw).decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in raw)


def append_hint(error: WriterError, hint: str) -> None:
    """Append to the hint of an error."""
    error.hint = f"{error.hint}; {hint}" if error.hint else hint


def no_customizations(api: ApiName) -> UsageError:
    """Return the error of an API without customizations."""
    return UsageError(
        f"customizations exist only in the enterprise API, and the {api} API is in use",
        hint="--api enterprise, with --organization-id",
        field="customization_id",
    )


@lru_cache(maxsize=64)
def path_of(*segments: str | int) -> str:
    """Join segments to a path; each segment is percent-encoded completely (RFC 3986, 2.1).

    Raises `UsageError` for a segment that is empty, `.` or `..`, because it would change the path
    even when encoded, and for one that UTF-8 cannot encode or that is too long.
    """
    hint = "an id looks like palmyra-x5; `writer models` lists them"
    for segment in segments:
        if segment in {"", ".", ".."}:
            raise UsageError(f"{segment!r} is not an id", hint=hint)
        if len(str(segment)) > LONGEST_ID:
            raise UsageError(
                f"an id has at most {LONGEST_ID} characters, this one {len(str(segment))}",
                hint=hint,
            )
    try:
        return "/" + "/".join(quote(str(segment), safe="") for segment in segments)
    except UnicodeEncodeError as error:
        raise UsageError(f"{error.object!r} is not an id", hint=hint) from None
