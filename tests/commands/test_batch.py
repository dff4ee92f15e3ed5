import csv
import fcntl
import io
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from tests.harness.servers import Received, Server, completion
from writer_cli import Writer
from writer_cli.batch import Plan, Record, Result, run_batch
from writer_cli.batch.job import Progress
from writer_cli.batch.summary import Summary
from writer_cli.cli import main
from writer_cli.output.batch import ProgressLine
from writer_cli.output.terminal import FakeTerminal, Terminal
from writer_cli.sandbox.respond import Sandbox
from writer_cli.sandbox.server import SandboxServer

KEY = "a-made-up-key"

LEAST = ("--sandbox", "--max-tokens", "3")
"""Flags with which a batch takes no time."""


@pytest.fixture(autouse=True)
def in_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the test a directory of its own, and a terminal of 80 columns."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")


def write(name: str, *lines: str) -> str:
    """Write a file of lines and return its name."""
    Path(name).write_text("".join(f"{line}\n" for line in lines))
    return name


def batch(*arguments: str, exits: int = 0, **streams: Any) -> FakeTerminal:
    """Run `writer batch`, which exits as told."""
    terminal = Terminal.fake(**streams)
    assert main(["batch", *arguments], terminal) == exits, terminal.errors
    return terminal


def results(name: str = "out.jsonl") -> list[dict[str, Any]]:
    """Read an output."""
    return [json.loads(line) for line in Path(name).read_bytes().splitlines()]


def without_numbers(text: str) -> str:
    """Leave out what depends on the machine's speed."""
    return re.sub(r"\d+\.\d+", "0.0", text)


def error(terminal: FakeTerminal) -> dict[str, Any]:
    """Read the JSON error at the end of standard error."""
    found: dict[str, Any] = json.loads(terminal.errors.splitlines()[-1])["error"]
    return found


def test_each_prompt_gets_one_result_in_the_order_of_the_input() -> None:
    """The keys of a result, the exit code, nothing on standard output and two or three lines."""
    source = write(
        "in.jsonl", '{"prompt": "The sea", "id": "a"}', '{"prompt": "The hill", "max_tokens": 1}'
    )
    terminal = batch(source, *LEAST, "-o", "out.jsonl")
    first, second = results()
    rest = ["choices", "usage", "model_id", "attempts", "elapsed_s", "digest"]
    assert list(first) == ["index", "id", *rest]
    assert list(second) == ["index", *rest]
    assert (first["index"], first["id"], first["model_id"], first["attempts"]) == (
        0,
        "a",
        "sandbox",
        1,
    )
    assert [list(choice) for choice in first["choices"]] == [
        ["index", "text", "logprobs", "finish_reason"]
    ]
    assert len(first["choices"][0]["text"].split()) == 3
    assert len(second["choices"][0]["text"].split()) == 1
    assert terminal.output == b""
    assert without_numbers(terminal.errors) == (
        "2 answered, 0 failed, in out.jsonl\n"
        "this run: 2 records, 2 requests, 0.0 s\n"
        "latency: p50 0.0 s, p95 0.0 s, max 0.0 s\n"
    )


def test_the_flags_of_complete_hold_for_records_that_say_nothing_else() -> None:
    """A result is what `complete` answers to the same request, to the letter."""
    source = write("in.jsonl", '{"prompt": "The sea"}', '{"prompt": "The sea", "temperature": 0}')
    flags = ["--max-tokens", "6", "--temperature", "1.5", "-n", "2", "--stop", "and"]
    batch(source, "--sandbox", "-o", "out.jsonl", *flags)
    for result, temperature in zip(results(), ("1.5", "0"), strict=True):
        alone = Terminal.fake()
        arguments = [*flags, "--temperature", temperature]
        assert main(["complete", "--sandbox", "--json", *arguments, "The sea"], alone) == 0
        assert result["choices"] == json.loads(alone.output)["choices"]


def test_the_summary_is_one_json_object_for_a_script() -> None:
    """Its keys are pinned; standard error stays empty."""
    source = write("in.txt", "The sea", "The hill")
    terminal = batch(source, *LEAST, "-o", "out.jsonl", "--json")
    printed = json.loads(terminal.output)
    latency = printed["this_run"]["latency"]
    assert 0 < latency["p50_s"] <= latency["p95_s"] <= latency["max_s"] <= printed["elapsed_s"]
    assert printed == {
        "version": 1,
        "output": "out.jsonl",
        "answered": 2,
        "failed": 0,
        "elapsed_s": printed["elapsed_s"],
        "this_run": {
            "answered": 2,
            "failed": 0,
            "attempts": 2,
            "usage": None,
            "latency": latency,
            "errors": [],
        },
    }
    assert terminal.errors == ""


