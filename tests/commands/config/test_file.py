"""How `writer config` changes the configuration file, and how the file is read."""

import contextlib
import errno
import os
import resource
import shlex
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.commands.config.home import KEY, SHOWN, Home
from writer_cli.cli import main
from writer_cli.output.terminal import Terminal

COMMENTED = """\
# The settings of this machine.

model_id = "palmyra-x5"   # the large one
organization_id = 1

# For the nightly job.
[profiles.ci]
timeout = 30  # it must not hang
# the end
"""


def test_comments_and_order_survive_a_change(home: Home) -> None:
    """Only the value changes, and a new setting is written before the tables."""
    home.write(COMMENTED)
    home.run("set", "organization_id", "2")
    home.run("set", "timeout", "60", "--profile", "ci")
    assert home.path.read_text() == COMMENTED.replace("id = 1", "id = 2").replace("30", "60")
    home.run("unset", "organization_id")
    assert home.path.read_text() == COMMENTED.replace("organization_id = 1\n", "").replace(
        "30", "60"
    )


def test_line_ends_of_windows_survive_a_change(home: Home) -> None:
    """The existing lines keep their CRLF."""
    home.write("# one\r\nmodel_id = 'a' # two\r\ntimeout = 5\r\n")
    home.run("set", "timeout", "6")
    assert home.path.read_bytes() == b"# one\r\nmodel_id = 'a' # two\r\ntimeout = 6\r\n"


FORMS = [
    "",
    "[profiles]\n",
    "[profiles.a]\n",
    "[profiles.a]\ntimeout = 1\n[profiles.b]\ntimeout = 2\n",
    "profiles.a.timeout = 1\n",
    "profiles = {a = {timeout = 1}}\n",
    "timeout = 9",
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("profile", [None, "a", "c"])
def test_a_value_that_was_set_is_read_back_whatever_form_the_file_has(
    home: Home, form: str, profile: str | None
) -> None:
    """A value can be set and read in any form of TOML: tables, dotted keys, inline tables."""
    home.write(form)
    flags = ["--profile", profile] if profile else []
    home.run("set", "model_id", "m", *flags)
    home.run("set", "timeout", "3", *flags)
    assert home.run("get", "model_id", *flags).output == b"m\n"
    assert home.run("get", "timeout", *flags).output == b"3\n"
    home.run("unset", "timeout", *flags)
    assert home.run("get", "model_id", *flags).output == b"m\n"


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.text(st.characters(codec="utf-8"), min_size=1).filter(
        lambda text: text.strip() not in {"", "-"}
    )
)
def test_any_text_is_read_back_as_it_was_set(home: Home, text: str) -> None:
    """Quotes, control characters and all scripts are read back unchanged."""
    home.run("set", "model_id", "--", text)
    assert home.json("get", "model_id")["value"] == text


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
def test_only_the_owner_can_read_the_file_whatever_the_umask(home: Home, umask: int) -> None:
    """The file gets the mode 0600 and its directory 0700, whatever the umask and the old mode."""
    path = home.path.parent / "new" / "config.toml"
    before = os.umask(umask & 0o077)
    try:
        home.run("set", "timeout", "5", env={"WRITER_CONFIG": str(path)})
        os.umask(umask)
        home.write("timeout = 4\n")
        home.path.chmod(0o644)
        home.run("set", "timeout", "5")
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert home.path.stat().st_mode & 0o777 == 0o600


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(home: Home) -> None:
    """If the disk is full, the old file stays and no temporary file is left."""
    home.write(f"api_key = '{KEY}'\n")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        terminal = home.run("set", "timeout", "5", expected=3)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    reason = os.strerror(errno.EFBIG)
    assert terminal.errors == (
        f"error: {home.path} cannot be written: {home.path}: {reason}\n"
        f"hint: WRITER_CONFIG can name another file; see `ls -ld {home.path.parent}`\n"
    )
    assert home.path.read_text() == f"api_key = '{KEY}'\n"
    assert [path.name for path in home.path.parent.iterdir()] == ["config.toml"]


def test_a_linked_file_stays_a_link(home: Home) -> None:
    """If the file is a symbolic link, its target is changed."""
    real = home.path.parent / "dotfiles.toml"
    real.write_text("timeout = 4\n")
    home.path.symlink_to(real.name)
    home.run("set", "timeout", "5")
    assert home.path.is_symlink()
    assert real.read_text() == "timeout = 5\n"


