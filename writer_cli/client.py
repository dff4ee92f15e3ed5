"""The library: `Writer(...).completions.create(...)`, with the interface of Writer's SDK."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self, TypeVar

from writer_cli import apis
from writer_cli.apis import access, dialect
from writer_cli.apis.access import ApiName, AuthScheme
from writer_cli.apis.dialect import Call, Target
from writer_cli.errors import WriterError
from writer_cli.http import DEFAULT_MAX_RETRIES, DEFAULT_TIMEOUT
from writer_cli.http.connection import Connection, PreparedRequest
from writer_cli.http.retry import RetryPolicy, Wait
from writer_cli.lists import Customizations, Models
from writer_cli.models import (
    CompletionRequest,
    CompletionResponse,
    CreateCompletionResponse,
    CreateModelCustomizationCompletionResponse,
)

if TYPE_CHECKING:
    from writer_cli.cache.folder import Cache
    from writer_cli.http.answer import Answer
    from writer_cli.http.reply import Reply
    from writer_cli.http.stream import CompletionStream

_Answered = TypeVar("_Answered")
_Response = TypeVar("_Response", bound=CreateCompletionResponse)


class Writer:
    """A client of a completion API, or of the embedded sandbox. Thread-safe.

    Close it with `close()`, or use it as a context manager.

    Args:
        api_key: The key, or a function that returns it; by default `$WRITER_API_KEY`. It never
            appears in a repr or a message. The `openai` API works without a key.
        organization_id: The organization in the enterprise API; a call can override it.
        api: The API to use.
        base_url: Base URL to use instead of the API's own: https, or http to this machine.
        timeout: Seconds from the request to the answer, or from one event of a stream to the next;
            at most 5 of them for the connection.
        max_retries: How many times to retry after a temporary failure; 0 or more.
        deadline: Seconds for a call, retries and waits included; None is no limit.
        on_wait: Called before each wait for a retry.
        on_warning: Called when a part of an answer cannot be read, and is left out or replaced.
        auth_scheme: `"bearer"`, or `"raw"` to send the key without `Bearer`.
        allow_http: Allow plain http to a private network, where others can then read everything.
        sandbox: Answer in this process, without a key and without the network.
        cache: The folder to keep answers in, or a `Cache`. An answer that is there is used, and no
            request is sent. A `Cache` with `offline` needs neither key nor organization.

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
        on_warning: Callable[[str], None] | None = None,
        auth_scheme: AuthScheme = "bearer",
        allow_http: bool = False,
        sandbox: bool = False,
        cache: "Cache | str | os.PathLike[str] | None" = None,
    ) -> None:
        self.api = apis.get(api)
        self.sandbox = sandbox
        self.organization_id = organization_id
        self.answers = None
        if cache is not None:
            from writer_cli.cache.answers import Answers

            self.answers = Answers(cache, self.api, sandbox=sandbox)
            if self.answers.cache.offline:  # nothing is sent: any address will do
                base_url = base_url or self.api.base_url or "https://offline.invalid"
                self.organization_id = organization_id or 0
        if sandbox:
            from writer_cli import sandbox as embedded

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
            sandbox=sandbox,
            on_warning=on_warning,
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
        if organization_id is None:
            organization_id = self.organization_id
        return Target(model_id, organization_id, customization_id).checked()

    def ask(
        self, make_call: Callable[[], Call], read: Callable[[dict[str, Any]], _Answered]
    ) -> _Answered:
        """Send a call whose answer is never recorded, and read the answer."""
        if self.answers is not None:
            self.answers.check_list()
        with self.hints():
            self.connection.check_key()
            return self.connection.send(make_call()).parsed(read)

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

        Raises as `create` does.
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
            dialect.check_streaming(completion_request, target)

            def ask() -> "Reply":
                writer.connection.check_key()
                call = self._call(completion_request, target, stream=True)
                return writer.connection.stream(call)

            if writer.answers is None:
                return CompletionStream(ask(), writer.api, writer.hints)
            return writer.answers.stream(
                completion_request, target, ask, writer.connection, writer.hints
            )

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
        if stream:
            dialect.check_streaming(completion_request, target)
        return self._writer.api.completion(completion_request, target, stream=stream)

    def _create(
        self, kind: type[_Response], completion_request: CompletionRequest, target: Target
    ) -> _Response:
        writer = self._writer

        def ask() -> "tuple[Answer, CompletionResponse]":
            writer.connection.check_key()
            answer = writer.connection.send(self._call(completion_request, target))
            return answer, answer.parsed(writer.api.read_completion)

        with writer.hints():
            if writer.answers is None:
                answer, completion_response = ask()
            else:
                answer, completion_response = writer.answers.whole(
                    completion_request, target, ask, writer.connection
                )
        return kind(
            completion_response=completion_response,
            status_code=answer.status_code,
            content_type=answer.content_type,
            headers=answer.headers,
            make_raw_response=answer.raw_response,
            attempts=answer.attempts,
            elapsed_s=answer.elapsed_s,
            recorded_at=answer.recorded_at,
        )
