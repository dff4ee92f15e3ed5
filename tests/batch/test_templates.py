"""Templates, formats, and arbitrary inputs."""

import io
import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.batch.reading import json_line, problem, prompts, read
from writer_cli.batch.lines import FIELDS, LONGEST_LINE
from writer_cli.batch.records import Format, Reader, Template, detected_format
from writer_cli.errors import UsageError


def test_a_template_takes_texts_as_they_are_and_all_else_as_json() -> None:
    """Strings are inserted unchanged, other values as JSON; `{{` is a brace."""
    text = json_line(name="{id}", id=5, list=["a", None], flag=True)
    template = "{{{name}}} { id } {list} {flag} }}{{"
    assert prompts(text, template=template) == ['{{id}} 5 ["a", null] true }{']


def test_a_line_of_text_is_the_variable_prompt() -> None:
    """In a text input, each line is the variable `prompt` of the template."""
    assert prompts("tea\n", "txt", "A tagline for {prompt}:") == ["A tagline for tea:"]


@pytest.mark.parametrize(
    "variable", ["a.__class__", "a[b]", "a!r", "a:>10", "0", "a.__init__.__globals__", "__class__"]
)
def test_a_template_reaches_into_no_value(variable: str) -> None:
    """Python's syntax for attributes and items is part of a variable's name."""
    message = problem(json_line(a={"b": 1}, c=["x"]), template=f"{{{variable}}}")
    assert message == f"line 1: the template needs {variable!r}, which has no value; found: a, c"
    assert prompts(json_line(**{variable: "x"}), template=f"{{{variable}}}") == ["x"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"id": 1}, "the template needs 'product', which has no value; found: id"),
        ({"product": None}, "the template needs 'product', which has no value; found: product"),
        ({"product": ""}, "all variables of the template are empty: product"),
        ({"product": "a\0"}, "the prompt has a NUL byte"),
    ],
)
def test_a_record_that_the_template_cannot_use_has_a_problem(
    content: dict[str, Any], message: str
) -> None:
    """A missing variable is an error, and so is a prompt of empty texts alone."""
    assert problem(json_line(**content), template="A tagline for {product}") == f"line 1: {message}"


def test_one_of_several_variables_may_be_empty() -> None:
    """A variable may be empty if another has a text."""
    assert prompts("a,b\nx,\n", "csv", "{a}{b}") == ["x"]


@pytest.mark.parametrize("name", ["a", "stop"])
def test_no_depth_of_nesting_stops_the_reading(name: str) -> None:
    """JSON that is nested too deeply to be written is an error of its record."""
    found = set()
    near_the_limit = range(sys.getrecursionlimit() - 300, sys.getrecursionlimit())
    for depth in [*near_the_limit, 100_000]:  # newer versions of Python have a higher one for JSON
        [record] = read(
            f'{{"b": 1, "{name}": {"[" * depth + "]" * depth}}}', template=f"{{{name}}}"
        )
        found.add(record.problem)
    assert "line 1: nested too deeply" in found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a {b", "--template: a single { at character 3"),
        ("a } {b}", "--template: a single } at character 3"),
        ("{}", "--template: a single { at character 1"),
        ("{ }", "--template: a single { at character 1"),
        ("{a{b}}", "--template: a single { at character 1"),
        ("plain", "--template: it has no variable, so all prompts would be the same"),
        ("", "--template: it has no variable, so all prompts would be the same"),
        ("{{a}}", "--template: it has no variable, so all prompts would be the same"),
        ("{a}\udcff", "--template: not UTF-8"),
    ],
)
def test_an_invalid_template_is_refused(text: str, message: str) -> None:
    """A template is checked before a record is read."""
    with pytest.raises(UsageError) as caught:
        Template(text)
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("a.jsonl", "jsonl"),
        ("a.ndjson", "jsonl"),
        ("A.CSV", "csv"),
        ("a.tsv", "tsv"),
        ("a.b.txt", "txt"),
    ],
)
def test_the_end_of_a_name_says_the_format(name: str, form: Format) -> None:
    """The format follows the file's extension, unless it is given."""
    assert detected_format(name, None) == form
    assert detected_format(name, "txt") == "txt"


@pytest.mark.parametrize(
    ("name", "shown"), [("-", "standard input"), ("a.gz", "a.gz"), ("jsonl", "jsonl")]
)
def test_an_unknown_format_is_an_error(name: str, shown: str) -> None:
    """Without a known extension the format must be given."""
    with pytest.raises(UsageError) as caught:
        detected_format(name, None)
    assert caught.value.message == f"--format: the format of {shown} is unknown"
    assert caught.value.hint == "--format jsonl|csv|tsv|txt"


def test_reading_takes_no_more_than_the_next_line() -> None:
    """A record is returned before the next line is read."""

    def lines() -> Iterator[bytes]:
        yield b"a\n"
        yield b"b\n"
        pytest.fail("the third line was asked for")

    class Slow(io.BytesIO):
        source = lines()

        def readline(self, size: int | None = -1, /) -> bytes:
            assert size == LONGEST_LINE
            return next(self.source)

    records = iter(Reader(Slow(), "txt"))
    assert [next(records).prompt, next(records).prompt] == ["a", "b"]


JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from(["prompt", "id", *FIELDS]) | st.text(), JSON_VALUES, max_size=6
    ),
    st.sampled_from([None, "{prompt}", "{id}{prompt}"]),
)
def test_any_object_is_a_record_that_can_be_written(
    content: dict[str, Any], template: str | None
) -> None:
    """Any JSON object gives a prompt or an error, which can be written as UTF-8."""
    for record in read(json.dumps(content), "jsonl", template):
        assert (record.prompt is None) is (record.problem is not None)
        assert record.digest("") == record.digest("")
        if record.prompt is not None:
            assert record.prompt.encode()
        json.dumps(record.id).encode()


@given(st.binary(max_size=200), st.sampled_from(["jsonl", "csv", "tsv", "txt"]))
def test_any_bytes_are_records_or_no_input(raw: bytes, form: Format) -> None:
    """Any bytes are read to the end or refused as a whole."""
    reader = Reader(io.BytesIO(raw), form)
    try:
        records = list(reader)
    except UsageError:
        return
    assert [record.index for record in records] == list(range(len(records)))
    assert reader.bytes_read == len(raw)
