"""The progress of a batch, on a terminal and in a log."""

import fcntl
import io
import os
import pty
import re
import shlex
import signal
import struct
import subprocess
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.commands.batch.running import LEAST, batch, env_of, results, write
from tests.harness.emulator import Screen
from tests.harness.program import WRITER
from tests.harness.pseudo_terminal import OnTerminal
from tests.harness.servers import Held, Received, Server, completion
from writer_cli import Writer
from writer_cli.batch import BatchRun, Plan, run_batch
from writer_cli.batch.job import Progress
from writer_cli.cli import main
from writer_cli.output.progress import ProgressLine
from writer_cli.output.terminal import Terminal
from writer_cli.sandbox.server import SandboxServer


@contextmanager
def an_idle_batch() -> Iterator[BatchRun]:
    """Return a batch that has nothing to do."""
    plan = Plan(model_id="m")
    with run_batch([], plan, make_writer=lambda: Writer(sandbox=True)) as run:
        yield run


def line_at(columns: int, progress: Progress, *, seconds: float = 10.0, **env: str) -> str:
    """Return the line on a terminal after some seconds with this progress."""
    now = 0.0
    terminal = Terminal.fake(stderr_is_terminal=True, env={"COLUMNS": str(columns), **env})
    with ProgressLine(terminal, quiet=False, clock=lambda: now) as line:
        line.show(Progress(0, 0, 0, None, progress.batch))
        now = seconds
        line.show(progress)
        shown = Screen(columns).feed(terminal.errors.replace("\n", "\r\n"))
        assert len(shown.lines) == 1
    after = Screen(columns).feed(terminal.errors.replace("\n", "\r\n"))
    assert (after.text, after.cursor) == ("", True)
    return shown.text


@pytest.mark.parametrize(
    ("columns", "line"),
    [
        (23, f"{'━' * 11}{'─' * 4}  75%"),
        (33, f"{'━' * 10}{'─' * 4}  75%  0:13 left"),
        (40, f"{'━' * 8}{'─' * 3}  75%  3 failed  0:13 left"),
        (60, f"{'━' * 5}{'─' * 2}  75%  1,200 answered  3 failed  30.0/s  0:13 left"),
        (80, f"{'━' * 10}{'─' * 4}  75%  1,200 answered  3 failed  30.0/s  0 in flight  0:13 left"),
        (
            120,
            f"{'━' * 30}{'─' * 10}  75%  1,200 answered  3 failed  30.0/s  0 in flight  0:13 left",
        ),
    ],
)
def test_the_bar_is_one_line_on_any_terminal(columns: int, line: str) -> None:
    """On a narrow terminal the less important parts are left out."""
    with an_idle_batch() as run:
        shown = line_at(columns, Progress(1200, 3, 300, 400.0, run))
    assert shown == line
    assert len(shown) <= columns - 3  # room for the terminal's ^C


@pytest.mark.parametrize("columns", range(1, 130))
def test_the_line_never_wraps(columns: int) -> None:
    """The longest line fits any terminal."""
    with an_idle_batch() as run:
        line_at(columns, Progress(1_234_567, 89, 3000, 9_999_999.0, run))


def test_without_colour_the_bar_is_still_a_bar() -> None:
    """The two parts of the bar are different characters."""
    with an_idle_batch() as run:
        shown = line_at(40, Progress(1, 0, 1, 1.0, run), NO_COLOR="1")
    assert shown == "━━━━─────  50%  1 answered  0:10 left"


def test_an_input_of_unknown_size_has_no_bar() -> None:
    """For a pipe, whose size is unknown, there is no bar."""
    with an_idle_batch() as run:
        assert line_at(80, Progress(20, 0, 20, None, run)) == "20 answered  2.0/s  0 in flight"


@pytest.mark.parametrize(
    ("left", "shown"),
    [(5.0, "0:05"), (3599.0, "59:59"), (3600.0, "1:00:00"), (172_800.0, "2 days")],
)
def test_the_time_that_is_left_is_easy_to_read(left: float, shown: str) -> None:
    """The remaining time is shown in minutes, hours or days."""
    with an_idle_batch() as run:
        line = line_at(80, Progress(10, 0, 10, left, run))
    assert line.endswith(f"  {shown} left")


