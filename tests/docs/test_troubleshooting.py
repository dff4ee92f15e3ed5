"""The messages in docs/troubleshooting.md are those of the program."""

import ast
import re
from collections.abc import Iterator
from functools import cache

import pytest

from tests.harness import documents
from tests.test_house import FILES
from writer_cli.http.error_answers import error_from_answer

PAGE = "docs/troubleshooting.md"

OTHERS = {"CERTIFICATE_VERIFY_FAILED", "No space left on device"}
"""Texts of the TLS library and of the operating system in messages of the program."""

STATUSES = documents.table(PAGE, "message", "exit code")

MESSAGES = [row[0].strip("`") for row in documents.table(PAGE, "message", "what it means")]


@cache
def texts() -> str:
    """Return every text in the code but docstrings, one a line, with `…` in place of values."""
    nodes = [
        node for file in FILES for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    ]
    docstrings = {node.value for node in nodes if isinstance(node, ast.Expr)}
    return "\n".join(
        text.replace("\n", " ")
        for node in nodes
        if node not in docstrings
        for text in text_of(node)
    )


def text_of(node: ast.AST) -> Iterator[str]:
    """Yield the text of a syntax node, if it has one."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield "".join(
            str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values
        )


@pytest.mark.parametrize("message", MESSAGES)
def test_the_program_has_each_message(message: str) -> None:
    """Each message is a whole text in the code, with a value in place of each `…`."""
    if message in OTHERS:
        return
    pattern = ".*".join(map(re.escape, message.split("…")))
    assert re.search(f"^{pattern}$", texts(), re.MULTILINE), message


def test_the_statuses_have_the_exit_codes_of_the_page() -> None:
    """An answer with the status causes the exit code that the page lists."""
    found = [(row[0], error_from_answer(int(row[0][6:9]), "text/plain", "")) for row in STATUSES]
    assert len(found) >= 6
    assert [row[1] for row in STATUSES] == [str(error.exit_code.value) for _, error in found]
    for name, error in found:
        assert error.message.startswith(name.strip("`"))
