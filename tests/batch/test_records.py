"""How lines become records."""

import io
import json
from typing import Any

import pytest

from tests.batch.reading import json_line, problem, prompts, read
from writer_cli.batch.lines import LONGEST_LINE
from writer_cli.batch.records import Format, Reader, Record
from writer_cli.errors import UsageError


def test_a_json_record_has_a_prompt_an_id_and_fields() -> None:
    """A record's id and fields are read, and unknown names are ignored."""
    text = json_line(prompt="a", id="first", max_tokens=3, stop=["."], shop="x") + json_line(
        prompt="b", id=2, temperature=1, top_p=None
    )
    assert read(text) == [
        Record(0, "a", id="first", fields={"max_tokens": 3, "stop": ["."]}, line=1),
        Record(1, "b", id=2, fields={"temperature": 1}, line=2),
    ]


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("jsonl", '{"prompt": "a"}|{"prompt": "b"}'),
        ("csv", "prompt,shop|a,x|b,y"),
        ("tsv", "prompt\tshop|a\tx|b\ty"),
        ("txt", "a|b"),
    ],
)
@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\n\n", "\r\n\r\n\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("is_ended", [True, False], ids=["ended", "open"])
def test_line_ends_blank_lines_and_byte_order_marks_do_not_matter(
    form: Format, text: str, line_break: str, mark: str, is_ended: bool
) -> None:
    """LF or CRLF, blank lines, a byte order mark, and a missing last line end are accepted."""
    end = line_break if is_ended else ""
    assert prompts(mark + text.replace("|", line_break) + end, form) == ["a", "b"]


@pytest.mark.parametrize("form", ["jsonl", "csv", "tsv", "txt"])
@pytest.mark.parametrize("text", ["", "\ufeff", "\n", "\r\n\n"])
def test_an_empty_input_has_no_records(form: Format, text: str) -> None:
    """An empty input has no records and is no error."""
    assert read(text, form) == []


def test_a_table_that_has_only_its_first_line_has_no_records() -> None:
    """The header line of a table is not a record."""
    assert read("id,prompt\n", "csv") == []


def test_a_byte_order_mark_before_a_quoted_name_is_ignored() -> None:
    """A byte order mark before a quoted column name, as of spreadsheets, is ignored."""
    assert prompts('\ufeff"prompt","id"\r\n"a","1"\r\n', "csv") == ["a"]


def test_a_line_keeps_its_spaces_and_its_odd_line_separators() -> None:
    """Only a line feed ends a line of text; CR, form feed and U+2028 in it are kept."""
    text = "  a\rb\x0c\u2028c  "
    assert prompts(f"{text}\nd\n", "txt") == [text, "d"]


def test_a_quoted_cell_may_have_line_breaks_commas_and_quotation_marks() -> None:
    """A row may have several lines; its record has the number of the last."""
    [first, second] = read('prompt,id\n"a\nb, ""c""\r\n",1\nd,2\n', "csv")
    assert (first.prompt, first.line) == ('a\nb, "c"\r\n', 4)
    assert (second.prompt, second.line) == ("d", 5)


def test_cells_are_read_as_the_kinds_of_their_fields() -> None:
    """A cell of a generation field is JSON, an empty cell is ignored, and 5.0 is 5."""
    [full, empty] = read(
        'prompt,id,max_tokens,temperature,stop,n\na,7,5.0,0.5,"[""."", ""!""]", 2\nb,,,,,\n',
        "csv",
    )
    assert full.fields == {"max_tokens": 5, "temperature": 0.5, "stop": [".", "!"], "n": 2}
    assert full.id == "7"
    assert (empty.fields, empty.id, empty.problem) == ({}, None, None)


