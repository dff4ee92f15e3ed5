"""The results of a batch on disk (the journal)."""

import fcntl
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from writer_cli.batch.journal import Journal
from writer_cli.batch.records import Record
from writer_cli.batch.results import Result
from writer_cli.errors import OutputError, UsageError

DEFAULTS = "what all have in common"
ERROR = {"kind": "server", "message": "internal error"}


def record(index: int, prompt: str | None = None) -> Record:
    """Return a record with a prompt of its own."""
    return Record(index, f"prompt {index}" if prompt is None else prompt, line=index + 1)


def line(index: int, text: str | None = "an answer") -> bytes:
    """Return the journal's line of an answer, or of a failure if there is no text."""
    result = Result(
        record=record(index),
        choices=None if text is None else [{"index": 0, "text": text, "logprobs": None}],
        error=ERROR if text is None else None,
        model_id="m",
        attempts=1,
        elapsed_s=0.5,
    )
    return result.as_line(record(index).digest(DEFAULTS), include_prompt=False)


def append(journal: Journal, index: int, text: str | None = "an answer") -> None:
    """Write a result as a batch does."""
    digest = record(index).digest(DEFAULTS)
    journal.append(index, line(index, text), digest, failed=text is None)


def pending(journal: Journal, count: int) -> list[int]:
    """Return the indexes of the records without a result."""
    records = [record(index) for index in range(count)]
    return [left.index for left in journal.pending(records, DEFAULTS)]


def test_a_line_says_what_became_of_a_record(tmp_path: Path) -> None:
    """The line of an answer and that of a failure have the documented keys."""
    path = tmp_path / "out.jsonl"
    with Journal(path) as journal:
        append(journal, 0)
        append(journal, 1, None)
    digests = [f"{record(index).digest(DEFAULTS):016x}" for index in (0, 1)]
    common = {"model_id": "m", "attempts": 1, "elapsed_s": 0.5}
    assert [json.loads(text) for text in path.read_text().splitlines()] == [
        {
            "index": 0,
            "choices": [{"index": 0, "text": "an answer", "logprobs": None}],
            "usage": None,
            **common,
            "digest": digests[0],
        },
        {"index": 1, "error": ERROR, **common, "digest": digests[1]},
    ]


@pytest.mark.parametrize("text", ['"error": {"kind": "', "a\u2028b\n\r\x00", "\ud800", "é" * 10])
def test_no_text_is_mistaken_for_a_failure(tmp_path: Path, text: str) -> None:
    """An answer with any text is one line and is read as an answer."""
    path = tmp_path / "out.jsonl"
    with Journal(path) as journal:
        append(journal, 0, text)
    with Journal(path) as journal:
        assert (journal.answered, journal.failed) == (1, 0)
    assert path.read_bytes().count(b"\n") == 1


def test_a_line_cut_anywhere_is_removed(tmp_path: Path) -> None:
    """A journal that is cut at any byte keeps its complete lines and can be continued."""
    path = tmp_path / "out.jsonl"
    whole = line(0), line(1, None), line(2, "\u00e9\n\\")
    content = b"".join(whole)
    for size in range(len(content) + 1):
        path.write_bytes(content[:size])
        kept = sum(len(b"".join(whole[:n])) <= size for n in (1, 2, 3))
        with Journal(path) as journal:
            assert path.read_bytes() == b"".join(whole[:kept])
            assert pending(journal, 3) == list(range(kept, 3))
            append(journal, kept)
        assert path.read_bytes() == b"".join(whole[:kept]) + line(kept)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 9), st.sampled_from(["a", "b", None]), st.integers(0, 60) | st.none()
        ),
        max_size=30,
    )
)
def test_the_last_complete_line_of_an_index_counts(
    steps: list[tuple[int, str | None, int | None]],
) -> None:
    """After any writes, cuts and runs, the last complete line of each index counts."""
    expected: dict[int, bytes] = {}
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "out.jsonl")
        for index, text, torn in steps:
            with Journal(path) as journal:
                append(journal, index, text)
                expected[index] = line(index, text)
            if torn is not None:
                with path.open("ab") as file:
                    file.write(line(index, "torn")[:torn])
        with Journal(path) as journal:
            journal.put_in_order()
            assert list(journal.lines()) == [expected[index] for index in sorted(expected)]
            failed = sum(b'"error"' in written for written in expected.values())
            assert (journal.answered, journal.failed) == (len(expected) - failed, failed)


