"""The output of a batch: its summary, and its dry run."""

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from writer_cli.output import completions, documents
from writer_cli.output.terminal import Terminal, escaped_json, visible
from writer_cli.output.words import shortened, wrapped

if TYPE_CHECKING:
    from writer_cli.batch.summary import Summary

STDOUT = "-"
"""The name of standard output, in place of that of a file."""

MOST_PROBLEMS = 1000
"""Invalid records that the JSON of a dry run lists; it has the number of all of them."""

LONGEST_BAR = 40
"""Cells of a bar in the summary of a batch."""

LONGEST_MESSAGE = 200
"""Cells of an error in the summary, if it is not written to a terminal."""


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: `1 record`, `2 records`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def summary(
    terminal: Terminal,
    result: dict[str, Any],
    summary: "Summary",
    *,
    journal: Path,
    as_json: bool,
    quiet: bool,
) -> None:
    """Show the summary of a batch: as JSON, or as lines on standard error.

    If standard output has the results, JSON goes to standard error too. `journal` is the file with
    the errors as JSON lines.
    """
    if as_json and result["output"] == STDOUT:
        terminal.note(escaped_json(json.dumps(result, ensure_ascii=False)))
    elif as_json:
        terminal.write(documents.json_document(terminal, result))
    elif not quiet:
        for line in _batch_summary(terminal, result, summary, journal):
            terminal.note(line)


def _batch_summary(
    terminal: Terminal, result: dict[str, Any], summary: "Summary", journal: Path
) -> list[str]:
    """Return the lines of the summary; on a terminal, with a histogram of the latencies."""
    latency, seconds = result["this_run"]["latency"], result["elapsed_s"]
    done = counted(summary.answered + summary.failed, "record")
    requests = counted(summary.attempts, "request")
    requests += f", {summary.cached} from the cache" if summary.cached else ""
    lines = [
        f"{result['answered']} answered, {result['failed']} failed, {_place(result['output'])}",
        f"this run: {done}, {requests}, {seconds:.1f} s",
    ]
    if summary.answered > summary.cached:
        lines.append(
            f"latency: p50 {latency['p50_s']} s, p95 {latency['p95_s']} s, max {latency['max_s']} s"
        )
    if summary.bound is not None:
        lines.append(f"speed: {summary.bound}")
    if tokens := result["this_run"]["usage"]:
        counts = [f"{tokens[f'{kind}_tokens'] or 0:,}" for kind in ("prompt", "completion")]
        lines.append("tokens: {} in, {} out".format(*counts))
    width = LONGEST_MESSAGE
    if terminal.stderr_is_terminal:
        width = terminal.error_width
        lines = [part for line in lines for part in wrapped(line, width)]
        lines += _bars(summary, width)
    return [*lines, *_failures(result, journal, width)]


def _bars(summary: "Summary", width: int) -> list[str]:
    """Return the latencies of this run as bars."""
    bars = summary.histogram()
    longest = max((count for _, count in bars), default=0)
    numbers = [f"{end:8.4f}" for end, _ in bars]
    digits = max(map(len, numbers), default=0)
    ends = [f"  <= {number:>{digits}} s " for number in numbers]
    most = max(1, min(LONGEST_BAR, width - len(f"  <=  s  {longest}") - digits))
    drawn = ["█" * round(most * count / longest) or "▏" * bool(count) for _, count in bars]
    return [
        f"{end}{bar:<{most}} {count}"
        for end, bar, (_, count) in zip(ends, drawn, bars, strict=True)
    ]


def _failures(result: dict[str, Any], journal: Path, width: int) -> list[str]:
    """Return what failed by kind, and the command that shows it."""
    errors = result["this_run"]["errors"]
    lines = ["failed in this run:"] if errors else []
    for error in errors:
        text = " ".join(f"{error['count']} x {error['kind']}: {error['first']}".split())
        lines.append(f"  {shortened(visible(text), width - 2)}")
    if result["failed"] and result["output"] != STDOUT:
        kind = f'{errors[0]["kind"]}"' if len(errors) == 1 else ""
        mark = shlex.quote(f'"error": {{"kind": "{kind}')
        lines += ["to see every error:", f"  grep -F {mark} {shlex.quote(str(journal))}"]
    return lines


def _place(output: str) -> str:
    return "on standard output" if output == STDOUT else f"in {output}"


def dry_run(terminal: Terminal, result: dict[str, Any], *, as_json: bool) -> str:
    """Return the report of a dry run."""
    if as_json:
        return documents.json_document(terminal, result)
    bad = f"{result['bad']} of them cannot" if result["bad"] else "all of them can"
    lines = [f"{counted(result['records'], 'record')}, {bad} be sent\n"]
    if result["first_prompt"] is not None:
        text = result["first_prompt"]
        shown = visible(text) if terminal.stdout_is_terminal else text
        lines.append(f"the first prompt:\n{completions.with_newline(shown)}")
    return "".join(lines)
