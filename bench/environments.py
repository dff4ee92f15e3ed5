"""A virtual environment for each contender, made once, with only what it needs."""

import hashlib
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
PLACE = REPOSITORY / ".venv-bench"

GROUPS = {
    "plain": "bench-plain",
    "newest": "bench-newest",
    "sdk": "bench-sdk",
    "old-sdk": "bench-old-sdk",
    "llm": "bench-llm",
}
"""The environments of the others, and the dependency group of each in pyproject.toml."""


def make_all() -> dict[str, Path]:
    """Return the directory of each environment, made or updated.

    Ours gets the wheel of this checkout, built again whenever a source file has changed.
    """
    made = {"ours": _ours()}
    groups = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["dependency-groups"]
    made |= {name: _made(name, groups[group]) for name, group in GROUPS.items()}
    return made


def versions(environment: Path) -> dict[str, str]:
    """Return the versions of the packages in an environment."""
    code = (
        "import json, importlib.metadata as m\n"
        "print(json.dumps({d.name: d.version for d in m.distributions()}))"
    )
    import json

    python = environment / "bin" / "python"
    done = subprocess.run([python, "-c", code], check=True, capture_output=True, cwd="/")
    found: dict[str, str] = json.loads(done.stdout)
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def _ours() -> Path:
    sources = hashlib.sha256()
    for path in [REPOSITORY / "pyproject.toml", *sorted((REPOSITORY / "writer_cli").rglob("*"))]:
        if path.is_file() and path.suffix != ".pyc":
            sources.update(str(path.relative_to(REPOSITORY)).encode() + path.read_bytes())
    stamp = PLACE / "ours" / ".sources"
    if stamp.is_file() and stamp.read_text() == sources.hexdigest():
        return PLACE / "ours"
    with tempfile.TemporaryDirectory() as directory:
        _pip("wheel", "--no-deps", "--wheel-dir", directory, str(REPOSITORY))
        [wheel] = Path(directory).glob("*.whl")
        environment = _new("ours")
        _pip("--python", str(environment / "bin" / "python"), "install", str(wheel))
    stamp.write_text(sources.hexdigest())
    return environment


def _made(name: str, requirements: list[str]) -> Path:
    stamp = PLACE / name / ".requirements"
    wanted = hashlib.sha256(
        (REPOSITORY / "pyproject.toml").read_text().partition("[dependency-groups]")[2].encode()
    ).hexdigest()
    if stamp.is_file() and stamp.read_text() == wanted:
        return PLACE / name
    environment = _new(name)
    _pip("--python", str(environment / "bin" / "python"), "install", *requirements)
    stamp.write_text(wanted)
    return environment


def _new(name: str) -> Path:
    """Make an environment without pip, with the Python of this one."""
    _say(f"making {PLACE.name}/{name}")
    environment = PLACE / name
    shutil.rmtree(environment, ignore_errors=True)
    python = getattr(sys, "_base_executable", sys.executable)
    subprocess.run([python, "-m", "venv", "--without-pip", environment], check=True)
    return environment


def _pip(*arguments: str) -> None:
    # Compile to .pyc, so that the measured starts use them.
    subprocess.run(
        [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments],
        check=True,
        cwd=REPOSITORY,
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr)
