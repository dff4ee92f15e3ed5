"""The settings: the order of their sources, and the values that are refused."""

from pathlib import Path
from typing import Any

import pytest

from tests.config.loading import KEY, load_settings, run
from tests.harness.program import writer
from writer_cli.config.schema import SETTINGS
from writer_cli.config.settings import Settings
from writer_cli.errors import ConfigurationError, WriterError


def failure(text: str | bytes, *, directory: Path, profile: str | None = None) -> str:
    """Return the error about a wrong file, with its hint; `FILE` stands for the path."""
    with pytest.raises(ConfigurationError) as caught:
        load_settings(text, directory=directory, profile=profile)
    said = f"{caught.value.message} | {caught.value.hint}"
    return said.replace(str(directory / "config.toml"), "FILE")


VALUES: list[tuple[str, list[Any], list[Any]]] = [
    # name, values by flag, variable, profile and file, and what each means
    ("organization_id", [1, "2", 3, 4], [1, 2, 3, 4]),
    ("model_id", ["a", "b", "c", "d"], ["a", "b", "c", "d"]),
    ("timeout", [1.0, "2.5", 3, 4.5], [1.0, 2.5, 3.0, 4.5]),
    (
        "base_url",
        ["https://a", "https://b/", "https://c", "https://d"],
        ["https://a", "https://b", "https://c", "https://d"],
    ),
    ("api", ["enterprise"] * 4, ["enterprise"] * 4),
    ("auth_scheme", [None, None, "raw", "bearer"], [None, None, "raw", "bearer"]),
    ("api_key", [None, "k2", "k3", "k4"], [None, "k2", "k3", "k4"]),
    ("api_key_command", [None, None, "c3", "c4"], [None, None, "c3", "c4"]),
]


@pytest.mark.parametrize(("name", "given", "meant"), VALUES, ids=[row[0] for row in VALUES])
def test_a_flag_comes_before_the_environment_a_profile_the_file_and_the_default(
    name: str, given: list[Any], meant: list[Any], tmp_path: Path
) -> None:
    """If a source is removed, the next one in this order is used and named."""
    path = tmp_path / "config.toml"
    kind = SETTINGS[name]
    flag = {} if given[0] is None else {name: given[0]}
    env = {} if given[1] is None else {kind.variables[0]: given[1]}
    profile = f"[profiles.ci]\n{name} = {given[2]!r}\n"
    file = f"{name} = {given[3]!r}\n"

    def found(*, flags: Any, env: Any, text: str, profile: str | None) -> tuple[Any, str]:
        setting = load_settings(
            text, directory=tmp_path, flags=flags, env=env, profile=profile
        ).get(name)
        return setting.value, setting.source

    if flag:
        assert found(flags=flag, env=env, text=file + profile, profile="ci") == (
            meant[0],
            "--" + name.replace("_", "-"),
        )
    if env:
        assert found(flags={}, env=env, text=file + profile, profile="ci") == (
            meant[1],
            kind.variables[0],
        )
    assert found(flags={}, env={}, text=file + profile, profile="ci") == (
        meant[2],
        f"profile ci in {path}",
    )
    assert found(flags={}, env={}, text=file + profile, profile=None) == (meant[3], str(path))
    assert found(flags={}, env={}, text="", profile=None) == (kind.default, "default")


def test_the_defaults_are_the_documented_ones(tmp_path: Path) -> None:
    """Without any setting, the enterprise API is used with a timeout of three minutes."""
    settings = Settings(flags={}, env={}, path=tmp_path / "none.toml")
    assert settings.get("api").value == "enterprise"
    assert settings.get("auth_scheme").value == "bearer"
    assert settings.get("timeout").value == 180.0
    assert settings.api_key() is None


def test_the_short_name_of_the_organization_variable_works(tmp_path: Path) -> None:
    """`WRITER_ORGANIZATION_ID` is used before `WRITER_ORG_ID`, and both work."""
    short = load_settings(directory=tmp_path, env={"WRITER_ORG_ID": "5"}).get("organization_id")
    assert (short.value, short.source) == (5, "WRITER_ORG_ID")
    both = load_settings(
        directory=tmp_path, env={"WRITER_ORG_ID": "5", "WRITER_ORGANIZATION_ID": "6"}
    ).get("organization_id")
    assert (both.value, both.source) == (6, "WRITER_ORGANIZATION_ID")


