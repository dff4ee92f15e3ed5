"""The API of AI Studio: `https://api.writer.com/v1/…`.

Source: Writer's published OpenAPI description "API" 1.0.
"""

from itertools import accumulate
from typing import Any

from writer_cli.apis.dialect import EVENT_STREAM, JSON, ApiName, Call, Target, body_of
from writer_cli.errors import UsageError
from writer_cli.models import CompletionRequest, CompletionResponse, Customization, Model

_WIRE_NAMES = {
    name: name
    for name in (
        "prompt",
        "max_tokens",
        "temperature",
        "top_p",
        "stop",
        "best_of",
        "random_seed",
    )
}


class StudioApi:
    """The dialect of AI Studio: the model stands in the body, names are in snake case."""

    name: ApiName = "studio"
    base_url = "https://api.writer.com"

    def completion(
        self, request: CompletionRequest, target: Target, *, stream: bool = False
    ) -> Call:
        """POST to the completions; a stream is a field of the body."""
        if target.customization_id is not None:
            raise _only_enterprise()
        body = {"model": target.model_id} | body_of(request, _WIRE_NAMES, self.name)
        return Call(
            method="POST",
            path="/v1/completions",
            body=body | {"stream": True} if stream else body,
            accept=EVENT_STREAM if stream else JSON,
        )

    def read_completion(self, body: dict[str, Any]) -> CompletionResponse:
        """Read `{"choices": [{"text", "log_probs": {"content": […]}}], "model"}`."""
        return CompletionResponse.model_validate(
            {
                "choices": [
                    choice | {"logprobs": _read_logprobs(choice.get("log_probs"))}
                    for choice in body.get("choices") or []
                ]
            }
        )

    def models(self, target: Target) -> Call:  # noqa: ARG002 - every dialect has one
        """GET the models."""
        return Call(method="GET", path="/v1/models")

    def read_models(self, body: dict[str, Any]) -> list[Model]:
        """Read `{"models": [{"id", "name"}]}`."""
        return [Model.model_validate(model) for model in body["models"]]

    def customizations(self, target: Target) -> Call:  # noqa: ARG002 - every dialect has one
        """Raise `UsageError`: there are none."""
        raise _only_enterprise()

    def read_customizations(self, body: dict[str, Any]) -> list[Customization]:  # noqa: ARG002
        """Raise `UsageError`: there are none."""
        raise _only_enterprise()


def _only_enterprise() -> UsageError:
    return UsageError(
        "customizations exist only in the enterprise API, and the studio API is in use",
        hint="--api enterprise, with --organization-id",
        field="customization_id",
    )


def _read_logprobs(logprobs: Any) -> dict[str, Any] | None:
    """Read a list of tokens as the parallel lists that the other API sends."""
    try:
        content = logprobs["content"]
        tokens = [token["token"] for token in content]
        return {
            "tokens": tokens,
            "token_logprobs": [token["logprob"] for token in content],
            "top_logprobs": [
                {top["token"]: top["logprob"] for top in token["top_logprobs"]} for token in content
            ],
            "text_offset": list(accumulate(map(len, tokens[:-1]), initial=0)) if tokens else [],
        }
    except (TypeError, KeyError):  # none, or not of that shape: the text is what was paid for
        return None
