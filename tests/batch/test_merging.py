import json
from pathlib import Path

import pytest

from writer_cli.cli import main
from writer_cli.output.terminal import FakeTerminal, Terminal


def line(index: int, *, failed: bool = False) -> str:
    """Write a result as a batch does."""
    outcome = (
        {"error": {"kind": "server", "message": "internal error"}}
        if failed
        else {"choices": [{"index": 0, "text": f"text {index}", "logprobs": None}]}
    )
    result = {"index": index} | outcome | {"model_id": "m", "digest": f"{index:016x}"}
    return json.dumps(result) + "\n"


def shard(tmp_path: Path, name: str, *indexes: int) -> str:
    """Write the output of a shard, and return its path."""
    path = tmp_path / name
    path.write_text("".join(map(line, indexes)))
    return str(path)


def merge(*arguments: str) -> FakeTerminal:
    """Merge files; fail the test if that is refused."""
    terminal = Terminal.fake()
    assert main(["batch", "merge", *arguments], terminal) == 0, terminal.errors
    return terminal


def refusal(*arguments: str) -> str:
    """Try to merge; return the error."""
    terminal = Terminal.fake()
    assert main(["batch", "merge", *arguments, "--json"], terminal) == 2
    assert terminal.output == b""
    message: str = json.loads(terminal.errors)["error"]["message"]
    return message


def test_shards_become_one_file_in_order(tmp_path: Path) -> None:
    """The merged records are in the order of the input, whatever the order of the files."""
    out = tmp_path / "all.jsonl"
    parts = [
        shard(tmp_path, "2", 2, 5),
        shard(tmp_path, "0", 0, 3, 6),
        shard(tmp_path, "1", 1, 4),
    ]
    terminal = merge(str(out), *parts)
    assert out.read_text() == "".join(map(line, range(7)))
    assert terminal.errors == f"7 answered, 0 failed, in {out}\n"
    assert terminal.output == b""


def test_the_result_is_one_json_object_for_a_script(tmp_path: Path) -> None:
    """Failed records are merged and counted too."""
    out = tmp_path / "all.jsonl"
    (tmp_path / "1").write_text(line(1, failed=True))
    terminal = Terminal.fake()
    parts = [shard(tmp_path, "0", 0, 2), str(tmp_path / "1")]
    assert main(["batch", "merge", str(out), *parts, "--json"], terminal) == 0
    assert json.loads(terminal.output) == {
        "version": 1,
        "output": str(out),
        "answered": 2,
        "failed": 1,
    }
    assert terminal.errors == ""


def test_a_shard_may_be_empty(tmp_path: Path) -> None:
    """Three records on four machines leave one shard empty; `--quiet` prints nothing."""
    parts = [shard(tmp_path, str(n), *([n] if n < 3 else [])) for n in range(4)]
    terminal = merge(str(tmp_path / "all"), *parts, "--quiet")
    assert (tmp_path / "all").read_text() == "".join(map(line, range(3)))
    assert terminal.errors == ""


def test_a_merged_file_can_be_merged_again(tmp_path: Path) -> None:
    """A merged file can be merged like any other output."""
    whole = str(tmp_path / "all")
    merge(whole, shard(tmp_path, "0", 0, 2), shard(tmp_path, "1", 1))
    merge(str(tmp_path / "copy"), whole)
    assert (tmp_path / "copy").read_bytes() == (tmp_path / "all").read_bytes()


@pytest.mark.parametrize(
    ("first", "second", "missing"),
    [((0, 2, 4), (3,), 1), ((1, 3), (5,), 0), ((0, 3), (1, 4), 2)],
)
def test_a_gap_is_named(
    tmp_path: Path, first: tuple[int, ...], second: tuple[int, ...], missing: int
) -> None:
    """The error names the first missing record, and nothing is written."""
    out = tmp_path / "all"
    out.write_text("old\n")
    parts = [shard(tmp_path, "0", *first), shard(tmp_path, "1", *second)]
    message = refusal(str(out), *parts)
    assert message == f"record {missing} is missing: it is in none of the files"
    assert out.read_text() == "old\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1", "all"]


