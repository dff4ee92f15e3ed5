import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import fields
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

import writer_cli as writer
from tests.harness import documents
from tests.harness.documents import ROOT, SHELLS, Block
from tests.test_house import HOUSE
from writer_cli import errors, models
from writer_cli.apis.dialect import ApiName
from writer_cli.cli import COMMANDS, MERGE, main
from writer_cli.client import Completions
from writer_cli.config import schema, settings
from writer_cli.exits import ExitCode
from writer_cli.http.error_answers import error_from_answer
from writer_cli.output.terminal import Terminal
from writer_cli.sandbox import faults
from writer_cli.sandbox.messages import Request, Response
from writer_cli.sandbox.respond import Sandbox

REFERENCES = ("README.md", "completions.md", "batch.md")
DOCUMENTS = (*REFERENCES, "CONTRIBUTING.md", "CHANGELOG.md")

BLOCKS = [block for document in REFERENCES for block in documents.blocks(document)]

PRODUCTS = "id,product\np-1,green tea\np-2,ink\np-3,a wooden chair\n"
"""The table that the examples of batch.md begin with."""

ENGINES = {"vllm": 8000, "llama-server": 8080, "ollama": 11434}
"""The servers of one's own that README names, and the ports that they have there."""

NOT_RUN = re.compile(rf"(make|pip|pipx|{'|'.join(ENGINES)}) ")
"""What sets up a machine is checked, and not run."""

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

REFUSED = Response(400, {"content-type": "application/json"}, (b'{"tpe": "BadRequest"}',))


