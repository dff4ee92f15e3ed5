import re
from pathlib import Path

import pytest

from tests.harness.program import Ran, writer
from tests.harness.schemas import FOLDER, NAMES
from writer_cli.config.schema import SETTINGS
from writer_cli.exits import ExitCode
from writer_cli.help.page import as_text
from writer_cli.help.topics import FAULTS, TOPICS
from writer_cli.sandbox import faults


def rows(topic: str) -> dict[str, str]:
    """Return the rows of a topic."""
    return {row.term: row.text for part in TOPICS[topic]().sections for row in part.rows}


def test_exit_codes_has_every_code() -> None:
    """The topic lists each exit code with its description."""
    assert list(rows("exit-codes")) == [str(code.value) for code in ExitCode]


def test_environment_has_every_variable_that_the_code_reads() -> None:
    """The topic lists every environment variable that the code reads."""
    root = Path(faults.__file__).parents[1]
    code = "\n".join(path.read_text(encoding="utf-8") for path in root.rglob("*.py"))
    read = set(re.findall(r"\bWRITER_[A-Z_]*[A-Z]\b", code))
    shown = set(re.findall(r"\bWRITER_[A-Z_]*[A-Z]\b", as_text(TOPICS["environment"](), 80)))
    assert shown == read
    assert rows("environment")["WRITER_TIMEOUT"].endswith("to the next (default 180)")
    assert all(SETTINGS[name].meaning for name in SETTINGS)


def test_sandbox_has_every_fault() -> None:
    """The topic lists the fault ids in the order of the sandbox."""
    assert list(FAULTS) == [*faults.FAULTS, faults.FLAKY]


def test_schema_has_every_schema() -> None:
    """The topic lists each schema with its title, and prints a schema unchanged."""
    assert list(rows("schema")) == NAMES
    for name in NAMES:
        assert writer("help", "schema", name) == Ran(0, (FOLDER / f"{name}.json").read_text(), "")


@pytest.mark.parametrize("name", ["results", "../__init__", "", "/etc/passwd"])
def test_an_unknown_schema(name: str) -> None:
    """The error lists the schemas, and a path is not accepted as a name."""
    ran = writer("help", "schema", name)
    assert (ran.code, ran.output) == (2, "")
    assert ran.errors == (
        f"error: there is no schema {name!r}\nhint: the schemas are {', '.join(NAMES)}\n"
    )
