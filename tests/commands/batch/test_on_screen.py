"""`writer batch`: tables, summaries, and the output on a terminal."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable
from pathlib import Path

import pytest
from rich.cells import cell_len

from tests.commands.batch.running import KEY, LEAST, batch, env_of, results, write
from tests.harness.pages import PAGES
from tests.harness.program import Process
from tests.harness.servers import Received, Server, completion
from writer_cli.batch import Record, Result
from writer_cli.batch.summary import Summary
from writer_cli.cli import main
from writer_cli.output.batch import summary as show_summary
from writer_cli.output.terminal import Terminal
from writer_cli.sandbox.server import SandboxServer

HOSTILE = 'a,"b"\r\nc\rd\\n\u2028\0=1+1\x1b'


def test_any_text_survives_a_table() -> None:
    """Quotation marks, line breaks and control characters are read back unchanged."""
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
            ["1", "5", "", "", "", "line 2: no prompt; found: id"],
        ]


def test_a_text_output_has_a_line_for_each_record() -> None:
    """A line is the escaped first choice, and empty for a failure."""
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
    """Latencies are shown as bars, and a long message is cut."""
    content = json.dumps({"prompt": "a", "x" * 200: 1, "stop": "x" * 500})
    source = write("in.jsonl", *(f'{{"prompt": "Number {n}"}}' for n in range(20)), content)
    terminal = batch(source, *LEAST, "-o", "out.jsonl", stderr_is_terminal=True, exits=10)
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", terminal.errors)
    lines = text[text.rindex("20 answered, 1 failed") :].splitlines()
    bars = [line for line in lines if line.startswith("  <= ")]
    assert 1 <= len(bars) <= 8
    assert sum(int(bar.split()[-1]) for bar in bars) == 20
    assert max(bar.count("█") for bar in bars) == 40
    [failed] = [line for line in lines if " x usage" in line]
    assert failed == f"  1 x usage: line 21: stop: '{'x' * 59}… is not a list of strings"[:79] + "…"
    assert all(len(line) <= 80 for line in lines if not line.startswith("hint: "))


def test_errors_are_counted_by_kind() -> None:
    """The most frequent kind is first, each with its first message."""
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


def summary_of(latencies: Iterable[float]) -> Summary:
    """Return the summary of answers that took so many seconds."""
    summary = Summary()
    for number, seconds in enumerate(latencies):
        record = Record(number, "p")
        summary.add(Result(record=record, choices=[], model_id="m", attempts=1, elapsed_s=seconds))
    return summary


def test_percentiles_are_right_to_five_in_a_hundred() -> None:
    """Percentiles are within 5 %, and the longest latency is exact."""
    summary = summary_of(number / 1000 for number in range(1, 1001))
    assert summary.percentile(50) == pytest.approx(0.5, rel=0.05)
    assert summary.percentile(95) == pytest.approx(0.95, rel=0.05)
    assert summary.percentile(100) == summary.longest == 1.0
    bars = summary.histogram()
    assert len(bars) == 8
    assert sum(count for _, count in bars) == 1000
    assert [end for end, _ in bars] == sorted(end for end, _ in bars)


def test_the_bars_of_short_and_very_long_latencies_line_up() -> None:
    """All bars begin in the same column."""
    bars = [line for line in shown(summary_of([0.1, 2000.0])) if line.startswith("  <= ")]
    assert len({bar.index(" s ") for bar in bars}) == 1


def test_the_summary_measures_an_error_in_cells() -> None:
    """A message in Korean is cut where the line of the terminal ends."""
    summary = Summary()
    summary.add(result_of(Record(0, "p"), "server", "요청이 너무 많습니다 " * 10))
    [line] = [line for line in shown(summary) if " x server" in line]
    assert line.endswith("…")
    assert cell_len(line) in {79, 80}


def shown(summary: Summary) -> list[str]:
    """Return the lines of a summary on a terminal of 80 columns."""
    terminal = Terminal.fake(stderr_is_terminal=True)
    counts = {"answered": summary.answered, "failed": summary.failed, "elapsed_s": 1.0}
    result = {"output": "o", **counts, "this_run": summary.as_dict()}
    show_summary(terminal, result, summary, journal=Path("o"), as_json=False, quiet=False)
    return terminal.errors.splitlines()


def test_ctrl_c_ends_it_in_good_order(slow_server: SandboxServer) -> None:
    """Requests under way are answered and saved, and the next run goes on."""
    source = write("in.txt", *(f"Number {n}" for n in range(12)))
    arguments = ["batch", source, "--concurrency", "2", "--max-tokens", "2", "-o", "out.csv"]
    arguments += ["--output-format", "csv", "--json"]
    environ = os.environ | env_of(slow_server)
    command = [sys.executable, "-m", "writer_cli", *arguments]
    with Process(command, env=environ, stdout=subprocess.PIPE) as process:
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
    terminal = Terminal.fake(env=env_of(slow_server))
    assert main([*arguments, "--concurrency", "12"], terminal) == 0
    again = json.loads(terminal.output)
    assert again["this_run"]["attempts"] == 12 - printed["answered"]
    assert len(Path("out.csv").read_text().splitlines()) == 13


def test_sigterm_waits_for_the_request_under_way() -> None:
    """The answer of the request under way is saved, and the exit code is 143."""

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


def test_the_help_goes_from_the_input_to_the_connection() -> None:
    """The sections begin with input and output, and end with the connection."""
    assert [section.heading for section in PAGES["batch"].sections if section.rows] == [
        "Input",
        "Output",
        "Model",
        "Generation",
        "Speed",
        "Cache",
        "Settings",
        "Connection",
    ]