class Service:
    """Writer on a port of this machine: it completes as the sandbox does, and refuses one key."""

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
    """Start the service on a port."""
    started = Service()
    thread = threading.Thread(target=started.http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield started
    started.http.shutdown()
    started.http.server_close()
    thread.join()


def uses_sandbox(block: Block) -> bool:
    """Whether a block says that nothing is sent, or has a server of its own."""
    signs = ("--sandbox", "WRITER_SANDBOX=1", "writer sandbox")
    return any(sign in block.text for sign in signs)


def environment(block: Block, service: Service) -> dict[str, str]:
    """Return what a block finds set: nothing in the sandbox, else what leads to the service."""
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
    """Run a script; whoever asks for a key on standard input gets one.

    The service is in the place of the engines, at the path of the sandbox's own.
    """
    for port in ENGINES.values():
        script = script.replace(f"http://127.0.0.1:{port}", f"{service.address}/openai")
    if block.document == "batch.md":
        (cwd / "products.csv").write_text(PRODUCTS)
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


def check_instead(command: str) -> None:
    """Check a command that is not run: the target or the package that it names is there."""
    program, *arguments = command.split()
    if program in ENGINES:
        return
    if program == "make":
        assert re.search(rf"^{arguments[0]}:", documents.read("Makefile"), re.MULTILINE), command
        return
    assert arguments[0] == "install", command
    assert arguments[1:] in (["."], ["./tools/writer"]), command
    assert 'name = "writer-cli"' in documents.read("pyproject.toml")


def of(*languages: str, shown: bool | None = None) -> list[Block]:
    """Return the blocks in these languages, perhaps only those that show an output, or do not."""
    return [
        block
        for block in BLOCKS
        if block.language in languages and shown in {None, block.shown is not None}
    ]


@pytest.mark.parametrize("block", of("sh", "bash", shown=False), ids=str)
def test_shell_blocks_run_as_they_stand(block: Block, service: Service, tmp_path: Path) -> None:
    """Each script ends well, complains of nothing, and sends something unless in the sandbox."""
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


@pytest.mark.parametrize("block", of("console"), ids=str)
def test_consoles_show_what_the_commands_print(
    block: Block, service: Service, tmp_path: Path
) -> None:
    """Each command prints, on both streams, exactly what is shown under it."""
    turns = documents.console(block)
    mark = "--- the end of a command ---"
    script = "".join(f"{command}echo '{mark}'\n" for command, _ in turns)
    done = bash(f"exec 2>&1\n{script}", block, service, tmp_path)
    assert done.stdout.split(f"{mark}\n")[:-1] == [output for _, output in turns]
    if uses_sandbox(block):
        assert service.requests == []


@pytest.mark.parametrize("block", of("sh", "bash", shown=True), ids=str)
def test_json_is_shown_as_it_is_printed(block: Block, service: Service, tmp_path: Path) -> None:
    """A JSON block is the result, or else the error, of the command above it."""
    done = bash(block.text, block, service, tmp_path)
    printed = json.loads(done.stdout or done.stderr)
    assert block.shown is not None
    assert without_circumstances(printed) == without_circumstances(json.loads(block.shown))


def without_circumstances(value: Any) -> Any:
    """Leave out of a JSON value what depends on the day and on the machine, but for its type."""
    if isinstance(value, dict):
        return {
            name: type(item).__name__
            if name in {"elapsed_s", "attempts", "p50_s", "p95_s", "max_s", "digest"}
            else without_circumstances(item)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [without_circumstances(item) for item in value]
    if isinstance(value, float):
        return round(value, 9)  # the last digits are those of the machine's C library
    if isinstance(value, str):
        return re.sub(r"\(Python [\w.]+\)", "(Python)", value)
    return value


@pytest.mark.parametrize("block", of("python"), ids=str)
def test_python_blocks_run_as_they_stand(block: Block) -> None:
    """Each Python block prints what is shown under it, or something where nothing is shown."""
    printed = StringIO()
    with redirect_stdout(printed):
        exec(compile(block.text, str(block), "exec"), {})  # noqa: S102 - running it is the point
    if block.shown is None:
        assert printed.getvalue().strip()
    else:
        assert printed.getvalue() == block.shown


@pytest.mark.parametrize("block", of("toml"), ids=str)
def test_toml_blocks_are_configuration_files(block: Block, tmp_path: Path) -> None:
    """A configuration file that is shown can be used, with each of its profiles."""
    path = tmp_path / "config.toml"
    path.write_text(block.text)
    for profile in (None, *settings.Settings(flags={}, env={}, path=path).profiles):
        found = settings.Settings(flags={}, env={}, path=path, profile=profile)
        for name in schema.SETTINGS:
            found.get(name)


def test_every_language_of_a_block_is_tested() -> None:
    """No block is overlooked because of its language."""
    assert {block.language for block in BLOCKS} == SHELLS - {"bash"} | {"python", "toml", "yaml"}


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
    """The documented `case` passes over what may pass, and ends with the code of what will not."""
    [block] = [block for block in of("sh") if "case $code" in block.text]
    (tmp_path / "summary.txt").write_text("old\n")
    service.scripted = response
    done = bash(block.text, block, service, tmp_path)
    assert done.returncode == exit_code
    assert ("the old summary stays" in done.stderr) is (exit_code == ExitCode.OK)
    assert (tmp_path / "summary.txt").read_text() == summary


def test_the_workflow_runs_and_uses_the_secret(service: Service, tmp_path: Path) -> None:
    """The job's commands write the file that it uploads, with the key from a secret."""
    [block] = [block for block in of("yaml") if block.document == "README.md"]
    assert "WRITER_API_KEY: ${{ secrets.WRITER_API_KEY }}" in block.text
    steps = re.findall(r"- run: (.+)", block.text)
    check_instead(steps[0])
    history = (
        "git init -q . && git -c user.name=a -c user.email=a@example.com "
        "commit -q --allow-empty -m 'Sort the list'\n"
    )
    done = bash(f"set -e\n{history}" + "\n".join(steps[1:]), block, service, tmp_path)
    assert done.returncode == 0, done.stderr
    [uploaded] = re.findall(r"path: (.+)", block.text)
    assert (tmp_path / uploaded).read_text()
    [request] = service.requests
    prompt = json.loads(request.body)["prompt"]
    assert prompt.startswith("Explain this change to a user:\n\nSort the list")


def test_the_matrix_does_every_record_once(service: Service, tmp_path: Path) -> None:
    """The jobs of the documented matrix, one after another, make the file that is uploaded."""
    [block] = [block for block in of("yaml") if "matrix:" in block.text]
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
    """The pods of the documented job, one after another, send one request for each record."""
    [block] = [block for block in of("yaml") if "completionMode: Indexed" in block.text]
    [script] = re.findall(r"- \|\n((?: {14}.*\n)+)", block.text)
    [count] = re.findall(r"completions: (\d)", block.text)
    assert f'JOB_COMPLETIONS\n              value: "{count}"' in block.text
    for number in range(int(count)):
        given = f"export JOB_COMPLETION_INDEX={number} JOB_COMPLETIONS={count}\n"
        done = bash(given + script, block, service, tmp_path)
        assert done.returncode == 0, done.stderr
    assert len(service.requests) == 3


def test_the_table_of_exit_codes_is_the_code() -> None:
    """README has every exit code with its reason, in order, and no other."""
    assert documents.table("README.md", "exit code", "meaning") == [
        [str(code.value), code.reason] for code in ExitCode
    ]


@cache
def help_of(*command: str) -> str:
    """Return the help that a pipe gets."""
    terminal, printed = Terminal.fake(), StringIO()
    with redirect_stdout(printed):  # the help does not go through the terminal's streams
        assert main([*command, "--help"], terminal) == ExitCode.OK
    return terminal.output.decode() + printed.getvalue()


def every_command() -> set[tuple[str, ...]]:
    """Return the commands, and the commands of those that are groups."""
    found: set[tuple[str, ...]] = set()
    for name in COMMANDS:
        listed = help_of(name).partition("\nCommands:\n")[2]
        below = re.findall(r"^  ([\w-]+)", listed, re.MULTILINE)
        found |= {(name, subcommand) for subcommand in below} or {(name,)}
    return found | {tuple(MERGE.split())}


def flags_of(*command: str) -> set[str]:
    """Return the flags in the help of a command."""
    options = help_of(*command).partition("\nOptions:\n")[2].partition("\nCommands:\n")[0]
    lines = re.findall(r"^  (-[\w-]+(?:(?:, | / )-[\w-]+)*)", options, re.MULTILINE)
    assert lines, f"the help of {command} lists no flags"
    return {flag for line in lines for flag in re.split(", | / ", line)}


def every_flag() -> set[str]:
    """Return the flags of all commands, and of the program itself."""
    return flags_of().union(*(flags_of(*command) for command in every_command()))


def test_every_command_is_documented_and_exists() -> None:
    """Each command is in README or completions.md, and each that they name exists."""
    prose = "\n".join(documents.prose(document) for document in REFERENCES)
    code = "\n".join([*(block.text for block in BLOCKS), *re.findall(r"`[^`\n]+`", prose)])
    named = set()
    for name, below in re.findall(r"(?<![\w/-])writer ([a-z]+(?:-[a-z]+)*)(?: ([a-z]+))?", code):
        is_whole = (name,) in every_command() and (name, below) not in every_command()
        named.add((name,) if is_whole else (name, below))
    assert named == every_command()


OTHER_PROGRAMS_FLAGS = {"--array", "--time"}
"""Of sbatch."""


def test_every_flag_is_documented_and_exists() -> None:
    """Each flag is in README or completions.md, and each that they name exists."""
    text = "\n".join(documents.read(document) for document in REFERENCES)
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text)) - OTHER_PROGRAMS_FLAGS
    known = every_flag()
    assert named == {flag for flag in known if flag.startswith("--")}
    short = {flag for flag in known if not flag.startswith("--")}
    assert {flag for flag in short if f"`{flag}`" in text} == short


