"""Typer's commands and groups with our help pages and our error messages."""

import importlib
import re
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from writer_cli.commands.parsing import nearest, unknown_flag
from writer_cli.config.schema import quoted
from writer_cli.errors import UsageError
from writer_cli.help.commands import COMMANDS, below
from writer_cli.help.page import Page, Row, Section, as_text
from writer_cli.help.topics import TOPICS

MERGE = "batch merge"
"""A command of two words. Its first word is a command too."""

FIRST, LAST = ("Prompt", "Input"), ("Settings", "Connection")
"""The groups of flags that a page begins and ends with."""

NOTES = {"Generation": ("The API chooses what you leave out.",)}
"""The sentence at the beginning of a group of flags."""


class _Ours:
    """What our commands and our groups have in common."""

    _help_flag: Any = None
    help_heading: str | None = None
    """The group that `--help` stands in."""

    def get_help_option(self, _: Any) -> Any:
        """Return the flag that prints the page."""
        if self._help_flag is None:
            self._help_flag = TyperOption(
                param_decls=["-h", "--help"],
                is_flag=True,
                is_eager=True,
                expose_value=False,
                help="Print this help.",
                callback=_print_help,
                rich_help_panel=self.help_heading,
            )
        return self._help_flag

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments; raise `UsageError` in our words for what cannot be parsed."""
        try:
            rest: list[str] = super().parse_args(ctx, args)  # type: ignore[misc] # of typer's class
        except typer.TyperException as error:
            raise _usage_error(error, ctx) from None
        return rest


class Command(_Ours, TyperCommand):
    """A command."""

    help_heading = "Output"
    allow_extra_args = True  # `parse_args` refuses them in our words

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments; raise `UsageError` where there are too many."""
        rest = super().parse_args(ctx, args)
        if rest and not ctx.resilient_parsing:
            raise UsageError(
                f"{ctx.command_path} takes no argument {quoted(rest[0])}",
                hint=f"see what it takes with `{ctx.command_path} --help`",
            )
        return rest


