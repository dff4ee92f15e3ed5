"""The sandbox as an OpenAI-compatible engine."""

import json
from typing import Any

import pytest

from tests.harness.program import writer as run
from writer_cli.sandbox.messages import Request, Response
from writer_cli.sandbox.respond import Sandbox

PATH = "/openai/v1/completions"


def post(**fields: Any) -> Response:
    """Ask for a completion, without a key."""
    body = {"model": "palmyra-x5", "prompt": "Once upon a time", "max_tokens": 4} | fields
    return Sandbox().respond(Request("POST", PATH, {}, json.dumps(body).encode()))


def answered(**fields: Any) -> Any:
    """Return the JSON of an answer."""
    response = post(**fields)
    assert response.status == 200
    return json.loads(response.body)


def events(**fields: Any) -> list[Any]:
    """Return the events of a stream, read as JSON, without its end mark."""
    response = post(stream=True, **fields)
    assert response.headers["content-type"] == "text/event-stream"
    *chunks, done = response.chunks
    assert done == b"data: [DONE]\n\n"
    return [json.loads(chunk.removeprefix(b"data: ")) for chunk in chunks]


def test_an_answer_has_choices_with_index_and_reason_and_the_usage() -> None:
    """An answer has log probabilities only if they are asked for."""
    document = answered(n=2)
    assert [choice["index"] for choice in document["choices"]] == [0, 1]
    assert [choice["finish_reason"] for choice in document["choices"]] == ["length"] * 2
    assert [choice["logprobs"] for choice in document["choices"]] == [None] * 2
    assert document["usage"] == {"prompt_tokens": 4, "completion_tokens": 8, "total_tokens": 12}
    assert (document["object"], document["model"]) == ("text_completion", "palmyra-x5")


def test_a_text_that_stops_at_a_stop_sequence_says_so() -> None:
    """The finish reason of a text that ends at a stop sequence is `stop`."""
    [choice] = answered(stop=["was"], temperature=0)["choices"]
    assert (choice["text"], choice["finish_reason"]) == (" there ", "stop")


def test_logprobs_run_in_parallel_and_have_the_token_itself() -> None:
    """The alternatives include the token itself, also if it is not among the likeliest."""
    [choice] = answered(logprobs=1, temperature=0.7, max_tokens=40)["choices"]
    logprobs = choice["logprobs"]
    assert "".join(logprobs["tokens"]) == choice["text"]
    for token, logprob, top, offset in zip(
        logprobs["tokens"],
        logprobs["token_logprobs"],
        logprobs["top_logprobs"],
        logprobs["text_offset"],
        strict=True,
    ):
        assert top[token] == logprob
        assert choice["text"][offset:].startswith(token)
    assert {len(top) for top in logprobs["top_logprobs"]} == {1, 2}


def test_a_seed_decides_the_text() -> None:
    """The same seed gives the same text."""
    texts = [answered(seed=seed, temperature=2)["choices"] for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


def test_streams_of_several_choices_alternate() -> None:
    """Several choices stream token by token in turn; their texts are those without a stream."""
    whole = answered(n=2)["choices"]
    streamed = events(n=2)
    choices = [choice for event in streamed for choice in event["choices"]]
    assert [choice["index"] for choice in choices] == [0, 1] * 5
    for index in (0, 1):
        text = "".join(choice["text"] for choice in choices if choice["index"] == index)
        assert text == whole[index]["text"]
    assert [choice["finish_reason"] for choice in choices[-2:]] == ["length"] * 2


def test_a_stream_has_the_usage_only_if_it_was_asked_for() -> None:
    """The usage comes in an event without choices, if `include_usage` is set."""
    assert all("usage" not in event for event in events())
    last = events(stream_options={"include_usage": True})[-1]
    assert last["choices"] == []
    assert last["usage"] == {"prompt_tokens": 4, "completion_tokens": 4, "total_tokens": 8}


@pytest.mark.parametrize(
    ("fields", "status", "type_", "param", "code"),
    [
        ({"max_tokens": 0}, 400, "invalid_request_error", "max_tokens", 400),
        ({"temperature": "hot"}, 400, "invalid_request_error", "temperature", 400),
        ({"model": ""}, 400, "invalid_request_error", "model", 400),
        ({"model": "fault-401"}, 401, "authentication_error", None, 401),
        ({"model": "fault-404"}, 404, "not_found_error", None, 404),
        ({"model": "fault-429"}, 429, "rate_limit_error", None, 429),
        ({"model": "fault-quota"}, 429, "rate_limit_error", None, "insufficient_quota"),
        ({"model": "fault-500"}, 500, "server_error", None, 500),
    ],
)
def test_an_error_has_the_shape_of_an_engine(
    fields: dict[str, Any], status: int, type_: str, param: str | None, code: int | str
) -> None:
    """An error has the JSON of an OpenAI-compatible engine and names the wrong field."""
    response = post(**fields)
    error = json.loads(response.body)["error"]
    assert response.status == status
    assert (error["type"], error["param"], error["code"]) == (type_, param, code)
    assert error["message"]


def test_the_page_of_a_gateway_is_not_turned_into_json() -> None:
    """The HTML page of a gateway is sent as it is."""
    response = post(model="fault-502-html")
    assert (response.status, response.headers["content-type"]) == (
        502,
        "text/html; charset=utf-8",
    )


def test_models_are_listed_as_engines_do() -> None:
    """Models are listed in the engine's JSON, without a key."""
    response = Sandbox().respond(Request("GET", "/openai/v1/models", {}))
    document = json.loads(response.body)
    assert document["object"] == "list"
    assert "palmyra-x5" in [model["id"] for model in document["data"]]


@pytest.mark.parametrize(
    ("model", "code"),
    [
        ("fault-400", 5),
        ("fault-401", 4),
        ("fault-403", 4),
        ("fault-404", 5),
        ("fault-429", 6),
        ("fault-quota", 6),
        ("fault-500", 7),
        ("fault-502-html", 7),
        ("fault-cut", 9),
        ("fault-garbage", 9),
        ("fault-moderation", 5),
    ],
)
def test_faults_have_the_same_exit_codes_as_with_writers_own_apis(model: str, code: int) -> None:
    """Each fault ends with the same exit code as with Writer's own APIs."""
    flags = ["--api", "openai", "-m", model, "--max-retries", "0", "--max-tokens", "1"]
    assert run("complete", "--sandbox", "p", *flags).code == code
