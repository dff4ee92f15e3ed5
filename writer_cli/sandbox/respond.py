"""The sandbox: it turns a request into a response, without I/O.

Sources: Writer's published OpenAPI descriptions "Writer Enterprise API" 1.7 and "API" 1.0; for
OpenAI's API, see `openai.py`.
"""

import hashlib
import json
import math
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from writer_cli.sandbox import faults, fields, language_model, openai
from writer_cli.sandbox.language_model import Choice
from writer_cli.sandbox.messages import (
    FailureError,
    Request,
    Response,
    as_json,
    bad_request,
    json_response,
)

if TYPE_CHECKING:
    from writer_cli.sandbox.replay import Replay

MODELS = {
    "palmyra-x5": "Palmyra X5",
    "palmyra-x4": "Palmyra X4",
    "sandbox": "The embedded model",
}
"""The models that `writer models` lists; the sandbox accepts all other ids too."""

CUSTOMIZATIONS = ("tales", "product-copy")

_WITHOUT_EFFECT = {"stream", "stream_options", "random_seed"}
"""Fields that are not part of the derived seed."""

_MODEL_PATH = r"/llm/organization/(?P<organization>[^/]+)/model/(?P<model>[^/]+)"


class Sandbox:
    """The embedded API. The same request gets the same text, in every process. Thread-safe.

    Args:
        fault_rate: The fraction of requests, 0 to 1, that fail with a temporary fault.
        rpm: Requests per minute; the sandbox answers 429 above it. None is no limit. The
            requests of ten seconds may come at once.
        seed: The seed for `fault_rate`.
        replay: The recorded answers; they are used before the embedded model.
        clock: Returns seconds that never decrease.
    """

    def __init__(
        self,
        *,
        fault_rate: float = 0.0,
        rpm: float | None = None,
        seed: int = 0,
        replay: "Replay | None" = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fault_rate = fault_rate
        self._replay = replay
        self._random = Random(seed)  # noqa: S311 - chooses failures, protects no secret
        self._limit = None if rpm is None else _TokenBucket(rpm / 60, clock)
        self._lock = threading.Lock()
        self._failures: Counter[str] = Counter()

    def respond(self, request: Request) -> Response:
        """Answer a request as the API would."""
        try:
            response = self._limited() or self._route(request)
        except FailureError as failure:
            response = failure.response()
        if request.path.startswith(openai.PREFIX):
            response = openai.reshaped(response)
        identified = {"action-id": action_id(request.path, request.body)} | response.headers
        return replace(response, headers=identified)

    def _limited(self) -> Response | None:
        with self._lock:
            seconds = 0.0 if self._limit is None else self._limit.seconds_until_next()
        return None if seconds == 0 else faults.too_many_requests(math.ceil(seconds))

    def _route(self, request: Request) -> Response:
        has_key = bool(request.headers.get("authorization", "").strip())
        if not has_key and not request.path.startswith(openai.PREFIX):
            raise FailureError(
                401, "Unauthorized", "fail.unauthorized.badToken", "no Authorization header"
            )
        for method, pattern, answer in self._routes:
            match = re.fullmatch(pattern, request.path.partition("?")[0])
            if match is None:
                continue
            if request.method != method:
                raise FailureError(
                    405,
                    "MethodNotAllowed",
                    "fail.badRequest.invalidParameters",
                    f"use {method} here",
                )
            names = {name: unquote(value) for name, value in match.groupdict().items()}
            if not re.fullmatch(r"-?[0-9]{1,19}", names.pop("organization", "0")):
                raise bad_request("organizationId: not an integer")
            replayed = None
            if self._replay is not None and method == "POST":
                replayed = self._replay.answer(request, **names)
            return answer(self, request, **names) if replayed is None else replayed
        raise FailureError(
            404, "NotFound", "fail.notFound.resource", f"there is nothing at {request.path}"
        )

    def _enterprise_models(self, _: Request) -> Response:
        models = [{"id": m, "name": n, "type": "GPT"} for m, n in MODELS.items()]
        return json_response({"data": models})

    def _studio_models(self, _: Request) -> Response:
        return json_response({"models": [{"id": m, "name": n} for m, n in MODELS.items()]})

    def _customizations(self, _: Request, model: str) -> Response:
        common = {
            "baseModelId": model,
            "trainingDatasetFileId": "sandbox-file",
            "status": "completed",
            "createdAt": "2026-01-01T00:00:00Z",
            "updatedAt": "2026-01-01T00:00:00Z",
        }
        found = [{"id": name, "name": name.replace("-", " ")} | common for name in CUSTOMIZATIONS]
        return json_response({"customizations": found})

    def _enterprise(self, request: Request, model: str) -> Response:
        asked = fields.read(request.body, fields.ENTERPRISE)
        return self._completed(request, asked, _enterprise_answer, [model])

    def _customized(self, request: Request, model: str, customization: str) -> Response:
        asked = fields.read(request.body, fields.ENTERPRISE)
        return self._completed(request, asked, _enterprise_answer, [model, customization])

    def _enterprise_stream(self, request: Request, model: str) -> Response:
        asked = fields.read(request.body, fields.ENTERPRISE)
        for name in ("n", "best_of"):
            if asked.get(name, 1) > 1:
                raise bad_request(f"{name.replace('_o', 'O')}: a stream has one text")
        return self._completed(request, asked, _enterprise_events, [model])

    def _studio(self, request: Request) -> Response:
        asked = fields.read(request.body, fields.STUDIO)
        answer = _studio_events if asked.get("stream") else _studio_answer
        return self._completed(request, asked, answer, [asked["model"]])

    def _openai(self, request: Request) -> Response:
        asked = fields.read(request.body, fields.OPENAI)
        answer = openai.events if asked.get("stream") else openai.answer
        return self._completed(request, asked, answer, [asked["model"]])

    def _openai_models(self, _: Request) -> Response:
        return openai.models(MODELS)

    def _completed(
        self,
        request: Request,
        asked: dict[str, Any],
        answer: Callable[[list[Choice], dict[str, Any]], Response],
        names: list[str],
    ) -> Response:
        fault = next((name for name in names if name in faults.FAULTS), None)
        if faults.FLAKY in names and self._fails_again(request):
            return faults.unavailable()
        if fault is None:
            fault = self._random_fault()
        relevant = {k: v for k, v in asked.items() if k not in _WITHOUT_EFFECT}
        seed = asked.get("random_seed", json.dumps([names, relevant], sort_keys=True))
        choices = language_model.load().complete(asked["prompt"], fields.sampling(asked), seed)
        response = answer(choices, asked)
        return response if fault is None else faults.FAULTS[fault](response)

    def _fails_again(self, request: Request) -> bool:
        with self._lock:
            key = action_id(request.path, request.body)
            self._failures[key] += 1
            turn = self._failures[key] % (faults.FLAKY_FAILURES + 1)
        return turn != 0

    def _random_fault(self) -> str | None:
        with self._lock:
            fails = self._random.random() < self._fault_rate
            return self._random.choice(faults.TRANSIENT) if fails else None

    _routes: tuple[tuple[str, str, Callable[..., Response]], ...] = (
        ("GET", r"/llm/organization/(?P<organization>[^/]+)/model", _enterprise_models),
        ("GET", rf"{_MODEL_PATH}/customization", _customizations),
        ("POST", rf"{_MODEL_PATH}/completions", _enterprise),
        ("POST", rf"{_MODEL_PATH}/completions/stream", _enterprise_stream),
        (
            "POST",
            rf"{_MODEL_PATH}/customization/(?P<customization>[^/]+)/completions",
            _customized,
        ),
        ("POST", r"/v1/completions", _studio),
        ("GET", r"/v1/models", _studio_models),
        ("POST", rf"{openai.PREFIX}/v1/completions", _openai),
        ("GET", rf"{openai.PREFIX}/v1/models", _openai_models),
    )


class _TokenBucket:
    """A rate limiter; its burst is the requests of ten seconds."""

    def __init__(self, per_second: float, clock: Callable[[], float]) -> None:
        self._per_second = per_second
        self._size = max(1.0, 10 * per_second)
        self._clock = clock
        self._filled = self._size
        self._at = clock()

    def seconds_until_next(self) -> float:
        """Take a token and return 0, or return the seconds until the next token."""
        now = self._clock()
        self._filled = min(self._size, self._filled + (now - self._at) * self._per_second)
        self._at = now
        if self._filled >= 1:
            self._filled -= 1
            return 0.0
        return (1 - self._filled) / self._per_second


def action_id(path: str, body: bytes = b"") -> str:
    """Return the id of a request; the same request has the same id."""
    digest = hashlib.sha256(path.encode() + b"\n" + body).hexdigest()
    return f"sandbox-{digest[:16]}"


def _enterprise_answer(choices: list[Choice], asked: dict[str, Any]) -> Response:
    def as_json_choice(choice: Choice) -> dict[str, Any]:
        if "logprobs" not in asked:
            return {"text": choice.text}
        offsets, offset = [], 0
        for token in choice.tokens:
            offsets.append(offset)
            offset += len(token.text)
        return {
            "text": choice.text,
            "logprobs": {
                "tokens": [token.text for token in choice.tokens],
                "tokenLogprobs": [token.logprob for token in choice.tokens],
                # The description has a map of strings here, not of numbers.
                "topLogprobs": [{t: repr(p) for t, p in token.top} for token in choice.tokens],
                "textOffset": offsets,
            },
        }

    return json_response({"choices": [as_json_choice(choice) for choice in choices]})


def _studio_answer(choices: list[Choice], asked: dict[str, Any]) -> Response:
    return json_response(
        {
            "choices": [{"text": choice.text, "log_probs": None} for choice in choices],
            "model": asked["model"],
        }
    )


def _enterprise_events(choices: list[Choice], _: dict[str, Any]) -> Response:
    return _events([token.text for token in choices[0].tokens], end=())


def _studio_events(choices: list[Choice], _: dict[str, Any]) -> Response:
    return _events(["", *(token.text for token in choices[0].tokens)], end=(b"data: [DONE]\n\n",))


def _events(texts: list[str], *, end: tuple[bytes, ...]) -> Response:
    chunks = tuple(b"data: " + as_json({"value": text}) + b"\n\n" for text in texts)
    return Response(200, {"content-type": "text/event-stream"}, chunks + end, is_stream=True)
