"""An end to waiting, whatever it is that one waits for."""

import threading
import time
from collections.abc import Generator
from queue import Empty, SimpleQueue
from typing import TypeVar

from writer_cli.errors import DeadlineError

DEFAULT_TIMEOUT = 180.0
"""Seconds to wait for each part of an answer; what Writer's own SDK waits."""

_Piece = TypeVar("_Piece")


def with_deadline(ends: float, pieces: Generator[_Piece]) -> Generator[_Piece]:
    """Yield what a generator yields, and give up on it when `time.monotonic()` reaches `ends`.

    The generator runs in a thread of its own: a name that is looked up, or a server that sends a
    byte now and then, cannot be interrupted otherwise. It takes a step when one is asked for, as
    any generator does, and is closed before this one has been; only a step that is under way when
    time is up is left to itself, and the generator is closed after it.

    Raises `DeadlineError`.
    """
    wanted: SimpleQueue[bool] = SimpleQueue()
    arrived: SimpleQueue[_Piece | BaseException] = SimpleQueue()

    def produce() -> None:
        try:
            while wanted.get():
                arrived.put(next(pieces))
        except BaseException as failure:  # noqa: BLE001 - it is raised again where it belongs
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
