"""Threads that work ahead and behind: they keep the order, and errors come in their turn."""

import pytest

from dlinknet.threads import BackgroundWriter, prefetch


def half(number):
    if number % 2:
        raise ValueError(number)
    return number / 2


def test_results_come_in_order_and_an_error_in_its_turn():
    assert list(prefetch([0, 2, 4], half, 2)) == [(0, 0), (2, 1), (4, 2)]
    assert list(prefetch([], half)) == []
    steps = prefetch([2, 3, 4], half, 2)
    assert next(steps) == (2, 1)
    with pytest.raises(ValueError, match="3"):
        next(steps)


def test_tasks_are_done_in_order_and_the_block_raises_their_error():
    done = []
    with BackgroundWriter() as writer:
        for number in range(9):
            writer.do(done.append, number)
    assert done == list(range(9))
    with pytest.raises(ValueError, match="1"), BackgroundWriter() as writer:
        writer.do(half, 1)