def test_nothing_left_is_said_and_sends_nothing() -> None:
    """The same command again has no latency to tell, and the same output."""
    source = write("in.txt", "The sea")
    batch(source, *LEAST, "-o", "out.jsonl")
    before = Path("out.jsonl").read_bytes()
    printed = json.loads(batch(source, *LEAST, "-o", "out.jsonl", "--json").output)
    assert (printed["answered"], printed["this_run"]) == (
        1,
        {
            "answered": 0,
            "failed": 0,
            "attempts": 0,
            "usage": None,
            "latency": {"p50_s": None, "p95_s": None, "max_s": None},
            "errors": [],
        },
    )
    assert Path("out.jsonl").read_bytes() == before


BAD = (
    '{"prompt": "The sea"}',
    '{"prompt": "a", "max_tokens": 0}',
    '{"prompt": "a", "best_of": 1, "n": 2}',
    '{"prompt": "a", "stop": [""]}',
    "not JSON",
    '{"prompt": "The hill"}',
)

MESSAGES = (
    "line 2: max_tokens: 0 should be greater than or equal to 1",
    "line 3: best_of: 1 is less than n, 2",
    "line 4: stop.0: '' should have at least 1 character",
    "line 5: not JSON: expecting value, at column 1",
)


PARTIAL_HINT = (
    "the same command with --retry-failed runs them again; "
    "--dry-run lists those that cannot be sent"
)


def test_a_bad_record_has_an_error_in_the_output_and_stops_nothing() -> None:
    """The others are answered, the exit code is 10, and the error has the keys of any other."""
    terminal = batch(write("in.jsonl", *BAD), *LEAST, "-o", "out.jsonl", exits=10)
    errors = [result["error"] for result in results() if "error" in result]
    assert [result["index"] for result in results() if "choices" in result] == [0, 5]
    assert [found["message"] for found in errors] == list(MESSAGES)
    assert errors[0] == {
        "kind": "usage",
        "exit_code": 2,
        "message": MESSAGES[0],
        "status_code": None,
        "tpe": None,
        "errors": [],
        "action_id": None,
        "retryable": False,
        "attempts": 0,
        "hint": None,
    }
    assert terminal.errors.splitlines()[-3:] == [
        f"  4 x usage: {MESSAGES[0]}",
        "error: 4 of 6 records failed",
        f"hint: {PARTIAL_HINT}",
    ]


def test_corrected_records_run_again_with_what_else_failed() -> None:
    """The others are not asked again, though the input is another now."""
    batch(write("in.jsonl", *BAD[:2]), *LEAST, "-o", "out.jsonl", exits=10)
    write("in.jsonl", BAD[0], '{"prompt": "The hill"}')
    printed = batch("in.jsonl", *LEAST, "-o", "out.jsonl", "--retry-failed", "--json").output
    assert json.loads(printed)["this_run"]["attempts"] == 1
    assert ["choices" in result for result in results()] == [True, True]


def test_a_dry_run_reports_every_bad_record_and_sends_nothing() -> None:
    """Each with its line and the reason, then the count and the first prompt; exit 2."""
    terminal = batch(write("in.jsonl", *BAD), *LEAST, "--dry-run", exits=2)
    assert terminal.errors == "".join(f"{message}\n" for message in MESSAGES) + (
        "error: 4 of 6 records cannot be sent\n"
        "hint: correct them; without --dry-run each gets an error in the output\n"
    )
    assert terminal.output == (b"6 records, 4 of them cannot be sent\nthe first prompt:\nThe sea\n")
    assert [path.name for path in Path().iterdir()] == ["in.jsonl"]


def test_a_dry_run_needs_neither_key_nor_output() -> None:
    """It shows the first prompt as the template makes it."""
    source = write("in.csv", "product", "tea", "ink")
    env = {"WRITER_ORGANIZATION_ID": "1"}
    template = ["--template", "A tagline for {product}:\n"]
    terminal = batch(source, *template, "-m", "palmyra-x5", "--dry-run", env=env)
    assert terminal.output == (
        b"2 records, all of them can be sent\nthe first prompt:\nA tagline for tea:\n"
    )
    assert terminal.errors == ""


