"""Malformed answers: the text is kept if there is one."""

import json
import subprocess
import sys
from typing import Any

import pytest

import writer_cli as writer
from tests.harness.batches import results_of
from tests.harness.events import event, stream
from tests.harness.program import ERROR_KEYS, Ran, environment
from tests.harness.program import writer as run
from tests.harness.servers import KEY, Script, Server, http
from writer_cli.apis.access import ApiName
from writer_cli.http.answer_json import TOO_DEEP, UNREADABLE_NUMBER
from writer_cli.http.reply import NOT_UTF8

REQUEST = writer.CompletionRequest(prompt="p")

NUMBER, DEEP = f"warning: {UNREADABLE_NUMBER}\n", f"warning: {TOO_DEEP}\n"

UNREADABLE = {
    "NaN": ("NaN", NUMBER),
    "Infinity": ("[Infinity, -Infinity]", NUMBER),
    "a float that is too large": ("1e999", NUMBER),
    "an integer of 20,000 digits": ("9" * 20_000, NUMBER),
    "a negative one": ("-" + "9" * 20_000, NUMBER),
    "lists of 50,000 levels": ("[" * 50_000 + "]" * 50_000, DEEP),
    "objects of 50,000 levels": ('{"a":' * 50_000 + "0" + "}" * 50_000, DEEP),
    "deep lists beside texts with brackets": ('["[\\"", ' * 50_000 + "1" + ', "]"]' * 50_000, DEEP),
}
"""JSON that Python's parser refuses, or reads as a value that JSON cannot represent."""


def strict(document: str) -> Any:
    """Read JSON as other programs do, which refuse NaN."""

    def refused(constant: str) -> None:
        raise ValueError(constant)

    return json.loads(document, parse_constant=refused)


@pytest.mark.parametrize("attack", UNREADABLE)
def test_a_text_beside_an_unreadable_value_is_kept(attack: str) -> None:
    """An invalid value elsewhere causes one warning, and the JSON output is valid."""
    value, warning = UNREADABLE[attack]
    for template in (
        '{"choices": [{"text": "kept"}], "new": VALUE}',
        '{"new": VALUE, "choices": [{"text": "kept", "also": VALUE}], "usage": VALUE}',
        '{"choices": [{"text": "kept", "logprobs": {"tokenLogprobs": [VALUE], "tokens": ["x"]}}]}',
        '{"choices": [{"text": "kept", "logprobs": VALUE, "finish_reason": VALUE}]}',
    ):
        with Server(http(200, template.replace("VALUE", value).encode())) as server:
            assert run("complete", "p", env=server.env) == Ran(0, "kept\n", warning)
            ran = run("complete", "--json", "p", env=server.env)
        assert (ran.code, ran.errors) == (0, warning)
        assert strict(ran.output)["choices"][0]["text"] == "kept"


@pytest.mark.parametrize("attack", UNREADABLE)
def test_a_stream_with_an_unreadable_value_goes_on(attack: str) -> None:
    """All events of a stream with such values cause one warning."""
    value, warning = UNREADABLE[attack]
    events = [f'data: {{"value": "{text}", "new": {value}}}\n\n'.encode() for text in "abc"]
    with Server(stream(*events)) as server:
        assert run("complete", "--stream", "p", env=server.env) == Ran(0, "abc\n", warning)


@pytest.mark.parametrize("attack", UNREADABLE)
def test_an_error_with_an_unreadable_value_is_read(attack: str) -> None:
    """The reason of such an error is shown, and the JSON error is valid."""
    value, _ = UNREADABLE[attack]
    template = '{"tpe": "T", "errors": [{"description": "why", "extras": VALUE}], "extras": VALUE}'
    body = template.replace("VALUE", value).encode()
    for script in (http(400, body), stream(b"event: error\ndata: " + body + b"\n\n")):
        with Server(script) as server:
            ran = run("complete", "--stream", "--json", "p", env=server.env)
        error = strict(ran.errors)["error"]
        assert (ran.code, error["message"]) == (error["exit_code"], "why")
        assert list(error) == ERROR_KEYS


