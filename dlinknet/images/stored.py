"""Pixels where Pillow stores them. Its own conversion to NumPy copies them, in small pieces."""

from __future__ import annotations

import ctypes

import numpy as np
from PIL.Image import Image

# The bytes in which Pillow stores a pixel of these modes.
WIDTHS = {"L": 1, "P": 1, "RGB": 4, "RGBA": 4}


class Array(ctypes.Structure):
    """The struct ArrowArray of the Arrow C data interface.

    Source: https://arrow.apache.org/docs/format/CDataInterface.html
    """


Array._fields_ = [
    ("length", ctypes.c_int64),
    ("null_count", ctypes.c_int64),
    ("offset", ctypes.c_int64),
    ("n_buffers", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("buffers", ctypes.POINTER(ctypes.c_void_p)),
    ("children", ctypes.POINTER(ctypes.POINTER(Array))),
]

_pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
_pointer_of.restype = ctypes.c_void_p
_pointer_of.argtypes = [ctypes.py_object, ctypes.c_char_p]


def stored(image: Image) -> np.ndarray:
    """Return the pixels of an image of mode L, P, RGB or RGBA. Decode them first if need be.

    Return:
        H x W uint8 for L and P; H x W x 4 or H x W x 3 uint8, red first, for RGB and RGBA. The
        fourth value of RGB means nothing. The array is read-only.
    """
    image.load()
    try:
        # Pillow exports since version 11.3. It refuses an image that lies in several blocks.
        _, capsule = image.__arrow_c_array__()
    except (AttributeError, ValueError):
        return np.asarray(image)
    array = ctypes.cast(_pointer_of(capsule, b"arrow_array"), ctypes.POINTER(Array)).contents
    width = WIDTHS[image.mode]
    values = array.children[0].contents if width > 1 else array
    size = image.height * image.width * width
    if values.length != size or values.offset or array.offset:
        return np.asarray(image)
    memory = (ctypes.c_uint8 * size).from_address(values.buffers[1])
    # As long as the capsule lives, so do the pixels; NumPy's array keeps `memory`.
    memory.owner = capsule  # type: ignore[attr-defined]
    pixels = np.frombuffer(memoryview(memory), np.uint8)
    pixels.flags.writeable = False
    shape = (image.height, image.width)
    return pixels.reshape(shape if width == 1 else (*shape, width))