def test_an_empty_variable_is_not_set(tmp_path: Path) -> None:
    """An empty variable counts as not set, so that the file's value is used."""
    env = {variable: "" for kind in SETTINGS.values() for variable in kind.variables}
    text = f"model_id = 'm'\napi_key = '{KEY}'\norganization_id = 7\ntimeout = 8\n"
    settings = load_settings(text, directory=tmp_path, env=env | {"WRITER_PROFILE": ""})
    assert settings.get("model_id").value == "m"
    assert settings.get("organization_id").value == 7
    assert settings.get("timeout").value == 8
    assert settings.api_key() == KEY
    assert settings.profile is None


def test_a_profile_is_named_by_flag_or_variable(tmp_path: Path) -> None:
    """`--profile` comes before `WRITER_PROFILE`; other values come from the file."""
    text = "organization_id = 1\nmodel_id = 'm'\n[profiles.a]\norganization_id = 2\n[profiles.b]\n"
    by_variable = load_settings(text, directory=tmp_path, env={"WRITER_PROFILE": "a"})
    assert by_variable.get("organization_id").value == 2
    assert by_variable.get("model_id").value == "m"
    by_flag = load_settings(text, directory=tmp_path, env={"WRITER_PROFILE": "a"}, profile="b")
    assert by_flag.get("organization_id").value == 1
    assert by_flag.profiles == ["a", "b"]


def test_the_largest_organization_id_is_that_of_64_bits(tmp_path: Path) -> None:
    """Every source accepts 2^63 - 1 and refuses 2^63."""
    largest = 2**63 - 1
    for settings in (
        load_settings(f"organization_id = {largest}", directory=tmp_path),
        load_settings(directory=tmp_path, env={"WRITER_ORG_ID": str(largest)}),
        load_settings(directory=tmp_path, flags={"organization_id": largest}),
    ):
        assert settings.get("organization_id").value == largest
    assert "2^63 - 1" in failure(f"organization_id = {largest + 1}", directory=tmp_path)
    for too_large in (
        load_settings(directory=tmp_path, env={"WRITER_ORG_ID": str(largest + 1)}),
        load_settings(directory=tmp_path, flags={"organization_id": largest + 1}),
    ):
        with pytest.raises(WriterError, match=r"2\^63 - 1"):
            too_large.get("organization_id")


WRONG_FLAGS = [
    (
        ["--timeout", "0"],
        (
            "error: --timeout: 0.0 is not a number of seconds above 0, up to 1000000\n"
            "hint: for example: --timeout 30\n"
        ),
    ),
    (
        ["--timeout", "1000001"],
        (
            "error: --timeout: 1000001.0 is not a number of seconds above 0, up to 1000000\n"
            "hint: for example: --timeout 30\n"
        ),
    ),
    (
        ["--base-url", "ftp://example.com"],
        (
            "error: --base-url: 'ftp://example.com' is not a valid URL\n"
            "hint: a base URL looks like https://enterprise-api.writer.com\n"
        ),
    ),
    (
        ["--base-url", "http://example.com"],
        (
            "error: --base-url: the key is not sent to example.com over plain http\n"
            "hint: use https://example.com\n"
        ),
    ),
    (
        ["--organization-id", "-1"],
        (
            "error: --organization-id: -1 is not a whole number from 0 to 2^63 - 1\n"
            "hint: for example: --organization-id 123\n"
        ),
    ),
    (
        ["--model-id", " "],
        (
            "error: --model-id: ' ' is not a string with at least one visible character\n"
            "hint: for example: --model-id palmyra-x5\n"
        ),
    ),
]


@pytest.mark.parametrize(("flags", "said"), WRONG_FLAGS, ids=[" ".join(r[0]) for r in WRONG_FLAGS])
def test_an_invalid_flag_is_a_usage_error(flags: list[str], said: str) -> None:
    """Exit code 2; the error has the flag, its value, the allowed values and an example."""
    env = {"WRITER_API_KEY": KEY, "WRITER_ORG_ID": "1", "WRITER_MODEL_ID": "m"}
    code, terminal = run("complete", "hello", *flags, env=env)
    assert (code, terminal.output, terminal.errors) == (2, b"", said)


