"""`writer config`: show and change settings."""

import shlex
from typing import Annotated, Any

import typer

from writer_cli.apis import access
from writer_cli.commands.app import App
from writer_cli.commands.config_check import run_check
from writer_cli.commands.config_init import run_init
from writer_cli.commands.config_save import place_as_json, save
from writer_cli.commands.global_options import CommonOptions, ProfileOptions, TargetOptions
from writer_cli.commands.parsing import as_command
from writer_cli.config import file as config_file
from writer_cli.config import settings
from writer_cli.config.schema import SETTINGS, Setting, check_name, setting_from_text
from writer_cli.errors import ConfigurationError, UsageError
from writer_cli.output import documents
from writer_cli.output.checks import Item, listing

LARGEST_VALUE = 64 * 1024
"""Bytes of a value on standard input at most."""

Name = Annotated[
    str,
    typer.Argument(
        help="The setting, such as model_id; `writer config --help` lists them all.",
        metavar="NAME",
        rich_help_panel="Settings",
    ),
]


class NameOptions(ProfileOptions):
    """The argument that names a setting."""

    name: Name


class SetOptions(ProfileOptions):
    """The arguments that name a setting and its value."""

    name: Name
    value: Annotated[
        str | None,
        typer.Argument(
            help="The value; - reads it from standard input. A key is never given here.",
            metavar="VALUE",
            rich_help_panel="Settings",
        ),
    ] = None


def run_set(options: SetOptions, app: App) -> None:
    """Save a value in the configuration file, or in the profile that --profile names."""
    check_name(options.name)
    spec = SETTINGS[options.name]
    if spec.is_secret and options.value not in {None, "-"}:
        raise UsageError(
            f"{options.name} cannot be an argument, because other users can read arguments",
            hint=f"type it when `writer config set {options.name}` asks for it, or use a pipe: "
            f"`… | writer config set {options.name}`",
        )
    path = settings.default_path(app.terminal.env)
    profile = settings.profile_name(options.profile, app.terminal.env)
    config_file.table(path)  # find a broken file before the user types a key
    setting = setting_from_text(options.name, _value(options, app, is_secret=spec.is_secret))
    if spec.is_secret:
        access.authorization(setting.value)
    save({options.name: setting.stored()}, path, profile, app)
    if options.json:
        documents.write_json(
            app.terminal,
            name=setting.name,
            value=_json_value(setting),
            **place_as_json(path, profile),
        )
    else:
        app.say(f"{options.name} = {setting.shown()} in {config_file.place(path, profile)}")


def _value(options: SetOptions, app: App, *, is_secret: bool) -> str:
    name = options.name
    if options.value not in {None, "-"}:
        return options.value or ""
    if app.terminal.stdin_is_terminal and is_secret:
        text = app.terminal.ask_secretly(f"{name} (what you type is not shown): ")
    elif app.terminal.stdin_is_terminal and options.value is None:
        example = f"writer config set {name} {shlex.quote(SETTINGS[name].example)}"
        raise UsageError(f"no value for {name}", hint=f"for example: `{example}`")
    else:
        text = _from_stdin(name, app)
    if is_secret and not text.strip():
        raise UsageError(f"no value for {name}", hint="nothing was changed")
    return access.pasted_key(text) if is_secret else text


def _from_stdin(name: str, app: App) -> str:
    stdin = app.terminal.stdin
    raw = stdin.read(LARGEST_VALUE + 1) if stdin is not None else b""
    hint = f"pipe one line of text into it: `… | writer config set {name}`"
    if not raw:
        raise UsageError(f"no value for {name} on standard input", hint=hint)
    if len(raw) > LARGEST_VALUE:
        raise UsageError(f"the value for {name} on standard input is too large", hint=hint)
    try:
        return raw.decode("utf-8-sig").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise UsageError(
            f"the value for {name} on standard input is not UTF-8", hint=hint
        ) from None


