"""The output of the program matches the JSON Schemas in the package."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.harness import documents
from tests.harness.program import Ran, writer
from tests.harness.schemas import NAMES, check, problems, schema
from tests.harness.servers import Server, completion, http
from tests.test_exit_codes import Unreadable
from writer_cli import models
from writer_cli.exits import ExitCode

STORY = "Once upon a time"


def sandbox(*arguments: str, **options: Any) -> Ran:
    """Run a command in the sandbox, with JSON as output."""
    return writer(*arguments, "--sandbox", "--json", **options)


def test_the_schemas_are_those_that_are_documented() -> None:
    """docs/scripting.md lists every schema."""
    rows = documents.table("docs/scripting.md", "schema", "what it describes")
    assert sorted(row[0].strip("`") for row in rows) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_is_valid_json_schema(name: str) -> None:
    """Each schema is valid, describes every property, and refers to no other file."""
    found = schema(name)
    assert found["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert found["$id"] == f"urn:writer-cli:schema:{name}"
    Draft202012Validator.check_schema(found)
    for part in subschemas(found):
        assert part.get("$ref", "#/$defs/").startswith("#/$defs/")
        for key in part.get("properties", {}).values():
            assert "description" in key or "$ref" in key, key
        assert set(part.get("required", [])) <= set(part.get("properties", found["properties"]))


def subschemas(value: Any) -> Iterator[dict[str, Any]]:
    """Yield each object within a schema."""
    if isinstance(value, dict):
        yield value
    for item in value.values() if isinstance(value, dict) else value:
        if isinstance(item, dict | list):
            yield from subschemas(item)


def test_definitions_are_the_same_in_every_schema() -> None:
    """Definitions of the same name, and the lists of error kinds, are the same."""
    found: dict[str, Any] = {}
    for name in NAMES:
        for part, definition in schema(name).get("$defs", {}).items():
            assert found.setdefault(part, definition) == definition, (name, part)
    [kinds] = [
        part["items"]["properties"]["kind"] for part in [found["run"]["properties"]["errors"]]
    ]
    assert kinds == found["error"]["properties"]["kind"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["complete"],
        ["complete", "-n", "2", "--logprobs", "2", "--temperature", "0"],
        ["complete", "--stream"],
        ["complete", "--api", "studio"],
        ["complete", "--api", "openai", "--stream"],
        ["complete", "--api", "openai", "--logprobs", "1"],
        ["complete-custom", "-m", "palmyra-x5", "--customization-id", "tales"],
    ],
    ids=" ".join,
)
def test_a_result(arguments: list[str]) -> None:
    """A completion of each API, with and without a stream, matches its schema."""
    ran = sandbox(*arguments, "--max-tokens", "3", STORY)
    assert ran.errors == ""
    check("result", ran.output)


def test_a_result_from_a_cache(tmp_path: Path) -> None:
    """A recorded answer matches the schema."""
    for cached in (False, True):
        ran = sandbox("complete", "--cache", str(tmp_path), "--max-tokens", "3", STORY)
        assert check("result", ran.output)["cached"] is cached


def test_a_result_with_gaps() -> None:
    """What a server leaves out is null, as the schema says."""
    answer = {
        "choices": [
            {"text": "a", "finish_reason": "stop", "logprobs": {"tokens": ["a"]}},
            {"text": "", "logprobs": {"token_logprobs": [None], "top_logprobs": [None]}},
        ],
        "usage": {"prompt_tokens": 3},
    }
    with Server(http(200, answer)) as server:
        ran = writer("complete", "--json", "--api", "openai", "-m", "m", STORY, env=server.env)
    result = check("result", ran.output)
    assert result["usage"] == {"prompt_tokens": 3, "completion_tokens": None, "total_tokens": None}


@pytest.mark.parametrize("name", ["models", "customizations"])
@pytest.mark.parametrize("api", ["enterprise", "studio", "openai"])
def test_a_list(name: str, api: str) -> None:
    """The lists of models and customizations match their schemas."""
    ran = sandbox(name, "--api", api, "-m", "palmyra-x5") if name != "models" else sandbox(name)
    if ran.code == ExitCode.OK:
        assert check(name, ran.output)[name]
    else:
        assert check("error", ran.errors)["error"]["kind"] == "usage"


SENT = ("complete", "--json", "--max-retries", "0", "-m", "m")


def error_kinds(tmp_path: Path) -> Iterator[str]:
    """Cause an error of each kind, check it against the schema, and yield its kind."""

    def kind(ran: Ran) -> str:
        error = check("error", ran.errors)["error"]
        assert error["exit_code"] == ran.code
        return str(error["kind"])

    yield kind(sandbox("complete", "--max-tokens", "0", STORY))
    yield kind(sandbox("complete", "--no-such-flag", STORY))
    yield kind(writer(*SENT, STORY))
    for model in (
        *(f"fault-{status}" for status in (400, 401, 403, 404, 429, 500)),
        *("fault-quota", "fault-502-html", "fault-slow", "fault-cut", "fault-garbage"),
        "fault-moderation",
    ):
        limits = ("--max-retries", "0", "--timeout", "0.1")
        yield kind(sandbox("complete", "-m", model, *limits, STORY))
    with Server(completion("a")) as server:
        gone = server.env
    yield kind(writer(*SENT, STORY, env=gone))
    with Server(completion("a")) as server:
        yield kind(writer(*SENT, "-o", "/dev/full", STORY, env=server.env))
    (tmp_path / "in.jsonl").write_text('{"prompt": ""}\n')
    yield kind(sandbox("batch", str(tmp_path / "in.jsonl"), "-o", str(tmp_path / "out.jsonl")))
    yield kind(sandbox("complete", "--offline", "--cache", str(tmp_path / "cache"), STORY))
    yield kind(writer("complete", "--json", STORY, env=Unreadable("WRITER_SANDBOX", {"A": "b"})))


def test_an_error_of_each_kind(tmp_path: Path) -> None:
    """Every kind in the schema can occur, and no other kind does."""
    properties = schema("error")["$defs"]["error"]["properties"]
    # `interrupted` needs a signal: test_streaming.py checks it against the schema.
    caused = {*error_kinds(tmp_path), "interrupted"}
    assert caused == set(properties["kind"]["enum"])
    silent = {ExitCode.OK, ExitCode.READER_GONE}
    assert properties["exit_code"]["enum"] == [code for code in ExitCode if code not in silent]


def test_a_batch(tmp_path: Path) -> None:
    """Each line of the output and the summary match their schemas, also after failures."""
    records = [
        {"prompt": STORY, "id": 7},
        {"prompt": STORY, "id": "a", "logprobs": 1, "n": 2},
        {"prompt": ""},
        {"prompt": STORY, "temperature": "high"},
    ]
    (tmp_path / "in.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in records))
    output = tmp_path / "out.jsonl"
    for flags in ([], ["--api", "openai"], ["-m", "fault-403"], ["-m", "fault-404"]):
        ran = sandbox(
            *("batch", str(tmp_path / "in.jsonl"), "-o", str(output), "--overwrite"),
            *("--include-prompt", "--max-retries", "0", *flags),
        )
        check("batch-summary", ran.output)
        check("error", ran.errors)
        lines = output.read_text().splitlines()
        assert all(check("batch-result", line)["index"] < len(records) for line in lines)
        # A refused key ends a batch, perhaps before the first line is written.
        assert len(lines) == len(records) or "fault-403" in flags


NULL = dict.fromkeys(["id", *list(models.CompletionRequest.model_fields)[1:]])

RECORDS: list[tuple[dict[str, Any], bool]] = [
    ({"prompt": "a"}, True),
    ({"prompt": "a", **NULL}, True),
    ({"prompt": "a", "id": 1, "note": [{"free": None}]}, True),
    ({"prompt": "a", "id": "x", "max_tokens": 1, "min_tokens": 0, "temperature": 0}, True),
    ({"prompt": "a", "top_p": 1, "stop": ["."], "presence_penalty": -3.5, "n": 1}, True),
    ({"prompt": "a", "frequency_penalty": 3, "best_of": 1, "logprobs": 0}, True),
    ({}, False),
    ({"prompt": ""}, False),
    ({"prompt": None}, False),
    ({"prompt": 1}, False),
    ({"prompt": "a", "id": 1.5}, False),
    ({"prompt": "a", "id": True}, False),
    ({"prompt": "a", "max_tokens": 0}, False),
    ({"prompt": "a", "max_tokens": 2**63}, False),
    ({"prompt": "a", "max_tokens": "5"}, False),
    ({"prompt": "a", "min_tokens": -1}, False),
    ({"prompt": "a", "temperature": -0.1}, False),
    ({"prompt": "a", "top_p": 1.1}, False),
    ({"prompt": "a", "stop": "."}, False),
    ({"prompt": "a", "stop": [""]}, False),
    ({"prompt": "a", "presence_penalty": "high"}, False),
    ({"prompt": "a", "frequency_penalty": []}, False),
    ({"prompt": "a", "best_of": 0}, False),
    ({"prompt": "a", "n": 0}, False),
    ({"prompt": "a", "logprobs": -1}, False),
]
"""Records, and whether each can be sent to the enterprise API."""

SEEDS: list[tuple[dict[str, Any], bool]] = [
    ({"prompt": "a", "random_seed": -(2**31)}, True),
    ({"prompt": "a", "random_seed": 2**31}, False),
]
"""The same for AI Studio."""


@pytest.mark.parametrize(("api", "records"), [("enterprise", RECORDS), ("studio", SEEDS)])
def test_a_record(api: str, records: list[tuple[dict[str, Any], bool]]) -> None:
    """The schema of a record accepts what can be sent, and nothing else."""
    lines = "".join(f"{json.dumps(record)}\n" for record, _ in records)
    ran = sandbox(
        *("batch", "-", "--format", "jsonl", "--dry-run", "--api", api), stdin=lines.encode()
    )
    refused = {problem["line"] for problem in json.loads(ran.output)["problems"]}
    for number, (record, can_be_sent) in enumerate(records, 1):
        assert (number not in refused) == can_be_sent, record
        assert (problems("batch-record", record) == []) == can_be_sent, record


def test_a_record_has_every_field() -> None:
    """The schema has the fields of a request in their order, and the id."""
    names = list(models.CompletionRequest.model_fields)
    assert list(schema("batch-record")["properties"]) == [names[0], "id", *names[1:]]


def test_a_key_that_no_schema_describes_is_found() -> None:
    """The checks above fail if the output has a key that the schema lacks."""
    result = json.loads(sandbox("complete", STORY).output)
    assert problems("result", result) == []
    assert problems("result", result | {"new": 1}) != []
    result["choices"][0]["new"] = 1
    assert problems("result", result) != []
    del result["choices"][0]["new"], result["attempts"]
    assert problems("result", result) == ["$: 'attempts' is a required property"]