@pytest.mark.parametrize("place", ["before", "after"])
def test_a_timeout_of_zero_is_refused_on_either_side_of_the_command(place: str) -> None:
    """`--timeout 0` is refused before and after the command."""
    flags = ["--timeout", "0"]
    before, after = (flags, []) if place == "before" else ([], flags)
    code, terminal = run(*before, "models", "--sandbox", *after)
    assert code == 2
    assert "--timeout: 0.0 is not a number of seconds" in terminal.errors


WRONG_VARIABLES = [
    ("WRITER_TIMEOUT", "5s", "'5s' is not a number of seconds above 0, up to 1000000", "30"),
    *(
        (
            "WRITER_TIMEOUT",
            text,
            f"{text!r} is not a number of seconds above 0, up to 1000000",
            "30",
        )
        for text in ("inf", "nan", "1_0", "1e999", "٣", "-1", "9" * 20)
    ),
    ("WRITER_ORGANIZATION_ID", "abc", "'abc' is not a whole number from 0 to 2^63 - 1", "123"),
    ("WRITER_ORG_ID", "1.5", "'1.5' is not a whole number from 0 to 2^63 - 1", "123"),
    ("WRITER_ORG_ID", "٣", "'٣' is not a whole number from 0 to 2^63 - 1", "123"),
    (
        "WRITER_MODEL_ID",
        " ",
        "' ' is not a string with at least one visible character",
        "palmyra-x5",
    ),
    ("WRITER_MODEL_ID", "\udcff", "'\\udcff' is not UTF-8", "palmyra-x5"),
]


@pytest.mark.parametrize(("variable", "text", "said", "example"), WRONG_VARIABLES)
def test_an_invalid_variable_is_a_configuration_error(
    variable: str, text: str, said: str, example: str
) -> None:
    """Exit code 3; the error has the variable, its value, the allowed values and an example."""
    env = {"WRITER_API_KEY": KEY, "WRITER_ORG_ID": "1", "WRITER_MODEL_ID": "m", variable: text}
    code, terminal = run("complete", "hello", env=env)
    assert (code, terminal.output, terminal.errors) == (
        3,
        b"",
        f"error: {variable}: {said}\nhint: for example: {variable}={example}\n",
    )


def test_a_variable_with_an_invalid_api_or_address_is_named(tmp_path: Path) -> None:
    """The error about an unknown API or an invalid address names the variable."""
    settings = load_settings(
        directory=tmp_path, env={"WRITER_API": "smoke", "WRITER_BASE_URL": "x"}
    )
    with pytest.raises(ConfigurationError, match=r"^WRITER_API: 'smoke' is not "):
        settings.get("api")
    with pytest.raises(ConfigurationError, match=r"^WRITER_BASE_URL: 'x' is not a valid URL$"):
        settings.get("base_url")


@pytest.mark.parametrize(
    ("value", "code"),
    [("1", 0), ("TRUE", 0), ("yes", 0), ("on", 0), ("0", 3), ("no", 3), ("", 3), ("maybe", 3)],
)
def test_the_sandbox_variable_is_yes_or_no(value: str, code: int) -> None:
    """Yes needs no key, no needs one, and any other value is refused with the variable's name."""
    found, terminal = run("complete", "hello", "-m", "m", env={"WRITER_SANDBOX": value})
    assert found == code
    if value == "maybe":
        assert terminal.errors == (
            "error: WRITER_SANDBOX: 'maybe' is neither yes nor no\n"
            "hint: WRITER_SANDBOX=1 or unset it\n"
        )


