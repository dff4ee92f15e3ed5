"""The examples of the documents work as they are."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import redirect_stdout
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from tests.docs.service import BLOCKS, ENGINES, blocks_in, check_instead
from tests.harness import documents
from tests.harness.documents import SHELLS, Block
from writer_cli.config import schema, settings
from writer_cli.exits import ExitCode
from writer_cli.sandbox.messages import Request, Response
from writer_cli.sandbox.respond import Sandbox

PRODUCTS = "id,product\np-1,green tea\np-2,ink\np-3,a wooden chair\n"
"""The table that the examples of batch.md begin with."""


NOT_RUN = re.compile(rf"(make|pip|pipx|docker build|{'|'.join(ENGINES)}) ")
"""Commands that install something: they are checked and not run."""


WRONG_KEY = Response(
    401,
    {"content-type": "application/json", "action-id": "5a0c-7d31"},
    (
        b'{"tpe": "Unauthorized", "errors": [',
        b'{"description": "the key is not known", "key": "fail.unauthorized.badToken"}]}',
    ),
)


QUOTA = Response(
    429,
    {"content-type": "application/json"},
    (
        b'{"tpe": "CompletionModelQuotaError", "errors":',
        b' [{"description": "no tokens left", "key": "fail.model.quotaExceeded"}]}',
    ),
)


HISTORY = (
    "git init -q . && git -c user.name=a -c user.email=a@example.com "
    "commit -q --allow-empty -m 'Sort the list'\n"
)
"""Makes a repository with a commit."""


REFUSED = Response(400, {"content-type": "application/json"}, (b'{"tpe": "BadRequest"}',))


class Service:
    """A server that completes like the sandbox and refuses one key."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.scripted: Response | None = None
        self.sandbox = Sandbox()
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                service.answer(self)

            do_GET = do_POST  # noqa: N815 - as the library calls them

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.http.server_port}"

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        headers = {name.lower(): value for name, value in handler.headers.items()}
        body = handler.rfile.read(int(headers.get("content-length", "0")))
        request = Request(handler.command, handler.path, headers, body)
        self.requests.append(request)
        response = self.scripted or self.sandbox.respond(request)
        if headers.get("authorization") == "Bearer wrong-key":
            response = WRONG_KEY
        handler.send_response(response.status)
        for name, value in response.headers.items():
            handler.send_header(name, value)
        handler.send_header("content-length", str(len(response.body)))
        handler.end_headers()
        handler.wfile.write(response.body)


