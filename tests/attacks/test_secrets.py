"""A marked key is given in every way, and eight characters of it never come out."""

import base64
import html
import json
import re
from pathlib import Path
from urllib.parse import quote, unquote

import pytest

from tests.attacks.strides import sample
from tests.harness.events import event, stream
from tests.harness.program import Ran, writer
from tests.harness.servers import CLOSE, HANG, RESET, Script, Server, http

KEY = "mK7qZ-marked.V9xW~3tY/bH5+dJ8sL2pN4_rT6uC"
"""A key with every kind of character; no message has eight consecutive characters of it."""

SHORTEST = 8
"""The smallest number of a key's consecutive characters that counts as a leak."""


def substrings_of(text: str, length: int) -> set[str]:
    """Return all substrings of a length."""
    return {text[i : i + length] for i in range(len(text) - length + 1)}


def encoded(secret: str) -> dict[str, str]:
    """Return the encodings in which a server, a log or a library may write a key."""
    raw = secret.encode()
    return {
        "as it is": secret,
        "as base64": base64.b64encode(raw).decode().rstrip("="),
        "as base64 after one byte": base64.b64encode(b"x" + raw).decode()[2:].rstrip("="),
        "as base64 after two bytes": base64.b64encode(b"xx" + raw).decode()[3:].rstrip("="),
        "as base64 for addresses": base64.urlsafe_b64encode(raw).decode().rstrip("="),
        "as hexadecimal digits": raw.hex(),
        "as upper hexadecimal digits": raw.hex().upper(),
        "as JSON escapes": "".join(f"\\u{byte:04x}" for byte in raw),
        "as HTML": "".join(f"&#{byte};" for byte in raw),
        "as hexadecimal HTML": "".join(f"&#x{byte:X};" for byte in raw),
        "in an address": quote(secret, safe=""),
        "in an address, all of it": "".join(f"%{byte:02X}" for byte in raw),
    }


def leaks(output: str, secret: str = KEY) -> list[str]:
    """Return the parts of a key that are in an output, in any encoding."""
    joined = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|[\s\"'│\u00ad\u200b-\u200f\u2060\ufeff\\]", "", output)
    texts = [output, joined, html.unescape(output), unquote(output)]
    found = [w for text in texts for w in substrings_of(secret, SHORTEST) if w in text]
    for name, form in encoded(secret).items():
        if name != "as it is":
            width = SHORTEST * len(form) // len(secret)
            found += [w for w in substrings_of(form, max(width, SHORTEST)) if w in output]
    return found


