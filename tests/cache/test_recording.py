import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.cache.asking import edit
from writer_cli import recording
from writer_cli.recording import DamagedError, Question, Recording

QUESTION = Question("enterprise", "palmyra-x5", None, {"prompt": "a", "topP": 1.0})


def recorded(**given: Any) -> Recording:
    """Return a recording."""
    values: dict[str, Any] = {
        "question": QUESTION,
        "recorded_at": "2026-11-25T18:00:00Z",
        "action_id": None,
        "body": {"choices": [{"text": "b"}]},
    }
    return Recording(**values | given)


def written(directory: Path, new: Recording) -> Path:
    """Write a recording where it belongs."""
    path = new.question.path_in(directory)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(new.to_bytes())
    return path


def test_the_key_is_the_hash_of_canonical_json() -> None:
    """The key stays the same in later versions, so that they find committed recordings."""
    canonical = (
        b'{"api":"enterprise","customization_id":null,"model_id":"palmyra-x5",'
        b'"request":{"prompt":"a","topP":1},"salt":null,"sandbox":false,"version":1}'
    )
    assert QUESTION.key() == hashlib.sha256(canonical).hexdigest()


def test_equivalent_requests_have_the_same_key() -> None:
    """The order of fields, 1 or 1.0, and a null field do not change the key."""
    same = {"topP": 1, "prompt": "a", "stop": None}
    assert QUESTION._replace(request=same).key() == QUESTION.key()
    nested = QUESTION._replace(request={"prompt": "a", "x": [1.0, {"y": 2.0}]})
    assert nested.key() == nested._replace(request={"prompt": "a", "x": [1, {"y": 2}]}).key()


@pytest.mark.parametrize(
    "changed",
    [
        {"api": "studio"},
        {"model_id": "palmyra-x4"},
        {"customization_id": "tales"},
        {"request": {"prompt": "b", "topP": 1}},
        {"request": {"prompt": "a", "topP": 0.5}},
        {"salt": ""},
        {"salt": "2"},
        {"sandbox": True},
    ],
    ids=str,
)
def test_each_value_that_influences_the_text_is_part_of_the_key(changed: dict[str, Any]) -> None:
    """Each value that influences the text changes the key."""
    assert QUESTION._replace(**changed).key() != QUESTION.key()


def test_a_file_is_readable_and_stable(tmp_path: Path) -> None:
    """Our keys are sorted, the server's keep their order, and control characters are escaped."""
    body = {"choices": [{"text": "né \ud83d \x9b \u202e", "b": 1.0, "a": 1}]}
    new = recorded(body=body, action_id="action-1")
    path = written(tmp_path, new)
    assert path.read_text() == (
        "{\n"
        '  "action_id": "action-1",\n'
        '  "answer": {\n'
        '    "body": {\n'
        '      "choices": [\n'
        "        {\n"
        '          "text": "né \\ud83d \\u009b \\u202e",\n'
        '          "b": 1.0,\n'
        '          "a": 1\n'
        "        }\n"
        "      ]\n"
        "    }\n"
        "  },\n"
        '  "api": "enterprise",\n'
        '  "customization_id": null,\n'
        '  "model_id": "palmyra-x5",\n'
        '  "recorded_at": "2026-11-25T18:00:00Z",\n'
        '  "request": {\n'
        '    "prompt": "a",\n'
        '    "topP": 1\n'
        "  },\n"
        '  "salt": null,\n'
        '  "sandbox": false,\n'
        '  "version": 1\n'
        "}\n"
    )
    back = recording.read(path)
    assert back is not None
    assert (back.body, back.action_id) == (body, "action-1")
    assert back.to_bytes() == new.to_bytes()


def test_a_stream_is_kept_event_by_event(tmp_path: Path) -> None:
    """The data of each event is stored unchanged, with any number of lines."""
    events = ('{"value": "a"}', "two\nlines", "[DONE]")
    back = recording.read(written(tmp_path, recorded(body=None, events=events)))
    assert back is not None
    assert back.events == events
    assert b"".join(back.chunks()) == (
        b'data: {"value": "a"}\n\ndata: two\ndata: lines\n\ndata: [DONE]\n\n'
    )
    assert back.headers == {"content-type": "text/event-stream"}


def test_a_missing_recording_is_none(tmp_path: Path) -> None:
    """Reading returns None if the file or its folder does not exist."""
    assert recording.read(tmp_path / "ab" / "abc.json") is None
    (tmp_path / "ab").write_text("")
    assert recording.read(tmp_path / "ab" / "abc.json") is None


def fail_with(**changed: Any) -> Any:
    """Return a function that changes some values of a recording."""
    return lambda told: told.update(changed)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (fail_with(version=2), "its version is 2, and not 1"),
        (fail_with(model_id=5), "it is no recording"),
        (fail_with(recorded_at="yesterday"), "it is no recording"),
        (fail_with(answer={}), "it is no recording"),
        (fail_with(answer={"events": []}), "it is no recording"),
        (fail_with(answer={"events": [1]}), "it is no recording"),
        (lambda told: told.pop("action_id"), "it is no recording"),
        (fail_with(salt="2"), "its name is not the key of its request"),
    ],
)
def test_a_file_that_was_changed_is_damaged(tmp_path: Path, change: Any, reason: str) -> None:
    """The error for a recording that was changed says what is wrong."""
    path = written(tmp_path, recorded())
    edit(path, change)
    with pytest.raises(DamagedError, match=f"^{reason}$"):
        recording.read(path)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[]", b"[" * 100_000])
def test_a_recording_that_is_not_a_json_object_is_damaged(tmp_path: Path, content: bytes) -> None:
    """A file that was cut, or is something else, is a damaged recording."""
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(DamagedError, match=r"^it is no recording$"):
        recording.read(path)


def test_a_recording_that_is_not_a_file_is_not_waited_for(tmp_path: Path) -> None:
    """A pipe, a folder, a link to itself and a huge file are damaged recordings."""
    pipe, loop, large = (tmp_path / name for name in ("pipe", "loop", "large"))
    os.mkfifo(pipe)
    loop.symlink_to(loop)
    with large.open("wb") as file:
        file.truncate(2**30)
    for path, reason in (
        (pipe, "it is no file"),
        (tmp_path, "it is no file"),
        (loop, "Too many levels of symbolic links"),
        (large, "it is larger than 128 MiB"),
    ):
        with pytest.raises(DamagedError, match=f"^{reason}$"):
            recording.read(path)


def test_only_recordings_are_listed(tmp_path: Path) -> None:
    """Other files in the folder are not listed."""
    path = written(tmp_path, recorded())
    for name in ("notes.json", f".{path.name}.tmp", f"{'0' * 64}.json"):
        (path.parent / name).write_text("{}")
    (tmp_path / "zz").mkdir()
    assert list(recording.files(tmp_path)) == [path]
    assert json.loads(path.read_text())["version"] == 1
