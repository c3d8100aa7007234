"""Training batches: pairs on disk -> shuffled, augmented, normalised batches through a MindSpore dataset."""
from __future__ import annotations

import hashlib
import os
from typing import Iterator

import mindspore.dataset as ds
import numpy as np
from mindspore import Tensor

from dlinknet.data.augment import augment
from dlinknet.data.pairs import Pair
from dlinknet.data.preprocess import pad, read_image, read_mask, round_up, to_input


class TrainingLoader:
    """Serves the epochs of a training set.

    What a batch holds depends on (seed, epoch, place in the epoch) and what is done to an image on (seed, epoch, ID), never
    on how many threads work. Every image is seen once an epoch; the last batch is filled up with the epoch's first images.
    Where several processes train together, a step takes a batch of each: together they serve what one process would with
    batches of so many times the size.

    Args:
        pairs: the training set, in the same order in every process.
        batch_size: images a batch of one process.
        crop: side of the random crops, a multiple of 32; 0 for whole images, padded by reflection to one common size.
        level: 'full', 'flips' or 'none' augmentation.
        seed: decides order, crops and augmentation.
        workers: threads that read and augment.
        rank, size: which process this is, and how many train together.

    `height` and `width` are those of every batch, `step_images` is how many images a step takes in all processes.
    """

    def __init__(self, pairs: list[Pair], batch_size: int, crop: int, level: str, seed: int, workers: int, rank: int = 0,
                 size: int = 1):
        self.pairs = pairs
        self.batch_size, self.rank, self.size = batch_size, rank, size
        self.step_images = batch_size * size
        self.crop = crop
        self.level = level
        self.seed = seed
        self.workers = min(workers, os.cpu_count() or 1)     # MindSpore refuses more
        if crop:
            self.height = self.width = crop
        else:
            self.height, self.width = round_up(max(p.height for p in pairs), max(p.width for p in pairs))

    def __len__(self) -> int:
        """Steps an epoch."""
        return self.steps()

    def steps(self, start: int = 0) -> int:
        """Steps that are left of an epoch when `start` of its images have been served."""
        return -(-max(0, len(self.pairs) - start) // self.step_images)

    def order(self, epoch: int, start: int = 0) -> np.ndarray:
        """Indices of the pairs, steps x size x batch_size, in the order in which all processes serve an epoch together.

        Args:
            start: how many of the epoch's images have been served already.
        """
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.pairs))
        return np.resize(order, start + self.steps(start) * self.step_images)[start:].reshape(-1, self.size, self.batch_size)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields (images, masks): N x 3 x H x W float32 in -1.6..1.6 and N x 1 x H x W float32 of 0 and 1.

        Args:
            start: how many of the epoch's images, in all processes, have been served already.

        Raises:
            UserError: a file can no longer be read.
        """
        if not self.steps(start):
            return
        source = _Epoch(self, epoch, start)
        # Batches wait in a queue, 16 of them by default: 1 GB of 4 x 1024 x 1024.
        ds.config.set_prefetch_size(2)
        # A GeneratorDataset of threads starts in milliseconds, so each epoch has its own, with its order and its rng. It
        # serves whole batches, because its own batch() copies all pixels once more.
        data = ds.GeneratorDataset(source, ["images", "masks"], shuffle=False, num_parallel_workers=self.workers,
                                   python_multiprocessing=False)
        try:
            yield from data.create_tuple_iterator(num_epochs=1, do_copy=False)
        except RuntimeError:
            # MindSpore wraps what a worker raised into pages of its own text.
            if source.error is not None:
                raise source.error from None
            raise

    def batch(self, indices: np.ndarray, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """The augmented examples of these pairs in an epoch: N x 3 x H x W and N x 1 x H x W float32."""
        images = np.empty((len(indices), 3, self.height, self.width), np.float32)
        masks = np.empty((len(indices), 1, self.height, self.width), np.float32)
        for place, index in enumerate(indices):
            pair = self.pairs[index]
            image, mask = pad(read_image(pair.image), self.height, self.width), pad(read_mask(pair.mask), self.height, self.width)
            image, mask = augment(_rng(self.seed, epoch, pair.id), image, mask, self.level, self.crop)
            to_input(image, images[place])
            masks[place, 0] = mask
        return images, masks


class _Epoch:
    """The batches of one epoch as the random-access source that GeneratorDataset asks for."""

    def __init__(self, loader: TrainingLoader, epoch: int, start: int):
        self.loader, self.epoch = loader, epoch
        self.batches = loader.order(epoch, start)[:, loader.rank]
        self.error: Exception | None = None

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, place: int) -> tuple[np.ndarray, np.ndarray]:
        try:
            return self.loader.batch(self.batches[place], self.epoch)
        except Exception as error:
            self.error = error
            raise


def _rng(seed: int, epoch: int, id: str) -> np.random.Generator:
    """The rng of one image in one epoch, the same on every machine."""
    return np.random.default_rng([seed, epoch, int.from_bytes(hashlib.sha256(id.encode()).digest()[:8], "little")])
