"""Work ahead of who needs it: threads make the next inputs while a network computes."""
from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Callable, Iterable, Iterator, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def ahead(items: Iterable[Item], function: Callable[[Item], Result], depth: int = 1,
          workers: int = 1) -> Iterator[tuple[Item, Result]]:
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
