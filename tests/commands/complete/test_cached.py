import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.program import ERROR_KEYS, writer
from tests.harness.servers import KEY, Server, chunked, completion, http

STORY = "Once upon a time"
EVENTS = (b'data: {"value": "one "}\n\n', b'data: {"value": "two"}\n\n')


@pytest.fixture
def server() -> Iterator[Server]:
    """Start a server that answers once, and fails from then on."""
    with Server(completion("né\n\n"), http(500)) as started:
        yield started


def test_ci_asks_once_and_replays_offline(server: Server, tmp_path: Path) -> None:
    """Three runs have the same output; the second sends nothing, the third has no key."""
    arguments = ("complete", "--temperature", "0.7", STORY)
    env = server.env | {"WRITER_CACHE": str(tmp_path)}
    first, second = writer(*arguments, env=env), writer(*arguments, env=env)
    offline = {
        "WRITER_CACHE": str(tmp_path),
        "WRITER_OFFLINE": "1",
        "WRITER_MODEL_ID": "palmyra-x5",
    }
    third = writer(*arguments, env=offline)
    assert first.output == second.output == third.output == "né\n\n"
    assert (second.errors, third.errors, third.code) == ("", "", 0)
    assert len(server.requests) == 1
    changed = writer("complete", "--temperature", "0.5", STORY, env=offline)
    [path] = tmp_path.glob("*/*")
    assert (changed.code, changed.output) == (12, "")
    assert changed.errors == (
        f"error: the answer to this request is not recorded in {tmp_path}; the nearest recording "
        f"is {path}: recorded: temperature 0.7, now: 0.5\n"
        "hint: to record it, run the same once without --offline and WRITER_OFFLINE\n"
    )
    as_json = writer("complete", "--json", "--temperature", "0.5", STORY, env=offline)
    error = json.loads(as_json.errors)["error"]
    assert list(error) == ERROR_KEYS
    assert (error["kind"], error["exit_code"], error["attempts"]) == ("not_recorded", 12, 0)


def test_offline_an_answer_of_the_other_kind_of_server_hints_at_the_sandbox_flag(
    server: Server, tmp_path: Path
) -> None:
    """An answer of the sandbox is found with `--sandbox` only, and one of the API without it."""
    arguments = ("complete", "--cache", str(tmp_path), "-m", "palmyra-x5", STORY)
    writer(*arguments, "--sandbox")
    assert writer(*arguments, "--offline").errors.endswith(
        "recorded: sandbox true, now: false\nhint: add --sandbox, as when it was recorded\n"
    )
    [path] = tmp_path.glob("*/*")
    path.unlink()
    writer(*arguments, env=server.env)
    assert writer(*arguments, "--offline", "--sandbox").errors.endswith(
        "recorded: sandbox false, now: true\nhint: leave out --sandbox, as when it was recorded\n"
    )


@pytest.mark.parametrize("flags", [[], ["--stream"]])
def test_a_recorded_answer_needs_no_key(server: Server, tmp_path: Path, flags: list[str]) -> None:
    """A recorded answer needs no key and no organization, any other request does."""
    arguments = ("complete", *flags, "--cache", str(tmp_path), "-m", "palmyra-x5")
    first = writer(*arguments, STORY, env=server.env)
    second = writer(*arguments, STORY)
    assert (second.code, second.output, second.errors) == (0, first.output, "")
    other = writer(*arguments, "Another")
    assert other.code == 3
    assert other.errors.startswith("error: no API key and no organization\nhint: set up ")
    shown = writer(*arguments, "--dry-run", STORY)
    assert shown.errors.startswith("error: no organization\n")
    assert len(server.requests) == 1


def test_json_says_that_an_answer_was_recorded(server: Server, tmp_path: Path) -> None:
    """The JSON result has the time of the recording."""
    arguments = ("complete", "--json", "--cache", str(tmp_path), STORY)
    first, second = (json.loads(writer(*arguments, env=server.env).output) for _ in range(2))
    assert (first["cached"], first["recorded_at"], first["attempts"]) == (False, None, 1)
    [path] = tmp_path.glob("*/*")
    recorded_at = json.loads(path.read_text())["recorded_at"]
    assert (second["cached"], second["recorded_at"], second["attempts"]) == (True, recorded_at, 0)
    assert first | second == second | {"elapsed_s": second["elapsed_s"]}
    assert list(first) == list(second)


def test_verbose_says_hit_or_miss(server: Server, tmp_path: Path) -> None:
    """`--verbose` says hit or miss, with the file."""
    arguments = ("complete", "--verbose", "--cache", str(tmp_path), STORY)
    told = [writer(*arguments, env=server.env).errors.splitlines()[0] for _ in range(2)]
    [path] = tmp_path.glob("*/*")
    assert told == [f"cache miss: {path}", f"cache hit: {path}"]


