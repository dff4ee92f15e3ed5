"""Recorded answers for the clients of the sandbox.

The question that a request asks is read from the wire here once more, and not with
`writer_cli.apis`; only the file of a recording is the same for both.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from writer_cli import recording
from writer_cli.recording import DONE, DamagedError, Question, Recording
from writer_cli.sandbox import openai
from writer_cli.sandbox.messages import FailureError, Request, Response, as_json, json_response

_WAY_OF_ANSWERING = ("stream", "stream_options")
"""Fields of a body that say how the text is to come, and not which."""


@dataclass(frozen=True, slots=True)
class Replay:
    """A folder of recordings.

    Attributes:
        directory: The folder.
        else_generate: Let the embedded model answer what is not recorded.
    """

    directory: Path
    else_generate: bool = False

    def answer(
        self, request: Request, *, model: str | None = None, customization: str | None = None
    ) -> Response | None:
        """Return the recorded answer to a request for a completion, with the ids in its path.

        None lets the sandbox answer: with its own text, or with what is wrong with the body.

        Raises:
            FailureError: 404: the answer is not recorded.
        """
        try:
            body = json.loads(request.body)
            is_stream = request.path.endswith("/stream") or body.get("stream") is True
            fields = {name: body[name] for name in body if name not in _WAY_OF_ANSWERING}
            asked = fields["model"] if model is None else model
        except (ValueError, AttributeError, KeyError, RecursionError):
            return None
        question = Question(_api_of(request.path), asked, customization, fields)
        # What the API said goes before what was recorded in a rehearsal.
        for sandbox in (False, True):
            found = question._replace(sandbox=sandbox).path_in(self.directory)
            try:
                kept = recording.read(found)
                if kept is not None:
                    response = _response(kept, is_stream=is_stream)
                    recording.note_use(found)
                    return response
            except (DamagedError, KeyError, TypeError, IndexError, ValueError) as error:
                raise _not_found(f"the recording {found} cannot be used: {error}") from error
        if self.else_generate:
            return None
        raise _not_found(
            f"the answer to this request is not recorded in {self.directory}; "
            "--replay-else-generate makes up an answer"
        )


def _not_found(description: str) -> FailureError:
    return FailureError(404, "NotFound", "fail.notFound.resource", description)


def _api_of(path: str) -> str:
    if path.startswith(openai.PREFIX):
        return "openai"
    return "enterprise" if path.startswith("/llm/") else "studio"


def _response(kept: Recording, *, is_stream: bool) -> Response:
    """Return the answer in the form that is asked for, whichever it was recorded in."""
    if is_stream == (kept.body is None):
        return Response(200, kept.headers, tuple(kept.chunks()), is_stream=is_stream)
    api = kept.question.api
    identified = {} if kept.action_id is None else {"action-id": kept.action_id}
    if kept.body is None:
        whole = _as_whole(kept)
        return Response(200, json_response(whole).headers | identified, (as_json(whole),))
    first = kept.body["choices"][0]
    event = kept.body | {"choices": [first]} if api == "openai" else {"value": first["text"]}
    data = [as_json(event).decode(), *([] if api == "enterprise" else [DONE])]
    chunks = tuple(recording.event_bytes(each) for each in data)
    headers = {"content-type": recording.EVENT_STREAM} | identified
    return Response(200, headers, chunks, is_stream=True)


def _as_whole(kept: Recording) -> dict[str, Any]:
    """Return the answer that came in events as one that comes at once."""
    events = [json.loads(data) for data in kept.events if data != DONE]
    if kept.question.api == "openai":
        choices = [choice for event in events for choice in event["choices"]]
        text = "".join(choice["text"] for choice in choices)
        reasons = [choice.get("finish_reason") for choice in choices]
        usages = [event.get("usage") for event in events]
        choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": _last(reasons)}
        return {**events[0], "choices": [choice], "usage": _last(usages)}
    text = "".join((event.get("data") or event)["value"] for event in events)
    if kept.question.api == "enterprise":
        return {"choices": [{"text": text}]}
    return {"choices": [{"text": text, "log_probs": None}], "model": kept.question.model_id}


def _last(values: list[Any]) -> Any:
    """Return the last value that is not null."""
    return next((value for value in reversed(values) if value is not None), None)
