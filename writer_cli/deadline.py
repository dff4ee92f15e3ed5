"""An end to waiting, whatever it is that one waits for."""

import threading
import time
from collections.abc import Generator
from queue import Empty, SimpleQueue
from typing import TypeVar

from writer_cli.errors import RequestTimeoutError

_Piece = TypeVar("_Piece")


def before(seconds: float, pieces: Generator[_Piece]) -> Generator[_Piece]:
    """Yield what a generator yields, and give up on it when time is up.

    The generator runs in a thread of its own, which is left to itself then: a name that is looked
    up, or a server that sends a byte now and then, cannot be interrupted otherwise.

    Raises `RequestTimeoutError`.
    """
    arrived: SimpleQueue[tuple[_Piece | None, BaseException | None]] = SimpleQueue()
    abandoned = threading.Event()

    def produce() -> None:
        try:
            for piece in pieces:
                arrived.put((piece, None))
                if abandoned.is_set():
                    break
        except BaseException as error:  # noqa: BLE001 - it is raised again where it belongs
            arrived.put((None, error))
        else:
            arrived.put((None, None))
        finally:
            pieces.close()

    ends = time.monotonic() + seconds
    threading.Thread(target=produce, daemon=True).start()
    try:
        while True:
            try:
                piece, error = arrived.get(timeout=max(0.0, ends - time.monotonic()))
            except Empty:
                raise RequestTimeoutError(
                    "the deadline passed before the answer was whole"
                ) from None
            if error is not None:
                raise error
            if piece is None:
                return
            yield piece
    finally:
        abandoned.set()
