"""One decoder for the check and the network.

The network receives what is in the file, a file that passes the check can be read, and any other
file is rejected with a reason.
"""

import io
import os
import resource
import struct
import subprocess
import sys
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from dlinknet.images.decode import (
    BadImage,
    decode,
    decode_grey,
    decode_values,
    prove,
    read_header,
)
from tests.conftest import ROOT
from tests.images.chunks import chunks, joined


def picture(height=24, width=20, bands=3):
    """Return a smooth picture with other values in each band; RGB order."""
    y, x = np.mgrid[:height, :width]
    return np.stack([(9 * x + band * 60 + 3 * y) % 251 for band in range(bands)], -1).astype(
        np.uint8
    )


def tiff(
    pixels,
    *,
    extra=None,
    photometric=2,
    bits=None,
    kind=1,
    compression=1,
    planar=1,
    turn=1,
    pages=1,
    order="<",
    claimed=None,
    place=None,
):
    """Return a TIFF of uncompressed pixels, tag by tag.

    `claimed` is a false (height, width), `place` a false offset of the strip.
    """
    height, width, bands = pixels.shape
    data = pixels.tobytes() if planar == 1 else np.moveaxis(pixels, -1, 0).tobytes()
    out = (
        (b"II*\0" if order == "<" else b"MM\0*")
        + struct.pack(f"{order}I", 8 + len(data) + len(data) % 2)
        + data
        + b"\0" * (len(data) % 2)
    )
    size = len(data) // (bands if planar == 2 else 1)
    places = [8 + at if place is None else place for at in range(0, len(data), size)]
    for page in range(pages):
        tags = [
            (256, 3, [(claimed or (height, width))[1]]),
            (257, 3, [(claimed or (height, width))[0]]),
            (258, 3, [bits or 8] * bands),
            (259, 3, [compression]),
            (262, 3, [photometric]),
            (273, 4, places),
            (274, 3, [turn]),
            (277, 3, [bands]),
            (278, 4, [height]),
            (279, 4, [size] * len(places)),
            (284, 3, [planar]),
        ]
        if extra is not None:
            tags.append((338, 3, [extra]))
        tags.append((339, 3, [kind] * bands))
        at, beyond, body = len(out), b"", b""
        end = at + 2 + 12 * len(tags) + 4
        for tag, size, values in tags:
            packed = struct.pack(f"{order}{len(values)}{'H' if size == 3 else 'I'}", *values)
            if len(packed) > 4:
                packed, beyond = struct.pack(f"{order}I", end + len(beyond)), beyond + packed
            body += struct.pack(f"{order}HHI", tag, size, len(values)) + packed.ljust(4, b"\0")
        following = end + len(beyond) if page + 1 < pages else 0
        out += (
            struct.pack(f"{order}H", len(tags))
            + body
            + struct.pack(f"{order}I", following)
            + beyond
        )
    return out


def png(pixels, **options):
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG", **options)
    return data.getvalue()


def written(folder, data, name="a.png"):
    file = folder / name
    file.write_bytes(data)
    return file


@pytest.mark.parametrize(
    "data, name",
    [
        (tiff(picture(bands=4), extra=2), "near infra-red that is marked as alpha"),
        (tiff(picture(bands=4), extra=0), "a fourth band"),
        (tiff(picture(bands=4), extra=2, order=">"), "big endian"),
        (tiff(picture()), "three bands"),
        (png(picture(bands=4)), "PNG with alpha"),
        (tiff(picture(), planar=2), "three planes"),
    ],
)
def test_red_green_and_blue_are_those_of_the_file(tmp_path, data, name):
    file = written(tmp_path, data, "a.tif")
    assert prove(file).size == (24, 20)
    assert np.array_equal(decode(file), picture()[..., ::-1]), name


