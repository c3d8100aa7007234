"""Threads that read the next inputs and write results while a network computes."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Callable, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class BackgroundWriter:
    """A thread that runs tasks in order.

    After `with BackgroundWriter() as writer: writer.do(function, argument)` all tasks are done. A
    later `do`, or the end of the block, raises the error of a task.

    Args:
        depth: the most tasks that may wait.
    """

    def __init__(self, depth: int = 2):
        self.pool, self.depth = ThreadPoolExecutor(1), depth
        self.waiting: deque[Future] = deque()

    def do(self, function: Callable, *arguments: Any) -> None:
        """Add a task. Wait first while `depth` other tasks are not done."""
        while len(self.waiting) >= self.depth:
            self.waiting.popleft().result()
        self.waiting.append(self.pool.submit(function, *arguments))

    def __enter__(self) -> BackgroundWriter:
        return self

    def __exit__(self, kind: type | None, *_: Any) -> None:
        self.pool.shutdown(wait=True)
        if kind is None:
            for task in self.waiting:
                task.result()


def usable_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def prefetch(
    items: Iterable[Item], function: Callable[[Item], Result], depth: int = 1, workers: int = 1
) -> Iterator[tuple[Item, Result]]:
    """Yield (item, function(item)) in order, while threads compute the next results.

    An error of `function` is raised when the item's turn comes.

    Args:
        items: the items. They are read up to `depth` ahead.
        function: is called in the threads.
        depth: the most items ahead of the current one.
        workers: the number of threads, and so of items in work at a time.
    """
    pool = ThreadPoolExecutor(workers)
    try:
        waiting: deque[tuple[Item, Future[Result]]] = deque()
        for item in items:
            waiting.append((item, pool.submit(function, item)))
            if len(waiting) > depth:
                first, result = waiting.popleft()
                yield first, result.result()
        for item, result in waiting:
            yield item, result.result()
    finally:
        pool.shutdown(cancel_futures=True)
