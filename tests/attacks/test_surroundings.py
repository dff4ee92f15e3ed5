"""Invalid homes, configuration files, caches and environment variables, for each command."""

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import chdir, closing
from itertools import product
from pathlib import Path

import pytest

from tests.attacks.invariant import KEY, ends_as_documented
from tests.attacks.strides import sample
from tests.harness.program import Ran, writer

LONGEST = 600
"""Seconds after which the process of the tests is killed."""

COMMANDS = [
    ["complete", "--sandbox", "p"],
    ["complete", "--sandbox", "-m", "palmyra-x", "p"],
    ["batch", "--sandbox", "in.txt", "-o", "out.jsonl"],
    ["models", "--sandbox"],
    ["config", "list"],
    ["config", "get", "timeout"],
    ["config", "set", "timeout", "3"],
    ["config", "unset", "timeout"],
    ["config", "check", "--sandbox"],
    ["cache", "stats"],
    ["__complete", "zsh", "complete", "-m", ""],
    ["--help"],
]
"""Commands that read a configuration, a cache or the width of the terminal."""


@pytest.fixture(autouse=True)
def kill_if_it_hangs() -> Iterator[None]:
    """Kill the process if a command hangs."""
    signal.alarm(LONGEST)
    yield
    signal.alarm(0)


def a_socket(path: Path) -> None:
    """Make a socket file without a listener."""
    with closing(socket.socket(socket.AF_UNIX)) as end, chdir(path.parent):
        end.bind(path.name)  # the absolute path may be too long for a socket


def huge(path: Path) -> None:
    """Make a file of 8 GiB that takes no space."""
    path.touch()
    os.truncate(path, 2**33)


def below_a_file(path: Path) -> None:
    """Make a file where a folder is expected."""
    path.parent.rmdir()
    path.parent.touch()


def link_to(target: str) -> Callable[[Path], None]:
    """Return a function that makes a symbolic link to this target."""
    return lambda path: path.symlink_to(target)


KINDS: dict[str, Callable[[Path], object]] = {
    "nothing": os.fspath,  # makes nothing
    "nothing, in no folder": lambda path: path.parent.rmdir(),
    "a folder": Path.mkdir,
    "below a file": below_a_file,
    "a file": lambda path: path.write_text("x"),
    "an empty file": Path.touch,
    "a link to itself": lambda path: path.symlink_to(path),
    "a link to nothing": link_to("nowhere"),
    "a pipe without a writer": os.mkfifo,
    "a socket": a_socket,
    "/dev/null": link_to("/dev/null"),
    "/dev/zero": link_to("/dev/zero"),
    "/dev/full": link_to("/dev/full"),
    "/dev/tty": link_to("/dev/tty"),
    "/proc": link_to("/proc"),
    "/proc/self/mem": link_to("/proc/self/mem"),
    "bytes": lambda path: path.write_bytes(bytes(range(256))),
    "UTF-16": lambda path: path.write_text("timeout = 3\n", encoding="utf-16"),
    "a NUL": lambda path: path.write_bytes(b"timeout = \0"),
    "8 GiB": huge,
    "deeply nested": lambda path: path.write_text("a = " + "[" * 100_000),
    "a wrong type": lambda path: path.write_text("profiles = 3\ntimeout = []\n"),
    "another's key": lambda path: path.write_text(f'api_key = "{KEY}"\nno_such = 1\n'),
}
"""Things in the place of a file or a folder. Each of them fails for the superuser too."""

PLACES = {
    "the configuration file": "WRITER_CONFIG",
    "the home": "HOME",
    "the folder of configurations": "XDG_CONFIG_HOME",
    "the folder of caches": "XDG_CACHE_HOME",
    "the folder of answers": "WRITER_CACHE",
    "the list of models": "",
}
"""The places, and the variable that names each."""

FILES = list(product(PLACES, KINDS, COMMANDS))


def run_with(folder: Path, place: str, kind: str, command: list[str]) -> Ran:
    """Run a command in a new folder, in which one file or folder is of the wrong kind."""
    wrong = folder / "up" / "wrong"
    wrong.parent.mkdir()
    KINDS[kind](wrong)
    caches = folder / "caches" / "writer-cli"
    caches.mkdir(parents=True)
    (caches / "models-enterprise.json").symlink_to(wrong)
    (folder / "in.txt").write_text("p\n")
    given = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "XDG_CACHE_HOME": str(caches.parent if PLACES[place] == "" else folder / "cache"),
        "WRITER_API_KEY": KEY,
    }
    if PLACES[place]:
        given[PLACES[place]] = str(wrong)
    with pytest.MonkeyPatch.context() as patch, chdir(folder):
        for name in os.environ:
            patch.delenv(name)
        for name, value in given.items():
            patch.setenv(name, value)
        return writer(*command, env=os.environ)


