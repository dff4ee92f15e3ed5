"""Errors of servers, and the names of the dialects."""

from typing import Any, get_args

import pytest

from writer_cli import apis
from writer_cli.apis.access import ApiName
from writer_cli.apis.failures import read_failure


@pytest.mark.parametrize(
    ("tpe", "status"),
    [
        ("BadRequest", 400),
        ("Unauthorized", 401),
        ("fail.auth", 401),
        ("Forbidden", 403),
        ("NotFound", 404),
        ("TooManyRequests", 429),
        ("CompletionModelQuotaError", 429),
        ("ServiceUnavailable", 503),
        ("SomethingNew", 500),
    ],
)
def test_an_error_within_a_stream_has_the_status_of_its_type(tpe: str, status: int) -> None:
    """In a stream, whose status is 200, the status is derived from `tpe`."""
    failure = read_failure({"tpe": tpe, "errors": []})
    assert failure is not None
    assert (failure.tpe, failure.status_code) == (tpe, status)


def test_a_dialect_has_the_name_that_it_is_chosen_by() -> None:
    """`apis.get(name)` returns the dialect with that name."""
    names = get_args(ApiName)
    assert len(names) == 3
    for name in names:
        assert apis.get(name).name == name


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"tpe": "NotFound"}, ("NotFound", [], None, 404)),
        ({"errors": ["e", 5, {}]}, ("", [("e", None, None), ("5", None, None)], None, 500)),
        ({"errors": [{}], "extras": 1}, ("", [("", None, None)], 1, 500)),
        ({"tpe": 5, "errors": "e"}, ("5", [], None, 500)),
        (
            {"errors": [{"description": ["é"], "key": 7, "extras": 8}]},
            ("", [('["é"]', "7", 8)], None, 500),
        ),
        ({"error": "e"}, ("", [("e", None, {"param": None, "code": None})], None, 500)),
        (
            {"error": {"message": "a\n b", "type": "t", "code": "c", "param": "p"}},
            ("t", [("a b", "c", {"param": "p", "code": "c"})], None, 500),
        ),
        ({"error": {"type": 5}}, ("5", [("", None, {"param": None, "code": None})], None, 500)),
        ({"error": 5}, None),
        ({}, None),
    ],
)
def test_each_shape_of_an_error_is_read(body: dict[str, Any], expected: Any) -> None:
    """Writer's shape needs only one of its two keys; OpenAI's may be a string."""
    failure = read_failure(body)
    if failure is None or expected is None:
        assert failure is expected
        return
    tpe, reasons, extras, status = expected
    assert (failure.tpe, failure.extras, failure.status_code) == (tpe, extras, status)
    read = [(reason.description, reason.key, reason.extras) for reason in failure.errors]
    assert read[: len(reasons)] == reasons


@pytest.mark.parametrize(
    ("code", "status"),
    [(399, 500), (400, 400), (422, 422), (599, 599), (600, 500), ("400", 500), (None, 500)],
)
def test_a_number_as_code_is_the_status_of_an_error(code: Any, status: int) -> None:
    """In OpenAI's shape, a code from 400 to 599 is the status."""
    failure = read_failure({"error": {"code": code}})
    assert failure is not None
    assert failure.status_code == status


@pytest.mark.parametrize(
    ("param", "field"),
    [
        ("temperature", "temperature"),
        ("body.maxTokens.0", "max_tokens"),
        ("topP", "top_p"),
        ("seed", "random_seed"),
        ("model", "model_id"),
        ("prompt", None),
        ("other", None),
        (5, None),
    ],
)
def test_the_field_that_a_server_names_is_ours(param: Any, field: str | None) -> None:
    """A name in camel case, within `body.` or with an index is the name of our field."""
    failure = read_failure({"error": {"param": param}})
    assert failure is not None
    assert failure.errors[0].field == field
