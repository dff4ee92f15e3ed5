"""Results on a stream that cannot be read again: in the order of the input, as soon as it allows.

There is no journal then, so a run cannot be resumed.
"""

import shlex
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Self

from writer_cli.batch.records import Record

MOST_AHEAD = 1000
"""Records that are taken before the first of them has a result; then nothing more is sent."""


class OrderedOutput:
    """Writes each result in its turn, and holds those that come earlier in memory.

    While the result of one record is awaited, up to `most_ahead` records after it are sent. Then
    no further record is taken until that result is there: memory stays bounded.

    Args:
        write: Writes one result, a line of JSON; what it raises stops the batch.
        write_gap: Called in the place of a record without a result, if later ones have theirs.
        most_ahead: See above; 1 or more.
    """

    def __init__(
        self,
        write: Callable[[bytes], None],
        *,
        write_gap: Callable[[], None] = lambda: None,
        most_ahead: int = MOST_AHEAD,
    ) -> None:
        self.answered = 0
        self.failed = 0
        self._write = write
        self._write_gap = write_gap
        self._most_ahead = most_ahead
        self._order: deque[int] = deque()
        """The indexes of the records that were taken and not written yet, in their order."""
        self._held: dict[int, bytes] = {}
        self._is_closed = False
        self._has_failed = False
        """Whether a result could not be written; then no other is tried, and all are held."""
        self._changed = threading.Condition()
        """Guards all of this; told when there is room for another record."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def pending(self, records: Iterable[Record], _: str) -> Iterator[Record]:
        """Yield the records, each once there is room for its result."""
        for record in records:
            with self._changed:
                self._changed.wait_for(
                    lambda: len(self._order) < self._most_ahead or self._is_closed
                )
                if self._is_closed:
                    return
                self._order.append(record.index)
            yield record

    def append(self, index: int, line: bytes, _: int, *, failed: bool) -> None:
        """Write a result if it is its turn, and those that waited for it. Raises what `write` does.

        What could not be written stays in memory.
        """
        with self._changed:
            self._held[index] = line
            self.answered += not failed
            self.failed += failed
            while not self._has_failed and self._order and self._order[0] in self._held:
                self._write_first()

    def put_in_order(self) -> None:
        """Write the results that still wait, because a record before them will not have one."""
        with self._changed:
            while self._held:
                if self._order[0] in self._held:
                    self._write_first()
                else:
                    self._order.popleft()
                    self._write_gap()

    def _write_first(self) -> None:
        try:
            self._write(self._held[self._order[0]])
        except BaseException:
            self._has_failed = True
            raise
        del self._held[self._order.popleft()]
        self._changed.notify_all()

    def rescue(self, _: Sequence[bytes]) -> str:
        """Keep what could not be written in a temporary file, and say where it is."""
        with self._changed:
            lines = [self._held[index] for index in self._order if index in self._held]
        try:
            with tempfile.NamedTemporaryFile(
                prefix="writer-batch-", suffix=".jsonl", delete=False
            ) as kept:
                kept.writelines(lines)
        except OSError as error:
            return f"{tempfile.gettempdir()}: {error.strerror} there too: {len(lines)} are lost"
        return f"results that were not written: {len(lines)}, in {shlex.quote(kept.name)}"
