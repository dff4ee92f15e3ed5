import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import writer_cli as writer
from tests.cache.asking import edit
from writer_cli.cache import upkeep
from writer_cli.recording import Question, Recording


def record(directory: Path, prompt: str, *, days: float = 0, **answer: Any) -> Path:
    """Write a recording with an age in days."""
    at = (datetime.now(UTC) - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")
    question = Question("openai", "m", None, {"prompt": prompt})
    given = answer or {"body": {"choices": [{"text": "a"}]}}
    path = question.path_in(directory)
    path.parent.mkdir(exist_ok=True)
    new = Recording(question=question, recorded_at=at, action_id=None, **given)
    path.write_bytes(new.to_bytes())
    return path


def test_stats_count_the_recordings(tmp_path: Path) -> None:
    """The statistics count recordings and the tokens that their answers report."""
    old = record(tmp_path, "a", days=2, body={"usage": {"total_tokens": 5, "x": 1, "y_tokens": ""}})
    new = record(tmp_path, "b", events=("1", "no JSON", '{"usage": {"total_tokens": 2}}', "[DONE]"))
    bad = record(tmp_path, "c")
    bad.write_text("{")
    found = upkeep.stats(tmp_path)
    assert (found.answers, found.damaged) == (2, 1)
    assert found.size == sum(path.stat().st_size for path in (old, new, bad))
    assert found.tokens == {"total_tokens": 7}
    assert found.oldest is not None
    assert found.newest is not None
    assert found.oldest < found.newest
    empty = upkeep.stats(tmp_path / "none")
    assert (empty.answers, empty.oldest, empty.newest) == (0, None, None)


def test_age_is_that_of_the_recording(tmp_path: Path) -> None:
    """The age is taken from the recording, not from the file; damaged files are kept."""
    old = record(tmp_path, "a", days=31)
    young = record(tmp_path, "b", days=29)
    zoneless = record(tmp_path, "c")
    edit(zoneless, lambda told: told.update(recorded_at="2020-01-01T00:00:00"))
    record(tmp_path, "d", days=99).write_text("{")
    os.utime(young, (0, 0))
    assert set(upkeep.older_than(tmp_path, timedelta(days=30))) == {old, zoneless}


def test_unused_recordings_are_those_without_a_use_since_the_mark(tmp_path: Path) -> None:
    """A recording is unused if no run has read or written it since the mark."""
    with pytest.raises(writer.UsageError, match=r"^--unused: there is no mark in "):
        upkeep.unused(tmp_path)
    request = writer.CompletionRequest(prompt="a", max_tokens=2)
    with writer.Writer(sandbox=True, cache=tmp_path) as client:
        client.completions.create(completion_request=request, model_id="m")
        [used] = tmp_path.glob("*/*")
        stale = record(tmp_path, "b")
        for path in (used, stale):
            os.utime(path, (1, 1))
        upkeep.mark(tmp_path)
        assert set(upkeep.unused(tmp_path)) == {used, stale}
        client.completions.create(completion_request=request, model_id="m")
    fresh = record(tmp_path, "c")
    assert upkeep.unused(tmp_path) == [stale]
    upkeep.remove(tmp_path, [stale], with_mark=True)
    assert sorted(tmp_path.glob("*/*")) == sorted([used, fresh])
    assert not (tmp_path / upkeep.MARK).exists()


def test_an_old_temporary_file_is_removed(tmp_path: Path) -> None:
    """A temporary file of a killed process is removed, once it is old enough."""
    kept = record(tmp_path, "a")
    abandoned, written = (kept.with_name(f".{kept.name}.{end}") for end in ("x1", "x2"))
    for path in (abandoned, written):
        path.write_text("")
    os.utime(abandoned, (1, 1))
    upkeep.remove(tmp_path, [], with_mark=False)
    assert sorted(kept.parent.iterdir()) == sorted([kept, written])


def test_a_file_that_cannot_be_changed_is_an_error(tmp_path: Path) -> None:
    """The error names the file that cannot be changed."""
    (tmp_path / "file").write_text("")
    with pytest.raises(writer.WriterError, match=r"/file/\.mark: File exists$"):
        upkeep.mark(tmp_path / "file")
    with pytest.raises(writer.WriterError, match=r"Is a directory$"):
        upkeep.remove(tmp_path, [tmp_path], with_mark=False)


def test_verify_compares_each_file_with_its_name(tmp_path: Path) -> None:
    """A recording whose key is not its name is reported as damaged, with the reason."""
    record(tmp_path, "a")
    bad = record(tmp_path, "b")
    edit(bad, lambda told: told["request"].update(prompt="c"))
    assert upkeep.verify(tmp_path) == (1, [(bad, "its name is not the key of its request")])


def test_a_file_that_was_deleted_meanwhile_is_skipped(tmp_path: Path) -> None:
    """A recording that another process has just deleted is not counted."""
    path = record(tmp_path, "a")
    path.unlink()
    path.symlink_to("nowhere")
    assert upkeep.verify(tmp_path) == (0, [])
