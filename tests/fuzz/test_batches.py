"""Random inputs and outputs of a batch."""

import json
import re
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.program import JSON_VALUES, TEXTS, damaged, examples, folder, run

FORMATS = st.sampled_from(["jsonl", "csv", "tsv", "txt"])

ENV = {"WRITER_SANDBOX": "1", "WRITER_CONFIG": "none", "WRITER_MAX_RETRIES": "0"}

FLAGS = ("--max-tokens=1", "--temperature=0", "--json")

PROMPTS = st.lists(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8).filter(
        str.strip
    ),
    max_size=5,
)


def batch(*arguments: str) -> Any:
    """Run a batch of the file `in` to the file `out.jsonl`, and return its summary."""
    ran = run("batch", "in", "-o", "out.jsonl", *FLAGS, *arguments, env=ENV)
    return json.loads(ran.output) if ran.output else None


def journal_of(text: bytes) -> bytes:
    """Complete the lines of a text, and return the output with equal times."""
    Path("in").write_bytes(text)
    batch("--format=txt")
    return re.sub(rb'(?<="elapsed_s": )[0-9.]+', b"0.0", Path("out.jsonl").read_bytes())


def results(raw: bytes) -> list[dict[str, Any]]:
    """Read an output without the fields that differ from run to run."""
    lines = [json.loads(line) for line in raw.splitlines()]
    for line in lines:
        del line["attempts"], line["elapsed_s"]
    return lines


@given(st.binary(max_size=60) | st.text(max_size=40).map(str.encode), FORMATS)
@examples(8)
def test_any_bytes_are_an_input_or_refused(raw: bytes, form: str) -> None:
    """In each format an invalid record is named, and the others are completed."""
    with folder() as here:
        (here / "in").write_bytes(raw)
        batch("--format", form)


@given(
    st.lists(
        JSON_VALUES
        | st.dictionaries(
            st.sampled_from(["prompt", "id", "max_tokens", "n", "stop", "model_id", "logprobs"]),
            JSON_VALUES | TEXTS.map(str),
        ),
        max_size=4,
    ),
    st.sampled_from([None, "{prompt}", "{id}: {prompt}", "{", "{{}}"]),
)
@examples(8)
def test_any_records_are_completed_or_named(values: list[Any], template: str | None) -> None:
    """Any JSON values, one a line, are completed or named, with and without a template."""
    with folder() as here:
        (here / "in").write_text("".join(f"{json.dumps(value)}\n" for value in values))
        batch("--format=jsonl", *([] if template is None else ["--template", template]))


@given(PROMPTS)
@examples(5)
def test_good_prompts_have_a_result_each(prompts: list[str]) -> None:
    """Any prompts have results in the order of the input."""
    with folder() as here:
        (here / "in").write_text("".join(json.dumps({"prompt": one}) + "\n" for one in prompts))
        batch("--format=jsonl", "--include-prompt")
        found = results((here / "out.jsonl").read_bytes())
    assert [one["prompt"] for one in found] == prompts
    assert all("choices" in one for one in found)


@given(st.data(), st.booleans())
@examples(5)
def test_an_output_that_was_cut_is_completed(data: st.DataObject, is_shuffled: bool) -> None:
    """An output that is cut at any byte, in any order, is completed by the same command."""
    with folder() as here:
        whole = journal_of(b"one\ntwo\nthree\nfour\n")
        lines = whole.splitlines(keepends=True)
        journal = b"".join(data.draw(st.permutations(lines)) if is_shuffled else lines)
        (here / "out.jsonl").write_bytes(journal[: data.draw(st.integers(0, len(journal)))])
        batch("--format=txt")
        assert results((here / "out.jsonl").read_bytes()) == results(whole)


@given(st.data())
@examples(8)
def test_a_damaged_output_is_completed_or_refused(data: st.DataObject) -> None:
    """An output with missing, doubled or different bytes is completed or refused."""
    with folder() as here:
        whole = journal_of(b"one\ntwo\n")
        (here / "out.jsonl").write_bytes(data.draw(damaged(whole)))
        batch("--format=txt")
        run("batch", "merge", "merged.jsonl", "out.jsonl", env=ENV)
