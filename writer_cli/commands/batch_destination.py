"""Where the results of a batch go: into a file with a journal, or to standard output."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from writer_cli.atomic import is_same_file
from writer_cli.batch.journal import Journal
from writer_cli.batch.ordered import OrderedOutput
from writer_cli.batch.tables import first_row, format_of, rows, rows_of
from writer_cli.commands import prompts
from writer_cli.commands.app import App
from writer_cli.commands.batch_options import BatchOptions
from writer_cli.errors import UsageError
from writer_cli.output.batch import STDOUT
from writer_cli.output.delivery import write_file
from writer_cli.output.terminal import escaped_json, visible


def is_stdout(output: str | None) -> bool:
    """Whether an output is standard output."""
    return output == STDOUT


class Destination:
    """What `-o` and `--output-format` say.

    Attributes:
        path: The output, `-` for standard output.
        journal_path: The file that has the results while the batch runs; the same for JSON lines.

    Raises:
        UsageError: There is no output, or none that the other flags and the input allow.
    """

    def __init__(self, options: BatchOptions) -> None:
        if options.output is None:
            raise UsageError("no output: name a file with -o", hint="-o answers.jsonl")
        self._options = options
        self._is_stdout = is_stdout(options.output)
        self.path = self.journal_path = Path(options.output)
        self._format = format_of(self.path, options.output_format)
        if self._format != "jsonl" and not self._is_stdout:
            self.journal_path = self.path.parent / f"{self.path.name}.jsonl"
        if options.include_prompt and self._format == "txt":
            raise UsageError(
                "--include-prompt: txt has no place for it", hint="--output-format csv has one"
            )
        if self._is_stdout:
            self._check_flags()
        else:
            self._check_files()

    def _check_flags(self) -> None:
        for flag, is_given in (
            ("--retry-failed", self._options.retry_failed),
            ("--overwrite", self._options.overwrite),
        ):
            if is_given:
                raise UsageError(
                    f"{flag}: standard output has no results of an earlier run",
                    hint="name a file: -o answers.jsonl",
                )

    def _check_files(self) -> None:
        if os.path.isdir(self.path):  # noqa: PTH112 - Path raises for a name that is too long
            raise UsageError(f"--output {self.path}: Is a directory", hint="-o answers.jsonl")
        source = self._options.input
        for path in (self.path, self.journal_path):
            if source != prompts.STDIN and is_same_file(Path(source), path):
                raise UsageError(
                    f"{path} is the input, and would be lost", hint="name another file"
                )

    @property
    def interruption(self) -> str:
        """What to say after an interruption."""
        if self._is_stdout:
            return (
                "interrupted: every result that came is written; a run to standard output cannot "
                "be resumed"
            )
        return "interrupted: the same command goes on with what is left"

    @property
    def how_to_retry(self) -> str:
        """What to do about records that failed."""
        if self._is_stdout:
            return "their errors are among the results"
        return "the same command with --retry-failed runs them again"

    @contextmanager
    def opened(self, app: App) -> Iterator[Journal | OrderedOutput]:
        """Open the place for the results, and close it at the end of a `with` block."""
        if not self._is_stdout:
            with Journal(self.journal_path, overwrite=self._options.overwrite) as journal:
                if not journal.is_locked:
                    app.warn(
                        f"this system cannot lock {self.journal_path}: start no second run that "
                        "writes to it"
                    )
                if self._options.retry_failed:
                    journal.forget_failures()
                yield journal
            return

        def show(text: bytes) -> None:
            shown = text.decode()
            if app.terminal.stdout_is_terminal:
                shown = escaped_json(shown) if self._format == "jsonl" else visible(shown)
            app.terminal.write(shown)

        app.terminal.write("")  # raises if it is closed, before anything is sent
        prompt = self._options.include_prompt
        if first := first_row(self._format, include_prompt=prompt):
            show(first)
        # A text output has the text of a record on the line of the same number.
        gap = b"\n" if self._format == "txt" else b""
        with OrderedOutput(
            lambda line: show(rows_of(line, self._format, include_prompt=prompt)),
            write_gap=lambda: show(gap),
        ) as ordered:
            yield ordered

    def finish(self, results: Journal | OrderedOutput, *, is_whole: bool) -> None:
        """Write the table that was asked for; to standard output, what is still held back.

        Raises `OutputError`.
        """
        if isinstance(results, OrderedOutput):
            results.put_in_order()
        elif is_whole and self._format != "jsonl":
            include_prompt = self._options.include_prompt
            write_file(self.path, rows(results, self._format, include_prompt=include_prompt))
