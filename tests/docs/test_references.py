"""The tables in the documents agree with the code."""

import inspect
import json
import re
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import pytest

import writer_cli as writer
from tests.docs.service import BLOCKS, REFERENCES, blocks_in, named, request
from tests.harness import documents
from tests.harness.documents import ROOT
from tests.harness.pages import PAGES, flags_of
from writer_cli import errors, models
from writer_cli.apis.access import ApiName
from writer_cli.cli import main
from writer_cli.client import Completions
from writer_cli.commands.typer_classes import MERGE
from writer_cli.config import schema
from writer_cli.exits import ExitCode
from writer_cli.help import topics
from writer_cli.http.error_answers import error_from_answer
from writer_cli.output.terminal import Terminal
from writer_cli.sandbox import faults


def test_the_table_of_exit_codes_is_the_code() -> None:
    """docs/scripting.md lists exactly the exit codes, in order, with their descriptions."""
    assert documents.table("docs/scripting.md", "exit code", "meaning") == [
        [str(code.value), code.reason] for code in ExitCode
    ]


def every_command() -> set[tuple[str, ...]]:
    """Return all commands and sub-commands."""
    groups = {name.rpartition(" ")[0] for name in PAGES} - {MERGE.partition(" ")[0]}
    return {tuple(name.split()) for name in PAGES if name not in groups}


def every_flag() -> set[str]:
    """Return the flags of all commands, and of the program itself."""
    return set().union(*map(flags_of, PAGES))


def test_every_command_is_documented_and_exists() -> None:
    """Every command is in a document, and every command in a document exists."""
    prose = "\n".join(documents.prose(document) for document in REFERENCES)
    code = "\n".join(
        [
            *(b.text for b in BLOCKS if b.language not in {"python", "diff"}),
            *re.findall(r"`[^`\n]+`", prose),
        ]
    )
    named = set()
    for name, below in re.findall(r"(?<![\w/-])writer ([a-z]+(?:-[a-z]+)*)(?: ([a-z]+))?", code):
        is_whole = (name,) in every_command() and (name, below) not in every_command()
        named.add((name,) if is_whole else (name, below))
    assert named == every_command()


OTHER_PROGRAMS_FLAGS = {"--array", "--exit-code", "--rm", "--time"}
"""Flags of sbatch, git and docker."""


def test_every_flag_is_documented_and_exists() -> None:
    """Every flag is in a document, and every flag in a document exists."""
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
    """docs/configuration.md names exactly the variables that the code reads."""
    code = "\n".join(path.read_text() for path in sorted((ROOT / "writer_cli").rglob("*.py")))
    assert set(VARIABLES.findall(documents.read("docs/configuration.md"))) == set(
        VARIABLES.findall(code)
    )


def test_the_table_of_settings_is_the_code() -> None:
    """docs/configuration.md has every setting with its flag, variables, default and meaning."""
    rows = documents.table(
        "docs/configuration.md", "setting", "flag", "variable", "default", "meaning"
    )
    flags = flags_of("complete")
    assert [row[4] for row in rows] == [kind.meaning for kind in schema.SETTINGS.values()]
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
"""Values that each range of the table accepts and refuses; "" is the name of the field."""


ADVICE: dict[str, tuple[list[Any], list[Any]]] = {
    "": ([], []),
    "0 to 2": ([0, 2], [2.1]),
    "over 0": ([0.1], [0]),
    "up to 4": ([["a"] * 4], [["a"] * 5]),
    "-2 to 2": ([-2, 2], [-2.1, 2.1]),
}
"""Values without and with a warning, by the text of the last column."""


def test_the_table_of_fields_has_every_field_and_its_flag() -> None:
    """completions.md has each field of a request, in order, and a flag for each but the prompt."""
    assert [named(row[0]) for row in FIELDS] == list(models.CompletionRequest.model_fields)
    for row in FIELDS[1:]:
        assert f"`{schema.flag_of(named(row[0]))}`" in row[2]


@pytest.mark.parametrize("row", FIELDS, ids=lambda row: named(row[0]))
def test_ranges_are_as_documented(row: list[str]) -> None:
    """A field accepts its range, refuses other values, and warns beyond the documented range."""
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
    """A field that an API does not have is an error and is not dropped."""
    field = named(row[0])
    given = request(RANGES[row[3]][0][0] | {field: RANGES[row[3]][0][0][""]})
    with writer.Writer("a-made-up-key", 1, api=api, base_url="http://localhost") as client:
        if row[6] == "all" or api in re.findall(r"\w+", row[6]):
            client.completions.prepare(completion_request=given, model_id="a")
        else:
            with pytest.raises(writer.UsageError, match=f"^{field} cannot be sent to the {api}"):
                client.completions.prepare(completion_request=given, model_id="a")


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
                "cached",
            ],
        ),
        ("Usage", [*models.Usage.model_fields]),
        ("models.list", [*models.Model.model_fields]),
        ("customizations.list", [*models.Customization.model_fields]),
        ("Error objects", [*inspect.signature(errors.FailMessage).parameters]),
    ],
)
def test_the_tables_of_answers_have_every_field(heading: str, fields: list[str]) -> None:
    """completions.md has each field of an answer."""
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
        ("Cache", writer.Cache.__init__, 4),
    ],
)
def test_the_tables_of_parameters_are_the_signatures(
    heading: str, function: Any, columns: int
) -> None:
    """completions.md has each call's parameters in order, and which are required."""
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
    """completions.md has each error class with its kind and exit code."""
    raised: list[writer.WriterError] = [
        writer.UsageError(""),
        writer.ConfigurationError(""),
        writer.NetworkError(""),
        writer.RequestTimeoutError(""),
        writer.BadAnswerError(""),
        writer.CutError(""),
        writer.NotRecordedError(""),
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
    """JSON under a listed status is a `FailResponse` with the listed exit code."""
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
    """The table below a JSON document has its keys in order."""
    text = documents.section("completions.md", heading)
    [shown] = [match[2] for match in documents.FENCE.finditer(text) if match[1] == "json"]
    rows = re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)
    free = {"headers", "body", "choices[].logprobs.top_logprobs"}  # with keys of any name
    assert rows == list(paths(json.loads(shown), free))


