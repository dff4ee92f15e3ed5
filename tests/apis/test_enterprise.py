import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from writer_cli import apis
from writer_cli.apis.access import AuthScheme, authorization, checked_base_url, is_loopback
from writer_cli.apis.dialect import Target, path_of
from writer_cli.errors import ConfigurationError, UsageError
from writer_cli.models import CompletionRequest

REQUEST = CompletionRequest(prompt="p")


def path_for(model_id: str, customization_id: str | None = None) -> str:
    """Return the path of a completion."""
    target = Target(model_id=model_id, organization_id=7, customization_id=customization_id)
    return apis.get("enterprise").completion(REQUEST, target).path


def test_a_model_is_asked_at_its_own_path() -> None:
    """The path of a model is that of the published description."""
    assert path_for("palmyra-x5") == "/llm/organization/7/model/palmyra-x5/completions"


def test_a_customization_is_asked_at_a_path_of_its_own() -> None:
    """The path of a customization contains the model's id too."""
    assert path_for("m", "c") == "/llm/organization/7/model/m/customization/c/completions"


def test_log_probabilities_get_the_names_that_the_other_apis_use() -> None:
    """Tokens, log probabilities, alternatives and offsets get the names of the other APIs."""
    logprobs = {
        "tokens": ["a", "b"],
        "tokenLogprobs": [-0.5, -1.0],
        "topLogprobs": [{"a": -0.5}, {"b": -1.0}],
        "textOffset": [0, 1],
    }
    read = apis.get("enterprise").read_completion(
        {"choices": [{"text": "ab", "logprobs": logprobs}]}
    )
    assert read.choices[0].model_dump()["logprobs"] == {
        "tokens": ["a", "b"],
        "token_logprobs": [-0.5, -1.0],
        "top_logprobs": [{"a": -0.5}, {"b": -1.0}],
        "text_offset": [0, 1],
    }


@pytest.mark.parametrize(
    ("segment", "encoded"),
    [
        ("pal/my ra?", "pal%2Fmy%20ra%3F"),
        ("a/../b", "a%2F..%2Fb"),
        ("%2e%2e", "%252e%252e"),
        ("#;=&+@:", "%23%3B%3D%26%2B%40%3A"),
        ("é\x00\n", "%C3%A9%00%0A"),
        ("A-z_0.9~", "A-z_0.9~"),
        ("...", "..."),
    ],
)
def test_an_id_is_percent_encoded_whole(segment: str, encoded: str) -> None:
    """Every reserved character of an id is encoded, so that the path stays the same."""
    assert path_for(segment) == f"/llm/organization/7/model/{encoded}/completions"
    assert path_for("m", segment).endswith(f"/customization/{encoded}/completions")


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=50))
def test_every_id_is_one_segment(segment: str) -> None:
    """With any id the path has the same number of segments and only URL-safe characters."""
    if segment in {".", ".."}:
        return
    path = path_of("model", segment)
    assert path.count("/") == 2
    assert set(path) <= set("/%-_.~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")


@pytest.mark.parametrize("segment", ["", ".", "..", "a" * 1001, "m\ud800"])
def test_an_id_that_would_name_another_path_is_refused(segment: str) -> None:
    """An id that is empty, dots, too long or not valid Unicode is refused."""
    with pytest.raises(UsageError):
        path_for(segment)
    with pytest.raises(UsageError):
        path_for("m", segment)


def test_a_missing_organization_id_says_where_to_put_it() -> None:
    """The hint names the setting, the variable, the flag and the argument."""
    with pytest.raises(ConfigurationError, match=r"^no organization id") as caught:
        apis.get("enterprise").completion(REQUEST, Target(model_id="m"))
    assert caught.value.hint == (
        "set it with `writer config set organization_id 123`, or with WRITER_ORGANIZATION_ID=123 "
        "or --organization-id 123; in Python, Writer(organization_id=123)"
    )


def test_an_organization_id_of_zero_is_valid() -> None:
    """An organization id of zero is valid."""
    call = apis.get("enterprise").completion(REQUEST, Target(model_id="m", organization_id=0))
    assert call.path == "/llm/organization/0/model/m/completions"


@pytest.mark.parametrize(
    ("key", "scheme", "header"),
    [
        ("k", "bearer", "Bearer k"),
        ("Bearer k", "bearer", "Bearer k"),
        ("k", "raw", "k"),
        ("Bearer k", "raw", "k"),
    ],
)
def test_a_key_is_presented_as_its_scheme_says(key: str, scheme: AuthScheme, header: str) -> None:
    """A `Bearer ` before the key is dropped, with the raw scheme too."""
    assert authorization(key, scheme) == header


@pytest.mark.parametrize("key", [None, "", "Bearer "])
def test_no_key_says_how_to_set_one(key: str | None) -> None:
    """The hint names the command and the variable."""
    with pytest.raises(ConfigurationError, match=r"^no API key$") as caught:
        authorization(key)
    assert caught.value.hint == (
        "set one with `writer config set api_key`, or WRITER_API_KEY; to try without one: --sandbox"
    )


