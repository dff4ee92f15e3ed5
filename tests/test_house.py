"""Rules for all of the code."""

import ast
import importlib
import os
import pkgutil
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

import pytest

import writer_cli
from writer_cli.help.commands import COMMANDS as COMMAND_NAMES

ROOT = Path(writer_cli.__file__).parent

HOUSE = [
    "posix_only",
    "exits",
    "redaction",
    "errors",
    "models",
    "atomic",
    "recording",
    "apis",
    "sandbox",
    "http",
    "cache",
    "lists",
    "client",
    "batch",
    "config",
    "output",
    "help",
    "commands",
    "cli",
    "__main__",
]
"""The rooms, and the modules beside them; each may import only those above it."""

CORE = HOUSE[: HOUSE.index("config")]

HTTP_SEAM = {
    "http/connection.py",
    "http/reply.py",
    "http/timed_stream.py",
    "http/transport.py",
    "sandbox/in_process.py",
}
"""The files that use the HTTP library."""

FILES = sorted(ROOT.rglob("*.py"))


def room(file: Path) -> str:
    """Return the room of a file, or its own name at the top; "" for the package itself."""
    return file.relative_to(ROOT).parts[0].removesuffix(".py").replace("__init__", "")


def module(file: Path) -> str:
    """Return the full name of a file's module."""
    parts = ["writer_cli", *file.relative_to(ROOT).with_suffix("").parts]
    return ".".join(parts).removesuffix(".__init__")


@cache
def nodes_of(file: Path) -> list[ast.AST]:
    """Return the nodes of a file's syntax tree."""
    return list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))


@cache
def imports(file: Path, *, types_too: bool = True) -> list[str]:
    """Return the full name of everything that a file imports, also within functions."""
    return list(_imports(file, types_too=types_too))


def _imports(file: Path, *, types_too: bool) -> Iterator[str]:
    package = ".".join(("writer_cli", *file.relative_to(ROOT).parts[:-1]))
    nodes = nodes_of(file)
    for_types = {
        inner
        for node in nodes
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in nodes if types_too else [node for node in nodes if node not in for_types]:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: 1 - node.level or None] if node.level else []
            module = ".".join([*parents, *([node.module] if node.module else [])])
            # `from writer_cli import errors` imports a module, `... import __version__` does not.
            yield from (f"{module}.{alias.name}" for alias in node.names)


def imports_from(file: Path, package: str, *, types_too: bool = True) -> list[str]:
    """Return the imports from a package; without `types_too` only those at run time."""
    names = imports(file, types_too=types_too)
    return [name for name in names if name.split(".")[0] == package]


def offences(rule: Callable[[Path], object]) -> dict[str, object]:
    """Return the violations of a rule, by file."""
    found = {str(file.relative_to(ROOT)): rule(file) for file in FILES}
    return {file: fault for file, fault in found.items() if fault}


def test_every_module_has_its_place() -> None:
    """Every module is in the list of rooms."""
    assert offences(lambda file: room(file) not in ["", *HOUSE]) == {}


def test_imports_go_down_the_list_only() -> None:
    """A module imports only rooms above its own, except the lazy imports of `__init__`."""

    def from_below(file: Path) -> list[str]:
        below = HOUSE[HOUSE.index(room(file)) + 1 :] if room(file) else []
        return [name for name in imports_from(file, "writer_cli") if name.split(".")[1] in below]

    assert offences(from_below) == {}


MODULES = {module(file): file for file in FILES}


def neighbours(name: str) -> set[str]:
    """Return the modules of the same room that a module imports."""
    file = MODULES[name]
    found = set()
    for imported in imports_from(file, "writer_cli"):
        # The name of a module, or of something in one.
        target = imported if imported in MODULES else imported.rpartition(".")[0]
        if target != name and target in MODULES and room(MODULES[target]) == room(file):
            found.add(target)
    return found


def test_no_module_imports_itself_in_a_circle() -> None:
    """The imports within a room have no cycle."""
    imported = {name: neighbours(name) for name in MODULES}
    for name in MODULES:
        reached: set[str] = set()
        ahead = imported[name]
        while ahead:
            reached |= ahead
            ahead = {further for one in ahead for further in imported[one]} - reached
        assert name not in reached


def test_the_core_is_free_of_the_command_line() -> None:
    """The library does not import typer or rich."""

    def drawing(file: Path) -> list[str]:
        return [*imports_from(file, "typer"), *imports_from(file, "rich")]

    assert offences(lambda file: room(file) in ["", *CORE] and drawing(file)) == {}


def test_the_http_library_has_one_seam() -> None:
    """Only the files of `HTTP_SEAM` import the HTTP library."""
    assert set(offences(lambda file: imports_from(file, "httpx", types_too=False))) == HTTP_SEAM


def test_nothing_imports_click() -> None:
    """Nothing imports click, since typer has a copy of its own."""
    assert offences(lambda file: imports_from(file, "click")) == {}


