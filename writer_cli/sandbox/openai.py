"""The sandbox as an inference server: OpenAI's completions API, below `/openai`.

Sources: OpenAI's reference of `POST /v1/completions`, and what vLLM and llama.cpp's server answer.
"""

import json
import re
import time
from dataclasses import replace
from itertools import chain, zip_longest
from typing import Any

from writer_cli.sandbox import PREFIXES
from writer_cli.sandbox.language_model import Choice, Token, tokenize
from writer_cli.sandbox.messages import Response, as_json, json_response

PREFIX = PREFIXES["openai"]
"""The prefix of its paths, because AI Studio has two of the same paths."""

_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    503: "unavailable_error",
}
"""The `type` of an error by its status; real servers differ in this."""


def models(names: dict[str, str]) -> Response:
    """Answer `GET /v1/models`."""
    listed = [
        {"id": name, "object": "model", "created": 0, "owned_by": "sandbox"} for name in names
    ]
    return json_response({"object": "list", "data": listed})


def answer(choices: list[Choice], asked: dict[str, Any]) -> Response:
    """Return all choices as one JSON document."""
    document = _head(asked) | {
        "choices": [
            {
                "index": index,
                "text": choice.text,
                "logprobs": _logprobs(choice.tokens) if "logprobs" in asked else None,
                "finish_reason": choice.finish_reason,
            }
            for index, choice in enumerate(choices)
        ],
        "usage": _usage(choices, asked),
    }
    return json_response(document)


def events(choices: list[Choice], asked: dict[str, Any]) -> Response:
    """Return a stream, one event for each token, the choices in turn; then the usage on request."""
    head = _head(asked)
    texts = [
        [_event(head, index, token.text, None) for token in choice.tokens]
        for index, choice in enumerate(choices)
    ]
    in_turn = [event for event in chain(*zip_longest(*texts)) if event is not None]
    ends = [_event(head, index, "", choice.finish_reason) for index, choice in enumerate(choices)]
    if asked.get("stream_options", {}).get("include_usage"):
        ends.append(head | {"choices": [], "usage": _usage(choices, asked)})
    chunks = [b"data: " + as_json(event) + b"\n\n" for event in (*in_turn, *ends)]
    return Response(
        200,
        {"content-type": "text/event-stream"},
        (*chunks, b"data: [DONE]\n\n"),
        is_stream=True,
    )


def reshaped(response: Response) -> Response:
    """Convert an error from Writer's JSON to OpenAI's; return any other response unchanged."""
    if response.status < 400 or response.headers["content-type"] != "application/json":  # noqa: PLR2004
        return response
    [message] = json.loads(response.body)["errors"]
    description, is_quota = message["description"], message["key"] == "fail.model.quotaExceeded"
    field = re.match(r"([a-z_]+): ", description)
    error = {
        "message": description,
        "type": _TYPES.get(
            response.status,
            "invalid_request_error" if response.status < 500 else "server_error",  # noqa: PLR2004
        ),
        "param": field[1] if field else None,
        "code": "insufficient_quota" if is_quota else response.status,
    }
    return replace(response, chunks=(as_json({"error": error}),))


def _head(asked: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "cmpl-sandbox",
        "object": "text_completion",
        "created": int(time.time()),
        "model": asked["model"],
    }


def _event(head: dict[str, Any], index: int, text: str, reason: str | None) -> dict[str, Any]:
    choice = {"index": index, "text": text, "logprobs": None, "finish_reason": reason}
    return head | {"choices": [choice]}


def _usage(choices: list[Choice], asked: dict[str, Any]) -> dict[str, int]:
    prompt = len(tokenize(asked["prompt"]))
    completion = sum(len(choice.tokens) for choice in choices)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def _logprobs(tokens: tuple[Token, ...]) -> dict[str, Any]:
    offsets, offset = [], 0
    for token in tokens:
        offsets.append(offset)
        offset += len(token.text)
    return {
        "tokens": [token.text for token in tokens],
        "token_logprobs": [token.logprob for token in tokens],
        # The token itself is always included, in addition if it is not among the most likely.
        "top_logprobs": [dict(token.top) | {token.text: token.logprob} for token in tokens],
        "text_offset": offsets,
    }