@pytest.fixture
def service() -> Iterator[Service]:
    """Start the server."""
    started = Service()
    thread = threading.Thread(target=started.http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield started
    started.http.shutdown()
    started.http.server_close()
    thread.join()


def uses_sandbox(block: Block) -> bool:
    """Whether a block uses the sandbox, in process or as a server."""
    signs = ("--sandbox", "WRITER_SANDBOX=1", "writer sandbox")
    return any(sign in block.text for sign in signs)


def environment(block: Block, service: Service) -> dict[str, str]:
    """Return the variables of a block: none for the sandbox, else those that lead to the server."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    given = {**os.environ, "PATH": path}
    if uses_sandbox(block):
        return given
    if "SLURM_ARRAY" in block.text:
        given |= {"SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_TASK_COUNT": "3"}
    if "base_url" not in block.text:
        given["WRITER_BASE_URL"] = service.address
    sets_its_own = re.search(r"^(\$ )?writer config set ", block.text, re.MULTILINE)
    if not sets_its_own:
        given |= {
            "WRITER_API_KEY": "a-made-up-key",
            "WRITER_ORGANIZATION_ID": "486589",
            "WRITER_MODEL_ID": "palmyra-x5",
        }
    return given


def bash(
    script: str, block: Block, service: Service, cwd: Path
) -> subprocess.CompletedProcess[str]:
    """Run a script; a command that reads a key from standard input gets one.

    The service replaces the engines, at the path of the sandbox.
    """
    for port in ENGINES.values():
        script = script.replace(f"http://127.0.0.1:{port}", f"{service.address}/openai")
    if block.document == "batch.md":
        (cwd / "products.csv").write_text(PRODUCTS)
    script = script.replace("https://enterprise-api.writer.com", service.address)
    script = re.sub(r"^docker run (-\S+ |[A-Z_]+ )*writer ", "writer ", script, flags=re.MULTILINE)
    for tool in ("jq", "git", "parallel"):
        if re.search(rf"\b{tool} ", script) and not shutil.which(tool):
            pytest.skip(f"{tool} is not installed")
    return subprocess.run(
        ["bash", "-c", script],
        cwd=cwd,
        env=environment(block, service),
        input="a-made-up-key\n" if "config set api_key" in script else "",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("block", blocks_in("sh", "bash", shown=False), ids=str)
def test_shell_blocks_run_as_they_stand(block: Block, service: Service, tmp_path: Path) -> None:
    """Each script exits with 0, has no error, and sends a request unless in the sandbox."""
    for command in documents.commands(block):
        if NOT_RUN.match(command):
            check_instead(command)
    script = "".join(
        line for line in block.text.splitlines(keepends=True) if not NOT_RUN.match(line)
    )
    if not script:
        return
    done = bash(f"set -eo pipefail\n{script}", block, service, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "warning:" not in done.stderr
    assert "error:" not in done.stderr
    sends = re.search("writer (complete|models|customizations|batch (?!merge))", script) is not None
    assert bool(service.requests) is (sends and not uses_sandbox(block))


@pytest.mark.parametrize("block", blocks_in("console"), ids=str)
def test_consoles_show_what_the_commands_print(
    block: Block, service: Service, tmp_path: Path
) -> None:
    """Each command prints exactly the output that is shown below it."""
    turns = documents.console(block)
    mark = "--- the end of a command ---"
    script = "".join(f"{command}echo '{mark}'\n" for command, _ in turns)
    done = bash(f"exec 2>&1\n{script}", block, service, tmp_path)
    assert done.stdout.split(f"{mark}\n")[:-1] == [output for _, output in turns]
    if uses_sandbox(block):
        assert service.requests == []


@pytest.mark.parametrize("block", blocks_in("sh", "bash", shown=True), ids=str)
def test_json_is_shown_as_it_is_printed(block: Block, service: Service, tmp_path: Path) -> None:
    """A JSON block is the result or the error of the command above it."""
    done = bash(block.text, block, service, tmp_path)
    printed = json.loads(done.stdout or done.stderr)
    assert block.shown is not None
    assert comparable(printed) == comparable(json.loads(block.shown))


def comparable(value: Any) -> Any:
    """Replace the values that depend on the time and the machine."""
    if isinstance(value, dict):
        return {
            name: type(item).__name__
            if name in {"elapsed_s", "attempts", "p50_s", "p95_s", "max_s", "digest"}
            else comparable(item)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [comparable(item) for item in value]
    if isinstance(value, float):
        return round(value, 9)  # the last digits are those of the machine's C library
    if isinstance(value, str):
        return re.sub(r"\(Python [\w.]+\)", "(Python)", value)
    return value


@pytest.mark.parametrize("block", blocks_in("python"), ids=str)
def test_python_blocks_run_as_they_stand(block: Block) -> None:
    """Each Python block prints the output that is shown, or any output if none is shown."""
    printed = StringIO()
    with redirect_stdout(printed):
        exec(compile(block.text, str(block), "exec"), {})  # noqa: S102 - running it is the point
    if block.shown is None:
        assert printed.getvalue().strip()
    else:
        assert printed.getvalue() == block.shown


@pytest.mark.parametrize("block", blocks_in("diff"), ids=str)
def test_the_new_program_of_a_diff_runs(block: Block) -> None:
    """In a diff, the old program is valid Python, and the new one prints something."""
    lines = block.text.splitlines(keepends=True)
    before, after = (
        "".join(line[1:] or "\n" for line in lines if line[0] in kept) for kept in ("- \n", "+ \n")
    )
    compile(before, str(block), "exec")
    printed = StringIO()
    with redirect_stdout(printed):
        exec(compile(after, str(block), "exec"), {})  # noqa: S102 - running it is the point
    assert printed.getvalue().strip()


@pytest.mark.parametrize("block", blocks_in("toml"), ids=str)
def test_toml_blocks_are_configuration_files(block: Block, tmp_path: Path) -> None:
    """Each configuration file that is shown is valid, with each of its profiles."""
    path = tmp_path / "config.toml"
    path.write_text(block.text)
    for profile in (None, *settings.Settings(flags={}, env={}, path=path).profiles):
        found = settings.Settings(flags={}, env={}, path=path, profile=profile)
        for name in schema.SETTINGS:
            found.get(name)


def test_every_language_of_a_block_is_tested() -> None:
    """Each language of a block has a test here."""
    assert {block.language for block in BLOCKS} == SHELLS - {"bash"} | {
        "diff",
        "make",
        "python",
        "toml",
        "yaml",
    }


@pytest.mark.parametrize(
    ("response", "exit_code", "summary"),
    [
        pytest.param(QUOTA, ExitCode.OK, "old\n", id="may-pass"),
        pytest.param(REFUSED, ExitCode.REFUSED, "old\n", id="will-not-pass"),
    ],
)
def test_the_script_that_reads_exit_codes_keeps_the_old_summary(
    response: Response, exit_code: ExitCode, summary: str, service: Service, tmp_path: Path
) -> None:
    """The documented `case` ignores temporary failures and ends with other exit codes."""
    [block] = [block for block in blocks_in("sh") if "case $code" in block.text]
    (tmp_path / "summary.txt").write_text("old\n")
    service.scripted = response
    done = bash(block.text, block, service, tmp_path)
    assert done.returncode == exit_code
    assert ("the old summary stays" in done.stderr) is (exit_code == ExitCode.OK)
    assert (tmp_path / "summary.txt").read_text() == summary


def test_the_workflow_runs_and_uses_the_secret(service: Service, tmp_path: Path) -> None:
    """The job's commands write the file that it uploads, with the key of a secret."""
    [block] = [block for block in blocks_in("yaml") if "name: summary\n" in block.text]
    assert "WRITER_API_KEY: ${{ secrets.WRITER_API_KEY }}" in block.text
    assert "- uses: ./tools/writer\n" in block.text
    [commands] = re.findall(r"^ +run: (.+)", block.text, re.MULTILINE)
    # As action.yml runs them.
    step = f"COMMANDS={shlex.quote(commands)}\n{documents.action_steps()[-1]}"
    done = bash(f"set -e\n{HISTORY}{step}", block, service, tmp_path)
    assert done.returncode == 0, done.stderr
    [uploaded] = re.findall(r"path: (.+)", block.text)
    assert (tmp_path / uploaded).read_text()
    [request] = service.requests
    prompt = json.loads(request.body)["prompt"]
    assert prompt.startswith("Explain this change to a user:\n\nSort the list")


def test_the_matrix_does_every_record_once(service: Service, tmp_path: Path) -> None:
    """The jobs of the documented matrix together write the file that is uploaded."""
    [block] = [block for block in blocks_in("yaml") if "matrix:" in block.text]
    install, shard, again, merge = re.findall(r"- run: (.+)", block.text)
    assert install == again
    check_instead(install)
    [numbers] = re.findall(r"shard: \[([\d, ]+)\]", block.text)
    for number in numbers.split(", "):
        command = shard.replace("${{ strategy.job-index }}", number)
        command = command.replace("${{ strategy.job-total }}", str(len(numbers.split(", "))))
        done = bash(command, block, service, tmp_path)
        assert done.returncode == 0, done.stderr
    assert bash(merge, block, service, tmp_path).returncode == 0
    lines = (tmp_path / "taglines.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["p-1", "p-2", "p-3"]
    assert len(service.requests) == 3


def test_the_indexed_job_does_every_record_once(service: Service, tmp_path: Path) -> None:
    """The pods of the documented job send one request for each record."""
    [block] = [block for block in blocks_in("yaml") if "completionMode: Indexed" in block.text]
    [script] = re.findall(r"- \|\n((?: {14}.*\n)+)", block.text)
    [count] = re.findall(r"completions: (\d)", block.text)
    assert f'JOB_COMPLETIONS\n              value: "{count}"' in block.text
    for number in range(int(count)):
        given = f"export JOB_COMPLETION_INDEX={number} JOB_COMPLETIONS={count}\n"
        done = bash(given + script, block, service, tmp_path)
        assert done.returncode == 0, done.stderr
    assert len(service.requests) == 3


def test_the_rule_for_make_renews_old_targets(service: Service, tmp_path: Path) -> None:
    """The rule sends one request per target, and none if the target is newer."""
    [block] = blocks_in("make")
    (tmp_path / "Makefile").write_text(block.text)
    (tmp_path / "changes.txt").write_text("Sort the list")
    for _ in range(2):
        done = bash("make --silent changes.summary", block, service, tmp_path)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "changes.summary").read_text().strip()
    [request] = service.requests
    assert json.loads(request.body)["prompt"].endswith("Sort the list")


def test_the_job_of_gitlab_writes_its_artifact(service: Service, tmp_path: Path) -> None:
    """The job's commands succeed, and its artifact is written."""
    [block] = [block for block in blocks_in("yaml") if "GIT_SUBMODULE_STRATEGY" in block.text]
    install, script = re.findall(r"^    - (.+ .+)$", block.text, re.MULTILINE)
    check_instead(install)
    done = bash(f"set -e\n{HISTORY}{script}", block, service, tmp_path)
    assert done.returncode == 0, done.stderr
    [kept] = re.findall(r"paths:\n +- (.+)", block.text)
    assert (tmp_path / kept).read_text().strip()
    assert len(service.requests) == 1
