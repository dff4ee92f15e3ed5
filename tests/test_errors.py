import json
import pickle
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.harness.program import ERROR_KEYS
from writer_cli.errors import (
    BadAnswerError,
    ConfigurationError,
    CutError,
    DeadlineError,
    FailMessage,
    FailResponse,
    NetworkError,
    OutputError,
    ReaderGoneError,
    RequestTimeoutError,
    SDKError,
    UsageError,
    WriterError,
)
from writer_cli.exits import ExitCode
from writer_cli.http.error_answers import error_from_answer, is_json
from writer_cli.redaction import cleaned_excerpt, redact

JSON = "application/json"


def fail_body(description: str = "no", key: str | None = "fail.some", tpe: str = "Some") -> str:
    """Write the JSON of a `FailResponse`."""
    message = {"description": description, "key": key, "extras": None}
    return json.dumps({"tpe": tpe, "errors": [message], "extras": None})


@pytest.mark.parametrize(
    ("error", "kind", "exit_code", "retryable"),
    [
        (WriterError("x"), "bug", 1, False),
        (UsageError("x"), "usage", 2, False),
        (ConfigurationError("x"), "configuration", 3, False),
        (NetworkError("x"), "network", 8, True),
        (RequestTimeoutError("x"), "timeout", 8, True),
        (BadAnswerError("x"), "bad_answer", 9, False),
        (OutputError("x"), "output", 11, False),
        (ReaderGoneError("x"), "reader_gone", 141, False),
        (SDKError("x", 401), "authentication", 4, False),
        (SDKError("x", 403), "permission", 4, False),
        (SDKError("x", 404), "not_found", 5, False),
        (SDKError("x", 400), "refused", 5, False),
        (SDKError("x", 408), "refused", 5, True),
        (SDKError("x", 409), "refused", 5, True),
        (SDKError("x", 422), "refused", 5, False),
        (SDKError("x", 425), "refused", 5, True),
        (SDKError("x", 429), "rate_limit", 6, True),
        (SDKError("x", 500), "server", 7, True),
        (SDKError("x", 503), "server", 7, True),
        (SDKError("x", 599), "server", 7, True),
    ],
    ids=lambda value: f"{type(value).__name__}{getattr(value, 'status_code', '')}",
)
def test_every_error_has_a_kind_an_exit_code_and_says_whether_to_try_again(
    error: WriterError, kind: str, exit_code: int, *, retryable: bool
) -> None:
    """Each class has its kind, its exit code and `retryable`."""
    assert (error.kind, int(error.exit_code), error.retryable) == (kind, exit_code, retryable)


@pytest.mark.parametrize(
    "error",
    [WriterError("x"), NetworkError("x"), SDKError("x", 500), FailResponse("t", status_code=400)],
    ids=lambda error: type(error).__name__,
)
def test_every_error_has_the_same_keys_as_a_dict(error: WriterError) -> None:
    """`as_dict` has the same keys for every error, and its values are valid JSON."""
    told = error.as_dict()
    assert told.keys() == set(ERROR_KEYS)
    assert json.loads(json.dumps(told)) == told


def test_a_fail_response_as_a_dict_has_every_value() -> None:
    """`as_dict` has every value that the server sent."""
    error = error_from_answer(
        404,
        JSON,
        '{"tpe":"NotFound","errors":[{"description":"no such model","key":"fail.notFound.resource",'
        '"extras":{"id":[1,null]}}],"extras":"x"}',
        action_id="a-1",
    )
    assert error.as_dict() == {
        "kind": "not_found",
        "exit_code": 5,
        "message": "no such model",
        "status_code": 404,
        "tpe": "NotFound",
        "errors": [
            {
                "description": "no such model",
                "key": "fail.notFound.resource",
                "extras": {"id": [1, None]},
            }
        ],
        "action_id": "a-1",
        "retryable": False,
        "attempts": 0,
        "hint": "check --model-id and --organization-id: `writer config check` shows both",
    }
    assert isinstance(error, FailResponse)
    assert error.extras == "x"


