"""A complete answer as JSON, and what an answer that is no JSON is."""

import json
from typing import Any

import httpx
import pytest

from writer_cli.errors import BadAnswerError, FailResponse, SDKError
from writer_cli.http import answer_json
from writer_cli.http.answer import Answer
from writer_cli.http.error_answers import error_from_answer, is_json


def answer(text: str, content_type: str = "application/json") -> Answer:
    """Return an answer in which `key` stands for the key."""
    return Answer(
        status_code=200,
        content_type=content_type,
        headers={},
        text=text,
        raw_response=lambda: httpx.Response(200),
        redacted=lambda text: text.replace("key", "[redacted]"),
        warn=lambda _: None,
        attempts=3,
    )


def test_the_repr_of_an_answer_has_no_functions() -> None:
    """The function that removes the key knows the key, so it is not shown."""
    assert repr(answer("{}")) == (
        "Answer(status_code=200, content_type='application/json', headers={}, text='{}', "
        "attempts=3, elapsed_s=0.0, recorded_at=None)"
    )


@pytest.mark.parametrize(
    ("given", "message", "content_type"),
    [
        (
            answer("a key", "text/key"),
            "the answer is text/[redacted], not JSON: a [red",
            "text/key",
        ),
        (answer("a", ""), "the answer is of unknown type, not JSON: a", ""),
        (answer("{"), "the answer is declared as JSON but is not valid JSON: {", ""),
        (answer("[5]"), "the answer is JSON but not an object: [5]", ""),
        (answer("{}"), "the answer is JSON but does not have the expected fields: {}", ""),
        (
            answer("[" + "," * 2_000_000),
            "the answer has more than 2,000,000 values",
            "",
        ),
    ],
)
def test_an_answer_that_cannot_be_read_has_its_message(
    given: Answer, message: str, content_type: str
) -> None:
    """The message quotes the beginning of the answer, and the error has the attempts."""
    with pytest.raises(BadAnswerError) as caught:
        given.parsed(lambda body: body["choices"])
    assert caught.value.message.startswith(message)
    assert (caught.value.attempts, caught.value.content_type) == (3, content_type)


def test_an_answer_has_two_million_values_at_most() -> None:
    """An answer with as many is read, here as invalid JSON."""
    with pytest.raises(ValueError, match="Expecting value") as caught:
        answer_json.read("[" + "," * 1_999_999, lambda _: None)
    assert not isinstance(caught.value, answer_json.TooManyValuesError)


@pytest.mark.parametrize(
    ("text", "read", "warning"),
    [
        ("[NaN]", [None], answer_json.UNREADABLE_NUMBER),
        ("[1e999]", [None], answer_json.UNREADABLE_NUMBER),
        ("[" + "9" * 1001 + "]", [None], answer_json.UNREADABLE_NUMBER),
        ("[" + "9" * 1000 + "]", [int("9" * 1000)], None),
        ("[1.5, true]", [1.5, True], None),
    ],
)
def test_a_value_that_cannot_be_read_is_left_out(text: str, read: Any, warning: str | None) -> None:
    """It becomes null, with a warning."""
    warnings: list[str] = []
    assert answer_json.read(text, warnings.append) == read
    assert warnings == ([] if warning is None else [warning])


def test_the_warnings_of_an_answer() -> None:
    """Each says what is left out."""
    assert answer_json.UNREADABLE_NUMBER == (
        "the answer has a number that cannot be read (NaN, Infinity or too large): it is left out"
    )
    assert answer_json.TOO_DEEP == (
        "the answer has a value with more than 100 levels: it is left out"
    )


def nested(levels: int, inner: str = "") -> str:
    """Write lists and objects within each other, a list as the last one."""
    pairs, is_even = (levels - 1) // 2, levels % 2 == 0
    return '{"a":' * is_even + '[{"a":' * pairs + "[" + inner + "]" + "}]" * pairs + "}" * is_even


def test_a_hundred_levels_are_kept_and_what_is_deeper_is_left_out() -> None:
    """The values beside it are kept, and brackets within a string do not count."""
    warnings: list[str] = []
    kept = nested(100, '1, "\\"[[{{"')
    assert answer_json.read(kept, warnings.append) == json.loads(kept)
    assert warnings == []
    cut = answer_json.read(nested(100, "[2], 3, {}"), warnings.append)
    assert cut == json.loads(nested(100, "null, 3, null"))
    assert warnings == [answer_json.TOO_DEEP] * 2


def test_an_answer_that_ends_below_the_hundredth_level_is_no_json() -> None:
    """No end is added to it."""
    with pytest.raises(ValueError, match="Expecting"):
        answer_json.read(nested(100).partition("]")[0] + "[5", lambda _: None)


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("application/json", True),
        (" Application/JSON ; charset=utf-8", True),
        ("application/problem+json", True),
        ("text/json", False),
        ("application/jsonl", False),
        ("", False),
    ],
)
def test_a_content_type_means_json(content_type: str, *, expected: bool) -> None:
    """`+json` types are JSON too."""
    assert is_json(content_type) is expected


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        *((status, '{"extras": 5}', FailResponse) for status in (400, 401, 403, 404, 500)),
        *((status, '{"extras": 5}', SDKError) for status in (402, 405, 429, 503)),
        (429, '{"tpe": "t", "extras": 5}', FailResponse),
        (400, "[]", SDKError),
        (400, "{", SDKError),
    ],
)
def test_an_error_with_a_json_body_is_a_fail_response(
    status: int, body: str, kind: type[SDKError]
) -> None:
    """That is so for the documented statuses, and for any other with a known shape."""
    error = error_from_answer(
        status, "application/json", body, action_id="a", retry_after=3, raw_response=None
    )
    assert type(error) is kind
    assert (error.status_code, error.body, error.action_id) == (status, body, "a")
    assert (error.retry_after, error.content_type) == (3, "application/json")
    if isinstance(error, FailResponse):
        assert (error.extras, error.tpe) == (5, "t" if "tpe" in body else "")