def test_a_file_or_folder_of_the_wrong_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named in an error or ignored, nothing hangs, and no temporary file is left."""
    monkeypatch.setattr("writer_cli.config.file.PIPE_TIMEOUT", 0.05)
    for number, (place, kind, command) in enumerate(sample(FILES, 40)):
        folder = tmp_path / str(number)
        folder.mkdir()
        ran = run_with(folder, place, kind, command)
        assert ends_as_documented(ran), (place, kind, command, ran)
        # A temporary file begins with a dot and the name of the file that it replaces.
        left = [*folder.rglob(".config.toml.*"), *folder.rglob(".out.jsonl.*")]
        assert not left, (place, kind, command)


NO_UTF8 = os.fsdecode(b"\xff\xfe")
LONG = "9" * 5000
NUMBERS = ["0", "-1", "1", "2", "x", "1e9", "1000000", "99999999999", LONG, "\u0663", "80 "]
ODD = ["", " ", "x", "0", "1", "nan", NO_UTF8, "\x1b[31m", "/dev/null/x", "/proc/no/x", "a b=c;d"]
PROXIES = ["x", "://", "http://", "http://[", "http://127.0.0.1:x", "socks5://127.0.0.1:1"]
PROXIES += ["http://\xe9.example", f"http://{'a' * 300}", "http://127.0.0.1:99999999", "\x1b", "]:"]
PROXIES += [NO_UTF8, "http://a b", ",,,", "*", "::1/64"]

VARIABLES = {
    "COLUMNS": NUMBERS,
    "LINES": NUMBERS,
    "TERM": [*ODD, "dumb", LONG],
    "NO_COLOR": ODD,
    "FORCE_COLOR": ODD,
    "TTY_COMPATIBLE": ODD,
    "GITHUB_ACTIONS": ODD,
    "TMPDIR": ODD,
    "LANG": ODD,
    "TZ": ODD,
    "HTTPS_PROXY": PROXIES,
    "ALL_PROXY": PROXIES,
    "NO_PROXY": PROXIES,
    "SSL_CERT_FILE": ODD,
    "SSL_CERT_DIR": ODD,
    "SSLKEYLOGFILE": ODD,
    "WRITER_CONFIG": [*ODD, LONG, "~nobody-here/x"],
    "WRITER_CACHE": [*ODD, LONG, "~nobody-here/x"],
    "WRITER_PROFILE": [*ODD, LONG],
    "WRITER_SANDBOX": ODD,
    "WRITER_OFFLINE": ODD,
    "WRITER_ANNOTATE": ODD,
    "WRITER_DEBUG": ODD,
    "WRITER_API": ODD,
    "WRITER_API_KEY": [*ODD, f"{KEY}\n", f"Bearer {KEY}", f"{KEY}\x7f"],
    "WRITER_ORGANIZATION_ID": [*ODD, *NUMBERS],
    "WRITER_MODEL_ID": [*ODD, LONG, "../..", "a/b?c#d"],
    "WRITER_BASE_URL": [*PROXIES, f"https://{KEY}@127.0.0.1:1"],
    "WRITER_TIMEOUT": [*ODD, *NUMBERS],
    "WRITER_MAX_RETRIES": [*ODD, *NUMBERS],
    "WRITER_NO_SUCH": ODD,
    "CI_NODE_INDEX": [*ODD, *NUMBERS],
}

ASKING = [
    ["complete", "--deadline", "0.2", "p"],
    ["complete", "--sandbox", "-n", "2", "--logprobs", "2", "p"],
    ["batch", "--sandbox", "in.txt", "-o", "-", "--shard", "auto"],
    ["config", "list"],
    ["config", "check", "--sandbox"],
    ["cache", "stats"],
    ["complete", "--help"],
]
"""Commands that depend on variables; the first one finds no server."""

FOR_SCREENS = {"COLUMNS", "LINES", "TERM", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"}
"""Variables that influence the output on a terminal."""

VALUES = [
    (name, value, command, on_terminal)
    for name, values in VARIABLES.items()
    for value, command, on_terminal in product(values, ASKING, sorted({False, name in FOR_SCREENS}))
]


@pytest.mark.parametrize("part", range(4))
def test_a_hostile_variable(part: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No value of a variable causes a crash, or output of a million columns."""
    monkeypatch.chdir(tmp_path)
    Path("in.txt").write_text("p\n")
    for name, value in {
        "WRITER_API_KEY": KEY,
        "WRITER_ORGANIZATION_ID": "7",
        "WRITER_MODEL_ID": "m",
        "WRITER_BASE_URL": "https://127.0.0.1:1",
        "WRITER_MAX_RETRIES": "0",
        "WRITER_CONFIG": "config.toml",
    }.items():
        monkeypatch.setenv(name, value)
    for name, value, command, on_terminal in sample(VALUES[part::4], 12, first=part):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            ran = writer(
                *command,
                env=os.environ,
                stdout_is_terminal=on_terminal,
                stderr_is_terminal=on_terminal,
            )
        assert ends_as_documented(ran), (name, value[:80], command, on_terminal, ran)
        # No variable makes a line of a million columns.
        assert len(ran.output + ran.errors) < 100_000, (name, value[:80], command, on_terminal)


@pytest.mark.parametrize(
    "command",
    [
        ["batch", "NAME", "--format", "txt", "-o", "out"],
        ["batch", "in.txt", "-o", "NAME.jsonl"],
        ["batch", "merge", "out", "NAME"],
        ["complete", "--file", "NAME"],
        ["complete", "p", "--output", "NAME"],
        ["complete", "p", "--cache", "NAME"],
        ["sandbox", "--replay", "NAME"],
    ],
)
def test_a_name_that_is_too_long(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file name that is too long is a usage error with the reason."""
    monkeypatch.chdir(tmp_path)
    Path("in.txt").write_text("p\n")
    named = [word.replace("NAME", "x" * 256) for word in command]
    ran = writer(*named, env={"WRITER_SANDBOX": "1"})
    assert (ran.code, ran.output) == (2, "")
    assert "File name too long" in ran.errors or "is not a folder" in ran.errors
