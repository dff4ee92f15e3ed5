"""Ask whether a version that requirements-dev.txt names is known to be vulnerable.

Usage: python -m tests.audit [ARGUMENT OF PIP-AUDIT]...

Exit code 1: a version is vulnerable, or was not found. If the database cannot be reached at all,
nothing is checked, one line says so, and the exit code is 0. `--vulnerability-service osv` uses
another database.
"""

import json
import subprocess
import sys
from typing import Any

from tests.harness.environments import PROJECT, RegistryUnreachableError, environment

NOTHING_CHECKED = "make audit: skipped, nothing was checked: "


def main(arguments: list[str]) -> int:
    """Return 0 if no version is known to be vulnerable, or the database cannot be reached."""
    try:
        python = environment("audit")
    except RegistryUnreachableError:
        print(f"{NOTHING_CHECKED}pip-audit cannot be installed without the package registry")
        return 0
    command = [str(python), "-m", "pip_audit", "--requirement", "requirements-dev.txt"]
    command += ["--disable-pip", "--format", "json", "--progress-spinner", "off", *arguments]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    try:
        report = json.loads(done.stdout)
    except ValueError:  # it ends with a traceback where it cannot connect
        unreachable = "ConnectionError" in done.stderr or "ServiceError" in done.stderr
        print(f"{NOTHING_CHECKED}{(done.stderr.strip().splitlines() or ['no report'])[-1]}")
        return 0 if unreachable else 1
    passed, text = verdict(report)
    print(text)
    return int(not passed)


def verdict(report: dict[str, Any]) -> tuple[bool, str]:
    """Return whether a report of pip-audit has no problem, and the text to print.

    A package that was not looked up is a problem, unless none was looked up: then the database
    cannot be reached.
    """
    packages = report["dependencies"]
    skipped = [package for package in packages if "skip_reason" in package]
    if len(skipped) == len(packages):
        return True, f"{NOTHING_CHECKED}the database answered for none of {len(packages)} packages"
    lines = [f"{package['name']}: {package['skip_reason']}" for package in skipped]
    for package in packages:
        for found in package.get("vulns", []):
            fixed = ", ".join(found["fix_versions"]) or "no version"
            name = f"{package['name']} {package['version']}"
            lines.append(f"{name} is vulnerable: {found['id']}, mended in {fixed}")
    if lines:
        return False, "\n".join(["make audit: failed", *lines])
    return True, f"make audit: none of {len(packages)} packages is known to be vulnerable"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
