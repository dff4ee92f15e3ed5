"""The pictures of the terminal show what the program prints."""

import re

import pytest

from tests.harness.documents import ROOT
from tests.harness.pictures import FOLDER, PICTURES, Picture, comparable, screen_of, svg_of, text_of

DOCUMENTS = [ROOT / "README.md", ROOT / "completions.md", ROOT / "batch.md"]


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_a_picture_shows_what_the_program_prints_now(picture: Picture) -> None:
    """A picture has the output of a real terminal, except for measured numbers."""
    screen = screen_of(picture)
    drawn = text_of((FOLDER / f"{picture.name}.svg").read_text(encoding="utf-8"))
    assert comparable(drawn) == comparable(screen.text)
    assert text_of(svg_of(screen, picture.name)) == screen.text


def test_a_picture_loads_nothing_from_elsewhere() -> None:
    """A picture loads no font and no other picture."""
    for path in FOLDER.glob("*.svg"):
        svg = path.read_text(encoding="utf-8")
        assert re.findall(r"url\((?!#)|https?://(?!www\.w3\.org/)|@import|@font-face", svg) == []


def test_every_picture_is_shown_and_every_one_shown_is_there() -> None:
    """Each picture is in a document, and is made by `make pictures`."""
    shown = {
        name
        for document in DOCUMENTS
        for name in re.findall(r"!\[[^\]]+\]\(docs/pictures/([\w-]+)\.svg\)", document.read_text())
    }
    there = {path.stem for path in FOLDER.glob("*.svg")}
    assert shown == there == {picture.name for picture in PICTURES}
