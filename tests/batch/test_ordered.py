"""Results in the order of the input, written without a file."""

import threading
from pathlib import Path

import pytest

from writer_cli.batch.ordered import OrderedOutput
from writer_cli.batch.records import Record
from writer_cli.errors import OutputError


def records(count: int, step: int = 1) -> list[Record]:
    """Return records with the indexes of a shard."""
    return [Record(step * number, f"prompt {number}") for number in range(count)]


def keep(output: OrderedOutput, index: int, *, failed: bool = False) -> None:
    """Append a result."""
    output.append(index, b"%d\n" % index, 0, failed=failed)


def test_a_result_is_written_when_all_before_it_are() -> None:
    """A result waits until all results before it are written."""
    written: list[bytes] = []
    output = OrderedOutput(written.append)
    assert [record.index for record in output.pending(records(4, step=3), "")] == [0, 3, 6, 9]
    keep(output, 3, failed=True)
    keep(output, 9)
    assert written == []
    keep(output, 0)
    assert written == [b"0\n", b"3\n"]
    keep(output, 6)
    assert written == [b"0\n", b"3\n", b"6\n", b"9\n"]
    assert (output.answered, output.failed) == (3, 1)


def test_a_missing_result_leaves_a_gap_at_the_end() -> None:
    """At the end, the results after a missing one are written, with a gap before them."""
    written: list[bytes] = []
    output = OrderedOutput(written.append, write_gap=lambda: written.append(b"gap\n"))
    list(output.pending(records(5), ""))
    keep(output, 1)
    keep(output, 3)
    output.put_in_order()
    assert written == [b"gap\n", b"1\n", b"gap\n", b"3\n"]


def test_a_slow_record_lets_only_so_many_go_ahead() -> None:
    """No further record is taken while too many results wait, so that memory is limited."""
    written: list[bytes] = []
    output = OrderedOutput(written.append, most_ahead=3)
    taken: list[int] = []
    has_taken = threading.Condition()

    def take() -> None:
        for record in output.pending(records(6), ""):
            with has_taken:
                taken.append(record.index)
                has_taken.notify_all()

    thread = threading.Thread(target=take)
    with output:
        thread.start()
        with has_taken:
            assert has_taken.wait_for(lambda: len(taken) == 3, 30)
        keep(output, 1)
        keep(output, 2)
        with has_taken:
            assert not has_taken.wait_for(lambda: len(taken) > 3, 0.05)
        keep(output, 0)
        with has_taken:
            assert has_taken.wait_for(lambda: len(taken) == 6, 30)
        thread.join()
    assert written == [b"0\n", b"1\n", b"2\n"]


def test_its_end_releases_a_waiting_thread() -> None:
    """A thread that waits to take a record ends with the output."""
    output = OrderedOutput(lambda _: None, most_ahead=1)
    taken: list[Record] = []
    thread = threading.Thread(target=lambda: taken.extend(output.pending(records(2), "")))
    with output:
        thread.start()
    thread.join(30)
    assert not thread.is_alive()
    assert len(taken) <= 1


@pytest.mark.parametrize("is_full", [False, True])
def test_results_that_cannot_be_written_are_kept_in_a_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_full: bool
) -> None:
    """Unwritten results are saved in order; if that fails too, the message has their number."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none" if is_full else tmp_path))

    def fail(_: bytes) -> None:
        raise OutputError("standard output: full")

    output = OrderedOutput(fail)
    list(output.pending(records(3), ""))
    keep(output, 2)
    with pytest.raises(OutputError):
        keep(output, 0)
    hint = output.rescue([])
    if is_full:
        assert hint.endswith("No such file or directory there too: 2 are lost")
    else:
        [kept] = tmp_path.iterdir()
        assert hint == f"results that were not written: 2, in {kept}"
        assert kept.read_bytes() == b"0\n2\n"
