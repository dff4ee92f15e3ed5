"""What the dialects share: ids, paths, streams and log probabilities."""

from datetime import date
from typing import Any

import pytest

from writer_cli import CompletionRequest
from writer_cli.apis import dialect
from writer_cli.apis.dialect import Target
from writer_cli.apis.retired import RETIRED_MODELS, Retirement
from writer_cli.errors import BadAnswerError, UsageError, WriterError


@pytest.mark.parametrize("number", [0xD800, 0xDFFF])
@pytest.mark.parametrize("name", ["model_id", "customization_id"])
def test_an_id_that_is_not_utf8_is_refused(name: str, number: int) -> None:
    """The first and the last surrogate are refused, and the characters beside them are not."""
    with pytest.raises(UsageError) as caught:
        Target(**{"model_id": "m", name: f"a{chr(number)}"}).checked()  # type: ignore[arg-type]
    assert caught.value.message == f"{name} is not UTF-8"
    assert (caught.value.hint, caught.value.field) == ("an id looks like palmyra-x5", name)
    good = Target("\ud7ff\ue000", customization_id="\ue000")
    assert good.checked() is good


def test_an_answer_has_a_hundred_thousand_choices_at_most() -> None:
    """100,000 choices are read, and one more is a bad answer."""
    choices: list[dict[str, Any]] = [{}] * 100_000
    assert dialect.choices_in({"choices": choices}) is choices
    assert dialect.choices_in({}) == dialect.choices_in({"choices": None}) == []
    with pytest.raises(BadAnswerError) as caught:
        dialect.choices_in({"choices": [*choices, {}]})
    assert caught.value.message == "the answer has more than 100,000 choices"


@pytest.mark.parametrize(
    ("fields", "customization", "obstacle"),
    [
        ({}, None, None),
        ({"n": 1, "best_of": 1}, None, None),
        ({}, "c", "customization_id"),
        ({"n": 2}, None, "n"),
        ({"best_of": 2}, None, "best_of"),
        ({"logprobs": 0}, None, "logprobs"),
    ],
)
def test_what_prevents_a_stream_is_named(
    fields: dict[str, Any], customization: str | None, obstacle: str | None
) -> None:
    """Several texts, log probabilities and customizations prevent a stream."""
    request, target = CompletionRequest(prompt="p", **fields), Target("m", 1, customization)
    assert dialect.obstacle_to_streaming(request, target) == obstacle
    if obstacle is None:
        dialect.check_streaming(request, target)
        return
    with pytest.raises(UsageError) as caught:
        dialect.check_streaming(request, target)
    assert caught.value.message == f"{obstacle}: a request with it cannot be streamed"
    assert caught.value.hint == "leave it out, or do not ask for a stream"
    assert caught.value.field == obstacle


def test_a_field_that_an_api_does_not_have_is_refused() -> None:
    """No field is dropped silently."""
    request = CompletionRequest(prompt="p", n=2)
    assert dialect.body_of(request, {"prompt": "a", "n": "b"}, "openai") == {"a": "p", "b": 2}
    with pytest.raises(UsageError) as caught:
        dialect.body_of(request, {"prompt": "a"}, "studio")
    assert caught.value.message == "n cannot be sent to the studio API"
    assert caught.value.hint == ("leave it out, or choose another API with --api; studio is in use")
    assert caught.value.field == "n"


def test_an_event_may_be_wrapped() -> None:
    """`{"data": {…}}` stands for its content, and anything else for itself."""
    assert dialect.unwrapped({"data": {"value": "x"}}) == {"value": "x"}
    assert dialect.unwrapped({"data": 5}) == {"data": 5}
    assert dialect.unwrapped([5]) == [5]
    assert dialect.read_value_event({"data": {"value": "x"}}).text == "x"
    with pytest.raises(TypeError, match=r"^value: not a string$"):
        dialect.read_value_event({"value": 5})


def test_log_probabilities_of_tokens_become_parallel_lists() -> None:
    """A character of several tokens is in the last of them; of equal names the first counts."""

    def token(text: str, raw: list[int] | None, *others: Any) -> dict[str, Any]:
        return {"token": text, "bytes": raw, "logprob": -1.0, "top_logprobs": list(others)}

    first, second = {"token": "a", "logprob": -1.0}, {"token": "a", "logprob": -2.0}
    half = {"token": "?", "bytes": [0xE2, 0x02], "logprob": -3.0}
    whole = {"token": "?", "bytes": [0xC3, 0xA9], "logprob": -4.0}
    content = [
        token("a", None, first, second, half, whole),
        token("?", [0xC3]),
        token("?", [0xA9]),
        token("?", [0xC3]),
    ]
    assert dialect.logprobs_from_content({"content": content}) == {
        "tokens": ["a", "", "é", "\ufffd"],
        "token_logprobs": [-1.0] * 4,
        "top_logprobs": [{"a": -1.0, "bytes:\\xe2\\x02": -3.0, "é": -4.0}, {}, {}, {}],
        "text_offset": [0, 1, 1, 2],
    }
    assert dialect.logprobs_from_content({"content": [{}]}) is None


def test_a_hint_is_appended() -> None:
    """A second hint follows the first one."""
    error = WriterError("e")
    for _ in range(2):
        dialect.append_hint(error, "h")
    assert error.hint == "h; h"


def test_customizations_exist_in_one_api_only() -> None:
    """The error names the API that has them, and the flag."""
    error = dialect.no_customizations("studio")
    assert error.message == (
        "customizations exist only in the enterprise API, and the studio API is in use"
    )
    assert (error.hint, error.field) == (
        "--api enterprise, with --organization-id",
        "customization_id",
    )


def test_a_segment_of_a_path_is_encoded_completely() -> None:
    """A slash in an id starts no new segment; 1,000 characters are allowed."""
    assert dialect.path_of("a/b", 5, "é?", "x" * 1000) == f"/a%2Fb/5/%C3%A9%3F/{'x' * 1000}"


@pytest.mark.parametrize(
    ("segment", "message"),
    [
        ("", "'' is not an id"),
        (".", "'.' is not an id"),
        ("..", "'..' is not an id"),
        ("x" * 1001, "an id has at most 1000 characters, this one 1001"),
        ("\ud800", "'\\ud800' is not an id"),
    ],
)
def test_a_segment_that_would_change_the_path_is_refused(segment: str, message: str) -> None:
    """The hint shows an id and the command that lists them."""
    with pytest.raises(UsageError) as caught:
        dialect.path_of("m", segment)
    assert caught.value.message == message
    assert caught.value.hint == "an id looks like palmyra-x5; `writer models` lists them"


def test_the_models_that_were_removed_have_a_successor() -> None:
    """Five models were removed on one day."""
    assert set(RETIRED_MODELS.values()) == {Retirement(date(2026, 7, 13), "palmyra-x5")}
    assert sorted(RETIRED_MODELS) == [
        "palmyra-creative",
        "palmyra-fin",
        "palmyra-med",
        "palmyra-vision",
        "palmyra-x-003-instruct",
    ]
