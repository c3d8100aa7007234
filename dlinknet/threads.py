"""Work prefetch of who needs it: threads make the next inputs while a network computes."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Callable, Iterable, Iterator, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class BackgroundWriter:
    """A thread that does what it is told in order, at most `depth` tasks behind; what a task raises is raised here.

    `with BackgroundWriter() as writer: writer.do(function, argument)` has done everything at the block's end.
    """

    def __init__(self, depth: int = 2):
        self.pool, self.depth = ThreadPoolExecutor(1), depth
        self.waiting: deque[Future] = deque()

    def do(self, function: Callable, *arguments: Any) -> None:
        """Adds a task; waits while `depth` others are not done."""
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


def prefetch(
    items: Iterable[Item], function: Callable[[Item], Result], depth: int = 1, workers: int = 1
) -> Iterator[tuple[Item, Result]]:
    """Yield (item, function(item)) in order, while threads work on up to `depth` items further on.

    What `function` raises is raised here, in its turn.

    Args:
        workers: how many threads; as many items at most are worked on at a time.
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