def test_every_flag_of_a_completion_is_in_the_reference() -> None:
    """completions.md has each flag of the two commands that complete."""
    text = documents.prose("completions.md")
    for command in ("complete", "complete-custom"):
        assert {flag for flag in flags_of(command) if f"`{flag}`" not in text} == set()


VARIABLES = re.compile(r"\b(?:WRITER_[A-Z_]*[A-Z]|SSL_CERT_[A-Z]+|NO_COLOR|[A-Z]+_PROXY)\b")


def test_every_variable_is_documented_and_exists() -> None:
    """README names the environment variables that the code names, and no other."""
    code = "\n".join(path.read_text() for path in sorted((ROOT / "writer_cli").rglob("*.py")))
    assert set(VARIABLES.findall(documents.read("README.md"))) == set(VARIABLES.findall(code))


def test_the_table_of_settings_is_the_code() -> None:
    """README has every setting with its flag, its variables and its default."""
    rows = documents.table("README.md", "setting", "flag", "variable", "default", "meaning")
    flags = flags_of("complete")
    found = []
    for row in rows:
        cells = [re.findall(r"`([^`]+)`", cell) for cell in row[:4]]
        assert set(cells[1]) <= flags
        found.append((cells[0], cells[1][:1], tuple(cells[2]), cells[3]))
    assert found == [
        (
            [name],
            [schema.flag_of(name)] if schema.flag_of(name) in flags else [],
            kind.variables,
            [] if kind.default is None else [schema.Setting(name, kind.default, "").shown()],
        )
        for name, kind in schema.SETTINGS.items()
    ]