class Group(_Ours, TyperGroup):
    """Commands by name."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the name, the command and the remaining arguments."""
        command = self.get_command(ctx, args[0])
        if command is None and not ctx.resilient_parsing:
            raise self._unknown(ctx, args[0])
        return command and args[0], command, args[1:]

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was named. Raises `UsageError` if none was."""
        if not (ctx._protected_args or self.invoke_without_command):  # noqa: SLF001 - typer's own
            raise UsageError(
                f"{ctx.command_path} needs a command: {', '.join(self.commands)}",
                hint=f"see what each does with `{ctx.command_path} --help`",
            )
        return super().invoke(ctx)

    def _unknown(self, ctx: Any, name: str) -> UsageError:
        if name.startswith("-"):
            return unknown_flag(name, ctx)
        import shlex

        near = nearest(name, self.commands)
        if ctx.parent is None and " " in name:
            near = f"`{ctx.command_path} complete {shlex.quote(name)}`"
        elif ctx.parent is None and name in TOPICS:
            near = f"`{ctx.command_path} help {name}`"
        hint = f"see all commands with `{ctx.command_path} --help`"
        return UsageError(
            f"{ctx.command_path} has no command {quoted(name)}",
            hint=f"did you mean {near}? Or {hint}" if near else hint,
        )


class LazyGroup(Group):
    """The commands of the program; one is built when it is used, and not when it is listed."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        listed: dict[str, Any] = {
            name: Command(name, short_help=text.summary) for name, text in below("").items()
        }
        self.commands = listed
        self._built: dict[str, Any] = {}

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the name, the command and the arguments that are left for it."""
        # `writer help complete` is `writer complete --help`; a topic is left to the command.
        if args[0] == "help" and not {"-h", "--help"} & set(args):
            words = [word for word in args[1:] if not word.startswith("-")]
            if not words:
                _print_help(ctx, None, True)
            if words[0] in self.commands.keys() - TOPICS:
                args = [*words, "--help"]
        # `batch` takes a file, and `batch merge` is a command: a file of that name is ./merge.
        if args[:2] == MERGE.split():
            return MERGE, self.built(MERGE), args[2:]
        name, command, rest = super().resolve_command(ctx, args)
        return name, command and self.built(name), rest

    def find(self, name: str) -> Any:
        """Return a command by its whole name, such as `config set`."""
        if name in self.commands or name == MERGE:
            return self.built(name)
        group, _, last = name.rpartition(" ")
        return self.built(group).commands[last]

    def built(self, name: str) -> Any:
        """Return a command, or a group with its commands, from its module in `commands/`."""
        if name in self._built:
            return self._built[name]
        module = importlib.import_module(f"writer_cli.commands.{re.sub('[- ]', '_', name)}")
        app = CommandApp(name=name)
        module.register(app)
        command = typer.main.get_command(app)
        command.name = name
        self._built[name] = command
        return command


class CommandApp(typer.Typer):
    """Makes commands and groups of our classes."""

    def __init__(self, **settings: Any) -> None:
        defaults: dict[str, Any] = {"cls": Group}
        super().__init__(
            add_completion=False, pretty_exceptions_enable=False, **defaults | settings
        )

    def command(self, *names: Any, **settings: Any) -> Any:
        """Make a command of our class."""
        return super().command(*names, cls=Command, **settings)


def _print_help(ctx: typer.Context, _: Any, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        terminal = ctx.obj.terminal
        bold = terminal.stdout_shows_color
        terminal.write(as_text(page_of(ctx), terminal.help_width, bold=bold))
        raise typer.Exit


ON_FRONT_PAGE = ("sandbox", "json", "quiet", "help", "version")
"""The global flags that the page of the whole program shows."""


def front_page(ctx: Any) -> Page:
    """Return the help page of the whole program."""
    params = {param.name: param for param in ctx.command.get_params(ctx)}
    flags = tuple(Row(_flags(params[name]), params[name].help) for name in ON_FRONT_PAGE)
    commands = tuple(Row(name, text.summary) for name, text in below("").items())
    return Page(
        ctx.command_path,
        "",
        f"{ctx.command_path} COMMAND [ARGUMENTS] [FLAGS]",
        (
            Section("Commands", rows=commands),
            Section("Common flags", rows=flags),
            Section(
                paragraphs=(
                    f"More flags: {ctx.command_path} COMMAND --help",
                    f"Topics: {ctx.command_path} help {', '.join(TOPICS)}",
                )
            ),
        ),
    )


def page_of(ctx: Any) -> Page:
    """Return the help page of the command that a context is for."""
    if ctx.parent is None:
        return front_page(ctx)
    command = ctx.command
    name = ctx.command_path.partition(" ")[2]
    text = COMMANDS[name]
    sections = [Section(paragraphs=(paragraph,)) for paragraph in text.details]
    if text.examples:
        sections.append(Section("Examples", commands=text.examples))
    if isinstance(command, Group):
        rows = tuple(Row(word, one.summary) for word, one in below(name).items())
        sections.append(Section("Commands", rows=rows))
    sections += text.sections
    params = command.get_params(ctx)
    sections += _flag_sections(params)
    arguments = [_argument(one) for one in params if isinstance(one, TyperArgument)]
    words = ["COMMAND"] if isinstance(command, Group) else arguments
    usage = " ".join([ctx.command_path, *words, "[FLAGS]"])
    return Page(ctx.command_path, text.summary, usage, tuple(sections))


def _flag_sections(params: Sequence[Any]) -> list[Section]:
    groups: dict[str, list[Row]] = {}
    for param in sorted(params, key=lambda one: not isinstance(one, TyperArgument)):
        heading = param.rich_help_panel or "Flags"
        term = _argument(param) if isinstance(param, TyperArgument) else _flags(param)
        groups.setdefault(heading, []).append(Row(term, param.help or ""))
    ordered = sorted(groups, key=_place)
    return [
        Section(heading, NOTES.get(heading, ()), rows=tuple(groups[heading])) for heading in ordered
    ]


def _place(heading: str) -> int:
    return LAST.index(heading) + 1 if heading in LAST else -(heading in FIRST)


def _argument(param: Any) -> str:
    name = param.metavar or param.name.upper()
    name = name if param.required else f"[{name}]"
    return f"{name}..." if param.nargs != 1 else name


def _flags(param: Any) -> str:
    names = ", ".join([*param.opts, *param.secondary_opts])
    if param.is_flag:
        return names
    return f"{names} {param.metavar or param.type.name.upper()}"


def _usage_error(error: typer.TyperException, ctx: Any) -> UsageError:
    """Say in our words what typer could not parse."""
    help_hint = f"see what it takes with `{ctx.command_path} --help`"
    flag = getattr(error, "option_name", None)
    param = getattr(error, "param", None)
    if isinstance(param, TyperArgument):
        name = _argument(param)
        return UsageError(f"{ctx.command_path} needs {name}", hint=f"{name}: {param.help}")
    if flag is None:  # pragma: no cover - typer has no such error today
        return UsageError(error.format_message(), hint=help_hint)
    if hasattr(error, "possibilities"):
        return unknown_flag(flag, ctx)
    [found] = [p for p in ctx.command.get_params(ctx) if flag in (*p.opts, *p.secondary_opts)]
    if found.is_flag:
        return UsageError(f"{flag} takes no value", hint=f"{_flags(found)}: {found.help}")
    return UsageError(f"{flag} needs a value", hint=f"{_flags(found)}: {found.help}")