def test_a_dry_run_is_one_json_object_for_a_script() -> None:
    """The bad records are in it, and standard error has the error alone."""
    source = write("in.jsonl", *BAD[:3], '{"id": "x"}')
    terminal = batch(source, *LEAST, "--dry-run", "--json", exits=2)
    assert json.loads(terminal.output) == {
        "version": 1,
        "records": 4,
        "bad": 3,
        "first_prompt": "The sea",
        "problems": [
            {"line": 2, "id": None, "message": MESSAGES[0].partition(": ")[2]},
            {"line": 3, "id": None, "message": MESSAGES[1].partition(": ")[2]},
            {"line": 4, "id": "x", "message": "there is no prompt; there is: id"},
        ],
    }
    assert error(terminal)["message"] == "3 of 4 records cannot be sent"
    assert len(terminal.errors.splitlines()) == 1


def test_a_dry_run_lists_a_thousand_problems_and_counts_all() -> None:
    """A script that reads the list does not read a million."""
    source = write("in.jsonl", *["{}"] * 1001)
    terminal = batch(source, *LEAST, "--dry-run", "--json", exits=2)
    printed = json.loads(terminal.output)
    assert (printed["bad"], len(printed["problems"])) == (1001, 1000)
    assert printed["first_prompt"] is None


def test_a_dry_run_of_nothing_has_no_first_prompt() -> None:
    """And nothing is wrong with nothing."""
    assert batch(write("in.txt"), *LEAST, "--dry-run").output == (
        b"0 records, all of them can be sent\n"
    )


def test_a_terminal_shows_what_would_act_on_it() -> None:
    """A prompt of a dry run, and the message about a record, may hold an escape sequence."""
    source = write("in.jsonl", '{"prompt": "\\u001b[31mred"}', '{"prompt": "a", "n": "\\u001b"}')
    terminal = batch(source, *LEAST, "--dry-run", stdout_is_terminal=True, exits=2)
    assert "\x1b" not in terminal.output.decode() + terminal.errors
    assert "␛[31mred" in terminal.output.decode()
    piped = batch(source, *LEAST, "--dry-run", exits=2)
    assert b"\x1b[31mred" in piped.output


def test_shards_are_the_parts_of_the_whole() -> None:
    """Merged, they are what one machine would have written, but for the times."""
    source = write("in.txt", *(f"Number {n} is" for n in range(7)))
    for number in range(3):
        terminal = batch(source, *LEAST, "--shard", f"{number}/3", "-o", f"{number}.jsonl")
        assert terminal.errors.startswith(f"{[3, 2, 2][number]} answered")
    batch("merge", "merged.jsonl", "0.jsonl", "1.jsonl", "2.jsonl")
    batch(source, *LEAST, "-o", "whole.jsonl")
    merged, whole = results("merged.jsonl"), results("whole.jsonl")
    for result in merged + whole:
        del result["elapsed_s"]
    assert merged == whole


def test_a_merged_file_becomes_a_table_without_a_request() -> None:
    """It is the journal of the whole batch: the same command, for another form, finds all done."""
    source = write("in.txt", "The sea", "The hill")
    for number in "01":
        batch(source, *LEAST, "--shard", f"{number}/2", "-o", f"{number}.jsonl")
    batch("merge", "all.csv.jsonl", "0.jsonl", "1.jsonl")
    arguments = ["-o", "all.csv", "--output-format", "csv", "--json"]
    printed = json.loads(batch(source, *LEAST, *arguments).output)
    assert printed["this_run"]["attempts"] == 0
    assert len(Path("all.csv").read_text().splitlines()) == 3


def test_auto_takes_the_shard_from_the_environment() -> None:
    """As a Kubernetes Indexed Job sets it."""
    source = write("in.txt", "The sea", "The hill", "The river")
    env = {"JOB_COMPLETION_INDEX": "1", "JOB_COMPLETIONS": "3"}
    batch(source, *LEAST, "--shard", "auto", "-o", "out.jsonl", env=env)
    assert [result["index"] for result in results()] == [1]


@pytest.mark.parametrize(
    ("flags", "shown"),
    [
        ([], "in.txt has no records"),
        (["--limit", "0"], "in.txt has no records"),
        (["--shard", "3/4"], "in.txt has no records for --shard 3/4"),
    ],
)
def test_no_records_are_a_warning(flags: list[str], shown: str) -> None:
    """A shard may well be empty, so it is no error; the output is there, and empty."""
    source = write("in.txt", *(["The sea"] if flags else []))
    terminal = batch(source, *LEAST, *flags, "-o", "out.jsonl")
    assert terminal.errors.splitlines()[-1] == f"warning: {shown}"
    assert Path("out.jsonl").read_bytes() == b""
    quiet = batch(source, *LEAST, *flags, "-o", "out.jsonl", "--quiet")
    assert quiet.errors == ""


