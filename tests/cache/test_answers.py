import json
import threading
from contextlib import suppress
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
    streamed,
    text_of,
)
from tests.harness.servers import CLOSE, KEY, Held, Script, Server, chunked, completion, http

EVENTS = (b'data: {"value": "one "}\n\n', b'data: {"value": "two"}\n\n')
STREAM = chunked(*EVENTS, content_type="text/event-stream")
ENGINE = {"choices": [{"index": 0, "text": "one", "finish_reason": "stop"}]}


def test_an_answer_is_asked_for_once(tmp_path: Path) -> None:
    """A repeated request sends nothing and returns the recorded answer."""
    with Server(completion("né\n")) as server, client(server, tmp_path) as asking:
        first, second = create(asking), create(asking)
        assert len(server.requests) == 1
    assert text_of(first) == text_of(second) == "né\n"
    assert (first.cached, first.recorded_at, first.attempts) == (False, None, 1)
    assert (second.cached, second.attempts, second.action_id) == (True, 0, "action-1")
    assert second.recorded_at == json.loads(only_file(tmp_path).read_text())["recorded_at"]
    assert second.raw_response.json() == first.raw_response.json()
    assert second.status_code == 200
    assert KEY not in only_file(tmp_path).read_text()


def test_offline_needs_only_the_recording(tmp_path: Path) -> None:
    """A recording is used without a key, an organization, and the address of an engine."""
    with Server(completion("one")) as server, client(server, tmp_path) as asking:
        create(asking)
    with offline(tmp_path) as asking:
        assert text_of(create(asking)) == "one"
    with Server(http(200, ENGINE)) as server, client(server, tmp_path, api="openai") as asking:
        create(asking)
    with offline(tmp_path, api="openai") as asking:
        assert create(asking).completion_response == writer.CompletionResponse(**ENGINE)
        with pytest.raises(writer.NotRecordedError, match=r"^lists of models"):
            asking.models.list()
        with pytest.raises(writer.NotRecordedError, match=r"^lists of models"):
            asking.customizations.list(model_id="palmyra-x5")


def test_a_recorded_answer_needs_neither_key_nor_organization(tmp_path: Path) -> None:
    """The key and the organization are needed only for a request that is sent."""
    with Server(completion("one")) as server, client(server, tmp_path) as asking:
        create(asking)
    with writer.Writer(cache=str(tmp_path)) as asking:
        assert text_of(create(asking)) == "one"
        assert streamed(asking) == ["one"]
        with pytest.raises(writer.ConfigurationError, match=r"^no API key"):
            create(asking, writer.CompletionRequest(prompt="another"))


@pytest.mark.parametrize(
    ("api", "answer", "pieces"),
    [
        ("enterprise", STREAM, ["one ", "two"]),
        (
            "studio",
            chunked(*EVENTS, b"data: [DONE]\n", content_type="text/event-stream"),
            ["one ", "two"],
        ),
        (
            "openai",
            chunked(
                b'data: {"choices": [{"text": "\\ud83d"}]}\n\n',
                b'data: {"choices": [{"text": "\\ude00"}], "usage": {"total_tokens": 3}}\n\n',
                b": a comment\n\nevent: ping\ndata: 1\n\ndata: [DONE]\n\ndata: more\n\n",
                content_type="text/event-stream",
            ),
            ["", "😀"],
        ),
    ],
)
def test_a_stream_is_replayed_as_a_stream_or_whole(
    tmp_path: Path, api: Any, answer: Script, pieces: list[str]
) -> None:
    """A recorded stream is replayed with the same pieces, or as one completion."""
    with Server(answer) as server, client(server, tmp_path, api=api) as asking:
        assert streamed(asking) == pieces
    with offline(tmp_path, api=api) as asking:
        assert streamed(asking) == pieces
        whole = create(asking)
    assert text_of(whole) == "".join(pieces)
    assert whole.cached
    assert (whole.usage is not None) == (api == "openai")


@pytest.mark.parametrize("answer_is_streamed", [True, False])
def test_a_recording_without_streaming_is_replayed_as_one_chunk(
    tmp_path: Path, answer_is_streamed: bool
) -> None:
    """A recorded completion without a stream is replayed as a stream of one chunk."""
    with Server(completion("one two")) as server, client(server, tmp_path) as asking:
        assert streamed(asking) == ["one two"] if answer_is_streamed else create(asking)
        with asking.completions.stream(completion_request=REQUEST, model_id="palmyra-x5") as stream:
            assert [chunk.text for chunk in stream] == ["one two"]
        assert stream.response().cached
        assert stream.attempts == 0
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        chunked(*EVENTS, content_type="text/event-stream", whole=False),
        chunked(*EVENTS, b'data: {"value', content_type="text/event-stream"),
        chunked(*EVENTS, b"event: error\ndata: {}\n\n", content_type="text/event-stream"),
        http(503),
        http(400, {"tpe": "BadRequest", "errors": []}),
        http(200, b"{"),
    ],
)
def test_a_stream_that_fails_is_not_kept(tmp_path: Path, answer: Script) -> None:
    """A stream that fails is not recorded, even if the caller reads on after the error."""
    with Server(answer) as server, client(server, tmp_path) as asking:
        with pytest.raises(writer.WriterError):
            streamed(asking)
        with suppress(writer.SDKError):
            stream = asking.completions.stream(completion_request=REQUEST, model_id="palmyra-x5")
            with pytest.raises(writer.WriterError):
                list(stream)
            assert list(stream) == []
    assert list(tmp_path.iterdir()) == []


