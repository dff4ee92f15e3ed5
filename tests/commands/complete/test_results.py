"""`writer complete`: the request, and the output for its answer."""

import json
import os
import shutil
from typing import Any

import pytest

import writer_cli
from tests.commands.complete.texts import HOSTILE, STORY
from tests.harness.program import Ran, shell, writer
from tests.harness.servers import KEY, Server, completion


def dry(*arguments: str, command: str = "complete") -> Any:
    """Return the request of a command line."""
    ran = writer(
        command,
        "--dry-run",
        *arguments,
        env={"WRITER_ORGANIZATION_ID": "7", "WRITER_MODEL_ID": "palmyra-x5"},
    )
    assert (ran.code, ran.errors) == (0, "")
    return json.loads(ran.output)


@pytest.mark.parametrize(
    ("flags", "fields"),
    [
        ([], {}),
        (["--max-tokens", "5"], {"maxTokens": 5}),
        (["--min-tokens", "0"], {"minTokens": 0}),
        (["--min-tokens=5", "--max-tokens=5"], {"minTokens": 5, "maxTokens": 5}),
        (["--temperature", "0"], {"temperature": 0.0}),
        (["--temperature", "0.001"], {"temperature": 0.001}),
        (["--top-p", "1"], {"topP": 1.0}),
        (["--stop", "the", "--stop", "\n"], {"stop": ["the", "\n"]}),
        (["--stop", "--json"], {"stop": ["--json"]}),
        (["--presence-penalty", "-2"], {"presencePenalty": -2.0}),
        (["--frequency-penalty", "0.5"], {"frequencyPenalty": 0.5}),
        (["--best-of", "3", "-n", "2"], {"bestOf": 3, "n": 2}),
        (["--n", "1"], {"n": 1}),
        (["--logprobs", "0"], {"logprobs": 0}),
        (["-o", "/nowhere/x", "--raw", "--no-newline", "-q", "-v", "--json"], {}),
    ],
)
def test_each_flag_is_a_field_of_the_request(flags: list[str], fields: dict[str, Any]) -> None:
    """A flag that is not given is not sent, so that the API's default holds."""
    assert dry(*flags, STORY)["body"] == {"prompt": STORY, **fields}
    assert dry(STORY, *flags)["body"] == {"prompt": STORY, **fields}


def test_a_dry_run_prints_the_whole_request() -> None:
    """Method, URL, headers and body are shown, with a variable in place of the key."""
    request = dry(STORY)
    assert request["headers"].pop("User-Agent").startswith("writer-cli/")
    assert request == {
        "method": "POST",
        "url": "https://enterprise-api.writer.com/llm/organization/7/model/palmyra-x5/completions",
        "headers": {
            "Accept": "application/json",
            "Content-Type": "application/json",
            "Authorization": "Bearer $WRITER_API_KEY",
        },
        "body": {"prompt": STORY},
    }


@pytest.mark.parametrize(
    ("flags", "address"),
    [
        (["-m", "other"], "https://enterprise-api.writer.com/llm/organization/7/model/other"),
        (
            ["-m", "a/b c?"],
            "https://enterprise-api.writer.com/llm/organization/7/model/a%2Fb%20c%3F",
        ),
        (
            ["--organization-id", "0", "--base-url", "http://[::1]:80/"],
            "http://[::1]:80/llm/organization/0/model/palmyra-x5",
        ),
        (["--sandbox"], "http://sandbox.localhost/llm/organization/7/model/palmyra-x5"),
    ],
)
def test_flags_decide_the_address(flags: list[str], address: str) -> None:
    """The URL follows the flags, and an id is one segment of its path."""
    assert dry(*flags, STORY)["url"] == f"{address}/completions"
    assert (
        dry(*flags, "--customization-id", "c/1", STORY, command="complete-custom")["url"]
        == f"{address}/customization/c%2F1/completions"
    )


