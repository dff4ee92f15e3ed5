import math
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

import writer_cli as writer
from writer_cli.models import (
    CompletionGenerationChoiceLogprobs,
    CompletionRequest,
    CompletionResponse,
    CreateCompletionResponse,
)

FULL: dict[str, Any] = {
    "prompt": "p",
    "max_tokens": 10,
    "min_tokens": 2,
    "temperature": 0.5,
    "top_p": 0.25,
    "stop": ["a", "b"],
    "presence_penalty": 0.1,
    "frequency_penalty": -0.2,
    "best_of": 3,
    "n": 2,
    "logprobs": 4,
}


def test_a_request_has_only_the_fields_that_are_set() -> None:
    """A field that is not given, or is None, is left out."""
    request = CompletionRequest(prompt="p", n=None, temperature=0)
    assert request.set_fields() == {"prompt": "p", "temperature": 0}


def test_a_request_has_every_field_that_is_set() -> None:
    """Every field that is set is there, in the order of declaration."""
    assert list(CompletionRequest(**FULL).set_fields().items()) == list(FULL.items())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("prompt", " "),
        ("max_tokens", 1),
        ("max_tokens", 2**63 - 1),
        ("min_tokens", 0),
        ("temperature", 0),
        ("temperature", 100.5),
        ("top_p", 0),
        ("top_p", 1),
        ("stop", []),
        ("stop", ["\n"]),
        ("presence_penalty", -1e9),
        ("frequency_penalty", 1e9),
        ("best_of", 1),
        ("n", 1),
        ("logprobs", 0),
    ],
)
def test_unusual_values_are_allowed(field: str, value: Any) -> None:
    """A value is allowed if any model could accept it."""
    assert CompletionRequest(**{"prompt": "p", field: value}).set_fields()[field] == value


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("prompt", ""),
        ("prompt", None),
        ("prompt", 5),
        ("prompt", b"p"),
        ("prompt", "half \ud800"),
        ("max_tokens", 0),
        ("max_tokens", -1),
        ("max_tokens", 2**63),
        ("max_tokens", "5"),
        ("max_tokens", 5.0),
        ("max_tokens", True),
        ("min_tokens", -1),
        ("temperature", -0.1),
        ("temperature", math.nan),
        ("temperature", math.inf),
        ("temperature", "1"),
        ("temperature", 10**400),
        ("top_p", -0.1),
        ("top_p", 1.01),
        ("top_p", math.nan),
        ("stop", "the"),
        ("stop", [""]),
        ("stop", [5]),
        ("stop", ["\udfff"]),
        ("presence_penalty", math.nan),
        ("frequency_penalty", -math.inf),
        ("best_of", 0),
        ("n", 0),
        ("logprobs", -1),
        ("temprature", 1),
    ],
)
def test_an_invalid_field_is_named(field: str, value: Any) -> None:
    """The error names the field with an invalid value or an unknown name."""
    with pytest.raises(ValidationError) as caught:
        CompletionRequest(**{"prompt": "p", field: value})
    assert {error["loc"][0] for error in caught.value.errors()} == {field}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"min_tokens": 5, "max_tokens": 4}, "min_tokens: 5 is more than max_tokens, 4"),
        ({"best_of": 2, "n": 3}, "best_of: 2 is less than n, 3"),
    ],
)
def test_fields_that_contradict_each_other_are_refused(
    fields: dict[str, Any], message: str
) -> None:
    """The error names both fields and their values."""
    with pytest.raises(ValidationError, match=message):
        CompletionRequest(prompt="p", **fields)


@pytest.mark.parametrize(
    "fields",
    [{"min_tokens": 4, "max_tokens": 4}, {"min_tokens": 4}, {"best_of": 3, "n": 3}, {"n": 3}],
)
def test_fields_that_fit_together_are_allowed(fields: dict[str, Any]) -> None:
    """Equal bounds are allowed, and a field that is not set contradicts nothing."""
    assert CompletionRequest(prompt="p", **fields).set_fields() == {"prompt": "p", **fields}


