import json
import os
import threading
from pathlib import Path

import pytest

from tests.harness.program import Ran, shell, writer
from tests.harness.pseudo_terminal import OnTerminal
from tests.harness.servers import Server, completion
from writer_cli.commands.prompts import LARGEST_PROMPT

EXAMPLE = '`writer complete -m palmyra-x5 "Once upon a time"`, or a pipe: `… | writer complete`'


def prompt_of(*arguments: str, stdin: bytes = b"", stdin_is_terminal: bool = False) -> str:
    """Return the prompt of the request."""
    ran = writer(
        "complete",
        "--sandbox",
        "--dry-run",
        *arguments,
        stdin=stdin,
        stdin_is_terminal=stdin_is_terminal,
    )
    assert (ran.code, ran.errors) == (0, "")
    prompt = json.loads(ran.output)["body"]["prompt"]
    assert isinstance(prompt, str)
    return prompt


def refusal(*arguments: str, stdin: bytes = b"", stdin_is_terminal: bool = False) -> str:
    """Return the error for a prompt that is refused with exit code 2 before anything is sent."""
    with Server(completion("never sent")) as server:
        ran = writer(
            "complete",
            *arguments,
            stdin=stdin,
            stdin_is_terminal=stdin_is_terminal,
            env=server.env,
        )
        assert server.requests == []
    assert (ran.code, ran.output) == (2, "")
    message, hint = ran.errors.splitlines()
    assert hint.startswith("hint: ")
    return message.removeprefix("error: ")


@pytest.mark.parametrize(
    ("arguments", "stdin", "prompt"),
    [
        (["one"], b"", "one"),
        (["one", "two words"], b"", "one\n\ntwo words"),
        (["one"], b"not asked for", "one"),
        ([], b"from a pipe", "from a pipe"),
        (["-"], b"from a pipe", "from a pipe"),
        (["before:", "-", "after"], b"piped\n", "before:\n\npiped\n\nafter"),
        (["-f", "-"], b"piped", "piped"),
        (["before:", "-f", "-"], b"piped", "before:\n\npiped"),
        (["--", "-x", "--json"], b"", "-x\n\n--json"),
        (["one", ""], b"", "one\n\n"),
        ([" kept \t"], b"", " kept \t"),
        (["one\n"], b"", "one\n"),
        (["\ufeffone"], b"", "one"),
        (["[bold]x[/bold] :smile: \u202e\x1b[2J"], b"", "[bold]x[/bold] :smile: \u202e\x1b[2J"),
    ],
)
def test_a_prompt_is_its_arguments_joined_by_a_blank_line(
    arguments: list[str], stdin: bytes, prompt: str
) -> None:
    """Standard input is read only for `-` or if there is no other prompt."""
    assert prompt_of(*arguments, stdin=stdin) == prompt


@pytest.mark.parametrize(
    ("content", "prompt"),
    [
        (b"one\n", "one"),
        (b"one\r\n", "one"),
        (b"one\n\n", "one\n"),
        (b"one\r", "one\r"),
        (b"\n\none \n\n\n", "\n\none \n\n"),
        (b"a\r\nb\r\n", "a\r\nb"),
        (b"\xef\xbb\xbfone\n", "one"),
        (b"\xef\xbb\xbf\xef\xbb\xbfone\n", "\ufeffone"),
        ("é€😀\u2028\x85".encode(), "é€😀\u2028\x85"),
        (b"a\0b", "a\0b"),
        (b" ", " "),
    ],
)
def test_a_prompt_loses_a_byte_order_mark_and_one_line_break(
    content: bytes, prompt: str, tmp_path: Path
) -> None:
    """Only a byte order mark and one line break are removed from a file or standard input."""
    assert prompt_of(stdin=content) == prompt
    (tmp_path / "prompt.txt").write_bytes(content)
    assert prompt_of("-f", str(tmp_path / "prompt.txt"), stdin_is_terminal=True) == prompt


def test_files_follow_the_arguments_in_their_order(tmp_path: Path) -> None:
    """`--file` may be repeated anywhere, and standard input is then not read."""
    (tmp_path / "a").write_text("A\n")
    (tmp_path / "b").write_text("B\n")
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    assert prompt_of("-f", b, "Compare:", "--file", a, stdin=b"no") == "Compare:\n\nB\n\nA"
    assert prompt_of("-f", a, "-f", a) == "A\n\nA"