def test_a_stream_that_is_closed_early_is_not_kept(tmp_path: Path) -> None:
    """A stream that the caller closes before its end is not recorded."""
    with Server(STREAM) as server, client(server, tmp_path) as asking:
        stream = asking.completions.stream(completion_request=REQUEST, model_id="palmyra-x5")
        assert next(stream).text == "one "
        stream.close()
        assert list(stream) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "answer",
    [
        http(200, {"choices": [{"text": "a", "finish_reason": "content_filter"}]}),
        http(200, {"choices": []}),
        http(500),
        http(429),
        http(200, b'{"choices": [{"te'),
        [http(200, b"{", length=100), CLOSE],
        http(200, {"choices": [{"text": f"the key is {KEY}"}]}),
    ],
)
def test_only_whole_successes_are_kept(tmp_path: Path, answer: Script) -> None:
    """Errors, cut answers and answers that contain the key are not recorded."""
    with Server(answer) as server, client(server, tmp_path) as asking:
        for _ in range(2):
            with suppress(writer.WriterError):
                assert not create(asking).cached
        assert len(server.requests) == 2
    assert list(tmp_path.iterdir()) == []


def test_a_stream_without_events_is_not_kept(tmp_path: Path) -> None:
    """A stream without events, or one that the content filter ended, is not recorded."""
    empty = chunked(b": nothing\n\n", content_type="text/event-stream")
    filtered = chunked(
        b'data: {"choices": [{"text": "a", "finish_reason": "content_filter"}]}\n\n',
        b"data: [DONE]\n\n",
        content_type="text/event-stream",
    )
    with (
        Server(empty) as server,
        client(server, tmp_path) as asking,
        pytest.raises(writer.CutError),
    ):
        streamed(asking)
    with Server(filtered) as server, client(server, tmp_path, api="openai") as asking:
        assert streamed(asking) == ["a"]
    assert list(tmp_path.iterdir()) == []


def test_refresh_asks_again_once_and_replaces(tmp_path: Path) -> None:
    """`refresh` sends each request once per run and replaces its recording."""
    with Server(completion("old"), completion("new")) as server:
        with client(server, tmp_path) as asking:
            create(asking)
        with client(server, writer.Cache(tmp_path, refresh=True)) as asking:
            assert [text_of(create(asking)) for _ in range(2)] == ["new", "new"]
        with client(server, tmp_path) as asking:
            assert text_of(create(asking)) == "new"
        assert len(server.requests) == 2


def test_the_same_answer_leaves_the_file_as_it_is(tmp_path: Path) -> None:
    """If only the time and the Action-Id differ, the file stays the same, as git likes it."""
    again = http(200, {"choices": [{"text": "one"}]}, headers=[("Action-Id", "action-2")])
    with Server(completion("one"), again) as server:
        with client(server, tmp_path) as asking:
            create(asking)
        path = only_file(tmp_path)
        edit(path, lambda told: told.update(recorded_at="2020-01-01T00:00:00Z"))
        before = path.read_text()
        with client(server, writer.Cache(tmp_path, refresh=True)) as asking:
            assert create(asking).action_id == "action-2"
        assert len(server.requests) == 2
    assert path.read_text() == before


def test_another_salt_is_another_sample(tmp_path: Path) -> None:
    """Each salt has its own recording."""
    with Server(completion("one"), completion("two")) as server:
        texts = []
        for salt in (None, "2", None, "2"):
            with client(server, writer.Cache(tmp_path, salt=salt)) as asking:
                texts.append(text_of(create(asking)))
        assert texts == ["one", "two", "one", "two"]


def test_the_sandbox_and_the_api_never_mix(tmp_path: Path) -> None:
    """A recording of the sandbox is not replayed for the API, or the other way round."""
    with writer.Writer(sandbox=True, cache=tmp_path) as asking:
        of_sandbox = text_of(create(asking))
        assert create(asking).cached
        assert asking.models.list()
    with Server(completion("real")) as server, client(server, tmp_path) as asking:
        assert text_of(create(asking)) == "real"
    with writer.Writer(sandbox=True, cache=writer.Cache(tmp_path, offline=True)) as asking:
        assert text_of(create(asking)) == of_sandbox != "real"


def test_concurrent_duplicates_wait_for_the_first(tmp_path: Path) -> None:
    """Equal requests at the same time send one request and share its answer."""
    held = Held(completion("one"))
    results: list[tuple[str, int]] = []
    with Server(held, http(500)) as server, client(server, tmp_path) as asking:

        def ask() -> None:
            response = create(asking)
            results.append((text_of(response), response.attempts))

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        assert held.arrived.wait(10)
        held.release.set()
        for thread in threads:
            thread.join()
        assert len(server.requests) == 1
    assert sorted(results) == [("one", 0)] * 3 + [("one", 1)]


def test_if_the_first_fails_the_next_one_asks(tmp_path: Path) -> None:
    """If the first of equal requests fails, the next one is sent."""
    held = Held(http(500))
    outcomes: list[str] = []
    with Server(held, completion("one")) as server, client(server, tmp_path) as asking:

        def ask() -> None:
            try:
                outcomes.append(text_of(create(asking)))
            except writer.SDKError as error:
                outcomes.append(error.kind)

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        assert held.arrived.wait(10)
        held.release.set()
        for thread in threads:
            thread.join()
        assert len(server.requests) == 2
    assert sorted(outcomes) == ["one", "one", "server"]
