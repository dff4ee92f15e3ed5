"""The mode of the file, the key and the command that gives it, and the model."""

import json
import os
import shlex
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.config.loading import KEY, loaded, run
from writer_cli.config.settings import Settings
from writer_cli.errors import ConfigurationError

NO_KEY = "a space, a line break, a control character or a character outside ASCII"


def command(program: str, *arguments: str) -> str:
    """Return a line of the file that sets `api_key_command` to a Python program."""
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
    """A key that others read, and a file that others change, get one line with the remedy."""
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
    """A result in a pipe is only the result."""
    path = tmp_path / "config.toml"
    path.write_text(f"api_key = '{KEY}'\ntimeout = 5\n")
    path.chmod(0o644)
    code, terminal = run("config", "get", "timeout", env={"WRITER_CONFIG": str(path)})
    assert (code, terminal.output) == (0, b"5\n")
    assert terminal.errors == f"warning: other users can read the key in {path}: chmod 600 {path}\n"
    code, terminal = run("config", "get", "timeout", "-q", env={"WRITER_CONFIG": str(path)})
    assert (code, terminal.output, terminal.errors) == (0, b"5\n", "")


def test_a_key_of_the_environment_comes_before_every_key_of_the_file(tmp_path: Path) -> None:
    """The variable, then the profile's key or command, then the file's."""
    fails = command("raise SystemExit('this must not run')")
    text = f"{fails}[profiles.plain]\napi_key = 'of-the-profile-0123'\n"
    env = {"WRITER_API_KEY": KEY}
    assert loaded(text, directory=tmp_path, env=env, profile="plain").api_key() == KEY
    assert loaded(text, directory=tmp_path, profile="plain").api_key() == "of-the-profile-0123"
    text = f"api_key = '{KEY}'\n[profiles.asks]\n{command('print(1234567890)')}"
    assert loaded(text, directory=tmp_path, profile="asks").api_key() == "1234567890"


def test_a_key_is_known_without_running_a_command_where_that_can_be(tmp_path: Path) -> None:
    """So that it can be taken out of the message of a bug, whatever that bug is."""
    assert loaded(f"api_key = '{KEY}'\n", directory=tmp_path).known_key() == KEY
    assert loaded("", directory=tmp_path, env={"WRITER_API_KEY": KEY}).known_key() == KEY
    asks = loaded(command("print(1234567890)"), directory=tmp_path)
    assert asks.known_key() is None
    assert asks.api_key() == asks.known_key() == "1234567890"


def test_what_is_used_says_why_the_other_is_not(tmp_path: Path) -> None:
    """A key that another source hides has no value, and names that source."""
    text = f"api_key = '{KEY}'\n[profiles.asks]\napi_key_command = 'pass writer'\n"
    settings = loaded(text, directory=tmp_path, profile="asks")
    assert settings.used("api_key").value is None
    assert settings.used("api_key").source == (
        f"not used: api_key_command is set in profile asks in {settings.path}"
    )
    assert settings.used("api_key_command").value == "pass writer"


@pytest.mark.parametrize("key", ["line\nbreak", "two words", "esc\x1b[31m", "größe", "\x7f123"])
def test_a_key_that_no_header_can_carry_is_refused_and_not_shown(key: str, tmp_path: Path) -> None:
    """The message names the source of the key, and shows nothing of it."""
    with pytest.raises(ConfigurationError) as caught:
        loaded(directory=tmp_path, env={"WRITER_API_KEY": key}).api_key()
    assert caught.value.message == (f"api_key in WRITER_API_KEY: the API key contains {NO_KEY}")
    assert key not in repr(caught.value)


def test_a_key_is_not_part_of_any_repr(tmp_path: Path) -> None:
    """A setting says its name and source; a traceback with it gives nothing away."""
    settings = loaded(f"api_key = '{KEY}'", directory=tmp_path)
    settings.api_key()
    assert KEY not in repr(settings)
    setting = settings.get("api_key")
    assert repr(setting) == f"Setting(name='api_key', source='{settings.path}')"
    assert setting.shown() == "[redacted, 33 characters]"


def test_the_output_of_the_command_is_the_key(tmp_path: Path) -> None:
    """Line breaks at its end are dropped, those of Windows too. It is known once that was run."""
    text = command(r"import sys; sys.stdout.write(sys.argv[1] + '\r\n')", KEY)
    assert loaded(text, directory=tmp_path).api_key() == KEY


def test_the_command_is_run_without_a_shell(tmp_path: Path) -> None:
    """What a shell would expand, split off or start is an argument like any other."""
    text = command("import sys; print('|'.join(sys.argv[1:]))", "$HOME", "~", ";", "`id`", "*")
    assert loaded(text, directory=tmp_path).api_key() == "$HOME|~|;|`id`|*"


def test_the_command_does_not_read_the_prompt(tmp_path: Path) -> None:
    """Its standard input is empty, and the prompt that waits on ours is left alone."""
    program = "import sys; sys.stdout.write('%d-bytes-were-read' % len(sys.stdin.read()))"
    reader, writer = os.pipe()
    os.write(writer, b"a prompt")
    os.close(writer)
    saved = os.dup(0)
    os.dup2(reader, 0)
    try:
        assert loaded(command(program), directory=tmp_path).api_key() == "0-bytes-were-read"
        assert os.read(0, 100) == b"a prompt"
    finally:
        os.dup2(saved, 0)
        os.close(saved)
        os.close(reader)


