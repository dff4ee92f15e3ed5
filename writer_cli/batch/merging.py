"""Merge the outputs of shards into one file."""

import heapq
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

from writer_cli import atomic
from writer_cli.batch.journal import ERROR_MARK, RESULT_LINE
from writer_cli.errors import UsageError


def merge(output: Path, shards: Sequence[Path], records: int | None = None) -> tuple[int, int]:
    """Merge the finished outputs of shards, sorted; return the numbers of answered and failed.

    `records` is the expected number of records; without it, records missing at the end of all
    shards are not noticed. Raises `UsageError` for an index that is missing or in two shards, and
    for an output that is `-` or one of the shards.
    """
    if str(output) == "-":
        raise UsageError("OUTPUT: the merged results go to a file, and - is none", hint="name one")
    for shard in shards:
        if atomic.is_same_file(output, shard):
            raise UsageError(
                f"{output} is one of the shards, and would be lost", hint="name another file"
            )
    failed = 0
    files = [_lines_of(shard) for shard in shards]
    expected, last = 0, shards[0]
    with atomic.replacement(output) as merged:
        for index, line, shard in heapq.merge(*files, key=lambda item: item[0]):
            if index < expected:
                raise UsageError(
                    f"record {index} is in both {last} and {shard}", hint="leave one of them out"
                )
            if index > expected:
                for path in shards:
                    deque(_lines_of(path), maxlen=0)  # raises if it is not sorted or not complete
                raise UsageError(
                    f"record {expected} is missing: it is in none of the files",
                    hint="did you leave a shard out, or did one not finish? run it again",
                )
            merged.write(line)
            failed += ERROR_MARK in line
            expected, last = index + 1, shard
        if records is not None and records != expected:
            raise UsageError(
                f"the files have {expected} records, not {records}",
                hint="did you leave a shard out, or did one not finish? run it again",
            )
    return expected - failed, failed


def _lines_of(shard: Path) -> Iterator[tuple[int, bytes, Path]]:
    previous = -1
    try:
        with shard.open("rb") as file:
            for number, line in enumerate(file, 1):
                match = RESULT_LINE.fullmatch(line)
                if match is None:
                    raise UsageError(
                        f"{shard}: line {number} is not a complete result of a batch",
                        hint="run that shard again: it continues where it stopped",
                    )
                index = int(match["index"])
                if index <= previous:
                    raise UsageError(
                        f"{shard} is not in order: that shard did not finish",
                        hint="run it again: it continues where it stopped",
                    )
                previous = index
                yield index, line, shard
    except OSError as error:
        raise UsageError(
            f"{shard}: {error.strerror}", hint="name the outputs of the shards"
        ) from error