def test_the_rate_is_that_of_the_last_minute() -> None:
    """The rate is that of the last minute, and earlier runs do not count."""
    now = 0.0
    terminal = Terminal.fake()
    with (
        an_idle_batch() as run,
        ProgressLine(terminal, quiet=False, clock=lambda: now) as line,
    ):
        for now, done in ((0.0, 0), (29.9, 90), (30.0, 90), (60.0, 90), (90.0, 90), (120.0, 93)):  # noqa: B007 - the clock reads it
            line.show(Progress(1000 + done, 0, done, 50.0, run))
    assert re.findall(r"[\d.]+/s.*", terminal.errors) == [
        "3.0/s, 0 in flight, 0:17 left",
        "1.5/s, 0 in flight, 0:33 left",
        "0.0/s, 0 in flight",
        "0.1/s, 0 in flight, 16:40 left",
    ]


def test_a_log_gets_a_plain_line_every_30_seconds() -> None:
    """Without a terminal a line is printed every 30 s, and none with `--quiet`."""
    now = 0.0
    loud, quiet = Terminal.fake(), Terminal.fake()
    with (
        an_idle_batch() as run,
        ProgressLine(loud, quiet=False, clock=lambda: now) as line,
        ProgressLine(quiet, quiet=True, clock=lambda: now) as silence,
    ):
        for now, left in ((0.0, 6.0), (29.9, 5.0), (30.0, 3.0), (59.9, 2.0), (60.0, None)):
            progress = Progress(4, 1, 0 if now < 1 else 3, left, run)
            line.show(progress)
            silence.show(progress)
    assert loud.errors == (
        "62%, 4 answered, 1 failed, 0.1/s, 0 in flight, 0:30 left\n"
        "4 answered, 1 failed, 0.1/s, 0 in flight\n"
    )
    assert quiet.errors == ""


def on_a_terminal(env: dict[str, str], *arguments: str, columns: int = 80) -> str:
    """Run a batch whose standard error is a terminal, and return the output."""
    outside, inside = pty.openpty()
    fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
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


def frames(shown: str) -> list[str]:
    """Return every state of the progress line, without styles."""
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown)
    return [line for line in re.split(r"[\r\n]+", plain) if "/s" in line or "%" in line]


@pytest.mark.parametrize("columns", [40, 80])
def test_a_terminal_shows_the_progress(slow_server: SandboxServer, columns: int) -> None:
    """A terminal shows a bar, counts and the remaining time, and at the end only the summary."""
    source = write("in.txt", *(f"Number {n}" for n in range(8)))
    arguments = ["--concurrency", "2", "--max-tokens", "2", "-o", "out.jsonl"]
    shown = on_a_terminal(env_of(slow_server), source, *arguments, columns=columns)
    bars = frames(shown)
    assert bars
    assert all(len(bar) < columns for bar in bars)
    assert any(re.fullmatch(r"━+─+  \d\d%  .*0:0\d left", bar) for bar in bars), bars
    screen = Screen(columns).feed(shown)
    assert screen.cursor
    assert screen.text.startswith("8 answered, 0 failed, in out.jsonl")


def test_earlier_runs_count_in_the_bar_and_not_in_the_rate(
    slow_server: SandboxServer,
) -> None:
    """After resuming, the remaining time counts only the records that are left."""
    source = write("in.txt", *(f"Number {n}" for n in range(200)))
    flags = ["-m", "m", "--organization-id", "1", "--max-tokens", "3", "-o", "out.jsonl"]
    batch(source, *flags, "--sandbox", "--limit", "190")
    arguments = [*flags, "--concurrency", "2"]
    bars = frames(on_a_terminal(env_of(slow_server), source, *arguments))
    percents = [int(re.findall(r"(\d+)%", bar)[0]) for bar in bars]
    assert min(percents) >= 95
    said = [
        (int(answered), float(rate), 60 * int(minutes) + int(seconds))
        for bar in bars
        for answered, rate, minutes, seconds in re.findall(
            r"(\d+) answered  ([\d.]+)/s .*  (\d+):(\d\d) left", bar
        )
    ]
    assert said
    for answered, rate, left in said:
        assert rate < 60
        # The rate is rounded to a tenth, and the time to a second.
        assert left >= (200 - answered) / (rate + 0.05) - 1
        assert rate <= 0.05 or left <= (200 - answered) / (rate - 0.05) + 1