def named(cell: str) -> str:
    """Return the name in a cell of a table."""
    return cell.strip("`")


FIELDS = documents.table(
    "completions.md", "Field", "Type", "Command line", "Range", "Description", "Documented"
)

RANGES: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]] = {
    "1 or more": ([{"": 1}], [{"": 0}]),
    "0 or more": ([{"": 0}], [{"": -1}]),
    "0 or more, and `max_tokens` at the most": (
        [{"": 0}, {"": 2, "max_tokens": 2}],
        [{"": -1}, {"": 2, "max_tokens": 1}],
    ),
    "0 to 1": ([{"": 0}, {"": 1}], [{"": -0.1}, {"": 1.1}]),
    "no empty text": ([{"": ["a"]}], [{"": [""]}]),
    "any number": ([{"": -1000.0}], [{"": float("nan")}, {"": float("inf")}]),
    "1 or more, and `n` at the least": ([{"": 1}, {"": 2, "n": 2}], [{"": 0}, {"": 1, "n": 2}]),
    "not empty": ([{"": "a"}], [{"": ""}]),
    "-2147483648 to 2147483647": (
        [{"": -2147483648}, {"": 2147483647}],
        [{"": -2147483649}, {"": 2147483648}],
    ),
}
"""What a range in the table lets pass, and what it does not; the field itself has no name."""

ADVICE: dict[str, tuple[list[Any], list[Any]]] = {
    "": ([], []),
    "0 to 2": ([0, 2], [2.1]),
    "over 0": ([0.1], [0]),
    "up to 4": ([["a"] * 4], [["a"] * 5]),
    "-2 to 2": ([-2, 2], [-2.1, 2.1]),
}
"""What the last column has no warning for, and what it has one for."""


def test_the_table_of_fields_has_every_field_and_its_flag() -> None:
    """completions.md has each field of a request, in order, and a flag for each but the prompt."""
    assert [named(row[0]) for row in FIELDS] == list(models.CompletionRequest.model_fields)
    for row in FIELDS[1:]:
        assert f"`{schema.flag_of(named(row[0]))}`" in row[2]


@pytest.mark.parametrize("row", FIELDS, ids=lambda row: named(row[0]))
def test_ranges_are_as_documented(row: list[str]) -> None:
    """A field takes what its range says, refuses the rest, and warns beyond what is documented."""
    field = named(row[0])
    passing, refused = RANGES[row[3]]
    for values in passing:
        request(values | {field: values[""]})
    for values in refused:
        with pytest.raises(ValueError, match=field):
            request(values | {field: values[""]})
    usual, unusual = ADVICE[row[5]]
    assert [request({field: value}).advice() for value in usual] == [{}] * len(usual)
    for value in unusual:
        assert list(request({field: value}).advice()) == [field]


@pytest.mark.parametrize("row", FIELDS, ids=lambda row: named(row[0]))
@pytest.mark.parametrize("api", ["enterprise", "studio", "openai"])
def test_a_field_goes_to_the_apis_that_are_documented(api: ApiName, row: list[str]) -> None:
    """What an API does not have is an error, and not dropped."""
    field = named(row[0])
    given = request(RANGES[row[3]][0][0] | {field: RANGES[row[3]][0][0][""]})
    with writer.Writer("a-made-up-key", 1, api=api, base_url="http://localhost") as client:
        if row[6] == "all" or api in re.findall(r"\w+", row[6]):
            client.completions.prepare(completion_request=given, model_id="a")
        else:
            with pytest.raises(writer.UsageError, match=f"^{field} cannot be sent to the {api}"):
                client.completions.prepare(completion_request=given, model_id="a")


def request(values: dict[str, Any]) -> writer.CompletionRequest:
    """Build a request of these values."""
    values.pop("", None)
    return writer.CompletionRequest(**({"prompt": "a"} | values))


