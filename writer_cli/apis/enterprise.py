"""The enterprise API: `https://enterprise-api.writer.com/llm/organization/…`.

Source: Writer's published OpenAPI description "Writer Enterprise API" 1.7.
"""

from typing import Any

from writer_cli.apis import ApiName, Call, Target, path_of
from writer_cli.errors import ConfigurationError
from writer_cli.models import CompletionRequest, CompletionResponse

_WIRE_NAMES = {
    "prompt": "prompt",
    "max_tokens": "maxTokens",
    "min_tokens": "minTokens",
    "temperature": "temperature",
    "top_p": "topP",
    "stop": "stop",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
    "best_of": "bestOf",
    "n": "n",
    "logprobs": "logprobs",
}


class EnterpriseApi:
    """The dialect of the enterprise API: the ids stand in the path, names are in camel case."""

    name: ApiName = "enterprise"
    base_url = "https://enterprise-api.writer.com"

    def completion(self, request: CompletionRequest, target: Target) -> Call:
        """POST to the model's, or to the customization's, completions."""
        segments = [*self._organization(target), "model", target.model_id]
        if target.customization_id is not None:
            segments += ["customization", target.customization_id]
        return Call(
            method="POST",
            path=path_of(*segments, "completions"),
            body={_WIRE_NAMES[name]: value for name, value in request.set_fields().items()},
        )

    def read_completion(self, body: dict[str, Any]) -> CompletionResponse:
        """Read `{"choices": [{"text", "logprobs": {"tokenLogprobs", …}}]}`."""
        return CompletionResponse(
            choices=[
                choice | {"logprobs": _read_logprobs(choice.get("logprobs"))}
                for choice in body.get("choices") or []
            ]
        )

    @staticmethod
    def _organization(target: Target) -> list[str | int]:
        if target.organization_id is None:
            raise ConfigurationError(
                "no organization id: it is part of the address of the enterprise API",
                hint="writer config set organization_id 123, or WRITER_ORGANIZATION_ID=123, "
                "or --organization-id 123; in Python, Writer(organization_id=123)",
            )
        return ["llm", "organization", target.organization_id]


def _read_logprobs(logprobs: Any) -> dict[str, Any] | None:
    if not isinstance(logprobs, dict):
        return None  # the text is worth more than they are
    return {
        "tokens": logprobs.get("tokens"),
        "token_logprobs": logprobs.get("tokenLogprobs"),
        "top_logprobs": logprobs.get("topLogprobs"),
        "text_offset": logprobs.get("textOffset"),
    }