def test_a_given_hint_replaces_that_of_the_class() -> None:
    """A hint that is given replaces the hint of the class."""
    assert RequestTimeoutError("x").hint != RequestTimeoutError("x", hint="y").hint == "y"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 500])
def test_a_documented_status_with_a_json_object_is_a_fail_response(status: int) -> None:
    """Under the SDK's documented statuses any JSON object is a `FailResponse`."""
    for body in (fail_body(), "{}", '{"detail":"x"}'):
        assert type(error_from_answer(status, JSON, body)) is FailResponse


OTHER_STATUSES = sorted({*range(400, 600)} - {400, 401, 403, 404, 500})


@pytest.mark.parametrize("content_type", [JSON, "text/html", ""])
def test_any_other_status_is_an_sdk_error(content_type: str) -> None:
    """All statuses from 400 to 599 but the five documented ones are `SDKError`s."""
    for status in OTHER_STATUSES:
        error = error_from_answer(status, content_type, '{"detail":"x"}')
        assert type(error) is SDKError
        assert error.status_code == status


@pytest.mark.parametrize("status", [400, 401, 403, 404, 500])
@pytest.mark.parametrize("content_type", ["text/html", "text/plain", "", "application/jsonx"])
def test_another_content_type_is_an_sdk_error(status: int, content_type: str) -> None:
    """A documented status without a JSON content type is an `SDKError`."""
    assert type(error_from_answer(status, content_type, fail_body())) is SDKError


@pytest.mark.parametrize("status", [409, 413, 422, 429, 503, 504, 507])
def test_a_body_of_that_shape_is_a_fail_response_under_any_status(status: int) -> None:
    """A `FailResponse` body is read under other statuses, such as 429, too."""
    error = error_from_answer(status, JSON, fail_body("slow down"))
    assert type(error) is FailResponse
    assert str(error) == "slow down"


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "Application/JSON; charset=utf-8", " application/problem+json "],
)
def test_a_json_content_type_is_recognized(content_type: str) -> None:
    """Case, parameters, white space and a suffix `+json` are accepted."""
    assert is_json(content_type)


@pytest.mark.parametrize("content_type", ["", "text/json", "application/jsonl", "json", "+jsonx"])
def test_any_other_content_type_is_not_json(content_type: str) -> None:
    """Any other content type is not JSON."""
    assert not is_json(content_type)


@pytest.mark.parametrize("body", ["", "null", "[]", '"x"', "{", "[" * 100_000, "1" * 5000, "\x00"])
def test_a_body_that_is_not_a_json_object_is_an_sdk_error(body: str) -> None:
    """A body that is not a JSON object is an `SDKError` with the body."""
    error = error_from_answer(400, JSON, body)
    assert type(error) is SDKError
    assert error.body == body
    assert str(error).startswith("HTTP 400 Bad Request")


@pytest.mark.parametrize(
    ("message", "read"),
    [
        ({"description": "a"}, FailMessage("a", None, None)),
        ({"description": "a", "key": "k", "extras": 1}, FailMessage("a", "k", 1)),
        ({"description": "a", "extras": [{"b": None}]}, FailMessage("a", None, [{"b": None}])),
        ({"description": None}, FailMessage("")),
        ({"description": {"b": "é"}, "key": 5}, FailMessage('{"b": "é"}', "5")),
        ({}, FailMessage("")),
        ("a", FailMessage("a")),
        (None, FailMessage("null")),
        ([1], FailMessage("[1]")),
    ],
)
def test_a_message_is_read_whatever_it_is(message: Any, read: FailMessage) -> None:
    """Every field of a message is optional, and a value of a wrong type is shown."""
    error = error_from_answer(400, JSON, json.dumps({"tpe": "t", "errors": [message]}))
    assert isinstance(error, FailResponse)
    assert error.errors == [read]


