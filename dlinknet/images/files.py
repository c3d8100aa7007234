"""Find image files, and check their names and headers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from dlinknet.console import LOG
from dlinknet.errors import InputError, name_some
from dlinknet.images.decode import read_header
from dlinknet.images.formats import BadImage

IMAGE_TYPES = (".jpg", ".jpeg", ".png", ".tif", ".tiff")
# Other types of images. The log names the files of these types that are left out.
OTHER_TYPES = (
    ".avif",
    ".bmp",
    ".dib",
    ".ecw",
    ".exr",
    ".gif",
    ".hdf",
    ".hdr",
    ".heic",
    ".heif",
    ".ico",
    ".img",
    ".j2k",
    ".jfif",
    ".jp2",
    ".jpe",
    ".jpx",
    ".jxl",
    ".nc",
    ".pbm",
    ".pgm",
    ".pnm",
    ".ppm",
    ".psd",
    ".qoi",
    ".sid",
    ".svg",
    ".tga",
    ".vrt",
    ".webp",
)


@dataclass(frozen=True)
class ImageFile:
    """An image without a mask.

    size: (height, width) in pixels, as stored. fault: the reason if the file cannot be used, else
    empty. turn: its EXIF orientation; 1 is upright.
    """

    id: str
    file: Path
    size: tuple[int, int]
    fault: str = ""
    turn: int = 1


def need_utf8(file: Path) -> None:
    """Raise InputError if a file's name is not UTF-8, because no table could hold it."""
    try:
        file.name.encode()
    except UnicodeEncodeError:
        raise InputError(
            file.parent, f"the name {ascii(file.name)} is not UTF-8; rename the file"
        ) from None


def id_of(file: Path) -> str:
    """Return an image's ID: its file's name without its type and without '_sat'."""
    return file.stem.removesuffix("_sat") or file.stem


def by_id(
    files: Iterable[Path], place: str | Path, to_id: Callable[[Path], str] = id_of
) -> dict[str, Path]:
    """Return the files by ID, sorted by ID.

    Args:
        place: the folder of the files, for the error's line.
        to_id: returns the ID of a file.

    Raises:
        InputError: two files have one ID, or a name is not UTF-8.
    """
    found: dict[str, Path] = {}
    for file in files:
        need_utf8(file)
        id = to_id(file)
        if id in found:
            raise InputError(place, f": two files for one ID: {found[id].name} and {file.name}")
        found[id] = file
    return dict(sorted(found.items()))


def find_images(place: str) -> list[ImageFile]:
    """Return the images of a folder, or the one image that `place` is, sorted by ID.

    Masks (ID_mask.png) are left out. Only headers are read.

    Raises:
        InputError: the place does not exist or has no image, two images have one ID, or a name is
            not UTF-8.
    """
    path = Path(place)
    if not place:
        raise InputError("", "is empty: name an image or a folder")
    try:
        files = (
            [path]
            if path.is_file()
            else images_of(path, path.iterdir(), lambda file: not file.stem.endswith("_mask"))
        )
    except (OSError, ValueError) as error:  # ValueError: a NUL byte
        raise InputError(
            place, f": {getattr(error, 'strerror', error)}", before="cannot read"
        ) from None
    if not files:
        raise InputError(place, f"holds no image ({', '.join(IMAGE_TYPES)})")
    return [_looked_at(id, file) for id, file in by_id(files, place).items()]


def turned_line(images: list[ImageFile]) -> str:
    """Return a line for the log on images that viewers show turned; empty if there are none."""
    turned = [image.file.name for image in images if image.turn != 1]
    if not turned:
        return ""
    return (
        f"{len(turned)} of {len(images)} images have an EXIF orientation ({name_some(turned)}), "
        "which is ignored: images are predicted, and masks written, as they are stored"
    )


def _looked_at(id: str, file: Path) -> ImageFile:
    try:
        header = read_header(file)
    except BadImage as error:
        return ImageFile(id, file, (0, 0), str(error))
    return ImageFile(id, file, header.size, turn=header.turn)


def images_of(
    folder: Path,
    files: Iterable[Path],
    wanted: Callable[[Path], bool] = lambda file: True,
    types: tuple[str, ...] = IMAGE_TYPES,
) -> list[Path]:
    """Return the files of `types` among `files`, sorted; hidden ones are left out.

    The log names images of other types, which are left out too.

    Args:
        folder: the folder of the files, for the log's line.
        wanted: returns whether a file of any type is meant.
    """
    found = sorted(file for file in files if not file.name.startswith(".") and wanted(file))
    others = [file.name for file in found if file.suffix.lower() in OTHER_TYPES]
    if others:
        LOG.info(
            "%d files of other types were left out of %s (%s); %s are read",
            len(others),
            folder,
            name_some(others),
            ", ".join(types),
        )
    return [file for file in found if file.suffix.lower() in types]
