"""PNG files of every colour type and depth, interlaced and animated, and changes to their chunks.

Pure NumPy.
"""

from __future__ import annotations

import struct
import zlib
from random import Random

import numpy as np

from tests.campaigns.damage import damaged

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
PASSES = (
    (0, 0, 8, 8),
    (0, 4, 8, 8),
    (4, 0, 8, 4),
    (0, 2, 4, 4),
    (2, 0, 4, 2),
    (0, 1, 2, 2),
    (1, 0, 2, 1),
)
Chunk = tuple  # (type, data)


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return a chunk with its length and checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def assemble(chunks: list[Chunk]) -> bytes:
    """Return a file with these chunks."""
    return SIGNATURE + b"".join(chunk(*each) for each in chunks)


def chunks_of(data: bytes) -> list[Chunk]:
    """Return the chunks of an undamaged PNG file."""
    found, place = [], len(SIGNATURE)
    while place + 12 <= len(data):
        (size,) = struct.unpack(">I", data[place : place + 4])
        found.append((data[place + 4 : place + 8], data[place + 8 : place + 8 + size]))
        place += 12 + size
    return found


def draw(
    rng: Random, height: int, width: int, samples: np.ndarray | None = None
) -> tuple[bytes, str, np.ndarray | None]:
    """Return (a PNG, its description, its colours).

    The colours are H x W x 3 uint8 RGB; None if the PNG has 16 bits per channel.

    Args:
        samples: H x W uint8, the values of a grey PNG of 8 bits; None for random contents.
    """
    colour = 0 if samples is not None else rng.choice(tuple(CHANNELS))
    depth = 8 if samples is not None else rng.choice(DEPTHS[colour])
    interlaced, numbers = rng.random() < 0.25, np.random.default_rng(rng.getrandbits(64))
    entries = rng.randint(2, 1 << depth) if colour == 3 else 1 << depth
    palette = numbers.integers(0, 256, (entries, 3), np.uint8)
    if samples is None:
        values = numbers.integers(0, entries, (height, width, CHANNELS[colour]), np.uint16)
    else:
        values = samples[:, :, None].astype(np.uint16)
    parts = (
        [values[top::down, left::right] for top, left, down, right in PASSES]
        if interlaced
        else [values]
    )
    stream = b"".join(_rows(rng, part, depth) for part in parts if part.size)
    chunks: list[Chunk] = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(interlaced)))
    ]
    if colour == 3:
        chunks.append((b"PLTE", palette.tobytes()))
        if rng.random() < 0.3:
            chunks.append((b"tRNS", rng.randbytes(rng.randint(1, entries))))
    elif colour in (0, 2) and rng.random() < 0.2:
        chunks.append((b"tRNS", struct.pack(">H", 1) * CHANNELS[colour]))
    packed = zlib.compress(stream, rng.choice((0, 1, 9)))
    cut = rng.randrange(1, len(packed)) if rng.random() < 0.2 else len(packed)
    chunks += [(b"IDAT", part) for part in (packed[:cut], packed[cut:]) if part]
    animated = rng.random() < 0.1
    if animated:
        control = struct.pack(">IIIIIHHBB", 0, width, height, 0, 0, 1, 10, 0, 0)
        second = struct.pack(">IIIIIHHBB", 1, width, height, 0, 0, 1, 10, 0, 0)
        chunks[1:1] = [(b"acTL", struct.pack(">II", 2, 0)), (b"fcTL", control)]
        chunks += [(b"fcTL", second), (b"fdAT", struct.pack(">I", 2) + packed)]
    chunks.append((b"IEND", b""))
    said = f"PNG colour {colour}, {depth} bits"
    said += ", interlaced" * interlaced + ", animated" * animated
    return assemble(chunks), said, _colours(values, colour, depth, palette)