def test_a_request_does_not_change() -> None:
    """A request cannot be changed, so that threads may share it."""
    with pytest.raises(ValidationError, match="frozen"):
        CompletionRequest(prompt="p").prompt = "q"  # type: ignore[misc]


def test_advice_names_unusual_values() -> None:
    """The advice on each unusual field has its value and the documented range."""
    request = CompletionRequest(
        prompt="p",
        stop=["a", "b", "c", "d", "e"],
        temperature=2.5,
        top_p=0,
        presence_penalty=-3,
        frequency_penalty=2.01,
    )
    assert request.advice() == {
        "stop": "5 stop sequences; the documented maximum is 4",
        "temperature": "2.5; the documented range is 0 to 2",
        "top_p": "0; the documented range is above 0, up to 1",
        "presence_penalty": "-3; the documented range is -2 to 2",
        "frequency_penalty": "2.01; the documented range is -2 to 2",
    }


def test_documented_values_need_no_advice() -> None:
    """A value at the limit of the documented range gets no advice."""
    request = CompletionRequest(
        prompt="p",
        stop=["a", "b", "c", "d"],
        temperature=2,
        top_p=1,
        presence_penalty=-2,
        frequency_penalty=2,
    )
    assert [request.advice(), CompletionRequest(prompt="p").advice()] == [{}, {}]


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("\ud800", "\ufffd"),
        ("a\udfffb", "a\ufffdb"),
        ("\ud83d\ude00", "\U0001f600"),
        ("é\x00", "é\x00"),
    ],
)
def test_a_text_can_be_written_as_utf8(sent: str, read: str) -> None:
    """Half of a surrogate pair is replaced, and a whole pair becomes its character."""
    response = CompletionResponse.model_validate({"choices": [{"text": sent}]})
    assert response.choices[0].text == read


@pytest.mark.parametrize("logprobs", ["x", 5, [], {"tokens": 5}, {"token_logprobs": ["x"]}])
def test_a_text_is_kept_without_invalid_logprobs(logprobs: Any) -> None:
    """Log probabilities of a wrong shape become None, and the text is kept."""
    response = CompletionResponse.model_validate(
        {"choices": [{"text": "t", "logprobs": logprobs, "new": 1}], "new": 1}
    )
    assert response == CompletionResponse.model_validate({"choices": [{"text": "t"}]})


def test_a_log_probability_that_json_lacks_becomes_none() -> None:
    """Minus infinity and NaN, which JSON lacks, become None in every place."""
    logprobs = CompletionGenerationChoiceLogprobs.model_validate(
        {
            "tokens": ["a", "\ud800"],
            "token_logprobs": [-math.inf, None],
            "top_logprobs": [{"a": math.nan, "\ud800": "-0.5"}, None],
            "text_offset": [0, 1],
        }
    )
    assert logprobs.model_dump() == {
        "tokens": ["a", "\ufffd"],
        "token_logprobs": [None, None],
        "top_logprobs": [{"a": None, "\ufffd": -0.5}, None],
        "text_offset": [0, 1],
    }


@pytest.mark.parametrize("choices", [[{}], [{"text": None}], [{"text": 5}], [None], "x", 5])
def test_choices_without_a_text_are_refused(choices: Any) -> None:
    """A choice without a text is invalid."""
    with pytest.raises(ValidationError):
        CompletionResponse.model_validate({"choices": choices})


def response(headers: dict[str, list[str]]) -> CreateCompletionResponse:
    """Return a response with these headers."""
    return writer.CreateCompletionResponse(
        completion_response=None,
        status_code=200,
        content_type="application/json",
        headers=headers,
        make_raw_response=lambda: httpx.Response(200, text="the raw response"),
    )


def test_the_action_id_is_the_first_header_of_that_name() -> None:
    """The Action-Id is the first of several headers, and None without one."""
    assert response({"action-id": ["a", "b"]}).action_id == "a"
    assert response({}).action_id is None


def test_the_raw_response_is_no_part_of_the_repr() -> None:
    """The repr leaves out the raw response, which holds the request."""
    answer = response({})
    assert answer.raw_response.text == "the raw response"
    assert "Response [200" not in repr(answer)