@pytest.mark.parametrize("extras", [None, "key", 1, 1.5, True, [], {"a": {"b": []}}])
def test_extras_are_kept_of_any_type(extras: Any) -> None:
    """`extras` of the error and of each message are kept as the server sent them."""
    body = {"tpe": "t", "errors": [{"description": "d", "extras": extras}], "extras": extras}
    error = error_from_answer(400, JSON, json.dumps(body))
    assert isinstance(error, FailResponse)
    assert [error.extras, error.errors[0].extras] == [extras, extras]


@pytest.mark.parametrize("errors", [None, "x", 1, {"description": "x"}])
def test_errors_that_are_not_a_list_are_ignored(errors: Any) -> None:
    """The message is then the status and an excerpt of the body."""
    error = error_from_answer(400, JSON, json.dumps({"tpe": None, "errors": errors}))
    assert isinstance(error, FailResponse)
    assert (error.tpe, error.errors) == ("", [])
    assert str(error).startswith("HTTP 400 Bad Request: {")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.integers(400, 599),
    st.fixed_dictionaries({}, optional=dict.fromkeys(("tpe", "errors", "extras"), json_values)),
)
def test_any_json_is_some_error(status: int, body: dict[str, Any]) -> None:
    """Any JSON body gives an error with a message and the usual keys."""
    error = error_from_answer(status, JSON, json.dumps(body))
    assert error.as_dict().keys() == set(ERROR_KEYS)
    assert str(error)


def test_all_reasons_make_the_message() -> None:
    """The message joins all descriptions, and leaves empty ones out."""
    error = FailResponse(
        "t", [FailMessage("a"), FailMessage(""), FailMessage("b")], status_code=400
    )
    assert str(error) == "a; b"


def test_a_used_up_quota_is_not_a_rate_limit() -> None:
    """Both are 429, and only the rate limit is retryable."""
    rate = error_from_answer(429, JSON, fail_body(key="fail.tooManyRequests.quotaExceeded"))
    quota = error_from_answer(429, JSON, fail_body(key="fail.model.quotaExceeded"))
    assert [(e.kind, e.retryable, e.exit_code) for e in (rate, quota)] == [
        ("rate_limit", True, ExitCode.LIMITED),
        ("quota", False, ExitCode.LIMITED),
    ]


@pytest.mark.parametrize("key", ["fail.content.moderation.failed", "fail.guardrail.blocked"])
def test_the_content_filter_says_to_reword(key: str) -> None:
    """The hint for a prompt that the content filter refuses is to reword it."""
    error = error_from_answer(400, JSON, fail_body(key=key))
    assert error.hint == "the content filter refused it: reword the prompt"


def test_only_the_visible_text_of_a_page_is_quoted() -> None:
    """Tags, styles and scripts are removed, entities decoded, white space collapsed."""
    page = (
        "<!doctype html><html><head><title>Bad</title></head><style>b{}</style>"
        "<body onload='x()'>\n<h1>502 &amp; gone</h1>\t<script>alert(1)</script>nginx</body></html>"
    )
    assert cleaned_excerpt(page) == "502 & gone nginx"
    error = error_from_answer(502, "text/html", page)
    assert str(error) == "HTTP 502 Bad Gateway: 502 & gone nginx"


def test_a_long_page_is_cut() -> None:
    """An excerpt has 200 characters and ends with an ellipsis."""
    assert cleaned_excerpt("x" * 200) == "x" * 200
    assert cleaned_excerpt("x" * 201) == "x" * 199 + "…"


@pytest.mark.parametrize("page", ["<" * 5_000_000, "<script>" * 500_000, "<a " * 1_000_000])
def test_a_hostile_page_is_cut_before_it_is_cleaned(page: str) -> None:
    """Megabytes of open tags become an excerpt in a short time."""
    assert len(cleaned_excerpt(page)) <= 200


