"""The library: `Writer(...).completions.create(...)`, with the interface of Writer's SDK."""

import builtins
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self, TypeVar

from writer_cli import apis
from writer_cli.apis import access, dialect
from writer_cli.apis.access import AuthScheme
from writer_cli.apis.dialect import ApiName, Call, Target
from writer_cli.errors import UsageError, WriterError
from writer_cli.http.connection import Connection, PreparedRequest
from writer_cli.http.deadline import DEFAULT_TIMEOUT
from writer_cli.http.retry import DEFAULT_MAX_RETRIES, RetryPolicy, Wait
from writer_cli.models import (
    CompletionRequest,
    CreateCompletionResponse,
    CreateModelCustomizationCompletionResponse,
    Customization,
    Model,
)

if TYPE_CHECKING:
    from writer_cli.http.stream import CompletionStream

_Response = TypeVar("_Response", bound=CreateCompletionResponse)


class Writer:
    """A client of a completion API, or of the embedded sandbox. Thread-safe.

    Close it with `close()`, or use it as a context manager.

    Args:
        api_key: The key, or a function that returns it; by default `$WRITER_API_KEY`. It never
            appears in a repr or a message. The `openai` API works without a key.
        organization_id: The organization in the enterprise API; a call can override it.
        api: The API to use.
        base_url: Base URL to use instead of the API's own: https, or http to this machine. The
            `openai` API has no default and needs one.
        timeout: Seconds to wait for the answer, or for the next part of a stream; at most 5 of
            them for the connection.
        max_retries: How many times to retry after a temporary failure; 0 or more.
        deadline: Seconds for a call, retries and waits included; None is no limit.
        on_wait: Called before each wait for a retry.
        auth_scheme: `"bearer"`, or `"raw"` to send the key without `Bearer`.
        allow_http: Allow plain http to a host in a private network. Anyone in that network can then
            read the key and the texts.
        sandbox: Answer in this process, without a key and without the network.

    Raises:
        ConfigurationError: The base URL is invalid, not safe for a key, or missing.
    """

    def __init__(
        self,
        api_key: str | Callable[[], str | None] | None = None,
        organization_id: int | None = None,
        *,
        api: ApiName = "enterprise",
        base_url: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        max_retries: int = DEFAULT_MAX_RETRIES,
        deadline: float | None = None,
        on_wait: Callable[[Wait], None] | None = None,
        auth_scheme: AuthScheme = "bearer",
        allow_http: bool = False,
        sandbox: bool = False,
    ) -> None:
        self.api = apis.get(api)
        self.sandbox = sandbox
        self.organization_id = organization_id
        transport = None
        if sandbox:
            from writer_cli import sandbox as embedded
            from writer_cli.sandbox.in_process import SandboxTransport

            transport = SandboxTransport()
            base_url, api_key = embedded.url(embedded.ADDRESS, api), embedded.KEY
            if organization_id is None:
                self.organization_id = embedded.ORGANIZATION
        self.connection = Connection(
            access.checked_base_url(base_url or self.api.base_url, allow_http=allow_http),
            api_key or os.environ.get("WRITER_API_KEY"),
            auth_scheme=auth_scheme,
            needs_key=self.api.needs_key,
            timeout=timeout,
            retries=RetryPolicy(max_retries=max_retries, deadline=deadline, on_wait=on_wait),
            sandbox=transport,
        )
        self.completions = Completions(self)
        self.models = Models(self)
        self.customizations = Customizations(self)

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

    def target(
        self, model_id: str, organization_id: int | None, customization_id: str | None = None
    ) -> Target:
        """Return the target of a call, by default in the organization of the client.

        Raises `UsageError` for an id that UTF-8 cannot encode.
        """
        for name, value in (("model_id", model_id), ("customization_id", customization_id)):
            if value is not None and any("\ud800" <= letter <= "\udfff" for letter in value):
                raise UsageError(
                    f"{name} is not UTF-8", hint="an id looks like palmyra-x5", field=name
                )
        if organization_id is None:
            organization_id = self.organization_id
        return Target(
            model_id=model_id, organization_id=organization_id, customization_id=customization_id
        )

    @contextmanager
    def hints(self) -> Iterator[None]:
        """Append what an error may mean with this API to its hint."""
        try:
            yield
        except WriterError as error:
            if not self.sandbox:
                self.api.add_hint(error, self.organization_id)
            raise


