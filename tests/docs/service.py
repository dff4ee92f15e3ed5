"""The code blocks of the documents, and a server for them."""

import re
from typing import Any

import writer_cli as writer
from tests.harness import documents
from tests.harness.documents import Block

REFERENCES = (
    *("README.md", "completions.md", "batch.md"),
    *sorted(f"docs/{path.name}" for path in (documents.ROOT / "docs").glob("*.md")),
)
"""The documents for users."""


BLOCKS = [block for document in REFERENCES for block in documents.blocks(document)]


ENGINES = {"vllm": 8000, "llama-server": 8080, "ollama": 11434}
"""The engines that the documents name, with their ports."""


def check_instead(command: str) -> None:
    """Check a command without running it: its target or package exists."""
    program, *arguments = command.split()
    if program in ENGINES:
        return
    if program == "docker":
        assert "ENTRYPOINT" in documents.read("Dockerfile")
        return
    if program == "make":
        assert re.search(rf"^{arguments[0]}:", documents.read("Makefile"), re.MULTILINE), command
        return
    assert arguments[0] == "install", command
    assert arguments[1:] in (["."], ["./tools/writer"]), command
    assert 'name = "writer-cli"' in documents.read("pyproject.toml")


def blocks_in(*languages: str, shown: bool | None = None) -> list[Block]:
    """Return the blocks in these languages; `shown` selects those with or without an output."""
    return [
        block
        for block in BLOCKS
        if block.language in languages and shown in {None, block.shown is not None}
    ]


def named(cell: str) -> str:
    """Return the name in a table cell."""
    return cell.strip("`")


def request(values: dict[str, Any]) -> writer.CompletionRequest:
    """Return a request with these values."""
    values.pop("", None)
    return writer.CompletionRequest(**({"prompt": "a"} | values))
