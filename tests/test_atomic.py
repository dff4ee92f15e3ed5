import contextlib
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.harness.program import Process, environment, shell
from writer_cli import atomic
from writer_cli.errors import OutputError, UsageError


def names(directory: Path) -> list[str]:
    """Return the names of what is in a directory."""
    return [path.name for path in directory.iterdir()]


def mode(path: Path) -> int:
    """Return the permissions of a file."""
    return stat.S_IMODE(path.stat().st_mode)


def test_the_new_file_replaces_the_old_one_when_the_block_ends(tmp_path: Path) -> None:
    """The old file stays until the block ends, and no temporary file is left."""
    path = tmp_path / "result"
    path.write_bytes(b"old")
    with atomic.replacement(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["result"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_block_that_fails_leaves_the_old_file(error: type[BaseException], tmp_path: Path) -> None:
    """An exception or an interrupt in the block leaves the old file and no partial file."""
    path = tmp_path / "result"
    path.write_bytes(b"old")
    with pytest.raises(error), atomic.replacement(path) as file:  # noqa: PT012 - a block is tested
        file.write(b"new")
        raise error
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["result"]


def can_be_nameless(directory: Path) -> bool:
    """Whether the file system can make a file without a name (`O_TMPFILE`)."""
    try:
        os.close(os.open(directory, os.O_TMPFILE | os.O_WRONLY))
    except (AttributeError, OSError):
        return False
    return True


@pytest.mark.parametrize("error", [None, KeyboardInterrupt])
@pytest.mark.parametrize("size", [1, 255])
def test_a_file_has_no_name_before_it_is_complete(
    size: int, error: type[BaseException] | None, tmp_path: Path
) -> None:
    """The temporary file has no name, so a killed process leaves nothing behind."""
    if not can_be_nameless(tmp_path):
        pytest.skip("this file system has no files without a name")
    path = tmp_path / ("x" * size)
    with contextlib.suppress(KeyboardInterrupt), atomic.replacement(path) as file:
        file.write(b"new")
        assert names(tmp_path) == []
        if error is not None:
            raise error
    assert names(tmp_path) == ([] if error else [path.name])
    assert error or (path.read_bytes(), path.stat().st_nlink) == (b"new", 1)


@pytest.mark.parametrize("error", [None, KeyboardInterrupt])
def test_without_o_tmpfile_a_hidden_temporary_file_is_beside_the_result(
    error: type[BaseException] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without `O_TMPFILE` the temporary file is in the same directory, with a name that fits."""
    monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    path = tmp_path / ("x" * 255)
    with contextlib.suppress(KeyboardInterrupt), atomic.replacement(path):
        [name] = names(tmp_path)
        assert name.startswith(".xxx")
        if error is not None:
            raise error
    assert names(tmp_path) == ([] if error else [path.name])


def test_without_proc_the_temporary_file_has_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file without a name could not be given one without `/proc`."""
    exists = os.path.exists
    monkeypatch.setattr(
        os.path, "exists", lambda path: not str(path).startswith("/proc") and exists(path)
    )
    with atomic.replacement(tmp_path / "x"):
        assert len(names(tmp_path)) == 1
    assert names(tmp_path) == ["x"]


def test_a_lock_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    """A second thread waits for the lock; a directory that does not exist locks nothing."""
    steps = []
    is_locked, may_go_on = threading.Event(), threading.Event()

    def first() -> None:
        with atomic.locked(tmp_path):
            is_locked.set()
            assert may_go_on.wait(30)
            steps.append("first")

    def second() -> None:
        with atomic.locked(tmp_path):
            steps.append("second")

    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(first)
        assert is_locked.wait(30)
        other = pool.submit(second)
        with atomic.locked(tmp_path / "nowhere"):
            may_go_on.set()
        one.result(30)
        other.result(30)
    assert steps == ["first", "second"]


@pytest.mark.parametrize(
    ("umask", "old", "asked", "expected"),
    [
        (0o022, None, None, 0o644),
        (0o077, None, None, 0o600),
        (0o000, None, None, 0o666),
        (0o022, 0o640, None, 0o640),
        (0o022, 0o755, None, 0o755),
        (0o022, 0o666, 0o600, 0o600),
        (0o777, None, 0o600, 0o600),
    ],
)
def test_a_file_has_the_mode_that_a_shell_would_give_it(
    umask: int, old: int | None, asked: int | None, expected: int, tmp_path: Path
) -> None:
    """The mode is that of the argument, else of the old file, else of the umask."""
    path = tmp_path / "result"
    if old is not None:
        path.touch()
        path.chmod(old)
    before = os.umask(umask)
    try:
        with atomic.replacement(path, mode=asked) as file:
            while_writing = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
    finally:
        assert os.umask(before) == umask
    assert (while_writing, mode(path)) == (expected, expected)


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """Writing to a symbolic link replaces the file that it points to, and keeps the link."""
    (tmp_path / "there").mkdir()
    link, file = tmp_path / "link", tmp_path / "there" / "file"
    link.symlink_to("there/file")
    with atomic.replacement(link) as opened:
        opened.write(b"first")
    with atomic.replacement(link) as opened:
        opened.write(b"second")
    assert link.readlink() == Path("there/file")
    assert file.read_bytes() == b"second"
    assert names(tmp_path / "there") == ["file"]


def test_a_device_is_written_to(tmp_path: Path) -> None:
    """A device is written to directly and not replaced."""
    with atomic.replacement(Path("/dev/null")) as file:
        file.write(b"gone")
    assert Path("/dev/null").is_char_device()
    (tmp_path / "link").symlink_to("/dev/null")
    with atomic.replacement(tmp_path / "link"):
        pass
    assert (tmp_path / "link").is_symlink()


def test_a_pipe_is_written_to() -> None:
    """`-o /dev/stdout` writes to standard output, also where that is a pipe."""
    ran = shell('writer complete --sandbox --max-tokens 5 -o /dev/stdout "Once upon" | cat')
    plain = shell('writer complete --sandbox --max-tokens 5 "Once upon"')
    assert (ran.code, ran.errors) == (0, "")
    assert ran.output == plain.output != ""


def test_a_full_device_is_an_output_error() -> None:
    """A small text that a full device refuses is an output error."""
    full = pytest.raises(OutputError, match=r"^/dev/full: No space left on device$")
    with full, atomic.replacement(Path("/dev/full")) as file:
        file.write(b"x")


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("nowhere/result", "No such file or directory"),
        ("file/result", "Not a directory"),
        ("directory", "Is a directory"),
        ("x" * 300, "File name too long"),
        ("loop", "Too many levels of symbolic links"),
    ],
)
def test_a_place_that_cannot_be_written_to_is_a_usage_error(
    place: str, reason: str, tmp_path: Path
) -> None:
    """A path that cannot be written to is a usage error before the block begins."""
    (tmp_path / "file").touch()
    (tmp_path / "directory").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(UsageError, match=reason), atomic.replacement(tmp_path / place):
        pytest.fail("the block began")


def test_a_directory_that_vanishes_is_an_output_error(tmp_path: Path) -> None:
    """If the directory is deleted while the file is written, the error names the path."""
    path = tmp_path / "directory" / "result"
    path.parent.mkdir()
    gone = pytest.raises(OutputError, match=r"result: No such file or directory$")
    with gone, atomic.replacement(path) as file:
        file.write(b"x")
        shutil.rmtree(path.parent)


PROGRAM = """
import resource, signal, sys
from pathlib import Path
from writer_cli import atomic
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
limits = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
try:
    with atomic.replacement(Path(sys.argv[1])) as file:
        file.write(b"x" * int(sys.argv[2]))
finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
"""


@pytest.mark.parametrize("size", [5000, 1_000_000])
def test_a_file_that_does_not_fit_leaves_the_old_one(size: int, tmp_path: Path) -> None:
    """If the disk is full while writing or at the last flush, the old file stays."""
    path = tmp_path / "result"
    path.write_bytes(b"old")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(path), str(size)],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"writer_cli.errors.OutputError: {path}: File too large"
    )
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["result"]


STOPPING = """
import os, sys
from pathlib import Path
from writer_cli import atomic
with atomic.replacement(Path(sys.argv[1])) as file:
    file.write(b"half of the new")
    file.flush()
    print("written", flush=True)
    sys.stdin.read()
"""


def test_a_killed_process_leaves_the_old_file_whole(tmp_path: Path) -> None:
    """`kill -9` while the file is written leaves the old file unchanged."""
    path = tmp_path / "result"
    path.write_bytes(b"old")
    with Process(
        [sys.executable, "-c", STOPPING, str(path)],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"written\n"
        process.kill()
        assert process.wait(60) == -signal.SIGKILL
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["result"] or not can_be_nameless(tmp_path)