def test_an_unknown_status_has_no_phrase() -> None:
    """The message of an unknown status is its number."""
    assert str(error_from_answer(599, "", "")) == "HTTP 599"


KEY = "w-4Jq9/x+Zz0=\"'\\tail"


@pytest.mark.parametrize(
    "text",
    [
        f"Received API Key = {KEY}.",
        f"Authorization: Bearer {KEY}",
        f'{{"description": {json.dumps(KEY)}}}',
        '{"description": "' + KEY.replace("/", r"\/") + '"}',
        "<p>w-4Jq9/x+Zz0=&quot;&#x27;\\tail</p>",
        '{"description": "' + "".join(f"\\u{ord(letter):04X}" for letter in KEY) + '"}',
        "<p>" + "".join(f"&#{ord(letter)};" for letter in KEY) + "</p>",
        "<p>" + "".join(f"&#x00{ord(letter):X};" for letter in KEY) + "</p>",
        f"https://elsewhere.example/?key={quote(KEY, safe='')}",
    ],
    ids=[
        "plain",
        "header",
        "JSON",
        "JSON with escaped slashes",
        "HTML",
        "JSON in numbers",
        "HTML in numbers",
        "HTML in hexadecimal numbers",
        "address",
    ],
)
def test_a_key_is_redacted_in_every_encoding(text: str) -> None:
    """The key is replaced in plain text and as JSON, HTML and URLs encode it."""
    redacted = redact(text, KEY)
    assert "[redacted]" in redacted
    assert "4Jq9" not in redacted
    assert len(redacted) < len(text)
    assert "tail" not in redacted


@pytest.mark.parametrize(
    "page",
    [
        (
            "application/json",
            r'{"tpe":"Unauthorized","errors":[{"description":"no: w-4Jq9zz\u003d"}]}',
        ),
        ("text/html", "<p>no: w-4Jq9zz&#x3D;</p>"),
    ],
    ids=["JSON", "HTML"],
)
def test_reading_an_escape_brings_no_key_back(page: tuple[str, str]) -> None:
    """A key is redacted also where a server escapes its `=`."""
    content_type, body = page
    error = error_from_answer(401, content_type, redact(body, "w-4Jq9zz="))
    assert error.message.endswith("no: [redacted]")


@pytest.mark.parametrize(
    "error",
    [DeadlineError(), CutError("x"), UsageError("x", field="y"), FailResponse("t"), SDKError("x")],
    ids=lambda error: type(error).__name__,
)
def test_an_error_can_be_pickled(error: WriterError) -> None:
    """An unpickled error is the same, as a pool of processes needs."""
    error.hint, error.text = "a hint", "a text"
    other = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own data
    assert type(other) is type(error)
    assert other.as_dict() == error.as_dict()


def test_the_tail_and_the_hash_of_a_key_are_redacted() -> None:
    """The tail and the hash of a key, which a 401 may repeat, are replaced."""
    text = f"Received API Key = sk-...0000, Key Hash (Token) ={'0af' * 21}9. Tail ...6789"
    assert redact(text, "secret-6789") == (
        "Received API Key = [redacted], Key Hash (Token) =[redacted]. Tail ...[redacted]"
    )


def test_what_looks_like_a_key_is_redacted() -> None:
    """Text that looks like anyone's key is replaced, ordinary words are not."""
    text = "sk-abc123 and Bearer abcdefgh.12 but not task-list or a bearer"
    assert redact(text, None) == "[redacted] and Bearer [redacted] but not task-list or a bearer"


def test_a_very_short_key_is_not_redacted() -> None:
    """A key as short as a word, as the sandbox accepts, is not replaced in messages."""
    assert redact("the quota is used up: fail.model.quotaExceeded", "quota") == (
        "the quota is used up: fail.model.quotaExceeded"
    )