@pytest.mark.parametrize("path", ["/proc/config.toml", "/proc/nowhere/config.toml"])
def test_a_place_that_cannot_be_written_is_named(home: Home, path: str) -> None:
    """Exit code 3, with the path and a command to look at it."""
    terminal = home.run("set", "timeout", "5", env={"WRITER_CONFIG": path}, expected=3)
    assert terminal.errors.startswith(f"error: {path} cannot be written: ")
    assert f"see `ls -ld {Path(path).parent}`\n" in terminal.errors


def test_a_device_is_not_taken_for_the_file(home: Home) -> None:
    """`config set` refuses a device such as `/dev/null`, where a value would be lost."""
    terminal = home.run("set", "timeout", "5", env={"WRITER_CONFIG": "/dev/null"}, expected=3)
    assert terminal.errors == (
        "error: /dev/null is not a regular file, so it cannot be changed\n"
        "hint: WRITER_CONFIG can name another file\n"
    )


@pytest.mark.parametrize(
    ("text", "profile", "said"),
    [
        (f"api_key = '{KEY}", None, 'Expected "\'" (at end of document)'),
        ("profiles = 3\n", "ci", "profiles is not a table"),
        ("[[profiles]]\n", "ci", "profiles is not a table"),
        ("profiles.ci = 3\n", "ci", "profiles.ci is not a table"),
    ],
)
@pytest.mark.parametrize("subcommand", [["set", "timeout", "5"], ["unset", "timeout"]])
def test_a_file_that_is_broken_is_not_changed(
    home: Home, subcommand: list[str], text: str, profile: str | None, said: str
) -> None:
    """The error names the place in the file, and the file stays as it is."""
    home.write(text)
    flags = ["--profile", profile] if profile else []
    terminal = home.run(*subcommand, *flags, expected=3)
    assert terminal.errors.startswith(f"error: {home.path}: {said}\n")
    assert home.path.read_text() == text


def test_a_file_that_nests_too_deep_is_not_changed(home: Home) -> None:
    """A file that is nested too deeply is an error and stays as it is."""
    text = "model_id = " + "[" * 5000 + "]" * 5000
    home.write(text)
    terminal = home.run("set", "timeout", "5", expected=3)
    assert terminal.errors.startswith(f"error: {home.path}: ")
    assert home.path.read_text() == text


def test_a_person_is_told_of_a_broken_file_before_typing_the_key(home: Home) -> None:
    """A broken file is an error before the key is asked for."""
    home.write("timeout = \n")
    terminal = home.run("set", "api_key", on_terminal=True, expected=3)
    assert terminal.errors.startswith(f"error: {home.path}: Invalid value (at line 1, column 11)\n")


def test_unset_removes_a_value_and_says_so(home: Home) -> None:
    """To unset a setting that is not set is no error."""
    home.write("timeout = 5\nmodel_id = 'm'\n")
    assert home.run("unset", "timeout").errors == f"timeout was removed from {home.path}\n"
    assert home.path.read_text() == "model_id = 'm'\n"
    assert home.run("unset", "timeout").errors == f"timeout was not set in {home.path}\n"
    assert home.path.read_text() == "model_id = 'm'\n"


def test_unset_does_not_make_a_file_or_a_profile(home: Home) -> None:
    """Without a value to remove, no file and no profile is created."""
    answer = home.json("unset", "timeout", "--profile", "ci")
    assert answer == {
        "version": 1,
        "name": "timeout",
        "was_set": False,
        "path": str(home.path),
        "profile": "ci",
    }
    assert not home.path.exists()


def test_unset_removes_an_unknown_setting(home: Home) -> None:
    """A misspelt setting, which every command refuses, can be removed."""
    home.write("timout = 5\ntimeout = 6\n")
    home.run("list", expected=3)
    home.run("unset", "timout")
    assert home.run("get", "timeout").output == b"6\n"
    terminal = home.run("unset", "timout", expected=2)
    assert terminal.errors == ("error: there is no setting 'timout'\nhint: did you mean timeout?\n")


def test_get_prints_the_value_and_nothing_else(home: Home) -> None:
    """A script can use `$(writer config get organization_id)`."""
    home.write("organization_id = 5\n")
    terminal = home.run("get", "organization_id")
    assert (terminal.output, terminal.errors) == (b"5\n", "")
    assert home.json("get", "organization_id") == {
        "version": 1,
        "name": "organization_id",
        "value": 5,
        "source": str(home.path),
    }


