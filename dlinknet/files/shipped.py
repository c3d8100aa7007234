"""Files that come with dlinknet: dlinknet_config.yaml and configs/."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


def checkout() -> Path | None:
    """Return the folder of the checkout with this package; None if the package is installed."""
    folder = PACKAGE.parent
    return folder if (folder / "dlinknet_config.yaml").is_file() else None


def shipped(name: str) -> Path:
    """Return the path of a file or folder that comes with dlinknet.

    Args:
        name: the path relative to a checkout. An installed package holds it in its own folder.
    """
    return (checkout() or PACKAGE) / name