WRONG_FILES: list[tuple[str, str | bytes, str]] = [
    (
        "an unknown setting names the nearest",
        "organisation_id = 1",
        "FILE: there is no setting 'organisation_id' | did you mean organization_id?",
    ),
    (
        "a setting like no other names them all",
        "zzz = 1",
        "FILE: there is no setting 'zzz' | the settings are " + ", ".join(SETTINGS),
    ),
    (
        "a name as long as a page is cut",
        f"{'z' * 5000} = 1",
        f"FILE: there is no setting '{'z' * 59}… | the settings are " + ", ".join(SETTINGS),
    ),
    (
        "a wrong type",
        "organization_id = '5'\nmodel_id = 5",
        'FILE: model_id: 5 is not a string | for example: model_id = "palmyra-x5"',
    ),
    (
        "a boolean is no number",
        "organization_id = true",
        (
            "FILE: organization_id: True is not a whole number from 0 to 2^63 - 1"
            " | for example: organization_id = 123"
        ),
    ),
    (
        "a boolean is no time",
        "timeout = true",
        (
            "FILE: timeout: True is not a number of seconds above 0, up to 1000000"
            " | for example: timeout = 30"
        ),
    ),
    (
        "a number that no float holds",
        f"timeout = 1{'0' * 400}",
        (
            f"FILE: timeout: 1{'0' * 59}… is not a number of seconds above 0, up to 1000000"
            " | for example: timeout = 30"
        ),
    ),
    (
        "a number that Python does not write",
        f"timeout = 0x{'f' * 10_000}",
        (
            "FILE: timeout: this number is not a number of seconds above 0, up to 1000000"
            " | for example: timeout = 30"
        ),
    ),
    (
        "a key that is a number is not shown",
        "api_key = 123456789",
        "FILE: api_key is not a string | None",
    ),
    (
        "a list where one text belongs",
        "auth_scheme = ['raw']",
        (
            "FILE: auth_scheme: ['raw'] is not one of bearer, raw | "
            'for example: auth_scheme = "bearer"'
        ),
    ),
    (
        "a list where true or false belongs",
        "allow_http = []",
        "FILE: allow_http: [] is not true or false | for example: allow_http = true",
    ),
    (
        "1 is not true",
        "allow_http = 1",
        "FILE: allow_http: 1 is not true or false | for example: allow_http = true",
    ),
    (
        "two places for a key",
        f"api_key = '{KEY}'\napi_key_command = 'pass writer'",
        "FILE has both api_key and api_key_command | keep one of them",
    ),
    (
        "profiles that are none",
        "profiles = 3",
        "FILE: profiles is not a table | write it as [profiles.NAME]",
    ),
    (
        "a list of profiles",
        "[[profiles]]\norganization_id = 1",
        "FILE: profiles is not a table | write it as [profiles.NAME]",
    ),
    (
        "toml that is none names the line",
        f"organization_id = 5\napi_key = {KEY}",
        (
            "FILE: Invalid value (at line 2, column 11)"
            " | the file is TOML: a line looks like organization_id = 123"
        ),
    ),
    (
        "a broken line of a key shows no key",
        f"api_key = '{KEY}",
        (
            'FILE: Expected "\'" (at end of document)'
            " | the file is TOML: a line looks like organization_id = 123"
        ),
    ),
    (
        "bytes of another encoding name the line",
        b"# a comment\nmodel_id = '\xe4'\n",
        "FILE is not UTF-8: byte 0xe4 in line 2 | save it as UTF-8 in an editor",
    ),
]


@pytest.mark.parametrize(
    ("text", "said"), [row[1:] for row in WRONG_FILES], ids=[row[0] for row in WRONG_FILES]
)
def test_a_file_that_is_wrong_is_named_with_the_place(
    text: str | bytes, said: str, tmp_path: Path
) -> None:
    """The error has the file, the place in it, the reason, and what to write instead."""
    found = failure(text, directory=tmp_path)
    assert found == said
    assert KEY not in found


def test_a_file_that_is_nested_too_deeply_is_an_error_of_the_file(tmp_path: Path) -> None:
    """A file that is nested too deeply for the parser is an error and not a crash."""
    assert failure("model_id = " + "[" * 5000, directory=tmp_path).startswith("FILE: ")


