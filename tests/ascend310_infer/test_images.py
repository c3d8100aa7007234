"""Images that the C++ program decodes, with their pixels, and images that it rejects."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any, Callable

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.ascend310_infer import build
from tests.ascend310_infer.tiffs import (
    BLACK,
    CMYK,
    LAB,
    PALETTE,
    WHITE,
    YCBCR,
    page,
    tiff,
)

pytestmark = pytest.mark.skipif(bool(build.lacking()), reason=build.lacking() or "all is there")

HEIGHT, WIDTH = 21, 30
NOISE = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 8), dtype=np.uint8)
RGB, RGBN, GREY = NOISE[..., :3], NOISE[..., :4], NOISE[..., :1]
RAMP = np.arange(256)
MANY = "pixels are too many (at most 1073741824 and 1048576 a side); cut it into parts"
SMOOTH = np.stack(
    np.broadcast_arrays(4 * np.arange(WIDTH), 9 * np.arange(HEIGHT)[:, None], 60), -1
).astype(np.uint8)
Decode = Callable[[dict[str, bytes]], dict[str, Any]]


@pytest.fixture(scope="session")
def decode(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Decode:
    """Return a function: files by name -> their H x W x 3 RGB, or the reason of a rejection."""
    program = build.target(folder, "decode_files")

    def decode(files: dict[str, bytes]) -> dict[str, Any]:
        place, found = tmp_path_factory.mktemp("images"), {}
        paths = [place / str(number) for number in range(len(files))]
        for path, data in zip(paths, files.values()):
            path.write_bytes(data)
        result = build.run(program, *map(str, paths))
        assert result.returncode == 0 and result.stderr == "", result.stderr[-3000:]
        for name, path, line in zip(files, paths, result.stdout.splitlines()):
            decoded = path.with_suffix(".bgr")
            width, height = map(int, line.split("x")) if decoded.exists() else (0, 0)
            found[name] = (
                np.fromfile(decoded, np.uint8).reshape(height, width, 3)[..., ::-1]
                if decoded.exists()
                else line
            )
        assert list(found) == list(files)
        return found

    return decode


def encoded(pixels: np.ndarray, kind: str, **options: Any) -> bytes:
    """Return the bytes of a file that Pillow writes."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind, **options)
    return stream.getvalue()


def grey(values: np.ndarray) -> np.ndarray:
    return np.repeat(values, 3, axis=2)