class Completions:
    """Completions. Parameters, responses and errors are those of Writer's SDK."""

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
            completion_request: The prompt and the parameters.
            model_id: The model's id, such as `palmyra-x5`.
            organization_id: Overrides the organization of the client.

        Raises:
            ConfigurationError: The key or the organization id is missing; nothing was sent.
            UsageError: An id is invalid, or the API does not have a field; nothing was sent.
            FailResponse: The API describes an error in JSON.
            SDKError: Any other answer with a status of 400 to 599.
            NetworkError: No answer came.
            BadAnswerError: The answer does not match the API description.
        """
        target = self._writer.target(model_id, organization_id)
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
            completion_request: The prompt and the parameters.
            customization_id: The id of a customization of that model.
            model_id: The id of the model.
            organization_id: Overrides the organization of the client.

        Raises:
            WriterError: The same errors as `create`.
        """
        target = self._writer.target(model_id, organization_id, customization_id)
        return self._create(CreateModelCustomizationCompletionResponse, completion_request, target)

    def stream(
        self,
        *,
        completion_request: CompletionRequest,
        model_id: str,
        organization_id: int | None = None,
    ) -> "CompletionStream":
        """Create a completion, and return a stream of its text.

        Returns when the API has begun a successful answer. Until then, temporary failures are
        retried as in `create`; after that, never.

        Args:
            completion_request: The prompt and the parameters; one text, no log probabilities.
            model_id: The model's id, such as `palmyra-x5`.
            organization_id: Overrides the organization of the client.

        Raises:
            UsageError: The request cannot be streamed; nothing was sent.
            WriterError: The same errors as `create`.
        """
        from writer_cli.http.stream import CompletionStream

        target = self._writer.target(model_id, organization_id)
        writer = self._writer
        with writer.hints():
            writer.connection.check_key()
            call = self._call(completion_request, target, stream=True)
            return CompletionStream(writer.connection.stream(call), writer.api, writer.hints)

    def prepare(
        self,
        *,
        completion_request: CompletionRequest,
        model_id: str,
        customization_id: str | None = None,
        organization_id: int | None = None,
        stream: bool = False,
    ) -> PreparedRequest:
        """Return the request that `create` or `stream` would send, without the key; send nothing.

        Raises the same errors before sending.
        """
        target = self._writer.target(model_id, organization_id, customization_id)
        call = self._call(completion_request, target, stream=stream)
        return self._writer.connection.prepare(call)

    def _call(
        self, completion_request: CompletionRequest, target: Target, *, stream: bool = False
    ) -> Call:
        obstacle = dialect.obstacle_to_streaming(completion_request, target) if stream else None
        if obstacle is not None:
            raise UsageError(
                f"{obstacle}: a request with it cannot be streamed",
                hint="leave it out, or do not ask for a stream",
                field=obstacle,
            )
        return self._writer.api.completion(completion_request, target, stream=stream)

    def _create(
        self, kind: type[_Response], completion_request: CompletionRequest, target: Target
    ) -> _Response:
        writer = self._writer
        with writer.hints():
            writer.connection.check_key()
            answer = writer.connection.send(self._call(completion_request, target))
            completion_response = answer.parsed(writer.api.read_completion)
        return kind(
            completion_response=completion_response,
            status_code=answer.status_code,
            content_type=answer.content_type,
            headers=answer.headers,
            make_raw_response=answer.raw_response,
            attempts=answer.attempts,
            elapsed_s=answer.elapsed_s,
        )


class Models:
    """The models of an API."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def list(self, *, organization_id: int | None = None) -> "builtins.list[Model]":
        """List the models of the API or of the organization. Raises the same errors as `create`."""
        writer = self._writer
        with writer.hints():
            writer.connection.check_key()
            call = writer.api.models(writer.target("", organization_id))
            return writer.connection.send(call).parsed(writer.api.read_models)


class Customizations:
    """The customizations of a model; only the enterprise API has them."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def list(
        self, *, model_id: str, organization_id: int | None = None
    ) -> "builtins.list[Customization]":
        """List the customizations of a model. Raises the same errors as `create`."""
        writer = self._writer
        with writer.hints():
            writer.connection.check_key()
            call = writer.api.customizations(writer.target(model_id, organization_id))
            return writer.connection.send(call).parsed(writer.api.read_customizations)
