"""An HTTP request goes in, an HTTP response comes out: the sandbox, without any I/O.

Source: Writer's published OpenAPI description "Writer Enterprise API" 1.7.
"""

import hashlib
import json
import math
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from writer_cli.sandbox import language_model
from writer_cli.sandbox.language_model import Choice, Sampling

DEFAULT_MAX_TOKENS = 128
"""Tokens of a completion for which the request names no limit."""

MOST_TOKENS = 8192
"""Tokens that a completion may be asked to have at least; the longest output of a real model."""

MOST_COMPLETIONS = 64
"""Completions that one request may ask for."""


STRONGEST_PENALTY = 1e6
"""Far beyond what changes a text, and far from what a float cannot count."""


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request: the path as it was sent, header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response; `headers` leave out what depends on the transport."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class _FailureError(Exception):
    """A request that gets a `FailResponse`."""

    def __init__(self, status: int, tpe: str, key: str, description: str) -> None:
        super().__init__(description)
        self.status = status
        self.tpe = tpe
        self.key = key


def _bad_request(description: str) -> _FailureError:
    return _FailureError(400, "BadRequest", "fail.badRequest.invalidParameters", description)


def _not_found(description: str) -> _FailureError:
    return _FailureError(404, "NotFound", "fail.notFound.resource", description)


_COMPLETIONS = re.compile(
    r"/llm/organization/(?P<organization>[^/]+)/model/(?P<model>[^/]+)"
    r"(?:/customization/(?P<customization>[^/]+))?/completions"
)


def respond(request: Request) -> Response:
    """Answer a request as the API would. The same request always gets the same answer."""
    try:
        answer = _answer(request)
        status = 200
    except _FailureError as failure:
        status = failure.status
        message = {"description": str(failure), "key": failure.key, "extras": None}
        answer = {"tpe": failure.tpe, "errors": [message], "extras": None}
    digest = hashlib.sha256(request.path.encode() + b"\n" + request.body).hexdigest()
    return Response(
        status,
        {"content-type": "application/json", "action-id": f"sandbox-{digest[:16]}"},
        json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode(),
    )


def _answer(request: Request) -> dict[str, Any]:
    if not request.headers.get("authorization"):
        raise _FailureError(
            401, "Unauthorized", "fail.unauthorized.badToken", "no Authorization header"
        )
    route = _COMPLETIONS.fullmatch(request.path)
    if route is None:
        raise _not_found(f"there is nothing at {request.path}")
    if request.method != "POST":
        raise _FailureError(
            405, "MethodNotAllowed", "fail.badRequest.invalidParameters", "use POST here"
        )
    if not re.fullmatch(r"-?[0-9]{1,19}", unquote(route["organization"])):
        raise _bad_request("organizationId: not an integer")
    fields = _checked(_json_object(request.body), _ENTERPRISE_FIELDS)
    prompt = fields.pop("prompt")
    fields.setdefault("max_tokens", max(DEFAULT_MAX_TOKENS, fields.get("min_tokens", 0)))
    seed = f"{request.path}\n{json.dumps([prompt, fields], sort_keys=True)}"
    choices = language_model.load().complete(prompt, _sampling(fields), seed)
    return {"choices": [_choice(c, logprobs="logprobs" in fields) for c in choices]}


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        raise _bad_request("the body is not JSON") from None
    if not isinstance(parsed, dict):
        raise _bad_request("the body is not a JSON object")
    return parsed


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_integer(value: Any) -> bool:
    return type(value) is int and -(2**63) <= value < 2**63


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


_TYPES: dict[str, Callable[[Any], bool]] = {
    "a string": _is_text,
    "an integer": _is_integer,
    "a number": _is_number,
    "an array of strings": _are_texts,
}

_ENTERPRISE_FIELDS = {
    "prompt": ("prompt", "a string"),
    "minTokens": ("min_tokens", "an integer"),
    "maxTokens": ("max_tokens", "an integer"),
    "temperature": ("temperature", "a number"),
    "topP": ("top_p", "a number"),
    "stop": ("stop", "an array of strings"),
    "presencePenalty": ("presence_penalty", "a number"),
    "frequencyPenalty": ("frequency_penalty", "a number"),
    "bestOf": ("best_of", "an integer"),
    "logprobs": ("logprobs", "an integer"),
    "n": ("n", "an integer"),
}
"""The fields of the body, the names of `Sampling` for them, and what each may be."""

_LIMITS: dict[str, tuple[float, float]] = {
    "min_tokens": (0, MOST_TOKENS),
    "max_tokens": (1, math.inf),
    "temperature": (0, math.inf),
    "top_p": (0, 1),
    "presence_penalty": (-STRONGEST_PENALTY, STRONGEST_PENALTY),
    "frequency_penalty": (-STRONGEST_PENALTY, STRONGEST_PENALTY),
    "best_of": (1, MOST_COMPLETIONS),
    "logprobs": (0, math.inf),
    "n": (1, MOST_COMPLETIONS),
}


def _checked(body: dict[str, Any], known: dict[str, tuple[str, str]]) -> dict[str, Any]:
    """Return the fields that have a value, by the names of `Sampling`."""
    fields: dict[str, Any] = {}
    for wire_name, (name, kind) in known.items():
        value = body.get(wire_name)
        if value is None:
            continue
        if not _TYPES[kind](value):
            raise _bad_request(f"{wire_name}: not {kind}")
        least, most = _LIMITS.get(name, (-math.inf, math.inf))
        if name in _LIMITS and not least <= value <= most:
            raise _bad_request(f"{wire_name}: {value} is not in the range {least} to {most}")
        fields[name] = value
    if not fields.get("prompt"):
        raise _bad_request("prompt: required")
    if fields.get("min_tokens", 0) > fields.get("max_tokens", math.inf):
        raise _bad_request("minTokens: more than maxTokens")
    if fields.get("best_of", math.inf) < fields.get("n", 1):
        raise _bad_request("bestOf: less than n")
    if "" in fields.get("stop", ()):
        raise _bad_request("stop: a stop sequence is empty")
    return fields


def _sampling(fields: dict[str, Any]) -> Sampling:
    return Sampling(**fields | {"stop": tuple(fields.get("stop", ()))})


def _choice(choice: Choice, *, logprobs: bool) -> dict[str, Any]:
    if not logprobs:
        return {"text": choice.text}
    offset, offsets = 0, []
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
