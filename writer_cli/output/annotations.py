"""Errors and warnings as annotations of a CI run.

Source: GitHub's documentation, "Workflow commands for GitHub Actions"; the escapes are those of its
toolkit, `packages/core/src/command.ts`.
"""

import contextlib
from collections.abc import Mapping
from typing import Literal

from writer_cli.config.schema import is_on
from writer_cli.errors import ConfigurationError


def are_wanted(env: Mapping[str, str], *, flag: bool) -> bool:
    """Whether `--annotate` or `$WRITER_ANNOTATE` asks for them, and this is GitHub Actions.

    A variable that says neither yes nor no does not ask: an error is shown in any case.
    """
    asked = flag
    with contextlib.suppress(ConfigurationError):
        asked = flag or is_on(env, "WRITER_ANNOTATE")
    return asked and env.get("GITHUB_ACTIONS") == "true"


def annotation(level: Literal["error", "warning"], title: str, text: str) -> str:
    """Return the line that GitHub Actions shows as an annotation.

    It is one line whatever the text has, so that no text can begin another command.
    """
    title = _escaped(title).replace(":", "%3A").replace(",", "%2C")
    return f"::{level} title={title}::{_escaped(text)}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