def test_results_are_put_into_the_order_of_the_input(tmp_path: Path) -> None:
    """Lines are sorted, duplicates removed, and the file's mode and link kept."""
    real, path = tmp_path / "real.jsonl", tmp_path / "link.jsonl"
    real.touch(mode=0o640)
    path.symlink_to(real)
    with Journal(path) as journal:
        append(journal, 2)
        append(journal, 0, None)
        append(journal, 1)
        append(journal, 0)
        journal.put_in_order()
    assert real.read_bytes() == line(0) + line(1) + line(2)
    assert path.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    assert sorted(tmp_path.iterdir()) == [path, real]


def test_a_sorted_journal_is_not_written_again(tmp_path: Path) -> None:
    """A journal that is in order is not written again."""
    path = tmp_path / "out.jsonl"
    path.write_bytes(line(0) + line(5))
    before = path.stat()
    with Journal(path) as journal:
        journal.put_in_order()
    after = path.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_journal_has_one_writer(tmp_path: Path) -> None:
    """A second writer is refused until the first has ended, also while it sorts."""
    path = tmp_path / "out.jsonl"

    def assert_refused() -> None:
        with pytest.raises(UsageError, match="another run is writing to it"):
            Journal(path)

    with Journal(path) as journal:
        append(journal, 1)
        assert_refused()
        append(journal, 0)
        journal.put_in_order()
        assert_refused()
    with Journal(path) as journal:
        assert journal.answered == 2


def test_a_file_replaced_while_it_is_opened_is_opened_again(tmp_path: Path) -> None:
    """If the file is replaced between opening and locking, the new file is opened."""
    path = tmp_path / "out.jsonl"
    path.write_bytes(line(0))
    is_armed = True

    def replace(event: str, _: object) -> None:
        nonlocal is_armed
        if event == "fcntl.flock" and is_armed:
            is_armed = False
            new = path.with_suffix(".new")
            new.write_bytes(line(0) + line(1))
            new.replace(path)

    sys.addaudithook(replace)
    with Journal(path) as journal:
        append(journal, 2)
    assert not is_armed
    assert path.read_bytes() == line(0) + line(1) + line(2)


@pytest.mark.parametrize(
    "content",
    [
        b"notes of mine\n",
        b'{"index": 0}\n',
        b'{"index": -1, "digest": "0123456789abcdef"}\n',
        line(0) + b"\n" + line(1),
        b"\0" * 100 + b"\n",
    ],
)
def test_a_file_of_something_else_is_left_alone(tmp_path: Path, content: bytes) -> None:
    """A file that is not a journal is refused and not changed."""
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"line [12] is not a result of a batch"):
        Journal(path)
    assert path.read_bytes() == content
    with Journal(path, overwrite=True) as journal:
        assert pending(journal, 1) == [0]
    assert path.read_bytes() == b""


