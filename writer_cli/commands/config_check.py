"""`writer config check`: check the settings of a request, without sending one."""

import os
import shutil
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from typing import Literal
from urllib.parse import urlsplit

from writer_cli import apis
from writer_cli.apis import access
from writer_cli.apis.dialect import Api
from writer_cli.commands.app import App
from writer_cli.commands.global_options import TargetOptions
from writer_cli.commands.missing import example_model, profile_flag
from writer_cli.config import settings
from writer_cli.config.schema import SETTINGS, Setting
from writer_cli.errors import ConfigurationError, WriterError
from writer_cli.output import documents
from writer_cli.output.checks import Item, listing

SHORTEST_KEY = 16
"""Characters of a key; a shorter one may have been cut when it was copied."""


@dataclass(frozen=True, slots=True)
class Check:
    """One check: a setting, the verdict, and the command that corrects it."""

    name: str
    value: str
    verdict: Literal["ok", "note", "wrong"]
    note: str = ""
    command: str | None = None


def run_check(options: TargetOptions, app: App) -> None:
    """Print what a request would use, and whether it looks right. Sends nothing.

    Exit code 3 where a request would fail.
    """
    checks = list(_checks(app))
    wrong = [check for check in checks if check.verdict == "wrong"]
    if options.json:
        listed = [
            {
                "name": c.name,
                "value": c.value or None,
                "verdict": c.verdict,
                "note": c.note,
                "command": c.command,
            }
            for c in checks
        ]
        documents.write_json(app.terminal, ok=not wrong, checks=listed)
    else:
        app.terminal.write(_as_text(checks, app))
    commands = [check.command for check in checks if check.command]
    if wrong:
        names = ", ".join(check.name for check in wrong)
        steps = ", ".join(f"`{command}`" for command in commands)
        # The note of an invalid value says what to do.
        notes = [check.note for check in wrong if not check.command]
        one_by_one = f"set up what is missing with `writer config init`, or one by one with {steps}"
        hint = notes[0] if notes else one_by_one
        raise ConfigurationError(f"a request would fail: {names}", hint=hint)
    if app.terminal.stdout_is_terminal and not options.json:
        needs_model = not (app.uses_sandbox or app.settings.get("model_id").value)
        model = f" -m {example_model(_api(app)) or 'ID'}" if needs_model else ""
        flags = (" --sandbox" if options.sandbox else "") + profile_flag(options.profile)
        command = f'writer complete{flags}{model} "Once upon a time"'
        app.say("nothing was sent; to try it:", command)


def _as_text(checks: Sequence[Check], app: App) -> str:
    if app.terminal.stdout_is_terminal:
        return listing(app.terminal, [Item(c.name, c.value, c.note, c.verdict) for c in checks])
    rows = [(c.name, c.value, c.verdict, c.note) for c in checks]
    return documents.table(app.terminal, ("what", "value", "verdict", "note"), rows)


def _checks(app: App) -> Iterator[Check]:
    path = settings.default_path(app.terminal.env)
    file = _tried("file", str(path), partial(_file_check, app))
    yield file
    if file.verdict != "wrong":
        if app.settings.profile:
            yield Check("profile", app.settings.profile, "ok")
        sandbox = _tried("sandbox", "", partial(_sandbox_check, app))
        if sandbox.verdict == "wrong" or sandbox.value:
            yield sandbox
        offline = _tried("offline", "", partial(_offline_check, app))
        if offline.verdict == "wrong" or offline.value:
            yield offline
        if not sandbox.value:
            yield from _request_checks(app, is_offline=offline.value == "yes")
        elif offline.value:
            yield _tried("cache", "", partial(_cache_check, app))
    yield _program_check(app)


def _request_checks(app: App, *, is_offline: bool) -> Iterator[Check]:
    special: dict[str, Callable[..., Check]] = {"model_id": _model_check}
    if is_offline:
        special["cache"] = _cache_check
        for name in ("api_key", "base_url", "organization_id"):
            special[name] = partial(_unneeded, name=name)
    else:
        special["api_key"] = _key_check
        special["base_url"] = _host_check
        special["organization_id"] = _organization_check
    api = _tried("api", "", partial(_plain_check, app, name="api"))
    for name in SETTINGS:
        if name == "api":
            yield api
        elif name in special and api.verdict == "wrong":
            continue  # what is right depends on the API
        elif name != "api_key_command":
            check = special.get(name, partial(_plain_check, name=name))
            yield _tried(name, "", partial(check, app))


def _tried(name: str, value: str, check: Callable[[], Check]) -> Check:
    try:
        return check()
    except WriterError as error:
        note = f"{error.message}; {error.hint}" if error.hint else error.message
        return Check(name, value, "wrong", note)


def _file_check(app: App) -> Check:
    path = app.settings.path
    if path.exists():
        warnings = app.settings.warnings()
        return Check("file", str(path), "note" if warnings else "ok", "; ".join(warnings))
    if app.terminal.env.get("WRITER_CONFIG"):
        note = "WRITER_CONFIG names it, but it does not exist"
        return Check("file", str(path), "note", note)
    return Check("file", str(path), "ok", "does not exist yet: `writer config init` creates it")


