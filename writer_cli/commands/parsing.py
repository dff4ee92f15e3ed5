"""Turn the command line into the options of a command, and refuse what is not valid."""

import inspect
import re
from collections.abc import Callable
from typing import Any, Literal, TypeVar, get_args, get_origin

import typer

from writer_cli.commands.app import App
from writer_cli.commands.global_options import CommonOptions, GlobalOptions
from writer_cli.config.schema import decimal_number, flag_of, quoted
from writer_cli.errors import UsageError

_WHOLE_NUMBER = r"[+-]?[0-9]{1,4000}"

SHARED = {name for base in GlobalOptions.__mro__ for name in inspect.get_annotations(base)}
"""The names of the global options."""

_Options = TypeVar("_Options", bound=CommonOptions)


def as_command(
    options: type[_Options], run: Callable[[_Options, App], None]
) -> Callable[..., None]:
    """Return a function for typer, whose parameters are the fields of `options`.

    A global option that stands before the command's name holds unless the command has its own.
    """

    def command(ctx: typer.Context, **given: Any) -> None:
        app: App = ctx.obj
        for name, value in app.given_before.items():
            if value is None or value is False:  # 0 is a value, if a wrong one
                continue
            if name not in given:
                raise unknown_flag(flag_of(name), ctx)
            if given[name] is None or given[name] is False:
                given[name] = value
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in given.items()
        }
        # A global option that the command does not have keeps its default.
        app.options = GlobalOptions(**values)
        run(options(**values), app)

    command.__signature__ = signature_of(options)  # type: ignore[attr-defined]
    return command


def signature_of(options: type[CommonOptions]) -> inspect.Signature:
    """Return the signature that has the flags of `options` as keyword parameters."""
    flags = {
        name: annotation
        for base in reversed(options.__mro__)
        for name, annotation in inspect.get_annotations(base).items()
    }
    parameters = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=getattr(options, name, inspect.Parameter.empty),
            annotation=_with_reader(flags[name]),
        )
        # The flags of the command itself come first in its help.
        for name in sorted(flags, key=lambda name: name in SHARED)
    ]
    context = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    return inspect.Signature([context, *parameters])


def _with_reader(annotation: Any) -> Any:
    """Let typer read a number or a choice with `ValueReader`, whose errors are ours."""
    declared, info = get_args(annotation)
    kind = next((one for one in get_args(declared) if one is not type(None)), declared)
    kind = declared if get_origin(declared) is Literal else kind
    if info.parser is None and (kind in {int, float} or get_origin(kind) is Literal):
        info.parser = ValueReader(kind, info)
        info.metavar = info.metavar or info.parser.metavar
    return annotation


class ValueReader:
    """Reads the value of a flag that is a number or one of several words.

    Python's `int` also reads underscores, blanks and the digits of all scripts, which nobody means
    to type.
    """

    def __init__(self, kind: Any, info: Any) -> None:
        self._kind = kind
        self._info = info
        self.words: tuple[str, ...] = get_args(kind)
        self.metavar = "|".join(self.words) or {int: "N", float: "NUMBER"}[kind]
        self.__name__ = self.metavar  # typer reads it

    def __call__(self, text: Any) -> Any:
        """Return the value of a text. Raises `UsageError` if it is not valid."""
        if not isinstance(text, str):
            return text  # the default
        if self.words:
            if text in self.words:
                return text
            expected = f"not one of {', '.join(self.words)}"
        elif self._kind is int:
            if re.fullmatch(_WHOLE_NUMBER, text):
                return int(text)
            expected = "not a whole number"
        else:
            try:
                return decimal_number(text)
            except ValueError as error:
                expected = f"not {error}"
        near = nearest(text, self.words)
        explanation = f"{self._flag()}{self._info.metavar}: {self._info.help}"
        hint = f"did you mean {self._flag()}{near}?" if near else explanation
        raise UsageError(f"{self._flag()}{quoted(text)} is {expected}", hint=hint)

    def _flag(self) -> str:
        """Return the last name of the flag and a space; an argument has no name."""
        if self._info.param_decls is None:
            return ""
        # Typer keeps the first name of a flag in the place of its default.
        return f"{[self._info.default, *self._info.param_decls][-1]} "


def nearest(word: str, words: Any) -> str | None:
    """Return the word that is most similar to a mistyped one, or None if none is similar."""
    import difflib

    return next(iter(difflib.get_close_matches(word, words, n=1, cutoff=0.6)), None)


def unknown_flag(flag: str, ctx: Any) -> UsageError:
    """Return the error for a flag that a command does not have."""
    params = ctx.command.get_params(ctx)
    known = [name for param in params for name in (*param.opts, *param.secondary_opts)]
    near = nearest(flag, [name for name in known if name.startswith("--")])
    if near is None and ctx.parent is None:
        hint = (
            f"the flags of a command stand after its name: see `{ctx.command_path} COMMAND --help`"
        )
        return UsageError(f"{ctx.command_path} has no flag {flag}", hint=hint)
    all_flags = f"see all flags with `{ctx.command_path} --help`"
    if near is not None:
        hint = f"did you mean {near}? Or {all_flags}"
    elif flag.removeprefix("--").replace("-", "_") in SHARED:
        hint = f"this command sends no request; {all_flags}"
    else:
        hint = all_flags
    return UsageError(f"{ctx.command_path} has no flag {flag}", hint=hint)
