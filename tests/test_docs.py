"""The pages: their links, commands and settings exist and match the code."""

import re
import runpy
from pathlib import Path

import pytest

from dlinknet import config
from dlinknet.commands.command import FILES
from tests.conftest import ROOT

DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
TODAY = [page for page in PAGES if page.name != "CHANGELOG.md"]  # it names earlier commands too
IN_CHINESE = [
    (ROOT / "README.md", ROOT / "README_CN.md"),
    *((DOCS / page.name, page) for page in sorted((DOCS / "zh").glob("*.md"))),
]
# Options of scripts and of other programs. --key stands for any setting.
NO_SETTINGS = {
    "again",
    "all",
    "batch",
    "config_path",
    "coverage",
    "data",
    "fp16",
    "help",
    "images",
    "index-url",
    "key",
    "mindspore",
    "model",
    "number",
    "only",
    "output",
    "precision",
    "results",
    "calls",
    "rounds",
    "steps",
    "strict",
    "torch_python",
    "version",
    "wait",
}


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def in_pages(pages):
    return pytest.mark.parametrize("page", pages, ids=name_of)


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def shell_lines(text: str) -> list[str]:
    """Return the lines of the shell blocks, without comments."""
    blocks = re.findall(r"^```shell\n(.*?)^```", text, re.S | re.M)
    return [line.split("  #")[0].rstrip() for block in blocks for line in block.splitlines()]


def commands(text: str) -> list[str]:
    """Return the lines of shell blocks and the pieces of inline code."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)
    return shell_lines(text) + re.findall(r"`([^`\n]+)`", prose)


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub and mkdocs make them."""
    prose = re.sub(r"^```.*?^```", "", read(page), flags=re.S | re.M)
    return {
        re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.+)$", prose, re.M)
    }


@in_pages(PAGES)
def test_links_lead_to_files_and_headings(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", read(page)):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_file(), link
        assert not anchor or anchor in anchors(target), link
        # mkdocs publishes only docs/.
        assert DOCS not in page.parents or DOCS in target.parents, link
        assert target.suffix not in (".png", ".jpg") or target.stat().st_size < 300_000, link


@in_pages(TODAY)
def test_commands_exist(page):
    for line in commands(read(page)):
        for file in re.findall(r"\bpython3? ([\w/]+\.py)\b|\bbash ([\w./]+)", line):
            assert (ROOT / "".join(file)).is_file(), line
        for module in re.findall(r"python -m (tests\.[\w.]+)", line):
            assert (ROOT / (module.replace(".", "/") + ".py")).is_file(), line
        for name in re.findall(r"(?:^|-m )dlinknet ([a-z][a-z-]*)", line):
            assert name in FILES, line


@in_pages(TODAY)
def test_settings_of_a_command_are_those_that_it_uses(page):
    for line in commands(read(page)):
        door = re.match(r"python (\w+)\.py |(?:python -m )?dlinknet ([a-z-]+) ", line)
        if line.startswith("converter_lite "):  # a program of MindSpore Lite
            continue
        keys = set(re.findall(r"(?:^|\s)--([\w-]+)", line)) - NO_SETTINGS
        assert keys <= set(config.TYPES), line
        if door:
            command = door[1] or door[2]
            assert all(config.uses(command, key) for key in keys), line


@pytest.mark.parametrize("english, chinese", IN_CHINESE, ids=lambda page: name_of(page))
def test_chinese_pages_say_the_same(english, chinese):
    one, other = read(english), read(chinese)
    assert shell_lines(one) == shell_lines(other)
    for pattern in (r"^#+ ", r"^\|", r"^- ", r"^\d+\. "):
        counts = [len(re.findall(pattern, text, re.M)) for text in (one, other)]
        assert counts[0] == counts[1], pattern
    assert set(re.findall(r"`[\w.]+`", one)) == set(re.findall(r"`[\w.]+`", other))
    for figure in (r"\d\.\d{2,}", r"\b\d[\d ]{3,}\d\b"):
        assert sorted(re.findall(figure, one)) == sorted(re.findall(figure, other))


@in_pages(PAGES)
def test_no_place_is_left_for_a_figure(page):
    assert not re.findall(r"QUICK[A-Z]+|[A-Z]+_TABLE\b|[A-Z]+_TEXT\b|TODO|XXX", read(page))


@in_pages(PAGES)
def test_no_table_cell_holds_a_paragraph(page):
    for line in re.findall(r"^\|.*$", read(page), re.M):
        assert all(len(cell) <= 130 for cell in line.split("|")), line


def test_the_page_of_settings_is_in_step():
    page = runpy.run_path(str(DOCS / "make_settings.py"))["page"]()
    assert read(DOCS / "settings.md") == page, "run: python docs/make_settings.py"
    assert all(f"### `{key}`\n" in page for key in config.TYPES)


def drawn(block: str) -> dict[str, set[str]]:
    """Return room -> names of files in design.md's picture; '' has the files outside of rooms."""
    rooms: dict[str, set[str]] = {}
    room = ""
    for line in block.split("\ndlinknet/\n")[1].splitlines():
        if found := re.match(r"  (\w+)/ ", line):
            room = found[1]
        rooms.setdefault(room, set()).update(re.findall(r"\w+\.py\b", line))
    return rooms


def test_the_picture_of_the_house_has_every_file_in_its_room():
    blocks = re.findall(r"^```\n(.*?)^```", read(DOCS / "design.md"), re.S | re.M)
    there: dict[str, set[str]] = {}
    for file in (ROOT / "dlinknet").rglob("*.py"):
        parts = file.relative_to(ROOT / "dlinknet").parts
        if file.name != "__init__.py":
            there.setdefault(parts[0] if len(parts) > 1 else "", set()).add(file.name)
    assert drawn(blocks[0]) == there
    doors = set(re.findall(r"\w+\.py\b", blocks[0].split("\nconfigs/")[0]))
    assert doors == {file.name for file in ROOT.glob("*.py")}
    scripts = {file.name for file in (ROOT / "scripts").glob("*.sh")}
    assert set(re.findall(r"\w+\.sh\b", blocks[1])) == scripts


def test_the_short_picture_has_every_room():
    picture = read(ROOT / "CONTRIBUTING.md").split("## Where things live")[1].split("```")[1]
    rooms = {file.parent.name for file in (ROOT / "dlinknet").glob("*/__init__.py")}
    assert set(re.findall(r"\b(\w+)/", picture.split("configs/")[0])) - {"dlinknet"} == rooms
    for file in [*ROOT.glob("*.py"), *(ROOT / "dlinknet").glob("[!_]*.py")]:
        assert file.name in picture, file.name


def test_every_command_network_and_page_is_listed():
    python = read(DOCS / "python.md")
    assert [name for name in FILES if f"| `dlinknet {name}` |" not in python] == []
    training = read(DOCS / "training.md")
    names = config.defaults().limits["model_name"]
    assert [name for name in names if f"`{name}`" not in training] == []
    menu = read(ROOT / "mkdocs.yml")
    for page in DOCS.rglob("*.md"):
        assert f" {page.relative_to(DOCS)}\n" in menu, page.name
