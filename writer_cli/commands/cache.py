"""`writer cache`: count, check and delete recorded answers."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from writer_cli.cache import upkeep
from writer_cli.cache.folder import path_named
from writer_cli.commands.app import App
from writer_cli.commands.cache_options import CacheFolderOptions
from writer_cli.commands.global_options import ProfileOptions
from writer_cli.commands.parsing import as_command
from writer_cli.config.schema import quoted
from writer_cli.errors import BadAnswerError, UsageError
from writer_cli.output import documents
from writer_cli.output.batch import counted

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
"""The units of an age."""

LONGEST_AGE = 100_000
"""The largest number of an age, in any unit; 100,000 weeks are 1,900 years."""


class CacheCommandOptions(ProfileOptions, CacheFolderOptions):
    """The flags of every `writer cache` command."""


class PruneOptions(CacheCommandOptions):
    """Which recordings to delete."""

    older_than: Annotated[
        str | None,
        typer.Option(
            "--older-than",
            help="Delete what was recorded longer ago than this: 30d, 12h (units s, m, h, d, w).",
            metavar="AGE",
            rich_help_panel="Cache",
        ),
    ] = None
    unused: Annotated[
        bool,
        typer.Option(
            "--unused",
            help="Delete what no command has used since `writer cache mark`.",
            rich_help_panel="Cache",
        ),
    ] = False
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Print what would be deleted, and delete nothing.",
            rich_help_panel="Output",
        ),
    ] = False


def run_stats(options: CacheCommandOptions, app: App) -> None:
    """Print how many answers are kept, how large they are, and what they cost in tokens."""
    directory = _directory(app)
    found = upkeep.stats(directory)
    tokens = dict(found.tokens) or None
    told = {
        "directory": str(directory),
        "answers": found.answers,
        "damaged": found.damaged,
        "bytes": found.size,
        "oldest": found.oldest,
        "newest": found.newest,
        "usage": tokens,
    }
    if options.json:
        documents.write_json(app.terminal, **told)
        return
    counts = ", ".join(f"{name} {count}" for name, count in found.tokens.items())
    told["usage"] = counts or "not in the answers"
    rows = [(name, "none" if value is None else str(value)) for name, value in told.items()]
    app.terminal.write(documents.table(app.terminal, ("name", "value"), rows))


def run_mark(options: CacheCommandOptions, app: App) -> None:
    """Mark the time from which on `prune --unused` counts uses."""
    directory = _directory(app, may_be_missing=True)
    upkeep.mark(directory)
    if options.json:
        documents.write_json(app.terminal, directory=str(directory))
    else:
        app.say(f"marked {directory}: prune --unused keeps what is used from now on")


def run_prune(options: PruneOptions, app: App) -> None:
    """Delete recordings that are old or not used."""
    if options.older_than is None and not options.unused:
        raise UsageError(
            "prune needs --older-than or --unused",
            hint="--older-than 30d deletes what is older than thirty days",
        )
    age = None if options.older_than is None else _age(options.older_than)
    directory = _directory(app)
    chosen: set[Path] = set()
    if age is not None:
        chosen |= set(upkeep.older_than(directory, age))
    if options.unused:
        chosen |= set(upkeep.unused(directory))
    paths = sorted(chosen)
    if not options.dry_run:
        upkeep.remove(directory, paths, with_mark=options.unused)
    if options.json:
        documents.write_json(
            app.terminal, directory=str(directory), deleted=[str(path) for path in paths]
        )
        return
    app.terminal.write("".join(f"{path}\n" for path in paths))
    verb = "would be deleted" if options.dry_run else "deleted"
    app.say(f"{counted(len(paths), 'recording')} {verb}")


def run_verify(options: CacheCommandOptions, app: App) -> None:
    """Read every recording; raise `BadAnswerError` if one is damaged."""
    directory = _directory(app)
    in_order, damaged = upkeep.verify(directory)
    if options.json:
        listed = [{"path": str(path), "reason": reason} for path, reason in damaged]
        documents.write_json(
            app.terminal, directory=str(directory), in_order=in_order, damaged=listed
        )
    else:
        app.terminal.write("".join(f"{path}: {reason}\n" for path, reason in damaged))
        app.say(f"{counted(in_order, 'recording')} in order, {len(damaged)} damaged")
    if damaged:
        raise BadAnswerError(
            f"{counted(len(damaged), 'file')} in {directory} cannot be used",
            hint="restore or delete each file: a deleted answer is asked for again",
        )


def _directory(app: App, *, may_be_missing: bool = False) -> Path:
    named: str | None = app.settings.get("cache").value
    if named is None:
        raise UsageError("no cache: name its folder", hint="--cache DIR, or WRITER_CACHE=DIR")
    directory = path_named(named)
    if not directory.is_dir() and not (may_be_missing and not directory.exists()):
        raise UsageError(f"--cache {directory} is not a folder", hint="name a folder of recordings")
    return directory


def _age(text: str) -> timedelta:
    match = re.fullmatch(r"([0-9]{1,6})([smhdw])", text)
    if match is None or int(match[1]) > LONGEST_AGE:
        raise UsageError(
            f"--older-than {quoted(text)} is not an age",
            hint=f"a number up to {LONGEST_AGE} and s, m, h, d or w: 30d is thirty days",
        )
    return timedelta(**{UNITS[match[2]]: int(match[1])})


def register(app: typer.Typer) -> None:
    """Add the commands to a Typer app."""
    app.callback()(_group)
    for name, options, run in (
        ("stats", CacheCommandOptions, run_stats),
        ("mark", CacheCommandOptions, run_mark),
        ("prune", PruneOptions, run_prune),
        ("verify", CacheCommandOptions, run_verify),
    ):
        app.command(name)(as_command(options, run))  # type: ignore[arg-type] # each run has its own


def _group() -> None:
    pass