@pytest.mark.parametrize(
    ("heading", "fields"),
    [
        ("CompletionResponse", [*models.CompletionResponse.model_fields]),
        ("CompletionGenerationChoice", [*models.CompletionGenerationChoice.model_fields]),
        (
            "CompletionGenerationChoiceLogprobs",
            [*models.CompletionGenerationChoiceLogprobs.model_fields],
        ),
        (
            "CreateCompletionResponse",
            [
                *(
                    field.name.removeprefix("make_")
                    for field in fields(models.CreateModelCustomizationCompletionResponse)
                ),
                "action_id",
                "usage",
            ],
        ),
        ("Usage", [*models.Usage.model_fields]),
        ("models.list", [*models.Model.model_fields]),
        ("customizations.list", [*models.Customization.model_fields]),
        ("Error objects", [*inspect.signature(errors.FailMessage).parameters]),
    ],
)
def test_the_tables_of_answers_have_every_field(heading: str, fields: list[str]) -> None:
    """completions.md has each field of what comes back."""
    text = documents.section("completions.md", heading)
    rows = re.findall(r"^\| `(\w+)` \| \*", text, re.MULTILINE)
    assert rows[: len(fields)] == fields
    assert len(rows) == len(fields) or heading == "CompletionResponse"


@pytest.mark.parametrize(
    ("heading", "function", "columns"),
    [
        ("create", Completions.create, 5),
        (
            "create_model_customization_completion",
            Completions.create_model_customization_completion,
            5,
        ),
        ("stream", Completions.stream, 5),
        ("Writer", writer.Writer.__init__, 4),
    ],
)
def test_the_tables_of_parameters_are_the_signatures(
    heading: str, function: Any, columns: int
) -> None:
    """completions.md has the parameters of each call, in order, and which are required."""
    text = documents.section("completions.md", heading)
    rows = re.findall(r"^\| (`\w+` \|.*) \|$", text, re.MULTILINE)
    parameters = [p for p in inspect.signature(function).parameters.values() if p.name != "self"]
    assert [named(row.split(" | ")[0]) for row in rows] == [p.name for p in parameters]
    for row, parameter in zip(rows, parameters, strict=True):
        cells = row.split(" | ")
        assert len(cells) == columns
        if columns == 5:
            required = parameter.default is inspect.Parameter.empty
            assert cells[2] == ("yes" if required else "no")


def test_the_table_of_errors_is_the_tree() -> None:
    """completions.md has the class, the kind and the exit code of each error."""
    raised: list[writer.WriterError] = [
        writer.UsageError(""),
        writer.ConfigurationError(""),
        writer.NetworkError(""),
        writer.RequestTimeoutError(""),
        writer.BadAnswerError(""),
        writer.CutError(""),
        *(writer.SDKError("", status) for status in (401, 403, 404, 418, 429)),
        writer.SDKError("", 429, keys=[writer.SDKError.QUOTA_KEYS[0]]),
        writer.SDKError("", 503),
    ]
    rows = documents.table("completions.md", "Class", "Kind", "Exit code", "When")
    assert [row[:3] for row in rows] == [
        [f"`{type(error).__name__}`", f"`{error.kind}`", str(error.exit_code.value)]
        for error in raised
    ]


def test_the_errors_of_an_operation_come_with_the_documented_statuses() -> None:
    """JSON under the listed statuses is a `FailResponse`, with the exit codes that stand there."""
    [fail, other] = documents.table("completions.md", "Error Object", "Status Code")
    read = [error_from_answer(int(status), fail[2], "{}") for status in fail[1].split(",")]
    assert {type(error) for error in read} == {writer.FailResponse}
    assert {error.exit_code for error in read} == {4, 5, 7}
    assert fail[3] == "4, 5 or 7"
    plain = [error_from_answer(status, "text/plain", "") for status in range(400, 600)]
    assert {type(error) for error in plain} == {writer.SDKError}
    assert {error.exit_code for error in plain} == {4, 5, 6, 7}
    assert other[1:] == ["4xx-5xx", "*/*", "4 to 7"]


@pytest.mark.parametrize("heading", ["The result", "The error", "The request"])
def test_every_key_of_a_json_document_is_explained(heading: str) -> None:
    """The table under a JSON document has its keys, in order."""
    text = documents.section("completions.md", heading)
    [shown] = [match[2] for match in documents.FENCE.finditer(text) if match[1] == "json"]
    rows = re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)
    free = {"headers", "body", "choices[].logprobs.top_logprobs"}  # their keys are not ours
    assert rows == list(paths(json.loads(shown), free))


