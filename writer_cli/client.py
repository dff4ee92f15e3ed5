"""The library: `Writer(...).completions.create(...)`, as Writer's SDK documents it."""

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Self, TypeVar

from pydantic import ValidationError

from writer_cli import apis
from writer_cli.apis import ApiName, AuthScheme, Call, Target
from writer_cli.connection import Answer, Connection, PreparedRequest
from writer_cli.errors import BadAnswerError
from writer_cli.models import (
    CompletionRequest,
    CompletionResponse,
    CreateCompletionResponse,
    CreateModelCustomizationCompletionResponse,
)

DEFAULT_TIMEOUT = 180.0
"""Seconds to wait for an answer; what Writer's own SDK waits."""

SANDBOX_URL = "http://sandbox.localhost"
SANDBOX_KEY = "the-sandbox-needs-none"  # and no other text has it, for it is redacted
SANDBOX_MODEL = "sandbox"
SANDBOX_ORGANIZATION = 1

_Response = TypeVar("_Response", bound=CreateCompletionResponse)


class Writer:
    """A connection to Writer's completion API, or to the embedded sandbox.

    Usable from several threads; a `with` block or `close()` gives its connections back.

    Args:
        api_key: The key, or a function that returns it; `$WRITER_API_KEY` if left out. It is never
            part of a repr or of a message.
        organization_id: Part of the address of the enterprise API; each call may give its own.
        api: The dialect to speak.
        base_url: Another address than the API's own: https, or http to this machine.
        timeout: Seconds to wait for an answer, of which up to 5 for the connection.
        auth_scheme: `"bearer"`, or `"raw"` to send the bare key.
        sandbox: Answer in this process, without key and network.

    Raises:
        ConfigurationError: A base URL to which no key may be sent.
    """

    def __init__(
        self,
        api_key: str | Callable[[], str | None] | None = None,
        organization_id: int | None = None,
        *,
        api: ApiName = "enterprise",
        base_url: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        auth_scheme: AuthScheme = "bearer",
        sandbox: bool = False,
    ) -> None:
        self.api = apis.get(api)
        self.sandbox = sandbox
        self.organization_id = organization_id
        if sandbox:
            base_url, api_key = SANDBOX_URL, SANDBOX_KEY
            if organization_id is None:
                self.organization_id = SANDBOX_ORGANIZATION
        self.connection = Connection(
            apis.checked_base_url(base_url or self.api.base_url),
            api_key or os.environ.get("WRITER_API_KEY"),
            auth_scheme=auth_scheme,
            timeout=timeout,
            in_process=sandbox,
        )
        self.completions = Completions(self)

    def __repr__(self) -> str:
        where = "sandbox" if self.sandbox else self.connection.base_url
        return f"Writer({where}, organization_id={self.organization_id})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        self.connection.close()


class Completions:
    """The two operations. Parameters, response and errors are those of Writer's SDK."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def create(
        self,
        *,
        completion_request: CompletionRequest,
        model_id: str,
        organization_id: int | None = None,
    ) -> CreateCompletionResponse:
        """Create completion for LLM model.

        Args:
            completion_request: What to complete, and how.
            model_id: The model's id, such as `palmyra-x5`.
            organization_id: Overrides the client's.

        Raises:
            ConfigurationError: No key or no organization id; nothing was sent.
            UsageError: An id that cannot be part of an address; nothing was sent.
            FailResponse: 400, 401, 403, 404 or 500 with JSON.
            SDKError: Any other status of 400 to 599.
            NetworkError: No answer came.
            BadAnswerError: The answer is not what the API promises.
        """
        target = Target(model_id=model_id, organization_id=organization_id)
        return self._create(CreateCompletionResponse, completion_request, target)

    def create_model_customization_completion(
        self,
        *,
        completion_request: CompletionRequest,
        customization_id: str,
        model_id: str,
        organization_id: int | None = None,
    ) -> CreateModelCustomizationCompletionResponse:
        """Create completion for LLM customization model.

        Args:
            completion_request: What to complete, and how.
            customization_id: The id of a customization of the model.
            model_id: The model's id; the API wants it too.
            organization_id: Overrides the client's.

        Raises:
            WriterError: The same errors as `create`.
        """
        target = Target(
            model_id=model_id, organization_id=organization_id, customization_id=customization_id
        )
        return self._create(CreateModelCustomizationCompletionResponse, completion_request, target)

    def prepare(
        self,
        *,
        completion_request: CompletionRequest,
        model_id: str,
        customization_id: str | None = None,
        organization_id: int | None = None,
    ) -> PreparedRequest:
        """Say what `create` would send, but for the key, and send nothing. Raises as it does."""
        target = Target(
            model_id=model_id, organization_id=organization_id, customization_id=customization_id
        )
        return self._writer.connection.prepare(self._call(completion_request, target))

    def _call(self, completion_request: CompletionRequest, target: Target) -> Call:
        if target.organization_id is None:
            target = replace(target, organization_id=self._writer.organization_id)
        return self._writer.api.completion(completion_request, target)

    def _create(
        self, kind: type[_Response], completion_request: CompletionRequest, target: Target
    ) -> _Response:
        self._writer.connection.check_key()
        answer = self._writer.connection.send(self._call(completion_request, target))
        return kind(
            completion_response=self._read(answer),
            status_code=answer.status_code,
            content_type=answer.content_type,
            headers=answer.headers,
            raw_response=answer.raw_response,
            elapsed_s=answer.elapsed_s,
        )

    def _read(self, answer: Answer) -> CompletionResponse:
        try:
            return self._writer.api.read_completion(answer.json_object())
        except (ValidationError, TypeError, AttributeError) as error:
            raise BadAnswerError(
                f"the answer is JSON and not a completion: {answer.excerpt()}"
            ) from error