BAD_JSON = {
    "not JSON": ('{"prompt": ', "not JSON: expecting value, at column 12"),
    "cut": ('{"prompt": "a', "not JSON: unterminated string starting, at column 12"),
    "two": ('{"prompt": "a"} {}', "not JSON: extra data, at column 17"),
    "NaN": ('{"prompt": "a", "n": NaN}', "not JSON: NaN is not a JSON number"),
    "list": ('["prompt"]', "not a JSON object"),
    "text": ('"prompt"', "not a JSON object"),
    "deep": ("[" * 100_000, "nested too deeply"),
    "deep object": ('{"a":' * 100_000, "nested too deeply"),
    "twins": (
        '{"prompt": "a", "prompt": "b"}',
        "the key 'prompt' appears more than once",
    ),
    "twins below": (
        '{"prompt": "a", "x": {"y": 1, "y": 2}}',
        "the key 'y' appears more than once",
    ),
    "no prompt": ('{"Prompt": "a", "id": 1}', "no prompt; found: Prompt, id"),
    "nothing": ("{}", "no prompt; found nothing"),
    "many names": (
        json.dumps(dict.fromkeys(["a" * 40, "b" * 40], 1)),
        f"no prompt; found: {'a' * 40}, {'b' * 18}…",
    ),
    "null": ('{"prompt": null}', "no prompt; found: prompt"),
    "empty": ('{"prompt": ""}', "the prompt is empty"),
    "number": ('{"prompt": 5}', "prompt: not a string"),
    "NUL": ('{"prompt": "a\\u0000b"}', "the prompt has a NUL byte"),
    "surrogate": (
        '{"prompt": "a\\ud800b"}',
        "the prompt has a lone surrogate, which UTF-8 cannot encode",
    ),
    "id": ('{"prompt": "a", "id": 1.5}', "id: neither a string nor a whole number"),
    "id bool": ('{"prompt": "a", "id": true}', "id: neither a string nor a whole number"),
    "id half": ('{"prompt": "a", "id": "\\udfff"}', "id: neither a string nor a whole number"),
    "int": ('{"prompt": "a", "n": "2"}', "n: '2' is not a whole number"),
    "float for int": ('{"prompt": "a", "n": 2.0}', "n: 2.0 is not a whole number"),
    "bool": ('{"prompt": "a", "top_p": true}', "top_p: True is not a number"),
    "huge": ('{"prompt": "a", "n": 1e999}', "n: inf is not a whole number"),
    "stop": ('{"prompt": "a", "stop": "."}', "stop: '.' is not a list of strings"),
    "stops": ('{"prompt": "a", "stop": ["a", 1]}', "stop: ['a', 1] is not a list of strings"),
    "stop half": (
        '{"prompt": "a", "stop": ["\\ud800"]}',
        "stop: ['\\ud800'] is not a list of strings",
    ),
    "long": (
        json.dumps({"prompt": "a", "n": "x" * 1000}),
        f"n: '{'x' * 59}… is not a whole number",
    ),
}


@pytest.mark.parametrize(("text", "message"), BAD_JSON.values(), ids=BAD_JSON)
def test_each_thing_that_is_wrong_with_a_json_record_has_its_message(
    text: str, message: str
) -> None:
    """The error has the line and the reason, and the other records are read."""
    good = json_line(prompt="good")
    first, bad, last = read(f"{good}{text}\n{good}")
    assert (first.prompt, last.prompt) == ("good", "good")
    assert bad.problem == f"line 2: {message}"
    assert (bad.index, bad.prompt, bad.line, bad.fields) == (1, None, 2, {})


def test_a_number_of_five_thousand_digits_is_a_problem_of_its_record() -> None:
    """A number that Python refuses to read is an error of its record only."""
    message = problem('{"prompt": "a", "n": ' + "1" * 5000 + "}")
    assert message.startswith("line 1: ")
    assert len(message) < 200


BAD_BYTES = {
    "not UTF-8": (b'{"prompt": "\xff"}', "not UTF-8 at column 13"),
    "cut UTF-8": (b'{"prompt": "\xe2\x82', "not UTF-8 at column 13"),
    "a surrogate": (b'{"prompt": "\xed\xa0\x80"}', "not UTF-8 at column 13"),
    "NUL": (b'{"prompt": "\0"}', "a NUL byte at column 13"),
}


@pytest.mark.parametrize(("raw", "message"), BAD_BYTES.values(), ids=BAD_BYTES)
@pytest.mark.parametrize("form", ["jsonl", "txt"])
def test_bytes_that_are_no_text_are_found_where_they_are(
    raw: bytes, message: str, form: Format
) -> None:
    """The error has the line and the column in bytes."""
    assert problem(raw + b"\n", form) == f"line 1: {message}"


