"""Values of settings as text, and what a message says of a wrong one."""

from typing import Any

import pytest

from writer_cli.config import schema
from writer_cli.config.schema import Setting, setting_from_text
from writer_cli.errors import UsageError


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("allow_http", "true", True),
        ("allow_http", "false", False),
        ("timeout", "1000000", 1e6),
        ("timeout", "1e-3", 0.001),
        ("timeout", ".5", 0.5),
        ("max_retries", "0", 0),
        ("organization_id", str(2**63 - 1), 2**63 - 1),
        ("auth_scheme", "raw", "raw"),
        ("base_url", "http://10.0.0.1/", "http://10.0.0.1"),
        ("model_id", "\ud7ff\ue000", "\ud7ff\ue000"),
    ],
)
def test_a_text_is_read_as_the_type_of_its_setting(name: str, text: str, value: Any) -> None:
    """The smallest and the largest values are allowed."""
    setting = setting_from_text(name, text)
    assert (setting.name, setting.value, setting.source) == (name, value, "")
    assert type(setting.value) is type(value)


SECONDS = "a number of seconds above 0, up to 1000000"
WHOLE = "a whole number from 0 to 2^63 - 1"


@pytest.mark.parametrize(
    ("name", "text", "message", "example"),
    [
        ("allow_http", "yes", "allow_http: 'yes' is not true or false", "true"),
        ("timeout", "0", f"timeout: '0' is not {SECONDS}", "30"),
        ("timeout", "1000001", f"timeout: '1000001' is not {SECONDS}", "30"),
        ("timeout", "inf", f"timeout: 'inf' is not {SECONDS}", "30"),
        ("max_retries", "-1", f"max_retries: '-1' is not {WHOLE}", "3"),
        ("organization_id", "9" * 20, f"organization_id: '{'9' * 20}' is not {WHOLE}", "123"),
        ("auth_scheme", "x", "auth_scheme: 'x' is not one of bearer, raw", "bearer"),
        ("api", "x", "api: 'x' is not one of enterprise, studio, openai", "enterprise"),
        (
            "model_id",
            " ",
            "model_id: ' ' is not a string with at least one visible character",
            "palmyra-x5",
        ),
        ("cache", "a\udfff", "cache: 'a\\udfff' is not UTF-8", ".writer-cache"),
        ("model_id", "0123456789abcdef", None, None),
        ("model_id", "x" * 70, None, None),
    ],
)
def test_a_value_that_is_refused_has_its_message_and_an_example(
    name: str, text: str, message: str | None, example: str | None
) -> None:
    """The message says what is allowed, and the hint is a command."""
    if message is None or example is None:
        assert setting_from_text(name, text).value == text
        return
    with pytest.raises(UsageError) as caught:
        setting_from_text(name, text)
    assert caught.value.message == message
    assert caught.value.hint == f"for example: `writer config set {name} {example}`"


def test_a_value_that_may_be_a_key_is_not_shown() -> None:
    """That is a word of at least 16 characters with a digit and a letter."""
    for text, is_shown in (("0123456789abcde", True), ("0123456789abcdef", False)):
        with pytest.raises(UsageError) as caught:
            setting_from_text("timeout", text)
        assert (text in caught.value.message) is is_shown
    with pytest.raises(UsageError) as caught:
        setting_from_text("api_key", " ")
    assert caught.value.message == ("api_key is not a string with at least one visible character")
    assert caught.value.hint is None


@pytest.mark.parametrize(
    ("name", "value", "shown", "stored"),
    [
        ("api_key", "abc", "[redacted, 3 characters]", "abc"),
        ("allow_http", True, "true", True),
        ("timeout", 30.0, "30", 30),
        ("timeout", 0.5, "0.5", 0.5),
        ("max_retries", 3, "3", 3),
        ("model_id", None, "", None),
    ],
)
def test_a_setting_is_shown_as_text(name: str, value: Any, shown: str, stored: Any) -> None:
    """Of a key only the length is shown; whole seconds have no decimals."""
    setting = Setting(name, value, "s")
    assert (setting.shown(), setting.stored()) == (shown, stored)
    assert repr(setting) == f"Setting(name={name!r}, source='s')"


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("modelid", "there is no setting 'modelid'", "did you mean model_id?"),
        (
            "timeout=5",
            "there is no setting 'timeout'",
            "leave out the =: `writer config set timeout`",
        ),
        (
            "qqqq",
            "there is no setting 'qqqq'",
            f"the settings are {', '.join(schema.SETTINGS)}",
        ),
    ],
)
def test_an_unknown_setting_has_a_hint(name: str, message: str, hint: str) -> None:
    """The hint is the most similar name, or all of them; what follows an = is not shown."""
    with pytest.raises(UsageError) as caught:
        schema.check_name(name)
    assert (caught.value.message, caught.value.hint) == (message, hint)
    schema.check_name("timeout")
    assert schema.flag_of("max_retries") == "--max-retries"


def test_a_long_value_is_shortened_in_a_message() -> None:
    """60 characters are shown."""
    assert schema.quoted("x" * 58) == repr("x" * 58)
    assert schema.quoted("x" * 59) == f"'{'x' * 59}…"
    assert schema.quoted(10**5000) == "this number"