def test_a_limit_takes_the_first_records() -> None:
    """A first try of many is cheap, and the whole goes on from there."""
    source = write("in.txt", "The sea", "The hill", "The river")
    batch(source, *LEAST, "--limit", "2", "-o", "out.jsonl")
    assert [result["index"] for result in results()] == [0, 1]
    printed = json.loads(batch(source, *LEAST, "-o", "out.jsonl", "--json").output)
    assert (printed["answered"], printed["this_run"]["attempts"]) == (3, 1)


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("jsonl", '{"prompt": "The sea"}'),
        ("csv", "prompt\nThe sea"),
        ("tsv", "prompt\tx\nThe sea\t1"),
        ("txt", "The sea"),
    ],
)
def test_standard_input_is_a_stream_of_records(form: str, text: str) -> None:
    """Its format has to be named; the prompt is in the output if it is asked for."""
    arguments = ["--format", form, "-o", "out.jsonl", "--include-prompt"]
    batch("-", *LEAST, *arguments, stdin=text.encode())
    assert [result["prompt"] for result in results()] == ["The sea"]


def test_a_template_comes_from_a_file() -> None:
    """One line break at its end is an editor's."""
    source, template = write("in.txt", "tea"), write("template", "About", "{prompt}")
    batch(source, *LEAST, "--template-file", template, "--include-prompt", "-o", "out.jsonl")
    assert [result["prompt"] for result in results()] == ["About\ntea"]


def test_a_template_comes_from_standard_input() -> None:
    """Where the records do not."""
    source = write("in.txt", "tea")
    arguments = ["--template-file", "-", "--include-prompt", "-o", "out.jsonl"]
    batch(source, *LEAST, *arguments, stdin=b"On {prompt}\n")
    assert [result["prompt"] for result in results()] == ["On tea"]


