"""A mask's stored values -> labels, by a table.

`labels_of` decides between two readings: values or colours, 8 bits or fewer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dlinknet.images.decode import Values

UNKNOWN = 254  # the label of a value or colour that the table does not have


class Unclear(Exception):
    """A mask that can be read in two ways, or in none. The text is the reason and the remedy."""


@dataclass(frozen=True)
class Coding:
    """The values and colours of each label in masks.

    values: 256 uint8, the label of each grey value or index; UNKNOWN if the table does not have it.
    colours: 0xRRGGBB -> label; None if one colour stands for two labels.
    twice: such a colour, as (red, green, blue).
    """

    values: np.ndarray
    colours: dict[int, int] | None
    twice: tuple[int, ...] = ()

    def of_colours(self, colours: np.ndarray) -> np.ndarray:
        """Return the labels, ... uint8, of colours, ... x 3 uint8, RGB.

        Raises:
            Unclear: a colour stands for two labels.
        """
        if self.colours is None:
            raise Unclear(
                f"colour {self.twice} is of two classes of the class table, which therefore "
                "requires index masks"
            )
        packed = colours.astype(np.uint32) @ np.array([65536, 256, 1], np.uint32)
        keys = np.array(sorted(self.colours), np.uint32)
        places = np.minimum(np.searchsorted(keys, packed), len(keys) - 1)
        labels = np.array([self.colours[key] for key in keys.tolist()], np.uint8)[places]
        return np.where(keys[places] == packed, labels, np.uint8(UNKNOWN))


def labels_of(mask: Values, coding: Coding) -> np.ndarray:
    """Return a mask's labels, H x W uint8; UNKNOWN for a value or colour that the table lacks.

    Raises:
        Unclear: the mask can be read in two ways.
    """
    if mask.pixels.ndim == 3:
        return coding.of_colours(mask.pixels)
    if mask.palette is not None and coding.colours is not None:
        return _of_palette(mask.pixels, mask.palette, coding)
    return _of_bits(mask, coding)[mask.pixels]


def _of_palette(pixels: np.ndarray, palette: np.ndarray, coding: Coding) -> np.ndarray:
    """Return the labels of a palette image.

    Its indices count, unless a program made the palette from the table's colours. Programs that
    make PNG files smaller write colour masks as palette images, whose indices have no meaning.

    Raises:
        Unclear: indices and colours give different labels, and both may be meant.
    """
    used = np.unique(pixels)
    entries = np.zeros((256, 3), np.uint8)
    entries[: len(palette)] = palette
    by_colour = coding.of_colours(entries)
    unlike = by_colour[used] != coding.values[used]
    if not unlike.any() or (by_colour[used] == UNKNOWN).any():
        return coding.values[pixels]
    # Such programs write no unused colour into a palette, except black at its end.
    spare = np.setdiff1d(np.flatnonzero(entries.any(1)), used)
    if (by_colour[spare] == UNKNOWN).any():
        index = used[unlike][0]
        raise Unclear(
            f"a palette image whose colours and indices say different things (index {index} is the "
            f"colour {tuple(entries[index].tolist())}); save it as RGB if its colours count, as "
            "grey if its indices do"
        )
    return by_colour[pixels]


def _of_bits(mask: Values, coding: Coding) -> np.ndarray:
    """Return the label of each of the 256 grey values of a mask with `mask.bits` bits a pixel.

    Two kinds of programs write fewer than 8 bits. Some make files smaller: 0 and 255 become 0 and
    1. Others number the classes: 1 is class 1.

    Raises:
        Unclear: both readings give classes, and the classes differ.
    """
    step = 255 // (2**mask.bits - 1)
    if step == 1 or mask.palette is not None:
        return coding.values
    scaled, counted = coding.values, np.full(256, UNKNOWN, np.uint8)
    counted[::step] = coding.values[: 2**mask.bits]
    used = np.unique(mask.pixels)
    fits = [not (table[used] == UNKNOWN).any() for table in (counted, scaled)]
    if all(fits) and (counted[used] != scaled[used]).any():
        raise Unclear(
            f"a mask of {mask.bits} bits a pixel, of which both {(used // step).tolist()} and "
            f"{used.tolist()} are values of the class table; save it with 8 bits"
        )
    return scaled if fits[1] else counted
