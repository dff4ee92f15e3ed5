"""The summary of a batch, and its results as lines and rows."""

import json
from typing import Any

import pytest

from writer_cli.batch import Record, Result
from writer_cli.batch.job import Progress
from writer_cli.batch.summary import Summary
from writer_cli.batch.tables import first_row, rows_of


def result(elapsed_s: float = 1.0, **fields: Any) -> Result:
    """Return an answered record."""
    usual: dict[str, Any] = {
        "record": Record(3, "p"),
        "choices": [{"index": 0, "text": "t"}],
        "model_id": "m",
        "attempts": 1,
        "elapsed_s": elapsed_s,
    }
    return Result(**(usual | fields))


def test_an_empty_summary_has_no_figures() -> None:
    """What is unknown is null."""
    assert Summary().as_dict() == {
        "answered": 0,
        "failed": 0,
        "cached": 0,
        "attempts": 0,
        "usage": None,
        "bound": None,
        "latency": {"p50_s": None, "p95_s": None, "max_s": None},
        "errors": [],
    }


def test_a_summary_counts_answers_failures_and_tokens() -> None:
    """An answer from the cache has no latency and no tokens."""
    summary = Summary()
    usage = {"prompt_tokens": 1, "completion_tokens": None, "total_tokens": 5}
    summary.add(result(0.12345, attempts=2, usage=usage))
    summary.add(result(0.5, usage=usage))
    summary.add(result(9.0, attempts=0, usage=usage))
    summary.add(result(error={"kind": "k", "message": "m"}, choices=None, attempts=3))
    shown = summary.as_dict()
    latency = shown.pop("latency")
    assert shown == {
        "answered": 3,
        "failed": 1,
        "cached": 1,
        "attempts": 6,
        "usage": {"prompt_tokens": 2, "completion_tokens": None, "total_tokens": 10},
        "bound": None,
        "errors": [{"kind": "k", "count": 1, "first": "m"}],
    }
    assert latency["max_s"] == 0.5
    assert latency["p50_s"] == pytest.approx(0.123, rel=0.05)
    assert latency["p50_s"] == round(latency["p50_s"], 4)
    assert latency["p95_s"] == 0.5


def test_only_cached_answers_have_no_latency() -> None:
    """The percentiles are null."""
    summary = Summary()
    summary.add(result(attempts=0))
    assert summary.as_dict()["latency"] == {"p50_s": None, "p95_s": None, "max_s": None}
    assert summary.percentile(50) == 0


def test_a_percentile_is_the_first_bin_that_reaches_it() -> None:
    """Of two answers, half are as fast as the faster one."""
    summary = Summary()
    summary.add(result(0.0))
    summary.add(result(1.0))
    assert summary.percentile(50) == pytest.approx(1e-4, rel=0.05)
    assert summary.percentile(51) == summary.percentile(100) == 1.0


@pytest.mark.parametrize(
    ("steps", "bars", "expected"),
    [
        ([0], 8, [(0, 1)]),
        ([0, 1], 8, [(0, 1), (1, 1)]),
        ([0, 7], 8, [(0, 1), *((n, 0) for n in range(1, 7)), (7, 1)]),
        ([0, 8], 8, [(1, 1), (3, 0), (5, 0), (7, 0), (9, 1)]),
        ([-3, -3, 4], 2, [(0, 2), (4, 1)]),
    ],
)
def test_the_bars_of_a_histogram_have_one_width(
    steps: list[int], bars: int, expected: list[tuple[int, int]]
) -> None:
    """Each bar ends 5 % or a power of that above the one before."""
    summary = Summary()
    for step in steps:
        summary.add(result(1.05**step))
    shown = summary.histogram(bars)
    assert [count for _, count in shown] == [count for _, count in expected]
    assert [limit for limit, _ in shown] == pytest.approx([1.05**end for end, _ in expected])
    assert len(summary.histogram()) <= 8


def test_what_bounded_the_speed_for_most_of_the_time() -> None:
    """Numbers do not matter for that, and the last ones are shown; threads are no bound."""
    summary = Summary()
    for bound in ("3 in flight", "4 in flight", "limited by --rpm"):
        summary.see_bound(bound)
    assert summary.bound is None
    for number in (5, 6, 7):
        summary.see_bound(f"waiting {number} s, as the server asks")
    assert summary.bound == "waiting 7 s, as the server asks"
    summary = Summary()
    summary.see_bound("")
    assert summary.bound is None


@pytest.mark.parametrize(
    ("answered", "failed", "left", "part"),
    [(1, 1, 2.0, 0.5), (0, 0, 2.0, 0.0), (0, 0, 0.0, 0.0), (1, 0, 0.0, 1.0), (1, 0, None, None)],
)
def test_the_part_of_a_batch_that_is_done(
    answered: int, failed: int, left: float | None, part: float | None
) -> None:
    """It is unknown if nobody knows how much is left."""
    batch: Any = None
    assert Progress(answered, failed, 0, left, batch).part_done == part


def test_a_line_of_a_result_has_its_keys_in_order() -> None:
    """The prompt is there on demand, the id if there is one, and seconds have three decimals."""
    usage = {"total_tokens": 5}
    full = result(1.23456, record=Record(3, "p\ud800", id="é"), usage=usage)
    line = full.as_line(0xAB, include_prompt=True)
    assert (
        line
        == (
            '{"index": 3, "id": "é", "prompt": "p?", "choices": [{"index": 0, "text": "t"}], '
            '"usage": {"total_tokens": 5}, "model_id": "m", "attempts": 1, "elapsed_s": 1.235, '
            '"digest": "00000000000000ab"}\n'
        ).encode()
    )
    failed = result(error={"kind": "k"}, choices=None)
    assert list(json.loads(failed.as_line(1, include_prompt=False))) == [
        "index",
        "error",
        "model_id",
        "attempts",
        "elapsed_s",
        "digest",
    ]
    assert (failed.texts, full.texts, full.index) == ([], ["t"], 3)


ANSWERED = {
    "index": 3,
    "id": "i",
    "prompt": "p",
    "choices": [{"index": 0, "text": 'a\\\r\n"b"'}, {"index": 1, "text": "é\ud800"}],
}
FAILED = {"index": 4, "prompt": "p", "error": {"message": "m, n"}}


@pytest.mark.parametrize(
    ("content", "form", "include_prompt", "row"),
    [
        (ANSWERED, "csv", False, '3,i,0,"a\\\r\n""b""",\n3,i,1,é?,\n'),
        (ANSWERED, "csv", True, '3,i,p,0,"a\\\r\n""b""",\n3,i,p,1,é?,\n'),
        (FAILED, "csv", False, '4,,,,"m, n"\n'),
        (ANSWERED, "txt", False, 'a\\\\\\r\\n"b"\n'),
        (FAILED, "txt", True, "\n"),
    ],
)
def test_a_row_of_a_table(content: Any, form: Any, row: str, *, include_prompt: bool) -> None:
    """Csv has a row for each choice, txt one line for each record."""
    line = json.dumps(content).encode() + b"\n"
    assert rows_of(line, form, include_prompt=include_prompt) == row.encode()
    assert rows_of(line, "jsonl", include_prompt=include_prompt) == line


def test_the_first_row_of_a_table() -> None:
    """Only csv has names of columns."""
    assert first_row("csv", include_prompt=True) == b"index,id,prompt,choice,text,error\n"
    assert first_row("csv", include_prompt=False) == b"index,id,choice,text,error\n"
    assert first_row("txt", include_prompt=True) == b""
