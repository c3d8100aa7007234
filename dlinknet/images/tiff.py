"""Check from a TIFF's tags whether Pillow reads it correctly."""

from __future__ import annotations

from typing import Any, BinaryIO

from PIL.TiffImagePlugin import ImageFileDirectory_v2

SUBFILE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 254, 256, 257, 258, 259, 262
STRIPS, SAMPLES, STRIP_BYTES, PLANAR, TILES, TILE_BYTES, EXTRA, FORMAT, TURN, MAP = (
    273,
    277,
    279,
    284,
    324,
    325,
    338,
    339,
    274,
    320,
)
MINISWHITE, MINISBLACK, RGB, PALETTE = 0, 1, 2, 3
KINDS = {
    MINISWHITE: "grey",
    MINISBLACK: "grey",
    RGB: "RGB",
    PALETTE: "palette",
    5: "CMYK",
    6: "YCbCr",
    8: "CIELab",
}
# Compressions that are read: none, fax (2 to 4), LZW, JPEG, deflate (two numbers), PackBits, LZMA,
# ZSTD.
READ = (1, 2, 3, 4, 5, 7, 8, 32946, 32773, 34925, 50000)
NAMES = {
    6: "old-style JPEG",
    32809: "ThunderScan",
    34661: "JBIG",
    34712: "JPEG 2000",
    34887: "LERC",
    50001: "WebP",
    50002: "JPEG XL",
}
PAGES = 64  # most pages that are checked
REDUCED_OR_MASK = 5  # bits of SUBFILE: an overview, or a mask of transparency


def fault_of_tiff(data: BinaryIO) -> str:
    """Return the reason why a TIFF is not read, with the remedy; empty if it is read.

    Only its tags are read. gdal_translate, which the remedies name, is a program of GDAL.

    Raises:
        Exception: the tags are damaged; Pillow raises many kinds.
    """
    tags, following = _page(data, None)
    if WIDTH not in tags or HEIGHT not in tags:
        return "truncated or damaged: its tags are missing"
    return (
        _fault_of_samples(tags) or _fault_of_layout(tags) or _fault_of_pages(data, tags, following)
    )


def _page(data: BinaryIO, offset: Any) -> tuple[ImageFileDirectory_v2, int]:
    """Return (the tags of a page, the offset of the next page or 0).

    Args:
        offset: where the page begins; None for the first page.
    """
    data.seek(0)
    start = data.read(8)
    if 43 in start[2:4]:  # a BigTIFF
        start += data.read(8)
    tags = ImageFileDirectory_v2(start)
    data.seek(tags.next if offset is None else offset)
    tags.load(data)
    return tags, tags.next


def _fault_of_samples(tags: ImageFileDirectory_v2) -> str:
    """Return a fault of the pixels' values and bands, or an empty text."""
    count = _number(tags, SAMPLES, 1)
    bits, kinds = set(_numbers(tags, BITS, 1)), set(_numbers(tags, FORMAT, 1))
    colours = _number(tags, PHOTOMETRIC, MINISBLACK)
    if 3 in kinds or max(bits) > 32:
        return (
            f"float values of {max(bits)} bits; scale it to 8 bits: gdal_translate -ot Byte -scale"
        )
    if 2 in kinds:
        return (
            f"signed values of {max(bits)} bits; scale it to unsigned 8 bits: "
            "gdal_translate -ot Byte -scale"
        )
    if max(bits) > 8:
        return (
            f"not 8 bits a channel ({max(bits)}); scale it to 8 bits: "
            "gdal_translate -ot Byte -scale"
        )
    if len(bits) > 1 or not bits <= {1, 2, 4, 8} or (count > 1 and bits != {8}):
        return (
            f"{', '.join(map(str, sorted(bits)))} bits a channel; save it with 8: "
            "gdal_translate -co NBITS=8"
        )
    if colours not in (MINISWHITE, MINISBLACK, RGB, PALETTE, 5, 6):
        return f"colours of kind {KINDS.get(colours, colours)}; save it as RGB"
    if colours in (MINISWHITE, MINISBLACK, PALETTE) and count > 2:
        return (
            f"{count} bands that are not marked as colours; choose three of them: "
            f"{_choose(count)} -co PHOTOMETRIC=RGB"
        )
    if count == 2 and colours != MINISBLACK or count < 3 and colours in (RGB, 5, 6):
        return (
            f"{count} bands marked as {KINDS[colours]}; save it as grey: "
            "gdal_translate -b 1 -co PHOTOMETRIC=MINISBLACK"
        )
    # Pillow would read such entries as 16 bits, and all colours would be black.
    if colours == PALETTE and 0 < max(_numbers(tags, MAP, 0)) < 256:
        return (
            "a palette whose entries have 8 bits in place of 16; save it as RGB: "
            "gdal_translate -expand rgb"
        )
    if count > 4:
        return f"{count} bands; choose three of them: {_choose(count)}"
    if 1 in _numbers(tags, EXTRA, 0) and count in (2, 4):
        return f"colours multiplied by their alpha; save the colours alone: {_choose(count)}"
    return ""


