"""The words that a shell offers when the user presses TAB."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from typer.core import TyperArgument, TyperOption

from writer_cli.commands.parsing import ValueReader
from writer_cli.commands.typer_classes import MERGE, Group, LazyGroup
from writer_cli.config.schema import SETTINGS, is_on
from writer_cli.help.commands import COMMANDS, below
from writer_cli.help.topics import TOPICS

FILES = ":files"
"""The line that asks the shell for file names."""

FILE_METAVARS = {"DIR", "FILE", "INPUT", "OUTPUT", "SHARD"}
"""The names of values in the help that are files."""

SAFE_ID = r"[A-Za-z0-9_.:/@+-]+"
"""Model ids that a shell reads as one word; others, which a server may send, are not offered."""

Offer = tuple[str, str]
"""A word, and what it means."""


class _Line(NamedTuple):
    """What was typed before the word to complete."""

    name: str
    command: Any
    arguments: list[str]
    flags: dict[str, str]
    open_flag: Any


def answer(root: LazyGroup, words: Sequence[str], env: Mapping[str, str]) -> str:
    """Return a line for each word that fits in the place of the last one."""
    *before, current = words or [""]
    line = _read(root, before)
    start = ""
    if line.open_flag is not None:
        offers = _values(line.open_flag, line, env)
    elif current.startswith("-") and "=" in current:
        flag, _, current = current.partition("=")
        start = f"{flag}="
        param = _param(line.command, flag)
        offers = _values(param, line, env) if param is not None else iter(())
    elif current.startswith("-"):
        offers = _flags(line)
    elif isinstance(line.command, Group):
        offers = ((name, text.summary) for name, text in below(line.name).items())
    else:
        offers = _argument_values(line, env)
    return "".join(
        f"{start}{word}\t{text}\n" if word != FILES else f"{FILES}\n"
        for word, text in offers
        if word == FILES or word.startswith(current)
    )


def _read(root: LazyGroup, words: Sequence[str]) -> _Line:
    """Follow the words from the whole program to the command that they name."""
    line = _Line("", root, [], {}, None)
    for word in words:
        if line.open_flag is not None:
            line.flags[line.open_flag.name] = word
            line = line._replace(open_flag=None)
        elif word.startswith("-") and word != "-":
            flag, _, value = word.partition("=")
            param = _param(line.command, flag)
            if param is not None:
                line.flags[param.name] = value
                if not (param.is_flag or "=" in word):
                    line = line._replace(open_flag=param)
        elif f"{line.name} {word}".strip() in COMMANDS and not line.arguments:
            name = f"{line.name} {word}".strip()
            line = line._replace(name=name, command=root.find(name))
        else:
            line.arguments.append(word)
    return line


def _params(command: Any) -> list[Any]:
    return [*command.params, command.get_help_option(None)]


def _param(command: Any, flag: str) -> Any:
    found = (p for p in _params(command) if flag in (*p.opts, *p.secondary_opts))
    return next((p for p in found if isinstance(p, TyperOption)), None)


def _flags(line: _Line) -> Iterator[Offer]:
    for param in _params(line.command):
        is_used = param.name in line.flags and not param.multiple
        if isinstance(param, TyperOption) and not is_used:
            for name in (*param.opts, *param.secondary_opts):
                yield name, param.help or ""


def _argument_values(line: _Line, env: Mapping[str, str]) -> Iterator[Offer]:
    params = [param for param in line.command.params if isinstance(param, TyperArgument)]
    place = len(line.arguments)
    if line.name == MERGE.partition(" ")[0] and not place:
        yield MERGE.rpartition(" ")[2], COMMANDS[MERGE].summary
    if line.name == "help":
        yield from _topics(line.arguments)
    elif params and (place < len(params) or params[-1].nargs != 1):
        yield from _values(params[min(place, len(params) - 1)], line, env)


def _topics(arguments: Sequence[str]) -> Iterator[Offer]:
    group = " ".join(arguments)
    yield from ((name, text.summary) for name, text in below(group).items())
    if not group:
        yield from ((name, "a topic") for name in TOPICS if name not in COMMANDS)


def _values(param: Any, line: _Line, env: Mapping[str, str]) -> Iterator[Offer]:
    """Yield what the value of a flag or of an argument may be."""
    reader = getattr(param.type, "func", None)
    if isinstance(reader, ValueReader):
        yield from ((word, "") for word in reader.words)
    elif param.metavar in FILE_METAVARS:
        yield FILES, ""
    elif param.name == "profile":
        yield from ((name, "") for name in _profiles(env))
    elif param.name == "model_id":
        yield from ((name, "") for name in _models(line, env))
    elif param.name == "name" and line.name.startswith("config "):
        yield from ((name, spec.meaning) for name, spec in SETTINGS.items())
    elif param.name == "value":
        yield from _setting_values(line, env)


def _setting_values(line: _Line, env: Mapping[str, str]) -> Iterator[Offer]:
    name = line.arguments[0]
    words = getattr(SETTINGS[name].parse, "words", ()) if name in SETTINGS else ()
    yield from ((word, "") for word in words)
    if name == "model_id":
        yield from ((model, "") for model in _models(line, env))


def _profiles(env: Mapping[str, str]) -> list[str]:
    from writer_cli.config.settings import Settings, default_path
    from writer_cli.errors import WriterError

    try:
        return Settings(flags={}, env={}, path=default_path(env)).profiles
    except WriterError:
        return []


def _models(line: _Line, env: Mapping[str, str]) -> list[str]:
    """Return the ids in the last list of models that was seen."""
    from writer_cli.config import model_cache
    from writer_cli.config.settings import Settings, default_path
    from writer_cli.errors import WriterError

    flags = {name: line.flags.get(name) for name in ("api",)}
    try:
        if "sandbox" in line.flags or is_on(env, "WRITER_SANDBOX"):
            from writer_cli.help.topics import FAULTS

            return ["palmyra-x5", "palmyra-x4", "sandbox", *FAULTS]
        profile = line.flags.get("profile")
        found = Settings(flags=flags, env=env, path=default_path(env), profile=profile)
        ids = model_cache.known(model_cache.path_for(found.get("api").value))
    except WriterError:
        return []
    return [model for model in ids if re.fullmatch(SAFE_ID, model)]