def test_the_keys_of_a_batch_are_explained() -> None:
    """batch.md has each key of a result and of the summary, in order."""
    result, summary = (
        json.loads(block.shown or "")
        for block in of("sh", shown=True)
        if block.document == "batch.md"
    )
    text = documents.section("batch.md", "Output")
    rows = re.findall(r"^\| `([a-z]\w*(?:\.\w+)*)` \|", text, re.MULTILINE)
    of_result, of_summary = rows[: rows.index("version")], rows[rows.index("version") :]
    instead = {"prompt", "error"}  # a result has them on request, and where it has no choices
    assert [key for key in of_result if key not in instead] == list(result)
    assert instead < set(of_result)
    assert of_summary == list(paths(summary, set()))


def paths(value: Any, free: set[str], above: str = "") -> Iterator[str]:
    """Yield the path of each key in a JSON value, but those below the paths in `free`."""
    if isinstance(value, list):
        if value and isinstance(value[0], dict):
            yield from paths(value[0], free, f"{above}[]")
    elif isinstance(value, dict):
        for name, item in value.items():
            path = f"{above}.{name}".removeprefix(".")
            yield path
            if path not in free:
                yield from paths(item, free, path)


@pytest.mark.parametrize(
    "row",
    documents.table("README.md", "command", "keys", "keys of each item"),
    ids=lambda row: named(row[0]),
)
def test_the_keys_of_settings_as_json_are_documented(row: list[str]) -> None:
    """README has the keys of what `writer config` prints as JSON, and what a verdict may be."""
    terminal = Terminal.fake()
    command = named(row[0]).replace("NAME", "timeout").replace("VALUE", "5").split()[1:]
    main([*command, "--json"], terminal)
    printed = json.loads(terminal.output)
    assert list(printed) == re.findall(r"`(\w+)`", row[1])
    items = [item for value in printed.values() if isinstance(value, list) for item in value]
    keys = re.findall(r"`(\w+)`", re.sub(r"\(.*\)", "", row[2]))
    assert [list(item) for item in items] == [keys] * len(items)
    assert {item["verdict"] for item in items if "verdict" in keys} <= {"ok", "note", "wrong"}


FAULTS = documents.table("README.md", "model id", "what happens", "exit code")


def test_the_table_of_faults_is_the_code() -> None:
    """README has every model id that fails on purpose, in order."""
    assert [named(row[0]) for row in FAULTS] == [*faults.FAULTS, faults.FLAKY]


@pytest.mark.parametrize("row", FAULTS[:-1], ids=lambda row: named(row[0]))
@pytest.mark.parametrize("command", ["complete", "complete-custom"])
def test_a_fault_ends_as_documented(command: str, row: list[str]) -> None:
    """The exit code and the status are those of the table, for a model and for a customization."""
    terminal = Terminal.fake()
    asked = ["-m", named(row[0])]
    if command == "complete-custom":
        asked = ["-m", "palmyra-x5", "--customization-id", named(row[0])]
    limits = ["--max-retries", "0", "--timeout", "0.2"]
    code = main([command, "--sandbox", "--json", *limits, *asked, "The sea"], terminal)
    assert str(code) == row[2]
    error = json.loads(terminal.errors)["error"]
    status = re.match(r"\d+", row[1])
    assert error["status_code"] == (int(status[0]) if status else None)
    assert error["attempts"] == 1


def test_a_flaky_model_answers_in_the_end() -> None:
    """It fails with 503 twice, as documented, and then answers."""
    asked: Any = {"completion_request": request({}), "model_id": named(FAULTS[-1][0])}
    with writer.Writer(sandbox=True, max_retries=0) as client:
        for _ in range(2):
            with pytest.raises(writer.FailResponse) as caught:
                client.completions.create(**asked)
            assert caught.value.status_code == 503
        assert client.completions.create(**asked).status_code == 200


def test_the_faults_of_a_rate_are_documented() -> None:
    """README names the faults that `--fault-rate` draws from."""
    [row] = [r for r in documents.table("README.md", "flag", "meaning") if "fault-rate" in r[0]]
    assert re.findall(r"`(fault-[\w-]+)`", row[1]) == [*faults.TRANSIENT]


def test_the_flags_of_the_sandbox_are_in_their_table() -> None:
    """README has each flag of `writer sandbox` that no other command has."""
    own = flags_of("sandbox") - flags_of("complete")
    assert {
        named(row[0]).split()[0] for row in documents.table("README.md", "flag", "meaning")
    } == own


