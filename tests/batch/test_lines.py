"""The hints for an input that is refused, and what of a batch never changes."""

import dataclasses
import io
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.batch.reading import read
from writer_cli.batch import Plan, Record, Result
from writer_cli.batch.counting import Count
from writer_cli.batch.job import Input, Progress
from writer_cli.batch.journal import Journal
from writer_cli.batch.lines import FIELDS, Lines, names_in, quoted
from writer_cli.batch.merging import merge
from writer_cli.batch.ordered import MOST_AHEAD
from writer_cli.batch.records import Reader, Template, detected_format
from writer_cli.batch.runner import (
    BUSY,
    LONGEST_LOOK,
    RESULTS_PER_THREAD,
    SHORTEST_LOOK,
    WAITING_PER_THREAD,
)
from writer_cli.batch.shards import Shard, shard_of
from writer_cli.batch.trial import Trial
from writer_cli.batch.worker import Pending
from writer_cli.errors import OutputError, UsageError

LINE = b'{"index": %d, "model_id": "m", "digest": "00000000000000ab"}\n'
SHARD = "--shard 0/4 is the first of four; record i belongs to shard i mod 4"
ANOTHER_FILE = "choose another file, or start again with --overwrite"
TEMPLATE = "write a variable as {name}, and a brace as {{ or }}"
HEADER = "the prompt is in the column prompt, or --template makes it from other columns"
WHOLE_ARRAY = (
    "run the whole array from 0 or 1: finished records are not sent again; or name the shard: "
    "--shard $SLURM_ARRAY_TASK_ID/N"
)
JOB_SYSTEMS = (
    "it reads SLURM_ARRAY_TASK_ID and _COUNT, JOB_COMPLETION_INDEX and JOB_COMPLETIONS, "
    "or CI_NODE_INDEX and CI_NODE_TOTAL"
)
ARRAY = {"SLURM_ARRAY_TASK_ID": "2", "SLURM_ARRAY_TASK_MIN": "2", "SLURM_ARRAY_TASK_COUNT": "3"}


def error_of(function: Callable[[], Any]) -> tuple[str, str | None]:
    """Return the message and the hint of an error."""
    with pytest.raises((UsageError, OutputError)) as caught:
        function()
    return caught.value.message, caught.value.hint


@pytest.mark.parametrize(
    ("function", "message", "hint"),
    [
        (lambda: Template("a { b"), "--template: a single { at character 3", TEMPLATE),
        (
            lambda: Template("a {{b}}"),
            "--template: it has no variable, so all prompts would be the same",
            "write a variable as {name}; {{name}} is the literal text {name}",
        ),
        (
            lambda: Template("{a}\ud800"),
            "--template: not UTF-8",
            "convert it first, with iconv",
        ),
        (
            lambda: detected_format("-", None),
            "--format: the format of standard input is unknown",
            "--format jsonl|csv|tsv|txt",
        ),
        (
            lambda: detected_format("a.json", None),
            "--format: the format of a.json is unknown",
            "--format jsonl|csv|tsv|txt",
        ),
        (
            lambda: read("a\nb\n", "csv"),
            "the header line: there is no column 'prompt'; found: a",
            HEADER,
        ),
        (
            lambda: read(b"\xfe\xff\0a"),
            "the input is UTF-16 and not UTF-8",
            "convert it: `iconv -f UTF-16 -t UTF-8`",
        ),
        (lambda: shard_of("1", {}), "--shard 1: the form is I/N", SHARD),
        (lambda: shard_of("4/4", {}), "--shard 4/4: there is no shard 4 of 4", SHARD),
        (
            lambda: shard_of("auto", {}),
            "--shard auto: no variable of a job system is set",
            JOB_SYSTEMS,
        ),
        (
            lambda: shard_of("auto", {"CI_NODE_INDEX": "1"}),
            "--shard auto: CI_NODE_TOTAL is not set",
            f"the job must set it; {SHARD}",
        ),
        (
            lambda: shard_of("auto", {"CI_NODE_INDEX": "x", "CI_NODE_TOTAL": "2"}),
            "--shard auto: CI_NODE_INDEX is 'x', not a number",
            SHARD,
        ),
        (
            lambda: shard_of("auto", {"CI_NODE_INDEX": "0", "CI_NODE_TOTAL": "2"}),
            "CI_NODE_INDEX: there is no shard -1 of 2",
            SHARD,
        ),
        (
            lambda: shard_of("auto", {"JOB_COMPLETION_INDEX": "2", "JOB_COMPLETIONS": "2"}),
            "JOB_COMPLETION_INDEX: there is no shard 2 of 2",
            SHARD,
        ),
        (
            lambda: shard_of("auto", ARRAY),
            "--shard auto: a Slurm array of 3 from 2 to 4 does not tell which shards these are",
            WHOLE_ARRAY,
        ),
        (
            lambda: shard_of(
                "auto", ARRAY | {"SLURM_ARRAY_TASK_MIN": "0", "SLURM_ARRAY_TASK_ID": "3"}
            ),
            "SLURM_ARRAY_TASK_ID: there is no shard 3 of 3",
            SHARD,
        ),
    ],
)
def test_an_input_that_is_refused_has_a_hint(
    function: Callable[[], Any], message: str, hint: str
) -> None:
    """The message names what is wrong, and the hint what would be right."""
    assert error_of(function) == (message, hint)


