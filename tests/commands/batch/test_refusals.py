"""`writer batch`: errors that stop it, before or after anything is sent."""

import io
import json
from pathlib import Path

import pytest

from tests.commands.batch.running import KEY, LEAST, batch, error, results, write
from tests.harness.servers import Server, completion
from writer_cli.cli import main
from writer_cli.output.terminal import Terminal

USAGE = {
    "no output": (["in.txt"], "no output: name a file with -o"),
    "no input": (["nowhere.txt", "-o", "o"], "nowhere.txt: No such file or directory"),
    "NUL": (["in\0.txt", "-o", "o"], "in\0.txt: embedded null byte"),
    "directory": ([".", "--format", "txt", "-o", "o"], ".: Is a directory"),
    "format": (["in.dat", "-o", "o"], "--format: the format of in.dat is unknown"),
    "stdin": (["-", "-o", "o"], "--format: the format of standard input is unknown"),
    "output is a directory": (["in.txt", "-o", "."], "--output .: Is a directory"),
    "output is empty": (["in.txt", "-o", ""], "--output .: Is a directory"),
    "output is nowhere": (
        ["in.txt", "-o", "no/where"],
        "no/where: No such file or directory",
    ),
    "csv is a directory": (
        ["in.txt", "-o", ".", "--output-format", "csv"],
        "--output .: Is a directory",
    ),
    "output is the input": (
        ["in.txt", "-o", "./in.txt", "--overwrite"],
        "in.txt is the input, and would be lost",
    ),
    "csv is the input": (
        ["in.txt", "-o", "in.txt", "--output-format", "csv"],
        "in.txt is the input, and would be lost",
    ),
    "journal is the input": (
        ["in.csv.jsonl", "-o", "in.csv", "--output-format", "csv", "--overwrite"],
        "in.csv.jsonl is the input, and would be lost",
    ),
    "output is a link to it": (
        ["in.txt", "-o", "link", "--overwrite"],
        "link is the input, and would be lost",
    ),
    "txt has no prompts": (
        ["in.txt", "-o", "o", "--output-format", "txt", "--include-prompt"],
        "--include-prompt: txt has no place for it",
    ),
    "output is something else": (["in.txt", "-o", "in.csv.jsonl"], "is not a result of a batch"),
    "templates": (
        ["in.txt", "-o", "o", "--template", "{a}", "--template-file", "in.txt"],
        "--template and --template-file exclude each other",
    ),
    "template": (["in.txt", "-o", "o", "--template", "{"], "--template: a single { at character 1"),
    "template file": (
        ["in.txt", "-o", "o", "--template-file", "nowhere"],
        "--template-file: nowhere: No such file or directory",
    ),
    "template file without": (
        ["in.txt", "-o", "o", "--template-file", "in.txt"],
        "--template-file: it has no variable, so all prompts would be the same",
    ),
    "template file is empty": (
        ["in.txt", "-o", "o", "--template-file", "empty"],
        "--template-file: the file is empty",
    ),
    "stdin twice": (
        ["-", "--format", "txt", "-o", "o", "--template-file", "-"],
        "- (standard input) is given twice",
    ),
    "shard": (["in.txt", "-o", "o", "--shard", "4/4"], "--shard 4/4: there is no shard 4 of 4"),
    "auto": (
        ["in.txt", "-o", "o", "--shard", "auto"],
        "--shard auto: no variable of a job system is set",
    ),
    "limit": (["in.txt", "-o", "o", "--limit", "-1"], "--limit -1 is out of range: 0 or more"),
    "concurrency": (
        ["in.txt", "-o", "o", "--concurrency", "257"],
        "--concurrency 257 is out of range: 1 to 256",
    ),
    "no concurrency": (
        ["in.txt", "-o", "o", "--concurrency", "0"],
        "--concurrency 0 is out of range: 1 to 256",
    ),
    "concurrency too long": (
        ["in.txt", "-o", "o", "--concurrency", "9" * 400],
        f"--concurrency {'9' * 60}… is out of range: 1 to 256",
    ),
    "concurrency exactly": (
        ["in.txt", "-o", "o", "--concurrency", "1234567"],
        "--concurrency 1234567 is out of range: 1 to 256",
    ),
    "rpm": (["in.txt", "-o", "o", "--rpm", "0"], "--rpm 0 is out of range: 0.001 to 1e+09"),
    "tpm": (["in.txt", "-o", "o", "--tpm", "nan"], "--tpm 'nan' is not a number"),
    "budget": (
        ["in.txt", "-o", "o", "--max-requests", "-5"],
        "--max-requests -5 is out of range: 0 or more",
    ),
    "field": (
        ["in.txt", "-o", "o", "--temperature", "-1"],
        "--temperature -1 is out of range: 0 or more",
    ),
    "fields": (
        ["in.txt", "-o", "o", "-n", "3", "--best-of", "2"],
        "--best-of: 2 is less than --n, 3",
    ),
    "API": (["in.txt", "-o", "o", "--random-seed", "5"], "--random-seed"),
    "output format": (
        ["in.txt", "-o", "o", "--output-format", "xml"],
        "--output-format 'xml' is not one of jsonl, csv, txt",
    ),
    "input format": (
        ["in.txt", "-o", "o", "--format", "xml"],
        "--format 'xml' is not one of jsonl, csv, tsv, txt",
    ),
}


