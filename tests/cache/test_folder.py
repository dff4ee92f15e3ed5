import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

import writer_cli as writer
from tests.cache.asking import (
    REQUEST,
    client,
    create,
    edit,
    offline,
    only_file,
    text_of,
)
from tests.harness.servers import Server, completion


def cache_with_events(
    directory: Path, events: list[writer.CacheEvent], **more: Any
) -> writer.Cache:
    """Return a cache that appends its events to a list."""
    return writer.Cache(directory, on_event=events.append, **more)


def test_hits_and_misses_are_reported(tmp_path: Path) -> None:
    """The events of a hit and of a miss name the file."""
    events: list[writer.CacheEvent] = []
    with (
        Server(completion("one")) as server,
        client(server, cache_with_events(tmp_path, events)) as asking,
    ):
        create(asking)
        create(asking)
    path = only_file(tmp_path)
    assert [str(event) for event in events] == [f"cache miss: {path}", f"cache hit: {path}"]
    assert not any(event.is_warning for event in events)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda told: told.clear(), "it is no recording"),
        (
            lambda told: told["answer"].update(body={"choices": [{"text": 5}]}),
            (
                "the answer is JSON but does not have the expected fields: "
                '{"choices": [{"text": 5}]}'
            ),
        ),
        (
            lambda told: told.update(answer={"events": ["no JSON"]}),
            "the stream has an event without text: no JSON",
        ),
    ],
)
def test_a_damaged_file_is_a_warning_and_is_replaced(
    tmp_path: Path, change: Any, reason: str
) -> None:
    """A damaged recording causes a warning, and the new answer replaces it."""
    events: list[writer.CacheEvent] = []
    with Server(completion("one"), completion("two")) as server:
        with client(server, tmp_path) as asking:
            create(asking)
        path = only_file(tmp_path)
        edit(path, change)
        with client(server, cache_with_events(tmp_path, events)) as asking:
            assert [text_of(create(asking)) for _ in range(2)] == ["two", "two"]
    warning = f"the recording {path} is ignored: {reason}"
    assert [str(event) for event in events if event.is_warning] == [warning]
    assert json.loads(path.read_text())["answer"] == {"body": {"choices": [{"text": "two"}]}}


@pytest.mark.parametrize(
    ("obstacle", "reason"),
    [("file", "File exists"), ("directory", "Is a directory")],
)
def test_an_answer_that_cannot_be_recorded_is_returned_with_one_warning(
    tmp_path: Path, obstacle: str, reason: str
) -> None:
    """If the recording cannot be written, the answer is returned, with one warning."""
    events: list[writer.CacheEvent] = []
    cache = cache_with_events(tmp_path / "cache", events)
    with Server(completion("one")) as server, client(server, cache) as asking:
        create(asking)
        path = only_file(cache.directory)
        path.unlink()
        if obstacle == "directory":
            path.mkdir()
        else:
            path.parent.rmdir()
            path.parent.write_text("")
        events.clear()
        assert [text_of(create(asking)) for _ in range(2)] == ["one", "one"]
    not_kept = [event for event in events if event.kind == "not_kept"]
    assert [str(event) for event in not_kept] == [f"the answer is not recorded in {path}: {reason}"]
    assert not_kept[0].is_warning


def test_a_cache_is_a_folder(tmp_path: Path) -> None:
    """A cache that is not a folder is refused, and so is `refresh` with `offline`."""
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(writer.UsageError, match=f"^cache: {re.escape(str(file))} is not a folder$"):
        writer.Writer(cache=file)
    with pytest.raises(writer.UsageError, match=r"^refresh and offline exclude each other$"):
        writer.Cache(tmp_path, refresh=True, offline=True)
    assert repr(writer.Cache(tmp_path)) == f"Cache({str(tmp_path)!r}, offline=False)"


def test_a_hit_updates_the_modification_time(tmp_path: Path) -> None:
    """A hit changes the file's modification time and not its content."""
    with Server(completion("one")) as server, client(server, tmp_path) as asking:
        create(asking)
        path = only_file(tmp_path)
        before = path.read_bytes()
        os.utime(path, (1, 1))
        create(asking)
        assert path.stat().st_mtime > 1
        assert path.read_bytes() == before


def error_of(directory: Path, request: writer.CompletionRequest, **more: Any) -> str:
    """Ask offline, and return the message of the error."""
    with offline(directory, **more) as asking, pytest.raises(writer.NotRecordedError) as caught:
        create(asking, request)
    error = caught.value
    assert (error.kind, error.exit_code, error.retryable, error.attempts) == (
        "not_recorded",
        12,
        False,
        0,
    )
    return error.message


def test_the_error_of_an_unrecorded_request_names_the_nearest(tmp_path: Path) -> None:
    """The error names the recording with the fewest differences, then the most similar prompt."""
    start = f"the answer to this request is not recorded in {tmp_path}"
    assert error_of(tmp_path, REQUEST) == start
    prompts = ("A sea that was still for a year and more", "A hill", "A lake")
    paths = {}
    with Server(completion("one")) as server, client(server, tmp_path) as asking:
        for prompt in prompts:
            before = set(tmp_path.glob("*/*"))
            create(asking, writer.CompletionRequest(prompt=prompt, temperature=0.7))
            [paths[prompt]] = set(tmp_path.glob("*/*")) - before
    (tmp_path / "00").mkdir()
    (tmp_path / "00" / f"{'0' * 64}.json").write_text("{")

    def nearest(prompt: str, difference: str) -> str:
        return f"{start}; the nearest recording is {paths[prompt]}: recorded: {difference}"

    def request(prompt: str, **fields: Any) -> writer.CompletionRequest:
        return writer.CompletionRequest(prompt=prompt, **fields)

    assert error_of(tmp_path, request("A hill", temperature=0.5)) == nearest(
        "A hill", "temperature 0.7, now: 0.5"
    )
    assert error_of(tmp_path, request("A hill")) == nearest("A hill", "temperature 0.7, now: none")
    assert error_of(tmp_path, request("A hill", temperature=0.7), salt="2") == nearest(
        "A hill", 'no salt, now: "2"'
    )
    assert error_of(tmp_path, request("A hill", temperature=0.5, stop=["a" * 80])) == nearest(
        "A hill", "temperature 0.7, now: 0.5, and 1 more"
    )
    assert error_of(tmp_path, request("A hill", temperature=0.7, stop=["a" * 80])) == nearest(
        "A hill", f'no stop, now: ["{"a" * 58}…'
    )
    long = "A sea that was still for a year \x1b and more"
    assert error_of(tmp_path, request(long, temperature=0.7)) == nearest(
        prompts[0],
        'prompt "…as still for a year and more", now: "…as still for a year \\u001b and more"',
    )


def test_the_recordings_are_searched_for_the_nearest_once_per_run(tmp_path: Path) -> None:
    """All errors of a run share one reading of the folder."""
    with Server(completion("one")) as server, client(server, tmp_path) as asking:
        create(asking)
    with offline(tmp_path) as asking:
        for prompt in ("A hill", "A lake"):
            with pytest.raises(writer.NotRecordedError, match="the nearest recording is"):
                create(asking, writer.CompletionRequest(prompt=prompt))
            only = list(tmp_path.glob("*/*"))
            for path in only:
                path.unlink()
