"""TIFF files of many bands, depths, layouts and compressions, and changes to their tags.

Pure NumPy.
"""

from __future__ import annotations

import lzma
import struct
import zlib
from random import Random
from typing import Callable

import numpy as np

NONE, ADOBE_DEFLATE, DEFLATE, PACKBITS, LZMA = 1, 8, 32946, 32773, 34925
PACK: dict[int, Callable[[bytes], bytes]] = {
    NONE: bytes,
    ADOBE_DEFLATE: zlib.compress,
    DEFLATE: zlib.compress,
    LZMA: lzma.compress,
    PACKBITS: lambda data: b"".join(
        bytes([len(data[at : at + 128]) - 1]) + data[at : at + 128]
        for at in range(0, len(data), 128)
    ),
}
TYPES = {1: "B", 3: "H", 4: "I", 16: "Q"}
WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, OFFSETS, BANDS, ROWS, COUNTS, PLANES = (
    256,
    257,
    258,
    259,
    262,
    273,
    277,
    278,
    279,
    284,
)
Tags = dict  # tag -> (type, values)


def draw(rng: Random, height: int, width: int) -> tuple[bytes, str, np.ndarray | None]:
    """Return (a TIFF, its description, its colours).

    The colours are H x W x 3 uint8 RGB; None if the TIFF is not plain RGB or grey.
    """
    bands, big, order = rng.choice((1, 3, 3, 4, 4, 2, 5)), rng.random() < 0.2, rng.choice("<>")
    depth = rng.choice((8, 8, 8, 8, 8, 16, 1, 2, 4, 32))
    packing, planar, tiled = (
        rng.choice(tuple(PACK)),
        bands > 1 and rng.random() < 0.3,
        rng.random() < 0.25,
    )
    numbers = np.random.default_rng(rng.getrandbits(64))
    values = numbers.integers(0, 1 << min(depth, 16), (height, width, bands), np.uint32)
    photometric = 2 if bands >= 3 else rng.choice((1, 1, 0))
    tags: Tags = {
        WIDTH: (4, [width]),
        HEIGHT: (4, [height]),
        BITS: (3, [depth] * bands),
        COMPRESSION: (3, [packing]),
        PHOTOMETRIC: (3, [photometric]),
        BANDS: (3, [bands]),
        PLANES: (3, [2 if planar else 1]),
    }
    base = 3 if photometric == 2 else 1
    extra = rng.choice((None, 0, 1, 2)) if bands > base else None
    if extra is not None:
        tags[338] = (3, [extra] + [0] * (bands - base - 1))
    if depth == 32:
        tags[339] = (3, [rng.choice((1, 2, 3))] * bands)
    turned = rng.choice((1, 3, 6, 8)) if rng.random() < 0.1 else 1
    if turned != 1:
        tags[274] = (3, [turned])
    predicted = packing in (ADOBE_DEFLATE, DEFLATE, LZMA) and depth == 8 and rng.random() < 0.3
    if predicted:
        tags[317] = (3, [2])
    blocks = _blocks(rng, values, planar, tiled, tags)
    packed = [
        PACK[packing](_bytes(_predicted(block) if predicted else block, depth, order))
        for block in blocks
    ]
    sparse = rng.random() < 0.05
    if sparse:
        packed[rng.randrange(len(packed))] = b""
    pages = 1 if rng.random() < 0.92 else rng.choice((2, 3, 200))
    said = (
        f"TIFF of {bands} bands, {depth} bits, compression {packing}"
        f"{', planar' if planar else ''}{', tiled' if tiled else ''}"
        f"{', BigTIFF' if big else ''}{f', ExtraSamples {extra}' if extra is not None else ''}"
        f"{f', Orientation {turned}' if turned != 1 else ''}{', sparse' if sparse else ''}"
        f"{f', {pages} pages' if pages > 1 else ''}{', predicted' if predicted else ''}"
    )
    plain = depth == 8 and turned == 1 and not sparse and pages == 1 and bands in (1, 3, 4)
    colours = (
        values[:, :, :3] if bands > 1 else np.repeat(values if photometric else 255 - values, 3, 2)
    )
    return (
        written(tags, packed, order, big, pages, tiled),
        said,
        colours.astype(np.uint8) if plain else None,
    )


def _blocks(
    rng: Random, values: np.ndarray, planar: bool, tiled: bool, tags: Tags
) -> list[np.ndarray]:
    """Return the strips or tiles, and set the tags of their sizes."""
    planes = (
        [values[:, :, band : band + 1] for band in range(values.shape[2])] if planar else [values]
    )
    if not tiled:
        rows = rng.choice((1, 7, values.shape[0], values.shape[0]))
        tags[ROWS] = (4, [rows])
        return [plane[top : top + rows] for plane in planes for top in range(0, len(plane), rows)]
    side = rng.choice((16, 32, 64))
    tags[322], tags[323] = (4, [side]), (4, [side])
    blocks = []
    for plane in planes:
        down, right = -plane.shape[0] % side, -plane.shape[1] % side
        whole = np.pad(plane, ((0, down), (0, right), (0, 0)))
        blocks += [
            whole[top : top + side, left : left + side]
            for top in range(0, len(whole), side)
            for left in range(0, whole.shape[1], side)
        ]
    return blocks


