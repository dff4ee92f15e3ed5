"""What a batch shows: how far it is, what it did, and what it would do."""

import json
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self

from writer_cli.output import completions, documents, spinner
from writer_cli.output.terminal import Terminal, escaped_json, visible

if TYPE_CHECKING:
    from writer_cli.batch.job import Progress
    from writer_cli.batch.summary import Summary

STDOUT = "-"
"""What standard output is called where a file has its name."""

PLAIN_INTERVAL = 30.0
"""Seconds between two lines of a batch's progress where nobody watches a terminal."""

SCREEN_INTERVAL = 0.2
"""The same, in seconds, where somebody does."""

MOST_PROBLEMS = 1000
"""Records that cannot be sent which a JSON document lists; it has the number of all of them."""

LONGEST_MESSAGE = 200
"""Characters of an error in the summary of a batch, where nobody's terminal is narrower."""


class ProgressLine:
    """How far a batch is: beside a spinner for a person, a line now and then for a log."""

    def __init__(
        self, terminal: Terminal, *, quiet: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._terminal = terminal
        self._quiet = quiet
        self._clock = clock
        self._spinner: spinner.Spinner | None = None
        self._began = self._said = clock()

    def __enter__(self) -> Self:
        if not self._quiet and self._terminal.stderr_can_draw:
            self._spinner = spinner.Spinner(self._terminal, "starting")
        return self

    def __exit__(self, *_: object) -> None:
        if self._spinner is not None:
            self._spinner.stop()

    def show(self, progress: "Progress") -> None:
        """Show where things stand, if it is time for that."""
        now = self._clock()
        interval = PLAIN_INTERVAL if self._spinner is None else SCREEN_INTERVAL
        if self._quiet or now - self._said < interval:
            return
        self._said = now
        text = _progress_text(progress, now - self._began)
        if self._spinner is not None:
            self._spinner.update(text)
        else:
            self._terminal.note(text)


def _progress_text(progress: "Progress", seconds: float) -> str:
    summary, batch = progress.summary, progress.batch
    done = summary.answered + summary.failed
    parts = [f"{done} done"]
    parts += [f"{summary.failed} failed"] if summary.failed else []
    parts += [f"{done / seconds:.1f}/s", f"{batch.in_flight} in flight"]
    if progress.part_read:
        left = seconds / progress.part_read - seconds
        parts.append(f"ETA {timedelta(seconds=round(left))}")
    parts += ["waiting on 429"] if batch.is_holding else []
    return ", ".join(parts)


def counted(number: int, noun: str) -> str:
    """Return a number of things, as in `1 record` and `2 records`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def summary(
    terminal: Terminal, result: dict[str, Any], summary: "Summary", *, as_json: bool, quiet: bool
) -> None:
    """Say what a batch did: to a script as JSON, to a person in lines on standard error.

    JSON goes to standard error too if standard output has the results.
    """
    if as_json and result["output"] == STDOUT:
        terminal.note(escaped_json(json.dumps(result, ensure_ascii=False)))
    elif as_json:
        terminal.write(documents.json_document(terminal, result))
    elif not quiet:
        for line in _batch_summary(terminal, result, summary):
            terminal.note(line)


def _batch_summary(terminal: Terminal, result: dict[str, Any], summary: "Summary") -> list[str]:
    """Return what a batch did; on a terminal, with the latencies as bars."""
    latency, seconds = result["this_run"]["latency"], result["elapsed_s"]
    done = counted(summary.answered + summary.failed, "record")
    requests = counted(summary.attempts, "request")
    lines = [
        f"{result['answered']} answered, {result['failed']} failed, {_place(result['output'])}",
        f"this run: {done}, {requests}, {seconds:.1f} s",
    ]
    if summary.answered:
        lines.append(
            f"latency: p50 {latency['p50_s']} s, p95 {latency['p95_s']} s, max {latency['max_s']} s"
        )
    if tokens := result["this_run"]["usage"]:
        counts = [f"{tokens[f'{kind}_tokens'] or 0:,}" for kind in ("prompt", "completion")]
        lines.append("tokens: {} in, {} out".format(*counts))
    is_drawn = terminal.stderr_is_terminal
    if is_drawn and summary.answered:
        bars = summary.histogram()
        longest = max(count for _, count in bars)
        lines += [f"  <= {end:8.3f} s {'█' * round(40 * n / longest):<40} {n}" for end, n in bars]
    width = terminal.width if is_drawn else LONGEST_MESSAGE
    for error in result["this_run"]["errors"]:
        text = " ".join(f"  {error['count']} x {error['kind']}: {error['first']}".split())
        lines.append(f"  {text}" if len(text) + 2 <= width else f"  {text[: width - 3]}…")
    return lines


def _place(output: str) -> str:
    return "on standard output" if output == STDOUT else f"in {output}"


def dry_run(terminal: Terminal, result: dict[str, Any], *, as_json: bool) -> str:
    """Return what a batch would do."""
    if as_json:
        return documents.json_document(terminal, result)
    bad = f"{result['bad']} of them cannot" if result["bad"] else "all of them can"
    lines = [f"{counted(result['records'], 'record')}, {bad} be sent\n"]
    if result["first_prompt"] is not None:
        text = result["first_prompt"]
        shown = visible(text) if terminal.stdout_is_terminal else text
        lines.append(f"the first prompt:\n{completions.ended(shown)}")
    return "".join(lines)