def counting(path: Path) -> str:
    """Return a command that gives a key and adds a byte to a file each time it is run."""
    return command(
        "import sys; open(sys.argv[1], 'a').write('x'); print(sys.argv[2])", str(path), KEY
    )


def test_the_command_is_run_once_however_many_threads_want_the_key(tmp_path: Path) -> None:
    """A password manager asks a person once."""
    ran = tmp_path / "ran"
    settings = loaded(counting(ran), directory=tmp_path)
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
    """Nobody has to unlock a password manager to look at a request."""
    ran = tmp_path / "ran"
    path = tmp_path / "config.toml"
    path.write_text("organization_id = 5\nmodel_id = 'm'\n" + counting(ran))
    path.chmod(0o600)
    code, terminal = run("complete", "hello", flag, env={"WRITER_CONFIG": str(path)})
    assert (code, terminal.errors) == (0, "")
    assert not ran.exists()


@pytest.mark.parametrize("subcommand", [["list"], ["get", "api_key_command"], ["path"]])
def test_the_command_is_not_run_to_show_the_settings(subcommand: list[str], tmp_path: Path) -> None:
    """To look at the settings needs no key either."""
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
    """The command, what became of it, and what it does not get: a shell."""
    line = shlex.join([sys.executable, *arguments])
    with pytest.raises(ConfigurationError) as caught:
        loaded(f"api_key_command = '''{line}'''", directory=tmp_path).api_key()
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
    """A program that is missing, and a line that is no command."""
    with pytest.raises(ConfigurationError) as caught:
        loaded(f'api_key_command = "{line}"', directory=tmp_path).api_key()
    assert caught.value.message.endswith(reason)


def test_a_command_that_hangs_is_ended(tmp_path: Path) -> None:
    """After its time it is killed, and the request is not made."""
    path = tmp_path / "config.toml"
    path.write_text(command("import sys; sys.stdin.close(); import time; time.sleep(600)"))
    settings = Settings(flags={}, env={}, path=path, key_command_timeout=0.2)
    with pytest.raises(ConfigurationError, match=r"did not finish within 0\.2 s$"):
        settings.api_key()


def test_a_command_with_several_lines_gives_no_key(tmp_path: Path) -> None:
    """A whole entry of a password manager is no key; the message shows none of it."""
    settings = loaded(command("print('the-key\\nuser: me')"), directory=tmp_path)
    with pytest.raises(ConfigurationError) as caught:
        settings.api_key()
    assert caught.value.message == (
        f"the output of api_key_command in {settings.path}: the API key contains {NO_KEY}"
    )


def test_a_key_within_a_command_is_not_shown(tmp_path: Path) -> None:
    """`echo sk-…` is unwise, and still not printed by list or by an error."""
    path = tmp_path / "config.toml"
    path.write_text("api_key_command = 'no-such-echo sk-0123456789'\n")
    path.chmod(0o600)
    for arguments in (["config", "list"], ["config", "list", "--json"], ["config", "check"]):
        _, terminal = run(*arguments, env={"WRITER_CONFIG": str(path)})
        assert b"no-such-echo [redacted]" in terminal.output
        assert "0123456789" not in terminal.errors + terminal.output.decode()


def test_no_message_about_a_broken_file_shows_its_key(tmp_path: Path) -> None:
    """Cut and changed at every place, a file with a key never puts it into a message."""
    text = f'model_id = "m"\napi_key = "{KEY}"\ntimeout = 5\n'
    said = []
    for place in range(len(text)):
        before, after = text[:place], text[place:]
        for broken in (before, before + after[1:], f"{before}\n{after}", f"{before}'{after}"):
            try:
                loaded(broken, directory=tmp_path)
            except ConfigurationError as error:
                said.append(f"{error.message} {error.hint}")
    assert len(said) > len(text)
    assert not [message for message in said if KEY[:8] in message]


def test_the_sandbox_has_a_model_of_its_own() -> None:
    """Nothing has to be named to try it, and what is named is asked."""
    code, terminal = run("complete", "hello", "--sandbox", "--json")
    assert code == 0
    assert json.loads(terminal.output)["model_id"] == "sandbox"
    code, terminal = run("complete", "hello", "--sandbox", "--json", "-m", "m")
    assert json.loads(terminal.output)["model_id"] == "m"


def test_verbose_says_what_was_sent_and_never_the_key() -> None:
    """On standard error; standard output has the text alone, the same as without."""
    _, plain = run("complete", "hello", "--sandbox", env={"WRITER_API_KEY": KEY})
    code, terminal = run("complete", "hello", "--sandbox", "-v", env={"WRITER_API_KEY": KEY})
    assert code == 0
    assert terminal.output == plain.output
    assert "HTTP 200" in terminal.errors
    assert KEY not in terminal.errors