@pytest.mark.parametrize(
    "data, words",
    [
        (tiff(picture(bands=4), extra=1), "multiplied by their alpha"),
        (tiff(picture(bands=5), extra=0), "5 bands; choose three"),
        (tiff(picture(), photometric=1), "3 bands that are not marked as colours"),
        (tiff(picture(), kind=2), "signed values of 8 bits"),
        (tiff(picture().astype(np.float32), kind=3, bits=32), "float values of 32 bits"),
        (tiff(picture().astype("<u2"), bits=16), "not 8 bits a channel"),
        (tiff(picture(), bits=7), "7 bits a channel"),
        (tiff(picture(), compression=34887), "compression LERC"),
        (tiff(picture(), compression=50001), "WebP"),
        (tiff(picture(), compression=12345), "compression 12345"),
        (tiff(picture(bands=4), extra=0, planar=2), "4 bands in planes"),
        (tiff(picture(), turn=6), "a turned TIFF"),
        (tiff(picture(bands=1), photometric=1, pages=3), "3 pages of one size"),
        (tiff(picture(), place=0), "parts of it are not stored"),
        (tiff(picture(), claimed=(30000, 30000)), "cannot hold 30000x30000"),
        (tiff(picture())[:200], "truncated"),
        (png(picture().astype(np.uint16)[..., 0] * 255), "not 8 bits a channel"),
        (b"GIF89a" + bytes(40), "is GIF, which is not read"),
        (b"\0\0\0\x20ftypavif" + bytes(40), "is AVIF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "is EPS"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"<!DOCTYPE html>", "web page"),
        (b"", "is empty"),
        (b"hello there", "is no image"),
        (joined(chunks(png(picture()))[:: len(chunks(png(picture()))) - 1]), "it has no pixels"),
        (b"II*\0" + b"\xff" * 40, "damaged"),
        (b"BM" + bytes(60), "damaged"),
    ],
)
def test_the_rest_is_refused_with_its_reason_by_check_and_reader_alike(
    tmp_path, data, words, capfd
):
    file = written(tmp_path, data)
    for read in (prove, decode, decode_grey, decode_values):
        with pytest.raises(BadImage) as caught:
            read(file)
        assert (
            str(caught.value).startswith("a.png: ")
            and words in str(caught.value)
            and len(str(caught.value)) < 300
        )
    assert capfd.readouterr() == ("", ""), "no library speaks for itself"


def test_every_flipped_bit_of_a_png_is_seen_or_changes_nothing(tmp_path):
    """libpng looks at checksums, Pillow does not.

    Half of the damaged files once passed the check and failed in an epoch.
    """
    mask = np.zeros((16, 16), np.uint8)
    mask[4:9] = 255
    data, refused = png(mask), 0
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        file = written(tmp_path, bytes(flipped))
        try:
            prove(file)
        except BadImage:
            refused += 1
            continue
        assert np.array_equal(decode_grey(file), mask)
    assert refused > 0.95 * 8 * len(data)


def test_a_wrong_checksum_of_a_remark_does_no_harm(tmp_path):
    text = joined([*chunks(png(picture()))[:1], (b"tEXt", b"a\0b"), *chunks(png(picture()))[1:]])
    at = text.index(b"tEXt") + 7  # within its checksum
    file = written(tmp_path, text[:at] + bytes([text[at] ^ 1]) + text[at + 1 :])
    try:
        assert np.array_equal(decode(file), picture()[..., ::-1])
    except BadImage as error:  # a Pillow that looks at it
        assert "damaged" in str(error)


def test_a_colour_profile_that_is_broken_is_no_line_of_its_own(tmp_path, capfd):
    first, *rest = chunks(png(picture()))
    file = written(
        tmp_path, joined([first, (b"iCCP", b"x\0\0" + zlib.compress(b"no profile")), *rest])
    )
    for _ in range(2):
        assert np.array_equal(decode(file), picture()[..., ::-1])
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "kind, options",
    [
        ("JPEG", {"quality": 92}),
        ("JPEG", {"quality": 92, "progressive": True}),
        ("JPEG", {"subsampling": 2}),
    ],
)
def test_jpegs_are_decoded_as_opencv_does(tmp_path, kind, options):
    file = tmp_path / "a.jpg"
    Image.fromarray(picture(61, 47)).save(file, kind, **options)
    assert np.array_equal(decode(file), cv2.imread(str(file)))
    assert prove(file).size == (61, 47)
    data = file.read_bytes()
    for end in (len(data) // 2, len(data) - 20):
        with pytest.raises(BadImage, match="a.jpg: truncated"):
            prove(written(tmp_path, data[:end], "a.jpg"))
        with pytest.raises(BadImage, match="a.jpg: truncated"):
            decode(file)


def test_an_image_is_read_to_its_end(tmp_path):
    file = tmp_path / "a.jpg"
    cv2.imwrite(str(file), picture(64, 48))
    assert prove(file).size == read_header(file).size == (64, 48)
    file.write_bytes(file.read_bytes()[:-500])
    assert read_header(file).size == (64, 48)
    with pytest.raises(BadImage, match="a.jpg: truncated"):
        prove(file)
    Image.fromarray(picture(8, 8)[..., 0].astype(np.uint16) * 256).save(tmp_path / "deep.png")
    with pytest.raises(BadImage, match="deep.png: not 8 bits a channel"):
        prove(tmp_path / "deep.png")


@pytest.mark.parametrize("name", ["deep.png", "deep.tif"])
def test_sixteen_bit_colours_are_refused(tmp_path, name):
    """Pillow calls them RGB, like 8-bit images.

    OpenCV would divide them by 256, and an 11-bit scene would be black.
    """
    cv2.imwrite(str(tmp_path / name), picture(8, 8).astype(np.uint16) * 8)
    with pytest.raises(BadImage, match=f"{name}: not 8 bits a channel"):
        prove(tmp_path / name)


@pytest.mark.parametrize("size", [(4, 4), (7, 100), (1, 1)])
def test_tiny_images_are_whole(tmp_path, size):
    cv2.imwrite(str(tmp_path / "tiny.jpg"), picture(*size))
    assert prove(tmp_path / "tiny.jpg").size == size


def test_grey_palette_and_alpha_images_become_colours(tmp_path):
    grey = picture(bands=1)[..., 0]
    for mode in ("L", "LA", "P", "1", "CMYK"):
        image = Image.fromarray(grey).convert(mode)
        file = tmp_path / f"{mode}.{'tif' if mode == 'CMYK' else 'png'}"
        image.save(file)
        assert np.array_equal(decode(file), np.asarray(image.convert("RGB"))[..., ::-1]), mode


def test_the_turn_of_exif_is_told_and_turns_nothing(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    for name in ("a.jpg", "a.png"):
        Image.fromarray(picture()).save(tmp_path / name, exif=exif)
        header = read_header(tmp_path / name)
        assert (
            header.turn == 6
            and header.size == (24, 20)
            and decode(tmp_path / name).shape == (24, 20, 3)
        )


def test_a_header_is_read_without_decoding(tmp_path, monkeypatch):
    """Pillow decodes a whole PNG to find an EXIF behind its pixels.

    This once hid a fault in the pixels.
    """
    files = [
        written(tmp_path, png(picture()), "a.png"),
        written(tmp_path, tiff(picture()), "a.tif"),
    ]
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda image: 1 / 0)
    assert [read_header(file).size for file in files] == [(24, 20)] * 2
    with pytest.raises(BadImage):
        prove(files[0])


def test_an_exif_behind_the_pixels_is_found(tmp_path):
    exif = Image.Exif()
    exif[274] = 3
    *parts, end = chunks(png(picture()))
    file = written(tmp_path, joined([*parts, (b"eXIf", exif.tobytes()[6:]), end]))
    assert read_header(file).turn == 3 and np.array_equal(decode(file), picture()[..., ::-1])


def test_values_are_those_of_the_file(tmp_path):
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    found = decode_values(written(tmp_path, png(grey)))
    assert np.array_equal(found.pixels, grey) and found.palette is None and found.bits == 8
    palette = Image.fromarray(grey, "P")
    palette.putpalette([7, 8, 9] * 12)
    palette.save(tmp_path / "p.png")
    found = decode_values(tmp_path / "p.png")
    assert np.array_equal(found.pixels, grey) and found.palette.tolist() == [[7, 8, 9]] * 12
    Image.fromarray(grey > 5).save(tmp_path / "1.png")
    found = decode_values(tmp_path / "1.png")
    assert found.bits == 1 and np.array_equal(found.pixels, 255 * (grey > 5))
    assert decode_values(written(tmp_path, png(picture()))).pixels.tolist() == picture().tolist()


def test_a_small_file_that_claims_a_large_image_takes_no_memory(tmp_path):
    """Read a PNG of 100 bytes that claims 30000 x 30000 pixels, in 2 GB of address space."""
    first, *rest = chunks(png(picture()))
    claim = joined([(b"IHDR", struct.pack(">II", 30000, 30000) + first[1][8:]), *rest])
    file = written(tmp_path, claim)
    code = (
        "import sys, pathlib\nfrom dlinknet.images.decode import *\n"
        "try:\n    prove(pathlib.Path(sys.argv[1]))\nexcept BadImage as e:\n    print(e)"
    )
    limit = 2 << 30
    told = subprocess.run(
        [sys.executable, "-c", code, str(file)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )
    assert "truncated: " in told.stdout and "30000x30000" in told.stdout, told.stdout + told.stderr


def test_no_other_decoder_is_ever_asked(tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr(Image, "open", lambda *args, formats=None: opened.append(formats) or 1 / 0)
    with pytest.raises(BadImage):
        decode(written(tmp_path, png(picture())))
    with pytest.raises(BadImage):
        decode(written(tmp_path, b"%!PS-Adobe-3.0 EPSF-3.0"))
    assert opened == [["PNG"]]


def test_a_palette_of_8_bit_entries_is_refused(tmp_path):
    image = Image.fromarray(picture(bands=1)[..., 0], "P")
    image.putpalette([200, 100, 50] * 256)
    image.save(tmp_path / "a.tif")
    assert decode(tmp_path / "a.tif")[0, 0].tolist() == [50, 100, 200]
    data = (tmp_path / "a.tif").read_bytes()
    for value in (200, 100, 50):  # Pillow writes value * 256, little endian
        assert bytes([0, value]) * 256 in data
        data = data.replace(bytes([0, value]) * 256, bytes([value, 0]) * 256)
    with pytest.raises(BadImage, match="a palette whose entries have 8 bits"):
        decode(written(tmp_path, data, "a.tif"))


def test_a_pipe_or_a_folder_under_an_images_name_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    (tmp_path / "b.png").mkdir()
    for name in ("a.png", "b.png"):
        with pytest.raises(BadImage, match=f"{name}: is no file"):
            read_header(tmp_path / name)
