"""`writer config`: settings, and where each comes from."""

import os
import shutil
import sysconfig
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import typer

from writer_cli import apis, render, settings
from writer_cli.app import App, GlobalOptions
from writer_cli.errors import ConfigurationError, UsageError, WriterError
from writer_cli.options import as_command

SHORTEST_KEY = 8
"""Characters; what is shorter was cut when it was copied."""

Name = Annotated[
    str, typer.Argument(help=f"One of {', '.join(settings.KINDS)}.", show_default=False)
]


@dataclass(frozen=True, kw_only=True)
class NameOptions(GlobalOptions):
    """Which setting."""

    name: Name


@dataclass(frozen=True, kw_only=True)
class SetOptions(GlobalOptions):
    """Which setting, and its value."""

    name: Name
    value: Annotated[
        str | None,
        typer.Argument(
            help="The value; - reads it from standard input. A key is always asked for or read.",
            show_default=False,
        ),
    ] = None


def run_set(options: SetOptions, app: App) -> None:
    """Set a value in the configuration file, or in the profile that --profile names.

    writer config set organization_id 123

    writer config set api_key      (asks for it, and shows nothing)
    """
    settings.check_name(options.name)
    kind = settings.KINDS[options.name]
    if kind.is_secret and options.value not in {None, "-"}:
        raise UsageError(
            f"{options.name} is not taken from the command line, where others can read it",
            hint=f"writer config set {options.name}, or a pipe: … | writer config set "
            f"{options.name}",
        )
    text = _value(options, app, is_secret=kind.is_secret)
    value = settings.parsed_text(options.name, text)
    if kind.is_secret:
        apis.authorization(value)
    from writer_cli import config_file

    path = settings.default_path(app.terminal.env)
    profile = _profile(options, app)
    other = {"api_key": "api_key_command", "api_key_command": "api_key"}.get(options.name)
    if other and config_file.unset_value(path, other, profile=profile):
        app.warn(f"{other} was removed: a key comes from one place")
    config_file.set_value(path, options.name, value, profile=profile)
    shown = settings.Setting(options.name, value, "").shown()
    _say(app, f"{options.name} = {shown} in {path}" + (f" [{profile}]" if profile else ""))


def _value(options: SetOptions, app: App, *, is_secret: bool) -> str:
    if options.value is not None and options.value != "-":
        return options.value
    if options.value is None and app.terminal.stdin_is_terminal:
        if not is_secret:
            raise UsageError(
                f"no value for {options.name}", hint=f"writer config set {options.name} VALUE"
            )
        return app.terminal.ask_secretly(f"{options.name}: ")
    from writer_cli import prompts

    return prompts.read([prompts.STDIN], [], app.terminal.stdin)


def run_unset(options: NameOptions, app: App) -> None:
    """Take a value out of the configuration file, or of the profile that --profile names."""
    settings.check_name(options.name)
    from writer_cli import config_file

    path = settings.default_path(app.terminal.env)
    was_there = config_file.unset_value(path, options.name, profile=_profile(options, app))
    _say(app, f"{options.name} {'was removed from' if was_there else 'was not set in'} {path}")


def run_get(options: NameOptions, app: App) -> None:
    """Print the value that a request would use; a key only by its length."""
    settings.check_name(options.name)
    setting = app.settings.get(options.name)
    if options.json:
        app.terminal.write(render.document(app.terminal, _as_dict(setting)))
    elif setting.value is not None:
        app.terminal.write(setting.shown() + "\n")


def run_list(options: GlobalOptions, app: App) -> None:
    """Print every setting, its value, and where that comes from."""
    found = [app.settings.get(name) for name in settings.KINDS]
    if options.json:
        result = {"version": render.JSON_VERSION, "settings": [_as_dict(s) for s in found]}
        app.terminal.write(render.document(app.terminal, result))
        return
    rows = [(s.name, s.shown(), s.source if s.value is not None else "not set") for s in found]
    app.terminal.write(render.table(app.terminal, ("name", "value", "from"), rows))