@pytest.mark.parametrize(
    "bad", ["\n", "\r\nX-Evil: 1", "\x00", "\x1b[31m", "\x7f", " ", "\t", "é", "\u202e", "\ud800"]
)
@pytest.mark.parametrize("form", ["secret{}tail", "secret{}", "{}secret"])
def test_a_key_that_no_header_can_carry_is_refused_and_not_shown(bad: str, form: str) -> None:
    """No part of the key is in the message, the repr, the hint or the traceback."""
    with pytest.raises(ConfigurationError) as caught:
        authorization(form.format(bad))
    shown = [str(caught.value), repr(caught.value), str(caught.value.hint)]
    shown.append("".join(traceback.format_exception(caught.value)))
    assert not any("secret" in text for text in shown)


@pytest.mark.parametrize(
    ("url", "checked"),
    [
        ("https://enterprise-api.writer.com", "https://enterprise-api.writer.com"),
        ("https://enterprise-api.writer.com/", "https://enterprise-api.writer.com"),
        ("https://gateway.example:8443/writer/", "https://gateway.example:8443/writer"),
        ("http://localhost:8000", "http://localhost:8000"),
        ("http://127.0.0.1", "http://127.0.0.1"),
        ("http://127.8.9.10:1", "http://127.8.9.10:1"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("HTTP://LOCALHOST", "HTTP://LOCALHOST"),
        ("http://writer.localhost", "http://writer.localhost"),
    ],
)
def test_an_address_may_be_https_or_this_machine(url: str, checked: str) -> None:
    """A base URL is https, or http to this machine; its last slash is dropped."""
    assert checked_base_url(url) == checked


@pytest.mark.parametrize(
    "url",
    [
        "http://enterprise-api.writer.com",
        "http://localhost.evil.example",
        "http://127.0.0.1.evil.example",
        "http://0.0.0.0",
        "http://8.8.8.8",
        "http://[::2]",
        "http://2130706433",
        "http://134744072",
        "http://0x8080808",
        "http://gpu.example",
    ],
)
@pytest.mark.parametrize("allow_http", [False, True])
def test_a_key_is_not_sent_elsewhere_over_plain_http(url: str, allow_http: bool) -> None:
    """The hint is the same URL with https, and `allow_http` does not change the refusal."""
    with pytest.raises(ConfigurationError, match=r"over plain http$") as caught:
        checked_base_url(url, allow_http=allow_http)
    assert caught.value.hint == f"use https{url.removeprefix('http')}"


@pytest.mark.parametrize(
    "url",
    [
        "http://notlocalhost",
        "http://gpu-box:8000",
        "http://gpu.local",
        "http://gpu.internal",
        "http://10.0.0.1",
        "http://192.168.1.7:8080",
        "http://172.31.0.1",
        "http://169.254.3.4",
        "http://[fd00::1]:8000",
    ],
)
def test_plain_http_in_a_private_network_has_to_be_allowed(url: str) -> None:
    """The error says what the risk is, and names the setting that allows it."""
    with pytest.raises(ConfigurationError, match=r"others in the network read the key") as caught:
        checked_base_url(url)
    assert caught.value.hint == (
        f"use https{url.removeprefix('http')}, or set allow_http = true beside base_url in the "
        "configuration file"
    )
    assert checked_base_url(url, allow_http=True) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "enterprise-api.writer.com",
        "//enterprise-api.writer.com",
        "ftp://enterprise-api.writer.com",
        "file:///etc/passwd",
        "https://",
        "https:///path",
        "https://[::1",
        "https://host:port",
        "https://host:99999",
        "https://ho st",
        "https://host/\n",
        "https://host/\x1b[31m",
        "https://host\u202e",
        "http://127.0.0.1\\@evil.example",
        "https://user@host",
        "https://host?query",
        "https://host#fragment",
    ],
)
def test_an_invalid_base_url_is_refused(url: str) -> None:
    """The hint shows what a base URL looks like."""
    with pytest.raises(ConfigurationError, match=r"^base_url: ") as caught:
        checked_base_url(url)
    assert caught.value.hint == "a base URL looks like https://enterprise-api.writer.com"


def test_a_password_in_an_address_is_not_shown() -> None:
    """A base URL with a password is refused, and the error does not show it."""
    with pytest.raises(ConfigurationError) as caught:
        checked_base_url("https://user:hunter2@host")
    assert "hunter2" not in f"{caught.value!r}{caught.value.hint}"


@pytest.mark.parametrize("host", ["localhost", "a.localhost", "127.0.0.1", "127.255.0.1", "::1"])
def test_this_machine_is_known(host: str) -> None:
    """Loopback names and addresses are recognized."""
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["example.com", "localhost.com", "128.0.0.1", "::", ""])
def test_other_machines_are_known(host: str) -> None:
    """Names and addresses of other machines are not loopback."""
    assert not is_loopback(host)