def test_a_terminal_shows_why_the_batch_waits() -> None:
    """While a refused record waits, the line says so."""
    source = write("in.txt", "The sea")
    arguments = ["--sandbox", "-m", "fault-429", "--deadline", "3", "-o", "out.jsonl"]
    assert "1 waiting to be tried again" in on_a_terminal({}, source, *arguments)


def test_ctrl_c_leaves_a_clean_screen() -> None:
    """After Ctrl-C the bar is gone, the cursor is visible, and the summary stays."""
    held = Held(completion("late"))

    def answer(request: Received) -> bytes:
        return held(request) if request.json()["prompt"] == "c" else completion("x")

    source = write("in.txt", *"abcdef")
    with (
        Server(answer) as server,
        OnTerminal(
            [WRITER, "batch", source, "-o", "out.jsonl", "--concurrency", "1"],
            env=server.env | {"COLUMNS": "60"},
            columns=60,
        ) as terminal,
    ):
        terminal.wait_for("answered")
        assert held.arrived.wait(60)
        terminal.type(b"\x03")
        terminal.wait_for("^C")
        held.release.set()
        assert terminal.wait() == -signal.SIGINT
        screen = Screen(60).feed(terminal.raw.decode())
    lines = screen.text.splitlines()
    assert screen.cursor
    assert "━" not in screen.text
    assert lines[0].endswith(" answered, 0 failed, in out.jsonl")
    assert lines[-1] == "interrupted: the same command goes on with what is left"


@pytest.mark.parametrize("name", ["out.jsonl", "my out.csv"])
def test_the_summary_has_the_command_that_shows_the_failures(name: str) -> None:
    """The command, run in a shell, prints the failed records."""
    source = write("in.jsonl", '{"prompt": "The sea"}', "{}", '{"prompt": 5}')
    terminal = batch(source, *LEAST, "-o", name, exits=10)
    lines = terminal.errors.splitlines()
    start = lines.index("failed in this run:")
    kinds = "  2 x usage: line 2: no prompt; found nothing"
    assert lines[start + 1].startswith(kinds[:26])
    assert lines[start + 2] == "to see every error:"
    command = lines[start + 3].strip()
    assert command.startswith("grep -F ")
    assert '"usage"' in command
    shown = subprocess.run(shlex.split(command), capture_output=True, text=True, check=True)
    journal = name if name.endswith("jsonl") else f"{name}.jsonl"
    assert shown.stdout.splitlines() == Path(journal).read_text().splitlines()[1:]
    assert [result["error"]["kind"] for result in results(journal)[1:]] == ["usage"] * 2


def test_failures_of_earlier_runs_are_shown_too() -> None:
    """The command prints the failures of earlier runs too."""
    source = write("in.jsonl", '{"prompt": "The sea"}', "{}")
    batch(source, *LEAST, "-o", "out.jsonl", exits=10)
    lines = batch(source, *LEAST, "-o", "out.jsonl", exits=10).errors.splitlines()
    assert "failed in this run:" not in lines
    command = lines[lines.index("to see every error:") + 1]
    shown = subprocess.run(shlex.split(command), capture_output=True, text=True, check=True)
    assert len(shown.stdout.splitlines()) == 1


def test_quiet_hides_progress_and_summary(slow_server: SandboxServer) -> None:
    """`--quiet` hides the progress line and the summary."""
    source = write("in.txt", "The sea", "The hill")
    assert on_a_terminal(env_of(slow_server), source, "-o", "out.jsonl", "--quiet") == ""
