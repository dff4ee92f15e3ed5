"""The mode of the configuration file, the key and the command that prints it, and the model."""

import json
import os
import shlex
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.config.loading import KEY, load_settings, run
from writer_cli.config.settings import Settings
from writer_cli.errors import ConfigurationError

NO_KEY = "a space, a line break, a control character or a character outside ASCII"


def command(program: str, *arguments: str) -> str:
    """Return the line of a file that sets `api_key_command` to a Python program."""
    words = [sys.executable, "-c", program, *arguments]
    return f"api_key_command = '''{shlex.join(words)}'''\n"


@pytest.mark.parametrize(
    ("mode", "text", "said"),
    [
        (0o600, f"api_key = '{KEY}'", None),
        (0o644, "organization_id = 5", None),
        (0o644, f"api_key = '{KEY}'", "other users can read the key in"),
        (0o640, f"[profiles.a]\napi_key = '{KEY}'", "other users can read the key in"),
        (0o602, "organization_id = 5", "other users can write to"),
        (0o620, "", "other users can write to"),
    ],
)
def test_a_mode_that_gives_the_key_away_is_warned_about(
    mode: int, text: str, said: str | None, tmp_path: Path
) -> None:
    """A file with a key that others can read or change causes one warning with the remedy."""
    directory = tmp_path / "with space"
    directory.mkdir()
    path = directory / "config.toml"
    path.write_text(text)
    path.chmod(mode)
    warnings = Settings(flags={}, env={}, path=path).warnings()
    if said is None:
        assert warnings == []
    else:
        (warning,) = warnings
        assert warning.startswith(f"{said} {path}")
        assert warning.endswith(f": chmod 600 '{path}'")


def test_the_warning_stands_on_standard_error_and_quiet_takes_it_away(tmp_path: Path) -> None:
    """The warning is on standard error only, and `--quiet` hides it."""
    path = tmp_path / "config.toml"
    path.write_text(f"api_key = '{KEY}'\ntimeout = 5\n")
    path.chmod(0o644)
    code, terminal = run("config", "get", "timeout", env={"WRITER_CONFIG": str(path)})
    assert (code, terminal.output) == (0, b"5\n")
    assert terminal.errors == f"warning: other users can read the key in {path}: chmod 600 {path}\n"
    code, terminal = run("config", "get", "timeout", "-q", env={"WRITER_CONFIG": str(path)})
    assert (code, terminal.output, terminal.errors) == (0, b"5\n", "")


def test_a_key_of_the_environment_comes_before_every_key_of_the_file(tmp_path: Path) -> None:
    """The order is: variable, key or command of the profile, key or command of the file."""
    fails = command("raise SystemExit('this must not run')")
    text = f"{fails}[profiles.plain]\napi_key = 'of-the-profile-0123'\n"
    env = {"WRITER_API_KEY": KEY}
    assert load_settings(text, directory=tmp_path, env=env, profile="plain").api_key() == KEY
    assert (
        load_settings(text, directory=tmp_path, profile="plain").api_key() == "of-the-profile-0123"
    )
    text = f"api_key = '{KEY}'\n[profiles.asks]\n{command('print(1234567890)')}"
    assert load_settings(text, directory=tmp_path, profile="asks").api_key() == "1234567890"


def test_a_key_is_known_without_running_a_command_where_that_can_be(tmp_path: Path) -> None:
    """The key is known early, so that it can be redacted from the message of any bug."""
    assert load_settings(f"api_key = '{KEY}'\n", directory=tmp_path).known_key() == KEY
    assert load_settings("", directory=tmp_path, env={"WRITER_API_KEY": KEY}).known_key() == KEY
    asks = load_settings(command("print(1234567890)"), directory=tmp_path)
    assert asks.known_key() is None
    assert asks.api_key() == asks.known_key() == "1234567890"


def test_an_overridden_key_names_the_source_that_overrides_it(tmp_path: Path) -> None:
    """A key that another source overrides has no value and names that source."""
    text = f"api_key = '{KEY}'\n[profiles.asks]\napi_key_command = 'pass writer'\n"
    settings = load_settings(text, directory=tmp_path, profile="asks")
    assert settings.used("api_key").value is None
    assert settings.used("api_key").source == (
        f"not used: api_key_command is set in profile asks in {settings.path}"
    )
    assert settings.used("api_key_command").value == "pass writer"