def test_the_keys_of_a_batch_are_explained() -> None:
    """batch.md has each key of a result and of the summary, in order."""
    result, summary = (
        json.loads(block.shown or "")
        for block in blocks_in("sh", shown=True)
        if block.document == "batch.md"
    )
    text = documents.section("batch.md", "Output")
    rows = re.findall(r"^\| `([a-z]\w*(?:\.\w+)*)` \|", text, re.MULTILINE)
    of_result, of_summary = rows[: rows.index("version")], rows[rows.index("version") :]
    instead = {"prompt", "error"}  # present on request, or if a result has no choices
    assert [key for key in of_result if key not in instead] == list(result)
    assert instead < set(of_result)
    assert of_summary == list(paths(summary, set()))


def paths(value: Any, free: set[str], above: str = "") -> Iterator[str]:
    """Yield the path of each key in a JSON value, except below the paths in `free`."""
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
    documents.table("docs/configuration.md", "command", "keys", "keys of each item"),
    ids=lambda row: named(row[0]),
)
def test_the_keys_of_settings_as_json_are_documented(row: list[str]) -> None:
    """docs/configuration.md has the keys and verdicts of `writer config` as JSON."""
    terminal = Terminal.fake()
    command = named(row[0]).replace("NAME", "timeout").replace("VALUE", "5").split()[1:]
    main([*command, "--json"], terminal)
    printed = json.loads(terminal.output)
    assert list(printed) == re.findall(r"`(\w+)`", row[1])
    items = [item for value in printed.values() if isinstance(value, list) for item in value]
    keys = re.findall(r"`(\w+)`", re.sub(r"\(.*\)", "", row[2]))
    assert [list(item) for item in items] == [keys] * len(items)
    assert {item["verdict"] for item in items if "verdict" in keys} <= {"ok", "note", "wrong"}


FAULTS = documents.table("docs/testing.md", "model id", "what happens", "exit code")


def test_the_table_of_faults_is_the_code() -> None:
    """docs/testing.md has every fault id, in the order of the help."""
    assert [[named(row[0]), row[1].replace("`", "")] for row in FAULTS] == [
        [name, text] for name, text in topics.FAULTS.items()
    ]
    assert [named(row[0]) for row in FAULTS] == [*faults.FAULTS, faults.FLAKY]


@pytest.mark.parametrize("row", FAULTS[:-1], ids=lambda row: named(row[0]))
@pytest.mark.parametrize("command", ["complete", "complete-custom"])
def test_a_fault_ends_as_documented(command: str, row: list[str]) -> None:
    """Exit code and status are those of the table, for models and customizations."""
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
    """`fault-flaky` fails twice with 503 and then answers."""
    asked: Any = {"completion_request": request({}), "model_id": named(FAULTS[-1][0])}
    with writer.Writer(sandbox=True, max_retries=0) as client:
        for _ in range(2):
            with pytest.raises(writer.FailResponse) as caught:
                client.completions.create(**asked)
            assert caught.value.status_code == 503
        assert client.completions.create(**asked).status_code == 200


def test_the_faults_of_a_rate_are_documented() -> None:
    """docs/testing.md names the faults that `--fault-rate` chooses from."""
    [row] = [
        r for r in documents.table("docs/testing.md", "flag", "meaning") if "fault-rate" in r[0]
    ]
    assert re.findall(r"`(fault-[\w-]+)`", row[1]) == [*faults.TRANSIENT]


def test_the_flags_of_the_sandbox_are_in_their_table() -> None:
    """docs/testing.md has each flag of `writer sandbox` that no other command has."""
    own = flags_of("sandbox") - flags_of("complete")
    assert {
        named(row[0]).split()[0] for row in documents.table("docs/testing.md", "flag", "meaning")
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
    """completions.md has the keys of the lists as JSON, and the fields of their items."""
    terminal = Terminal.fake()
    assert main([command, "--sandbox", "--json"], terminal) == ExitCode.OK
    printed = json.loads(terminal.output)
    assert list(printed) == keys
    assert all(list(item) == fields for item in printed[command])
    [sentence] = re.findall(
        r"whose keys are (.+)\.", documents.section("completions.md", f"{command}.list")
    )
    assert re.findall(r"`(\w+)`", sentence) == keys
