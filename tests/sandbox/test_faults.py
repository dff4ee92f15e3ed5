"""Failures on demand: each fault id ends with the exit code that the table lists."""

import json
import re
from dataclasses import dataclass

import pytest

import writer_cli as writer
from tests.harness.program import ERROR_KEYS
from writer_cli.cli import main
from writer_cli.output.terminal import FakeTerminal, Terminal
from writer_cli.sandbox.faults import FAULTS, FLAKY
from writer_cli.sandbox.respond import Sandbox
from writer_cli.sandbox.server import SandboxServer


@dataclass(frozen=True)
class Ending:
    """The exit code and the messages with which a fault ends a command."""

    exit_code: int
    kind: str
    status: int | None = None
    tpe: str | None = None
    key: str | None = None
    retryable: bool = False


TABLE = {
    "fault-400": Ending(5, "refused", 400, "BadRequest", "fail.badRequest.invalidParameters"),
    "fault-401": Ending(4, "authentication", 401, "Unauthorized", "fail.unauthorized.badToken"),
    "fault-403": Ending(
        4, "permission", 403, "Forbidden", "fail.forbidden.insufficientAccessRights"
    ),
    "fault-404": Ending(5, "not_found", 404, "NotFound", "fail.notFound.resource"),
    "fault-429": Ending(
        6,
        "rate_limit",
        429,
        "TooManyRequests",
        "fail.tooManyRequests.quotaExceeded",
        retryable=True,
    ),
    "fault-quota": Ending(6, "quota", 429, "CompletionModelQuotaError", "fail.model.quotaExceeded"),
    "fault-500": Ending(
        7,
        "server",
        500,
        "InternalServerError",
        "fail.internalServerError.generic",
        retryable=True,
    ),
    "fault-502-html": Ending(7, "server", 502, retryable=True),
    "fault-slow": Ending(8, "timeout", retryable=True),
    "fault-cut": Ending(9, "cut"),
    "fault-garbage": Ending(9, "bad_answer"),
    "fault-moderation": Ending(5, "refused", 400, "BadRequest", "fail.content.moderation.failed"),
    "fault-flaky": Ending(
        7,
        "server",
        503,
        "ServiceUnavailable",
        "fail.serviceUnavailable.temporary",
        retryable=True,
    ),
}
"""The first attempt at each fault id."""

EVERY_FAULT = pytest.mark.parametrize("fault", TABLE)
EVERY_API = pytest.mark.parametrize("api", ["enterprise", "studio"])
EVERY_WAY = pytest.mark.parametrize("way", ["--stream", "--no-stream"])


def run(*arguments: str) -> tuple[int, FakeTerminal]:
    """Run the program without retries and with a short timeout."""
    terminal = Terminal.fake()
    timeout = "0.05" if "fault-slow" in arguments else "60"
    code = main(
        [*arguments, "--max-retries", "0", "--timeout", timeout, "--max-tokens", "20"], terminal
    )
    return code, terminal


def check_plain(ending: Ending, code: int, errors: str) -> None:
    """Check exit code, message, facts and hint, and that there is nothing else."""
    assert code == ending.exit_code
    lines = errors.splitlines()
    key = f" ({ending.key})" if ending.key else ""
    assert re.fullmatch(rf"error: \S.*{re.escape(key)}", lines[0])
    facts = [f"HTTP {ending.status}"] if ending.status else []
    facts += [f"tpe {ending.tpe}"] if ending.tpe else []
    if facts:
        facts.append("Action-Id sandbox-")
        assert re.fullmatch(rf" {{7}}{re.escape(' · '.join(facts))}[0-9a-f]{{16}}", lines[1])
    assert re.fullmatch(r"hint: \S.*", lines[-1])
    assert len(lines) == (3 if facts else 2)


def check_json(ending: Ending, code: int, errors: str) -> None:
    """Check the exit code and that standard error is one object with the documented keys."""
    assert code == ending.exit_code
    document = json.loads(errors)
    assert document.keys() == {"error"}
    error = document["error"]
    assert error.keys() - {"text"} == set(ERROR_KEYS)  # a stream adds it if a part of the text came
    assert {
        "kind": ending.kind,
        "exit_code": ending.exit_code,
        "status_code": ending.status,
        "tpe": ending.tpe,
        "retryable": ending.retryable,
        "attempts": 1,
    }.items() <= error.items()
    assert [message["key"] for message in error["errors"]] == ([ending.key] if ending.key else [])
    assert all(m.keys() == {"description", "key", "extras"} for m in error["errors"])
    assert error["message"]
    assert error["hint"]
    assert (error["action_id"] is not None) == (ending.status is not None)


