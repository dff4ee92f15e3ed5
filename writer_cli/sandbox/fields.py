"""The fields of a completion request, with their types and ranges.

Sources: Writer's published OpenAPI descriptions "Writer Enterprise API" 1.7 and "API" 1.0, and
OpenAI's reference of its completions API, for names and types. They give no ranges:
the ranges here exclude only values that can never be valid.
"""

import json
import math
import sys
from collections.abc import Callable
from typing import Any

from writer_cli.sandbox.language_model import Sampling
from writer_cli.sandbox.messages import bad_request

DEFAULT_MAX_TOKENS = 128
"""Tokens of a completion if the request has no limit."""

MOST_TOKENS = 8192
"""Tokens that a request may set as `min_tokens`; the longest output of a real model."""

MOST_COMPLETIONS = 64
"""Completions of one request at most."""

MOST_WORK = 16384
"""Tokens of all completions of a request together; a request for more gets fewer."""

MOST_LOGPROBS = 100
"""Alternatives at each position, so that no answer fills the memory."""

MOST_STOPS = 256
"""Stop sequences; the sandbox searches for each of them after every token."""

STRONGEST_PENALTY = 1000
"""A limit for penalties: larger values change nothing, and could overflow."""

Fields = dict[str, tuple[str, str]]
"""For each field of the body, its name in `Sampling` and its type."""

ENTERPRISE: Fields = {
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

STUDIO: Fields = {
    "model": ("model", "a string"),
    "prompt": ("prompt", "a string"),
    "max_tokens": ("max_tokens", "an integer"),
    "temperature": ("temperature", "a number"),
    "top_p": ("top_p", "a number"),
    "stop": ("stop", "a string or an array of strings"),
    "best_of": ("best_of", "an integer"),
    "random_seed": ("random_seed", "an integer"),
    "stream": ("stream", "a boolean"),
}

OPENAI: Fields = {
    "model": ("model", "a string"),
    "prompt": ("prompt", "a string"),
    "max_tokens": ("max_tokens", "an integer"),
    "min_tokens": ("min_tokens", "an integer"),
    "temperature": ("temperature", "a number"),
    "top_p": ("top_p", "a number"),
    "stop": ("stop", "a string or an array of strings"),
    "presence_penalty": ("presence_penalty", "a number"),
    "frequency_penalty": ("frequency_penalty", "a number"),
    "best_of": ("best_of", "an integer"),
    "logprobs": ("logprobs", "an integer"),
    "n": ("n", "an integer"),
    "seed": ("random_seed", "an integer"),
    "stream": ("stream", "a boolean"),
    "stream_options": ("stream_options", "an object"),
}

_LIMITS: dict[str, tuple[float, float]] = {
    "min_tokens": (0, MOST_TOKENS),
    "max_tokens": (1, math.inf),
    "temperature": (0, math.inf),
    "top_p": (0, 1),
    "presence_penalty": (-STRONGEST_PENALTY, STRONGEST_PENALTY),
    "frequency_penalty": (-STRONGEST_PENALTY, STRONGEST_PENALTY),
    "best_of": (1, MOST_COMPLETIONS),
    "logprobs": (0, MOST_LOGPROBS),
    "n": (1, MOST_COMPLETIONS),
    "random_seed": (-(2**31), 2**31 - 1),
}


def _is_integer(value: Any) -> bool:
    return type(value) is int and -(2**63) <= value < 2**63


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


_TYPES: dict[str, Callable[[Any], bool]] = {
    "a string": lambda value: isinstance(value, str),
    "an object": lambda value: isinstance(value, dict),
    "a boolean": lambda value: isinstance(value, bool),
    "an integer": _is_integer,
    "a number": _is_number,
    "an array of strings": _are_texts,
    "a string or an array of strings": lambda value: isinstance(value, str) or _are_texts(value),
}


def read(body: bytes, known: Fields) -> dict[str, Any]:
    """Return the fields that have a value, by their names in `Sampling`.

    Raises `FailureError` with the name of an invalid field. Unknown fields are ignored, as the
    descriptions allow.
    """
    document = _json_object(body)
    fields = {
        name: _valid(wire_name, name, kind, document[wire_name])
        for wire_name, (name, kind) in known.items()
        if document.get(wire_name) is not None
    }
    wire_names = {name: wire_name for wire_name, (name, _) in known.items()}
    for name in ("prompt", "model"):
        if name in wire_names and not fields.get(name):
            raise bad_request(f"{name}: required")
    stop = fields.get("stop", [])
    fields["stop"] = (stop,) if isinstance(stop, str) else tuple(stop)
    if "" in fields["stop"]:
        raise bad_request("stop: a stop sequence is empty")
    if len(fields["stop"]) > MOST_STOPS:
        raise bad_request(f"stop: more than {MOST_STOPS} stop sequences")
    _check_together(fields, wire_names)
    return fields


def _valid(wire_name: str, name: str, kind: str, value: Any) -> Any:
    if not _TYPES[kind](value):
        raise bad_request(f"{wire_name}: not {kind}")
    if name in _LIMITS:
        least, most = _LIMITS[name]
        if not least <= value <= most:
            raise bad_request(f"{wire_name}: {value} is not in the range {least} to {most}")
    return value


def _check_together(fields: dict[str, Any], wire_names: dict[str, str]) -> None:
    if fields.get("min_tokens", 0) > fields.get("max_tokens", math.inf):
        raise bad_request(f"{wire_names['min_tokens']}: more than {wire_names['max_tokens']}")
    if fields.get("best_of", math.inf) < fields.get("n", 1):
        raise bad_request(f"{wire_names['best_of']}: less than n")
    if _completions(fields) * fields.get("min_tokens", 0) > MOST_WORK:
        raise bad_request(f"{wire_names['min_tokens']}: more than {MOST_WORK} tokens in all")


def _completions(fields: dict[str, Any]) -> int:
    most: int = max(fields.get("best_of", 1), fields.get("n", 1))
    return most


def sampling(fields: dict[str, Any]) -> Sampling:
    """Return the sampling parameters, with the defaults of the sandbox for missing fields."""
    longest = max(DEFAULT_MAX_TOKENS, fields.get("min_tokens", 0))
    most = min(MOST_TOKENS, MOST_WORK // _completions(fields))
    known = {name: fields[name] for name in Sampling.__dataclass_fields__ if name in fields}
    return Sampling(**known | {"max_tokens": min(most, fields.get("max_tokens", longest))})


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        raise bad_request("the body is not JSON") from None
    if not isinstance(parsed, dict):
        raise bad_request("the body is not a JSON object")
    return parsed
