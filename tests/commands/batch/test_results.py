"""`writer batch`: its inputs and outputs."""

import json
import os
import re
import threading
from pathlib import Path

import pytest

from tests.commands.batch.running import LEAST, batch, error, results, write
from writer_cli.cli import main
from writer_cli.output.terminal import Terminal


def without_numbers(text: str) -> str:
    """Return a text without the numbers that depend on the machine's speed."""
    return re.sub(r"\d+\.\d+", "0.0", text)


def test_each_prompt_gets_one_result_in_the_order_of_the_input() -> None:
    """The results have their keys, exit code 0, and standard output is empty."""
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


def test_the_flags_of_complete_are_the_defaults_of_records() -> None:
    """A result is the same as that of `complete` for the same request."""
    source = write("in.jsonl", '{"prompt": "The sea"}', '{"prompt": "The sea", "temperature": 0}')
    flags = ["--max-tokens", "6", "--temperature", "1.5", "-n", "2", "--stop", "and"]
    batch(source, "--sandbox", "-o", "out.jsonl", *flags)
    for result, temperature in zip(results(), ("1.5", "0"), strict=True):
        alone = Terminal.fake()
        arguments = [*flags, "--temperature", temperature]
        assert main(["complete", "--sandbox", "--json", *arguments, "The sea"], alone) == 0
        assert result["choices"] == json.loads(alone.output)["choices"]


def test_the_summary_is_one_json_object_for_a_script() -> None:
    """The keys of the summary are fixed, and standard error is empty."""
    source = write("in.txt", "The sea", "The hill")
    terminal = batch(source, *LEAST, "-o", "out.jsonl", "--json")
    printed = json.loads(terminal.output)
    latency = printed["this_run"]["latency"]
    assert 0 < latency["p50_s"] <= latency["p95_s"] <= latency["max_s"]
    assert round(latency["max_s"], 3) <= printed["elapsed_s"]
    assert printed == {
        "version": 1,
        "output": "out.jsonl",
        "answered": 2,
        "failed": 0,
        "elapsed_s": printed["elapsed_s"],
        "this_run": {
            "answered": 2,
            "failed": 0,
            "cached": 0,
            "attempts": 2,
            "usage": None,
            "bound": None,
            "latency": latency,
            "errors": [],
        },
    }
    assert terminal.errors == ""


def test_a_finished_batch_sends_nothing_again() -> None:
    """The same command again sends nothing and leaves the output as it is."""
    source = write("in.txt", "The sea")
    batch(source, *LEAST, "-o", "out.jsonl")
    before = Path("out.jsonl").read_bytes()
    printed = json.loads(batch(source, *LEAST, "-o", "out.jsonl", "--json").output)
    assert (printed["answered"], printed["this_run"]) == (
        1,
        {
            "answered": 0,
            "failed": 0,
            "cached": 0,
            "attempts": 0,
            "usage": None,
            "bound": None,
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
    """The other records are answered, and the exit code is 10."""
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
    assert terminal.errors.splitlines()[-5:] == [
        f"  4 x usage: {MESSAGES[0]}",
        "to see every error:",
        """  grep -F '"error": {"kind": "usage"' out.jsonl""",
        "error: 4 of 6 records failed",
        f"hint: {PARTIAL_HINT}",
    ]


def test_corrected_records_run_again_with_retry_failed() -> None:
    """With `--retry-failed` a corrected record is sent, and answered ones are not."""
    batch(write("in.jsonl", *BAD[:2]), *LEAST, "-o", "out.jsonl", exits=10)
    write("in.jsonl", BAD[0], '{"prompt": "The hill"}')
    printed = batch("in.jsonl", *LEAST, "-o", "out.jsonl", "--retry-failed", "--json").output
    assert json.loads(printed)["this_run"]["attempts"] == 1
    assert ["choices" in result for result in results()] == [True, True]


def test_a_dry_run_reports_every_bad_record_and_sends_nothing() -> None:
    """Each bad record has its line and reason; then come the count and the first prompt."""
    terminal = batch(write("in.jsonl", *BAD), *LEAST, "--dry-run", exits=2)
    assert terminal.errors == "".join(f"{message}\n" for message in MESSAGES) + (
        "error: 4 of 6 records cannot be sent\n"
        "hint: correct them; without --dry-run each gets an error in the output\n"
    )
    assert terminal.output == (b"6 records, 4 of them cannot be sent\nthe first prompt:\nThe sea\n")
    assert [path.name for path in Path().iterdir()] == ["in.jsonl"]


def test_a_dry_run_needs_neither_key_nor_output() -> None:
    """The first prompt is shown as the template makes it."""
    source = write("in.csv", "product", "tea", "ink")
    env = {"WRITER_ORGANIZATION_ID": "1"}
    template = ["--template", "A tagline for {product}:\n"]
    terminal = batch(source, *template, "-m", "palmyra-x5", "--dry-run", env=env)
    assert terminal.output == (
        b"2 records, all of them can be sent\nthe first prompt:\nA tagline for tea:\n"
    )
    assert terminal.errors == ""


def test_a_dry_run_is_one_json_object_for_a_script() -> None:
    """The bad records are in the JSON, and standard error has only the error."""
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
            {"line": 4, "id": "x", "message": "no prompt; found: id"},
        ],
    }
    assert error(terminal)["message"] == "3 of 4 records cannot be sent"
    assert len(terminal.errors.splitlines()) == 1