def run_path(options: GlobalOptions, app: App) -> None:
    """Print where the configuration file is, or would be."""
    path = str(settings.default_path(app.terminal.env))
    if options.json:
        path = render.document(app.terminal, {"version": render.JSON_VERSION, "path": path})
        app.terminal.write(path)
        return
    app.terminal.write(f"{path}\n")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that a request needs, and whether it looks right."""

    name: str
    value: str
    verdict: Literal["ok", "note", "wrong"]
    note: str = ""


def run_check(options: GlobalOptions, app: App) -> None:
    """Print what a request would use, and whether it looks right. Sends nothing."""
    checks = list(_checks(app))
    wrong = [check for check in checks if check.verdict == "wrong"]
    if options.json:
        result = {
            "version": render.JSON_VERSION,
            "ok": not wrong,
            "checks": [
                {"name": c.name, "value": c.value, "verdict": c.verdict, "note": c.note}
                for c in checks
            ],
        }
        app.terminal.write(render.document(app.terminal, result))
    else:
        rows = [(c.name, c.value, c.verdict, c.note) for c in checks]
        headers = ("what", "value", "verdict", "note")
        app.terminal.write(render.table(app.terminal, headers, rows))
    if wrong:
        names = ", ".join(check.name for check in wrong)
        raise ConfigurationError(f"a request would fail: {names}", hint=wrong[0].note or None)


def _checks(app: App) -> Iterator[Check]:
    path = app.settings.path
    yield Check("file", str(path), "ok", "" if path.exists() else "there is none, which is fine")
    if app.settings.profile:
        yield Check("profile", app.settings.profile, "ok")
    if app.uses_sandbox:
        yield Check("sandbox", "yes", "ok", "nothing else is needed: no key, no network")
    else:
        yield from _request_checks(app)
    yield _program_check(app)


def _request_checks(app: App) -> Iterator[Check]:
    api = app.settings.get("api")
    yield Check("api", api.value, "ok", f"from {api.source}")
    yield _tried("host", lambda: _host_check(app))
    yield _tried("api_key", lambda: _key_check(app))
    organization = app.settings.get("organization_id")
    if organization.value is None:
        note = "writer config set organization_id 123"
        yield Check("organization_id", "", "wrong", note)
    else:
        yield Check("organization_id", str(organization.value), "ok", f"from {organization.source}")
    model = app.settings.get("model_id")
    if model.value is None:
        yield Check("model_id", "", "note", "each command needs -m: writer config set model_id")
    else:
        yield Check("model_id", model.value, "ok", f"from {model.source}")


def _tried(name: str, check: Callable[[], Check]) -> Check:
    try:
        return check()
    except WriterError as error:
        return Check(name, "", "wrong", f"{error.message}; {error.hint}")


def _host_check(app: App) -> Check:
    setting = app.settings.get("base_url")
    default = apis.get(app.settings.get("api").value).base_url
    url = apis.checked_base_url(setting.value or default)
    if url == default:
        return Check("host", url, "ok", f"from {setting.source}")
    if urlsplit(url).hostname in apis.OTHER_HOSTS:
        return Check("host", url, "wrong", "this host serves another of Writer's APIs")
    return Check("host", url, "note", f"from {setting.source}; not Writer's own address")


def _key_check(app: App) -> Check:
    source = app.settings.key_source()
    key = app.settings.api_key()
    apis.authorization(key)
    assert source is not None  # noqa: S101 - without a source there was no key
    assert key is not None  # noqa: S101
    shown = settings.Setting("api_key", key, source.source).shown()
    by = f"{source.name} in " if source.name == "api_key_command" else ""
    if len(key) < SHORTEST_KEY:
        return Check("api_key", shown, "wrong", f"from {by}{source.source}; too short for a key")
    return Check("api_key", shown, "ok", f"from {by}{source.source}")


def _program_check(app: App) -> Check:
    ours = os.path.join(sysconfig.get_path("scripts"), "writer")  # noqa: PTH118 - compared as text
    first = shutil.which("writer", path=app.terminal.env.get("PATH"))
    if first is None:
        return Check("program", ours, "note", "no `writer` is on PATH: call it by this path")
    if os.path.realpath(first) == os.path.realpath(ours):
        return Check("program", first, "ok")
    return Check(
        "program", first, "note", "another `writer` is first on PATH: this one is `writer-cli` too"
    )


def _profile(options: GlobalOptions, app: App) -> str | None:
    return options.profile or app.terminal.env.get("WRITER_PROFILE") or None


def _as_dict(setting: settings.Setting) -> dict[str, Any]:
    is_secret = settings.KINDS[setting.name].is_secret
    value = setting.shown() if is_secret and setting.value else setting.value
    return {"name": setting.name, "value": value, "source": setting.source}


def _say(app: App, text: str) -> None:
    if not app.options.quiet:
        app.terminal.note(text)


def register(app: typer.Typer) -> None:
    """Add the commands to a Typer app."""
    app.callback(help="Show and change settings, and see where each comes from.")(_group)
    for name, options, run in (
        ("set", SetOptions, run_set),
        ("get", NameOptions, run_get),
        ("unset", NameOptions, run_unset),
        ("list", GlobalOptions, run_list),
        ("path", GlobalOptions, run_path),
        ("check", GlobalOptions, run_check),
    ):
        app.command(name)(as_command(options, run))  # type: ignore[arg-type] # each run has its own


def _group() -> None:
    pass
