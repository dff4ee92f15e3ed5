"""The workflows of docs/ci.md, run as in CI."""

import re
from pathlib import Path

import pytest

from tests.docs.service import blocks_in, check_instead
from tests.docs.test_examples import PRODUCTS, Service, bash
from tests.docs.test_examples import service as service  # noqa: PLC0414 - a fixture
from tests.harness.documents import Block

AS_SOMEBODY = "git -c user.name=a -c user.email=a@example.com"


def workflow(name: str) -> Block:
    """Return the workflow of this name."""
    [block] = [
        b for b in blocks_in("yaml") if b.document == "docs/ci.md" and f"name: {name}\n" in b.text
    ]
    return block


def script(block: Block) -> str:
    """Return a workflow's commands without its set-up, and its variables."""
    install, *commands = (line.strip('"') for line in re.findall(r"- run: (.+)", block.text))
    check_instead(install)
    variables = re.findall(r'^ {6}(WRITER_\w+): "?([^"\n$]+)"?$', block.text, re.MULTILINE)
    exports = [f"export {name}={value}" for name, value in variables]
    return "\n".join(["set -e", *exports, *commands])


def test_the_cache_of_actions_sends_only_new_requests(service: Service, tmp_path: Path) -> None:
    """A second run sends nothing, a new product one request, unused recordings are deleted."""
    block = workflow("taglines")
    assert "path: .writer-cache" in block.text
    texts = []
    for products in (PRODUCTS, PRODUCTS, "id,product\np-1,green tea\np-4,a lamp\n"):
        (tmp_path / "products.csv").write_text(products)
        (tmp_path / "taglines.jsonl").unlink(missing_ok=True)
        done = bash(script(block), block, service, tmp_path)
        assert done.returncode == 0, done.stderr
        texts.append(re.findall(r'"text": ".*?"', (tmp_path / "taglines.jsonl").read_text()))
    assert texts[0] == texts[1]
    assert len(service.requests) == 4
    assert len(list(tmp_path.glob(".writer-cache/*/*"))) == 2


@pytest.fixture
def repository(service: Service, tmp_path: Path) -> Path:
    """Record and commit, as docs/ci.md describes."""
    [block] = [b for b in blocks_in("sh") if "git add recordings" in b.text]
    commit = f"git add CHANGES && {AS_SOMEBODY} commit -qm 'Say what changed'"
    done = bash(f"set -e\n{block.text}{commit}", block, service, tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(service.requests) == 1
    return tmp_path


def test_a_fork_replays_what_is_committed(service: Service, repository: Path) -> None:
    """A fork needs no key and sends nothing; a changed prompt ends with exit code 12."""
    block = workflow("replay")
    text = (repository / "changes.txt").read_text()
    unset = "unset WRITER_API_KEY WRITER_ORGANIZATION_ID WRITER_BASE_URL\n"
    (repository / "changes.txt").unlink()
    done = bash(unset + script(block), block, service, repository)
    assert (done.returncode, done.stderr) == (0, "")
    assert (repository / "changes.txt").read_text() == text
    (repository / "CHANGES").write_text("Sort the table\n")
    done = bash(unset + script(block), block, service, repository)
    assert done.returncode == 12
    assert 'user:\\n\\nSort the list", now: "' in done.stderr
    assert len(service.requests) == 1


@pytest.mark.parametrize("change", ["nothing", "text", "recording"])
def test_the_job_fails_when_something_changed(
    service: Service, repository: Path, change: str
) -> None:
    """A text that was edited, or a recording that is no longer used, fails the job."""
    block = workflow("texts")
    if change == "text":
        (repository / "changes.txt").write_text("by hand\n")
    elif change == "recording":
        more = (
            "export WRITER_CACHE=recordings\nwriter complete 'another prompt'\ngit add recordings"
        )
        assert bash(more, block, service, repository).returncode == 0
    commit = f"{AS_SOMEBODY} commit -qam 'Change something' || true\n"
    sent = len(service.requests)
    done = bash(commit + script(block), block, service, repository)
    assert done.returncode == (0 if change == "nothing" else 1), done.stderr
    assert len(service.requests) == sent
    status = bash("git status --porcelain", block, service, repository).stdout
    expected = {
        "nothing": "",
        "text": " M changes.txt\n",
        "recording": r" D recordings/(..)/\1[0-9a-f]{62}\.json\n",
    }
    assert re.fullmatch(expected[change], status)