def test_a_dry_run_lists_a_thousand_problems_and_counts_all() -> None:
    """The JSON lists the first thousand bad records and counts all."""
    source = write("in.jsonl", *["{}"] * 1001)
    terminal = batch(source, *LEAST, "--dry-run", "--json", exits=2)
    printed = json.loads(terminal.output)
    assert (printed["bad"], len(printed["problems"])) == (1001, 1000)
    assert printed["first_prompt"] is None


def test_a_dry_run_of_nothing_has_no_first_prompt() -> None:
    """A dry run of an empty input is no error and shows no prompt."""
    assert batch(write("in.txt"), *LEAST, "--dry-run").output == (
        b"0 records, all of them can be sent\n"
    )


def test_escape_sequences_in_records_are_shown_as_text() -> None:
    """Escape sequences in a prompt or an error about a record are shown as text."""
    source = write("in.jsonl", '{"prompt": "\\u001b[31mred"}', '{"prompt": "a", "n": "\\u001b"}')
    terminal = batch(source, *LEAST, "--dry-run", stdout_is_terminal=True, exits=2)
    assert "\x1b" not in terminal.output.decode() + terminal.errors
    assert "␛[31mred" in terminal.output.decode()
    piped = batch(source, *LEAST, "--dry-run", exits=2)
    assert b"\x1b[31mred" in piped.output


def test_shards_are_the_parts_of_the_whole() -> None:
    """Merged shards are the output of one machine, except for the times."""
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
    """A merged file is a journal, so that the command for a table sends nothing."""
    source = write("in.txt", "The sea", "The hill")
    for number in "01":
        batch(source, *LEAST, "--shard", f"{number}/2", "-o", f"{number}.jsonl")
    batch("merge", "all.csv.jsonl", "0.jsonl", "1.jsonl")
    arguments = ["-o", "all.csv", "--output-format", "csv", "--json"]
    printed = json.loads(batch(source, *LEAST, *arguments).output)
    assert printed["this_run"]["attempts"] == 0
    assert len(Path("all.csv").read_text().splitlines()) == 3


def test_auto_takes_the_shard_from_the_environment() -> None:
    """`--shard auto` reads the variables of a Kubernetes Indexed Job."""
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
    """An empty input or shard causes a warning and an empty output."""
    source = write("in.txt", *(["The sea"] if flags else []))
    terminal = batch(source, *LEAST, *flags, "-o", "out.jsonl")
    assert terminal.errors.splitlines()[-1] == f"warning: {shown}"
    assert Path("out.jsonl").read_bytes() == b""
    quiet = batch(source, *LEAST, *flags, "-o", "out.jsonl", "--quiet")
    assert quiet.errors == ""


def test_a_limit_takes_the_first_records() -> None:
    """`--limit` takes the first records, and a later run without it goes on."""
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
    """Records from standard input need `--format`; `--include-prompt` adds the prompts."""
    arguments = ["--format", form, "-o", "out.jsonl", "--include-prompt"]
    batch("-", *LEAST, *arguments, stdin=text.encode())
    assert [result["prompt"] for result in results()] == ["The sea"]


def test_a_template_comes_from_a_file() -> None:
    """One line break at the end of the template file is dropped."""
    source, template = write("in.txt", "tea"), write("template", "About", "{prompt}")
    batch(source, *LEAST, "--template-file", template, "--include-prompt", "-o", "out.jsonl")
    assert [result["prompt"] for result in results()] == ["About\ntea"]


def test_a_template_comes_from_standard_input() -> None:
    """The template may come from standard input if the records do not."""
    source = write("in.txt", "tea")
    arguments = ["--template-file", "-", "--include-prompt", "-o", "out.jsonl"]
    batch(source, *LEAST, *arguments, stdin=b"On {prompt}\n")
    assert [result["prompt"] for result in results()] == ["On tea"]


def test_a_pipe_that_has_a_name_is_read_once(tmp_path: Path) -> None:
    """A process substitution is read once, and finished records are skipped meanwhile."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for expected in (2, 0):
        writer = threading.Thread(target=pipe.write_text, args=("The sea\nThe hill\n",))
        writer.start()
        arguments = ["--format", "txt", "-o", "out.jsonl", "--json"]
        printed = json.loads(batch(str(pipe), *LEAST, *arguments).output)
        writer.join()
        assert printed["this_run"]["attempts"] == expected
