"""Write the licences of the dependencies into docs/dependencies.md, as the packages state them.

Usage: python -m tests.licences

The purpose of a package is its comment in pyproject.toml, or the packages that require it.
"""

import re
import sys
from importlib import metadata
from pathlib import Path

PROJECT = Path(__file__).parent.parent

PAGE = PROJECT / "docs" / "dependencies.md"

HEAD = ("| package | licence | what for |", "| --- | --- | --- |")

STANDARD_NAMES = {
    "Apache 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "ISC License": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}
"""The SPDX identifiers of licences that older packages describe in words."""


def main() -> int:
    """Return 0 when the page is current."""
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(with_tables(text), encoding="utf-8")
    return 0


def with_tables(page: str) -> str:
    """Return the page with both of its tables as they should be now."""
    before, between = re.split(r"(?:^\|.*\n)+", page, flags=re.MULTILINE)[:2]
    packages = locked()
    for_users = {"writer-cli"}
    while further := {
        name for name, asking in packages.items() if for_users & asking and name not in for_users
    }:
        for_users |= further
    rows = {name: row(name, asking) for name, asking in packages.items()}
    tables = (
        "\n".join([*HEAD, *(rows[name] for name in sorted(names))])
        for names in (for_users - {"writer-cli"}, packages.keys() - for_users)
    )
    return f"{before}{next(tables)}\n{between}{next(tables)}\n"


def locked() -> dict[str, set[str]]:
    """Return the packages of requirements-dev.txt, each with those that require it.

    `writer-cli` is the project, and `writer-cli:test` its dependency group `test`. Packages for
    Windows only are left out.
    """
    text = (PROJECT / "requirements-dev.txt").read_text(encoding="utf-8")
    packages = {}
    for name, marker, via in re.findall(
        r"^([\w.-]+)==[^;\n]+?( ; .+)? \\\n(?:    --hash.+\n)+((?:    #.+\n)+)", text, re.MULTILINE
    ):
        if "win32" not in marker:
            asking = via.replace(" (pyproject.toml", "").replace(")", "").replace("via", "")
            packages[name] = set(asking.replace("#", "").split())
    return packages


def row(name: str, asking: set[str]) -> str:
    """Return the line of the table for a package that others require."""
    required = f"required by {', '.join(sorted(asking))}"
    return f"| {name} | {licence(name)} | {stated_purposes().get(name, required)} |"


def stated_purposes() -> dict[str, str]:
    """Return what the comments of pyproject.toml say of each package that it names."""
    text = (PROJECT / "pyproject.toml").read_text(encoding="utf-8")
    text = text[: text.index("bench-plain")]
    return dict(re.findall(r'^    "([\w-]+)[^"]*", *# (.+)$', text, re.MULTILINE))


def licence(package: str) -> str:
    """Return the SPDX expression of a package's licence."""
    about = metadata.distribution(package).metadata
    classes = [
        value.rpartition(" :: ")[2]
        for value in about.get_all("Classifier", [])
        if value.startswith("License :: ")
    ]
    stated: list[str] = [
        *about.get_all("License-Expression", []),
        # If `License` is the whole text of the licence, its name is in the classifiers.
        *(text for text in about.get_all("License", []) if "\n" not in text),
        " OR ".join(classes),
    ]
    return STANDARD_NAMES.get(stated[0], stated[0])


if __name__ == "__main__":
    sys.exit(main())
