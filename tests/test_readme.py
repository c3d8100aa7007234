"""The two READMEs: in step with each other and with the settings."""

import re
from pathlib import Path

from dlinknet import config

ROOT = Path(__file__).resolve().parent.parent
README, README_CN = (ROOT / name for name in ("README.md", "README_CN.md"))


def code_lines(file):
    """The commands of the shell blocks, without comments."""
    blocks = re.findall(r"```shell\n(.*?)```", file.read_text(encoding="utf-8"), re.S)
    return [line.split("  #")[0].rstrip() for block in blocks for line in block.splitlines()]


def test_both_say_the_same_commands_headings_and_figures():
    assert code_lines(README) == code_lines(README_CN)
    english, chinese = (file.read_text(encoding="utf-8") for file in (README, README_CN))
    for pattern in (r"^#+ ", r"^\|", r"^- "):
        assert len(re.findall(pattern, english, re.M)) == len(re.findall(pattern, chinese, re.M)), (
            pattern
        )
    assert set(re.findall(r"`[\w.]+`", english)) == set(re.findall(r"`[\w.]+`", chinese))
    assert sorted(re.findall(r"\d\.\d{2,}", english)) == sorted(re.findall(r"\d\.\d{2,}", chinese))


def test_no_place_is_left_for_a_figure():
    for file in (README, README_CN):
        assert not re.findall(
            r"QUICK[A-Z]+|[A-Z]+_TABLE\b|[A-Z]+_TEXT\b|TODO|XXX", file.read_text(encoding="utf-8")
        )


def test_every_setting_is_explained_and_every_file_is_there():
    text = README.read_text(encoding="utf-8")
    assert all(f"`{key}`" in text for key in config.TYPES)
    drawn = text.split("## How the code is laid out")[1]
    for file in [
        *ROOT.glob("*.py"),
        *(ROOT / "dlinknet").rglob("*.py"),
        *(ROOT / "scripts").glob("*.sh"),
    ]:
        assert file.name in drawn or file.name == "__init__.py", file
    for picture in re.findall(r"\]\((docs/[^)]+)\)", text):
        assert (ROOT / picture).stat().st_size < 300_000
