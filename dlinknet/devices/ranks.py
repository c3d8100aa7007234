"""The exchange between the processes of one training.

With one process nothing is sent, and MindSpore is not imported.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from mindspore import Parameter

T = TypeVar("T")
DIGIT = 1 << 20  # float32 holds such numbers exactly; not every device sends int64 or float64
DIGITS = 3  # of a count up to 2^60


class Ranks:
    """This process, one of the `size` processes of a training.

    Ranks count from 0, and rank 0 writes the files. All processes must call the methods, except
    share(), in the same order.
    """

    def __init__(self, rank: int = 0, size: int = 1):
        self.rank, self.size = rank, size

    @property
    def first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def share(self, things: Sequence[T]) -> Sequence[T]:
        """Return this process's part of a list. Each thing is in exactly one part."""
        return things[self.rank :: self.size]

    def total(self, counts: np.ndarray) -> np.ndarray:
        """Return the exact sum over all processes of an int64 array of counts, 0 to 2^60."""
        return self._of_all(counts).sum(0)

    def unlike(self, text: str) -> list[int]:
        """Return the ranks whose text differs from rank 0's."""
        found = self._of_all(np.array([zlib.crc32(text.encode())], np.int64))[:, 0]
        return [rank for rank in range(self.size) if found[rank] != found[0]]

    def _of_all(self, counts: np.ndarray) -> np.ndarray:
        """Return the arrays of all processes, size x ..., int64 from 0 to 2^60."""
        if self.size == 1:
            return counts[None]
        from mindspore import Tensor, ops

        digits = np.stack([counts // DIGIT**place % DIGIT for place in range(DIGITS)])
        sent = Tensor(digits[None].astype(np.float32))  # 1 x DIGITS x ...
        gathered = ops.AllGather()(sent).asnumpy().astype(np.int64)  # size x DIGITS x ...
        return sum(gathered[:, place] * DIGIT**place for place in range(DIGITS))

    def broadcast(self, parameters: Iterable[Parameter]) -> None:
        """Give these float32 parameters the values that they have in rank 0."""
        if self.size == 1:
            return
        import mindspore as ms
        from mindspore import ops

        send = ops.Broadcast(0)
        for parameter in parameters:
            ops.assign(parameter, send((ops.cast(parameter, ms.float32),))[0])

    def average(self, parameters: Iterable[Parameter]) -> None:
        """Give each of these float32 parameters its mean over all processes."""
        parameters = list(parameters)
        if self.size == 1 or not parameters:
            return
        from mindspore import Tensor, ops

        flat = np.concatenate([parameter.asnumpy().ravel() for parameter in parameters])
        mean = ops.AllReduce()(Tensor(flat)).asnumpy() / np.float32(self.size)
        for parameter in parameters:
            mine, mean = np.split(mean, [parameter.size])
            ops.assign(parameter, Tensor(mine.reshape(parameter.shape)))
