import json

import pytest

from tests.harness.servers import Server, http
from writer_cli.cli import main
from writer_cli.output.terminal import Terminal


@pytest.mark.parametrize(
    "arguments",
    [
        ["complete", "--max-retries", "0"],
        ["--max-retries", "0", "complete"],
        ["--max-retries", "5", "complete", "--max-retries", "0"],
    ],
    ids=["after", "before", "both"],
)
def test_zero_retries_count_as_given(arguments: list[str]) -> None:
    """`--max-retries 0` is used wherever it is, and the flag after the command wins."""
    terminal = Terminal.fake()
    asked = ["--sandbox", "--json", "-m", "fault-429", "The sea"]
    assert main([*arguments, *asked], terminal) == 6
    assert json.loads(terminal.errors)["error"]["attempts"] == 1


@pytest.mark.parametrize("flag", ["--timeout", "--deadline"])
def test_a_time_of_zero_is_refused(flag: str) -> None:
    """A time of zero is refused."""
    terminal = Terminal.fake()
    assert main(["complete", "--sandbox", flag, "0", "The sea"], terminal) in {2, 3}
    assert flag.removeprefix("--") in terminal.errors
    assert terminal.output == b""


@pytest.mark.parametrize(
    "answer",
    [
        http(200, b"not JSON"),
        http(200, b"<p>Log in</p>", "text/html"),
        http(200, {"choices": [5]}),
        http(200, {"choices": []}),
    ],
    ids=["no JSON", "a page", "another shape", "no choices"],
)
def test_an_error_counts_the_request_whose_answer_is_bad(answer: bytes) -> None:
    """An unusable answer counts as an attempt, since it may have been paid for."""
    with Server(answer) as server:
        env = {
            "WRITER_API_KEY": "a-made-up-key",
            "WRITER_ORGANIZATION_ID": "1",
            "WRITER_BASE_URL": server.url,
        }
        terminal = Terminal.fake(env=env)
        assert main(["complete", "--json", "-m", "m", "The sea"], terminal) == 9
    assert json.loads(terminal.errors)["error"]["attempts"] == 1
    assert len(server.requests) == 1