@pytest.mark.parametrize("key", ["line\nbreak", "two words", "esc\x1b[31m", "größe", "\x7f123"])
def test_a_key_that_no_header_can_carry_is_refused_and_not_shown(key: str, tmp_path: Path) -> None:
    """The error names the source of the key and shows no part of the key."""
    with pytest.raises(ConfigurationError) as caught:
        load_settings(directory=tmp_path, env={"WRITER_API_KEY": key}).api_key()
    assert caught.value.message == (f"api_key in WRITER_API_KEY: the API key contains {NO_KEY}")
    assert key not in repr(caught.value)


def test_a_key_is_not_part_of_any_repr(tmp_path: Path) -> None:
    """The repr of a setting has its name and source, and not the key."""
    settings = load_settings(f"api_key = '{KEY}'", directory=tmp_path)
    settings.api_key()
    assert KEY not in repr(settings)
    setting = settings.get("api_key")
    assert repr(setting) == f"Setting(name='api_key', source='{settings.path}')"
    assert setting.shown() == "[redacted, 33 characters]"


def test_the_output_of_the_command_is_the_key(tmp_path: Path) -> None:
    """Line breaks at the end of the output are dropped, those of Windows too."""
    text = command(r"import sys; sys.stdout.write(sys.argv[1] + '\r\n')", KEY)
    assert load_settings(text, directory=tmp_path).api_key() == KEY


def test_the_command_is_run_without_a_shell(tmp_path: Path) -> None:
    """Shell syntax in the command is passed to the program as ordinary arguments."""
    text = command("import sys; print('|'.join(sys.argv[1:]))", "$HOME", "~", ";", "`id`", "*")
    assert load_settings(text, directory=tmp_path).api_key() == "$HOME|~|;|`id`|*"


def test_the_command_does_not_read_the_prompt(tmp_path: Path) -> None:
    """The command's standard input is empty, so it cannot read the prompt."""
    program = "import sys; sys.stdout.write('%d-bytes-were-read' % len(sys.stdin.read()))"
    reader, writer = os.pipe()
    os.write(writer, b"a prompt")
    os.close(writer)
    saved = os.dup(0)
    os.dup2(reader, 0)
    try:
        assert load_settings(command(program), directory=tmp_path).api_key() == "0-bytes-were-read"
        assert os.read(0, 100) == b"a prompt"
    finally:
        os.dup2(saved, 0)
        os.close(saved)
        os.close(reader)


def counting(path: Path) -> str:
    """Return a command that prints a key and adds a byte to a file at each run."""
    return command(
        "import sys; open(sys.argv[1], 'a').write('x'); print(sys.argv[2])", str(path), KEY
    )


def test_the_command_is_run_once_however_many_threads_want_the_key(tmp_path: Path) -> None:
    """The command is run once, so that a password manager asks only once."""
    ran = tmp_path / "ran"
    settings = load_settings(counting(ran), directory=tmp_path)
    together = threading.Barrier(4, timeout=10)

    def key() -> str | None:
        together.wait()
        return settings.api_key()

    with ThreadPoolExecutor(4) as pool:
        keys = [future.result() for future in [pool.submit(key) for _ in range(4)]]
    assert keys == [KEY] * 4
    assert ran.read_text() == "x"


@pytest.mark.parametrize("flag", ["--dry-run", "--print-curl", "--sandbox"])
def test_the_command_is_not_run_where_no_key_is_needed(flag: str, tmp_path: Path) -> None:
    """Showing a request without sending it does not run the command."""
    ran = tmp_path / "ran"
    path = tmp_path / "config.toml"
    path.write_text("organization_id = 5\nmodel_id = 'm'\n" + counting(ran))
    path.chmod(0o600)
    code, terminal = run("complete", "hello", flag, env={"WRITER_CONFIG": str(path)})
    assert (code, terminal.errors) == (0, "")
    assert not ran.exists()


@pytest.mark.parametrize("subcommand", [["list"], ["get", "api_key_command"], ["path"]])
def test_the_command_is_not_run_to_show_the_settings(subcommand: list[str], tmp_path: Path) -> None:
    """Showing the settings does not run the command."""
    ran = tmp_path / "ran"
    path = tmp_path / "config.toml"
    path.write_text(counting(ran))
    path.chmod(0o600)
    code, _ = run("config", *subcommand, env={"WRITER_CONFIG": str(path)})
    assert code == 0
    assert not ran.exists()


FAILING_COMMANDS = [
    (["-c", "raise SystemExit(3)"], "failed with exit code 3"),
    (["-c", "import os; os.kill(os.getpid(), 9)"], "was killed by signal 9"),
    (["-c", "print()"], "printed nothing"),
]