def test_outputs_that_cannot_be_merged_have_a_hint(tmp_path: Path) -> None:
    """The hint says which shard is to be run again, or left out."""
    one, two, out = tmp_path / "1", tmp_path / "2", tmp_path / "out"
    again = "run that shard again: it continues where it stopped"
    unfinished = "did you leave a shard out, or did one not finish? run it again"

    def merged(first: bytes, second: bytes, records: int | None = None) -> tuple[str, str | None]:
        one.write_bytes(first)
        two.write_bytes(second)
        return error_of(lambda: merge(out, [one, two], records))

    assert merged(LINE % 0, LINE % 0) == (
        f"record 0 is in both {one} and {two}",
        "leave one of them out",
    )
    missing = "record 1 is missing: it is in none of the files"
    assert merged(LINE % 0, LINE % 2) == (missing, unfinished)
    assert merged(LINE % 0, LINE % 1, 3) == ("the files have 2 records, not 3", unfinished)
    assert merged(LINE % 0, b"{}") == (f"{two}: line 1 is not a complete result of a batch", again)
    assert merged(LINE % 0 + LINE % 2 + LINE % 1, b"") == (
        f"{one} is not in order: that shard did not finish",
        "run it again: it continues where it stopped",
    )
    one.unlink()
    assert error_of(lambda: merge(out, [one, two])) == (
        f"{one}: No such file or directory",
        "name the outputs of the shards",
    )


def test_an_output_that_is_refused_has_a_hint(tmp_path: Path) -> None:
    """The hint names another file, or the flag that starts again."""
    path = tmp_path / "out.jsonl"
    Journal(path).__exit__(None, None, None)
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
    path.write_bytes(b"{}\n")
    assert error_of(lambda: Journal(path)) == (
        f"--output {path}: line 1 is not a result of a batch",
        ANOTHER_FILE,
    )
    path.write_bytes(LINE % 0)
    with Journal(path) as journal:
        assert error_of(lambda: list(journal.pending([Record(0, "p", line=7)], ""))) == (
            (
                f"{path} has the result of another request for record 0 (line 7): the input, the "
                "template, the model or a flag changed"
            ),
            (
                "run it as it was before, choose another file, or delete the old results with "
                "--overwrite"
            ),
        )
        assert error_of(lambda: list(journal.pending([], ""))) == (
            f"{path} has 1 results for records that the input does not have",
            f"if --limit is smaller than before, leave it out; or {ANOTHER_FILE}",
        )
        assert error_of(lambda: Journal(path)) == (
            f"--output {path}: another run is writing to it",
            "wait for it, or choose another file",
        )
    assert error_of(lambda: Journal(tmp_path / "no" / "out")) == (
        f"--output {tmp_path}/no/out: No such file or directory",
        "choose a file in a directory that exists and that you may write to",
    )
    assert error_of(lambda: Journal(Path("/dev/null"))) == (
        "--output /dev/null: not a regular file, and only such a file can be continued",
        "-o answers.jsonl",
    )