def test_an_overlap_is_named_with_both_files(tmp_path: Path) -> None:
    """A record in two files is an error, since either may be the wanted one."""
    one, other = shard(tmp_path, "0", 0, 1, 2), shard(tmp_path, "1", 2, 3)
    message = refusal(str(tmp_path / "all"), one, other)
    assert message == f"record 2 is in both {one} and {other}"


def test_the_output_is_none_of_the_shards(tmp_path: Path) -> None:
    """A shard is not overwritten, whatever path leads to it."""
    part = shard(tmp_path, "0", 0)
    link = tmp_path / "link"
    link.symlink_to(part)
    for out in (part, str(link)):
        assert refusal(out, part) == f"{out} is one of the shards, and would be lost"
    assert Path(part).read_text() == line(0)


def test_the_output_is_a_file(tmp_path: Path) -> None:
    """A hyphen, elsewhere standard output, is refused."""
    message = refusal("-", shard(tmp_path, "0", 0))
    assert message == "OUTPUT: the merged results go to a file, and - is none"


def test_the_same_file_twice_is_an_overlap(tmp_path: Path) -> None:
    """A file that is given twice is an overlap."""
    part = shard(tmp_path, "0", 0)
    message = refusal(str(tmp_path / "all"), part, part)
    assert message == f"record 0 is in both {part} and {part}"


def test_records_that_are_missing_at_the_end_are_noticed_by_the_count(tmp_path: Path) -> None:
    """With `--records N` missing records at the end are an error too."""
    out, parts = tmp_path / "all", [shard(tmp_path, "0", 0, 2), shard(tmp_path, "1", 1)]
    message = refusal(str(out), *parts, "--records", "4")
    assert message == "the files have 3 records, not 4"
    assert not out.exists()
    merge(str(out), *parts, "--records", "3")
    assert out.read_text() == "".join(map(line, range(3)))


def test_a_shard_that_did_not_finish_is_refused(tmp_path: Path) -> None:
    """A file that is not sorted is refused, since its shard may still run."""
    part = shard(tmp_path, "0", 1, 0)
    message = refusal(str(tmp_path / "all"), part)
    assert message == f"{part} is not in order: that shard did not finish"


@pytest.mark.parametrize(
    "content",
    ["not JSON\n", line(1)[:-1], line(1)[:40] + "\n", '{"index": 1}\n', "\n", "\0" * 10],
    ids=["text", "no line feed", "torn", "another JSON", "blank", "NUL"],
)
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: str) -> None:
    """The error names the line that is not a result."""
    part = tmp_path / "0"
    part.write_text(line(0) + content)
    message = refusal(str(tmp_path / "all"), str(part))
    assert message == f"{part}: line 2 is not a complete result of a batch"


def test_a_shard_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The error names a file that does not exist."""
    assert refusal(str(tmp_path / "all"), str(tmp_path / "0")) == (
        f"{tmp_path / '0'}: No such file or directory"
    )


def test_an_output_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """An output that cannot be written is an error before a shard is read."""
    out = tmp_path / "nowhere" / "all"
    assert refusal(str(out), "no such file") == f"{out}: No such file or directory"


def test_a_shard_is_needed() -> None:
    """At least one file must be given."""
    assert refusal("all.jsonl") == "writer batch merge needs SHARD..."


def test_a_file_that_is_called_merge_can_be_a_batch(tmp_path: Path) -> None:
    """`batch ./merge` reads the file `merge`, and `batch merge` is the command."""
    (tmp_path / "merge").write_text("The sea\n")
    terminal = Terminal.fake()
    arguments = [f"{tmp_path}/merge", "--format", "txt", "--sandbox", "-o", f"{tmp_path}/out"]
    assert main(["batch", *arguments, "--max-tokens", "3"], terminal) == 0
    assert terminal.errors.startswith("1 answered, 0 failed")