@pytest.mark.parametrize(("arguments", "message"), USAGE.values(), ids=USAGE)
def test_wrong_arguments_are_refused_before_anything_is_sent(
    arguments: list[str], message: str
) -> None:
    """Exit code 2 with the reason; existing files are unchanged."""
    write("in.txt", "The sea")
    write("in.csv.jsonl", '{"prompt": "The sea"}')
    write("empty")
    Path("link").symlink_to("in.txt")
    before = {path.name: path.read_bytes() for path in Path().iterdir()}
    terminal = batch(*arguments, "--sandbox", "--json", exits=2)
    assert message in error(terminal)["message"]
    assert terminal.output == b""
    left = {path.name: path.read_bytes() for path in Path().iterdir()}
    assert {name: left[name] for name in before} == before
    assert set(left) - set(before) <= {"o"}
    assert not Path("o").exists() or not Path("o").read_bytes()


def test_standard_input_that_is_closed_is_an_error() -> None:
    """A closed standard input is an error with a hint."""
    errors = io.StringIO()
    terminal = Terminal(stdin=None, stdout=io.BytesIO(), stderr=errors, env={})
    assert main(["batch", "-", "--format", "txt", "--sandbox", "-o", "out.jsonl"], terminal) == 2
    assert errors.getvalue() == (
        "error: standard input is closed\nhint: pipe the records into it\n"
    )


def test_an_invalid_header_line_stops_the_batch_before_anything_is_sent() -> None:
    """A wrong header is one error, and not one for each record."""
    source = write("in.csv", "product", "tea")
    terminal = batch(source, *LEAST, "-o", "out.jsonl", "--json", exits=2)
    assert error(terminal)["message"] == (
        "the header line: there is no column 'prompt'; found: product"
    )
    assert terminal.output == b""
    template = ["--template", "Sell {prodct}", "-o", "out.jsonl", "--json"]
    failure = error(batch(source, *LEAST, *template, exits=2))
    assert failure["message"] == "the header line: there is no column 'prodct'; found: product"
    assert failure["hint"] == "each name in braces in the template must be the name of a column"


def test_without_a_key_nothing_begins() -> None:
    """Without a key the exit code is 3, and no output is written."""
    env = {"WRITER_ORGANIZATION_ID": "1"}
    batch(write("in.txt", "a"), "-m", "m", "-o", "out.jsonl", exits=3, env=env)
    assert not Path("out.jsonl").exists()


def test_a_warning_of_complete_is_one_of_batch() -> None:
    """Unusual values and removed models cause the same warnings as in `complete`."""
    source = write("in.txt", "The sea")
    arguments = [*LEAST, "--temperature", "3", "-m", "palmyra-med", "-o", "out.jsonl"]
    terminal = batch(source, *arguments)
    assert terminal.errors.startswith(
        "warning: --temperature: 3; the documented range is 0 to 2\n"
        "warning: palmyra-med was removed on 2026-07-13; Writer recommends palmyra-x5 instead\n"
    )


def test_a_customization_is_asked() -> None:
    """The customization's id is in the path."""
    with Server(completion("x")) as server:
        env = {
            "WRITER_API_KEY": KEY,
            "WRITER_ORGANIZATION_ID": "7",
            "WRITER_BASE_URL": server.url,
        }
        arguments = ["-m", "m", "--customization-id", "tales", "-o", "out.jsonl"]
        batch(write("in.txt", "a"), *arguments, env=env)
    [request] = server.requests
    assert request.target == "/llm/organization/7/model/m/customization/tales/completions"
    assert request.json() == {"prompt": "a"}


@pytest.mark.parametrize(
    ("model", "exit_code", "kind"),
    [
        ("fault-400", 10, "bad_request"),
        ("fault-404", 10, "not_found"),
        ("fault-500", 10, "server"),
        ("fault-401", 4, None),
        ("fault-403", 4, None),
        ("fault-quota", 6, None),
    ],
)
def test_an_error_fails_its_record_or_stops_the_batch(
    model: str, exit_code: int, kind: str | None
) -> None:
    """An error that would repeat for every record, such as a refused key, stops the batch."""
    source = write("in.txt", "The sea", "The hill")
    arguments = ["-m", model, "--max-retries", "0", "-o", "out.jsonl", "--json"]
    terminal = batch(source, "--sandbox", *arguments, exits=exit_code)
    printed = json.loads(terminal.output)
    errors = printed["this_run"]["errors"]
    if kind is None:
        assert (results(), errors, printed["failed"]) == ([], [], 0)
    else:
        assert [result["error"]["exit_code"] for result in results()]
        assert [(found["count"], found["first"]) for found in errors] == [
            (2, results()[0]["error"]["message"])
        ]
        assert error(terminal)["message"] == "2 of 2 records failed"


def test_a_budget_ends_the_batch_and_the_next_run_goes_on() -> None:
    """Exit code 10; the summary names the journal, and no incomplete table is written."""
    source = write("in.txt", "The sea", "The hill", "The river")
    arguments = [*LEAST, "-o", "out.csv", "--output-format", "csv", "--json"]
    terminal = batch(source, *arguments, "--max-requests", "2", exits=10)
    printed = json.loads(terminal.output)
    assert (printed["output"], printed["answered"]) == ("out.csv.jsonl", 2)
    assert "budget" in error(terminal)["message"]
    assert not Path("out.csv").exists()
    printed = json.loads(batch(source, *arguments, "--max-requests", "2").output)
    assert (printed["output"], printed["answered"]) == ("out.csv", 3)
    assert len(Path("out.csv").read_text().splitlines()) == 4
