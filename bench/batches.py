"""The input file and the command line of `writer batch`, for the rows that run it."""

import json
from pathlib import Path

from bench.setting import MODEL, Setting


def prompts_file(setting: Setting, records: int) -> Path:
    """Write an input file with this many records, and return its path."""
    path = setting.directory / f"prompts-{records}.jsonl"
    with path.open("w") as file:
        for number in range(records):
            file.write(json.dumps({"id": number, "prompt": f"Write a line about {number}."}) + "\n")
    return path


def batch_command(setting: Setting, source: Path, target: Path, *more: str) -> list[str]:
    """Return the command that runs a batch with 32 requests in flight."""
    command = [setting.writer, "batch", str(source), "-m", MODEL, "-o", str(target), "-q"]
    return [*command, "--concurrency", "32", *more]