def test_an_output_that_cannot_be_a_journal_is_refused(tmp_path: Path) -> None:
    """A directory, a missing one, a device and a pipe are usage errors at once."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path, reason in (
        (tmp_path, "Is a directory"),
        (tmp_path / "missing" / "out.jsonl", "No such file or directory"),
        (Path(os.devnull), "only such a file can be continued"),
        (pipe, "only such a file can be continued"),
    ):
        with pytest.raises(UsageError, match=reason):
            Journal(path)


def test_only_records_without_a_result_are_pending(tmp_path: Path) -> None:
    """Failures count as done until they are forgotten."""
    with Journal(tmp_path / "out.jsonl") as journal:
        append(journal, 3)
        append(journal, 1, None)
        assert pending(journal, 5) == [0, 2, 4]
        journal.forget_failures()
        assert (journal.answered, journal.failed) == (1, 0)
        assert pending(journal, 5) == [0, 1, 2, 4]
        append(journal, 1)
        assert (journal.answered, journal.failed) == (2, 0)


def test_another_request_under_an_index_is_named(tmp_path: Path) -> None:
    """If the prompt or the flags changed, the error names the record."""
    with Journal(tmp_path / "out.jsonl") as journal:
        append(journal, 1)
        changed = [record(0), record(1, "another prompt")]
        with pytest.raises(UsageError, match=r"of another request for record 1 \(line 2\): "):
            list(journal.pending(changed, DEFAULTS))
        with pytest.raises(UsageError, match=r"of another request for record 1 \(line 2\): "):
            list(journal.pending([record(0), record(1)], "other flags"))


@pytest.mark.parametrize("text", ["an answer", None])
def test_an_input_that_lost_records_is_noticed(tmp_path: Path, text: str | None) -> None:
    """A result without a record in the input stops the batch, also a failed one."""
    with Journal(tmp_path / "out.jsonl") as journal:
        append(journal, 7, text)
        journal.forget_failures()
        with pytest.raises(UsageError, match="has 1 results for records that the input does not"):
            pending(journal, 7)


def test_a_removed_file_is_noticed_and_nothing_is_lost(tmp_path: Path) -> None:
    """If the journal is deleted during a run, its results are saved, and `mv` restores them."""
    path = tmp_path / "a directory" / "out.jsonl"
    path.parent.mkdir()
    with Journal(path) as journal:
        append(journal, 0)
        path.unlink()
        with pytest.raises(OutputError, match="was removed during the run"):
            append(journal, 1)
        hint = journal.rescue([line(1)])
    assert os.waitstatus_to_exitcode(os.system(hint.split(": ")[1].partition(", and")[0])) == 0  # noqa: S605 - what the hint says
    with Journal(path) as journal:
        assert pending(journal, 3) == [2]


def test_an_order_that_cannot_be_written_leaves_the_journal(tmp_path: Path) -> None:
    """If sorting fails, as in a directory that was renamed, the results stay."""
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    with Journal(old / "out.jsonl") as journal:
        append(journal, 1)
        append(journal, 0)
        old.rename(new)
        with pytest.raises(OutputError, match="No such file or directory") as caught:
            journal.put_in_order()
    assert caught.value.hint is not None
    assert "all results are there" in caught.value.hint
    with Journal(new / "out.jsonl") as journal:
        assert pending(journal, 2) == []


def test_a_system_error_while_the_results_are_sorted_is_an_output_error(tmp_path: Path) -> None:
    """If no file can be opened, the results stay, and the next run sorts them."""
    path = tmp_path / "out.jsonl"
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with Journal(path) as journal:
        append(journal, 1)
        append(journal, 0)
        unsorted = path.read_bytes()
        resource.setrlimit(resource.RLIMIT_NOFILE, (1, hard))
        try:
            with pytest.raises(OutputError, match=r"Too many open files$") as caught:
                journal.put_in_order()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert caught.value.hint is not None
        assert "all results are there" in caught.value.hint
        assert path.read_bytes() == unsorted
    with Journal(path) as journal:
        assert pending(journal, 2) == []
        journal.put_in_order()
        assert [json.loads(one)["index"] for one in journal.lines()] == [0, 1]


def test_results_that_cannot_be_saved_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If nothing can be saved in the temporary directory either, the error has the number."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with Journal(tmp_path / "out.jsonl") as journal:
        append(journal, 0)
        assert "1 results are lost" in journal.rescue([line(1)])
        (tmp_path / "out.jsonl").unlink()
        assert "2 results are lost" in journal.rescue([line(1)])


def test_a_file_system_without_locks_is_refused(tmp_path: Path) -> None:
    """Without locks two runs could write at once, so that this is an error."""

    def deny(event: str, arguments: tuple[object, ...]) -> None:
        if event == "fcntl.flock" and is_armed and arguments[1] == fcntl.LOCK_EX | fcntl.LOCK_NB:
            raise OSError(37, "No locks available")

    is_armed = True
    sys.addaudithook(deny)
    try:
        with pytest.raises(UsageError, match="No locks available"):
            Journal(tmp_path / "out.jsonl")
    finally:
        is_armed = False


def test_a_record_of_a_journal_takes_little_memory(tmp_path: Path) -> None:
    """To read, compare and sort 20,000 results takes at most 60 bytes each."""
    path, count = tmp_path / "out.jsonl", 20_000
    with path.open("wb") as file:
        file.writelines(line(index, "x" * 200) for index in reversed(range(count)))
    records = (record(index) for index in range(count))
    tracemalloc.start()
    try:
        with Journal(path) as journal:
            assert sum(1 for _ in journal.pending(records, DEFAULTS)) == 0
            journal.put_in_order()
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 60 * count


@contextmanager
def failing_disk(path: Path) -> Iterator[None]:
    """Make writes to a file fail after a part, and make truncating it fail.

    A limit of the file's size causes the first, the append-only flag the second.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    chattr = shutil.which("chattr")
    if chattr is None or subprocess.run([chattr, "+a", path], check=False).returncode:
        pytest.skip("only root, and only on some file systems, can make a file append-only")
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 10, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        subprocess.run([chattr, "-a", path], check=True)


