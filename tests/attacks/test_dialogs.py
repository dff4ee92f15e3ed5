"""Hostile input where a key is asked for, on a real terminal."""

from pathlib import Path

import pytest

from tests.attacks.invariant import ends_as_documented
from tests.attacks.strides import sample
from tests.harness.program import WRITER, Ran
from tests.harness.pseudo_terminal import OnTerminal

TYPED = {
    "no UTF-8": (b"\xff\xfeabcdefgh\n", 2),
    "a part of a character": (b"\xc3\x04\x04", 2),
    "the end": (b"\x04", 2),
    "nothing": (b"\n", 2),
    "an interrupt": (b"\x03", -2),
    "an interrupt in a line": (b"abcdefgh\x03", -2),
    "an escape": (b"\x1b]0;title\x07abcdefgh\n", 3),
    "a C1 escape": (b"\xc2\x9b31mabcdefgh\n", 3),
    "a NUL": (b"abcdefgh\0\n", 3),
    "a bidi override": ("\u202eabcdefgh\n".encode(), 3),
    "a longer line than a terminal takes": (b"k" * 5000 + b"\x03", -2),
}
"""The keys that are pressed, and the exit code."""

DIALOGS = {
    "set": (["config", "set", "api_key"], [("not shown", b"")]),
    "init": (["config", "init"], [("API [enterprise]: ", b"\n"), ("API key, not shown", b"")]),
}
"""Commands that ask for a key: their questions, with the answers to those that come before."""

CASES = [
    (dialog, name)
    for dialog in DIALOGS
    for name, (_, code) in TYPED.items()
    # `init` asks again after a wrong answer, and accepts an empty one.
    if dialog == "set" or code == -2 or "UTF-8" in name
]


@pytest.mark.parametrize(("dialog", "name"), sample(CASES, 2))
def test_hostile_keys_where_a_key_is_asked_for(dialog: str, name: str, tmp_path: Path) -> None:
    """The exit code is documented, the key is not shown, and no file is written."""
    command, questions = DIALOGS[dialog]
    keys, code = TYPED[name]
    path = tmp_path / "config.toml"
    with OnTerminal([WRITER, *command], env={"WRITER_CONFIG": str(path)}) as terminal:
        for question, answer in questions:
            terminal.wait_for(question)
            terminal.type(answer or keys)
        assert terminal.wait() == code
        shown = terminal.raw.decode("utf-8", "replace")
    assert ends_as_documented(Ran(code, "", shown))
    assert "abcdefgh" not in shown
    assert list(tmp_path.iterdir()) == []
