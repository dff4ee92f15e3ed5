"""A file that is there whole or not at all."""

import contextlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from writer_cli import posix_only
from writer_cli.errors import OutputError, UsageError


@contextmanager
def replacement(path: Path, *, mode: int | None = None) -> Iterator[BinaryIO]:
    """Open a file that takes the place of `path` when the block ends well, and vanishes otherwise.

    It is made before the block begins, beside `path`, so that a place that cannot be written to is
    known before anything else is done. A link stays a link. `mode` holds from the moment the file
    exists; without it the old file's mode is kept, or the umask decides. A device or a pipe is
    written to directly, for there is nothing to replace.

    Raises:
        UsageError: Nothing can be written there.
        OutputError: Writing failed halfway, as on a full disk.
    """
    old_mode = _mode(path)
    if old_mode is not None and not stat.S_ISREG(old_mode):
        with _opened(path) as file:
            yield file
        return
    # Not before: what /dev/stdout leads to need not have a name.
    path = Path(os.path.realpath(path))
    try:
        import tempfile

        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.")
    except OSError as error:
        raise _cannot_write(path, error) from error
    try:
        posix_only.set_mode(descriptor, name, _wanted_mode(mode, old_mode))
        with _failing_as_output_error(path):
            with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor
                yield file
                file.flush()
                os.fsync(descriptor)
            # Not before it is closed: Windows keeps the name of a file that is open.
            os.replace(name, path)  # noqa: PTH105 - the name comes from tempfile
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)  # noqa: PTH108 - the name comes from tempfile
        raise


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        file = path.open("wb")
    except OSError as error:
        raise _cannot_write(path, error) from error
    with _failing_as_output_error(path), file:
        yield file


@contextmanager
def _failing_as_output_error(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror or error}") from error


def _cannot_write(path: Path, error: OSError) -> UsageError:
    return UsageError(
        f"{path}: {error.strerror or error}", hint="name a file in a directory that can be written"
    )


def _mode(path: Path) -> int | None:
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return None
    except OSError as error:  # a name that is too long, a link that leads to itself
        raise _cannot_write(path, error) from error


def _wanted_mode(mode: int | None, old_mode: int | None) -> int:
    if mode is not None:
        return mode
    if old_mode is not None:
        return stat.S_IMODE(old_mode)
    umask = os.umask(0)
    os.umask(umask)
    return 0o666 & ~umask
