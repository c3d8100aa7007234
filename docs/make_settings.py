"""Write docs/settings.md from dlinknet_config.yaml: python docs/make_settings.py."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "settings.md"
sys.path.insert(0, str(ROOT))

from dlinknet.config import TYPES, defaults  # noqa: E402

INTRODUCTION = """\
# Settings

`docs/make_settings.py` writes this page from `dlinknet_config.yaml`. That file holds the default,
the text and the limits of every setting.

- `--key=value` on the command line sets one setting.
- `--config_path=FILE` replaces some or all defaults by those of a YAML file. The command line
  overrides the file.
- `python train.py --help` explains the settings of a command. So does `dlinknet COMMAND --help`.
- An unknown key, a wrong type or an impossible value is rejected in one line.
- A setting on the command line that the command does not use is rejected. A YAML file may hold all
  settings.
- `~` in paths is expanded. `True` and `"True"` mean the same.
"""
KINDS = {
    "bool": "`True` or `False`",
    "int": "a whole number",
    "float": "a number",
    "FilePath": "a path",
}
BOUNDS = {
    "min": "at least",
    "max": "at most",
    "above": "above",
    "below": "below",
    "multiple_of": "a multiple of",
}


def as_code(value: Any) -> str:
    """Return a value as inline code; an empty text as the word."""
    return "empty" if value == "" else f"`{value}`"


def allowed(key: str) -> str:
    """Return in words what a setting may be; '' for any text."""
    limit = defaults().limits.get(key)
    if isinstance(limit, list):
        return "one of " + ", ".join(map(as_code, limit))
    kind = KINDS.get(getattr(TYPES[key], "__name__", ""), "")
    bounds = ", ".join(f"{BOUNDS[name]} {bound}" for name, bound in (limit or {}).items())
    return ", ".join(words for words in (kind, bounds) if words)


def paragraph(text: str) -> str:
    """Return a help text as Markdown: names and patterns as code, a full stop at the end."""
    names = re.sub(r"(?<![\w`])(--[a-z_]+|[\w./*,-]*\w_[\w./*,-]*\w)", r"`\1`", text)
    return names if names.endswith(".") else names + "."


def explained(key: str) -> list[str]:
    """Return the lines that explain one setting."""
    known = defaults()
    lines = [f"### `{key}`", "", paragraph(known.texts[key]), ""]
    lines.append(f"- Default: {as_code(known.values[key])}")
    if allowed(key):
        lines.append(f"- May be: {allowed(key)}")
    lines.append("- Used by: " + ", ".join(map(as_code, known.commands[key])))
    return [*lines, ""]


def page() -> str:
    """Return the whole page."""
    lines = [INTRODUCTION]
    for heading, keys in defaults().headings.items():
        lines += [f"## {heading}", ""]
        for key in keys:
            lines += explained(key)
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
