"""The API of AI Studio: `https://api.writer.com/v1/…`.

Source: Writer's published OpenAPI description "API" 1.0.
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
    logprobs_from_content,
    no_customizations,
    read_value_event,
)
from writer_cli.apis.retired import RETIRED_MODELS, Retirement
from writer_cli.errors import SDKError, WriterError
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
        "temperature",
        "top_p",
        "stop",
        "best_of",
        "random_seed",
    )
}


class StudioApi:
    """The dialect of AI Studio: the model is in the body, field names are in snake case."""

    name: ApiName = "studio"
    base_url: str | None = BASE_URLS["studio"]
    needs_key = True
    needs_organization = False
    ends_with_done = False
    retired_models: Mapping[str, Retirement] = RETIRED_MODELS

    def completion(
        self, request: CompletionRequest, target: Target, *, stream: bool = False
    ) -> Call:
        """POST to the completions; the body asks for a stream."""
        if target.customization_id is not None:
            raise no_customizations(self.name)
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
                    choice | {"logprobs": logprobs_from_content(choice.get("log_probs"))}
                    for choice in choices_in(body)
                ],
                "usage": body.get("usage"),
            }
        )

    def read_event(self, event: Any) -> CompletionChunk:
        """Read `{"value": "…"}`."""
        return read_value_event(event)

    def models(self, target: Target) -> Call:  # noqa: ARG002 - every dialect has one
        """GET the models."""
        return Call(method="GET", path="/v1/models")

    def read_models(self, body: dict[str, Any]) -> list[Model]:
        """Read `{"models": [{"id", "name"}]}`."""
        return [Model.model_validate(model) for model in body["models"]]

    def customizations(self, target: Target) -> Call:  # noqa: ARG002 - every dialect has one
        """Raise `UsageError`: there are none."""
        raise no_customizations(self.name)

    def read_customizations(self, body: dict[str, Any]) -> list[Customization]:  # noqa: ARG002
        """Raise `UsageError`: there are none."""
        raise no_customizations(self.name)

    def add_hint(self, error: WriterError, organization_id: int | None) -> None:
        """Name the enterprise API if the error suggests that the key belongs to it."""
        is_refused = isinstance(error, SDKError) and error.status_code == HTTPStatus.UNAUTHORIZED
        if is_refused and organization_id is not None:
            append_hint(error, "a key that belongs to an organization needs --api enterprise")
