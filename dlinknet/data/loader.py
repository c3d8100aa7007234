"""Training batches: pairs on disk -> shuffled, augmented, normalised batches."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import mindspore
import numpy as np
from mindspore import Tensor

from dlinknet.data.augment import augment
from dlinknet.data.classes import Classes
from dlinknet.data.pairs import Pair
from dlinknet.data.preprocess import (
    DLINKNET,
    STRIDE,
    Preprocessing,
    pad,
    resized,
    round_up,
    to_input,
)
from dlinknet.data.roads import ROADS
from dlinknet.errors import InputError
from dlinknet.images.read import read_image
from dlinknet.threads import prefetch, usable_cores


@dataclass(frozen=True)
class Batching:
    """The choices for the batches of one process.

    batch_size: images. crop: (height, width) of the random crops, multiples of 32; None for whole
    images, padded by reflection to one common size. augment: the augmentation, as augment.augment
    accepts it. seed: decides order, crops and augmentation. workers: threads that read and augment.
    pixels: True: batches hold pixels and labels as uint8, and the graph normalises them. A quarter
    of the bytes is then copied to a device.
    """

    batch_size: int
    crop: tuple[int, int] | None = None
    augment: str = "full"
    seed: int = 1
    workers: int = 1
    pixels: bool = False


class TrainingLoader:
    """Serve the epochs of a training set.

    The images of a batch depend on (seed, epoch, place in the epoch), and the augmentation of an
    image on (seed, epoch, ID), never on the number of threads. Every image is seen once an epoch;
    the last batch is filled up with the epoch's first images. Together the processes serve exactly
    the batches of one process with batch_size * size.

    Args:
        pairs: the training set, in the same order in every process.
        batching: the choices for the batches.
        classes: the classes of the masks.
        preprocessing: turns pixels into the network's input.
        rank, size: the number of this process, and of all processes.

    Attributes:
        height, width: of every batch, in pixels.
        step_images: the images of a step in all processes.
        small: the number of images that do not fill a crop.
        pixels: as in batching.
    """

    def __init__(
        self,
        pairs: list[Pair],
        batching: Batching,
        classes: Classes = ROADS,
        preprocessing: Preprocessing = DLINKNET,
        *,
        rank: int = 0,
        size: int = 1,
    ):
        self.pairs, self.classes, self.preprocessing = pairs, classes, preprocessing
        self.batch_size, self.rank, self.size = batching.batch_size, rank, size
        self.step_images = batching.batch_size * size
        self.crop, self.level, self.seed = batching.crop, batching.augment, batching.seed
        self.workers, self.pixels = min(batching.workers, usable_cores()), batching.pixels
        crop = self.crop
        sizes = [preprocessing.size_of(pair.height, pair.width) for pair in pairs]
        # The part that such an image lacks is mirrored, and may be most of a crop.
        self.small = (
            sum(height < crop[0] or width < crop[1] for height, width in sizes) if crop else 0
        )
        self.height, self.width = crop or round_up(
            max(height for height, _ in sizes), max(width for _, width in sizes)
        )

    def __len__(self) -> int:
        """Return the steps of an epoch."""
        return self.steps()

    def steps(self, start: int = 0) -> int:
        """Return the steps of an epoch after `start` of its images have been served."""
        return -(-max(0, len(self.pairs) - start) // self.step_images)

    def order(self, epoch: int, start: int = 0) -> np.ndarray:
        """Return the indices of the pairs in the order of an epoch: steps x size x batch_size.

        Args:
            start: how many of the epoch's images have been served already.
        """
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.pairs))
        return np.resize(order, start + self.steps(start) * self.step_images)[start:].reshape(
            -1, self.size, self.batch_size
        )

    def epoch(self, epoch: int, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (images, masks): N x 3 x H x W float32, and labels as N x 1 x H x W float32.

        If self.pixels is set: N x H x W x 3 uint8 BGR, and labels as N x 1 x H x W uint8.

        Args:
            start: how many of the epoch's images, in all processes, have been served already.

        Raises:
            UserError: a file can no longer be read.
        """
        # MindSpore's GeneratorDataset catches SIGTERM, starts each epoch a tenth of a second later,
        # and wraps a worker's error into pages of text.
        batches = self.order(epoch, start)[:, self.rank]
        for _, arrays in prefetch(
            batches, lambda indices: self.batch(indices, epoch), self.workers, self.workers
        ):
            yield tuple(map(_to_tensor, arrays))

    def batch(self, indices: np.ndarray, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the augmented examples of these pairs in an epoch, as `epoch` yields them."""
        count, height, width = len(indices), self.height, self.width
        kind = np.uint8 if self.pixels else np.float32
        shape = (height, width, 3) if self.pixels else (3, height, width)
        images, masks = np.empty((count, *shape), kind), np.empty((count, 1, height, width), kind)
        for place, index in enumerate(indices):
            pair = self.pairs[index]
            size = self.preprocessing.size_of(pair.height, pair.width)
            image, mask = (
                resized(read_image(pair.image), size),
                resized(self.classes.read(pair.mask), size, labels=True),
            )
            image, mask = pad(image, height, width), pad(mask, height, width)
            image, mask = augment(
                _rng(self.seed, epoch, pair.id),
                image,
                mask,
                self.level,
                crop=self.crop,
                outside=self.classes.outside,
            )
            if self.pixels:
                images[place] = image
            else:
                to_input(image, images[place], self.preprocessing)
            masks[place, 0] = mask
        return images, masks


def _to_tensor(array: np.ndarray) -> Tensor:
    """Return a tensor in the memory of an array. Tensor() copies, 40 ms for 4 x 3 x 1024 x 1024."""
    # MindSpore 2.0 has it as a method only, which later versions call deprecated.
    if hasattr(mindspore, "from_numpy"):
        return mindspore.from_numpy(array)
    return Tensor.from_numpy(array)


def refuse_tiny_step(loader: TrainingLoader) -> None:
    """Raise InputError if a step is too small for BatchNorm."""
    if loader.batch_size * loader.height * loader.width == STRIDE**2:
        # The variance of one value is 0 / 0: NaN goes into BatchNorm's statistics, while the loss
        # stays a number.
        raise InputError(
            f"a step of 1 x {STRIDE} x {STRIDE}",
            "gives BatchNorm one value a channel in the last layers, which has no variance; use "
            "larger crops or batches",
        )


def _rng(seed: int, epoch: int, id: str) -> np.random.Generator:
    """Return the generator of one image in one epoch, the same on every machine."""
    return np.random.default_rng(
        [seed, epoch, int.from_bytes(hashlib.sha256(id.encode()).digest()[:8], "little")]
    )
