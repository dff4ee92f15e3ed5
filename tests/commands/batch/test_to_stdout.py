"""`writer batch -o -`, and the output's format by its name."""

import csv
import io
import json
import os
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from tests.commands.batch.running import KEY, LEAST, batch, results, write
from tests.harness import batches
from tests.harness.program import WRITER, Ran, environment, shell, writer
from tests.harness.servers import Held, Received, Server, completion
from writer_cli.cli import main
from writer_cli.output.terminal import Terminal


def env_for(server: Server) -> dict[str, str]:
    """Return the environment variables that lead to a server."""
    return {
        "WRITER_API_KEY": KEY,
        "WRITER_ORGANIZATION_ID": "7",
        "WRITER_BASE_URL": server.url,
        "WRITER_MODEL_ID": "m",
    }


def echo(request: Received) -> bytes:
    """Answer with the prompt."""
    return completion(f"echo of {request.json()['prompt']}")


@pytest.mark.parametrize("flags", [[], ["--output-format", "csv"], ["--output-format", "txt"]])
def test_standard_output_gets_what_a_file_gets(flags: list[str]) -> None:
    """Standard output and a file get the same bytes in every format."""
    source = write("in.txt", *(f"Number {n}" for n in range(20)))
    with Server(echo) as server:
        env = env_for(server)
        piped = batch(source, "-o", "-", *flags, env=env)
        batch(source, "-o", "out", *flags, env=env)
    assert without_times(piped.output) == without_times(Path("out").read_bytes())
    assert "20 answered, 0 failed, on standard output" in piped.errors
    assert not Path("-").exists()


def without_times(output: bytes) -> list[str]:
    """Return the lines without the times."""
    return [line.partition(', "attempts"')[0] for line in output.decode().splitlines()]