def _rows(rng: Random, values: np.ndarray, depth: int) -> bytes:
    """Return filtered rows of H x W x C samples. The filters are none, sub or up, at random."""
    height = len(values)
    if depth == 16:
        packed = values.astype(">u2").reshape(height, -1).view(np.uint8)
    elif depth == 8:
        packed = values.astype(np.uint8).reshape(height, -1)
    else:
        bits = np.unpackbits(values.astype(np.uint8).reshape(height, -1, 1), axis=2)[
            :, :, 8 - depth :
        ]
        packed = np.packbits(bits.reshape(height, -1), axis=1)
    step = max(1, values.shape[2] * depth // 8)
    left, above = np.zeros_like(packed), np.zeros_like(packed)
    left[:, step:], above[1:] = packed[:, :-step], packed[:-1]
    rows = []
    for row in range(height):
        kind = rng.randrange(3)
        rows.append(
            bytes([kind])
            + (packed[row] - (0, left[row], above[row])[kind]).astype(np.uint8).tobytes()
        )
    return b"".join(rows)


def _colours(values: np.ndarray, colour: int, depth: int, palette: np.ndarray) -> np.ndarray | None:
    if depth == 16:
        return None
    if colour == 3:
        return palette[values[:, :, 0]]
    scaled = (values * (255 // ((1 << depth) - 1))).astype(np.uint8)
    return scaled[:, :, :3] if colour in (2, 6) else np.repeat(scaled[:, :, :1], 3, 2)


def operated(rng: Random, data: bytes) -> tuple[bytes, str]:
    """Return (the PNG with its chunks changed, the change in words).

    Checksums are correct, unless the change is a wrong checksum.
    """
    chunks = chunks_of(data)
    if not chunks or len(chunks[0][1]) != 13:
        return damaged(rng, data)
    return rng.choice(
        (
            _header,
            _header,
            _without,
            _twice,
            _swapped,
            _content,
            _checksum,
            _length,
            _inserted,
            _stream,
        )
    )(rng, chunks)


def _header(rng: Random, chunks: list[Chunk]) -> tuple[bytes, str]:
    fields = list(struct.unpack(">IIBBBBB", chunks[0][1]))
    names = ("width", "height", "depth", "colour", "compression", "filter", "interlace")
    place = rng.choice((0, 1, 0, 1, 2, 3, 4, 5, 6))
    large = (0, 1, 2, 63, 65, 32000, 65536, 2**24, 2**31 - 1, 2**31, 2**32 - 1)
    fields[place] = (
        rng.choice(large) if place < 2 else rng.choice((0, 1, 2, 3, 4, 5, 6, 8, 16, 32, 255))
    )
    if place < 2 and rng.random() < 0.3:
        fields[0] = fields[1] = rng.choice((20000, 32000, 60000))
    changed = [(b"IHDR", struct.pack(">IIBBBBB", *fields)), *chunks[1:]]
    return assemble(changed), f"IHDR {names[place]} {fields[place]}"


def _without(rng: Random, chunks: list[Chunk]) -> tuple[bytes, str]:
    place = rng.randrange(len(chunks))
    return assemble(chunks[:place] + chunks[place + 1 :]), f"without {chunks[place][0]!r}"


def _twice(rng: Random, chunks: list[Chunk]) -> tuple[bytes, str]:
    place, target = rng.randrange(len(chunks)), rng.randrange(len(chunks))
    return assemble(
        chunks[:target] + [chunks[place]] + chunks[target:]
    ), f"{chunks[place][0]!r} twice"


def _swapped(rng: Random, chunks: list[Chunk]) -> tuple[bytes, str]:
    first, second = rng.randrange(len(chunks)), rng.randrange(len(chunks))
    changed = list(chunks)
    changed[first], changed[second] = changed[second], changed[first]
    return assemble(changed), f"{chunks[first][0]!r} and {chunks[second][0]!r} swapped"


def _content(rng: Random, chunks: list[Chunk]) -> tuple[bytes, str]:
    place = rng.randrange(len(chunks))
    kind, content = chunks[place]
    content = bytearray(content or b"\0")
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    return assemble(
        [*chunks[:place], (kind, bytes(content)), *chunks[place + 1 :]]
    ), f"a bit of {kind!r}, its checksum repaired"


def _checksum(rng: Random, chunks: list[Chunk]) -> tuple[bytes, str]:
    place = rng.randrange(len(chunks))
    parts = [chunk(*each) for each in chunks]
    parts[place] = parts[place][:-4] + rng.randbytes(4)
    return SIGNATURE + b"".join(parts), f"the checksum of {chunks[place][0]!r}"


def _length(rng: Random, chunks: list[Chunk]) -> tuple[bytes, str]:
    place, size = rng.randrange(len(chunks)), rng.choice((0, 1, 1000, 2**31 - 1, 2**31, 2**32 - 1))
    parts = [chunk(*each) for each in chunks]
    parts[place] = struct.pack(">I", size) + parts[place][4:]
    return SIGNATURE + b"".join(parts), f"the length of {chunks[place][0]!r} is {size}"


def _inserted(rng: Random, chunks: list[Chunk]) -> tuple[bytes, str]:
    bomb = zlib.compress(bytes(rng.choice((10, 10 << 20))), 9)
    turned = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    new = rng.choice(
        (
            (b"zTXt", b"name\0\0" + bomb),
            (b"iCCP", b"name\0\0" + bomb),
            (b"iTXt", b"name\0\1\0\0\0" + bomb),
            (b"eXIf", turned),
            (b"gAMA", struct.pack(">I", rng.choice((0, 1, 45455, 2**32 - 1)))),
            (b"acTL", struct.pack(">II", rng.choice((0, 1, 2**31 - 1)), 0)),
            (b"bKGD", rng.randbytes(6)),
            (b"tRNS", rng.randbytes(rng.choice((1, 2, 6, 256, 300)))),
            (b"sBIT", rng.randbytes(4)),
            (b"PLTE", rng.randbytes(rng.choice((3, 4, 768, 771)))),
            (b"ABCD", rng.randbytes(10)),
            (b"abcd", rng.randbytes(10)),
            (b"a\0c\xff", b""),
            (b"IEND", b""),
        )
    )
    place = rng.randint(0, len(chunks))
    return assemble(
        [*chunks[:place], new, *chunks[place:]]
    ), f"{new[0]!r} inserted as chunk {place}"


def _stream(rng: Random, chunks: list[Chunk]) -> tuple[bytes, str]:
    """Change the rows before the compression: too short, too long, or with an unknown filter."""
    packed = b"".join(content for kind, content in chunks if kind == b"IDAT")
    try:
        rows = zlib.decompress(packed)
    except zlib.error:
        rows = b""
    how = rng.randrange(4)
    rows = (
        rows[: rng.randrange(len(rows) + 1)],
        rows + rows,
        bytes([rng.choice((5, 255))]) + rows[1:],
        b"",
    )[how]
    said = ("rows cut", "rows twice", "an unknown filter", "no rows")[how]
    place = next((place for place, (kind, _) in enumerate(chunks) if kind == b"IDAT"), 1)
    others = [each for each in chunks if each[0] != b"IDAT"]
    return assemble(
        [*others[:place], (b"IDAT", zlib.compress(rows)), *others[place:]]
    ), f"{said}, checksums repaired"
