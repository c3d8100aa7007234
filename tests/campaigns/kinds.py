"""Every kind of bad input, by its name."""

from __future__ import annotations

from tests.campaigns import (
    archives,
    checkpoints,
    exports,
    image_kinds,
    texts,
    torch_files,
)
from tests.campaigns.forks import Kind

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        *image_kinds.KINDS,
        *texts.KINDS,
        *torch_files.KINDS,
        *archives.KINDS,
        *checkpoints.KINDS,
        *exports.KINDS,
    )
}
