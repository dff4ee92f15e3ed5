"""The `Authorization` header, and which base URLs a key may be sent to."""

import pytest

from writer_cli.apis import access
from writer_cli.errors import ConfigurationError

SET_A_KEY = (
    "set one with `writer config set api_key`, or WRITER_API_KEY; to try without one: --sandbox"
)
LOOKS_LIKE = "a base URL looks like https://enterprise-api.writer.com"


def test_the_header_has_the_key_with_or_without_the_word_bearer() -> None:
    """A pasted `Bearer ` is removed, and the scheme says whether it is sent."""
    assert access.authorization("k") == "Bearer k"
    assert access.authorization("Bearer k", "bearer") == "Bearer k"
    assert access.authorization("Bearer k", "raw") == "k"
    assert access.pasted_key("  Bearer  k \n") == "k"


@pytest.mark.parametrize("key", [None, "", "Bearer "])
def test_a_missing_key_has_a_hint_how_to_set_one(key: str | None) -> None:
    """No key, an empty one and the word alone are the same error."""
    with pytest.raises(ConfigurationError) as caught:
        access.authorization(key)
    assert (caught.value.message, caught.value.hint) == ("no API key", SET_A_KEY)


@pytest.mark.parametrize("key", ["a b", "a\tb", "é", "a\n"])
def test_a_key_that_no_header_can_contain_has_a_hint(key: str) -> None:
    """The message says what is wrong with the key, and does not show it."""
    with pytest.raises(ConfigurationError) as caught:
        access.authorization(key)
    assert caught.value.message == (
        "the API key contains "
        "a space, a line break, a control character or a character outside ASCII"
    )
    assert caught.value.hint == SET_A_KEY


def test_the_hosts_of_the_two_apis() -> None:
    """Each of Writer's own APIs has its host."""
    assert access.API_HOSTS == ("enterprise-api.writer.com", "api.writer.com")


@pytest.mark.parametrize(
    ("url", "message", "hint"),
    [
        (
            None,
            "no base URL: this API has no default URL",
            (
                "`writer config set base_url URL`, or WRITER_BASE_URL, or --base-url; usual ones: "
                "vLLM http://127.0.0.1:8000, llama.cpp http://127.0.0.1:8080, "
                "Ollama http://127.0.0.1:11434, LM Studio http://127.0.0.1:1234"
            ),
        ),
        (
            "http://8.8.8.8:80/v1",
            "base_url: the key is not sent to 8.8.8.8 over plain http",
            "use https://8.8.8.8:80",
        ),
        (
            "http://10.0.0.1:80/v1",
            (
                "base_url: 10.0.0.1 is not this machine, and plain http lets others in the network "
                "read the key and the texts"
            ),
            (
                "use https://10.0.0.1:80, or set allow_http = true beside base_url in the "
                "configuration file"
            ),
        ),
        ("ftp://a", "base_url: 'ftp://a' is not a valid URL", LOOKS_LIKE),
        ("https://", "base_url: 'https://' is not a valid URL", LOOKS_LIKE),
        ("https://a b", "base_url: 'https://a b' is not a valid URL", LOOKS_LIKE),
        ("https://a\x7f", "base_url: 'https://a\\x7f' is not a valid URL", LOOKS_LIKE),
        ("https://a:99999", "base_url: 'https://a:99999' is not a valid URL", LOOKS_LIKE),
        ("x\n://u:pw\n@a?k\n=v", "base_url: '…@a…' is not a valid URL", LOOKS_LIKE),
        ("x://a#k\n", "base_url: 'x://a…' is not a valid URL", LOOKS_LIKE),
        *(
            (
                url,
                "base_url: a URL with a password, a query or a fragment is not allowed",
                LOOKS_LIKE,
            )
            for url in ("https://u@a", "https://a?k=v", "https://a#f")
        ),
    ],
)
def test_a_base_url_that_is_refused_has_its_message(
    url: str | None, message: str, hint: str
) -> None:
    """The message quotes nothing that may be a password."""
    with pytest.raises(ConfigurationError) as caught:
        access.checked_base_url(url)
    assert (caught.value.message, caught.value.hint) == (message, hint)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", "this machine"),
        ("a.localhost", "this machine"),
        ("127.1.2.3", "this machine"),
        ("::1", "this machine"),
        ("10.0.0.1", "private"),
        ("169.254.1.1", "private"),
        ("fd00::1", "private"),
        ("gpu-2", "private"),
        ("gpu.local", "private"),
        ("gpu.home.arpa", "private"),
        ("gpu.internal", "private"),
        ("gpu.lan", "private"),
        ("0.0.0.0", "public"),  # noqa: S104 - it is refused
        ("8.8.8.8", "public"),
        ("134744072", "public"),
        ("0x8080808", "public"),
        ("example.com", "public"),
        ("localhost.example.com", "public"),
    ],
)
def test_plain_http_goes_to_this_machine_and_if_allowed_to_a_private_network(
    host: str, expected: str
) -> None:
    """Each kind of address and name is this machine, private or public."""
    found = "public"
    if access.is_loopback(host):
        found = "this machine"
    elif access.is_private(host):
        found = "private"
    assert found == expected
    url = f"http://{f'[{host}]' if ':' in host else host}//"
    if expected == "this machine":
        assert access.checked_base_url(url) == url.rstrip("/")
    elif expected == "private":
        assert access.checked_base_url(url, allow_http=True) == url.rstrip("/")