def test_the_table_has_every_fault() -> None:
    """Every fault id of the sandbox is in the table of these tests."""
    assert TABLE.keys() == {*FAULTS, FLAKY}


@EVERY_WAY
@EVERY_API
@EVERY_FAULT
def test_a_fault_ends_with_its_exit_code_and_lines_for_a_person(
    fault: str, api: str, way: str
) -> None:
    """Standard error has the reason, the details and a hint; standard output has no error."""
    code, terminal = run(
        "complete", "-m", fault, "Once upon a time", "--sandbox", "--api", api, way
    )
    check_plain(TABLE[fault], code, terminal.errors)
    is_begun = fault == "fault-cut" and way == "--stream"
    assert bool(terminal.output) == is_begun


@EVERY_WAY
@EVERY_API
@EVERY_FAULT
def test_a_fault_ends_with_its_exit_code_and_one_json_object(
    fault: str, api: str, way: str
) -> None:
    """The JSON error has the same keys for each fault, and standard output is empty."""
    code, terminal = run(
        "complete", "-m", fault, "Once upon a time", "--sandbox", "--api", api, way, "--json"
    )
    check_json(TABLE[fault], code, terminal.errors)
    assert terminal.output == b""


@pytest.mark.parametrize("which", ["model", "customization"])
@EVERY_FAULT
def test_a_fault_id_works_for_a_customization(fault: str, which: str) -> None:
    """A fault id works as the id of a model or of a customization, as text and as JSON."""
    ids = {"model": "palmyra-x5", "customization": "tales"} | {which: fault}
    arguments = ["complete-custom", "-m", ids["model"], "--customization-id", ids["customization"]]
    code, terminal = run(*arguments, "hi", "--sandbox")
    check_plain(TABLE[fault], code, terminal.errors)
    code, terminal = run(*arguments, "hi", "--sandbox", "--json")
    check_json(TABLE[fault], code, terminal.errors)


def test_a_stream_that_is_cut_keeps_the_text_so_far() -> None:
    """The text that came before the cut is on standard output, or in the JSON error."""
    _, plain = run("complete", "-m", "fault-cut", "Once upon a time", "--sandbox", "--stream")
    _, as_json = run(
        "complete", "-m", "fault-cut", "Once upon a time", "--sandbox", "--stream", "--json"
    )
    assert json.loads(as_json.errors)["error"]["text"].encode() == plain.output != b""


@pytest.mark.parametrize("before", [True, False])
def test_zero_retries_send_one_request(before: bool) -> None:
    """`--max-retries 0` sends one request, before or after the command."""
    retries = ["--max-retries", "0"]
    command = ["complete", "-m", "fault-500", "hi", "--sandbox", "--json"]
    terminal = Terminal.fake()
    main([*retries, *command] if before else [*command, *retries], terminal)
    assert json.loads(terminal.errors)["error"]["attempts"] == 1


def test_an_answer_that_cannot_be_read_was_an_attempt() -> None:
    """An answer of an unexpected shape counts as an attempt."""
    with writer.Writer(sandbox=True) as client, pytest.raises(writer.BadAnswerError) as caught:
        client.completions.create(
            completion_request=writer.CompletionRequest(prompt="hi"), model_id="fault-garbage"
        )
    assert caught.value.attempts == 1


@EVERY_WAY
@EVERY_API
def test_flaky_fails_twice_then_answers(api: str, way: str) -> None:
    """`flaky` fails twice, then answers the third attempt, and begins again."""
    server = SandboxServer(Sandbox())
    try:
        codes = []
        for _ in range(6):
            terminal = Terminal.fake(
                env={
                    "WRITER_BASE_URL": server.url,
                    "WRITER_API_KEY": "made-up",
                    "WRITER_ORGANIZATION_ID": "1",
                }
            )
            flags = ["--api", api, way, "--max-retries", "0", "--max-tokens", "3"]
            codes.append(main(["complete", "-m", "fault-flaky", "hi", *flags], terminal))
    finally:
        server.close()
    assert codes == [7, 7, 0, 7, 7, 0]


@pytest.mark.parametrize("name", ["model", "customization"])
def test_an_id_that_is_not_utf8_is_a_usage_error(name: str) -> None:
    """A model id that is not UTF-8 is a usage error and not a crash."""
    ids = {"model": "palmyra-x5", "customization": "tales"} | {name: "\udcff"}
    flags = ["-m", ids["model"], "--customization-id", ids["customization"]]
    code, terminal = run("complete-custom", *flags, "hi", "--sandbox")
    assert code == 2
    assert terminal.errors.startswith(f"error: --{name}-id")
    assert terminal.errors.partition("\n")[0].endswith(" is not UTF-8")
