import shutil
import subprocess

import pytest

from tests.harness.man_pages import FOLDER, man_pages
from tests.harness.pages import PAGES


def test_the_man_pages_are_current() -> None:
    """The files in the repository are those that `make man` writes now."""
    committed = {path.name: path.read_text(encoding="ascii") for path in FOLDER.iterdir()}
    made = man_pages()
    old = [name for name in {**made, **committed} if made.get(name) != committed.get(name)]
    assert not old, "run `make man` and commit man/"


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_groff_formats_the_man_pages() -> None:
    """Groff has no warning, and its output has every example and every text of the help."""
    ran = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", "-P-cbou", "-rLL=80n", *sorted(FOLDER.iterdir())],
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert ran.stderr == ""
    lines = {line.strip() for line in ran.stdout.splitlines()}
    words = " ".join(ran.stdout.split())
    for section in (section for page in PAGES.values() for section in page.sections):
        assert lines.issuperset(section.commands)
        texts = [*section.paragraphs, *(f"{row.term} {row.text}" for row in section.rows)]
        assert [text for text in texts if text.replace("`", "") not in words] == []
