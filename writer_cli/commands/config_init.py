"""`writer config init`: ask a person for the settings, try them, and save them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from writer_cli import apis
from writer_cli.apis import access
from writer_cli.commands.app import App
from writer_cli.commands.config_save import place_as_json, save
from writer_cli.commands.global_options import ProfileOptions
from writer_cli.commands.missing import KEYS_URL, NAMES, example_model, profile_flag
from writer_cli.config import file as config_file
from writer_cli.config import model_cache, settings
from writer_cli.config.schema import SETTINGS, setting_from_text
from writer_cli.errors import ConfigurationError, UsageError, WriterError
from writer_cli.output import documents, error_messages

QUESTIONS = {
    "api": "API",
    "base_url": "Base URL, such as http://127.0.0.1:8000",
    "api_key": "API key, not shown as you type",
    "organization_id": "Organization number",
    "model_id": "Model",
}

APIS = {
    "enterprise": "needs a key and the number of an organization",
    "studio": f"needs a key of AI Studio, {KEYS_URL}",
    "openai": "is a server of your own, such as vLLM",
}
"""What helps to choose an API."""

MOST_MODELS = 10
"""Model ids that are shown before the question for one."""


def run_init(options: ProfileOptions, app: App) -> None:
    """Ask for each setting, try them with one request if the person agrees, and save them."""
    path = settings.default_path(app.terminal.env)
    profile = settings.profile_name(options.profile, app.terminal.env)
    if not (app.terminal.stdin_is_terminal and app.terminal.stderr_is_terminal):
        raise _no_terminal(profile)
    stored = _settings(path, profile, {})
    dialog = _Dialog(app, stored, _settings(path, profile, app.terminal.env))
    app.say(f"Settings for {config_file.place(path, profile)}")
    app.say("Enter keeps what is in brackets.")
    app.say("The APIs:")
    for name, text in APIS.items():
        app.say(f"  {name} {text}")
    dialog.ask_for_access()
    models = _models(dialog, app)
    if models:
        more = ", ..." if len(models) > MOST_MODELS else ""
        app.say(f"It works. The models: {', '.join(models[:MOST_MODELS])}{more}")
    dialog.ask("model_id")
    model = dialog.saved.get("model_id")
    if models and model is not None and model not in models:
        app.warn(f"{model} is not in the list of models")
    if dialog.saved:
        save(dialog.saved, path, profile, app)
    _report(options, app, dialog, profile)


def _settings(path: Path, profile: str | None, env: Mapping[str, str]) -> settings.Settings:
    """Return what the environment and the file say, for a profile that need not exist yet."""
    env = {name: value for name, value in env.items() if name != "WRITER_PROFILE"}
    shared = settings.Settings(flags={}, env=env, path=path)
    if profile not in shared.profiles:
        return shared
    return settings.Settings(flags={}, env=env, path=path, profile=profile)


def _report(options: ProfileOptions, app: App, dialog: "_Dialog", profile: str | None) -> None:
    saved = dialog.saved
    path = settings.default_path(app.terminal.env)
    if options.json:
        documents.write_json(app.terminal, saved=list(saved), **place_as_json(path, profile))
        return
    if saved:
        app.say(f"Saved in {config_file.place(path, profile)}")
    else:
        app.say("Nothing was changed.")
    missing = dialog.missing()
    if missing:
        app.say(f"A request still needs: {', '.join(missing)}")
        app.say("Until then, try:", 'writer complete --sandbox "Once upon a time"')
    else:
        app.say("Now try:", f'writer complete{profile_flag(profile)} "Once upon a time"')


def _no_terminal(profile: str | None) -> UsageError:
    flag = profile_flag(profile)
    commands = (
        f"writer config set{flag} api_key < FILE",
        f"writer config set{flag} organization_id NUMBER",
        f"writer config set{flag} model_id palmyra-x5",
        f"writer config check{flag}",
    )
    return UsageError(
        "writer config init asks questions: standard input and standard error must be a terminal",
        hint="in a script use " + ", ".join(f"`{command}`" for command in commands),
    )


class _Dialog:
    """Asks for settings one after another.

    Attributes:
        saved: What was answered, as the file is to have it.
    """

    def __init__(self, app: App, stored: settings.Settings, used: settings.Settings) -> None:
        self.saved: dict[str, Any] = {}
        self._app = app
        self._stored = stored
        self._used = used

    def value(self, name: str) -> Any:
        """Return what a request would use: the answer, a variable, the file or the default.

        An invalid variable, of which `ask` has warned, counts as not set.
        """
        if name in self.saved:
            return self.saved[name]
        try:
            return self._used.get(name).value
        except ConfigurationError:
            return self._stored.get(name).value

    def key(self) -> str | None:
        """Return the key that a request would use, if there is one."""
        return self.saved.get("api_key") or self._used.api_key()

    def _has_key(self) -> bool:
        if "api_key" in self.saved:
            return True
        try:
            # A command that prints the key is run for the trial and not before.
            return self._used.key_source() is not None
        except ConfigurationError:
            return False

    def missing(self) -> list[str]:
        """Return what a request still needs, in words."""
        api = apis.get(self.value("api"))
        lacks = {
            "base_url": api.base_url is None and self.value("base_url") is None,
            "api_key": api.needs_key and not self._has_key(),
            "organization_id": api.needs_organization and self.value("organization_id") is None,
            "model_id": self.value("model_id") is None,
        }
        return [NAMES[name].removeprefix("no ") for name in lacks if lacks[name]]

    def ask_for_access(self) -> None:
        """Ask which API it is, and for what that API needs."""
        self.ask("api")
        api = apis.get(self.value("api"))
        if api.base_url is None:
            self.ask("base_url")
        self.ask("api_key")
        if api.needs_organization:
            self.ask("organization_id")

    def ask(self, name: str) -> None:
        """Ask for one setting until the answer can be right; an empty one changes nothing."""
        question = f"{self._question(name)} [{self._present(name)}]: "
        while True:
            if SETTINGS[name].is_secret:
                text = access.pasted_key(self._app.terminal.ask_secretly(question))
            else:
                text = self._app.terminal.ask(question).strip()
            if name == "api":  # as people write it: AI Studio
                text = text.lower().removeprefix("ai ")
            if not text:
                self._warn_of_variable(name)
                return
            try:
                setting = setting_from_text(name, text)
                if SETTINGS[name].is_secret:
                    access.authorization(setting.value)
            except (UsageError, ConfigurationError) as error:
                self._app.note(f"{error.message}. Try again, or press Enter to skip it.")
                continue
            self.saved[name] = setting.stored()
            return

    def _warn_of_variable(self, name: str) -> None:
        try:
            self._used.get(name)
        except ConfigurationError as error:
            self._app.warn(error.message)

    def _present(self, name: str) -> str:
        """Return what Enter keeps."""
        shown = self._stored.get(name).shown()
        if not SETTINGS[name].is_secret:
            return shown or "none"
        source = self._stored.key_source()
        is_command = source is not None and source.name == "api_key_command"
        return "from api_key_command" if is_command else shown.strip("[]") or "none"

    def _question(self, name: str) -> str:
        if name == "model_id" and (example := example_model(apis.get(self.value("api")))):
            return f"{QUESTIONS[name]}, such as {example}"
        return QUESTIONS[name]

    def agrees(self, question: str, *, usually: bool) -> bool:
        """Ask a question of yes or no; Enter is what is usual."""
        answers = {"": usually, "y": True, "yes": True, "n": False, "no": False}
        prompt = f"{question} [{'Y/n' if usually else 'y/N'}]: "
        while (answer := self._app.terminal.ask(prompt).strip().lower()) not in answers:
            self._app.note("Answer y or n.")
        return answers[answer]


def _models(dialog: _Dialog, app: App) -> list[str]:
    """Try the settings with one request for the list of models, if the person agrees.

    Raises the error of that request if the person does not want to save the settings then.
    """
    from writer_cli.client import Writer

    api = apis.get(dialog.value("api"))
    if set(dialog.missing()) - {"model"}:
        return []
    if not dialog.agrees(
        "Try it now, with a request for the list of models, which is free?", usually=True
    ):
        return []
    app.start_spinner("waiting for the list of models")
    try:
        with Writer(
            dialog.key(),
            dialog.value("organization_id"),
            api=api.name,
            base_url=dialog.value("base_url"),
            auth_scheme=dialog.value("auth_scheme"),
            allow_http=dialog.value("allow_http"),
            max_retries=0,
        ) as writer:
            models = [model.id for model in writer.models.list()]
    except WriterError as error:
        app.stop_spinner()
        error_messages.show_error(app.terminal, error, as_json=False)
        if not dialog.agrees("Save the settings all the same?", usually=False):
            app.say("Nothing was saved.")
            raise typer.Exit(error.exit_code) from error
        return []
    finally:
        app.stop_spinner()
    model_cache.remember(model_cache.path_for(api.name), models)
    return models
