"""The request and the response of a completion, the same for all APIs."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidatorFunctionWrapHandler,
    field_validator,
    model_validator,
)

if TYPE_CHECKING:
    import httpx

INT64_MAX = 2**63 - 1

Count = Annotated[int, Field(ge=1, le=INT64_MAX)]
"""An integer of 1 or more, such as a number of tokens."""

CountOrZero = Annotated[int, Field(ge=0, le=INT64_MAX)]
"""An integer of 0 or more."""


def _without_lone_surrogates(value: Any) -> Any:
    r"""Replace lone surrogates, such as "\ud800": JSON can contain them, UTF-8 cannot."""
    if not isinstance(value, str):
        return value
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _finite(value: float | None) -> float | None:
    return value if value is None or math.isfinite(value) else None


LogProbability = Annotated[float | None, AfterValidator(_finite)]
"""A natural logarithm, or None if the server sends none, or one that is not finite."""

Text = Annotated[str, BeforeValidator(_without_lone_surrogates)]
"""Text from a server that can be encoded as UTF-8."""


class CompletionRequest(BaseModel):
    """The prompt and the parameters. A field that is None is not sent: the API uses its default.

    The published descriptions of the APIs have these fields and give no ranges. Values that can
    never be valid are refused. Unusual values are allowed, and `advice()` reports them. Raises
    pydantic's `ValidationError`.

    Attributes:
        prompt: The text to continue.
        max_tokens: The maximum number of tokens to generate; 1 or more.
        min_tokens: The minimum number of tokens to generate; 0 to `max_tokens`.
        temperature: 0 always takes the most likely token, 1 samples from the model's distribution.
        top_p: Sample only from the most likely tokens whose probabilities add up to this; 0 to 1.
        stop: The text ends before the first of these strings; none may be empty.
        presence_penalty: Subtracted once from the score of each token that was already generated.
        frequency_penalty: Subtracted from the score each time the token was already generated.
        best_of: Generate this many completions, return the best ones; `n` or more.
        n: How many completions to return.
        logprobs: Return the log probabilities of this many most likely tokens at each position;
            0 or more.
        random_seed: The same seed and the same request give the same text; a signed 32-bit integer.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)

    prompt: Annotated[str, StringConstraints(min_length=1)]
    max_tokens: Count | None = None
    min_tokens: CountOrZero | None = None
    temperature: Annotated[float, Field(ge=0)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    stop: list[Annotated[str, StringConstraints(min_length=1)]] | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    best_of: Count | None = None
    n: Count | None = None
    logprobs: CountOrZero | None = None
    random_seed: Annotated[int, Field(ge=-(2**31), lt=2**31)] | None = None

    @model_validator(mode="after")
    def _check_combinations(self) -> "CompletionRequest":
        fewest, most = self.min_tokens, self.max_tokens
        if fewest is not None and most is not None and fewest > most:
            raise ValueError(f"min_tokens: {fewest} is more than max_tokens, {most}")
        if self.best_of is not None and self.best_of < (self.n or 1):
            raise ValueError(f"best_of: {self.best_of} is less than n, {self.n}")
        return self

    def set_fields(self) -> dict[str, Any]:
        """Return the fields that are not None, by name, in the order of declaration."""
        return self.model_dump(exclude_none=True)

    def advice(self) -> dict[str, str]:
        """Return a warning for each value outside the documented range, by field name."""
        advice = {}
        if self.stop is not None and len(self.stop) > MOST_STOP_SEQUENCES:
            advice["stop"] = (
                f"{len(self.stop)} stop sequences; the documented maximum is {MOST_STOP_SEQUENCES}"
            )
        if self.temperature is not None and self.temperature > HIGHEST_TEMPERATURE:
            advice["temperature"] = (
                f"{self.temperature:g}; the documented range is 0 to {HIGHEST_TEMPERATURE}"
            )
        if self.top_p == 0:
            advice["top_p"] = "0; the documented range is above 0, up to 1"
        for name in ("presence_penalty", "frequency_penalty"):
            value = getattr(self, name)
            if value is not None and abs(value) > HIGHEST_PENALTY:
                advice[name] = (
                    f"{value:g}; the documented range is -{HIGHEST_PENALTY} to {HIGHEST_PENALTY}"
                )
        return advice


MOST_STOP_SEQUENCES = 4
HIGHEST_TEMPERATURE = 2
HIGHEST_PENALTY = 2


class _Answer(BaseModel):
    """Parsed leniently: an unknown field must not make a paid text unusable."""

    # Errors must not quote what a server sent: it may contain the key.
    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


def _or_none(value: Any, read: ValidatorFunctionWrapHandler) -> Any:
    """Read a value, or return None if it is invalid: only the text is essential."""
    try:
        return read(value)
    except ValidationError:
        return None


class CompletionGenerationChoiceLogprobs(_Answer):
    """The tokens of a choice and their log probabilities; the lists are parallel.

    Attributes:
        tokens: The tokens; joined, they are the text.
        token_logprobs: The natural logarithm of the probability of each token.
        top_logprobs: At each position, the most likely tokens with their log probabilities.
        text_offset: The offset of each token in the text, in characters.
    """

    tokens: list[Text] | None = None
    token_logprobs: list[LogProbability] | None = None
    top_logprobs: list[dict[Text, LogProbability] | None] | None = None
    text_offset: list[int] | None = None


class CompletionGenerationChoice(_Answer):
    """One completion.

    Attributes:
        text: The text that continues the prompt.
        logprobs: The log probabilities of its tokens, if the request asked for them.
        finish_reason: Why the text ended, if the server says so: `stop` at its natural end or at
            a stop sequence, `length` at `max_tokens`.
    """

    text: Text
    logprobs: CompletionGenerationChoiceLogprobs | None = None
    finish_reason: Text | None = None

    _lenient_fields = field_validator("logprobs", "finish_reason", mode="wrap")(_or_none)


class Usage(_Answer):
    """The token counts of a server; None if it sent no number.

    Attributes:
        prompt_tokens: Tokens in the prompt.
        completion_tokens: Tokens in all completions together.
        total_tokens: The sum of both.
    """

    prompt_tokens: CountOrZero | None = None
    completion_tokens: CountOrZero | None = None
    total_tokens: CountOrZero | None = None

    _lenient_numbers = field_validator("*", mode="wrap")(_or_none)


class CompletionResponse(_Answer):
    """The completions, and the tokens they used.

    Attributes:
        choices: The completions, in the order of their index if the API sends one, else as sent.
        usage: The token counts, if the API sends them.
    """

    choices: list[CompletionGenerationChoice] = []
    usage: Usage | None = None

    _lenient_usage = field_validator("usage", mode="wrap")(_or_none)

    def as_dict(self) -> dict[str, Any]:
        """Return choices and usage as JSON, null if the server sent none."""
        choices = [
            {"index": index} | choice.model_dump() for index, choice in enumerate(self.choices)
        ]
        return {"choices": choices, "usage": self.usage and self.usage.model_dump()}


class CompletionChunk(NamedTuple):
    """One chunk of a stream.

    Attributes:
        text: The next part of the text; may be empty.
        finish_reason: Why the text ends with this chunk, if the API says so.
        usage: The token counts of the whole completion, if the API sends them at the end.
    """

    text: str
    finish_reason: str | None = None
    usage: Usage | None = None


class Model(_Answer):
    """A model; `type` is "GPT" or "Instruct", or None if the API does not send it."""

    model_config = ConfigDict(defer_build=True)

    id: Text
    name: Text
    type: Text | None = None


class Customization(_Answer):
    """A customization of a model."""

    model_config = ConfigDict(defer_build=True)

    id: Text
    name: Text
    status: Text | None = None
    description: Text | None = None


@dataclass(kw_only=True, eq=False)
class CreateCompletionResponse:
    """The answer to `create`, with its HTTP metadata.

    Attributes:
        completion_response: The completions and their usage.
        status_code: The HTTP status.
        content_type: The `Content-Type` header.
        headers: All headers by name in lower case, each with the list of its values.
        make_raw_response: Creates `raw_response` when it is first used.
        attempts: How many requests were sent.
        elapsed_s: Seconds from the first request to the end of the answer.
        recorded_at: When the answer was recorded, in UTC, where it comes from a cache.
    """

    completion_response: CompletionResponse | None
    status_code: int
    content_type: str
    headers: dict[str, list[str]]
    make_raw_response: "Callable[[], httpx.Response]" = field(repr=False)
    attempts: int = 1
    elapsed_s: float = 0.0
    recorded_at: str | None = None

    @property
    def cached(self) -> bool:
        """Whether the answer comes from a cache; nothing was sent then."""
        return self.recorded_at is not None

    @cached_property
    def raw_response(self) -> "httpx.Response":
        """The HTTP library's response object, with the complete body."""
        return self.make_raw_response()

    @property
    def usage(self) -> Usage | None:
        """The token counts, if the API sends them."""
        return None if self.completion_response is None else self.completion_response.usage

    @property
    def action_id(self) -> str | None:
        """Writer's id of the request, from the `Action-Id` header, for questions to support."""
        return self.headers.get("action-id", [None])[0]


class CreateModelCustomizationCompletionResponse(CreateCompletionResponse):
    """The answer to `create_model_customization_completion`, with its HTTP metadata."""
