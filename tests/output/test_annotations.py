import pytest

from tests.harness.program import Ran, writer
from tests.harness.servers import Server, completion, failure

ACTIONS = {"GITHUB_ACTIONS": "true"}
STORY = "Once upon a time"


def test_an_error_is_one_line_that_no_text_can_break() -> None:
    """A server's message cannot begin a workflow command of its own."""
    hostile = "100%\r\n::set-env name=PATH::x"
    with Server(failure(400, {"description": hostile, "key": "k"})) as server:
        ran = writer("complete", "--annotate", STORY, env=server.env | ACTIONS)
    assert ran == Ran(
        5,
        "",
        "::error title=writer%3A refused%2C exit code 5::"
        "error: 100%25%0D%0A::set-env name=PATH::x (k)%0A"
        "HTTP 400 · tpe BadRequest · Action-Id action-1%0A"
        "hint: see exactly what was sent: repeat the command with --dry-run\n",
    )


def test_a_warning_is_an_annotation_too() -> None:
    """A warning is an annotation, and `--quiet` hides it."""
    arguments = ("complete", "--temperature", "3", STORY)
    with Server(completion("a")) as server:
        env = server.env | ACTIONS | {"WRITER_ANNOTATE": "1"}
        assert writer(*arguments, env=env) == Ran(
            0,
            "a\n",
            "::warning title=writer%3A warning::--temperature: 3; the documented range is 0 to 2\n",
        )
        assert writer(*arguments, "--quiet", env=env) == Ran(0, "a\n", "")


@pytest.mark.parametrize(
    ("flags", "env"),
    [
        ([], ACTIONS),
        ([], ACTIONS | {"WRITER_ANNOTATE": "0"}),
        ([], ACTIONS | {"WRITER_ANNOTATE": "perhaps"}),
        (["--annotate"], {}),
        (["--annotate"], {"GITLAB_CI": "true"}),
        (["--annotate", "--json"], ACTIONS),
    ],
)
def test_annotations_are_off_by_default(flags: list[str], env: dict[str, str]) -> None:
    """Without the flag, outside GitHub Actions, or with `--json`, there are no annotations."""
    ran = writer("complete", *flags, "-m", "m", "--organization-id", "1", STORY, env=env)
    assert ran.code == 3
    assert ran.errors.startswith('{"error": ' if "--json" in flags else "error: no API key")


def test_an_unknown_flag_is_annotated_too() -> None:
    """The error about an unknown flag is an annotation too."""
    ran = writer("complete", "--nonsense", "--annotate", STORY, env=ACTIONS)
    assert ran.code == 2
    start = "::error title=writer%3A usage%2C exit code 2::error: writer complete has no flag"
    assert ran.errors.startswith(start)
    ran = writer("complete", "--nonsense", "--", "--annotate", env=ACTIONS)
    assert ran.errors.startswith("error: writer complete has no flag")
