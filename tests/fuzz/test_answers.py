"""Random answers from a server on a socket, with and without streaming."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.program import JSON_VALUES, KEY, cut, damaged, examples, run
from tests.fuzz.wire import (
    APIS,
    MODEL_TEXTS,
    STATUSES,
    Answering,
    answering,
    completion_of,
    events_of,
    head,
    models_of,
)
from tests.harness.servers import CLOSE, RESET


@pytest.fixture(scope="module")
def server() -> Iterator[Answering]:
    """Start one server for all examples of a property."""
    with answering() as one:
        yield one


apis = st.sampled_from(APIS)

ASKING = st.sampled_from(
    [
        ["complete", "p"],
        ["complete", "--json", "p"],
        ["complete", "--stream", "p"],
        ["complete", "--json", "--stream", "--verbose", "p"],
        ["models"],
        ["models", "--json"],
    ]
)

TYPES = st.sampled_from(
    ["application/json", "text/event-stream", "text/html", "", "a/b; charset=x"]
)


# Good answers.


@given(
    api=apis,
    texts=st.lists(MODEL_TEXTS, min_size=1, max_size=3),
    is_ascii=st.booleans(),
    data=st.data(),
)
@examples(12)
def test_a_good_answer_is_shown_as_it_is(
    server: Answering, *, api: str, texts: list[str], is_ascii: bool, data: st.DataObject
) -> None:
    """Any texts, escaped or not and in any pieces, are printed unchanged."""
    body = json.dumps(completion_of(api, texts), ensure_ascii=is_ascii).encode()
    server.steps = [*data.draw(cut(head() + body)), CLOSE]
    ran = run("complete", "--json", "p", env=server.env(api))
    assert (ran.code, ran.errors) == (0, "")
    assert [choice["text"] for choice in json.loads(ran.output)["choices"]] == texts


@given(
    api=apis,
    texts=st.lists(MODEL_TEXTS, min_size=1, max_size=4),
    is_ascii=st.booleans(),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    data=st.data(),
)
@examples(12)
def test_a_good_stream_is_shown_as_it_is(
    server: Answering, *, api: str, texts: list[str], is_ascii: bool, end: str, data: st.DataObject
) -> None:
    """Any texts in a stream, with any line end and in any pieces, are printed unchanged."""
    stream = events_of(api, texts, end, is_ascii=is_ascii)
    server.steps = [*data.draw(cut(head(200, "text/event-stream") + stream)), CLOSE]
    ran = run("complete", "--stream", "--no-newline", "p", env=server.env(api))
    assert (ran.code, ran.output, ran.errors) == (0, "".join(texts), "")


# Others.


@given(api=apis, arguments=ASKING, status=STATUSES, content_type=TYPES, value=JSON_VALUES)
@examples(20)
def test_any_json_is_an_answer_or_an_error(
    server: Answering, *, api: str, arguments: list[str], status: int, content_type: str, value: Any
) -> None:
    """Any JSON under any status is an answer or an error."""
    server.steps = [head(status, content_type), json.dumps(value).encode(), CLOSE]
    run(*arguments, env=server.env(api))


WRONG_SHAPES = [
    "choices",
    "data",
    "models",
    "value",
    "error",
    "errors",
    "usage",
    "text",
    "logprobs",
]


@given(
    api=apis,
    arguments=ASKING,
    status=st.sampled_from([200, 200, 200, 400, 401, 429, 500]),
    value=st.recursive(
        JSON_VALUES,
        lambda inner: (
            st.lists(inner, max_size=2)
            | st.dictionaries(st.sampled_from([*WRONG_SHAPES, "id", "name", "message"]), inner)
        ),
        max_leaves=8,
    ),
    is_event=st.booleans(),
)
@examples(25)
def test_json_of_a_wrong_shape_is_an_answer_or_an_error(
    server: Answering, *, api: str, arguments: list[str], status: int, value: Any, is_event: bool
) -> None:
    """Known names may have values of any type; a key in an error is not shown."""
    if status != 200 and isinstance(value, dict):
        value |= {"message": f"the key {KEY} is wrong"}
    text = json.dumps(value)
    body = f"data: {text}\n\ndata: [DONE]\n\n" if is_event else text
    content_type = "text/event-stream" if is_event else "application/json"
    server.steps = [head(status, content_type), body.encode(), CLOSE]
    run(*arguments, env=server.env(api))


@given(
    api=apis,
    arguments=ASKING,
    texts=st.lists(MODEL_TEXTS, max_size=3),
    is_reset=st.booleans(),
    data=st.data(),
)
@examples(25)
def test_a_damaged_answer_is_an_answer_or_an_error(
    server: Answering,
    *,
    api: str,
    arguments: list[str],
    texts: list[str],
    is_reset: bool,
    data: st.DataObject,
) -> None:
    """Bytes of a good answer, head or body, are missing, doubled or different."""
    if arguments[0] == "models":
        whole = head() + json.dumps(models_of(api, texts)).encode()
    elif "--stream" in arguments:
        stream = events_of(api, texts, "\n", is_ascii=True)
        whole = head(200, "text/event-stream") + stream
    else:
        whole = head() + json.dumps(completion_of(api, texts)).encode()
    raw = data.draw(damaged(whole))
    server.steps = [*data.draw(cut(raw)), RESET if is_reset else CLOSE]
    run(*arguments, env=server.env(api))


@given(
    api=apis, chunks=st.lists(st.binary(max_size=30) | st.text("data:event \r\n").map(str.encode))
)
@examples(15)
def test_any_bytes_of_a_stream_are_a_text_or_an_error(
    server: Answering, *, api: str, chunks: list[bytes]
) -> None:
    """Any bytes after the head of a stream are a text or an error."""
    server.steps = [head(200, "text/event-stream"), *filter(None, chunks), CLOSE]
    run("complete", "--stream", "p", env=server.env(api))
