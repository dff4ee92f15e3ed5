"""The sandbox answers with the same bytes in process and on a port."""

import json
from typing import Any

import httpx

from writer_cli.sandbox.faults import FAULTS, FLAKY
from writer_cli.sandbox.in_process import SandboxTransport
from writer_cli.sandbox.respond import Sandbox
from writer_cli.sandbox.server import SandboxServer

MODEL = "/llm/organization/1/model/palmyra-x5"
KEY = {"Authorization": "Bearer made-up"}
TRANSPORT_HEADERS = {"server", "date", "content-length", "transfer-encoding", "connection"}
LATE = "fault-slow"
"""Left out: it sends nothing before these clients' timeout."""

Row = tuple[str, str, dict[str, str], bytes]


def post(path: str, fields: dict[str, Any]) -> Row:
    """Ask for a completion."""
    return "POST", path, KEY, json.dumps(fields).encode()


ENTERPRISE_FIELDS = {
    "prompt": "The café —",
    "maxTokens": 12,
    "minTokens": 2,
    "temperature": 0.8,
    "topP": 0.9,
    "stop": ["zebra"],
    "presencePenalty": 0.5,
    "frequencyPenalty": 0.25,
    "bestOf": 3,
    "n": 2,
    "logprobs": 2,
}
SHORT = {"prompt": "The", "maxTokens": 4}
SHORT_STUDIO = {"prompt": "The", "max_tokens": 4}
STUDIO_FIELDS = {
    "model": "palmyra-x5",
    "prompt": "The café —",
    "max_tokens": 12,
    "temperature": 0.8,
    "top_p": 0.9,
    "stop": "zebra",
    "best_of": 2,
    "random_seed": 7,
}

TABLE: dict[str, Row] = {
    "enterprise": post(f"{MODEL}/completions", ENTERPRISE_FIELDS),
    "enterprise stream": post(f"{MODEL}/completions/stream", SHORT),
    "customization": post(f"{MODEL}/customization/tales/completions", ENTERPRISE_FIELDS),
    "enterprise models": ("GET", "/llm/organization/1/model", KEY, b""),
    "customizations": ("GET", f"{MODEL}/customization", KEY, b""),
    "studio": post("/v1/completions", STUDIO_FIELDS),
    "studio stream": post("/v1/completions", STUDIO_FIELDS | {"stream": True}),
    "studio models": ("GET", "/v1/models", KEY, b""),
    "no body": ("POST", "/v1/completions", KEY, b""),
    "no JSON": ("POST", "/v1/completions", KEY, b"\xff{"),
    "a field of another type": post(f"{MODEL}/completions", {"prompt": 5}),
    "a field out of range": post("/v1/completions", STUDIO_FIELDS | {"top_p": 3}),
    "half a surrogate pair": post("/v1/completions", {"model": "\ud800", "prompt": "\udfff"}),
    "a stream of two": post(f"{MODEL}/completions/stream", {"prompt": "The", "n": 2}),
    "no key": ("POST", "/v1/completions", {}, b"{}"),
    "no such path": ("GET", "/v2/models", KEY, b""),
    "two slashes": ("GET", "//v1/models", KEY, b""),
    "dots, encoded": ("GET", "/v1/%2e%2e/v1/models", KEY, b""),
    "a query": ("GET", "/v1/models?limit=1", KEY, b""),
    "an id with a slash": post(MODEL.replace("x5", "x%2F5") + "/completions", SHORT),
    "an id that is no UTF-8": post(MODEL.replace("x5", "%FF") + "/completions", SHORT),
    "no organization id": ("GET", "/llm/organization/acme/model", KEY, b""),
    "another method": ("PUT", "/v1/models", KEY, b"{}"),
}
for fault in (*FAULTS, FLAKY):
    at = f"/llm/organization/1/model/{fault}"
    TABLE |= {
        f"{fault}, enterprise": post(f"{at}/completions", SHORT),
        f"{fault}, enterprise stream": post(f"{at}/completions/stream", SHORT),
        f"{fault}, of a customized model": post(f"{at}/customization/tales/completions", SHORT),
        f"{fault}, customization": post(f"{MODEL}/customization/{fault}/completions", SHORT),
        f"{fault}, studio": post("/v1/completions", {"model": fault} | SHORT_STUDIO),
        f"{fault}, studio stream": post(
            "/v1/completions", {"model": fault, "stream": True} | SHORT_STUDIO
        ),
    }


def answer(client: httpx.Client, row: Row) -> tuple[int, dict[str, str], bytes, str]:
    """Return the status, the headers, the bytes of the body, and how the answer ended."""
    method, path, headers, body = row
    url = client.base_url.copy_with(raw_path=path.encode())
    timeout = httpx.Timeout(0.1 if LATE in f"{path}{body!r}" else 30)
    request = httpx.Request(
        method, url, headers=headers, content=body, extensions={"timeout": timeout.as_dict()}
    )
    came, end = b"", "whole"
    try:
        response = client.send(request, stream=True)
    except httpx.ReadTimeout:
        return 0, {}, b"", "late"
    try:
        for chunk in response.iter_raw():
            came += chunk
    except httpx.TransportError:
        end = "cut"
    finally:
        response.close()
    headers = {n: v for n, v in response.headers.items() if n not in TRANSPORT_HEADERS}
    return response.status_code, headers, came, end


def answers(client: httpx.Client) -> dict[str, list[Any]]:
    """Return the answers to the whole table; what fails twice is asked three times."""
    with client:
        return {
            name: [answer(client, row) for _ in range(3 if name.startswith(FLAKY) else 1)]
            for name, row in TABLE.items()
        }


def test_in_process_and_on_a_port_give_equal_bytes() -> None:
    """Status, headers, body and ending of every request of the table are the same.

    The table has every status and every ending.
    """
    server = SandboxServer(Sandbox())
    try:
        on_a_port = answers(httpx.Client(base_url=server.url))
    finally:
        server.close()
    in_process = answers(httpx.Client(transport=SandboxTransport(), base_url=server.url))
    assert on_a_port == in_process
    given = [answer for turns in in_process.values() for answer in turns]
    assert {end for *_, end in given} == {"whole", "cut", "late"}
    assert {status for status, *_ in given} == {0, 200, 400, 401, 403, 404, 405, 429, 500, 502, 503}
