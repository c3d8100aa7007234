"""TIFF files byte by byte: kinds that no library here writes."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any

import numpy as np

SHORT, LONG, LONG8 = 3, 4, 16
LETTERS = {SHORT: "H", LONG: "I", LONG8: "Q"}
WHITE, BLACK, RGB, PALETTE, CMYK, YCBCR, LAB = 0, 1, 2, 3, 5, 6, 8


@dataclass
class Page:
    """The blocks of a page, and its tags: 16-bit numbers, or 32-bit ones for tags in LONGS."""

    blocks: list[bytes]
    tags: dict[int, list[int]] = field(default_factory=dict)


LONGS = (254, 256, 257, 273, 279, 324, 325)


def page(
    pixels: np.ndarray,
    photometric: int = RGB,
    separate: bool = False,
    tile: tuple[int, int] | None = None,
    data: bytes = b"",
    **tags: Any,
) -> Page:
    """Return a page of H x W x B values.

    Args:
        separate: each band has its own blocks.
        tile: (height, width) of tiles; None makes strips that hold all rows.
        data: the one block, compressed; empty stores the values as they are.
        tags: other tags, or other values of these, as in t338=[2].
    """
    height, width, bands = pixels.shape
    tall, wide = tile or (height, width)
    planes = [pixels[..., band : band + 1] for band in range(bands)] if separate else [pixels]
    blocks = []
    for plane in planes:
        padded = np.pad(plane, ((0, -height % tall), (0, -width % wide), (0, 0)))
        blocks += [
            padded[top : top + tall, left : left + wide].tobytes()
            for top in range(0, height, tall)
            for left in range(0, width, wide)
        ]
    made: dict[int, Any] = {
        256: [width],
        257: [height],
        258: [8 * pixels.itemsize] * bands,
        259: [1],
        262: [photometric],
        277: [bands],
        284: [2 if separate else 1],
        **({322: [wide], 323: [tall]} if tile else {278: [height]}),
    }
    made.update({int(name[1:]): values for name, values in tags.items()})
    return Page([data] if data else blocks, made)


def tiff(*pages: Page, order: str = "<", big: bool = False, absent: tuple[int, ...] = ()) -> bytes:
    """Return the file of these pages.

    Args:
        order: "<" (II) or ">" (MM).
        big: BigTIFF.
        absent: the blocks that are missing, as in a sparse file: their offsets and lengths are 0.
    """
    head, entry, inline, count = (16, "HHQ", 8, "Q") if big else (8, "HHI", 4, "H")
    words = "Q" if big else "I"
    body, at_next = bytearray(), 0
    mark = b"II" if order == "<" else b"MM"

    def put(data: bytes) -> int:
        body.extend(data + b"\0" * (-len(data) % 8))
        return head + len(body) - len(data) - (-len(data) % 8)

    first = None
    for each in pages:
        places = [0 if number in absent else put(block) for number, block in enumerate(each.blocks)]
        sizes = [0 if number in absent else len(block) for number, block in enumerate(each.blocks)]
        offsets, lengths = (324, 325) if 322 in each.tags else (273, 279)
        entries = []
        for tag, values in sorted({offsets: places, lengths: sizes, **each.tags}.items()):
            kind = (LONG8 if big and tag in (273, 324) else LONG) if tag in LONGS else SHORT
            packed = struct.pack(order + LETTERS[kind] * len(values), *values)
            if len(packed) > inline:
                packed = struct.pack(order + words, put(packed))
            entries.append(
                struct.pack(order + entry, tag, kind, len(values)) + packed.ljust(inline, b"\0")
            )
        place = put(
            struct.pack(order + count, len(entries))
            + b"".join(entries)
            + struct.pack(order + words, 0)
        )
        if first is None:
            first = place
        else:
            struct.pack_into(order + words, body, at_next - head, place)
        at_next = place + struct.calcsize(order + count) + sum(map(len, entries))
    begin = (
        struct.pack(order + "HHHQ", 43, 8, 0, first)
        if big
        else struct.pack(order + "HI", 42, first)
    )
    return mark + begin + bytes(body)