def test_results_come_as_soon_as_their_order_allows() -> None:
    """Results wait for a slow first one, and are written in order."""
    slow = Held(completion("slow"))

    def answer(request: Received) -> bytes:
        return slow(request) if request.json()["prompt"] == "a" else echo(request)

    source = write("in.txt", *"abcdef")
    with (
        Server(answer) as server,
        subprocess.Popen(
            [WRITER, "batch", source, "-o", "-", "-q", "--output-format", "txt"],
            env=environment(env_for(server)),
            stdout=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        assert slow.arrived.wait(60)
        slow.release.set()
        lines = list(process.stdout)
        assert process.wait(60) == 0
    assert lines == ["slow\n", *(f"echo of {letter}\n" for letter in "bcdef")]


@pytest.mark.parametrize(
    ("name", "flags", "first"),
    [
        ("out.csv", [], "index,id,choice,text,error"),
        ("OUT.CSV", [], "index,id,choice,text,error"),
        ("out.txt", [], "echo of a"),
        ("out.jsonl", [], '{"index": 0, '),
        ("out.md", [], '{"index": 0, '),
        ("out", [], '{"index": 0, '),
        ("out.csv", ["--output-format", "jsonl"], '{"index": 0, '),
        ("out.jsonl", ["--output-format", "txt"], "echo of a"),
    ],
)
def test_the_name_of_the_output_chooses_its_format(name: str, flags: list[str], first: str) -> None:
    """`--output-format` overrides the extension; a table has its journal beside it."""
    with Server(echo) as server:
        batch(write("in.txt", "a"), "-o", name, *flags, env=env_for(server))
    assert Path(name).read_text().startswith(first)
    assert Path(f"{name}.jsonl").exists() == (not first.startswith("{"))


def test_a_merged_output_becomes_a_table_by_its_name() -> None:
    """A merged journal becomes a table without a request."""
    source = write("in.txt", "a", "b")
    with Server(echo) as server:
        env = env_for(server)
        for shard in ("0/2", "1/2"):
            batch(source, "--shard", shard, "-o", f"part-{shard[0]}.jsonl", env=env)
        merge = ["batch", "merge", "all.csv.jsonl", "part-0.jsonl", "part-1.jsonl"]
        assert writer(*merge).code == 0
        batch(source, "-o", "all.csv", env=env)
        assert len(server.requests) == 2
    rows = list(csv.reader(io.StringIO(Path("all.csv").read_text())))
    assert [row[3] for row in rows[1:]] == ["echo of a", "echo of b"]


def test_shards_go_to_standard_output_too() -> None:
    """Standard output gets the records of the shard in order."""
    source = write("in.txt", *"abcde")
    with Server(echo) as server:
        ran = batch(source, "--shard", "1/2", "-o", "-", env=env_for(server))
    assert [json.loads(line)["index"] for line in ran.output.splitlines()] == [1, 3]


@pytest.mark.parametrize("flag", ["--retry-failed", "--overwrite"])
def test_flags_that_need_earlier_results_are_refused(flag: str) -> None:
    """Flags that need earlier results are refused for standard output."""
    source = write("in.txt", "a")
    assert writer("batch", source, *LEAST, "-o", "-", flag) == Ran(
        2,
        "",
        f"error: {flag}: standard output has no results of an earlier run\n"
        "hint: name a file: -o answers.jsonl\n",
    )


def test_failures_are_among_the_results() -> None:
    """The exit code and the error report failures, without a command that cannot help."""
    source = write("in.jsonl", '{"prompt": "The sea"}', "{}")
    terminal = batch(source, *LEAST, "-o", "-", exits=10)
    assert "error" in json.loads(terminal.output.splitlines()[1])
    assert "hint: their errors are among the results; --dry-run lists" in terminal.errors


def test_the_summary_as_json_goes_to_standard_error() -> None:
    """The JSON summary is on standard error, and standard output has only the results."""
    terminal = batch(write("in.txt", "a"), *LEAST, "-o", "-", "--json")
    assert json.loads(terminal.errors)["output"] == "-"
    assert json.loads(terminal.output)["index"] == 0


@pytest.mark.parametrize("form", ["jsonl", "csv", "txt"])
def test_results_on_a_terminal_are_escaped(form: str) -> None:
    """Control characters are escaped, and no progress bar is drawn."""
    source = write("in.txt", "a")
    with Server(completion("\x9b31m\u202e")) as server:
        terminal = batch(
            *(source, "-o", "-", "--output-format", form),
            env=env_for(server),
            stdout_is_terminal=True,
            stderr_is_terminal=True,
        )
    output = terminal.output.decode()
    assert "31m" in output
    assert not {"\x9b", "\u202e"} & set(output)
    assert "\x1b[?25l" not in terminal.errors


def test_a_reader_that_goes_away_ends_the_batch() -> None:
    """The batch ends at once, without a message, by SIGPIPE."""
    write("in.txt", *(f"Number {n}" for n in range(300)))
    command = "writer batch in.txt -o - --output-format txt | head -n 2; echo ${PIPESTATUS[0]}"
    with Server(echo) as server:
        ran = shell(command, env=env_for(server))
        assert len(server.requests) < 300
    assert ran == Ran(0, "echo of Number 0\necho of Number 1\n141\n", "")


def test_ctrl_c_waits_for_the_requests_under_way() -> None:
    """The results are written in order, and the message says that the batch cannot go on."""

    def answer(request: Received) -> bytes:
        if request.json()["prompt"] == "b":
            os.kill(os.getpid(), signal.SIGINT)
        return echo(request)

    source = write("in.txt", *"abcdefgh")
    with Server(answer) as server:
        terminal = Terminal.fake(env=env_for(server))
        arguments = ["batch", source, "-o", "-", "--output-format", "txt", "--concurrency", "1"]
        with pytest.raises(SystemExit) as caught:
            main(arguments, terminal)
        asked = [request.json()["prompt"] for request in server.requests]
    assert caught.value.code == 130
    assert terminal.output.decode().splitlines() == [f"echo of {letter}" for letter in asked]
    assert terminal.errors.splitlines()[-1] == (
        "interrupted: every result that came is written; a run to standard output cannot be resumed"
    )


def test_a_batch_without_a_reader_does_not_wait_for_answers() -> None:
    """If the reader is gone, the command ends with a request under way."""
    held = Held(completion("late"))

    def answer(request: Received) -> bytes:
        return held(request) if request.json()["prompt"] == "b" else echo(request)

    source = write("in.txt", *"abcd")
    reader, to_reader = os.pipe()
    os.close(reader)
    with Server(answer) as server, os.fdopen(to_reader, "wb") as stdout:
        terminal = Terminal(stdin=None, stdout=stdout, stderr=None, env=env_for(server))
        assert main(["batch", source, "-o", "-", "--quiet"], terminal) == 141
        assert not held.release.is_set()
        held.release.set()


def test_a_full_disk_loses_no_result() -> None:
    """The results that were not written are in a file that the hint names."""
    source = write("in.txt", "a")
    with Server(echo) as server:
        ran = shell(f"writer batch {source} -o - -q > /dev/full", env=env_for(server))
    assert ran.code == 11
    assert ran.errors.startswith("error: standard output: No space left on device\n")
    kept = Path(ran.errors.split()[-1])
    assert "echo of a" in kept.read_text()
    kept.unlink()


def test_a_full_disk_loses_no_answer_that_comes_after_it() -> None:
    """The answers to the requests under way are in that file too."""
    source = write("in.txt", *"abcdefghij")
    answers = batches.Echo()
    with batches.serving(answers, latency=0.3) as server:
        env = batches.env_for(server)
        ran = shell(f"writer batch {source} -o - -q > /dev/full", env=env)
    kept = Path(ran.errors.split()[-1])
    assert len(kept.read_text().splitlines()) == answers.counts.total() > 1
    kept.unlink()


def test_a_closed_output_is_found_before_anything_is_sent() -> None:
    """Nothing has to be paid for."""
    source = write("in.txt", "a")
    with Server(echo) as server:
        ran = shell(f"writer batch {source} -o - -q >&-", env=env_for(server))
    assert (ran.code, ran.errors) == (11, "error: standard output is closed\n")
    assert server.connections == 0


def test_a_text_output_that_was_stopped_keeps_its_lines_at_their_places() -> None:
    """If the batch stops, a record without a result has an empty line."""
    third = threading.Event()

    def answer(request: Received) -> bytes:
        prompt = request.json()["prompt"]
        if prompt == "b":
            assert third.wait(60)
            return b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"
        if prompt == "c":
            third.set()
        return echo(request)

    source = write("in.txt", "a", "b", "c")
    with Server(answer) as server:
        terminal = Terminal.fake(env=env_for(server))
        arguments = ["batch", source, "-o", "-", "--output-format", "txt", "--concurrency", "3"]
        code = main(arguments, terminal)
    assert code == 4
    assert terminal.output.decode().splitlines() == ["echo of a", "", "echo of c"]


def test_a_file_that_is_called_like_a_table_can_be_resumed() -> None:
    """A table's journal is beside it, so that the batch can be resumed."""
    source = write("in.txt", "a", "b")
    with Server(echo) as server:
        env = env_for(server)
        batch(
            source, "-o", "out.csv", "--max-requests", "1", "--concurrency", "1", env=env, exits=10
        )
        assert len(results("out.csv.jsonl")) == 1
        batch(source, "-o", "out.csv", env=env)
        assert len(server.requests) == 2
    assert len(Path("out.csv").read_text().splitlines()) == 3