def test_a_pipe_that_has_a_name_is_read_once(tmp_path: Path) -> None:
    """A process substitution cannot be opened again: what is done is skipped while it is read."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for expected in (2, 0):
        writer = threading.Thread(target=pipe.write_text, args=("The sea\nThe hill\n",))
        writer.start()
        arguments = ["--format", "txt", "-o", "out.jsonl", "--json"]
        printed = json.loads(batch(str(pipe), *LEAST, *arguments).output)
        writer.join()
        assert printed["this_run"]["attempts"] == expected


USAGE = {
    "no output": (["in.txt"], "no output: name a file with -o"),
    "no input": (["nowhere.txt", "-o", "o"], "nowhere.txt: No such file or directory"),
    "NUL": (["in\0.txt", "-o", "o"], "in\0.txt: embedded null byte"),
    "directory": ([".", "--format", "txt", "-o", "o"], ".: Is a directory"),
    "format": (["in.dat", "-o", "o"], "--format: how is in.dat written?"),
    "stdin": (["-", "-o", "o"], "--format: how is standard input written?"),
    "output is a directory": (["in.txt", "-o", "."], "--output .: Is a directory"),
    "output is empty": (["in.txt", "-o", ""], "--output .: Is a directory"),
    "output is nowhere": (
        ["in.txt", "-o", "no/where"],
        "no/where: No such file or directory",
    ),
    "csv is a directory": (
        ["in.txt", "-o", ".", "--output-format", "csv"],
        "--output .: Is a directory",
    ),
    "output is the input": (
        ["in.txt", "-o", "./in.txt", "--overwrite"],
        "in.txt is the input, and would be lost",
    ),
    "csv is the input": (
        ["in.txt", "-o", "in.txt", "--output-format", "csv"],
        "in.txt is the input, and would be lost",
    ),
    "journal is the input": (
        ["in.csv.jsonl", "-o", "in.csv", "--output-format", "csv", "--overwrite"],
        "in.csv.jsonl is the input, and would be lost",
    ),
    "output is a link to it": (
        ["in.txt", "-o", "link", "--overwrite"],
        "link is the input, and would be lost",
    ),
    "txt has no prompts": (
        ["in.txt", "-o", "o", "--output-format", "txt", "--include-prompt"],
        "--include-prompt: txt has no place for it",
    ),
    "output is something else": (["in.txt", "-o", "in.csv.jsonl"], "is not a result of a batch"),
    "templates": (
        ["in.txt", "-o", "o", "--template", "{a}", "--template-file", "in.txt"],
        "--template and --template-file exclude each other",
    ),
    "template": (["in.txt", "-o", "o", "--template", "{"], "--template: a stray { at character 1"),
    "template file": (
        ["in.txt", "-o", "o", "--template-file", "nowhere"],
        "--template-file: nowhere: No such file or directory",
    ),
    "template file without": (
        ["in.txt", "-o", "o", "--template-file", "in.txt"],
        "--template-file: there is no variable in it, so all prompts would be the same",
    ),
    "template file is empty": (
        ["in.txt", "-o", "o", "--template-file", "empty"],
        "--template-file: the prompt is empty",
    ),
    "stdin twice": (
        ["-", "--format", "txt", "-o", "o", "--template-file", "-"],
        "standard input is asked for twice",
    ),
    "shard": (["in.txt", "-o", "o", "--shard", "4/4"], "--shard 4/4: there is no shard 4 of 4"),
    "auto": (
        ["in.txt", "-o", "o", "--shard", "auto"],
        "--shard auto: no job system has said which part this is",
    ),
    "limit": (["in.txt", "-o", "o", "--limit", "-1"], "--limit -1 is out of range: 0 or more"),
    "concurrency": (
        ["in.txt", "-o", "o", "--concurrency", "257"],
        "--concurrency 257 is out of range: 1 to 256",
    ),
    "no concurrency": (
        ["in.txt", "-o", "o", "--concurrency", "0"],
        "--concurrency 0 is out of range: 1 to 256",
    ),
    "rpm": (["in.txt", "-o", "o", "--rpm", "0"], "--rpm 0 is out of range: 0.001 to 1e+09"),
    "tpm": (["in.txt", "-o", "o", "--tpm", "nan"], "--tpm nan is out of range: 0.001 to 1e+12"),
    "budget": (
        ["in.txt", "-o", "o", "--max-requests", "-5"],
        "--max-requests -5 is out of range: 0 or more",
    ),
    "field": (
        ["in.txt", "-o", "o", "--temperature", "-1"],
        "--temperature -1 is out of range: 0 or more",
    ),
    "fields": (
        ["in.txt", "-o", "o", "-n", "3", "--best-of", "2"],
        "--best-of: 2 is less than --n, 3",
    ),
    "API": (["in.txt", "-o", "o", "--random-seed", "5"], "--random-seed"),
    "output format": (["in.txt", "-o", "o", "--output-format", "xml"], "'xml' is not one of"),
    "input format": (["in.txt", "-o", "o", "--format", "xml"], "'xml' is not one of"),
}


@pytest.mark.parametrize(("arguments", "message"), USAGE.values(), ids=USAGE)
def test_what_cannot_be_right_is_refused_before_anything_is_sent(
    arguments: list[str], message: str
) -> None:
    """Exit 2, the message, and no file but those that were there."""
    write("in.txt", "The sea")
    write("in.csv.jsonl", '{"prompt": "The sea"}')
    write("empty")
    Path("link").symlink_to("in.txt")
    before = {path.name: path.read_bytes() for path in Path().iterdir()}
    terminal = batch(*arguments, "--sandbox", "--json", exits=2)
    assert message in error(terminal)["message"]
    assert terminal.output == b""
    left = {path.name: path.read_bytes() for path in Path().iterdir()}
    assert {name: left[name] for name in before} == before
    assert set(left) - set(before) <= {"o"}
    assert not Path("o").exists() or not Path("o").read_bytes()


def test_standard_input_that_is_closed_is_an_error() -> None:
    """As a daemon may start the program."""
    errors = io.StringIO()
    terminal = Terminal(stdin=None, stdout=io.BytesIO(), stderr=errors, env={})
    assert main(["batch", "-", "--format", "txt", "--sandbox", "-o", "out.jsonl"], terminal) == 2
    assert errors.getvalue() == (
        "error: standard input is closed\nhint: pipe the records into it\n"
    )


def test_a_first_line_that_is_wrong_stops_before_anything_is_sent() -> None:
    """Fifty thousand records with the same problem help nobody."""
    source = write("in.csv", "product", "tea")
    terminal = batch(source, *LEAST, "-o", "out.jsonl", "--json", exits=2)
    assert error(terminal)["message"] == (
        "the first line, which names the columns: there is no column 'prompt'; there is: product"
    )
    assert terminal.output == b""


def test_without_a_key_nothing_begins() -> None:
    """Exit 3, and no output file."""
    env = {"WRITER_ORGANIZATION_ID": "1"}
    batch(write("in.txt", "a"), "-m", "m", "-o", "out.jsonl", exits=3, env=env)
    assert not Path("out.jsonl").exists()


def test_a_warning_of_complete_is_one_of_batch() -> None:
    """A value that is merely unusual, and a model that is gone."""
    source = write("in.txt", "The sea")
    arguments = [*LEAST, "--temperature", "3", "-m", "palmyra-med", "-o", "out.jsonl"]
    terminal = batch(source, *arguments)
    assert terminal.errors.startswith(
        "warning: --temperature: 3; 0 to 2 is documented\n"
        "warning: palmyra-med was removed on 2026-07-13; Writer names palmyra-x5 in its place\n"
    )


def test_a_customization_is_asked() -> None:
    """The address has its id."""
    with Server(completion("x")) as server:
        env = {
            "WRITER_API_KEY": KEY,
            "WRITER_ORGANIZATION_ID": "7",
            "WRITER_BASE_URL": server.url,
        }
        arguments = ["-m", "m", "--customization-id", "tales", "-o", "out.jsonl"]
        batch(write("in.txt", "a"), *arguments, env=env)
    [request] = server.requests
    assert request.target == "/llm/organization/7/model/m/customization/tales/completions"
    assert request.json() == {"prompt": "a"}


@pytest.mark.parametrize(
    ("model", "exit_code", "kind"),
    [
        ("fault-400", 10, "bad_request"),
        ("fault-404", 10, "not_found"),
        ("fault-500", 10, "server"),
        ("fault-401", 4, None),
        ("fault-403", 4, None),
        ("fault-quota", 6, None),
    ],
)
def test_what_concerns_one_record_fails_it_and_what_concerns_all_stops_the_batch(
    model: str, exit_code: int, kind: str | None
) -> None:
    """A refused key would be refused fifty thousand times."""
    source = write("in.txt", "The sea", "The hill")
    arguments = ["-m", model, "--max-retries", "0", "-o", "out.jsonl", "--json"]
    terminal = batch(source, "--sandbox", *arguments, exits=exit_code)
    printed = json.loads(terminal.output)
    errors = printed["this_run"]["errors"]
    if kind is None:
        assert (results(), errors, printed["failed"]) == ([], [], 0)
    else:
        assert [result["error"]["exit_code"] for result in results()]
        assert [(found["count"], found["first"]) for found in errors] == [
            (2, results()[0]["error"]["message"])
        ]
        assert error(terminal)["message"] == "2 of 2 records failed"


def test_a_budget_ends_the_batch_and_the_next_run_goes_on() -> None:
    """Exit 10; results are where the summary says, and no table is made of half of them."""
    source = write("in.txt", "The sea", "The hill", "The river")
    arguments = [*LEAST, "-o", "out.csv", "--output-format", "csv", "--json"]
    terminal = batch(source, *arguments, "--max-requests", "2", exits=10)
    printed = json.loads(terminal.output)
    assert (printed["output"], printed["answered"]) == ("out.csv.jsonl", 2)
    assert "budget" in error(terminal)["message"]
    assert not Path("out.csv").exists()
    printed = json.loads(batch(source, *arguments, "--max-requests", "2").output)
    assert (printed["output"], printed["answered"]) == ("out.csv", 3)
    assert len(Path("out.csv").read_text().splitlines()) == 4


HOSTILE = 'a,"b"\r\nc\rd\\n\u2028\0=1+1\x1b'


def test_any_text_survives_a_table() -> None:
    """Quotation marks, line breaks, control characters: read back, each is as it was."""
    with Server(completion(HOSTILE, "plain")) as server:
        env = {
            "WRITER_API_KEY": KEY,
            "WRITER_ORGANIZATION_ID": "7",
            "WRITER_BASE_URL": server.url,
        }
        source = write("in.jsonl", '{"prompt": "a\\nb", "id": "x"}', '{"id": 5}')
        arguments = ["-m", "m", "-o", "out.csv", "--output-format", "csv"]
        batch(source, *arguments, "--include-prompt", env=env, exits=10)
    with Path("out.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [
            ["index", "id", "prompt", "choice", "text", "error"],
            ["0", "x", "a\nb", "0", HOSTILE, ""],
            ["0", "x", "a\nb", "1", "plain", ""],
            ["1", "5", "", "", "", "line 2: there is no prompt; there is: id"],
        ]


def test_a_text_output_has_a_line_for_each_record() -> None:
    """Line breaks and backslashes are escaped; of several choices the first; a failure is empty."""
    with Server(completion('a\\b\r\nc"', "second")) as server:
        env = {
            "WRITER_API_KEY": KEY,
            "WRITER_ORGANIZATION_ID": "7",
            "WRITER_BASE_URL": server.url,
        }
        source = write("in.jsonl", '{"prompt": "a"}', "{}", '{"prompt": "b"}')
        arguments = ["-m", "m", "-o", "out.txt", "--output-format", "txt"]
        batch(source, *arguments, env=env, exits=10)
    line = 'a\\\\b\\r\\nc"\n'
    assert Path("out.txt").read_text() == f"{line}\n{line}"
    assert len(results("out.txt.jsonl")) == 3


def test_the_summary_is_drawn_within_80_columns() -> None:
    """A person sees the latencies as bars, and a long message cut at the edge."""
    content = json.dumps({"prompt": "a", "x" * 200: 1, "stop": "x" * 500})
    source = write("in.jsonl", *(f'{{"prompt": "Number {n}"}}' for n in range(20)), content)
    terminal = batch(source, *LEAST, "-o", "out.jsonl", stderr_is_terminal=True, exits=10)
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", terminal.errors)
    lines = text[text.rindex("20 answered") :].splitlines()
    bars = [line for line in lines if line.startswith("  <= ")]
    assert 1 <= len(bars) <= 8
    assert sum(int(bar.split()[-1]) for bar in bars) == 20
    assert max(bar.count("█") for bar in bars) == 40
    [failed] = [line for line in lines if " x usage" in line]
    assert failed == f"  1 x usage: line 21: stop: '{'x' * 59}… is not a list of texts"[:79] + "…"
    assert all(len(line) <= 80 for line in lines if not line.startswith("hint: "))


def test_errors_are_counted_by_kind() -> None:
    """The commonest first, each with the message that came first."""
    summary = Summary()
    failures = [("server", "b"), ("usage", "a"), ("usage", "c"), ("server", "d"), ("usage", "e")]
    for index, (kind, message) in enumerate(failures):
        summary.add(result_of(Record(index, "p"), kind, message))
    assert summary.as_dict()["errors"] == [
        {"kind": "usage", "count": 3, "first": "a"},
        {"kind": "server", "count": 2, "first": "b"},
    ]
    assert summary.histogram() == []


def result_of(record: Record, kind: str, message: str) -> Result:
    """Return a result with an error."""
    return Result(
        record=record,
        error={"kind": kind, "message": message},
        model_id="m",
        attempts=1,
        elapsed_s=0.1,
    )


def test_percentiles_are_right_to_five_in_a_hundred() -> None:
    """Of latencies from 1 ms to 1 s; the longest is exact."""
    summary = Summary()
    for number in range(1, 1001):
        summary.add(
            Result(
                record=Record(number, "p"),
                choices=[],
                model_id="m",
                attempts=1,
                elapsed_s=number / 1000,
            )
        )
    assert summary.percentile(50) == pytest.approx(0.5, rel=0.05)
    assert summary.percentile(95) == pytest.approx(0.95, rel=0.05)
    assert summary.percentile(100) == summary.longest == 1.0
    bars = summary.histogram()
    assert len(bars) == 8
    assert sum(count for _, count in bars) == 1000
    assert [end for end, _ in bars] == sorted(end for end, _ in bars)


def test_a_log_gets_a_plain_line_every_30_seconds() -> None:
    """Where nobody watches a terminal, a CI job still shows that it lives; quiet, it does not."""
    now = 0.0
    records = [Record(index, "The sea") for index in range(4)]
    with run_batch(
        records,
        Plan(model_id="m", defaults={"max_tokens": 1}),
        make_writer=lambda: Writer(sandbox=True),
    ) as run:
        summary = Summary()
        for result in run:
            summary.add(result)
        summary.add(result_of(Record(4, "p"), "server", "it broke"))
        loud, quiet = Terminal.fake(), Terminal.fake()
        with (
            ProgressLine(loud, quiet=False, clock=lambda: now) as line,
            ProgressLine(quiet, quiet=True, clock=lambda: now) as silence,
        ):
            for now, part_read in ((29.9, 0.1), (30.0, 0.25), (59.9, 0.5), (60.0, None)):  # noqa: B007 - the clock reads it
                progress = Progress(summary, run, part_read)
                line.show(progress)
                silence.show(progress)
    assert loud.errors == (
        "5 done, 1 failed, 0.2/s, 0 in flight, ETA 0:01:30\n5 done, 1 failed, 0.1/s, 0 in flight\n"
    )
    assert quiet.errors == ""


@pytest.fixture
def slow_server() -> Iterator[SandboxServer]:
    """Start a server that takes its time."""
    server = SandboxServer(Sandbox(), latency=0.25)
    yield server
    server.close()


def environment(server: SandboxServer) -> dict[str, str]:
    """Return what leads to a server."""
    return {
        "WRITER_API_KEY": KEY,
        "WRITER_ORGANIZATION_ID": "1",
        "WRITER_BASE_URL": server.url,
        "WRITER_MODEL_ID": "m",
    }


def on_a_terminal(env: dict[str, str], *arguments: str) -> str:
    """Run a batch whose standard error is a terminal of 80 columns; return what that shows."""
    outside, inside = pty.openpty()
    fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    shown = bytearray()

    def look() -> None:
        while True:
            try:
                shown.extend(os.read(outside, 65536))
            except OSError:
                return

    looking = threading.Thread(target=look)
    looking.start()
    try:
        with os.fdopen(inside, "w", encoding="utf-8") as stderr:
            terminal = Terminal(stdin=None, stdout=io.BytesIO(), stderr=stderr, env=env)
            main(["batch", *arguments], terminal)
    finally:
        looking.join()
        os.close(outside)
    return shown.decode()


def test_a_person_sees_how_far_it_is(slow_server: SandboxServer) -> None:
    """On a terminal: done, rate, in flight and the time that is left; then only the summary."""
    source = write("in.txt", *(f"Number {n}" for n in range(8)))
    arguments = ["--concurrency", "2", "--max-tokens", "2", "-o", "out.jsonl"]
    shown = on_a_terminal(environment(slow_server), source, *arguments)
    line = re.search(r"(\d) done, \d\.\d/s, ([0-2]) in flight, ETA 0:00:0\d", shown)
    assert line is not None, shown
    left = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown[shown.rindex("\x1b[2K") :])
    assert left.strip().startswith("8 answered, 0 failed, in out.jsonl")


def test_a_person_sees_why_nothing_moves() -> None:
    """While the API asks to wait, the line says so."""
    source = write("in.txt", "The sea")
    arguments = ["--sandbox", "-m", "fault-429", "--max-retries", "1", "-o", "out.jsonl"]
    assert "waiting on 429" in on_a_terminal({}, source, *arguments)


def test_quiet_shows_a_person_nothing(slow_server: SandboxServer) -> None:
    """Neither the line nor the summary."""
    source = write("in.txt", "The sea", "The hill")
    assert on_a_terminal(environment(slow_server), source, "-o", "out.jsonl", "--quiet") == ""


def test_ctrl_c_ends_it_in_good_order(slow_server: SandboxServer) -> None:
    """What is under way is answered and kept, the summary says where, and the next run goes on."""
    source = write("in.txt", *(f"Number {n}" for n in range(12)))
    arguments = ["batch", source, "--concurrency", "2", "--max-tokens", "2", "-o", "out.csv"]
    arguments += ["--output-format", "csv", "--json"]
    environ = os.environ | environment(slow_server)
    command = [sys.executable, "-m", "writer_cli", *arguments]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE) as process:
        journal = Path("out.csv.jsonl")
        while process.poll() is None and not (journal.exists() and journal.read_bytes()):
            threading.Event().wait(0.02)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGINT
    printed = json.loads(output)
    assert printed["output"] == "out.csv.jsonl"
    assert 0 < printed["answered"] < 12
    assert len(results("out.csv.jsonl")) == printed["answered"]
    assert not Path("out.csv").exists()
    terminal = Terminal.fake(env=environment(slow_server))
    assert main([*arguments, "--concurrency", "12"], terminal) == 0
    again = json.loads(terminal.output)
    assert again["this_run"]["attempts"] == 12 - printed["answered"]
    assert len(Path("out.csv").read_text().splitlines()) == 13


def test_sigterm_lets_what_is_under_way_be_answered() -> None:
    """The signal comes while the API thinks: the answer is kept, and the exit code is 143."""

    def answer(_: Received) -> bytes:
        if len(server.requests) == 1:  # a second one would end the process at once
            os.kill(os.getpid(), signal.SIGTERM)
        return completion("x")

    source = write("in.txt", "The sea", "The hill")
    with Server(answer) as server:
        env = {
            "WRITER_API_KEY": KEY,
            "WRITER_ORGANIZATION_ID": "7",
            "WRITER_BASE_URL": server.url,
        }
        arguments = ["batch", source, "-m", "m", "--concurrency", "1", "-o", "out.jsonl"]
        with pytest.raises(SystemExit) as caught:
            main(arguments, Terminal.fake(env=env))
    assert caught.value.code == 143
    assert 1 <= len(results()) <= 2
    assert len(results()) == len(server.requests)


def test_the_help_goes_from_the_input_to_the_model() -> None:
    """Input, template and output come first, the generation of a text and the connection last."""
    printed, terminal = io.StringIO(), Terminal.fake()
    with redirect_stdout(printed):
        assert main(["batch", "--help"], terminal) == 0
    flags = re.findall(r"^  (?:-\w, )?(--[\w-]+)", printed.getvalue(), re.MULTILINE)
    order = ["--template", "--limit", "--shard", "--output", "--dry-run", "--concurrency"]
    order += ["--max-requests", "--model-id", "--customization-id", "--max-tokens", "--logprobs"]
    order += ["--organization-id", "--api", "--sandbox", "--json", "--help"]
    assert [flag for flag in flags if flag in order] == order
