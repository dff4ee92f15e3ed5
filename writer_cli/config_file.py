"""Changing the configuration file: one value at a time, comments kept, never half written."""

import shlex
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import ParseError

from writer_cli import atomic
from writer_cli.errors import ConfigurationError, OutputError, UsageError
from writer_cli.settings import PROFILE_NAME

MODE = 0o600
"""Only its owner may read a file that may hold a key."""


def set_value(path: Path, name: str, value: Any, *, profile: str | None) -> None:
    """Set a value at the top of the file or in a profile's table; what is not there is made.

    Raises `ConfigurationError` where the file cannot be read or written, and `UsageError` where
    the profile's name is none.
    """
    document = _read(path)
    table = document if profile is None else _profile_table(document, profile)
    table[name] = value
    _write(path, document)


def unset_value(path: Path, name: str, *, profile: str | None) -> bool:
    """Take a value out and return whether it was there. A profile left empty stays."""
    document = _read(path)
    table = document if profile is None else _profile_table(document, profile)
    if name not in table:
        return False
    del table[name]
    _write(path, document)
    return True


def _profile_table(document: tomlkit.TOMLDocument, profile: str) -> Any:
    if not PROFILE_NAME.fullmatch(profile):
        raise UsageError(
            f"--profile {profile!r}: a name has letters, digits, - and _",
            hint="for example: --profile ci",
        )
    profiles = document.setdefault("profiles", tomlkit.table(is_super_table=True))
    return profiles.setdefault(profile, tomlkit.table())


def _read(path: Path) -> tomlkit.TOMLDocument:
    try:
        return tomlkit.parse(path.read_bytes().decode())
    except FileNotFoundError:
        return tomlkit.document()
    except (OSError, UnicodeDecodeError, ParseError) as error:
        raise ConfigurationError(
            f"{path}: {error}", hint="correct it in an editor, or move it away"
        ) from None


def _write(path: Path, document: tomlkit.TOMLDocument) -> None:
    text = tomlkit.dumps(document)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with atomic.replacement(path, mode=MODE) as file:
            file.write(text.encode())
    except (OSError, UsageError, OutputError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigurationError(
            f"{path} cannot be written: {reason}",
            hint=f"WRITER_CONFIG can name another file; see ls -ld {shlex.quote(str(path.parent))}",
        ) from error
