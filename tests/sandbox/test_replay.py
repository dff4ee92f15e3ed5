import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import writer_cli as writer
from tests.harness.servers import Script, Server, chunked, completion, http
from writer_cli.sandbox.messages import Request, Response
from writer_cli.sandbox.replay import Replay
from writer_cli.sandbox.respond import Sandbox
from writer_cli.sandbox.server import SandboxServer

REQUEST = writer.CompletionRequest(prompt="Once upon a time", temperature=1.0, max_tokens=5)
KEY = "k-made-up-0123456789"

VALUES = (b'data: {"value": "one "}\n\n', b'data: {"data": {"value": "two"}}\n\n')
ENGINE_EVENTS = (
    b'data: {"id": "c-1", "choices": [{"index": 0, "text": "one ", "finish_reason": null}]}\n\n',
    b'data: {"id": "c-1", "choices": [{"index": 0, "text": "two", "finish_reason": "stop"}]}\n\n',
    b'data: {"id": "c-1", "choices": [], "usage": {"total_tokens": 3}}\n\n',
    b"data: [DONE]\n\n",
)
ENGINE = {
    "id": "c-1",
    "choices": [{"index": 0, "text": "one two", "logprobs": None, "finish_reason": "stop"}],
    "usage": {"total_tokens": 3},
}


def ask(client: writer.Writer, *, stream: bool) -> tuple[str, writer.CreateCompletionResponse]:
    """Return the text of a completion, and its response."""
    asked: dict[str, Any] = {"completion_request": REQUEST, "model_id": "palmyra-x5"}
    if not stream:
        response = client.completions.create(**asked)
    else:
        with client.completions.stream(**asked) as pieces:
            for _ in pieces:
                pass
            response = pieces.response()
    assert response.completion_response is not None
    return response.completion_response.choices[0].text, response


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("api", "answer", "recorded_as_stream"),
    [
        ("enterprise", completion("one two"), False),
        ("enterprise", chunked(*VALUES, content_type="text/event-stream"), True),
        ("studio", completion("one two"), False),
        (
            "studio",
            chunked(*VALUES, b"data: [DONE]\n\n", content_type="text/event-stream"),
            True,
        ),
        ("openai", http(200, ENGINE), False),
        ("openai", chunked(*ENGINE_EVENTS, content_type="text/event-stream"), True),
    ],
)
def test_a_recording_is_served(  # noqa: PLR0917 - each has a name
    tmp_path: Path,
    serve: Callable[..., SandboxServer],
    api: Any,
    answer: Script,
    recorded_as_stream: bool,
    stream: bool,
) -> None:
    """A recording is served in each dialect, whole or as a stream, with its Action-Id."""
    with Server(answer) as server:
        recording = writer.Writer(KEY, 7, api=api, base_url=server.url, cache=tmp_path)
        expected, recorded = ask(recording, stream=recorded_as_stream)
        recording.close()
    address = serve(Sandbox(replay=Replay(tmp_path))).url
    url = f"{address}/openai" if api == "openai" else address
    with writer.Writer("any-key-will-do", 8, api=api, base_url=url) as client:
        text, response = ask(client, stream=stream)
    assert text == expected == "one two"
    expected_id = recorded.action_id or response.headers["action-id"][0]
    assert response.action_id == expected_id
    assert (recorded.action_id is None) == expected_id.startswith("sandbox-")
    assert response.content_type == ("text/event-stream" if stream else "application/json")
    if api == "openai":
        assert response.completion_response == recorded.completion_response
        assert response.usage == writer.Usage(total_tokens=3)