def test_only_the_terminal_touches_the_standard_streams() -> None:
    """Only the terminal's module uses standard streams or `print`."""
    streams = {"stdin", "stdout", "stderr", "__stdin__", "__stdout__", "__stderr__"}

    def touched(file: Path) -> list[str]:
        nodes = nodes_of(file)
        used = [
            ast.unparse(node)
            for node in nodes
            if isinstance(node, ast.Attribute)
            and ast.unparse(node.value) == "sys"
            and node.attr in streams
        ]
        used += [f"sys.{name}" for name in imports(file) if name.removeprefix("sys.") in streams]
        used += [node.id for node in nodes if isinstance(node, ast.Name) and node.id == "print"]
        return used

    assert set(offences(touched)) == {"output/terminal.py"}


TESTS = Path(__file__).parent

BENCHMARK = sorted((TESTS.parent / "bench").rglob("*.py"))


def longer_than(lines: int, files: list[Path]) -> list[str]:
    """Return the files that have more lines."""
    return [
        str(file.relative_to(TESTS.parent))
        for file in files
        if len(file.read_text(encoding="utf-8").splitlines()) > lines
    ]


def test_a_file_is_short() -> None:
    """No file of the program or of the benchmark has more than 300 lines."""
    assert longer_than(300, [*FILES, *BENCHMARK]) == []


def test_a_test_file_is_short() -> None:
    """No test file has more than 500 lines."""
    assert longer_than(500, sorted(TESTS.rglob("*.py"))) == []


def test_each_room_has_a_folder_of_tests() -> None:
    """Each room has its tests in a folder of the same name."""
    rooms = {path.name for path in ROOT.iterdir() if (path / "__init__.py").is_file()}
    folders = {path.name for path in TESTS.iterdir() if (path / "__init__.py").is_file()}
    assert rooms <= folders
    assert folders - rooms <= {"harness", "docs", "attacks", "fuzz", "mutants"}
    for room_name in rooms:
        assert list((TESTS / room_name).rglob("test_*.py"))


def test_the_checks_find_known_imports() -> None:
    """The checks above find the imports in files that are known to have them."""
    assert imports_from(ROOT / "http" / "connection.py", "httpx", types_too=False) == ["httpx"]
    assert imports_from(ROOT / "models.py", "httpx") == ["httpx"]
    assert "writer_cli.apis.dialect.Call" in imports_from(ROOT / "client.py", "writer_cli")
    assert "rich.console.Console" in imports_from(ROOT / "output" / "terminal.py", "rich")
    assert neighbours("writer_cli.http.reply") >= {
        "writer_cli.http.answer",
        "writer_cli.http.retry",
    }
    assert room(ROOT / "commands" / "config.py") == "commands"
    assert room(ROOT / "__init__.py") == ""
    assert room(ROOT / "__main__.py") == "__main__"


# Exports.


def test_exported_names_are_sorted_and_can_be_imported() -> None:
    """`__all__` is sorted, and each name in it can be imported."""
    assert writer_cli.__all__ == sorted(writer_cli.__all__)
    for name in writer_cli.__all__:
        assert getattr(writer_cli, name).__module__.startswith("writer_cli.")
    assert set(dir(writer_cli)) == {*writer_cli.__all__, "__version__"}


def test_everything_that_the_library_returns_and_raises_is_exported() -> None:
    """All models, all errors and the client are exported, and nothing of the command line."""
    expected = {"Writer", "CompletionStream", "Wait", "Cache", "CacheEvent"}
    for module in ("errors", "models"):
        for name, value in vars(importlib.import_module(f"writer_cli.{module}")).items():
            if isinstance(value, type) and value.__module__ == f"writer_cli.{module}":
                expected.add(name)
    internal = {name for name in expected if name.startswith("_")}
    of_the_command_line = {
        "OutputError",
        "ReaderGoneError",
    }
    assert set(writer_cli.__all__) == expected - internal - of_the_command_line


def test_a_type_checker_sees_the_exported_names() -> None:
    """The imports for type checkers have the exported names, from the same modules."""
    seen = {
        name.rsplit(".", 1)[-1]: name for name in imports_from(ROOT / "__init__.py", "writer_cli")
    }
    assert sorted(seen) == writer_cli.__all__
    for name, path in seen.items():
        module = importlib.import_module(path.rsplit(".", 1)[0])
        assert getattr(module, name) is getattr(writer_cli, name)


def test_a_name_that_is_not_exported_is_an_attribute_error() -> None:
    """An unknown name is an `AttributeError`, as in any module."""
    with pytest.raises(AttributeError, match=r"^module 'writer_cli' has no attribute 'Reader'$"):
        writer_cli.Reader  # noqa: B018 - the access raises


def test_every_module_can_be_imported() -> None:
    """Each module can be imported first."""
    names = [module.name for module in pkgutil.walk_packages([str(ROOT)], "writer_cli.")]
    assert "writer_cli.sandbox.respond" in names
    for name in names:
        importlib.import_module(name)


