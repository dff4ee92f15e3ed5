"""Build the package, install it as users do, and run what is installed.

Usage: python tests/package.py

The wheel, the source distribution, the commands of the Dockerfile and those of action.yml are
each tried in an environment of their own. Docker itself is not needed, and not tried. Without
the package registry nothing is tried, and one line says so.
"""

import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

PROJECT = Path(__file__).parent.parent

NOT_IN_THE_SOURCES = {".ci/run", ".dockerignore"}
"""Files of the repository that the source distribution leaves out."""


def main() -> int:
    """Return 0 if everything can be installed and works."""
    with tempfile.TemporaryDirectory() as made:
        where = Path(made)
        reach = [sys.executable, "-m", "pip", "--retries", "1", "index", "versions", "pip"]
        if run(reach, check=False).returncode != 0:
            print("skipped: the package registry cannot be reached")
            return 0
        run([sys.executable, "-m", "hatchling", "build", "-d", str(where / "dist")])
        [wheel] = (where / "dist").glob("*.whl")
        [sources] = (where / "dist").glob("*.tar.gz")
        check_wheel(wheel)
        check_sources(sources)
        with tarfile.open(sources) as archive:
            archive.extractall(where / "sources", filter="data")
        [unpacked] = (where / "sources").iterdir()
        for name, package in (("wheel", wheel), ("sources", sources)):
            programs = environment(where / name)
            run([str(programs / "pip"), "install", "-q", str(package)])
            check_programs(programs, name)
        check_dockerfile(where / "docker", unpacked)
        check_action(where / "action", unpacked)
    return 0


def environment(where: Path) -> Path:
    """Make an environment and return the directory of its programs."""
    venv.create(where, with_pip=True)
    return where / "bin"


def run(
    command: list[str], *, check: bool = True, **variables: str
) -> "subprocess.CompletedProcess[str]":
    """Run a command without the settings of whoever runs this."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("WRITER_")}
    env["PIP_NO_COMPILE"] = "1"  # this would take most of the time of an installation
    done = subprocess.run(
        command, cwd=PROJECT, env=env | variables, capture_output=True, text=True, check=False
    )
    if check and done.returncode != 0:
        sys.exit(f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done


def tracked() -> set[str]:
    """Return the names of the files in the repository."""
    return set(run(["git", "ls-files"]).stdout.splitlines())


def check_wheel(wheel: Path) -> None:
    """The wheel has every file of the package, the man pages, and what describes it."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    names = {re.sub(r"^[^/]+\.data/data/share/man/man1/", "man/", name) for name in names}
    assert names == {name for name in tracked() if name.startswith(("writer_cli/", "man/"))}, names
    print(f"{wheel.name}: {len(names)} files")


def check_sources(sources: Path) -> None:
    """The source distribution has every file of the repository that a user or a test needs."""
    with tarfile.open(sources) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert names - tracked() == {"PKG-INFO"}, names - tracked()
    assert tracked() - names == NOT_IN_THE_SOURCES, tracked() - names
    print(f"{sources.name}: {len(names)} files")


def check_programs(programs: Path, name: str) -> None:
    """Both programs start, a completion and a batch come back, and a schema is there."""
    for program in ("writer", "writer-cli"):
        assert run([str(programs / program), "--version"]).stdout.startswith("writer ")
    story = [str(programs / "writer"), "complete", "--sandbox", "--json", "Once upon a time"]
    assert json.loads(run(story).stdout)["choices"][0]["text"]
    print(f"installed from the {name}: works")


def check_dockerfile(where: Path, project: Path) -> None:
    """The commands of the Dockerfile that install something work, and its program is there."""
    text = (project / "Dockerfile").read_text(encoding="utf-8")
    programs = environment(where)
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    [source] = re.findall(r"^COPY \. (\S+)$", text, re.MULTILINE)
    copy = where / "copy"
    for command in re.findall(r"^RUN (.+)$", text, re.MULTILINE):
        if command.startswith("pip "):
            run(["cp", "-r", str(project), str(copy)])
            run(["bash", "-ec", command.replace(source, str(copy))], PATH=path)
    assert not copy.exists()
    [program] = json.loads(re.findall(r"^ENTRYPOINT (.+)$", text, re.MULTILINE)[0])
    assert run([str(programs / program), "--version"]).stdout
    print("the commands of the Dockerfile: work, in an environment and not in a container")


def check_action(where: Path, project: Path) -> None:
    """The steps of the action install the program and run the commands that it is given."""
    text = (project / "action.yml").read_text(encoding="utf-8")
    programs = environment(where)
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    result = where / "story.txt"
    cached = re.search(r"^ +WRITER_CACHE: \$\{\{ inputs\.cache ", text, re.MULTILINE)
    assert cached, "the input `cache` has no effect"
    assert "path: ${{ inputs.cache }}\n" in text
    *install, last = re.findall(r"^ +run: (.+)$", text, re.MULTILINE)
    for step, offline in [*((step, "") for step in install), (last, ""), (last, "1")]:
        run(
            ["bash", "-eo", "pipefail", "-c", step],
            PATH=path,
            GITHUB_ACTION_PATH=str(project),
            COMMANDS=f"writer complete 'Once upon a time' >> {result}\nwriter --version",
            WRITER_SANDBOX="1",
            WRITER_CACHE=str(where / "answers"),
            WRITER_OFFLINE=offline,
        )
    asked, replayed = result.read_text(encoding="utf-8").splitlines()
    assert asked.strip()
    assert replayed == asked
    print("the steps of action.yml: work, in bash and not on GitHub")


if __name__ == "__main__":
    sys.exit(main())