@pytest.mark.parametrize(("arguments", "reason"), FAILING_COMMANDS)
def test_a_command_that_fails_says_how(arguments: list[str], reason: str, tmp_path: Path) -> None:
    """The error has the command and how it failed; the hint says that no shell is used."""
    line = shlex.join([sys.executable, *arguments])
    with pytest.raises(ConfigurationError) as caught:
        load_settings(f"api_key_command = '''{line}'''", directory=tmp_path).api_key()
    assert caught.value.message == f"api_key_command: {line!r} {reason}"
    assert str(caught.value.hint).startswith("run it in a terminal to see why; ")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("no-such-program", "cannot be run: No such file or directory"),
        ("an 'open quote", "cannot be run: No closing quotation"),
        ("nul\\u0000byte", "cannot be run: embedded null byte"),
        ("/", "cannot be run: Permission denied"),
    ],
)
def test_a_command_that_cannot_be_run_says_why(line: str, reason: str, tmp_path: Path) -> None:
    """The error says that the program is missing or that the line is not a command."""
    with pytest.raises(ConfigurationError) as caught:
        load_settings(f'api_key_command = "{line}"', directory=tmp_path).api_key()
    assert caught.value.message.endswith(reason)


def test_a_command_that_hangs_is_ended(tmp_path: Path) -> None:
    """A command that takes too long is killed, and no request is sent."""
    path = tmp_path / "config.toml"
    path.write_text(command("import sys; sys.stdin.close(); import time; time.sleep(600)"))
    settings = Settings(flags={}, env={}, path=path, key_command_timeout=0.2)
    with pytest.raises(ConfigurationError, match=r"did not finish within 0\.2 s$"):
        settings.api_key()


def test_a_command_with_several_lines_gives_no_key(tmp_path: Path) -> None:
    """Output of several lines is refused, and the error shows none of it."""
    settings = load_settings(command("print('the-key\\nuser: me')"), directory=tmp_path)
    with pytest.raises(ConfigurationError) as caught:
        settings.api_key()
    assert caught.value.message == (
        f"the output of api_key_command in {settings.path}: the API key contains {NO_KEY}"
    )


def test_a_key_within_a_command_is_not_shown(tmp_path: Path) -> None:
    """A key within the command line is not printed by `config list` or by an error."""
    path = tmp_path / "config.toml"
    path.write_text("api_key_command = 'no-such-echo sk-0123456789'\n")
    path.chmod(0o600)
    for arguments in (["config", "list"], ["config", "list", "--json"], ["config", "check"]):
        _, terminal = run(*arguments, env={"WRITER_CONFIG": str(path)})
        assert b"no-such-echo [redacted]" in terminal.output
        assert "0123456789" not in terminal.errors + terminal.output.decode()


def test_no_message_about_a_broken_file_shows_its_key(tmp_path: Path) -> None:
    """No error about a file that was cut or changed anywhere shows the file's key."""
    text = f'model_id = "m"\napi_key = "{KEY}"\ntimeout = 5\n'
    said = []
    for place in range(len(text)):
        before, after = text[:place], text[place:]
        for broken in (before, before + after[1:], f"{before}\n{after}", f"{before}'{after}"):
            try:
                load_settings(broken, directory=tmp_path)
            except ConfigurationError as error:
                said.append(f"{error.message} {error.hint}")
    assert len(said) > len(text)
    assert not [message for message in said if KEY[:8] in message]


def test_the_sandbox_has_a_model_of_its_own() -> None:
    """The sandbox needs no model, and uses the one that is given."""
    code, terminal = run("complete", "hello", "--sandbox", "--json")
    assert code == 0
    assert json.loads(terminal.output)["model_id"] == "sandbox"
    code, terminal = run("complete", "hello", "--sandbox", "--json", "-m", "m")
    assert json.loads(terminal.output)["model_id"] == "m"


def test_verbose_prints_the_request_without_the_key() -> None:
    """`--verbose` writes to standard error, without the key; standard output is unchanged."""
    _, plain = run("complete", "hello", "--sandbox", env={"WRITER_API_KEY": KEY})
    code, terminal = run("complete", "hello", "--sandbox", "-v", env={"WRITER_API_KEY": KEY})
    assert code == 0
    assert terminal.output == plain.output
    assert "HTTP 200" in terminal.errors
    assert KEY not in terminal.errors