BAD_ROWS = {
    "few cells": (b"a", "the row has 1 cells, and the header 3 columns"),
    "many cells": (b"a,b,c,d", "the row has 4 cells, and the header 3 columns"),
    "not UTF-8": (b"a\xff,1,", "prompt: not UTF-8"),
    "NUL": (b"a,\0,", "id: a NUL byte"),
    "empty": (b",1,", "the prompt is empty"),
    "after a quotation mark": (b'"a"b,1,', "not a row of a table: ',' expected after '\"'"),
    "no number": (b"a,1,many", "max_tokens: 'many' is not a whole number"),
    "no whole number": (b"a,1,1.5", "max_tokens: 1.5 is not a whole number"),
    "no number in JSON": (b"a,1,NaN", "max_tokens: 'NaN' is not a whole number"),
    "deep": (
        b"a,1," + b"[" * 100_000,
        f"max_tokens: '{'[' * 59}… is not a whole number",
    ),
    "list": (b"a,1,[]", "max_tokens: [] is not a whole number"),
}


@pytest.mark.parametrize(("raw", "message"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_each_thing_that_is_wrong_with_a_row_has_its_message(raw: bytes, message: str) -> None:
    """The error has the line and the reason, and the other rows are read."""
    first, bad, last = read(b"prompt,id,max_tokens\ngood,,\n" + raw + b"\ngood,,\n", "csv")
    assert (first.prompt, last.prompt) == ("good", "good")
    assert bad.problem == f"line 3: {message}"


def test_a_cell_of_stop_sequences_is_json() -> None:
    """A stop sequence that is not a JSON list is refused, and the error says so."""
    message = "line 2: stop: '.' is not a list of strings in JSON"
    assert problem("prompt,stop\na,.\n", "csv") == message


def test_a_quotation_mark_that_is_never_closed_is_found_where_it_opens() -> None:
    """The error names the line of the opening quotation mark."""
    first, bad = read('prompt\na\n"b\nc\nd\n', "csv")
    assert first.prompt == "a"
    assert bad.problem == (
        "line 5: not a row of a table: unexpected end of data; it began in line 3: "
        "is a closing quotation mark missing?"
    )


BAD_FIRST_LINES = {
    "no prompt": ("Prompt,id", "there is no column 'prompt'; found: Prompt, id"),
    "twice": ("prompt,id,id", "2 columns have the name 'id'"),
    "not a row": ('"prompt"x,id', "not a row of a table: ',' expected after '\"'"),
    "NUL": ("prompt,\0", "a NUL byte"),
}


@pytest.mark.parametrize(("line", "message"), BAD_FIRST_LINES.values(), ids=BAD_FIRST_LINES)
def test_an_invalid_header_line_stops_the_reading(line: str, message: str) -> None:
    """An error in the header line is raised once, and not for each row."""
    with pytest.raises(UsageError) as caught:
        read(f"{line}\na,b\n", "csv")
    assert caught.value.message == f"the header line: {message}"


def test_a_header_line_that_is_not_utf_8_stops_the_reading() -> None:
    """A table in another encoding is refused as a whole."""
    with pytest.raises(UsageError, match="the header line: not UTF-8"):
        read(b"prompt,gr\xf6\xdfe\na,b\n", "csv")


def test_a_column_that_the_template_asks_for_must_be_there() -> None:
    """A table without a column of the template is refused as a whole."""
    with pytest.raises(UsageError, match=r"no column 'product'; found: id, prompt"):
        read("prompt,id\na,b\n", "csv", "A tagline for {product}")


@pytest.mark.parametrize("form", ["jsonl", "csv", "txt"])
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_is_recognized_by_its_first_bytes(form: Format, encoding: str) -> None:
    """The hint for UTF-16, as of some editors, has the command that converts it."""
    with pytest.raises(UsageError, match="is UTF-16 and not UTF-8") as caught:
        read("\ufeffprompt\n".encode(encoding), form)
    assert caught.value.hint == "convert it: `iconv -f UTF-16 -t UTF-8`"


class Endless(io.RawIOBase):
    """Records around a very long line, which is never whole in memory."""

    def __init__(self, before: bytes, length: int, after: bytes) -> None:
        pieces = [before, *[b"x" * 2**20] * (length // 2**20), after]
        self._pieces = iter([piece for piece in pieces if piece])

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer that is at least as large as a piece."""
        piece = next(self._pieces, b"")
        buffer[: len(piece)] = piece
        return len(piece)


@pytest.mark.parametrize(
    ("form", "before", "after"),
    [
        ("txt", b"a\n", b"\nb\n"),
        ("jsonl", b'{"prompt": "a"}\n', b'\n{"prompt": "b"}\n'),
        ("csv", b"prompt,id\na,1\n", b",2\nb,3\n"),
        ("csv", b"prompt\na\n", b"\nb\n"),
    ],
)
def test_a_line_that_is_too_long_is_skipped(form: Format, before: bytes, after: bytes) -> None:
    """A line that is too long is an error, and the records around it are read."""
    length = LONGEST_LINE + 2**20
    stream = io.BufferedReader(Endless(before, length, after), buffer_size=2**20)
    reader = Reader(stream, form)
    first, long, last = list(reader)
    assert (first.prompt, last.prompt) == ("a", "b")
    assert long.problem is not None
    assert long.problem.endswith("longer than 64 MiB")
    assert reader.bytes_read == len(before) + length + len(after)


def test_a_line_that_is_too_long_may_be_the_last() -> None:
    """A line that is too long may be the last, without a line end."""
    stream = io.BufferedReader(Endless(b"", LONGEST_LINE, b""), buffer_size=2**20)
    [record] = Reader(stream, "txt")
    assert record.problem == "line 1: longer than 64 MiB"


MISSPELT = {
    "maxTokens": "max_tokens",
    "maxtokens": "max_tokens",
    "Max-Tokens": "max_tokens",
    "max tokens": "max_tokens",
    "max_token": "max_tokens",
    "temprature": "temperature",
    "topP": "top_p",
    "bestOf": "best_of",
    "logprob": "logprobs",
    "presence_penality": "presence_penalty",
    "Stop": "stop",
}


@pytest.mark.parametrize(("name", "meant"), MISSPELT.items())
def test_a_misspelt_field_is_not_passed_over(name: str, meant: str) -> None:
    """A misspelt field is an error, since the text would be generated without it."""
    message = f"line 1: {name!r}: did you mean {meant}?"
    assert problem(json_line(prompt="a", **{name: 1})) == message


@pytest.mark.parametrize("name", ["shop", "step", "top", "name", "seed", "max_price", "tokens"])
def test_other_names_are_left_alone(name: str) -> None:
    """A record may have other names besides its prompt."""
    assert prompts(json_line(prompt="a", **{name: 1})) == ["a"]


def test_a_name_that_the_template_asks_for_is_no_misspelling() -> None:
    """A variable of the template may look like a misspelt field."""
    assert prompts(json_line(Stop="Old Bridge"), template="The bus stop {Stop}") == [
        "The bus stop Old Bridge"
    ]


@pytest.mark.parametrize(
    ("ids", "repeated"),
    [([1, 1], "1"), (["a", "b", "a"], "'a'"), (["", ""], "''"), ([10**50, 10**50], None)],
)
def test_an_id_that_was_used_before_is_a_problem(ids: list[Any], repeated: str | None) -> None:
    """The first record keeps a duplicate id; the error of the second quotes it."""
    *_, last = read("".join(json_line(prompt="a", id=own_id) for own_id in ids))
    assert last.problem == f"line {len(ids)}: id: {repeated or 10**50} was used before"
    assert last.id == ids[-1]


def test_a_number_and_its_text_are_two_ids() -> None:
    """The ids 1 and "1" are different."""
    records = read(json_line(prompt="a", id=1) + json_line(prompt="b", id="1"))
    assert [record.id for record in records] == [1, "1"]


def test_many_ids_are_checked_for_duplicates() -> None:
    """Each of seven thousand ids is new once, and a duplicate the second time."""
    lines = "".join(f'{{"prompt": "a", "id": {number}}}\n' for number in range(7000))
    records = read(lines + lines)
    assert [record.problem for record in records[:7000]] == [None] * 7000
    assert all(record.problem for record in records[7000:])