def test_get_of_what_is_not_set_fails(home: Home) -> None:
    """Exit code 3, so that a script does not continue with an empty value."""
    terminal = home.run("get", "organization_id", expected=3)
    assert (terminal.output, terminal.errors) == (
        b"",
        (
            "error: organization_id is not set\n"
            "hint: `writer config set organization_id 123`, or WRITER_ORGANIZATION_ID\n"
        ),
    )
    terminal = home.run("get", "api_key_command", expected=3)
    command = "writer config set api_key_command 'pass show writer'"
    assert terminal.errors.endswith(f"hint: `{command}`\n")
    home.run(*shlex.split(command)[2:])
    assert home.path.read_text() == 'api_key_command = "pass show writer"\n'


def test_get_shows_a_key_only_by_its_length(home: Home) -> None:
    """Text and JSON have the length of the key; a key of a command counts as not set."""
    home.write(f"api_key = '{KEY}'\n")
    assert home.run("get", "api_key").output == f"{SHOWN}\n".encode()
    assert home.json("get", "api_key")["value"] == SHOWN
    home.write("api_key_command = 'pass writer'\n")
    terminal = home.run("get", "api_key", expected=3)
    assert "api_key is not set\n" in terminal.errors


def test_list_in_a_pipe_is_tab_separated(home: Home) -> None:
    """A row has name, value, source and variables of a setting, and no key."""
    home.write(f"api_key = '{KEY}'\norganization_id = 5\n[profiles.ci]\ntimeout = 30\n")
    terminal = home.run("list", "--profile", "ci", env={"WRITER_MODEL_ID": "m"})
    rows = [line.split("\t") for line in terminal.output.decode().splitlines()]
    assert [row for row in rows if row[0] != "max_retries"] == [
        ["api_key", SHOWN, str(home.path), "WRITER_API_KEY"],
        ["api_key_command", "", "not set", ""],
        ["organization_id", "5", str(home.path), "WRITER_ORGANIZATION_ID WRITER_ORG_ID"],
        ["model_id", "m", "WRITER_MODEL_ID", "WRITER_MODEL_ID"],
        ["api", "enterprise", "default", "WRITER_API"],
        ["base_url", "https://enterprise-api.writer.com", "default", "WRITER_BASE_URL"],
        ["allow_http", "false", "default", ""],
        ["auth_scheme", "bearer", "default", ""],
        ["cache", "", "not set", "WRITER_CACHE"],
        ["timeout", "30", f"profile ci in {home.path}", "WRITER_TIMEOUT"],
    ]
    assert terminal.errors == ""


def test_list_in_json_has_the_file_the_profiles_and_every_setting(home: Home) -> None:
    """A value that is not set is null, and each setting has its variables."""
    home.write(f"timeout = 30\n[profiles.ci]\napi_key = '{KEY}'\n[profiles.work]\n")
    answer = home.json("list", "--profile", "ci")
    assert answer["version"] == 1
    assert answer["path"] == str(home.path)
    assert answer["profile"] == "ci"
    assert answer["profiles"] == ["ci", "work"]
    found = {item["name"]: item for item in answer["settings"]}
    assert found["timeout"] == {
        "name": "timeout",
        "value": 30,
        "source": str(home.path),
        "variables": ["WRITER_TIMEOUT"],
    }
    assert found["api_key"]["value"] == SHOWN
    assert found["api_key"]["source"] == f"profile ci in {home.path}"
    assert found["model_id"]["value"] is None