def _fault_of_layout(tags: ImageFileDirectory_v2) -> str:
    """Return a fault of the storage of the pixels, or an empty text."""
    kind = _number(tags, COMPRESSION, 1)
    if kind not in READ:
        return (
            f"compression {NAMES.get(kind, kind)}, which is not read; save it with another: "
            "gdal_translate -co COMPRESS=DEFLATE"
        )
    count = _number(tags, SAMPLES, 1)
    plain_grey = (
        count == 1 and tags.get(PHOTOMETRIC) == MINISBLACK and _numbers(tags, BITS, 1) == (8,)
    )
    # Pillow reads other images in planes wrongly or not at all.
    if _number(tags, PLANAR, 1) == 2 and count != 3 and not plain_grey:
        return (
            f"{count} band{'s' * (count > 1)} in planes; save by pixel: "
            "gdal_translate -co INTERLEAVE=PIXEL"
        )
    if TILES in tags and max(_numbers(tags, BITS, 1)) < 8:
        return "tiles of fewer than 8 bits a pixel; save it with 8: gdal_translate -co NBITS=8"
    if _number(tags, TURN, 1) != 1:
        return "a turned TIFF; save it without an Orientation tag"
    for places, sizes in ((STRIPS, STRIP_BYTES), (TILES, TILE_BYTES)):
        if 0 in _numbers(tags, places, 1) or (places in tags and 0 in _numbers(tags, sizes, 1)):
            return (
                "parts of it are not stored (a sparse TIFF); fill them: "
                "gdal_translate -co SPARSE_OK=FALSE"
            )
    return ""


def _fault_of_pages(data: BinaryIO, first: ImageFileDirectory_v2, following: int) -> str:
    """Return a fault if further pages are as large as the first, else an empty text.

    They may be bands, and only the first would be read.
    """
    seen: set[int] = set()
    alike = 1
    while following and following not in seen and len(seen) < PAGES:
        seen.add(following)
        tags, following = _page(data, following)
        same = all(tags.get(tag) == first[tag] for tag in (WIDTH, HEIGHT))
        alike += same and not _number(tags, SUBFILE, 0) & REDUCED_OR_MASK
    if alike == 1:
        return ""
    return (
        f"{alike} pages of one size, of which the first alone would be read; if they are its "
        "bands, save them as one page; "
        "else save the page to read by itself"
    )


def _numbers(tags: ImageFileDirectory_v2, tag: int, default: int) -> tuple[int, ...]:
    """Return a tag's numbers, or the default if the tag is missing.

    Raises:
        ValueError: the tag holds something else.
    """
    found = tags.get(tag, default)
    found = found if isinstance(found, tuple) else (found,)
    if not found or not all(isinstance(number, int) for number in found):
        raise ValueError(f"tag {tag}")
    return found


def _number(tags: ImageFileDirectory_v2, tag: int, default: int) -> int:
    """Return a tag's first number."""
    return _numbers(tags, tag, default)[0]


def _choose(count: int) -> str:
    return "gdal_translate -b 1" if count < 3 else "gdal_translate -b 1 -b 2 -b 3"
