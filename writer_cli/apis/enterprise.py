"""The enterprise API: `https://enterprise-api.writer.com/llm/organization/…`.

Source: Writer's published OpenAPI description "Writer Enterprise API" 1.7.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from writer_cli.apis.access import BASE_URLS, ApiName
from writer_cli.apis.dialect import (
    EVENT_STREAM,
    JSON,
    Call,
    Target,
    append_hint,
    body_of,
    choices_in,
    path_of,
    read_value_event,
)
from writer_cli.apis.retired import RETIRED_MODELS, Retirement
from writer_cli.errors import (
    ConfigurationError,
    DeadlineError,
    NetworkError,
    SDKError,
    WriterError,
)
from writer_cli.models import (
    CompletionChunk,
    CompletionRequest,
    CompletionResponse,
    Customization,
    Model,
)

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
    """The dialect of the enterprise API: ids are in the path, field names in camel case."""

    name: ApiName = "enterprise"
    base_url: str | None = BASE_URLS["enterprise"]
    needs_key = True
    needs_organization = True
    ends_with_done = False
    retired_models: Mapping[str, Retirement] = RETIRED_MODELS

    def completion(
        self, request: CompletionRequest, target: Target, *, stream: bool = False
    ) -> Call:
        """POST to the completions of the model or customization; a stream has its own path."""
        segments = self._model(target)
        if target.customization_id is not None:
            segments += ["customization", target.customization_id]
        segments += ["completions", "stream"] if stream else ["completions"]
        return Call(
            method="POST",
            path=path_of(*segments),
            body=body_of(request, _WIRE_NAMES, self.name),
            accept=EVENT_STREAM if stream else JSON,
        )

    def read_completion(self, body: dict[str, Any]) -> CompletionResponse:
        """Read `{"choices": [{"text", "logprobs": {"tokenLogprobs", …}}]}`."""
        return CompletionResponse.model_validate(
            {
                "choices": [
                    choice | {"logprobs": _read_logprobs(choice.get("logprobs"))}
                    for choice in choices_in(body)
                ],
                "usage": body.get("usage"),
            }
        )

    def read_event(self, event: Any) -> CompletionChunk:
        """Read `{"value": "…"}`."""
        return read_value_event(event)

    def models(self, target: Target) -> Call:
        """GET the organization's models."""
        return Call(method="GET", path=path_of(*self._organization(target), "model"))

    def read_models(self, body: dict[str, Any]) -> list[Model]:
        """Read `{"data": [{"id", "name", "type"}]}`."""
        return [Model.model_validate(model) for model in body["data"]]

    def customizations(self, target: Target) -> Call:
        """GET the customizations of a model."""
        return Call(method="GET", path=path_of(*self._model(target), "customization"))

    def read_customizations(self, body: dict[str, Any]) -> list[Customization]:
        """Read `{"customizations": [{"id", "name", "status", …}]}`."""
        return [Customization.model_validate(one) for one in body["customizations"]]

    def add_hint(self, error: WriterError, organization_id: int | None) -> None:  # noqa: ARG002
        """Name the AI Studio API if the error suggests that the key belongs to it."""
        status = error.status_code if isinstance(error, SDKError) else None
        if isinstance(error, DeadlineError):  # it says nothing about the API
            return
        if (
            isinstance(error, NetworkError)
            or status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND, HTTPStatus.GONE}
            or error.content_type.lower().startswith("text/html")
        ):
            append_hint(error, "a key of AI Studio needs --api studio")

    def _model(self, target: Target) -> list[str | int]:
        return [*self._organization(target), "model", target.model_id]

    @staticmethod
    def _organization(target: Target) -> list[str | int]:
        if target.organization_id is None:
            raise ConfigurationError(
                "no organization id: it is part of the URL in the enterprise API",
                hint="set it with `writer config set organization_id 123`, or with "
                "WRITER_ORGANIZATION_ID=123 or --organization-id 123; in Python, "
                "Writer(organization_id=123)",
            )
        return ["llm", "organization", target.organization_id]


def _read_logprobs(logprobs: Any) -> dict[str, Any] | None:
    if not isinstance(logprobs, dict):
        return None  # the text matters more
    return {
        "tokens": logprobs.get("tokens"),
        "token_logprobs": logprobs.get("tokenLogprobs"),
        "top_logprobs": logprobs.get("topLogprobs"),
        "text_offset": logprobs.get("textOffset"),
    }
