import re
import signal
import time
from pathlib import Path

import pytest

from tests.harness.program import WRITER, Ran, shell, writer
from tests.harness.pseudo_terminal import OnTerminal, screen
from tests.harness.servers import Held, Server, completion
from writer_cli.output.spinner import Spinner
from writer_cli.output.terminal import Terminal, escaped_json, visible

STORY = "Once upon a time"


@pytest.mark.parametrize("pipes", [[], ["stdout"]])
def test_a_spinner_shows_while_waiting_and_leaves_no_trace(pipes: list[str]) -> None:
    """The spinner is on standard error, so that a pipe gets only the text."""
    with (
        Server(held := Held(completion("the text"))) as server,
        OnTerminal(
            [WRITER, "complete-custom", "--customization-id", "c", STORY],
            env=server.env,
            pipes=pipes,
        ) as terminal,
    ):
        terminal.wait_for("waiting for palmyra-x5")
        assert re.search(r"waiting for palmyra-x5 · \d+ s", screen(terminal.raw)[0])
        held.release.set()
        piped = terminal.process.stdout.read() if terminal.process.stdout else b""
        assert terminal.wait() == 0
        assert piped == (b"the text\n" if pipes else b"")
        assert screen(terminal.raw) == ("" if pipes else "the text", True)


@pytest.mark.parametrize(
    ("flags", "env", "pipes"),
    [
        (["--quiet"], {}, []),
        ([], {"TERM": "dumb"}, []),
        ([], {}, ["stderr"]),
    ],
)
def test_no_spinner_where_none_is_wanted(
    flags: list[str], env: dict[str, str], pipes: list[str]
) -> None:
    """There is no spinner with `--quiet`, on a dumb terminal, and without a terminal."""
    with (
        Server(held := Held(completion("the text"))) as server,
        OnTerminal(
            [WRITER, "complete-custom", "--customization-id", "c", *flags, STORY],
            env=server.env | env,
            pipes=pipes,
        ) as terminal,
    ):
        assert held.arrived.wait(60)
        # Longer than the delay of a spinner, so that a wrong one would be seen.
        held.release.wait(0.6)
        held.release.set()
        errors = terminal.process.stderr.read() if terminal.process.stderr else b""
        assert terminal.wait() == 0
        assert (terminal.text, errors) == ("the text\n", b"")


def test_a_quick_answer_needs_no_spinner() -> None:
    """If the answer comes quickly, no spinner is drawn."""
    with OnTerminal([WRITER, "complete", "--sandbox", "--max-tokens", "5", STORY]) as terminal:
        assert terminal.wait() == 0
        text = writer("complete", "--sandbox", "--max-tokens", "5", STORY).output
        assert screen(terminal.raw) == (text.rstrip("\n"), True)


@pytest.mark.parametrize(
    ("env", "colors"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)],
)
def test_an_error_has_colours_where_they_are_wanted(env: dict[str, str], *, colors: bool) -> None:
    """Errors are red on a terminal, unless NO_COLOR is set or the terminal is dumb."""
    with OnTerminal([WRITER, "complete", "-m", "m", "--max-tokens", "0", "x"], env=env) as terminal:
        assert terminal.wait() == 2
        assert ("\x1b[1;31m" in terminal.text) == colors
        assert screen(terminal.raw)[0].splitlines() == [
            "error: --max-tokens 0 is out of range: 1 or more",
            "hint: --help lists every flag with its range",
        ]


def test_ctrl_c_while_waiting_ends_the_loop_and_cleans_the_terminal() -> None:
    """The program dies of SIGINT, so that a shell's loop ends, and the cursor is shown."""
    loop = f'for i in 1 2 3; do writer complete "{STORY}"; done; echo survived'
    with (
        Server(Held(completion("late"))) as server,
        OnTerminal(["bash", "-c", loop], env=server.env) as terminal,
    ):
        terminal.wait_for("waiting for palmyra-x5")
        terminal.type(b"\x03")
        assert terminal.wait() == -signal.SIGINT
        assert len(server.requests) == 1
        left, cursor = screen(terminal.raw)
        assert (left.replace("^C", "").strip(), cursor) == ("", True)


def test_sigterm_while_waiting_cleans_the_terminal_and_the_directory(tmp_path: Path) -> None:
    """SIGTERM removes the spinner, shows the cursor, and leaves no file."""
    with (
        Server(Held(completion("late"))) as server,
        OnTerminal(
            [WRITER, "complete", "-o", str(tmp_path / "result"), STORY], env=server.env
        ) as terminal,
    ):
        terminal.wait_for("waiting for palmyra-x5")
        assert list(tmp_path.iterdir()) == []
        terminal.process.send_signal(signal.SIGTERM)
        assert terminal.wait() == -signal.SIGTERM
        assert screen(terminal.raw) == ("", True)
        assert list(tmp_path.iterdir()) == []


NOTE = "warning: standard input was not read: add - to make it part of the prompt"