# Start-up.


def loaded_by(*arguments: str, env: Mapping[str, str] = MappingProxyType({})) -> set[str]:
    """Return the modules that the program loads for these arguments."""
    # The completion knows this name; with `-m` the name is different.
    program = "import sys; sys.argv[0] = 'writer'; from writer_cli.__main__ import run; run()"
    command = [sys.executable, "-X", "importtime", "-c", program, *arguments]
    # Coverage loads modules of its own.
    inherited = {name: text for name, text in os.environ.items() if "COVERAGE" not in name}
    done = subprocess.run(
        command, check=not env, capture_output=True, text=True, env={**inherited, **env}
    )
    return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}


DRAWING = {
    "rich.markdown",
    "rich.console",
    "rich.cells",
    "markdown_it",
    "writer_cli.output.wrapping",
}
HTTP = {"httpx", "pydantic", "writer_cli.client", "writer_cli.http.stream"}
COMMANDS = {f"writer_cli.commands.{re.sub('[- ]', '_', name)}" for name in COMMAND_NAMES}
CACHE = {"writer_cli.recording", "writer_cli.cache", "writer_cli.cache.folder"}
EXCHANGE = {"writer_cli.apis.dialect", "writer_cli.http.deadline", "writer_cli.http.retry"}
SLOW = {"dataclasses", "json", "http", "queue", "shlex"}
"""Slow modules of the standard library that typer does not load."""
if sys.version_info >= (3, 14):
    SLOW.remove("dataclasses")  # the standard library's own `traceback` loads it
REST = {*CACHE, "tenacity", "tomlkit", "certifi", "writer_cli.sandbox", "writer_cli.batch"}


@pytest.mark.parametrize(
    ("arguments", "env", "unwanted"),
    [
        (["--version"], {}, {"typer", "writer_cli.cli", "inspect", *SLOW, *DRAWING, *HTTP, *REST}),
        (["--help"], {}, {*COMMANDS, *SLOW, *EXCHANGE, *DRAWING, *HTTP, *REST}),
        (["complete", "--help"], {}, {*SLOW, *EXCHANGE, *DRAWING, *HTTP, *REST}),
        (["__complete", "comp"], {}, {*COMMANDS, *SLOW, *EXCHANGE, *DRAWING, *HTTP, *REST}),
        (["__complete", "complete", "--sa"], {}, {*SLOW, *EXCHANGE, *DRAWING, *HTTP, *REST}),
        (["__complete", "complete", "-m", ""], {}, {*DRAWING, *HTTP, *REST}),
        (["complete", "p", "--dry-run", "-m", "m", "--organization-id", "1"], {}, DRAWING | REST),
        (
            ["complete", "p", "--sandbox"],
            {},
            {"writer_cli.http.stream", *DRAWING, *REST} - {"writer_cli.sandbox"},
        ),
        (["config", "path"], {}, {*DRAWING, *HTTP, *REST}),
        (["config", "list"], {}, {*DRAWING, *HTTP, *REST}),
        (["models", "--sandbox"], {}, {*DRAWING, *REST} - {"writer_cli.sandbox"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_command_loads_only_what_it_uses(
    arguments: list[str], env: dict[str, str], unwanted: set[str]
) -> None:
    """A command imports only the modules that it needs, so that it starts fast."""
    loaded = loaded_by(*arguments, env=env)
    assert "writer_cli.output.terminal" in loaded
    assert loaded & unwanted == set()


def test_a_cached_answer_does_not_load_the_embedded_model(tmp_path: Path) -> None:
    """A recorded answer of the sandbox does not load its model."""
    arguments = ["complete", "p", "--sandbox", "--cache", str(tmp_path)]
    model = "writer_cli.sandbox.language_model"
    assert model in loaded_by(*arguments)
    assert model not in loaded_by(*arguments)


def test_importing_the_library_loads_no_dependency() -> None:
    """`import writer_cli` loads nothing but itself and the standard library."""
    program = (
        "import sys; before = set(sys.modules); import writer_cli; "
        "print(sorted({m.partition('.')[0] for m in set(sys.modules) - before} "
        "- set(sys.stdlib_module_names)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert done.stdout == "['writer_cli']\n"


def test_the_program_loads_no_plugin_of_pydantic(tmp_path: Path) -> None:
    """A plugin that is installed for pydantic is not run."""
    (tmp_path / "plugin.py").write_text("raise SystemExit('the plugin was loaded')\n")
    about = tmp_path / "plugin-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[pydantic]\nplugin = plugin:plugin\n")
    env = os.environ | {"PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-m", "writer_cli", "complete", "--sandbox", "Once", "--json"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    using = "import pydantic\nclass A(pydantic.BaseModel):\n    a: int"
    done = subprocess.run(
        [sys.executable, "-c", using], check=False, capture_output=True, text=True, env=env
    )
    assert done.stderr == "the plugin was loaded\n"
