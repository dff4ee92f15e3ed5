"""One run of a batch from file to file: its progress, and which records it sends."""

import io
import math
import signal
import threading
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from tests.harness.batches import Echo, serving, writer_for
from writer_cli.batch import Plan
from writer_cli.batch.job import GRACE_PERIOD, POLL_INTERVAL, Input, Job, Progress
from writer_cli.batch.journal import Journal
from writer_cli.batch.ordered import OrderedOutput
from writer_cli.batch.shards import Shard
from writer_cli.errors import ReaderGoneError
from writer_cli.sandbox.server import SandboxServer

LINES = b"".join(b"prompt %d\n" % number for number in range(4))


def source_of(
    path: Path | None = None, *, limit: int | None = None, opened: list[None] | None = None
) -> Input:
    """Return the input in a file, or in a pipe without one; note how often it is opened."""

    def open_it() -> AbstractContextManager[BinaryIO]:
        if opened is not None:
            opened.append(None)
        return nullcontext(io.BytesIO(LINES)) if path is None else path.open("rb")

    return Input(
        open=open_it,
        can_reopen=path is not None,
        format="txt",
        template=None,
        shard=Shard(),
        limit=limit,
    )


def job_of(
    source: Input, output: Journal | OrderedOutput, server: SandboxServer, *, concurrency: int = 1
) -> Job:
    """Return a batch that has not run yet."""
    return Job(
        Plan(model_id="m", concurrency=concurrency),
        source,
        output,
        identity="i",
        include_prompt=True,
        make_writer=writer_for(server),
    )


def progress_of(
    source: Input, journal: Journal | OrderedOutput, *, held: bool = True
) -> tuple[Job, list[Progress]]:
    """Run a batch; return it with its progress, the first of it while its requests are held."""
    echo, seen = Echo(), list[Progress]()

    def show(progress: Progress) -> None:
        seen.append(progress)
        echo.gate.set()

    with serving(echo) as server:
        if held:
            echo.gate.clear()
        job = job_of(source, journal, server)
        job.run(show)
    return job, seen


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return an input of four lines."""
    path = tmp_path / "in.txt"
    path.write_bytes(LINES)
    return path


def test_what_is_left_is_estimated_by_the_part_that_was_read(file: Path, tmp_path: Path) -> None:
    """The first of four records of equal length is a quarter of the input."""
    with Journal(tmp_path / "out.jsonl") as journal:
        job, (first, *_) = progress_of(source_of(file), journal)
        assert [line[:11] for line in journal.lines()] == [b'{"index": %d' % n for n in range(4)]
        assert b'"prompt": "prompt 0"' in next(journal.lines())
    assert (first.answered, first.failed, first.done, first.left) == (0, 0, 0, 4.0)
    assert first.part_done == 0
    assert (job.summary.answered, job.summary.attempts, job.stopped_by) == (4, 4, None)


def test_a_limit_says_how_much_is_left(file: Path, tmp_path: Path) -> None:
    """The first of two records is half of them."""
    with Journal(tmp_path / "out.jsonl") as journal:
        job, (first, *_) = progress_of(source_of(file, limit=2), journal)
    assert first.left == 2.0
    assert job.summary.answered == 2


def test_a_later_run_knows_how_much_is_left(file: Path, tmp_path: Path) -> None:
    """It counts what has no result, and sends no other; a complete run sends nothing."""
    with Journal(tmp_path / "out.jsonl") as journal:
        progress_of(source_of(file, limit=1), journal)
    with Journal(tmp_path / "out.jsonl") as journal:
        job, (first, *_) = progress_of(source_of(file), journal)
    assert (first.answered, first.done, first.left) == (1, 0, 3.0)
    assert first.part_done == 0.25
    assert job.summary.answered == 3
    opened = list[None]()
    with Journal(tmp_path / "out.jsonl") as journal:
        job, seen = progress_of(source_of(file, opened=opened), journal)
    assert (job.summary.attempts, seen, len(opened)) == (0, [], 1)


def test_a_later_run_sends_the_only_record_that_is_left(file: Path, tmp_path: Path) -> None:
    """It opens the input twice: to count what is left, and to send it."""
    opened = list[None]()
    for limit, sent in ((3, 3), (4, 1)):
        with Journal(tmp_path / "out.jsonl") as journal:
            source = source_of(file, limit=limit, opened=opened)
            job, _ = progress_of(source, journal, held=False)
        assert job.summary.answered == sent
    assert len(opened) == 3


def test_a_pipe_does_not_say_how_much_is_left() -> None:
    """What is left is unknown, and the results are written as they come."""
    written: list[bytes] = []
    with OrderedOutput(written.append) as output:
        _, (first, *_) = progress_of(source_of(), output)
    assert (first.left, first.part_done) == (None, None)
    assert len(written) == 4


def test_a_signal_is_noted_and_its_handler_comes_back(file: Path, tmp_path: Path) -> None:
    """The batch stops, keeps what is under way, and leaves the order for the next run."""
    before = signal.getsignal(signal.SIGTERM)
    echo, seen = Echo(), list[Any]()

    def show(progress: Any) -> None:
        seen.append(progress)
        if len(seen) == 1:
            signal.raise_signal(signal.SIGTERM)
        else:  # the batch has stopped
            echo.gate.set()

    with serving(echo) as server, Journal(tmp_path / "out.jsonl") as journal:
        echo.gate.clear()
        job = job_of(source_of(file), journal, server)
        job.run(show)
        assert journal.answered == 1
    assert job.stopped_by == signal.SIGTERM
    assert job.summary.answered == 1
    assert signal.getsignal(signal.SIGTERM) is before


def test_an_answer_that_comes_after_the_end_is_not_counted(file: Path) -> None:
    """Without a reader nobody waits for it, and the summary says nothing of it."""
    held, arrived = threading.Event(), threading.Event()

    def fault(prompt: str, _: int) -> None:
        if prompt == "prompt 1":
            arrived.set()
            held.wait(30)
        else:
            arrived.wait(30)

    def write(_: bytes) -> None:
        raise ReaderGoneError("closed")

    with serving(Echo(fault)) as server, OrderedOutput(write) as output:
        job = job_of(source_of(file), output, server, concurrency=2)
        with pytest.raises(ReaderGoneError):
            job.run(lambda _: None)
        counted = job.summary.answered
        late = [thread for thread in threading.enumerate() if thread.name.startswith("batch-")]
        assert [thread.daemon for thread in late] == [True]
        held.set()
        late[0].join(30)
    assert counted == job.summary.answered == 1


def test_a_stopping_batch_has_ten_seconds() -> None:
    """Signals and the progress are looked at ten times a second."""
    assert math.isclose(GRACE_PERIOD, 10)
    assert POLL_INTERVAL <= 0.1
