"""The configuration file: read it, or change one value and keep the comments."""

import contextlib
import os
import re
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from writer_cli import posix_only
from writer_cli.errors import ConfigurationError, OutputError, UsageError

if TYPE_CHECKING:
    from tomlkit import TOMLDocument

MODE = 0o600
"""Only the owner can read the file, because it may contain a key."""

LARGEST_FILE = 1024 * 1024
"""Bytes of a configuration file at most."""

PIPE_TIMEOUT = 60.0
"""Seconds for a file that is a pipe, as for `api_key_command`: both may ask a password manager."""

_Parsed = TypeVar("_Parsed")

PROFILE_NAME = re.compile(r"[A-Za-z0-9_-]+")


def text(path: Path) -> str:
    """Return the content of the file, "" if it does not exist. Raises `ConfigurationError`."""
    hint = "WRITER_CONFIG can name another file"
    try:
        if path.is_fifo():
            raw = _from_pipe(path)
        else:
            with path.open("rb") as file:
                raw = file.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigurationError(f"{path}: {reason}", hint=hint) from error
    if len(raw) > LARGEST_FILE:
        raise ConfigurationError(f"{path} is larger than 1 MiB", hint=hint)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ConfigurationError(
            f"{path} is not UTF-8: byte 0x{raw[error.start]:02x} in line {line}",
            hint="save it as UTF-8 in an editor",
        ) from None


def _from_pipe(path: Path) -> bytes:
    """Return what another program writes into a pipe, if it comes in time."""
    import select

    descriptor = posix_only.open_pipe(path)
    until = time.monotonic() + PIPE_TIMEOUT
    raw, is_ready = b"", False
    try:
        while len(raw) <= LARGEST_FILE:
            piece = None
            with contextlib.suppress(BlockingIOError):  # a program will write, but has not yet
                piece = os.read(descriptor, LARGEST_FILE)
            if piece:
                raw += piece
            elif piece is not None and (raw or is_ready):
                break  # Without either, it is not the end: no program has opened the pipe yet.
            else:
                left = max(0, until - time.monotonic())
                is_ready = bool(select.select([descriptor], [], [], left)[0])
                if not is_ready:
                    raise TimeoutError(
                        0, f"it is a pipe, and it did not end within {PIPE_TIMEOUT:g} s"
                    )
        return raw
    finally:
        os.close(descriptor)


def table(path: Path) -> dict[str, Any]:
    """Return the parsed file; its values are not checked. Raises `ConfigurationError`."""
    content = text(path)
    if not content:
        return {}
    import tomllib

    return _parsed(path, content, tomllib.loads)


def place(path: Path, profile: str | None) -> str:
    """Return the file, and the profile in it, as a message names them."""
    return f"{path}, profile {profile}" if profile else str(path)


def set_values(
    path: Path, values: Mapping[str, Any], *, profile: str | None, without: Sequence[str] = ()
) -> list[str]:
    """Set values at the top of the file or in the table of a profile.

    The file and the table are created if they do not exist. The same write removes the settings
    in `without`; returns those that were set. Raises `ConfigurationError` if the file cannot be
    read or written.
    """
    with _write_errors(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _locked(path):
        document = _document(path)
        where = document if profile is None else _profile_table(document, path, profile)
        removed = [name for name in without if where.pop(name, None) is not None]
        where.update(values)
        _write(path, document)
    return removed


def unset_value(path: Path, name: str, *, profile: str | None) -> bool:
    """Remove a value, and return whether it was set. An empty profile is kept."""
    with _locked(path):
        document = _document(path)
        where = document if profile is None else _profile_table(document, path, profile)
        if name not in where:
            return False
        del where[name]
        _write(path, document)
    return True


def check_profile_name(name: str, source: str) -> None:
    """Raise `UsageError` if a profile cannot have this name."""
    if not PROFILE_NAME.fullmatch(name):
        raise UsageError(
            f"{source}: {name!r} is not a valid profile name: use letters, digits, - and _",
            hint="for example: --profile ci",
        )


def _profile_table(document: "TOMLDocument", path: Path, profile: str) -> Any:
    import tomlkit

    profiles = document.setdefault("profiles", tomlkit.table(is_super_table=True))
    if not isinstance(profiles, dict):
        raise not_a_table(path, "profiles", "profiles.NAME")
    found = profiles.setdefault(profile, {})
    if not isinstance(found, dict):
        raise not_a_table(path, f"profiles.{profile}", f"profiles.{profile}")
    return found


def not_a_table(path: Path, name: str, header: str) -> ConfigurationError:
    """Return the error for a value in the place of a table."""
    return ConfigurationError(f"{path}: {name} is not a table", hint=f"write it as [{header}]")


def _document(path: Path) -> "TOMLDocument":
    import tomlkit

    if path.exists() and not path.is_file():
        raise ConfigurationError(
            f"{path} is not a regular file, so it cannot be changed",
            hint="WRITER_CONFIG can name another file",
        )
    table(path)  # raises errors that quote nothing from the file, which may contain a key
    return _parsed(path, text(path), tomlkit.parse)


def _parsed(path: Path, content: str, parse: Callable[[str], _Parsed]) -> _Parsed:
    try:
        return parse(content)
    except (ValueError, RecursionError) as error:
        # The message of the TOML parser has line and column, and quotes one character at most.
        raise ConfigurationError(
            f"{path}: {error}", hint="the file is TOML: a line looks like organization_id = 123"
        ) from None


def _locked(path: Path) -> AbstractContextManager[None]:
    """Let no other process change the file between reading and writing it."""
    from writer_cli import atomic

    return atomic.locked(Path(os.path.realpath(path)).parent)


def _write(path: Path, document: "TOMLDocument") -> None:
    import tomlkit

    from writer_cli import atomic

    content = tomlkit.dumps(document)
    with _write_errors(path), atomic.replacement(path, mode=MODE) as file:
        file.write(content.encode())


@contextmanager
def _write_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, UsageError, OutputError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigurationError(
            f"{path} cannot be written: {reason}",
            hint="WRITER_CONFIG can name another file; see "
            f"`ls -ld {shlex.quote(str(path.parent))}`",
        ) from error
