"""`writer complete`: invalid values, global options, and output files."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.commands.complete.texts import HOSTILE, STORY
from tests.harness.program import Ran, shell, writer
from tests.harness.servers import CLOSE, KEY, Received, Script, Server, completion, http


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--max-tokens", "0"], "--max-tokens 0 is out of range: 1 or more"),
        (["--max-tokens=-1"], "--max-tokens -1 is out of range: 1 or more"),
        (["--max-tokens", str(2**63)], f"--max-tokens {2**63} is out of range: 1 or more"),
        (
            ["--min-tokens", "-1"],
            "--min-tokens -1 is out of range: 0 to --max-tokens",
        ),
        (
            ["--min-tokens", "3", "--max-tokens", "2"],
            "--min-tokens: 3 is more than --max-tokens, 2",
        ),
        (["--temperature", "-0.1"], "--temperature -0.1 is out of range: 0 or more"),
        *(
            (["--temperature", text], f"--temperature {text!r} is not a number")
            for text in ("nan", "inf", "1e999", "1e", "e3", "1_0", " 1", "٣", ".", "")
        ),
        (["--top-p", "1.01"], "--top-p 1.01 is out of range: 0 to 1"),
        (["--top-p", "-1"], "--top-p -1 is out of range: 0 to 1"),
        (["--stop", ""], "--stop '' is out of range: a text that is not empty"),
        (["--stop", "a", "--stop="], "--stop '' is out of range: a text that is not empty"),
        (["--presence-penalty", "nan"], "--presence-penalty 'nan' is not a number"),
        (["--frequency-penalty", "-inf"], "--frequency-penalty '-inf' is not a number"),
        (["--deadline", "1e3_0"], "--deadline '1e3_0' is not a number"),
        (["--best-of", "0"], "--best-of 0 is out of range: --n or more"),
        (["--best-of", "1", "-n", "2"], "--best-of: 1 is less than --n, 2"),
        (["-n", "0"], "--n 0 is out of range: 1 or more"),
        (["--logprobs", "-1"], "--logprobs -1 is out of range: 0 or more"),
        (["--max-tokens", "many"], "--max-tokens 'many' is not a whole number"),
        *(
            (["--max-tokens", text], f"--max-tokens {text!r} is not a whole number")
            for text in ("1.5", "1_000", " 5", "٣", "0x10", "1e3", "")
        ),
        (["--top-p", "½"], "--top-p '½' is not a number"),
        (["--top-p", ""], "--top-p '' is not a number"),
        (["--top-p", "0_1"], "--top-p '0_1' is not a number"),
        (["--api", "studo"], "--api 'studo' is not one of enterprise, studio, openai"),
        (["-m", ""], "--model-id: '' is not a string with at least one visible character"),
        (["-m", ".."], "'..' is not an id"),
        (["-m", "\udcff"], r"--model-id: '\udcff' is not UTF-8"),
        (
            ["--organization-id", "-1"],
            "--organization-id: -1 is not a whole number from 0 to 2^63 - 1",
        ),
        (
            ["--timeout", "0"],
            "--timeout: 0.0 is not a number of seconds above 0, up to 1000000",
        ),
    ],
)
def test_an_invalid_value_is_refused_before_anything_is_sent(
    flags: list[str], message: str
) -> None:
    """The error has the flag, the value and its range, in text and in JSON."""
    with Server(completion("never sent")) as server:
        ran = writer("complete", *flags, STORY, env=server.env)
        as_json = writer("complete", *flags, "--json", STORY, env=server.env)
        assert server.requests == []
    assert (ran.code, ran.output) == (2, "")
    first, second = ran.errors.splitlines()
    assert first == f"error: {message}"
    assert second.startswith("hint: ")
    assert (as_json.code, as_json.output) == (2, "")
    assert json.loads(as_json.errors)["error"]["message"] == message


def test_a_model_must_be_named() -> None:
    """A model must be given, except for the sandbox."""
    ran = writer("complete", STORY, env={"WRITER_API_KEY": KEY, "WRITER_ORG_ID": "1"})
    assert ran == Ran(
        2,
        "",
        "error: no model: name one with -m\n"
        "hint: add -m palmyra-x5, or choose a default with "
        "`writer config set model_id palmyra-x5`, or with WRITER_MODEL_ID\n",
    )


def test_a_customization_must_be_named() -> None:
    """`complete-custom` needs a customization, and the hint names `complete`."""
    assert writer("complete-custom", "--sandbox", STORY) == Ran(
        2,
        "",
        "error: no customization: name one with --customization-id\n"
        "hint: for a model that is not customized: `writer complete`\n",
    )


@pytest.mark.parametrize(
    ("flags", "warning"),
    [
        (
            [f"--stop={i}" for i in range(5)],
            "--stop: 5 stop sequences; the documented maximum is 4",
        ),
        (["--temperature", "2.5"], "--temperature: 2.5; the documented range is 0 to 2"),
        (["--top-p", "0"], "--top-p: 0; the documented range is above 0, up to 1"),
        (["--presence-penalty", "3"], "--presence-penalty: 3; the documented range is -2 to 2"),
        (["--frequency-penalty", "-3"], "--frequency-penalty: -3; the documented range is -2 to 2"),
    ],
)
def test_an_unusual_value_is_sent_with_a_warning(flags: list[str], warning: str) -> None:
    """An unusual value is sent with a warning, which `--quiet` hides."""
    with Server(completion("sent")) as server:
        ran = writer("complete", *flags, STORY, env=server.env)
        quiet = writer("complete", *flags, "-q", STORY, env=server.env)
    assert ran == Ran(0, "sent\n", f"warning: {warning}\n")
    assert quiet == Ran(0, "sent\n", "")


@pytest.mark.parametrize(
    "place", [lambda flags, rest: [*flags, *rest], lambda flags, rest: [*rest, *flags]]
)
def test_a_global_option_stands_before_or_after_the_command(
    place: Callable[[list[str], list[str]], list[str]],
) -> None:
    """Global options have the same effect in both places."""
    with Server(completion("text")) as server:
        flags = ["--base-url", server.url, "--timeout", "30", "--json", "--verbose", "-q"]
        ran = writer(
            *place(flags, ["complete", STORY]), env=server.env | {"WRITER_BASE_URL": "http://[::1]"}
        )
    assert ran.code == 0
    assert json.loads(ran.output)["choices"][0]["text"] == "text"
    assert ran.errors.startswith("HTTP 200 in ")
    assert ran.errors.endswith(
        f" s, attempts: 1, Action-Id: action-1, Writer({server.url}, organization_id=7)\n"
    )


def test_an_option_after_the_command_wins() -> None:
    """An option after the command overrides the one before it, also with 0."""
    env = {"WRITER_MODEL_ID": "m", "WRITER_ORGANIZATION_ID": "7"}
    arguments = ["--base-url", "http://[::1]", "complete", "--base-url", "http://127.0.0.1"]
    ran = writer(*arguments, "--dry-run", STORY, env=env)
    assert json.loads(ran.output)["url"].startswith("http://127.0.0.1/")
    ran = writer("--timeout", "5", "complete", "--timeout", "0", "--sandbox", STORY)
    assert ran.code == 2


def test_a_result_goes_to_a_file_whole(tmp_path: Path) -> None:
    """The file has the text unchanged, and standard output is empty."""
    path = tmp_path / "result"
    for flags, content in (
        ([], f"one\n---\n{HOSTILE}"),
        (["--no-newline", "--separator", r"\0"], f"one\0{HOSTILE}\0"),
    ):
        with Server(completion("one", HOSTILE)) as server:
            ran = writer(
                "complete",
                *flags,
                "-n2",
                "-o",
                str(path),
                STORY,
                env=server.env,
                stdout_is_terminal=True,
            )
        assert ran == Ran(0, "", "")
        assert path.read_bytes() == content.encode()
    assert [entry.name for entry in tmp_path.iterdir()] == ["result"]


def test_json_goes_to_a_file_too(tmp_path: Path) -> None:
    """The file has the JSON object that would be printed."""
    path = tmp_path / "result"
    assert writer("complete", "--sandbox", "--json", "-o", str(path), STORY) == Ran(0, "", "")
    assert json.loads(path.read_text())["version"] == 1


@pytest.mark.parametrize("failing", [http(500, {}), http(200, {"choices": []}), [CLOSE]])
def test_a_failure_leaves_the_old_file(failing: Script, tmp_path: Path) -> None:
    """After a failure the old file is unchanged."""
    path = tmp_path / "result"
    path.write_text("old")
    with Server(failing) as server:
        ran = writer("complete", "-o", str(path), STORY, env=server.env)
    assert ran.code in {7, 8, 9}
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["result"]


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("nowhere/x", "No such file or directory"),
        ("", "Is a directory"),
        ("x" * 256, "File name too long"),
    ],
)
def test_a_file_that_cannot_be_written_is_refused_before_anything_is_sent(
    place: str, reason: str, tmp_path: Path
) -> None:
    """An output path that cannot be written is an error before the request."""
    path = tmp_path / place
    with Server(completion("never sent")) as server:
        ran = writer("complete", "-o", str(path), STORY, env=server.env)
        assert server.requests == []
    assert ran == Ran(
        2,
        "",
        f"error: {path}: {reason}\n"
        "hint: choose a file in a directory that exists and that you may write to\n",
    )


@pytest.mark.parametrize(
    ("flags", "stdout_is_terminal", "output"),
    [
        ([], False, HOSTILE),
        (["--raw"], True, HOSTILE),
        ([], True, "␛[2J␇␀<U+009B>31m<U+202E>drow<U+2066> ␡\tok␍\n"),
    ],
)
def test_a_text_whose_directory_vanished_goes_to_standard_output(
    flags: list[str], output: str, tmp_path: Path, *, stdout_is_terminal: bool
) -> None:
    """Exit code 11; control characters are escaped on a terminal."""
    path = tmp_path / "directory" / "result"
    path.parent.mkdir()

    def vanish(_: Received) -> bytes:
        shutil.rmtree(path.parent)
        return completion(HOSTILE)

    with Server(vanish) as server:
        ran = writer(
            "complete",
            *flags,
            "-o",
            str(path),
            STORY,
            env=server.env,
            stdout_is_terminal=stdout_is_terminal,
        )
    assert ran == Ran(
        11,
        output,
        f"error: --output: {path}: No such file or directory\n"
        "hint: the text went to standard output instead\n",
    )


@pytest.mark.parametrize("size", [200_001, 1_000_000])
def test_a_text_that_does_not_fit_goes_to_standard_output(size: int, tmp_path: Path) -> None:
    """The old file stays, whether the disk is full early or at the last byte."""
    path = tmp_path / "result"
    path.write_text("old")
    with Server(completion("x" * size)) as server:
        ran = shell(
            f'ulimit -f 195; writer complete -o "{path}" --no-newline "{STORY}"', env=server.env
        )
    assert ran == Ran(
        11,
        "x" * size,
        f"error: --output: {path}: File too large\n"
        "hint: the text went to standard output instead\n",
    )
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["result"]


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0 or shutil.which("unshare") is None,
    reason="only root may mount a small file system",
)
def test_a_text_on_a_full_disk_goes_to_standard_output(tmp_path: Path) -> None:
    """The disk is a file system of 64 KiB, mounted for this process."""
    with Server(completion("x" * 100_000)) as server:
        ran = shell(
            'unshare --mount sh -c \'mount -t tmpfs -o size=64k none "$1" && cd "$1" && '
            f'writer complete -o result "{STORY}"; echo "$?" >&2; ls -A >&2\' sh "{tmp_path}"',
            env=server.env,
        )
    if "mount:" in ran.errors or "unshare:" in ran.errors:
        pytest.skip("not allowed here")
    assert ran.output == "x" * 100_000 + "\n"
    assert ran.errors.splitlines() == [
        f"error: --output: {tmp_path}/result: No space left on device",
        "hint: the text went to standard output instead",
        "11",
    ]