def test_the_search_finds_what_it_looks_for() -> None:
    """The search finds each encoding of a key, in part and split by escape sequences too."""
    for form in encoded(KEY).values():
        assert leaks(f"a message with {form} in it")
        assert leaks(form[: len(form) // 2])
    assert leaks("\n".join(KEY))
    assert leaks("\x1b[31m".join(KEY))
    assert not leaks("the key is not known [redacted] ...[redacted]")


def check(ran: Ran, *files: Path, secret: str = KEY) -> None:
    """Check that an output has no part of the key and no report of a bug."""
    written = "".join(
        file.read_bytes().decode("utf-8", "replace") for file in files if file.is_file()
    )
    assert leaks(ran.output + "\n" + ran.errors + "\n" + written, secret) == []
    assert ran.code != 1, ran.errors


def echoes(text: str) -> dict[str, Script]:
    """Return answers that contain a text in every place that a message may quote."""
    fail = {"tpe": text, "errors": [{"description": text, "key": text, "extras": text}]}
    described = {"error": {"message": text, "type": text, "param": text, "code": text}}
    return {
        "a refusal": http(401, fail, headers=[("Action-Id", text)]),
        "a failure": http(500, fail),
        "an engine's refusal": http(400, described),
        "a page": http(502, f"<h1>{text}</h1>".encode(), "text/html"),
        "a page with status 200": http(200, f"<h1>{text}</h1>".encode(), "text/html"),
        "a content type": http(200, b"", f"text/{text}"),
        "a bad JSON": http(200, text.encode()),
        "another JSON": http(200, json.dumps([text]).encode()),
        "a bad choice": http(200, {"choices": [text]}),
        "a redirect": http(302, headers=[("Location", f"https://evil.example/?{text}")]),
        "a status": http(999, text.encode()),
        "an event": stream(event({"no": text})),
        "an error event": stream(b"event: error\n" + event(fail)),
        "a raw event": stream(f"data: {text}\n\n".encode()),
    }


PLACES = list(echoes(""))

TEXTS = [
    *encoded(KEY).values(),
    KEY[:12] + "****",
    "****" + KEY[-12:],
    KEY[5:20],
    KEY[:10] + "-" + KEY[20:],
    *(separator.join(KEY) for separator in (" ", "\n", "\u200b", "\u00ad")),
]
"""Texts of a server with a key: whole, in part, and split."""


@pytest.mark.parametrize("place", PLACES)
def test_a_key_that_a_server_repeats_is_not_shown(place: str) -> None:
    """No encoding or part of the key is shown, in text, in JSON or in a traceback."""
    env = {"WRITER_API_KEY": KEY, "WRITER_DEBUG": "1"}
    # If only the beginning of an answer is quoted, each text must be there.
    for text in [" ".join(TEXTS), *sample(TEXTS, 3, first=PLACES.index(place))]:
        with Server(echoes(f"your key is {text}.")[place]) as server:
            for flags in ([], ["--json", "--verbose", "--stream"]):
                check(writer("complete", *flags, "p", env=server.env | env))


def ways_in(directory: Path) -> dict[str, dict[str, str]]:
    """Return the environment for each way to give the key to the program."""
    directory.mkdir()
    (directory / "key.txt").write_text(KEY + "\n")
    files = {
        "file": f'api_key = "{KEY}"',
        "pasted": f'api_key = "Bearer {KEY}"',
        "raw": f'api_key = "{KEY}"\nauth_scheme = "raw"',
        "profile": f'[profiles.p]\napi_key = "{KEY}"',
        "command": f'api_key_command = "cat {directory}/key.txt"',
    }
    ways = {"variable": {"WRITER_API_KEY": KEY, "WRITER_CONFIG": str(directory / "none.toml")}}
    for name, content in files.items():
        path = directory / f"{name}.toml"
        path.touch(mode=0o600)
        path.write_text(content)
        ways[name] = {"WRITER_CONFIG": str(path), "WRITER_API_KEY": ""}
    ways["profile"]["WRITER_PROFILE"] = "p"
    return ways


COMMANDS = [
    ["complete", "p"],
    ["complete", "p", "--json"],
    ["complete", "p", "--verbose", "--stream"],
    ["complete", "p", "--dry-run"],
    ["complete", "p", "--print-curl"],
    ["complete", "p", "-o", "out.txt"],
    ["complete", "p", "--api", "studio", "--verbose"],
    ["complete", "p", "--api", "openai", "--verbose"],
    ["complete-custom", "p", "--customization-id", "c"],
    ["models"],
    ["models", "--json"],
    ["customizations"],
    ["batch", "in.txt", "-o", "out.jsonl", "--include-prompt", "--verbose"],
    ["batch", "in.txt", "--dry-run"],
    ["config", "list"],
    ["config", "list", "--json"],
    ["config", "get", "api_key"],
    ["config", "get", "api_key", "--json"],
    ["config", "check"],
    ["config", "check", "--json"],
    ["config", "path"],
    ["config", "set", "timeout", "9", "--json"],
    ["config", "unset", "timeout", "--json"],
    ["complete", "p", "--max-tokens", "0"],
    ["complete", "p", "--no-such-flag"],
]
"""Every command, with flags that make it print much."""

WAYS = ["variable", "file", "pasted", "raw", "profile", "command"]


@pytest.mark.parametrize("way", WAYS)
def test_no_command_shows_a_key(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Success and each kind of failure show no key, nor write it into files."""
    monkeypatch.chdir(tmp_path)
    Path("in.txt").write_text("p\n")
    env = ways_in(tmp_path / "keys")[way] | {"WRITER_DEBUG": "1"}
    everything = {"choices": [{"text": "x"}], "data": [], "models": [], "customizations": []}
    answers: dict[str, Script] = {
        "a success": http(200, everything),
        "a refusal": echoes(KEY)["a refusal"],
        "no answer": [RESET],
        "a part": [http(200, b"{", length=9), CLOSE],
        "silence": [HANG],
    }
    for number, (name, script) in enumerate(answers.items()):
        with Server(script) as server:
            sent = server.env | env | {"WRITER_TIMEOUT": "0.05" if name == "silence" else "30"}
            for command in COMMANDS if number < 2 else sample(COMMANDS, 4, first=WAYS.index(way)):
                check(writer(*command, env=sent), Path("out.txt"), Path("out.jsonl"))
                Path("out.jsonl").unlink(missing_ok=True)
            shown = {request.headers.get("authorization", "") for request in server.requests}
        assert shown <= {f"Bearer {KEY}", KEY}
        assert shown or name == "no answer"


def test_a_key_in_the_wrong_place_is_not_shown(tmp_path: Path) -> None:
    """A key on the command line is refused and not repeated."""
    env = {"WRITER_CONFIG": str(tmp_path / "config.toml"), "WRITER_DEBUG": "1"}
    for command in (
        ["config", "set", "api_key", KEY],
        ["config", "set", f"api_key={KEY}"],
        ["complete", "p", f"--api-key={KEY}"],
        ["complete", "p", "--api-key", KEY],
        ["complete", "p", "--key", KEY],
        ["complete", "p", "--api", KEY],
        ["complete", "p", "--max-tokens", KEY],
        ["config", "get", KEY],
        ["cache", "prune", "--older-than", KEY],
        ["help", KEY],
        [KEY],
    ):
        ran = writer(*command, env=env)
        assert ran.code == 2
        check(ran)
    assert not (tmp_path / "config.toml").exists()


PASSWORD = "pW5-hidden.8kQzR2~vB"


@pytest.mark.parametrize(
    "address",
    [
        f"https://user:{PASSWORD}@api.example",
        f"https://user:{PASSWORD}@api.example/a b",
        f"https://user:{PASSWORD}@[bad",
        f"https://user:{PASSWORD}@api.example:port",
        f"ftp://user:{PASSWORD}@api.example",
        f"//user:{PASSWORD}@api.example",
        f"user:{PASSWORD}@api.example",
        f"https://api.example/?key={PASSWORD}",
        f"https://user:{PASSWORD}@\u2100.example",
        f"https://api.example/#{PASSWORD}\n",
    ],
)
def test_a_password_within_an_address_is_not_shown(address: str, tmp_path: Path) -> None:
    """Neither a password in a base URL nor one in a proxy's address is shown."""
    env = {"WRITER_API_KEY": KEY, "WRITER_ORGANIZATION_ID": "7", "WRITER_MODEL_ID": "m"}
    env |= {"WRITER_CONFIG": str(tmp_path / "config.toml"), "WRITER_DEBUG": "1"}
    for command in (
        ["complete", "p", "--base-url", address],
        ["config", "set", "base_url", address],
        ["config", "check", "--base-url", address],
        ["config", "list", "--base-url", address],
    ):
        check(writer(*command, env=env), secret=PASSWORD)
    for command in (["complete", "p"], ["config", "check"], ["config", "list"], ["models"]):
        check(writer(*command, env=env | {"WRITER_BASE_URL": address}), secret=PASSWORD)


@pytest.mark.parametrize(
    "proxy",
    [
        f"http://user:{PASSWORD}@127.0.0.1:PORT",
        f"user:{PASSWORD}@127.0.0.1:PORT",
        f"http://user:{PASSWORD}@[bad",
        f"http://user:{PASSWORD}@127.0.0.1:port",
        f"socks5://user:{PASSWORD}@127.0.0.1:PORT",
        f"gopher://user:{PASSWORD}@127.0.0.1:PORT",
        f"http://user:{PASSWORD}@127.0.0.1:PORT\x7f",
    ],
)
def test_the_password_of_a_proxy_is_not_shown(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The password of a proxy is not shown, and the API key is not sent to the proxy."""
    with Server(http(407, b"no", "text/plain")) as server:
        monkeypatch.setenv("HTTPS_PROXY", proxy.replace("PORT", server.host.partition(":")[2]))
        env = {"WRITER_API_KEY": KEY, "WRITER_ORGANIZATION_ID": "7", "WRITER_MODEL_ID": "m"}
        env |= {"WRITER_MAX_RETRIES": "0", "WRITER_BASE_URL": "https://api.example"}
        for flags in ([], ["--json"]):
            ran = writer("complete", *flags, "p", env=env | {"WRITER_DEBUG": "1"})
            assert ran.code in {3, 8}
            check(ran, secret=PASSWORD)
            check(ran)
        assert leaks("".join(request.raw.decode() for request in server.requests)) == []