def run_unset(options: NameOptions, app: App) -> None:
    """Take a value out of the configuration file, or of the profile that --profile names."""
    path = settings.default_path(app.terminal.env)
    profile = settings.profile_name(options.profile, app.terminal.env)
    was_set = config_file.unset_value(path, options.name, profile=profile)
    if not was_set:  # an unknown name in the file is an error elsewhere, so it can be removed here
        check_name(options.name)
    if options.json:
        documents.write_json(
            app.terminal, name=options.name, was_set=was_set, **place_as_json(path, profile)
        )
    else:
        verb = "was removed from" if was_set else "was not set in"
        app.say(f"{options.name} {verb} {config_file.place(path, profile)}")


def run_get(options: NameOptions, app: App) -> None:
    """Print the value that a request would use; of a key only its length."""
    check_name(options.name)
    setting = app.settings.used(options.name)
    if setting.value is None:
        raise ConfigurationError(
            f"{options.name} is {setting.source}", hint=_how_to_set(options.name)
        )
    if options.json:
        documents.write_json(app.terminal, **_as_dict(setting))
    else:
        app.terminal.write_line(setting.shown())


def run_list(options: ProfileOptions, app: App) -> None:
    """Print every setting, its value, where that comes from, and which variable can set it."""
    found = [app.settings.used(name) for name in SETTINGS]
    path, profile, profiles = app.settings.path, app.settings.profile, app.settings.profiles
    if options.json:
        listed = [_as_dict(s) | {"variables": SETTINGS[s.name].variables} for s in found]
        documents.write_json(
            app.terminal, **place_as_json(path, profile), profiles=profiles, settings=listed
        )
        return
    rows = [(s.name, s.shown(), s.source, " ".join(SETTINGS[s.name].variables)) for s in found]
    headers = ("name", "value", "from", "environment variable")
    if app.terminal.stdout_is_terminal:
        # A person sees the long path once, below the list; a script gets it in every row.
        app.terminal.write(listing(app.terminal, [_item(row, str(path)) for row in rows]))
    else:
        app.terminal.write(documents.table(app.terminal, headers, rows))
    if app.terminal.stdout_is_terminal:
        app.say(f"the file: {path}" + ("" if path.exists() else " (not there yet)"))
        if profiles:
            app.say(f"its profiles, for --profile or WRITER_PROFILE: {', '.join(profiles)}")


def _item(row: tuple[str, str, str, str], path: str) -> Item:
    name, value, source, variables = row
    names_file = source == path or source.endswith(f" in {path}")
    note = f"{source.removesuffix(path)}the file" if names_file else source
    if variables and source not in variables.split():
        note += f" ({variables.replace(' ', ' or ')} sets it)"
    return Item(name, value or note, note if value else "")


def run_path(options: CommonOptions, app: App) -> None:
    """Print where the configuration file is, or would be."""
    path = str(settings.default_path(app.terminal.env))
    if options.json:
        documents.write_json(app.terminal, path=path)
    else:
        app.terminal.write_line(str(path))


def _how_to_set(name: str) -> str:
    spec = SETTINGS[name]
    value = "" if spec.is_secret else f" {shlex.quote(spec.example)}"
    command = f"writer config set {name}{value}"
    return f"`{command}`, or {spec.variables[0]}" if spec.variables else f"`{command}`"


def _as_dict(setting: Setting) -> dict[str, Any]:
    return {"name": setting.name, "value": _json_value(setting), "source": setting.source}


def _json_value(setting: Setting) -> Any:
    is_text = SETTINGS[setting.name].is_secret or setting.name == "api_key_command"
    return setting.shown() if is_text and setting.value is not None else setting.stored()


def register(app: typer.Typer) -> None:
    """Add the commands to a Typer app."""
    app.callback()(_group)
    for name, options, run in (
        ("init", ProfileOptions, run_init),
        ("set", SetOptions, run_set),
        ("get", NameOptions, run_get),
        ("unset", NameOptions, run_unset),
        ("list", ProfileOptions, run_list),
        ("path", CommonOptions, run_path),
        ("check", TargetOptions, run_check),
    ):
        app.command(name)(as_command(options, run))  # type: ignore[arg-type] # each run has its own


def _group() -> None:
    pass