def test_a_named_pipe_is_a_file(tmp_path: Path) -> None:
    """A pipe, as in `<(command)`, can be a prompt file."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writing = threading.Thread(target=pipe.write_bytes, args=[b"from a pipe\n"])
    writing.start()
    assert prompt_of("-f", str(pipe)) == "from a pipe"
    writing.join()


@pytest.mark.parametrize(
    ("arguments", "stdin", "message"),
    [
        ([], b"", "the prompt is empty"),
        ([], b"\n", "the prompt is empty"),
        ([], b"\xef\xbb\xbf\r\n", "the prompt is empty"),
        ([""], b"", "the prompt is empty"),
        (["-"], b"", "the prompt is empty"),
        (["-", "-"], b"x", "- (standard input) is given twice"),
        (["-", "-f", "-"], b"x", "- (standard input) is given twice"),
        ([], b"ok \xff\xfe", "standard input is not UTF-8: byte 0xff at offset 3"),
        ([], b"cut \xe2\x82", "standard input is not UTF-8: byte 0xe2 at offset 4"),
        (["fine", "bad \udcff"], b"", "the argument is not UTF-8: byte 0xff at offset 4"),
        (["-f", "."], b"", "--file .: Is a directory"),
        (["-f", "/nowhere/x"], b"", "--file /nowhere/x: No such file or directory"),
        (["-f", "\x1b[31m"], b"", "--file ␛[31m: No such file or directory"),
    ],
)
def test_a_prompt_that_cannot_be_read_is_refused_and_nothing_is_sent(
    arguments: list[str], stdin: bytes, message: str
) -> None:
    """The error names the source and the reason."""
    assert refusal(*arguments, stdin=stdin) == message


def test_a_bad_byte_of_a_file_is_named_with_its_offset(tmp_path: Path) -> None:
    """A file that is not UTF-8 is refused with the offset and a command to convert it."""
    file = tmp_path / "latin1.txt"
    file.write_bytes("Grüße\n".encode("latin-1"))
    assert refusal("-f", str(file)) == f"{file} is not UTF-8: byte 0xfc at offset 2"


def test_a_prompt_that_no_model_can_read_is_refused(tmp_path: Path) -> None:
    """A prompt of endless size is refused before it fills the memory."""
    file = tmp_path / "large"
    with file.open("wb") as opened:
        opened.truncate(LARGEST_PROMPT + 1)
    assert refusal("-f", str(file)) == f"{file} is larger than 64 MiB"
    assert refusal("-f", "/dev/zero") == "/dev/zero is larger than 64 MiB"


def test_no_prompt_on_a_terminal_is_refused_with_an_example() -> None:
    """Without a prompt on a terminal, the program does not wait for input."""
    ran = writer("complete", "--sandbox", stdin=b"typed", stdin_is_terminal=True)
    assert ran == Ran(2, "", f"error: no prompt\nhint: for example: {EXAMPLE}\n")


def test_a_dash_on_a_terminal_reads_what_is_typed() -> None:
    """`-` on a terminal reads the input up to Ctrl-D."""
    typed = prompt_of("Continue:", "-", stdin=b"It was\n", stdin_is_terminal=True)
    assert typed == "Continue:\n\nIt was"


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("writer complete --sandbox <&-", "no prompt"),
        ("writer complete --sandbox - <&-", "standard input is closed"),
        ("writer complete --sandbox -f - <&-", "standard input is closed"),
        ("writer complete --sandbox - 0>/dev/null", "standard input: Bad file descriptor"),
        ("writer complete --sandbox </dev/null", "the prompt is empty"),
        (r"writer complete --sandbox $'\xff'", "the argument is not UTF-8: byte 0xff at offset 0"),
    ],
)
def test_an_unusable_standard_input_is_a_usage_error(script: str, message: str) -> None:
    """A closed, write-only or empty standard input is an error and not a crash."""
    ran = shell(script)
    assert (ran.code, ran.output) == (2, "")
    assert ran.errors.splitlines()[0] == f"error: {message}"


def test_a_closed_standard_input_is_accepted_with_a_prompt() -> None:
    """With a prompt as an argument, a closed standard input is accepted."""
    ran = shell("writer complete --sandbox --dry-run hello <&- | grep -c hello")
    assert ran == Ran(0, "1\n", "")


def test_a_loop_over_lines_keeps_its_input(tmp_path: Path) -> None:
    """In a `while read` loop the program does not read the loop's input."""
    (tmp_path / "prompts.txt").write_text("one\ntwo\nthree\n")
    with Server(completion("1"), completion("2"), completion("3")) as server:
        script = 'while read -r line; do writer complete "$line"; done <"$PROMPTS"'
        ran = shell(script, env=server.env | {"PROMPTS": str(tmp_path / "prompts.txt")})
        prompts = [request.json()["prompt"] for request in server.requests]
    assert ran == Ran(0, "1\n2\n3\n", "")
    assert prompts == ["one", "two", "three"]


def test_an_inherited_pipe_without_data_is_not_waited_for() -> None:
    """With a prompt as an argument, an open pipe is not read."""
    with OnTerminal(["writer", "complete", "--sandbox", "--dry-run", "hi"], pipes=["stdin"]) as on:
        assert on.wait() == 0  # its standard input is still open
        assert '"prompt": "hi"' in on.text


def test_a_file_whose_name_is_a_hyphen_is_named_with_its_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`./-` is a file, and `-` alone is a standard stream."""
    monkeypatch.chdir(tmp_path)
    Path("-").write_text("from the file")
    assert prompt_of("-f", "./-", stdin=b"from standard input") == "from the file"
    assert prompt_of("-f", "-", stdin=b"from standard input") == "from standard input"
    assert writer("complete", "--sandbox", "p", "-o", "./-").output == ""
    assert Path("-").read_text() != "from the file"
    Path("in.txt").write_text("p\n")
    assert writer("batch", "in.txt", "--sandbox", "-q", "-o", "./-", "--overwrite").output == ""