def _sandbox_check(app: App) -> Check:
    if not app.uses_sandbox:
        return Check("sandbox", "", "ok")
    return Check("sandbox", "yes", "ok", "nothing else is needed: no key, no network")


def _offline_check(app: App) -> Check:
    if not app.is_offline:
        return Check("offline", "", "ok")
    return Check("offline", "yes", "ok", "nothing is sent: every answer comes from the cache")


def _cache_check(app: App) -> Check:
    if app.settings.get("cache").value is None:
        command = "writer config set cache DIR"
        note = f"offline, a cache is needed: `{command}`, or WRITER_CACHE"
        return Check("cache", "not set", "wrong", note, command)
    return _plain_check(app, "cache")


def _unneeded(app: App, name: str) -> Check:  # noqa: ARG001 - every check has the app
    return Check(name, "", "ok", "not needed, because nothing is sent")


def _plain_check(app: App, name: str) -> Check:
    setting = app.settings.used(name)
    if setting.value is None:
        return Check(name, "", "ok", setting.source)
    return Check(name, setting.shown(), "ok", _from(setting))


def _host_check(app: App) -> Check:
    setting = app.settings.get("base_url")
    default = _api(app).base_url
    url = setting.value or default
    if url is None:
        command = "writer config set base_url URL"
        return Check("base_url", "not set", "wrong", access.USUAL_URLS, command)
    access.checked_base_url(url, allow_http=app.settings.get("allow_http").value)
    host = urlsplit(url).hostname
    if url == default or (default is None and host not in access.API_HOSTS):
        return Check("base_url", url, "ok", _from(setting))
    if host in access.API_HOSTS and host != urlsplit(default or "").hostname:
        note = f"{_from(setting)}; this host serves another of Writer's APIs"
        return Check("base_url", url, "wrong", note)
    note = f"{_from(setting)}; Writer's own is {default}"
    return Check("base_url", url, "note", note)


def _key_check(app: App) -> Check:
    key, source = app.settings.api_key(), app.settings.key_source()
    if (key is None or source is None) and not _api(app).needs_key:
        return Check("api_key", "not set", "ok", "a server that needs none is asked without one")
    if key is None or source is None:
        command = "writer config set api_key"
        note = f"set it with `{command}`, or WRITER_API_KEY"
        return Check("api_key", "not set", "wrong", note, command)
    shown = Setting("api_key", key, source.source).shown()
    by = "from api_key_command in" if source.name == "api_key_command" else "from"
    if len(key) < SHORTEST_KEY:
        note = f"{by} {source.source}; short: was it cut when it was copied?"
        return Check("api_key", shown, "note", note)
    return Check("api_key", shown, "ok", f"{by} {source.source}")


def _organization_check(app: App) -> Check:
    setting = app.settings.get("organization_id")
    if setting.value is None and not _api(app).needs_organization:
        return Check("organization_id", "not set", "ok", "this API needs none")
    if setting.value is None:
        command = "writer config set organization_id NUMBER"
        note = f"set it with `{command}`, or WRITER_ORGANIZATION_ID"
        return Check("organization_id", "not set", "wrong", note, command)
    return Check("organization_id", setting.shown(), "ok", _from(setting))


def _model_check(app: App) -> Check:
    setting = app.settings.get("model_id")
    if setting.value is None:
        model = example_model(_api(app))
        command = f"writer config set model_id {model or 'ID'}"
        listed = "" if model else "; `writer models` lists the models of the server"
        note = f"each command then needs -m; or: `{command}`{listed}"
        return Check("model_id", "not set", "note", note, command)
    return Check("model_id", setting.shown(), "ok", _from(setting))


def _program_check(app: App) -> Check:
    ours = _installed_program()
    path = app.terminal.env.get("PATH")
    first = shutil.which("writer", path=path)
    if first is None:
        return Check("program", ours, "note", "no `writer` is on PATH: call it by this path")
    if os.path.realpath(first) == os.path.realpath(ours):
        return Check("program", first, "ok")
    instead = "writer-cli" if shutil.which("writer-cli", path=path) else f"{ours}-cli"
    note = f"another program called `writer` is first on PATH: call this one {instead}"
    return Check("program", first, "note", note)


def _installed_program() -> str:
    """Return where this package's `writer` was installed: what the installer wrote down."""
    scripts = (
        str(file.locate())
        for package in metadata.distributions(name="writer-cli")
        for file in package.files or ()
        if file.name == "writer"
    )
    return os.path.normpath(
        next(scripts, os.path.join(sysconfig.get_path("scripts"), "writer"))  # noqa: PTH118 - text
    )


def _api(app: App) -> Api:
    return apis.get(app.settings.get("api").value)


def _from(setting: Setting) -> str:
    return "default" if setting.source == "default" else f"from {setting.source}"
