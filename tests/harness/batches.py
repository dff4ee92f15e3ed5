"""Tools for tests of batches: a fast server that fails on request, and real processes."""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from writer_cli import Writer
from writer_cli.sandbox.faults import FAULTS
from writer_cli.sandbox.messages import Request, Response, json_response
from writer_cli.sandbox.respond import Sandbox
from writer_cli.sandbox.server import SandboxServer

KEY = "a-made-up-one"

SOON = 30.0
"""Seconds after which a test gives up waiting."""

Fault = Callable[[str, int], str | Response | None]
"""Returns the fault of a prompt that is sent for the n-th time, from 1; None for an answer."""


class Echo(Sandbox):
    """A sandbox that answers with the prompt and counts its requests."""

    def __init__(self, fault: Fault = lambda *_: None) -> None:
        super().__init__()
        self.fault = fault
        self.counts: Counter[str] = Counter()
        self.times: list[float] = []
        self.arrived = threading.Condition()
        self.gate = threading.Event()
        """Answers wait until it is set."""
        self.gate.set()

    def respond(self, request: Request) -> Response:
        """Answer with the prompt, unless that prompt is to fail."""
        prompt = json.loads(request.body)["prompt"]
        with self.arrived:
            self.counts[prompt] += 1
            self.times.append(time.monotonic())
            count = self.counts[prompt]
            self.arrived.notify_all()
        self.gate.wait(SOON)
        fault = self.fault(prompt, count)
        if isinstance(fault, Response):
            return fault
        response = json_response({"choices": [{"text": f"echo of {prompt}"}]})
        return response if fault is None else with_short_wait(FAULTS[fault](response))

    def wait_for_requests(self, number: int) -> None:
        """Wait until this many requests have come."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: self.counts.total() >= number, SOON)

    def forget(self) -> None:
        """Set the counts to zero."""
        self.counts.clear()


def with_short_wait(response: Response) -> Response:
    """Shorten the wait that a failure asks for."""
    if response.status < 400:
        return response
    return replace(response, headers=response.headers | {"retry-after-ms": "5"})


@contextmanager
def serving(echo: Sandbox, latency: float = 0.0) -> Iterator[SandboxServer]:
    """Serve the sandbox on a port."""
    server = SandboxServer(echo, latency=latency)
    try:
        yield server
    finally:
        if isinstance(echo, Echo):
            echo.gate.set()
        server.close()


def writer_for(server: SandboxServer, **options: Any) -> Callable[[], Writer]:
    """Return a function that makes clients of a server."""
    return lambda: Writer(KEY, 1, base_url=server.url, **options)


def env_for(server: SandboxServer) -> dict[str, str]:
    """Return the environment variables with which `writer` uses a server."""
    return {
        "WRITER_BASE_URL": server.url,
        "WRITER_API_KEY": KEY,
        "WRITER_ORGANIZATION_ID": "1",
        "WRITER_MODEL_ID": "m",
    }


@contextmanager
def writer_process(
    arguments: list[str | Path], env: Mapping[str, str], *, is_measured: bool = True, **options: Any
) -> Iterator["subprocess.Popen[str]"]:
    """Start `writer`; it is killed if it still runs at the end of the block.

    Coverage of a process that is killed, or may not write, is not measured: its data is incomplete.
    """
    inherited = {k: v for k, v in os.environ.items() if is_measured or "COVERAGE" not in k}
    command = [sys.executable, "-m", "writer_cli", *map(str, arguments)]
    with subprocess.Popen(
        command, env={**inherited, **env}, stderr=subprocess.PIPE, text=True, **options
    ) as process:
        try:
            yield process
        finally:
            with contextlib.suppress(OSError):
                process.kill()


def run_writer(
    arguments: list[str | Path], env: Mapping[str, str], **options: Any
) -> tuple[int, str]:
    """Run `writer` to its end, and return its exit code and standard error."""
    with writer_process(arguments, env, **options) as process:
        errors = process.communicate(timeout=SOON)[1]
    return process.returncode, errors


def write_prompts(path: Path, prompts: list[str]) -> None:
    """Write an input of JSON lines."""
    path.write_text("".join(json.dumps({"prompt": prompt}) + "\n" for prompt in prompts))


def results_of(path: Path) -> list[dict[str, Any]]:
    """Read the complete lines of an output."""
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith(b"\n")]


def comparable(path: Path) -> list[dict[str, Any]]:
    """Read an output without the fields that differ from run to run."""
    results = results_of(path)
    for result in results:
        del result["attempts"], result["elapsed_s"]
        if "error" in result:
            del result["error"]["attempts"]
    return results