def post(replay: Replay, path: str, body: Any) -> Response:
    """Send a request to a sandbox that replays."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"authorization": f"Bearer {KEY}"}
    return Sandbox(replay=replay).respond(Request("POST", path, headers, content))


STUDIO = "/v1/completions"
ASKED = {"model": "palmyra-x5", "prompt": "Once", "max_tokens": 3}


def test_an_unrecorded_request_gets_404(tmp_path: Path) -> None:
    """A request that is not recorded gets 404 with an error body of its dialect."""
    reason = f"the answer to this request is not recorded in {tmp_path}; "
    reason += "--replay-else-generate makes up an answer"
    response = post(Replay(tmp_path), STUDIO, ASKED)
    assert (response.status, json.loads(response.body)) == (
        404,
        {
            "tpe": "NotFound",
            "errors": [{"description": reason, "key": "fail.notFound.resource", "extras": {}}],
            "extras": {},
        },
    )
    response = post(Replay(tmp_path), f"/openai{STUDIO}", ASKED)
    assert response.status == 404
    assert json.loads(response.body)["error"]["message"] == reason


def test_the_embedded_model_answers_unrecorded_requests_if_told_to(tmp_path: Path) -> None:
    """With `else_generate` an unrecorded request is answered as without recordings."""
    replay = Replay(tmp_path, else_generate=True)
    response = post(replay, STUDIO, ASKED)
    assert response == Sandbox().respond(
        Request("POST", STUDIO, {"authorization": KEY}, json.dumps(ASKED).encode())
    )


@pytest.mark.parametrize("body", [b"{", b"[]", b"[" * 100_000, {"prompt": "no model"}])
def test_an_invalid_request_is_refused_as_without_recordings(tmp_path: Path, body: Any) -> None:
    """The error of an invalid request is about its body, not about recordings."""
    response = post(Replay(tmp_path), STUDIO, body)
    assert response.status == 400
    assert b"not recorded" not in response.body


def test_a_recording_of_the_api_goes_before_one_of_the_sandbox(tmp_path: Path) -> None:
    """A recording of the embedded model is served only if there is none of the API."""
    request = writer.CompletionRequest(prompt="Once", max_tokens=3)
    asked: dict[str, Any] = {"completion_request": request, "model_id": "palmyra-x5"}
    with writer.Writer(sandbox=True, api="studio", cache=tmp_path) as client:
        rehearsed = client.completions.create(**asked).raw_response.json()
    replay = Replay(tmp_path)
    assert json.loads(post(replay, STUDIO, ASKED).body) == rehearsed
    with (
        Server(completion("real")) as server,
        writer.Writer(KEY, api="studio", base_url=server.url, cache=tmp_path) as client,
    ):
        client.completions.create(**asked)
    assert json.loads(post(replay, STUDIO, ASKED).body)["choices"] == [{"text": "real"}]


@pytest.mark.parametrize(
    "change",
    [
        lambda told: told.clear(),
        lambda told: told.update(action_id=None, answer={"events": ["no JSON"]}),
        lambda told: told.update(answer={"events": ['{"value": 5}']}),
    ],
)
def test_a_damaged_recording_gets_404(tmp_path: Path, change: Any) -> None:
    """A damaged recording gets 404, and the error names the file."""
    request = writer.CompletionRequest(prompt="Once", max_tokens=3)
    with writer.Writer(sandbox=True, api="studio", cache=tmp_path) as client:
        client.completions.create(completion_request=request, model_id="palmyra-x5")
    [path] = tmp_path.glob("*/*")
    told = json.loads(path.read_text())
    change(told)
    path.write_text(json.dumps(told))
    response = post(Replay(tmp_path), STUDIO, ASKED)
    assert response.status == 404
    assert f"the recording {path} cannot be used: " in response.body.decode()


def test_other_paths_are_answered_by_the_sandbox(tmp_path: Path) -> None:
    """Lists come from the sandbox, and so does an Action-Id that a recording lacks."""
    headers = {"authorization": KEY}
    listed = Sandbox(replay=Replay(tmp_path)).respond(Request("GET", "/v1/models", headers))
    assert listed.status == 200
    request = writer.CompletionRequest(prompt="Once", max_tokens=3)
    with writer.Writer(sandbox=True, api="studio", cache=tmp_path) as client:
        client.completions.create(completion_request=request, model_id="palmyra-x5")
    [path] = tmp_path.glob("*/*")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"action_id": None}))
    for stream in (False, True):
        response = post(Replay(tmp_path), STUDIO, ASKED | {"stream": stream})
        assert response.headers["action-id"].startswith("sandbox-")