def test_list_on_a_terminal_has_headings_and_names_the_profiles(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Settings are shown as a table, and the profiles on standard error."""
    monkeypatch.setenv("COLUMNS", "200")
    home.write('model_id = "a\\u001b[2J"\n[profiles.ci]\ntimeout = 5\n[profiles.work]\n')
    terminal = home.run("list", "--profile", "ci", on_terminal=True, env={"TERM": "dumb"})
    shown = terminal.output.decode()
    lines = [line.split() for line in shown.splitlines()]
    assert ["model_id", "a␛[2J", "the", "file", "(WRITER_MODEL_ID", "sets", "it)"] in lines
    assert "  5   profile ci in the file (WRITER_TIMEOUT sets it)\n" in shown
    assert "organization_id  not set (WRITER_ORGANIZATION_ID or WRITER_ORG_ID sets it)\n" in shown
    assert "\x1b[2J" not in shown
    assert terminal.errors == (
        f"the file: {home.path}\nits profiles, for --profile or WRITER_PROFILE: ci, work\n"
    )


def test_list_on_a_terminal_replaces_the_path_and_nothing_else(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path that is part of another word leaves that word as it is."""
    monkeypatch.chdir(home.path.parent)
    for path in ("e", "t"):
        terminal = home.run("list", on_terminal=True, env={"WRITER_CONFIG": path})
        assert "enterprise   default (WRITER_API sets it)\n" in terminal.output.decode()


def test_list_on_a_terminal_says_that_there_is_no_file_yet(home: Home) -> None:
    """The path is shown also if the file does not exist."""
    terminal = home.run("list", on_terminal=True)
    assert terminal.errors == f"the file: {home.path} (not there yet)\n"


def test_path_prints_where_the_file_is_or_would_be(home: Home, isolated_home: Path) -> None:
    """`$EDITOR "$(writer config path)"` works whether or not the file exists."""
    assert home.run("path").output == f"{home.path}\n".encode()
    assert home.json("path") == {"version": 1, "path": str(home.path)}
    terminal = Terminal.fake()
    assert main(["config", "path"], terminal) == 0
    path = Path(terminal.output.decode().strip())
    assert path.name == "config.toml"
    assert path.is_relative_to(isolated_home)


def test_a_pipe_is_read_to_its_end(home: Home) -> None:
    """A pipe, as in `WRITER_CONFIG=<(pass show writer)`, is read completely."""
    home.path.parent.mkdir(exist_ok=True)
    os.mkfifo(home.path)
    descriptor = os.open(home.path, os.O_RDWR)  # O_RDWR does not wait for a reader
    os.write(descriptor, b"timeout = 7")
    reading = os.open(home.path, os.O_RDONLY | os.O_NONBLOCK)
    os.close(descriptor)  # the data stays while the pipe is open for reading
    terminal = Terminal.fake(env={"WRITER_CONFIG": str(home.path)})
    assert main(["config", "get", "timeout"], terminal) == 0
    assert terminal.output == b"7\n"
    os.close(reading)


def test_a_pipe_may_be_written_late(home: Home) -> None:
    """A program may ask a person before it writes to the pipe."""
    home.path.parent.mkdir(exist_ok=True)
    os.mkfifo(home.path)
    descriptor = os.open(home.path, os.O_RDWR)  # O_RDWR does not wait for a reader

    def write() -> None:
        os.write(descriptor, b"timeout = 7")
        os.close(descriptor)

    thinking = threading.Timer(1.0, write)
    thinking.start()
    terminal = Terminal.fake(env={"WRITER_CONFIG": str(home.path)})
    assert main(["config", "get", "timeout"], terminal) == 0
    assert terminal.output == b"7\n"
    thinking.join()


def test_a_pipe_without_end_is_read_up_to_the_largest_file(home: Home) -> None:
    """A pipe without an end is read only up to the largest size of a file."""
    home.path.parent.mkdir(exist_ok=True)
    os.mkfifo(home.path)

    def write() -> None:
        with contextlib.suppress(BrokenPipeError), home.path.open("wb", buffering=0) as pipe:
            while True:
                pipe.write(b"#" * 4096)

    writing = threading.Thread(target=write)
    writing.start()
    terminal = Terminal.fake(env={"WRITER_CONFIG": str(home.path)})
    assert main(["config", "get", "timeout"], terminal) == 3
    assert terminal.errors.startswith(f"error: {home.path} is larger than 1 MiB\n")
    writing.join(60)


def test_a_pipe_without_a_writer_is_an_error(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says that the file is a pipe, and how long the program waited."""
    monkeypatch.setattr("writer_cli.config.file.PIPE_TIMEOUT", 0.01)
    home.path.parent.mkdir(exist_ok=True)
    os.mkfifo(home.path)
    terminal = Terminal.fake(env={"WRITER_CONFIG": str(home.path)})
    assert main(["config", "get", "timeout"], terminal) == 3
    assert terminal.errors == (
        f"error: {home.path}: it is a pipe, and it did not end within 0.01 s\n"
        "hint: WRITER_CONFIG can name another file\n"
    )