def test_values_that_can_be_read_are_left_alone() -> None:
    """Ninety levels and a thousand digits are accepted without a warning."""
    deep = "[" * 90 + "9" * 1000 + "]" * 90
    body = f'{{"choices": [{{"text": "x"}}], "new": {deep}, "e": 1e-999}}'
    with Server(http(200, body.encode())) as server:
        assert run("complete", "p", env=server.env) == Ran(0, "x\n", "")


@pytest.mark.parametrize("value", [value for value, _ in UNREADABLE.values()])
def test_a_text_that_is_itself_unreadable_is_a_bad_answer(value: str) -> None:
    """An invalid text is an error and is not replaced."""
    with Server(http(200, f'{{"choices": [{{"text": {value}}}]}}'.encode())) as server:
        ran = run("complete", "p", env=server.env)
    assert (ran.code, ran.output) == (9, "")


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 50_000,
        b'{"choices": ' + b"[" * 50_000,
        b'{"choices": "' + b'\\"' * 50_000,
        b'{"choices": ' + b"[" * 200 + b'"' + b"\\",
        b"9" * 100 + b"x",
    ],
)
def test_deeply_nested_invalid_json_is_a_bad_answer(body: bytes) -> None:
    """Deeply nested invalid JSON is refused in linear time."""
    with Server(http(200, body)) as server:
        assert run("complete", "p", env=server.env).code == 9


NOT_UTF8_WARNING = f"warning: {NOT_UTF8}\n"