@pytest.mark.parametrize("asked", ["--dry-run", "--print-curl"])
def test_a_dry_run_does_not_show_the_key(asked: str) -> None:
    """The output is the same with and without a key, and nothing is sent."""
    with Server(completion("never sent")) as server:
        with_key = writer("complete", asked, STORY, env=server.env)
        without = writer("complete", asked, STORY, env=server.env | {"WRITER_API_KEY": ""})
        assert server.requests == []
    assert with_key == without
    assert with_key.code == 0
    assert KEY not in with_key.output
    assert "$WRITER_API_KEY" in with_key.output


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize(
    "prompt", [STORY, 'it\'s "$HOME" `id` \\n !! é😀\n\x00 @file %s', "\u202e\x1b[31m"]
)
def test_the_curl_line_sends_the_same_request(prompt: str) -> None:
    """The curl command sends the same request as the program, headers included."""
    arguments = ["--stop", "it's", "--temperature", "0.5", "-"]
    with Server(completion("one"), completion("two")) as server:
        shown = writer(
            "complete", "--print-curl", *arguments, stdin=prompt.encode(), env=server.env
        )
        assert shown.output.isascii()
        assert shown.output.count("\n") == 1
        curl = shell(
            shown.output, env={"WRITER_API_KEY": KEY, "HOME": os.devnull}, interpreter="sh"
        )
        ours = writer("complete", *arguments, stdin=prompt.encode(), env=server.env)
        first, second = server.requests
    assert (curl.code, json.loads(curl.output)) == (0, {"choices": [{"text": "one"}]})
    assert ours == Ran(0, "two\n", "")
    assert (first.line, first.json()) == (second.line, second.json())
    assert first.json()["prompt"] == prompt
    for name in ("authorization", "content-type", "accept", "user-agent"):
        assert first.headers[name] == second.headers[name]
    assert first.headers["authorization"] == f"Bearer {KEY}"


def test_dry_run_and_print_curl_exclude_each_other() -> None:
    """`--dry-run` with `--print-curl` is a usage error."""
    assert writer("complete", "--dry-run", "--print-curl", STORY) == Ran(
        2, "", "error: --dry-run and --print-curl exclude each other\nhint: leave one out\n"
    )


@pytest.mark.parametrize(
    ("flags", "texts", "output"),
    [
        ([], ["a text"], "a text\n"),
        ([], ["a text\n"], "a text\n"),
        ([], ["two\n\n"], "two\n\n"),
        ([], [""], "\n"),
        (["--no-newline"], ["a text"], "a text"),
        (["--no-newline"], ["a text\n"], "a text\n"),
        (["--no-newline"], [""], ""),
        ([], ["one", "two\n", "three"], "one\n---\ntwo\n---\nthree\n"),
        (["--no-newline"], ["one", "two"], "one\n---\ntwo"),
        (["--separator", "=== %"], ["one", "two"], "one\n=== %\ntwo\n"),
        (["--separator", ""], ["one", "two"], "one\n\ntwo\n"),
        (["--separator", r"\0"], ["one\n", "two"], "one\n\0two\0"),
        (["--separator", r"\0", "--no-newline"], ["one"], "one\0"),
        ([], [HOSTILE], HOSTILE),
        (["--raw"], [HOSTILE], HOSTILE),
        ([], ["[bold]no markup[/bold] :smile: [/x]"], "[bold]no markup[/bold] :smile: [/x]\n"),
        ([], ["lone \ud800 half"], "lone \ufffd half\n"),
        ([], ["w " * 5000], "w " * 5000 + "\n"),
    ],
)
def test_a_piped_completion_is_only_the_text(
    flags: list[str], texts: list[str], output: str
) -> None:
    """The text is unchanged, ends with a line break, and has no messages around it."""
    with Server(completion(*texts)) as server:
        assert writer("complete", *flags, STORY, env=server.env) == Ran(0, output, "")


@pytest.mark.parametrize(
    ("flags", "texts", "output"),
    [
        ([], ["a text"], "a text\n"),
        (["--no-newline"], ["a text"], "a text"),
        ([], [HOSTILE], "␛[2J␇␀<U+009B>31m<U+202E>drow<U+2066> ␡ ok␍\n"),
        (["--raw"], [HOSTILE], HOSTILE),
        ([], ["[bold]no markup[/bold] :smile:"], "[bold]no markup[/bold] :smile:\n"),
        (["--no-wrap"], ["w " * 500], "w " * 500 + "\n"),
        ([], ["w " * 50], "w " * 39 + "w\n" + "w " * 10 + "\n"),
    ],
)
def test_a_completion_on_a_terminal_is_escaped(
    flags: list[str], texts: list[str], output: str
) -> None:
    """Control characters are shown as symbols, but with `--raw` as they are."""
    with Server(completion(*texts)) as server:
        ran = writer(
            "complete-custom",
            "--customization-id",
            "c",
            *flags,
            STORY,
            env=server.env,
            stdout_is_terminal=True,
        )
    assert ran == Ran(0, output, "")


