"""Run each of Writer's published SDKs, in an environment of its own, against `writer sandbox`.

Usage: python -m tests.sdks.run, with the Python that `writer` is installed for.

An environment is made once, and again when pyproject.toml changes. If there is none and the
package registry cannot be reached, its SDK is skipped with one line.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.harness.environments import (
    InstallationError,
    RegistryUnreachableError,
    environment,
)

SDKS = ("enterprise", "studio")
HERE = Path(__file__).parent


def main() -> int:
    """Return 0 if every SDK that is installed works."""
    pythons = {}
    for sdk in SDKS:
        try:
            pythons[sdk] = environment(f"sdk-{sdk}")
        except RegistryUnreachableError:
            print(f"skipped: the {sdk} SDK is not installed and the registry cannot be reached")
        except InstallationError:
            sys.exit(f"the {sdk} SDK cannot be installed")
    if not pythons:
        return 0
    with tempfile.TemporaryDirectory() as recordings:
        record(Path(recordings))
        with serving() as url, serving("--replay", recordings) as replay_url:
            urls = {"WRITER_BASE_URL": url, "WRITER_REPLAY_URL": replay_url}
            return max(check(sdk, python, urls) for sdk, python in pythons.items())


@contextmanager
def serving(*flags: str) -> Iterator[str]:
    """Start `writer sandbox`, and yield its address."""
    command = [sys.executable, "-m", "writer_cli", "sandbox", "--json", "--quiet", *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as sandbox:
        try:
            assert sandbox.stdout is not None
            yield json.loads(sandbox.stdout.readline())["url"]
        finally:
            sandbox.terminate()
    if sandbox.returncode != 0:
        sys.exit(f"the sandbox ended with {sandbox.returncode}")


def record(directory: Path) -> None:
    """Record an answer for each SDK, with a text that the sandbox does not generate."""
    for sdk in SDKS:
        command = [sys.executable, "-m", "writer_cli", "complete", "--sandbox", "--api", sdk]
        flags = ["-m", "palmyra-x5", "--max-tokens", "12", "--temperature", "1"]
        kept = ["--cache", str(directory)]
        subprocess.run(
            [*command, *flags, *kept, "A recorded prompt"], check=True, stdout=subprocess.DEVNULL
        )
    for path in directory.glob("*/*"):
        recorded = json.loads(path.read_text())
        recorded["answer"]["body"]["choices"][0]["text"] = "a recorded text"
        path.write_text(json.dumps(recorded))


def check(sdk: str, python: Path, urls: dict[str, str]) -> int:
    """Run the tests of an SDK against the sandbox, without the settings of our own tests."""
    pytest = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull]
    where = ["--rootdir", str(HERE), "--confcutdir", str(HERE), str(HERE / f"{sdk}.py")]
    variables = {name: value for name, value in os.environ.items() if "WRITER" not in name}
    return subprocess.run([*pytest, *where], env=variables | urls, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
