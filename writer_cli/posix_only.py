"""What only POSIX systems have, and what happens on the others.

No other module uses a function, a constant or a module that other systems lack; a test checks this.
"""

import errno
import os
import signal
import stat
import warnings

RESULT_FILE_FLAGS = (
    os.O_RDWR
    | os.O_CREAT
    | os.O_APPEND
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NONBLOCK", 0)  # not to wait for the other end of a pipe
    | getattr(os, "O_BINARY", 0)  # only Windows has it, and would change line ends without it
)
"""How a file that a batch writes its results to is opened."""

_HAS_OWNERS = hasattr(os, "geteuid")
"""Whether the mode of a file says who may read it. On Windows every mode allows everybody."""


STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM) + (
    (signal.SIGHUP,) if hasattr(signal, "SIGHUP") else ()
)
"""What asks a process to stop: Ctrl-C, `kill`, and a terminal that was closed."""


class NoLocksError(Exception):
    """This system cannot lock files."""


def lock(descriptor: int, *, wait: bool = False) -> None:
    """Keep other processes from locking an open file until it is closed or this process ends.

    Args:
        descriptor: The file, opened for writing.
        wait: Wait while another process has the lock.

    Raises:
        BlockingIOError: Another process has the lock, and `wait` is false.
        NoLocksError: The system has no locks.
        OSError: The file system has none.
    """
    with warnings.catch_warnings():
        # Where there are no locks, filelock warns that it offers something else.
        warnings.simplefilter("ignore")
        import filelock
    try:
        is_locked = filelock.lock_descriptor(descriptor, blocking=wait)
    except OSError as error:
        if error.errno == errno.ENOSYS:
            raise NoLocksError from error
        raise
    if not is_locked:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))


def nameless_file(directory: str) -> int | None:
    """Make a file that has no name yet, for reading and writing; return its descriptor.

    Nothing is left of it if the process is killed. None where the system or the file system has no
    such files: Linux has them, on most file systems.
    """
    try:
        descriptor = os.open(directory, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except (AttributeError, OSError):
        return None
    if os.path.exists(_by_number(descriptor)):  # noqa: PTH110 - it is no more than a name
        return descriptor
    os.close(descriptor)  # without /proc it can never have a name
    return None


def give_name(descriptor: int, name: str) -> None:
    """Give a file of `nameless_file` a name that is free, in the directory in which it was made."""
    # With `src_dir_fd`, Python uses `linkat` and follows the link; any descriptor will do.
    os.link(_by_number(descriptor), name, src_dir_fd=descriptor)


def _by_number(descriptor: int) -> str:
    return f"/proc/self/fd/{descriptor}"


def open_pipe(path: str | os.PathLike[str]) -> int:
    """Open a pipe for reading, without waiting for a program that writes into it."""
    return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)


def set_mode(descriptor: int, path: str, mode: int) -> None:
    """Set who may read and write an open file. Windows keeps only whether it can be written."""
    os.chmod(descriptor if os.chmod in os.supports_fd else path, mode)  # noqa: PTH101 - a descriptor


def others_can_read(mode: int) -> bool:
    """Whether a file with this mode can be read by other users; False where modes do not say it."""
    return _HAS_OWNERS and bool(mode & (stat.S_IRGRP | stat.S_IROTH))


def others_can_write(mode: int) -> bool:
    """Whether other users can write to a file with this mode; False where modes do not say it."""
    return _HAS_OWNERS and bool(mode & (stat.S_IWGRP | stat.S_IWOTH))


def end_by_signal(number: int) -> None:
    """End this process by a signal; return where a signal does not do that.

    A shell that runs a loop stops it when Ctrl-C killed the command, and goes on when the command
    merely exited with 130. Process 1 of a container cannot be killed so, and on Windows a process
    cannot end by a signal.
    """
    if hasattr(os, "WIFSIGNALED"):
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
