"""A deadline for any step that cannot be interrupted."""

import threading
import time
from collections.abc import Generator
from queue import Empty, SimpleQueue
from typing import TypeVar

from writer_cli.errors import DeadlineError

_Piece = TypeVar("_Piece")


def with_deadline(ends: float, pieces: Generator[_Piece]) -> Generator[_Piece]:
    """Yield the items of a generator until `time.monotonic()` reaches `ends`.

    The generator runs in its own thread, because nothing else can interrupt a DNS lookup or a
    server that sends one byte now and then. It computes an item only when the caller asks for one,
    and is closed when this generator is closed. An item that is still being computed at the
    deadline is abandoned; its thread then closes the generator.

    Raises `DeadlineError`.
    """
    wanted: SimpleQueue[bool] = SimpleQueue()
    arrived: SimpleQueue[_Piece | BaseException] = SimpleQueue()

    def produce() -> None:
        try:
            while wanted.get():
                arrived.put(next(pieces))
        except BaseException as failure:  # noqa: BLE001 - raised again in the calling thread
            arrived.put(failure)
        finally:
            pieces.close()

    thread = threading.Thread(target=produce, daemon=True)
    thread.start()
    is_idle = True
    try:
        while True:
            is_idle = False
            wanted.put(True)
            try:
                piece = arrived.get(timeout=max(0.0, ends - time.monotonic()))
            except Empty:
                raise DeadlineError from None
            is_idle = True
            if isinstance(piece, StopIteration):
                return
            if isinstance(piece, BaseException):
                raise piece
            yield piece
    finally:
        wanted.put(False)
        if is_idle:
            thread.join()