WRONG_PROFILES = [
    (
        "[profiles.ci]\ntimout = 1",
        "FILE: [profiles.ci]: there is no setting 'timout' | did you mean timeout?",
    ),
    (
        "[profiles.ci]\ntimeout = -1",
        (
            "FILE: [profiles.ci]: timeout: -1 is not a number of seconds above 0, up to 1000000"
            " | for example: timeout = 30"
        ),
    ),
    ("profiles.ci = 1", "FILE: profiles.ci is not a table | write it as [profiles.ci]"),
    (
        f"[profiles.ci]\napi_key = '{KEY}'\napi_key_command = 'x'",
        "FILE: [profiles.ci] has both api_key and api_key_command | keep one of them",
    ),
    (
        "[profiles.work]\n[profiles.home]",
        (
            "no profile 'ci' in FILE; profiles there: work, home"
            " | create it: `writer config init --profile ci`"
        ),
    ),
    (
        "",
        (
            "no profile 'ci' in FILE; profiles there: none"
            " | create it: `writer config init --profile ci`"
        ),
    ),
]


@pytest.mark.parametrize(("text", "said"), WRONG_PROFILES)
def test_a_profile_that_is_wrong_is_named(text: str, said: str, tmp_path: Path) -> None:
    """An error in a profile names it; the error for a missing one lists the profiles."""
    assert failure(text, directory=tmp_path, profile="ci") == said


def test_a_profile_that_is_not_used_is_not_checked(tmp_path: Path) -> None:
    """An error in one profile does not stop a command that uses another."""
    text = "[profiles.old]\ntimout = 1\n[profiles.ci]\ntimeout = 5\n"
    assert load_settings(text, directory=tmp_path, profile="ci").get("timeout").value == 5


def test_a_byte_order_mark_at_the_start_of_the_file_is_no_error(tmp_path: Path) -> None:
    """A byte order mark, as some editors write it, is ignored."""
    text = b"\xef\xbb\xbforganization_id = 5\r\n"
    assert load_settings(text, directory=tmp_path).get("organization_id").value == 5


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (".", "Is a directory"),
        ("file/config.toml", "Not a directory"),
        ("loop", "Too many levels of symbolic links"),
        ("with\0nul", "embedded null byte"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_configuration_error(
    name: str, said: str, tmp_path: Path
) -> None:
    """Exit code 3 with the system's reason, and no request is sent."""
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    path = f"{tmp_path}/{name}" if name != "." else str(tmp_path)
    code, terminal = run(
        "complete", "x", "-m", "m", env={"WRITER_CONFIG": path, "WRITER_API_KEY": KEY}
    )
    shown = path.replace("\0", "\u2400")
    assert (code, terminal.errors) == (
        3,
        f"error: {shown}: {said}\nhint: WRITER_CONFIG can name another file\n",
    )


def test_a_file_without_end_is_not_read_to_its_end() -> None:
    """`config set` and `config list` stop reading `/dev/zero` after a megabyte."""
    code, terminal = run("config", "list", env={"WRITER_CONFIG": "/dev/zero"})
    assert (code, terminal.errors) == (
        3,
        "error: /dev/zero is larger than 1 MiB\nhint: WRITER_CONFIG can name another file\n",
    )
    code, terminal = run("config", "set", "timeout", "5", env={"WRITER_CONFIG": "/dev/zero"})
    assert (code, terminal.output) == (3, b"")


def test_dev_null_is_an_empty_configuration_without_a_warning() -> None:
    """`WRITER_CONFIG=/dev/null` disables the file, and its mode causes no warning."""
    code, terminal = run("config", "get", "timeout", env={"WRITER_CONFIG": "/dev/null"})
    assert (code, terminal.output, terminal.errors) == (0, b"180\n", "")


@pytest.mark.parametrize("name", ["api", "timeout", "organization_id", "allow_http"])
def test_a_key_in_the_place_of_another_setting_is_not_shown(name: str, tmp_path: Path) -> None:
    """The error has the file, the setting and the allowed values, but not the key."""
    path = tmp_path / "config.toml"
    path.touch(mode=0o600)
    path.write_text(f'{name} = "fuzz-Zq8vT3xL0wN5yB7k"\n')
    ran = writer("config", "list", env={"WRITER_CONFIG": str(path)})
    assert ran.code == 3
    assert ran.errors.startswith(f"error: {path}: {name}: [redacted] is not ")
    assert "Zq8vT3xL" not in ran.errors
