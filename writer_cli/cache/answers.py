"""Completions from the cache; what is not recorded comes from the API, and is recorded."""

import json
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from functools import partial

from writer_cli.apis.dialect import Api, Target
from writer_cli.cache.folder import Cache, CacheEvent
from writer_cli.cache.nearest import not_recorded
from writer_cli.errors import NotRecordedError, WriterError
from writer_cli.http import sse
from writer_cli.http.answer import Answer
from writer_cli.http.connection import Connection
from writer_cli.http.error_answers import is_json
from writer_cli.http.reply import Reply, replayed
from writer_cli.http.stream import CompletionStream
from writer_cli.models import CompletionChunk, CompletionRequest, CompletionResponse
from writer_cli.recording import DONE, Question, Recording

Hints = Callable[[], AbstractContextManager[None]]

NOT_WHOLE = frozenset({"content_filter", "abort", "error"})
"""The finish reasons of a text that was refused or cut, although the status was 200."""


class Answers:
    """The completions of one API, with a cache.

    Args:
        cache: Where answers are kept: a folder, or a `Cache`.
        api: The dialect.
        sandbox: Whether the embedded model is asked.
    """

    def __init__(self, cache: Cache | str | os.PathLike[str], api: Api, *, sandbox: bool) -> None:
        self.cache = cache if isinstance(cache, Cache) else Cache(cache)
        self._api = api
        self._sandbox = sandbox

    def whole(
        self,
        request: CompletionRequest,
        target: Target,
        ask: Callable[[], tuple[Answer, CompletionResponse]],
        connection: Connection,
    ) -> tuple[Answer, CompletionResponse]:
        """Return an answer, and the completion in it.

        Args:
            request: What to complete, and how.
            target: The model; its organization makes no difference.
            ask: Sends the request and returns its answer.
            connection: Knows the key; an answer that has it is not kept.

        Raises:
            NotRecordedError: Nothing may be sent, and there is no recording.
            WriterError: What `ask` raises.
        """
        question = self._question(request, target)
        with self.cache.turn(question):
            found = self._found(question)
            if found is not None:
                return found[1:]
            self._check_may_ask(question)
            answer, completion = ask()
            new = _recording(question, answer.action_id, completion)
            if new is not None:
                self._keep(new(body=json.loads(answer.text)), connection)
            return answer, completion

    def stream(
        self,
        request: CompletionRequest,
        target: Target,
        ask: Callable[[], Reply],
        connection: Connection,
        hints: Hints,
    ) -> CompletionStream:
        """Return an answer as a stream. See `whole`.

        A recording of either form serves: what came whole is a stream of one piece.
        """
        question = self._question(request, target)
        found = self._found(question)
        if found is not None:
            return CompletionStream(replayed(found[0]), self._api, hints)
        self._check_may_ask(question)
        keep = partial(self._keep, connection=connection)
        return _KeptStream(ask(), self._api, hints, question=question, keep=keep)

    def check_list(self) -> None:
        """Raise `NotRecordedError` if nothing may be sent: a list is never recorded."""
        if self.cache.offline:
            raise NotRecordedError(
                "lists of models and customizations are not recorded",
                hint="leave out --offline and WRITER_OFFLINE",
            )

    def _question(self, request: CompletionRequest, target: Target) -> Question:
        """Return what decides the text. Raises `UsageError` for what cannot be asked.

        It has the body of the call that gets the whole answer at once: a stream is another way to
        get the same text.
        """
        call = self._api.completion(request, target._replace(organization_id=0))
        return Question(
            api=self._api.name,
            model_id=target.model_id,
            customization_id=target.customization_id,
            request=call.body or {},
            salt=self.cache.salt,
            sandbox=self._sandbox,
        )

    def _found(self, question: Question) -> tuple[Recording, Answer, CompletionResponse] | None:
        """Return the recording of an answer, read, if there is one that can be read."""
        kept = self.cache.find(question)
        if kept is None:
            return None
        answer = replayed(kept).read()
        try:
            if kept.body is not None:
                completion = answer.parsed(self._api.read_completion)
            else:
                completion = self._streamed(kept)
        except WriterError as error:
            path = question.path_in(self.cache.directory)
            self.cache.tell(CacheEvent("damaged", path, error.message))
            return None
        self.cache.note_use(question)
        return kept, answer, completion

    def _streamed(self, kept: Recording) -> CompletionResponse:
        """Return a completion that was recorded as a stream."""
        with CompletionStream(replayed(kept), self._api, nullcontext) as pieces:
            for _ in pieces:
                pass
            completion = pieces.response().completion_response
        assert completion is not None  # noqa: S101 - a stream has made it
        return completion

    def _check_may_ask(self, question: Question) -> None:
        if self.cache.offline:
            raise not_recorded(self.cache, question)
        self.cache.tell(CacheEvent("miss", question.path_in(self.cache.directory)))

    def _keep(self, new: Recording, connection: Connection) -> None:
        if connection.holds_key(new.to_bytes().decode()):
            path = new.question.path_in(self.cache.directory)
            self.cache.tell(CacheEvent("not_kept", path, "the API key is part of it"))
            return
        self.cache.keep(new)


class _KeptStream(CompletionStream):
    """A stream that is recorded once it has come to its end."""

    def __init__(
        self,
        reply: Reply,
        api: Api,
        hints: Hints,
        *,
        question: Question,
        keep: Callable[[Recording], None],
    ) -> None:
        self._question = question
        self._keep = keep
        self._pieces: list[bytes] = []
        self._is_over = False
        reply.on_chunk = self._pieces.append
        super().__init__(reply, api, hints)

    def __next__(self) -> CompletionChunk:
        try:
            return super().__next__()
        except StopIteration:
            if not self._is_over:
                self._is_over = True
                self._record()
            raise
        except BaseException:
            self._is_over = True
            raise

    def close(self) -> None:
        """Close the connection; a text whose rest will not come is not kept."""
        self._is_over = True
        super().close()

    def _record(self) -> None:
        completion = self.response().completion_response
        assert completion is not None  # noqa: S101 - a stream has made it
        new = _recording(self._question, self.action_id, completion)
        if new is None:
            return
        body = b"".join(self._pieces)
        if is_json(self.content_type):
            self._keep(new(body=json.loads(body.decode("utf-8-sig", "replace"))))
        else:
            self._keep(new(events=_event_data(body)))


def _recording(
    question: Question, action_id: str | None, completion: CompletionResponse
) -> Callable[..., Recording] | None:
    """Return what makes the recording of an answer, or None for one that is not kept."""
    choices = completion.choices
    if not choices or any(choice.finish_reason in NOT_WHOLE for choice in choices):
        return None
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return partial(Recording, question=question, recorded_at=now, action_id=action_id)


def _event_data(body: bytes) -> tuple[str, ...]:
    """Return the data of each event of a stream, as far as the end mark."""
    data = []
    try:
        for event in sse.events([body]):
            if event.event == "message":
                data.append(event.data)
                if event.data == DONE:
                    break
    except sse.IncompleteEventError as error:  # which only the end mark may be
        data.append(error.data)
    return tuple(data)
