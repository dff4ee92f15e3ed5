"""What a completion request says and what its answer holds, whichever API carries them."""

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
"""A number of tokens or of completions: 1 or more."""

CountOrZero = Annotated[int, Field(ge=0, le=INT64_MAX)]
"""A number that may be 0."""


def _without_lone_surrogates(value: Any) -> Any:
    r"""Replace what JSON can say and UTF-8 cannot: half of a surrogate pair, as in "\ud800"."""
    if not isinstance(value, str):
        return value
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _finite(value: float | None) -> float | None:
    return value if value is None or math.isfinite(value) else None


LogProbability = Annotated[float | None, AfterValidator(_finite)]
"""A natural logarithm, or None where a server sends none that JSON can say."""

Text = Annotated[str, BeforeValidator(_without_lone_surrogates)]
"""Text from a server, such that it can be written as UTF-8."""


class CompletionRequest(BaseModel):
    """What to complete, and how. A field that is None is not sent, so the API's default holds.

    The fields are those of the published descriptions of both APIs, which give no ranges. Here a
    value is refused that cannot be right under any reading; what is merely unusual is allowed, and
    `advice()` names it. Raises pydantic's `ValidationError`.

    Attributes:
        prompt: The text to continue.
        max_tokens: How many tokens to generate at the most; 1 or more.
        min_tokens: How many tokens to generate at the least; 0 to `max_tokens`.
        temperature: 0 takes the likeliest token each time, 1 samples as the model says.
        top_p: Sample only among the likeliest tokens whose probabilities reach this sum; 0 to 1.
        stop: The text ends before the first of these strings.
        presence_penalty: Taken once from the score of a token that has been generated before.
        frequency_penalty: Taken from the score for each time it has been generated before.
        best_of: Generate this many, return the best; `n` or more.
        n: How many completions to return.
        logprobs: For each token, the log probabilities of this many likeliest ones; 0 or more.
        random_seed: The same seed and the same request give the same text; 32 bits.
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
    def _fields_fit_together(self) -> "CompletionRequest":
        fewest, most = self.min_tokens, self.max_tokens
        if fewest is not None and most is not None and fewest > most:
            raise ValueError(f"min_tokens: {fewest} is more than max_tokens, {most}")
        if self.best_of is not None and self.best_of < (self.n or 1):
            raise ValueError(f"best_of: {self.best_of} is less than n, {self.n}")
        return self

    def set_fields(self) -> dict[str, Any]:
        """The fields that have a value, by name, in the order of declaration."""
        return self.model_dump(exclude_none=True)

    def advice(self) -> dict[str, str]:
        """What is allowed and unusual: the field's name and what Writer's documentation says."""
        advice = {}
        if self.stop is not None and len(self.stop) > MOST_STOP_SEQUENCES:
            advice["stop"] = (
                f"{len(self.stop)} stop sequences; {MOST_STOP_SEQUENCES} are documented"
            )
        if self.temperature is not None and self.temperature > HIGHEST_TEMPERATURE:
            advice["temperature"] = (
                f"{self.temperature:g}; 0 to {HIGHEST_TEMPERATURE} is documented"
            )
        if self.top_p == 0:
            advice["top_p"] = "0; over 0 up to 1 is documented"
        for name in ("presence_penalty", "frequency_penalty"):
            value = getattr(self, name)
            if value is not None and abs(value) > HIGHEST_PENALTY:
                advice[name] = f"{value:g}; -{HIGHEST_PENALTY} to {HIGHEST_PENALTY} is documented"
        return advice


MOST_STOP_SEQUENCES = 4
HIGHEST_TEMPERATURE = 2
HIGHEST_PENALTY = 2


class _Answer(BaseModel):
    """Read leniently: a field that is new to us is no reason to lose a text that was paid for."""

    # What a server sent is never quoted: it may hold the key.
    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


def _or_none(value: Any, read: ValidatorFunctionWrapHandler) -> Any:
    """Read a value, or take None for one that is not as promised: the text is what was paid for."""
    try:
        return read(value)
    except ValidationError:
        return None


class CompletionGenerationChoiceLogprobs(_Answer):
    """The tokens of a choice and how likely each was; the lists run in parallel.

    Attributes:
        tokens: The tokens; together they are the text.
        token_logprobs: The natural logarithm of each token's probability.
        top_logprobs: For each position, the likeliest tokens with their log probabilities.
        text_offset: Where each token begins in the text, in characters.
    """

    tokens: list[Text] | None = None
    token_logprobs: list[LogProbability] | None = None
    top_logprobs: list[dict[Text, LogProbability] | None] | None = None
    text_offset: list[int] | None = None


class CompletionGenerationChoice(_Answer):
    """One completion.

    Attributes:
        text: The text that continues the prompt.
        logprobs: How likely its tokens were, where that was asked for.
        finish_reason: Why it ended, where the server says it: `stop` at its own end or a stop
            sequence, `length` at the limit of tokens.
    """

    text: Text
    logprobs: CompletionGenerationChoiceLogprobs | None = None
    finish_reason: Text | None = None

    _text_outlives = field_validator("logprobs", "finish_reason", mode="wrap")(_or_none)


class Usage(_Answer):
    """The tokens that a server counted; None where it sent no number.

    Attributes:
        prompt_tokens: Tokens of the prompt.
        completion_tokens: Tokens of all completions together.
        total_tokens: Both together.
    """

    prompt_tokens: CountOrZero | None = None
    completion_tokens: CountOrZero | None = None
    total_tokens: CountOrZero | None = None

    _number_or_none = field_validator("*", mode="wrap")(_or_none)


class CompletionResponse(_Answer):
    """The completions, and what they used.

    Attributes:
        choices: In the order in which the API sent them, or of the index that it gave them.
        usage: The tokens, where the API counts them.
    """

    choices: list[CompletionGenerationChoice] = []
    usage: Usage | None = None

    _choices_outlive = field_validator("usage", mode="wrap")(_or_none)

    def as_dict(self) -> dict[str, Any]:
        """The choices and the usage as JSON results have them, null for what did not come."""
        choices = [
            {"index": index} | choice.model_dump() for index, choice in enumerate(self.choices)
        ]
        return {"choices": choices, "usage": self.usage and self.usage.model_dump()}


class CompletionChunk(NamedTuple):
    """A piece of a text that is still being generated.

    Attributes:
        text: May be empty.
        finish_reason: Why the text ends here, where the API says it.
        usage: The tokens of the whole completion, where the API sends them at the end.
    """

    text: str
    finish_reason: str | None = None
    usage: Usage | None = None


class Model(_Answer):
    """A model that can be asked; `type` is "GPT" or "Instruct", where the API says it."""

    model_config = ConfigDict(defer_build=True)

    id: Text
    name: Text
    type: Text | None = None


class Customization(_Answer):
    """A customization of a model, as far as one needs it to ask for a completion."""

    model_config = ConfigDict(defer_build=True)

    id: Text
    name: Text
    status: Text | None = None
    description: Text | None = None


@dataclass(kw_only=True, eq=False)
class CreateCompletionResponse:
    """The answer to `create`, with how it came.

    Attributes:
        completion_response: What the API answered.
        status_code: The HTTP status.
        content_type: The `Content-Type` header.
        headers: Every header, its name in lower case; a header may be sent more than once.
        make_raw_response: Makes `raw_response`, which few ask for and which takes time.
        attempts: How many requests it took.
        elapsed_s: Seconds from the first request to the end of the answer.
    """

    completion_response: CompletionResponse | None
    status_code: int
    content_type: str
    headers: dict[str, list[str]]
    make_raw_response: "Callable[[], httpx.Response]" = field(repr=False)
    attempts: int = 1
    elapsed_s: float = 0.0

    @cached_property
    def raw_response(self) -> "httpx.Response":
        """The HTTP library's own object, with the body that was read."""
        return self.make_raw_response()

    @property
    def usage(self) -> Usage | None:
        """The tokens that the API counted, where it does."""
        return None if self.completion_response is None else self.completion_response.usage

    @property
    def action_id(self) -> str | None:
        """Writer's id of the request, from the `Action-Id` header; what support asks for."""
        return self.headers.get("action-id", [None])[0]


class CreateModelCustomizationCompletionResponse(CreateCompletionResponse):
    """The answer to `create_model_customization_completion`, with how it came."""
