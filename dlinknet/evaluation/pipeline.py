"""Work behind the network's: the last results are written while it computes."""
from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Callable


class Behind:
    """A thread that does what it is told in order, at most `depth` tasks behind; what a task raises is raised here.

    `with Behind() as writer: writer.do(function, argument)` has done everything at the block's end.
    """

    def __init__(self, depth: int = 2):
        self.pool, self.depth = ThreadPoolExecutor(1), depth
        self.waiting: deque[Future] = deque()

    def do(self, function: Callable, *arguments: Any) -> None:
        """Adds a task; waits while `depth` others are not done."""
        while len(self.waiting) >= self.depth:
            self.waiting.popleft().result()
        self.waiting.append(self.pool.submit(function, *arguments))

    def __enter__(self) -> Behind:
        return self

    def __exit__(self, kind: type | None, *_: Any) -> None:
        self.pool.shutdown(wait=True)
        if kind is None:
            for task in self.waiting:
                task.result()
