"""The lock that passes nobody by."""

from __future__ import annotations

import contextlib
import threading

from clipspect.base.fair_lock import FairLock
from support.watched import wait_for

THREADS = 8


def test_who_asks_waits_for_those_who_asked_before_and_who_asks_again_comes_last() -> None:
    lock, came = FairLock(), []

    def work(own: int) -> None:
        with lock:
            came.append(own)

    threads = [threading.Thread(target=work, args=(own,)) for own in range(THREADS)]
    with lock:
        for count, thread in enumerate(threads, 1):
            thread.start()
            wait_for(lambda count=count: len(lock._waiting) == count)
    with lock:  # at once, as a camera that is faster than the others
        came.append(THREADS)
    for thread in threads:
        thread.join()
    assert came == [*range(THREADS + 1)]


def test_one_at_a_time_and_a_block_that_fails_lets_go() -> None:
    lock, inside, most = FairLock(), [0], [0]

    def work() -> None:
        for turn in range(300):
            with contextlib.suppress(KeyError), lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                inside[0] -= 1
                if turn % 3 == 0:
                    raise KeyError

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, inside) == ([1], [0])
    assert not lock._held