def test_a_partial_line_that_cannot_be_cut_off_is_an_output_error(tmp_path: Path) -> None:
    """Unwritten results are saved, and the command in the hint completes the file."""
    path = tmp_path / "out.jsonl"
    with Journal(path) as journal:
        journal.append(0, line(0), 1, failed=False)
        with failing_disk(path):
            for index, reason in ((1, "File too large"), (2, "Operation not permitted")):
                with pytest.raises(OutputError, match=reason):
                    journal.append(index, line(index), index, failed=False)
            assert path.read_bytes() == line(0) + line(1)[:10]
        hint = journal.rescue([line(1), line(2)])
    command = hint.partition("then: ")[2].partition(", and")[0]
    assert command.startswith(f"truncate -s {len(line(0))} ")
    subprocess.run(["sh", "-c", command], check=True)
    assert path.read_bytes() == line(0) + line(1) + line(2)


def test_a_partial_line_is_cut_off_before_the_next_one_is_written(tmp_path: Path) -> None:
    """Once the disk works again, the partial line is removed."""
    path = tmp_path / "out.jsonl"
    with Journal(path) as journal:
        journal.append(0, line(0), 1, failed=False)
        with failing_disk(path), pytest.raises(OutputError):
            journal.append(1, line(1), 1, failed=False)
        journal.append(2, line(2), 2, failed=False)
    assert path.read_bytes() == line(0) + line(2)


def test_a_partial_line_of_an_earlier_run_that_stays_is_an_output_error(
    tmp_path: Path,
) -> None:
    """If a partial line cannot be cut off, the error has the system's reason."""
    path = tmp_path / "out.jsonl"
    path.write_bytes(line(0) + b'{"index": 1, ')
    with failing_disk(path), pytest.raises(OutputError, match="Operation not permitted"):
        Journal(path)
    assert path.read_bytes() == line(0) + b'{"index": 1, '


def test_a_journal_without_a_lock_is_put_in_order_too(tmp_path: Path) -> None:
    """A journal is sorted also on a system without locks."""
    with Journal(tmp_path / "out.jsonl") as journal:
        journal.is_locked = False
        for index in (1, 0):
            journal.append(index, line(index), record(index).digest(DEFAULTS), failed=False)
        journal.put_in_order()
    assert (tmp_path / "out.jsonl").read_bytes() == line(0) + line(1)