BAD_BYTES = [b"\xff", b"\xc3", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xe2\x82"]
"""Invalid UTF-8: a wrong byte, incomplete, overlong or too large characters, a surrogate."""


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("content", BAD_BYTES)
def test_bytes_that_are_not_utf8_are_replaced_with_a_warning(
    content: bytes, *, streams: bool
) -> None:
    """An answer with invalid UTF-8 causes one warning, however many bytes are wrong."""
    text = b"a" + content + b"b" + content
    whole = http(200, b'{"choices": [{"text": "' + text + b'"}]}')
    script: Script = stream(b'data: {"value": "' + text + b'"}\n\n') if streams else whole
    with Server(script) as server:
        ran = run("complete", *(["--stream"] if streams else []), "p", env=server.env)
    expected = text.decode("utf-8", "replace")
    assert ran == Ran(0, expected + "\n", NOT_UTF8_WARNING)


def test_a_replacement_character_that_was_sent_is_no_bad_byte() -> None:
    """U+FFFD in an answer causes no warning, since the model wrote it."""
    for script in (http(200, {"choices": [{"text": "\ufffd"}]}), stream(event("\ufffd"))):
        with Server(script) as server:
            assert run("complete", "--stream", "p", env=server.env) == Ran(0, "\ufffd\n", "")


def test_warnings_are_seen_by_the_library_and_left_out_by_quiet() -> None:
    """`on_warning` gets each kind once per answer, and `--quiet` hides them."""
    heard: list[str] = []
    with Server(http(200, b'{"choices": [{"text": "\xff", "x": [NaN, NaN]}]}')) as server:
        for on_warning in (heard.append, None):
            client = writer.Writer(KEY, 7, base_url=server.url, on_warning=on_warning)
            with client:
                client.completions.create(completion_request=REQUEST, model_id="m")
        assert run("complete", "--quiet", "p", env=server.env) == Ran(0, "\ufffd\n", "")
    assert heard == [NOT_UTF8, UNREADABLE_NUMBER]


def test_many_answers_with_the_same_fault_cause_one_warning(tmp_path: Any) -> None:
    """Many answers with the same fault cause one warning, and their results are valid JSON."""
    source, output = tmp_path / "in.txt", tmp_path / "out.jsonl"
    source.write_text("a\nb\nc\n")
    with Server(http(200, b'{"choices": [{"text": "\xff"}], "x": NaN}')) as server:
        ran = run("batch", str(source), "-o", str(output), env=server.env)
    assert ran.code == 0
    assert ran.errors.count(NOT_UTF8_WARNING) == ran.errors.count(NUMBER) == 1
    assert [result["choices"][0]["text"] for result in results_of(output)] == ["\ufffd"] * 3


EMPTY_STREAMS = {
    "nothing": b"",
    "a comment": b": hello\n\n",
    "blank lines": b"\n\n\n",
    "a byte order mark": b"\xef\xbb\xbf",
    "an event of another name": b"event: ping\ndata: {}\n\n",
    "an event without data": b"event: message\n\n",
    "fields of no event": b"id: 1\nretry: 1\n\n",
}


@pytest.mark.parametrize("api", ["enterprise", "studio", "openai"])
@pytest.mark.parametrize("attack", EMPTY_STREAMS)
def test_a_stream_without_one_event_was_cut(attack: str, api: ApiName) -> None:
    """A stream without events is an error, and not an empty text with exit code 0."""
    with Server(stream(EMPTY_STREAMS[attack])) as server:
        ran = run("complete", "--stream", "--json", "--api", api, "p", env=server.env)
    assert (ran.code, ran.output) == (9, "")
    assert json.loads(ran.errors)["error"]["kind"] == "cut"


STATUSES = {
    300: "the answer is neither a success nor an error: HTTP 300 Multiple Choices",
    302: "the answer is neither a success nor an error: HTTP 302 Found",
    304: "the answer is neither a success nor an error: HTTP 304 Not Modified",
    600: "the answer is neither a success nor an error: HTTP 600",
    999: "the answer is neither a success nor an error: HTTP 999",
}


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("status", [300, 302, 304, 600, 999])
def test_an_unexpected_status_is_named(status: int, *, streams: bool) -> None:
    """The error has the status and the body, and does not speak of a redirect."""
    with Server(http(status, b"" if status == 304 else b"busy", "text/plain")) as server:
        ran = run("complete", *(["--stream"] if streams else []), "p", env=server.env)
    body = "" if status == 304 else ": busy"
    assert (ran.code, ran.output) == (9, "")
    assert ran.errors.splitlines()[0] == f"error: {STATUSES[status]}{body}"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_named_and_not_followed(status: int) -> None:
    """No kind of redirect is followed, since the key would be sent along."""
    with Server(http(200, b"never asked")) as other:
        for target in (other.url, "http://elsewhere.example/", "/itself", "file:///etc/passwd"):
            answer = http(status, b"", headers=[("Location", target)])
            with Server(answer) as server:
                ran = run("complete", "p", env=server.env)
                assert len(server.requests) == 1
            assert ran.code == 9
            assert f"HTTP {status}: the API redirects to {target}; " in ran.errors
        assert other.connections == 0


def test_the_size_of_an_answer_and_of_its_parts_is_bounded() -> None:
    """An answer at a limit is read, and one above it is refused with a message."""
    choice, most = b'{"text":"x"}', 100_000
    many = b'{"choices":[' + b",".join([choice] * most)
    with Server(
        http(200, many + b"]}"),
        http(200, many + b"," + choice + b"]}"),
        http(200, b'{"choices":[' + choice + b'],"new":[' + b"0," * 2_000_000 + b"0]}"),
        http(200, b'{"choices":[{"text":"' + b"x" * 2**25 + b'"}]}'),
    ) as server:
        client = writer.Writer(KEY, 7, base_url=server.url)
        with client:
            response = client.completions.create(completion_request=REQUEST, model_id="m")
            assert response.completion_response is not None
            assert len(response.completion_response.choices) == most
            for bound in ("100,000 choices", "2,000,000 values", "32 MiB"):
                with pytest.raises(writer.BadAnswerError, match=bound):
                    client.completions.create(completion_request=REQUEST, model_id="m")


MEASURED = """
import re, sys
from writer_cli.cli import main
from writer_cli.output.terminal import Terminal
code = main(sys.argv[1:], Terminal.real())
print(code, re.search(r"VmHWM:\\s+([0-9]+) kB", open("/proc/self/status").read())[1])
"""
"""Run `writer`, and print the exit code and its peak memory in kilobytes."""


@pytest.mark.skipif(sys.platform != "linux", reason="measures as Linux does")
def test_half_a_million_choices_do_not_fill_the_memory() -> None:
    """An answer with half a million choices is refused within 250 MB of memory."""
    body = b'{"choices":[' + b",".join([b'{"text":"x"}'] * 500_000) + b"]}"
    with Server(http(200, body)) as server:
        done = subprocess.run(
            [sys.executable, "-c", MEASURED, "complete", "p"],
            env=environment(server.env),
            capture_output=True,
            timeout=60,
            check=True,
        )
    code, kilobytes = done.stdout.split()
    assert code == b"9"
    assert int(kilobytes) < 250_000