@pytest.mark.parametrize(
    ("flags", "pipes", "note"),
    [
        ([], ["stdin"], NOTE),
        (["-q"], ["stdin"], ""),
        ([], ["stdin", "stderr"], ""),
        (["-"], ["stdin"], ""),
        (["-f", "-"], ["stdin"], ""),
    ],
)
def test_unused_piped_input_is_mentioned_on_a_terminal(
    flags: list[str], pipes: list[str], note: str
) -> None:
    """Unused standard input causes one note on a terminal, and none in a log."""
    with OnTerminal(
        ["sh", "-c", 'read -r go; exec writer complete "$@"', "sh", "--dry-run", STORY, *flags],
        env={"WRITER_SANDBOX": "1"},
        pipes=[*pipes, "stdout"],
    ) as terminal:
        stdin = terminal.process.stdin
        assert stdin is not None
        stdin.write(b"go\nnot asked for\n")
        stdin.close()
        stderr = terminal.process.stderr
        errors = stderr.read() if stderr else b""
        assert terminal.process.stdout is not None
        terminal.process.stdout.read()
        assert terminal.wait() == 0
        assert (terminal.text.strip(), errors) == (note, b"")


def test_an_open_pipe_without_data_is_not_mentioned() -> None:
    """Standard input that is an open but empty pipe causes no note."""
    with OnTerminal(
        [WRITER, "complete", "--sandbox", "--dry-run", STORY], pipes=["stdin", "stdout"]
    ) as terminal:
        assert terminal.process.stdout is not None
        terminal.process.stdout.read()
        assert terminal.wait() == 0
        assert terminal.text == ""


def test_no_prompt_on_a_terminal_is_an_error_and_not_a_wait() -> None:
    """Without a prompt on a real terminal, the program does not wait for input."""
    with OnTerminal([WRITER, "complete", "--sandbox"]) as terminal:
        assert terminal.wait() == 2
        assert "error: no prompt" in screen(terminal.raw)[0]


def test_output_is_utf_8_whatever_the_locale() -> None:
    """Output is UTF-8 in an ASCII locale, and an error in it does not crash."""
    env = {
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "PYTHONIOENCODING": "ascii",
    }
    with Server(completion("Grüße €")) as server:
        assert shell(f'writer complete "{STORY}"', env=server.env | env) == Ran(0, "Grüße €\n", "")
    ran = shell("writer complete -f Grüße", env=env)
    assert ran.code == 2
    assert ran.errors.startswith("error: --file ")


def test_a_key_is_asked_for_without_echo(isolated_home: Path) -> None:
    """A key that is typed at `config set api_key` is not shown."""
    with OnTerminal([WRITER, "config", "set", "api_key"]) as terminal:
        terminal.wait_for("(what you type is not shown): ")
        terminal.type(b"typed-secret-key\n")
        assert terminal.wait() == 0
        assert "typed" not in terminal.text
    file = isolated_home / ".config" / "writer-cli" / "config.toml"
    assert file.read_text() == 'api_key = "typed-secret-key"\n'


def test_control_characters_are_visible() -> None:
    """All control characters but newline and tab, and bidirectional controls, are shown as text."""
    assert visible("\t\n") == "\t\n"
    assert visible("\x00\x08\x0b\x1b\x1f\r") == "␀␈␋␛␟␍"
    assert visible("\x7f") == "␡"
    assert visible("\x80\x85\x9b\x9f") == "<U+0080><U+0085><U+009B><U+009F>"
    bidi = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    assert visible(bidi) == "".join(f"<U+{ord(c):04X}>" for c in bidi)
    kept = "é 你好 😀 עברית \u00a0\u2028\ufffd"
    assert visible(kept) == kept
    assert escaped_json("\x1b\x7f\x9b\u202e") == r"\u001b\u007f\u009b\u202e"


def test_a_closed_stream_has_no_terminal() -> None:
    """`Terminal` works if all three streams are closed."""
    terminal = Terminal(stdin=None, stdout=None, stderr=None, env={})
    assert not terminal.stdin_is_terminal
    assert not terminal.stdout_is_terminal
    assert not terminal.stderr_is_terminal
    assert not terminal.has_unread_input()
    terminal.note("to nobody")


def test_a_note_that_cannot_be_written_is_dropped() -> None:
    """A full standard error does not stop a completion."""
    ran = shell(f'writer complete --sandbox --temperature 3 --top-p 0 "{STORY}" 2>/dev/full')
    assert ran.code == 0
    assert ran.output.strip()


def test_the_terminal_of_a_test_is_one_in_memory() -> None:
    """`Terminal.fake` uses none of the process's streams."""
    terminal = Terminal.fake(stdin=b"in", stderr_is_terminal=True)
    terminal.write("out")
    terminal.note("note")
    assert terminal.stdin is not None
    assert (terminal.stdin.read(), terminal.output, terminal.errors) == (b"in", b"out", "note\n")
    assert not terminal.has_unread_input()
    assert terminal.width > 0


def test_without_streams_the_width_is_80_and_questions_get_no_answer() -> None:
    """Without streams the width is 80, and a question gets no answer."""
    terminal = Terminal(stdin=None, stdout=None, stderr=None, env={})
    assert terminal.width == 80
    assert terminal.ask("a question? ") == ""


def test_a_spinner_that_is_drawn_shows_a_new_text() -> None:
    """The spinner counts the seconds, and shows its new text."""
    terminal = Terminal.fake(stderr_is_terminal=True, env={"TERM": "xterm"})
    spinner = Spinner(terminal, "one", counts_seconds=True)
    until = time.monotonic() + 60
    while "one · 1 s" not in terminal.errors:
        assert time.monotonic() < until
        time.sleep(0.01)
    spinner.update("two")
    spinner.stop()
    assert "two" in terminal.errors