def test_a_template_names_the_variables_that_are_missing_or_empty() -> None:
    """One that is null is missing, and all may not be empty."""
    template = Template("{b} {a} {{}}")
    assert template.render({"a": "", "b": [1, "é"]}) == '[1, "é"]  {}'
    with pytest.raises(ValueError, match=r"^all variables of the template are empty: a, b$"):
        template.render({"a": "", "b": ""})
    with pytest.raises(ValueError, match=r"^the template needs 'b', which has no value; found: a"):
        template.render({"a": "", "b": None})


def test_a_value_in_a_message_has_sixty_characters_at_most() -> None:
    """A longer one is cut."""
    assert quoted("x" * 58) == repr("x" * 58)
    assert quoted("x" * 59) == f"'{'x' * 59}…"
    assert names_in(["x" * 60]) == f"found: {'x' * 60}"
    assert names_in(["x" * 61]) == f"found: {'x' * 60}…"
    assert names_in(["b", "a"]) == "found: a, b"
    assert names_in([]) == "found nothing"


def test_the_bytes_that_were_read_are_those_of_whole_lines() -> None:
    """They grow line by line, to the size of the input."""
    raw = b'{"prompt": "a"}\n\n{"prompt": "bc"}'
    reader = Reader(io.BytesIO(raw), "jsonl")
    assert reader.bytes_read == 0
    records = iter(reader)
    next(records)
    assert reader.bytes_read == 16
    next(records)
    assert reader.bytes_read == len(raw)
    lines = Lines(io.BytesIO(b"\xef\xbb\xbfa\r\n\0\n\xff"), frozenset())
    assert list(lines.parsed("txt")) == [
        (1, {"prompt": "a"}),
        (2, "a NUL byte at column 1"),
        (3, "not UTF-8 at column 1"),
    ]


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_with_other_dashes_is_recognized(name: str) -> None:
    """`max-tokens`, `Max Tokens` and `maxTokens` stand for `max_tokens`."""
    for other in (name.replace("_", "-"), name.replace("_", " ").title(), name.replace("_", "")):
        if other in FIELDS:
            continue
        [record] = read(f'{{"prompt": "p", "{other}": 1}}')
        assert record.problem == f"line 1: '{other}': did you mean {name}?"


def test_the_digest_of_a_record_stays_the_same() -> None:
    """It is in the files of earlier versions, by which a batch goes on."""
    record = Record(0, "é", fields={"n": 2, "best_of": 3}, id="i", line=5)
    assert record.digest("d") == Record(9, "é", fields={"best_of": 3, "n": 2}).digest("d")
    assert f"{record.digest('d'):016x}" == "a9921b945065a450"


@pytest.mark.parametrize("kind", [Plan, Record, Result, Input, Progress, Shard])
def test_what_threads_share_cannot_be_changed(kind: Any) -> None:
    """A data class of the batch is frozen, and has no room for other attributes."""
    assert kind.__dataclass_params__.frozen
    assert "__slots__" in vars(kind)
    names = [field.name for field in dataclasses.fields(kind) if field.kw_only]
    assert bool(names) is (kind in {Plan, Result, Input})


@pytest.mark.parametrize("kind", [Pending, Count, Trial])
def test_what_there_is_many_of_takes_little_memory(kind: Any) -> None:
    """A record that waits and the counts of a rate have no room for other attributes."""
    assert "__slots__" in vars(kind)


def test_what_a_batch_holds_is_bounded() -> None:
    """A thread has four unread results and 16 waiting records, an output in order 1,000 results."""
    assert (RESULTS_PER_THREAD, WAITING_PER_THREAD, MOST_AHEAD) == (4, 16, 1000)


def test_threads_are_looked_at_ten_times_a_second_or_more() -> None:
    """Half a processor counts as busy."""
    assert 0 < SHORTEST_LOOK < LONGEST_LOOK <= 0.1
    assert BUSY < 1
