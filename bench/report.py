"""The result as a table, and the machine that it was measured on."""

import os
import platform
import subprocess
from pathlib import Path
from typing import Any

MARKERS = ("<!-- the table of `make bench-readme` -->", "<!-- its end -->")

SHOWN = ("typer", "httpx", "pydantic", "writer-sdk", "writerai", "llm", "openai")
"""The distributions whose versions are beside the table; the JSON has all of them."""


def machine() -> dict[str, Any]:
    """Return a description of the machine and its load."""
    model = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    return {
        "system": platform.platform(),
        "processor": model,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load": [round(load, 2) for load in os.getloadavg()],
    }


def commit(repository: Path) -> str:
    """Return the measured commit, with a plus if files differ from it."""

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=repository, capture_output=True, text=True, check=False
        )
        return done.stdout.strip()

    return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain") else "")


def table(result: dict[str, Any]) -> str:
    """Return the result as Markdown."""
    lines: list[str] = []
    work = None
    for row in result["rows"].values():
        for found in row["measurements"]:
            if found["work"] != work:
                work = found["work"]
                lines += ["", f"| {work} | median | quartiles | CPU | memory | runs |"]
                lines += ["|---|--:|--:|--:|--:|--:|"]
            lines.append(_line(found))
    targets = [target for row in result["rows"].values() for target in row["targets"]]
    lines += ["", "| target | measured | allowed | |", "|---|--:|--:|---|"]
    for target in targets:
        sign, unit = ("≤" if target["at_most"] else "≥"), target["unit"]
        verdict = "met" if target["met"] else "**missed**"
        lines.append(
            f"| {target['what']} | {target['value']:.3g} {unit} "
            f"| {sign} {target['limit']:g} {unit} | {verdict} |"
        )
    return "\n".join([*lines[1:], "", *_circumstances(result)]) + "\n"


def _line(found: dict[str, Any]) -> str:
    notes = dict(found["notes"])
    cpu = f"{notes.pop('cpu_ms'):,.0f} ms" if "cpu_ms" in notes else ""
    memory = f"{notes.pop('memory_mb'):.0f} MB" if "memory_mb" in notes else ""
    said = ", ".join(f"{value:,.0f} {name.replace('_', ' ')}" for name, value in notes.items())
    name = found["contender"] + (f" ({said})" if said else "")
    first, third = map(_number, found["quartiles"])
    middle = f"{_number(found['median'])} {found['unit']}"
    return f"| {name} | {middle} | {first} to {third} | {cpu} | {memory} | {found['runs']} |"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}"


def _circumstances(result: dict[str, Any]) -> list[str]:
    machine, lines = result["machine"], []
    load = " to ".join(str(result[name]["load"][0]) for name in ("machine", "machine_after"))
    lines.append(
        f"{result['made']}, writer {result['commit']}, CPython {machine['python']}, "
        f"{machine['processor']}, {machine['cores']} cores, {machine['system']}; "
        f"load of the machine before and after: {load}."
    )
    for environment, versions in result["versions"].items():
        named = [f"{name} {versions[name]}" for name in SHOWN if name in versions]
        lines.append(f"- {environment}: {', '.join(named)}")
    lines.append(f"- system: {', '.join(result['tools'])}")
    return [lines[0], "", *lines[1:]]


def write_into(readme: Path, text: str) -> None:
    """Put the table between the two markers of a page."""
    before, begin, rest = readme.read_text(encoding="utf-8").partition(MARKERS[0])
    _, end, after = rest.partition(MARKERS[1])
    if not (begin and end):
        raise SystemExit(f"{readme} has no markers {MARKERS[0]} and {MARKERS[1]}")
    readme.write_text(f"{before}{begin}\n\n{text}\n{end}{after}", encoding="utf-8")