def test_the_rgb_of_a_tiff_is_what_is_in_the_file(decode: Decode) -> None:
    palette = np.stack([RAMP, 255 - RAMP, RAMP // 2], -1)
    indexed = palette[GREY[..., 0]].astype(np.uint8)
    jpeg = cv2.imencode(".jpg", SMOOTH[..., ::-1])[1].tobytes()
    expected: dict[str, tuple[bytes, np.ndarray]] = {
        "II": (tiff(page(RGB)), RGB),
        "MM": (tiff(page(RGB), order=">"), RGB),
        "BigTIFF II": (tiff(page(RGB), big=True), RGB),
        "BigTIFF MM": (tiff(page(RGB), big=True, order=">"), RGB),
        "near infra-red as GDAL writes it": (tiff(page(RGBN, t338=[2])), RGB),
        "a band of no name": (tiff(page(RGBN, t338=[0])), RGB),
        "a band that no tag names": (tiff(page(RGBN)), RGB),
        "five bands": (tiff(page(NOISE[..., :5], t338=[2, 0])), RGB),
        "eight bands": (tiff(page(NOISE, t338=[0] * 5)), RGB),
        "planes": (tiff(page(RGB, separate=True)), RGB),
        "four planes": (tiff(page(RGBN, separate=True, t338=[2])), RGB),
        "tiles": (tiff(page(RGBN, tile=(16, 16), t338=[2]), big=True), RGB),
        "tiles of planes": (
            tiff(page(RGBN, tile=(16, 32), separate=True, t338=[2]), order=">"),
            RGB,
        ),
        "LZW": (encoded(RGBN, "TIFF", compression="tiff_lzw"), RGB),
        "Deflate": (encoded(RGBN, "TIFF", compression="tiff_adobe_deflate"), RGB),
        "PackBits": (encoded(RGBN, "TIFF", compression="packbits"), RGB),
        "black is 0": (tiff(page(GREY, BLACK)), grey(GREY)),
        "white is 0": (tiff(page(GREY, WHITE)), grey(255 - GREY)),
        "grey and alpha": (tiff(page(NOISE[..., :2], BLACK, t338=[2])), grey(GREY)),
        "grey and a band of no name": (tiff(page(NOISE[..., :2], BLACK, t338=[0])), grey(GREY)),
        "a palette": (
            tiff(page(GREY, PALETTE, t320=[int(v) for v in palette.T.reshape(-1) * 257])),
            indexed,
        ),
        "an older GDAL's": (
            tiff(page(GREY, PALETTE, t320=[int(v) for v in palette.T.reshape(-1) * 256])),
            indexed,
        ),
        "a palette of 8 bits": (
            tiff(page(GREY, PALETTE, t320=[int(v) for v in palette.T.reshape(-1)])),
            indexed,
        ),
        "with overview and mask": (
            tiff(page(RGB), page(RGB[::2, ::2], t254=[1]), page(GREY, BLACK, t254=[4])),
            RGB,
        ),
        "with a page of another size": (tiff(page(RGB), page(RGB[:7])), RGB),
    }
    found = decode({name: data for name, (data, _) in expected.items()})
    for name, (_, pixels) in expected.items():
        assert np.array_equal(found[name], pixels), (name, found[name])
    lossy = decode({"YCbCr": tiff(page(SMOOTH, YCBCR, data=jpeg, t259=[7], t530=[2, 2]))})["YCbCr"]
    assert np.abs(lossy.astype(int) - SMOOTH).max() <= 12 and np.ptp(lossy) > 100


def test_tiffs_of_other_kinds_are_rejected_with_the_reason(decode: Decode) -> None:
    whole, lzw = tiff(page(RGB)), bytearray(encoded(RGB, "TIFF", compression="tiff_lzw"))
    with Image.open(io.BytesIO(bytes(lzw))) as image:
        (at,), (length,) = image.tag_v2[273], image.tag_v2[279]
    lzw[at + length // 2 : at + length // 2 + 30] = b"\xff" * 30
    tail = "which is not read; save it with another: gdal_translate -co COMPRESS=DEFLATE"
    three = (
        "that are not marked as colours; choose three of them: "
        "gdal_translate -b 1 -b 2 -b 3 -co PHOTOMETRIC=RGB"
    )
    one = "save it as grey: gdal_translate -b 1 -co PHOTOMETRIC=MINISBLACK"
    scale = "gdal_translate -ot Byte -scale"
    eight = "a channel; save it with 8: gdal_translate -co NBITS=8"
    large = tiff(
        page(
            RGB,
            data=zlib.compress(RGB.tobytes()),
            t256=[30000],
            t257=[30000],
            t278=[1000],
            t259=[8],
            t273=[8] * 30,
            t279=[1000] * 30,
        )
    )
    expected = {
        f"3 bands {three}": tiff(page(RGB, BLACK, t338=[0, 0])),
        f"5 bands {three}": tiff(page(NOISE[..., :5], BLACK, t338=[0] * 4)),
        f"2 bands marked as grey; {one}": tiff(page(NOISE[..., :2], WHITE, t338=[2])),
        f"2 bands marked as RGB; {one}": tiff(page(NOISE[..., :2])),
        f"not 8 bits a channel (16); scale it to 8 bits: {scale}": tiff(
            page(RGB.astype(np.uint16))
        ),
        f"7 bits {eight}": tiff(page(GREY, BLACK, t258=[7])),
        f"4 bits {eight}": tiff(page(GREY, PALETTE, t258=[4], t320=[0] * 48)),
        f"1 bit {eight}": tiff(page(GREY, BLACK, t258=[1])),
        f"float values of 32 bits; scale it to 8 bits: {scale}": tiff(
            page(RGB.astype(np.float32), t339=[3] * 3)
        ),
        f"signed values of 8 bits; scale it to unsigned 8 bits: {scale}": tiff(
            page(RGB, t339=[2] * 3)
        ),
        "colours multiplied by their alpha; save the colours alone: "
        "gdal_translate -b 1 -b 2 -b 3": tiff(page(RGBN, t338=[1])),
        "CMYK colours; save it as RGB": tiff(page(RGBN, CMYK)),
        "Lab colours; save it as RGB": tiff(page(RGB, LAB)),
        "YCbCr colours without JPEG compression; save it as RGB": tiff(
            page(RGB, YCBCR, t530=[1, 1])
        ),
        f"compression JPEG 2000, {tail}": tiff(page(RGB, data=b"\xff\x4f\xff\x51", t259=[34712])),
        f"compression old-style JPEG, {tail}": tiff(page(RGB, data=b"\xff\xd8\xff", t259=[6])),
        f"compression 12345, {tail}": tiff(page(RGB, t259=[12345])),
        "a turned TIFF; save it without an Orientation tag": tiff(page(RGB, t274=[3])),
        "3 pages of one size, of which the first alone would be read; if they are its bands, save "
        "them as one page; else save the page to read by itself": tiff(
            *(page(RGB[..., band : band + 1], BLACK) for band in range(3))
        ),
        "parts of it are not stored (a sparse TIFF); fill them: "
        "gdal_translate -co SPARSE_OK=FALSE": tiff(page(RGB, tile=(16, 16)), absent=(1,)),
        "truncated": encoded(RGB, "TIFF")[:-300],
        "truncated or damaged: its TIFF tags cannot be read": whole[:60] + whole[len(whole) - 8 :],
        "damaged: parts of it cannot be decompressed": bytes(lzw),
        f"truncated: {len(large)} bytes cannot hold 30000x30000 pixels": large,
        f"40000x40000 {MANY}": tiff(page(RGB, t256=[40000], t257=[40000])),
        "blocks of more than 256 MB in the TIFF; write it in tiles of 256 pixels": tiff(
            page(RGB, tile=(16, 16), t322=[16384], t323=[16384])
        ),
    }
    found = decode(expected)
    for words, said in found.items():
        assert isinstance(said, str) and said == words, (words, said)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    *before_data: bytes, pixels: np.ndarray = RGB, size: tuple[int, int] = (WIDTH, HEIGHT)
) -> bytes:
    """Return a PNG with more chunks between its header and its data."""
    header = struct.pack(">IIBBBBB", *size, 8, {1: 0, 3: 2, 4: 6}[pixels.shape[2]], 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", header),
            *before_data,
            chunk(b"IDAT", zlib.compress(rows)),
            chunk(b"IEND", b""),
        ]
    )


def test_a_png_is_its_pixels_without_a_word_of_what_else_is_in_it(decode: Decode) -> None:
    turned = b"MM\0*\0\0\0\x08\0\1" + struct.pack(">HHIHH", 274, 3, 1, 6, 0) + b"\0" * 4
    palette = Image.fromarray(RGB).quantize(7)
    stream = io.BytesIO()
    palette.save(stream, "PNG", transparency=0)
    expected = {
        "plain": (png(), RGB),
        "alpha": (png(pixels=RGBN), RGB),
        "grey": (png(pixels=GREY), grey(GREY)),
        "a broken profile": (png(chunk(b"iCCP", b"x\0\0" + zlib.compress(b"no profile"))), RGB),
        "gamma and texts": (
            png(
                chunk(b"gAMA", struct.pack(">I", 1)),
                chunk(b"sRGB", b"\x09"),
                chunk(b"tEXt", b"a\0b"),
            ),
            RGB,
        ),
        "turned": (png(chunk(b"eXIf", turned)), RGB),
        "a transparent colour that is none": (png(chunk(b"tRNS", b"\0" * 5)), RGB),
        "a palette with a transparent colour": (
            stream.getvalue(),
            np.asarray(palette.convert("RGB")),
        ),
        "one bit": (encoded(GREY[..., 0] > 99, "PNG"), grey(np.where(GREY > 99, 255, 0))),
        "bytes behind its end": (png() + b"more", RGB),
    }
    found = decode({name: data for name, (data, _) in expected.items()})
    for name, (_, pixels) in expected.items():
        assert np.array_equal(found[name], pixels), (name, found[name])


def test_a_png_with_any_bit_changed_is_rejected(decode: Decode) -> None:
    good = png(chunk(b"tEXt", b"a\0b"), pixels=RGB[:2, :2], size=(2, 2))
    changed = {
        f"{at} {bit}": good[:at] + bytes([good[at] ^ 1 << bit]) + good[at + 1 :]
        for at in range(len(good))
        for bit in range(8)
    }
    found = decode({"good": good, **changed})
    assert np.array_equal(found.pop("good"), RGB[:2, :2])
    assert [name for name, said in found.items() if not isinstance(said, str)] == []
    assert sum("a checksum is wrong" in said for said in found.values()) > 300


def test_what_is_no_image_that_is_read_is_called_by_name(decode: Decode) -> None:
    whole, jpeg = png(), bytearray(encoded(RGB, "JPEG"))
    frame = jpeg.index(b"\xff\xc0")
    huge, large = bytearray(jpeg), bytearray(jpeg)
    struct.pack_into(">HH", huge, frame + 5, 60000, 60000)
    struct.pack_into(">HH", large, frame + 5, 30000, 30000)

    def format_of(name: str) -> str:
        return f"is {name}, which is not read; save it as PNG or TIFF"

    expected = [
        (b"", "is empty; download or copy it again"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
            "is a Git LFS pointer, not the file itself; run: git lfs pull",
        ),
        (
            b"\n<!DOCTYPE html><html><body>404</body></html>",
            "is a web page, not the file itself; download the file again",
        ),
        (b"some text", "is no image"),
        (encoded(RGB, "GIF"), format_of("GIF")),
        (encoded(RGB, "JPEG2000"), format_of("JPEG 2000")),
        (encoded(RGB, "EPS"), format_of("EPS")),
        (encoded(RGB, "ICO"), format_of("ICO")),
        (encoded(RGB, "PPM"), format_of("PPM")),
        (b"\0\0\0\x20ftypavif\0\0\0\0", format_of("AVIF")),
        (b"\0\0\0\x20ftypheic\0\0\0\0", format_of("HEIC")),
        (b"qoif\0\0\0\x08", format_of("QOI")),
        (whole[: len(whole) // 2], "truncated"),
        (whole[:-12], "truncated"),
        (
            cv2.imencode(".png", np.zeros((9, 9), np.uint16))[1].tobytes(),
            "not 8 bits a channel (16); save it with 8",
        ),
        (
            png(size=(32000, 32000)),
            f"truncated: {len(whole)} bytes cannot hold 32000x32000 pixels",
        ),
        (
            png(size=(2000000, 9)),
            f"2000000x9 {MANY}",
        ),
        (
            png(chunk(b"CgBI", b"\0\0\0\0")),
            "not a PNG that is read: its chunk CgBI is unknown",
        ),
        (png(size=(60000, 60000)), f"60000x60000 {MANY}"),
        (bytes(jpeg[:-20]), "truncated"),
        (bytes(large), f"truncated: {len(large)} bytes cannot hold 30000x30000 pixels"),
        (bytes(huge), f"60000x60000 {MANY}"),
    ]
    found = decode({str(number): data for number, (data, _) in enumerate(expected)})
    assert list(found.values()) == [words for _, words in expected]


def test_bmp_and_webp_are_decoded(decode: Decode) -> None:
    found = decode(
        {"BMP": encoded(RGB, "BMP"), "WebP": encoded(RGBN, "WEBP", lossless=True, exact=True)}
    )
    assert np.array_equal(found["BMP"], RGB) and np.array_equal(found["WebP"], RGB)
