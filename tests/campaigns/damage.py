"""Damage to the bytes of a file of any format."""

from __future__ import annotations

from random import Random

LARGE = (
    0,
    1,
    127,
    128,
    255,
    256,
    32767,
    32768,
    65535,
    65536,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**63 - 1,
    2**64 - 1,
)


def damaged(rng: Random, data: bytes) -> tuple[bytes, str]:
    """Return (the bytes with one damage, the damage in words)."""
    if not data:
        return b"\0", "a byte"
    return rng.choice(
        (_flipped, _flipped, _flipped, _set, _truncated, _extended, _zeroed, _number, _moved)
    )(rng, data)


def place_in(rng: Random, size: int) -> int:
    """Return an offset below `size`. Half of the offsets lie in the first 200 bytes: the header."""
    return rng.randrange(min(size, 200) if rng.random() < 0.5 else size)


def _flipped(rng: Random, data: bytes) -> tuple[bytes, str]:
    changed, places = (
        bytearray(data),
        [place_in(rng, len(data)) for _ in range(rng.choice((1, 1, 2, 8)))],
    )
    for place in places:
        changed[place] ^= 1 << rng.randrange(8)
    return bytes(changed), f"bits flipped at {places}"


def _set(rng: Random, data: bytes) -> tuple[bytes, str]:
    changed, place, value = (
        bytearray(data),
        place_in(rng, len(data)),
        rng.choice((0, 255, 127, 128, rng.randrange(256))),
    )
    changed[place] = value
    return bytes(changed), f"byte {place} set to {value}"


def _truncated(rng: Random, data: bytes) -> tuple[bytes, str]:
    size = place_in(rng, len(data))
    return data[:size], f"cut to {size} of {len(data)} bytes"


def _extended(rng: Random, data: bytes) -> tuple[bytes, str]:
    more = rng.choice((b"\0" * 1000, rng.randbytes(1000), data))
    return data + more, f"{len(more)} bytes appended"


def _zeroed(rng: Random, data: bytes) -> tuple[bytes, str]:
    place = place_in(rng, len(data))
    count = min(len(data) - place, rng.choice((4, 16, 100, 1000)))
    return data[:place] + bytes(count) + data[place + count :], f"{count} bytes zeroed at {place}"


def _number(rng: Random, data: bytes) -> tuple[bytes, str]:
    size, order, value = rng.choice((2, 4, 8)), rng.choice(("little", "big")), rng.choice(LARGE)
    place = place_in(rng, len(data))
    number = (value % 2 ** (8 * size)).to_bytes(size, order)
    return data[:place] + number + data[
        place + size :
    ], f"{size}-byte {order}-endian {value} at {place}"


def _moved(rng: Random, data: bytes) -> tuple[bytes, str]:
    begin, end = sorted((place_in(rng, len(data)), rng.randrange(len(data) + 1)))
    if rng.random() < 0.5:
        return data[:begin] + data[end:], f"bytes {begin} to {end} removed"
    return data[:end] + data[begin:end] + data[end:], f"bytes {begin} to {end} doubled"
