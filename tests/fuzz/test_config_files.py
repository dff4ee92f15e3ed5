"""Configuration files with random content."""

import json
from pathlib import Path
from typing import Any

import tomlkit
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.program import KEY, TEXTS, damaged, examples, folder, run
from writer_cli.config.schema import SETTINGS

NAMES = sorted({*SETTINGS} - {"api_key", "api_key_command"})
"""The settings that may have any value here: all but the key and its command."""

WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1).filter(str.strip)

NUMBERS = st.integers(0, 2**63 - 1)

SECONDS = st.integers(1, 1_000_000) | st.floats(0.001, 1_000_000)

GOOD: dict[str, st.SearchStrategy[Any]] = {
    "api_key": st.just(KEY),
    "organization_id": NUMBERS,
    "model_id": WORDS,
    "api": st.sampled_from(["enterprise", "studio", "openai"]),
    "base_url": st.sampled_from(["https://example.com", "http://localhost:8000", "http://[::1]:1"]),
    "allow_http": st.booleans(),
    "auth_scheme": st.sampled_from(["bearer", "raw"]),
    "timeout": SECONDS,
    "max_retries": NUMBERS,
}

TABLES = st.fixed_dictionaries({}, optional=GOOD)

ODD: st.SearchStrategy[Any] = (
    st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | TEXTS
    | st.datetimes()
    | st.lists(st.integers(), max_size=2)
    | st.dictionaries(TEXTS, st.integers(), max_size=2)
)

READERS = [
    ["config", "list"],
    ["config", "list", "--json"],
    ["config", "check"],
    ["config", "get", "timeout"],
    ["config", "set", "model_id", "m"],
    ["config", "unset", "model_id"],
    ["complete", "--sandbox", "--max-tokens=1", "p"],
    ["complete", "--dry-run", "--profile=ci", "p"],
]


def check(text: bytes, arguments: list[str]) -> None:
    """Write the file, and run a command that reads it."""
    with folder() as here:
        path = here / "config.toml"
        path.touch(mode=0o600)
        path.write_bytes(text)
        run(*arguments, env={"WRITER_CONFIG": str(path)})


@given(
    st.dictionaries(st.sampled_from([*NAMES, "profiles"]) | TEXTS.filter(str.strip), ODD),
    st.dictionaries(st.sampled_from(NAMES), ODD),
    st.sampled_from(READERS),
)
@examples(20)
def test_a_file_of_odd_values_is_read_or_refused(
    table: dict[str, Any], profile: dict[str, Any], arguments: list[str]
) -> None:
    """Each setting gets a value of any TOML type, except the key and its command."""
    for name in ("api_key", "api_key_command"):
        table.pop(name, None)
    check(tomlkit.dumps({"profiles": {"ci": profile}, **table}).encode(), arguments)


@given(TABLES.map(tomlkit.dumps).map(str.encode).flatmap(damaged), st.sampled_from(READERS))
@examples(20)
def test_a_damaged_file_is_read_or_refused(text: bytes, arguments: list[str]) -> None:
    """A good file in which a few bytes are missing, doubled or different is read or refused."""
    # The damage must not create a command.
    check(text.replace(b"command", b"_"), arguments)


@given(TABLES, TABLES)
@examples(12)
def test_good_values_are_used(table: dict[str, Any], profile: dict[str, Any]) -> None:
    """Each value of the file is listed, and a profile's value comes before it."""
    with folder() as here:
        path = Path(here / "config.toml")
        path.touch(mode=0o600)
        path.write_text(tomlkit.dumps({**table, "profiles": {"ci": profile}}))
        ran = run("config", "list", "--json", "--profile=ci", env={"WRITER_CONFIG": str(path)})
        assert ran.code == 0, ran
        listed = json.loads(ran.output)
    values = {one["name"]: one["value"] for one in listed["settings"]}
    for name, value in (table | profile).items():
        if name != "api_key":
            assert values[name] == value