def _predicted(block: np.ndarray) -> np.ndarray:
    change = block.astype(np.int64)
    change[:, 1:] -= block[:, :-1].astype(np.int64)
    return (change % 256).astype(np.uint32)


def _bytes(block: np.ndarray, depth: int, order: str) -> bytes:
    if depth < 8:
        flat = block.reshape(len(block), -1, 1).astype(np.uint8)
        return np.packbits(
            np.unpackbits(flat, axis=2)[:, :, 8 - depth :].reshape(len(block), -1), axis=1
        ).tobytes()
    return block.astype(f"{order}u{depth // 8}").tobytes()


def written(
    tags: Tags, packed: list[bytes], order: str, big: bool, pages: int, tiled: bool
) -> bytes:
    """Return the file: the blocks, then each page's tags.

    All pages have the same blocks. An empty block has the offset 0.
    """
    data, offsets = bytearray(16 if big else 8), []
    for block in packed:
        offsets.append(len(data) if block else 0)
        data += block
    places = (324, 325) if tiled else (OFFSETS, COUNTS)
    tags = {
        **tags,
        places[0]: (16 if big else 4, offsets),
        places[1]: (4, [len(block) for block in packed]),
    }
    number, entry = ("Q", "HHQ") if big else ("I", "HHI")
    size = struct.calcsize(f"<{number}")
    data[:8] = (
        (b"II" if order == "<" else b"MM")
        + struct.pack(f"{order}HHH" if big else f"{order}H", *((43, 8, 0) if big else (42,)))
        + (b"" if big else bytes(4))
    )
    link = 8 if big else 4
    for _ in range(pages):
        outside: dict[int, int] = {}
        for tag, (kind, values) in tags.items():
            content = struct.pack(f"{order}{len(values)}{TYPES[kind]}", *values)
            if len(content) > size:
                outside[tag] = len(data)
                data += content
        data += bytes(len(data) % 2)
        data[link : link + size] = struct.pack(f"{order}{number}", len(data))
        data += struct.pack(f"{order}{'Q' if big else 'H'}", len(tags))
        for tag, (kind, values) in sorted(tags.items()):
            content = struct.pack(f"{order}{len(values)}{TYPES[kind]}", *values)
            held = (
                struct.pack(f"{order}{number}", outside[tag])
                if tag in outside
                else content.ljust(size, b"\0")
            )
            data += struct.pack(f"{order}{entry}", tag, kind, len(values)) + held
        link = len(data)
        data += bytes(size)
    return bytes(data)


def operated(rng: Random, data: bytes) -> tuple[bytes, str]:
    """Return (the TIFF with a change, the change in words).

    The change is in an entry of the first directory, or in the link after it. A BigTIFF is not
    changed.
    """
    order = "<" if data[:2] == b"II" else ">"
    if len(data) < 16 or struct.unpack(f"{order}H", data[2:4])[0] != 42:
        return data, "as it is"
    (start,) = struct.unpack(f"{order}I", data[4:8])
    if start + 2 > len(data):
        return data, "as it is"
    (count,) = struct.unpack(f"{order}H", data[start : start + 2])
    count = min(count, (len(data) - start - 6) // 12)
    if count < 1:
        return data, "as it is"
    changed, place = bytearray(data), start + 2 + 12 * rng.randrange(count)
    tag, kind, number, value = struct.unpack(f"{order}HHII", data[place : place + 12])
    how = rng.randrange(8)
    if how == 0:
        tag = rng.choice(
            (
                WIDTH,
                HEIGHT,
                BITS,
                COMPRESSION,
                PHOTOMETRIC,
                OFFSETS,
                274,
                BANDS,
                ROWS,
                COUNTS,
                PLANES,
                317,
                320,
                322,
                325,
                338,
                339,
                347,
                33432,
                65535,
            )
        )
    elif how == 1:
        kind = rng.choice((0, 1, 2, 3, 4, 5, 6, 11, 12, 13, 16, 99))
    elif how == 2:
        number = rng.choice((0, 1, 2, 1000, 2**28, 2**32 - 1))
    elif how in (3, 4, 5):
        small = rng.choice(
            (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 32, 64, 5000, 32769, 50000, 50001, 34925, 34712)
        )
        value = rng.choice((small, small << 16, 30000, 2**31 - 1, 2**32 - 1, len(data) - 2))
    elif how == 6:  # directories that form a circle
        link = start + 2 + 12 * count
        changed[link : link + 4] = struct.pack(f"{order}I", start)
        return bytes(changed), "the next directory is the first"
    else:
        changed[start : start + 2] = struct.pack(
            f"{order}H", rng.choice((0, 1, count - 1, 4096, 65535))
        )
        return bytes(changed), "the number of tags"
    changed[place : place + 12] = struct.pack(f"{order}HHII", tag, kind, number, value)
    return bytes(changed), f"tag {tag}: type {kind}, count {number}, value {value}"
