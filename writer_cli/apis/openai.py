"""OpenAI's completions API, which vLLM, llama.cpp, Ollama and LM Studio serve too.

Sources: OpenAI's reference of `POST /v1/completions`; answers of vLLM 0.32 and llama.cpp's server.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from writer_cli.apis.access import ApiName
from writer_cli.apis.dialect import (
    EVENT_STREAM,
    JSON,
    Call,
    Target,
    body_of,
    choices_in,
    logprobs_from_content,
    no_customizations,
)
from writer_cli.apis.retired import Retirement
from writer_cli.errors import BadAnswerError, NetworkError, SDKError, WriterError
from writer_cli.models import (
    CompletionChunk,
    CompletionRequest,
    CompletionResponse,
    Customization,
    Model,
)

_WIRE_NAMES = {
    name: name
    for name in (
        "prompt",
        "max_tokens",
        "min_tokens",
        "temperature",
        "top_p",
        "stop",
        "presence_penalty",
        "frequency_penalty",
        "best_of",
        "n",
        "logprobs",
    )
} | {"random_seed": "seed"}


class OpenAIApi:
    """The dialect of inference servers: the model is in the body, each choice has its index."""

    name: ApiName = "openai"
    base_url: str | None = None
    needs_key = False
    needs_organization = False
    ends_with_done = True
    retired_models: Mapping[str, Retirement] = MappingProxyType({})

    def completion(
        self, request: CompletionRequest, target: Target, *, stream: bool = False
    ) -> Call:
        """POST to the completions; the body asks for a stream."""
        if target.customization_id is not None:
            raise no_customizations(self.name)
        body = {"model": target.model_id} | body_of(request, _WIRE_NAMES, self.name)
        streaming = {"stream": True, "stream_options": {"include_usage": True}}
        return Call(
            method="POST",
            path="/v1/completions",
            body=body | streaming if stream else body,
            accept=EVENT_STREAM if stream else JSON,
        )

    def read_completion(self, body: dict[str, Any]) -> CompletionResponse:
        """Read `{"choices": [{"index", "text", "logprobs", "finish_reason"}], "usage"}`."""
        choices = sorted(choices_in(body), key=lambda choice: choice.get("index") or 0)
        read = [choice | {"logprobs": _read_logprobs(choice.get("logprobs"))} for choice in choices]
        return CompletionResponse.model_validate({"choices": read, "usage": body.get("usage")})

    def read_event(self, event: Any) -> CompletionChunk:
        """Read `{"choices": [{"index", "text", "finish_reason"}], "usage"}`.

        The usage may come in an event without choices. Only the choice with the index 0 is
        read, because a request for several choices is never streamed.
        """
        choices = (choice for choice in event["choices"] if not choice.get("index"))
        first = next(choices, {"text": ""})
        text, reason = first["text"], first.get("finish_reason")
        if not isinstance(text, str) or not isinstance(reason, str | None):
            raise TypeError("text or finish_reason: not a string")
        usage = CompletionResponse.model_validate({"usage": event.get("usage")}).usage
        return CompletionChunk(text, reason, usage)

    def models(self, target: Target) -> Call:  # noqa: ARG002 - every dialect has one
        """GET the models."""
        return Call(method="GET", path="/v1/models")

    def read_models(self, body: dict[str, Any]) -> list[Model]:
        """Read `{"data": [{"id"}]}`."""
        return [Model.model_validate({"id": one["id"], "name": one["id"]}) for one in body["data"]]

    def customizations(self, target: Target) -> Call:  # noqa: ARG002 - every dialect has one
        """Raise `UsageError`: there are none."""
        raise no_customizations(self.name)

    def read_customizations(self, body: dict[str, Any]) -> list[Customization]:  # noqa: ARG002
        """Raise `UsageError`: there are none."""
        raise no_customizations(self.name)

    def add_hint(self, error: WriterError, organization_id: int | None) -> None:  # noqa: ARG002
        """Say what helps with a server that the user runs."""
        if isinstance(error, SDKError) and error.kind == "not_found":
            error.hint = (
                "`writer models` lists the models of this server: name one of them with -m; "
                "if that fails too, `writer config check` shows the base URL"
            )
        elif error.kind == BadAnswerError.kind:
            error.hint = "check that --base-url is the URL of the server: `writer config check`"
        elif type(error) is NetworkError and error.retryable:
            error.hint = "check that the server runs at this URL: `writer config check`"


def _read_logprobs(logprobs: Any) -> dict[str, Any] | None:
    """Read both shapes: the parallel lists of vLLM, and the list of tokens of llama.cpp."""
    if isinstance(logprobs, dict) and "content" in logprobs:
        return logprobs_from_content(logprobs)
    return logprobs if isinstance(logprobs, dict) else None
