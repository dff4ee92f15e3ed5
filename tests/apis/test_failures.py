"""Errors of servers, and the names of the dialects."""

from typing import get_args

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
