"""Write a file atomically."""

import contextlib
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from writer_cli import posix_only
from writer_cli.errors import OutputError, UsageError


@contextmanager
def replacement(path: Path, *, mode: int | None = None) -> Iterator[BinaryIO]:
    """Open a temporary file that replaces `path` if the block succeeds, and is deleted if not.

    The temporary file is created before the block runs, in the directory of `path`, so that a
    directory without write permission is an error before anything else is done. A symbolic link is
    kept: its target is replaced. `mode` applies from the creation of the file; by default the file
    keeps its old mode, or gets the mode of the umask. A device or a pipe is written directly.

    On Linux, on most file systems, the temporary file has no name until it is complete, so a killed
    process leaves nothing. Elsewhere it leaves a hidden file.

    Raises:
        UsageError: `path` cannot be written.
        OutputError: Writing failed, for example on a full disk.
    """
    old_mode = _mode(path)
    if old_mode is not None and not stat.S_ISREG(old_mode):
        with _opened(path) as file:
            yield file
        return
    # Only after the check: the target of /dev/stdout may have no path.
    path = Path(os.path.realpath(path))
    descriptor, name = _new_file(path)
    try:
        with _output_errors(path):
            posix_only.set_mode(descriptor, name, _wanted_mode(mode, old_mode))
            with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor
                yield file
                file.flush()
                os.fsync(descriptor)
                if not name:
                    name = str(path.with_name(f"{_hidden(path)}{os.urandom(8).hex()}"))
                    posix_only.give_name(descriptor, name)
            # Only after it is closed: Windows cannot replace an open file.
            os.replace(name, path)  # noqa: PTH105 - it is only a name
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)  # noqa: PTH108 - it is only a name
        raise


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Let one process at a time change the files of a directory; wait for the others.

    Where there is no such directory, or no such lock, nothing is waited for.
    """
    descriptor = -1
    with contextlib.suppress(OSError, posix_only.NoLocksError):
        descriptor = os.open(directory, os.O_RDONLY)
        posix_only.lock(descriptor, wait=True)
    try:
        yield
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def _new_file(path: Path) -> tuple[int, str]:
    """Make a file in the directory of `path`; return its descriptor and its name, or ""."""
    nameless = posix_only.nameless_file(str(path.parent))
    if nameless is not None:
        return nameless, ""
    try:
        import tempfile

        return tempfile.mkstemp(dir=path.parent, prefix=_hidden(path))
    except OSError as error:
        raise _cannot_write(path, error) from error


def _hidden(path: Path) -> str:
    return f".{path.name[:100]}."


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        file = path.open("wb")
    except OSError as error:
        raise _cannot_write(path, error) from error
    with _output_errors(path), file:
        yield file


@contextmanager
def _output_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror or error}") from error


def _cannot_write(path: Path, error: OSError) -> UsageError:
    return UsageError(
        f"{path}: {error.strerror or error}",
        hint="choose a file in a directory that exists and that you may write to",
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
    with _reading_umask:
        umask = os.umask(0)
        os.umask(umask)
    return 0o666 & ~umask


_reading_umask = threading.Lock()
"""The umask can only be read by setting it: of two threads, the second would read the other's 0."""


def is_same_file(one: Path, other: Path) -> bool:
    """Whether two paths are one file that exists."""
    try:
        return one.samefile(other)
    except (OSError, ValueError):
        return False