@pytest.mark.parametrize(
    ("command", "keys", "fields"),
    [
        ("models", ["version", "models"], ["id", "name", "type"]),
        (
            "customizations",
            ["version", "model_id", "customizations"],
            ["id", "name", "status", "description"],
        ),
    ],
)
def test_the_keys_of_lists_as_json_are_documented(
    command: str, keys: list[str], fields: list[str]
) -> None:
    """completions.md has the keys of what lists as JSON, and those of an item are its fields."""
    terminal = Terminal.fake()
    assert main([command, "--sandbox", "--json"], terminal) == ExitCode.OK
    printed = json.loads(terminal.output)
    assert list(printed) == keys
    assert all(list(item) == fields for item in printed[command])
    [sentence] = re.findall(
        r"whose keys are (.+)\.", documents.section("completions.md", f"{command}.list")
    )
    assert re.findall(r"`(\w+)`", sentence) == keys


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_resolve(document: str) -> None:
    """A link to a file goes to one that is there, and to a heading that is there once."""
    for link in documents.links(document):
        if link.startswith("https://"):
            continue
        file, _, anchor = link.partition("#")
        assert (ROOT / (file or document)).is_file(), link
        if anchor:
            assert documents.anchors(file or document).count(anchor) == 1, link


def test_the_picture_has_every_room() -> None:
    """CONTRIBUTING.md shows each room and each module beside them, in the order of the imports."""
    picture = documents.section("CONTRIBUTING.md", "The rooms").split("```")[1]
    shown = [
        word.removesuffix("/")
        for line in picture.splitlines()
        if line.startswith("  ")
        for word in re.split(r"\s{3,}", line.strip())[0].split()
    ]
    assert shown == HOUSE
    rows = documents.table("CONTRIBUTING.md", "room", "where to look first")
    for room, modules in rows:
        for name in re.findall(r"`([a-z_]+\.py)`", modules):
            assert (ROOT / "writer_cli" / named(room) / name).is_file()


def test_the_recipes_name_files_that_exist() -> None:
    """Each of the five recipes of CONTRIBUTING.md names the files to change."""
    text = documents.section("CONTRIBUTING.md", "Recipes")
    recipes = re.findall(r"^\*\*Add .+?(?=\n\n)", text, re.MULTILINE | re.DOTALL)
    assert len(recipes) == 5
    for recipe in recipes:
        files = re.findall(r"`([\w/]+\.(?:py|md))`", recipe)
        assert len(files) >= 2
        for name in files:
            assert (ROOT / name).is_file() or (ROOT / "writer_cli" / name).is_file(), name


def test_the_walk_has_ten_steps_and_names_what_exists() -> None:
    """The walk from argv to output has ten steps, and each module and name in it exists."""
    text = documents.section("CONTRIBUTING.md", "One command, from argv to output")
    assert re.findall(r"^(\d+)\. ", text, re.MULTILINE) == [str(n) for n in range(1, 11)]
    references = re.findall(r"`([a-z_]+(?:\.[a-z_]+)*)\.(\w+)`", text)
    assert len(references) > 10
    for module, name in references:
        __import__(f"writer_cli.{module}")
        assert hasattr(sys.modules[f"writer_cli.{module}"], name), f"{module}.{name}"


def test_the_targets_that_contributors_are_told_of_exist() -> None:
    """Each `make` target in CONTRIBUTING.md is in the Makefile."""
    targets = re.findall(r"`(make [\w-]+)`", documents.read("CONTRIBUTING.md"))
    assert targets
    for command in targets:
        check_instead(command)


def test_the_changelog_begins_with_this_version() -> None:
    """The first version in the changelog is this one."""
    headings = re.findall(r"^## \[([\w.]+)\] - ", documents.read("CHANGELOG.md"), re.MULTILINE)
    assert headings[0] == writer.__version__


def test_the_changelog_has_one_sentence_a_line() -> None:
    """Each entry of the changelog is one line with one sentence."""
    for line in documents.section("CHANGELOG.md", f"[{writer.__version__}] - unreleased").split(
        "\n"
    ):
        assert re.fullmatch(
            r"|### (Added|Changed|Fixed|Removed|Deprecated|Security)|- [^.]+\.", line
        )
