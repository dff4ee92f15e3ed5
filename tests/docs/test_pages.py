"""Links, the page for contributors, and the changelog."""

import re
import sys

import pytest

import writer_cli as writer
from tests.docs.service import REFERENCES, check_instead, named
from tests.harness import documents
from tests.harness.documents import ROOT
from tests.test_house import HOUSE

DOCUMENTS = (*REFERENCES, "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_resolve(document: str) -> None:
    """The file of a link exists, and its heading exists exactly once."""
    for link in documents.links(document):
        if link.startswith("https://"):
            continue
        file, _, anchor = link.partition("#")
        target = ROOT / document if not file else (ROOT / document).parent / file
        assert target.is_file(), link
        if anchor:
            name = str(target.resolve().relative_to(ROOT))
            assert documents.anchors(name).count(anchor) == 1, link


def test_every_promise_names_tests_that_exist() -> None:
    """Each test file that SECURITY.md names exists."""
    named_tests = re.findall(r"`(tests/[\w/]+\.py)`", documents.read("SECURITY.md"))
    assert named_tests
    for file in named_tests:
        assert (ROOT / file).is_file(), file


def test_the_picture_has_every_room() -> None:
    """CONTRIBUTING.md shows each room and top-level module in the order of imports."""
    picture = documents.section("CONTRIBUTING.md", "The rooms").split("```")[1]
    shown = [
        word.removesuffix("/")
        for line in picture.splitlines()
        if line.startswith("  ")
        for word in re.split(r"\s{3,}", line.strip())[0].split()
    ]
    assert shown == HOUSE
    rows = documents.table("CONTRIBUTING.md", "room", "where to look first")
    for room, modules in rows:
        for name in re.findall(r"`([a-z_]+\.py)`", modules):
            assert (ROOT / "writer_cli" / named(room) / name).is_file()


def test_the_recipes_name_files_that_exist() -> None:
    """Each recipe of CONTRIBUTING.md names files, and they exist."""
    text = documents.section("CONTRIBUTING.md", "Recipes")
    recipes = re.findall(r"^\*\*(?:Add|Change) .+?(?=\n\n)", text, re.MULTILINE | re.DOTALL)
    assert len(recipes) == 12
    for recipe in recipes:
        files = re.findall(r"`([\w/-]+\.(?:py|md|json))`", recipe)
        assert len(files) >= 2
        for name in files:
            assert (ROOT / name).is_file() or (ROOT / "writer_cli" / name).is_file(), name


def test_the_walk_has_ten_steps_and_names_what_exists() -> None:
    """Each module and name in the ten steps from argv to output exists."""
    text = documents.section("CONTRIBUTING.md", "One command, from argv to output")
    assert re.findall(r"^(\d+)\. ", text, re.MULTILINE) == [str(n) for n in range(1, 11)]
    references = re.findall(r"`([a-z_]+(?:\.[a-z_]+)*)\.(\w+)`", text)
    assert len(references) > 10
    for module, name in references:
        __import__(f"writer_cli.{module}")
        assert hasattr(sys.modules[f"writer_cli.{module}"], name), f"{module}.{name}"


def test_the_targets_that_contributors_are_told_of_exist() -> None:
    """Each `make` target in CONTRIBUTING.md is in the Makefile."""
    targets = re.findall(r"`(make [\w-]+)`", documents.read("CONTRIBUTING.md"))
    assert targets
    for command in targets:
        check_instead(command)


def test_the_changelog_begins_with_this_version() -> None:
    """The first version in the changelog is this one."""
    headings = re.findall(r"^## \[([\w.]+)\] - ", documents.read("CHANGELOG.md"), re.MULTILINE)
    assert headings[0] == writer.__version__


def test_the_changelog_has_one_sentence_a_line() -> None:
    """Each entry of the changelog is one line with one sentence."""
    for line in documents.section("CHANGELOG.md", f"[{writer.__version__}] - unreleased").split(
        "\n"
    ):
        assert re.fullmatch(
            r"|### (Added|Changed|Fixed|Removed|Deprecated|Security)|- [^.]+\.", line
        )