@pytest.mark.parametrize("stdout_is_terminal", [False, True])
def test_json_is_one_object_with_documented_keys(*, stdout_is_terminal: bool) -> None:
    """The keys of this version are fixed, since scripts use them."""
    with Server(completion("one", HOSTILE)) as server:
        ran = writer(
            "complete", "--json", STORY, env=server.env, stdout_is_terminal=stdout_is_terminal
        )
    assert (ran.code, ran.errors) == (0, "")
    assert ran.output.count("\n") == 1 or stdout_is_terminal
    result = json.loads(ran.output)
    assert result.pop("elapsed_s") >= 0
    assert result == {
        "version": 1,
        "model_id": "palmyra-x5",
        "customization_id": None,
        "choices": [
            {"index": 0, "text": "one", "logprobs": None, "finish_reason": None},
            {"index": 1, "text": HOSTILE, "logprobs": None, "finish_reason": None},
        ],
        "usage": None,
        "status_code": 200,
        "action_id": "action-1",
        "attempts": 1,
        "cached": False,
        "recorded_at": None,
    }


def test_json_has_no_raw_control_character() -> None:
    """Control characters are escaped, and a parser gives them back."""
    everything = "".join(map(chr, range(0x100))) + "\u202a\u202b\u202c\u202d\u202e\u2066\u2069"
    with Server(completion(everything)) as server:
        ran = writer("complete", "--json", STORY, env=server.env)
    assert json.loads(ran.output)["choices"][0]["text"] == everything
    line = ran.output.removesuffix("\n")
    acting = set(everything[:0x20] + everything[0x7F:0xA0] + everything[0x100:])
    assert acting.isdisjoint(line)


def test_json_has_the_log_probabilities() -> None:
    """Log probabilities have the names of the library."""
    ran = writer("complete", "--sandbox", "--json", "--logprobs", "2", "--max-tokens", "3", STORY)
    logprobs = json.loads(ran.output)["choices"][0]["logprobs"]
    assert list(logprobs) == ["tokens", "token_logprobs", "top_logprobs", "text_offset"]
    assert [len(values) for values in logprobs.values()] == [3, 3, 3, 3]
    assert all(len(top) == 2 for top in logprobs["top_logprobs"])


def test_missing_log_probabilities_cause_a_warning() -> None:
    """If the answer has no log probabilities, the text is printed with a warning."""
    with Server(completion("a text")) as server:
        ran = writer("complete", "--logprobs", "2", STORY, env=server.env)
    assert ran == Ran(0, "a text\n", "warning: --logprobs: the answer has none\n")


@pytest.mark.parametrize(
    ("arguments", "env"),
    [
        (["complete", "--sandbox"], {}),
        (["--sandbox", "complete"], {}),
        (["complete"], {"WRITER_SANDBOX": "1"}),
        (["complete"], {"WRITER_SANDBOX": "yes", "WRITER_API_KEY": KEY, "WRITER_BASE_URL": "no"}),
        (["complete", "--sandbox"], {"WRITER_SANDBOX": "0"}),
        (["complete", "--sandbox", "-m", "sandbox"], {}),
    ],
)
def test_the_sandbox_completes_without_key_model_and_network(
    arguments: list[str], env: dict[str, str]
) -> None:
    """The command prints the text of the library, the same each time."""
    with writer_cli.Writer(sandbox=True) as library:
        response = library.completions.create(
            completion_request=writer_cli.CompletionRequest(prompt=STORY, max_tokens=9),
            model_id="sandbox",
        )
    assert response.completion_response is not None
    text = response.completion_response.choices[0].text
    assert text.strip()
    assert writer(*arguments, "--max-tokens", "9", STORY, env=env) == Ran(0, f"{text}\n", "")


def test_a_customization_has_its_own_completion() -> None:
    """`complete-custom` uses the customization, and the JSON result has its id."""
    with Server(completion("a text")) as server:
        ran = writer("complete-custom", "--customization-id", "c1", "--json", STORY, env=server.env)
        [request] = server.requests
    assert request.line == (
        "POST /llm/organization/7/model/palmyra-x5/customization/c1/completions HTTP/1.1"
    )
    assert json.loads(ran.output)["customization_id"] == "c1"