def test_a_damaged_file_is_a_warning(tmp_path: Path) -> None:
    """After the warning, the request is sent again."""
    with Server(completion("one"), completion("two")) as server:
        arguments = ("complete", "--cache", str(tmp_path), STORY)
        writer(*arguments, env=server.env)
        [path] = tmp_path.glob("*/*")
        path.write_text("{")
        ran = writer(*arguments, env=server.env)
    assert ran.errors == f"warning: the recording {path} is ignored: it is no recording\n"
    assert ran.output == "two\n"


def test_a_stream_is_replayed_as_a_stream(tmp_path: Path) -> None:
    """A recorded stream is replayed on a terminal, in a pipe and as JSON."""
    stream = chunked(*EVENTS, content_type="text/event-stream")
    with Server(stream, http(500)) as server:
        env = server.env | {"WRITER_CACHE": str(tmp_path)}
        shown = writer("complete", STORY, env=env, stdout_is_terminal=True)
        again = writer("complete", STORY, env=env, stdout_is_terminal=True)
        piped = writer("complete", STORY, env=env)
        as_json = writer("complete", "--stream", "--json", STORY, env=env)
    assert shown.output == again.output == piped.output == "one two\n"
    assert json.loads(as_json.output)["cached"]


def test_refresh_and_salt_ask_again(tmp_path: Path) -> None:
    """`--refresh` replaces the recording, and `--cache-salt` adds one."""
    with Server(*(completion(text) for text in ("a", "b", "c", "d"))) as server:
        env = server.env | {"WRITER_CACHE": str(tmp_path)}

        def text(*flags: str) -> str:
            return writer("complete", *flags, STORY, env=env).output

        salted = ("--cache-salt", "2")
        assert [text(), text("--refresh"), text(), text(*salted), text(*salted)] == [
            "a\n",
            "b\n",
            "b\n",
            "c\n",
            "c\n",
        ]
        assert text() == "b\n"
    assert len(list(tmp_path.glob("*/*"))) == 2


def test_a_profile_names_its_own_cache(server: Server, tmp_path: Path) -> None:
    """A profile can set the cache like any other setting."""
    config = tmp_path / "config.toml"
    config.write_text(f'[profiles.ci]\ncache = "{tmp_path}/ci"\n')
    env = server.env | {"WRITER_CONFIG": str(config)}
    for _ in range(2):
        assert writer("complete", "--profile", "ci", STORY, env=env).code == 0
    assert len(list(tmp_path.glob("ci/*/*"))) == 1


@pytest.mark.parametrize(
    ("flags", "env", "message"),
    [
        (["--offline"], {}, "--offline needs a cache"),
        ([], {"WRITER_OFFLINE": "1"}, "--offline needs a cache"),
        (["--refresh"], {}, "--refresh needs a cache"),
        (["--cache-salt", ""], {}, "--cache-salt needs a cache"),
        (["--cache", "c", "--refresh", "--offline"], {}, "refresh and offline exclude each other"),
        (["--cache", "/dev/null"], {}, "cache: /dev/null is not a folder"),
        (
            ["--cache", "~no1"],
            {},
            "cache: ~no1: Could not determine home directory.",
        ),
        (["--cache", "x" * 256], {}, f"cache: {'x' * 256}: File name too long"),
        (["--cache", " "], {}, "--cache: ' ' is not a string with at least one visible character"),
    ],
)
def test_contradicting_flags_are_a_usage_error(
    flags: list[str], env: dict[str, str], message: str
) -> None:
    """Contradicting flags are an error before anything is sent."""
    ran = writer("complete", "--sandbox", *flags, STORY, env=env)
    assert (ran.code, ran.output) == (2, "")
    assert ran.errors.startswith(f"error: {message}\nhint: ")


def test_offline_is_yes_or_no() -> None:
    """Any other value of WRITER_OFFLINE is a configuration error."""
    ran = writer("complete", "--sandbox", STORY, env={"WRITER_OFFLINE": "perhaps"})
    assert ran.code == 3
    assert ran.errors == (
        "error: WRITER_OFFLINE: 'perhaps' is neither yes nor no\n"
        "hint: WRITER_OFFLINE=1 or unset it\n"
    )


def test_a_list_is_never_recorded(tmp_path: Path) -> None:
    """A list is never recorded, so that it is an error offline."""
    env = {"WRITER_CACHE": str(tmp_path), "WRITER_OFFLINE": "1", "WRITER_API_KEY": KEY}
    ran = writer("models", env=env)
    assert (ran.code, ran.output) == (12, "")
    assert ran.errors.startswith("error: lists of models and customizations are not recorded\n")
