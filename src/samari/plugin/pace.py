"""How the inference thread gets the most out of a processor that it does not have to itself."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

#: A trial of the other number of threads comes once in so many computations that nobody waits for,
#: and once in so many that somebody waits for, if it was not much slower the last time.
_TRIAL, _TRIAL_WAITED = 8, 20
#: After a trial that took more than so many times as long, twice as many go by until the next one.
_LOST = 2
#: Seconds after which a waiting thread asks for Python's lock while the model computes.
_HANDOVER = 0.0005
#: Weight of the newest measurement.
_NEWEST = 0.3


class ComputeThreads:
    """Chooses between one compute thread and all cores for short computations.

    The threads of one operation wait for each other. On a processor that others use too, that
    waiting can take twenty times as long as the computation itself; on an idle one, two threads
    are quicker than one. What was quicker lately is taken; the other one is tried from time to
    time, most often in computations that nobody waits for.

    Belongs to the inference thread: torch keeps the number of compute threads per calling thread.

    Parameters
    ----------
    most : int
        Number of cores that this process may use.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._seconds: dict[int, float] = {}
        self._since_trial = 0
        self._patience = 1

    def choose(self, waited_for: bool) -> int:
        """Return the number of threads for the next short computation."""
        known = self._seconds
        best = min(known, key=lambda threads: known[threads], default=1)
        other = self.most if best == 1 else 1
        if not known or other == best:
            return best
        if other not in known:
            return other
        self._since_trial += 1
        if waited_for:
            trial = self._since_trial >= _TRIAL_WAITED and known[other] < _LOST * known[best]
        else:
            trial = self._since_trial >= _TRIAL * self._patience
        if trial:
            self._since_trial = 0
        return other if trial else best

    def note(self, threads: int, seconds: float) -> None:
        """Remember what a computation took."""
        quickest = min(self._seconds.values(), default=seconds)
        if self._seconds.get(threads, quickest) > quickest:
            self._patience = self._patience * 2 if seconds > _LOST * quickest else 1
        before = self._seconds.get(threads, seconds)
        self._seconds[threads] = (1 - _NEWEST) * before + _NEWEST * seconds

    def leave_a_core(self, leave: bool) -> None:
        """Compute with all cores from now on, or with all but one."""
        import torch

        torch.set_num_threads(max(1, self.most - leave))

    @contextlib.contextmanager
    def short(self, waited_for: bool = True) -> Iterator[int]:
        """Compute with the number of threads that suits, and measure it."""
        import torch

        threads = self.choose(waited_for)
        torch.set_num_threads(threads)
        start = time.perf_counter()
        try:
            with quick_handover():
                yield threads
            self.note(threads, time.perf_counter() - start)
        finally:
            torch.set_num_threads(self.most)


def usable_cores() -> int:
    """Return how many compute threads to use at most; ``OMP_NUM_THREADS`` is respected."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    if wanted.isdigit():
        return max(1, int(wanted))
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        return os.cpu_count() or 1


@contextlib.contextmanager
def quick_handover() -> Iterator[None]:
    """Let threads take Python's lock over from each other sooner, while the model computes.

    Every operation of torch lets the lock go and takes it back. Python makes a thread wait for 5 ms
    if another one, such as the window's, is busy: for the hundreds of operations of one mask that
    adds up to seconds.
    """
    before = sys.getswitchinterval()
    if before <= _HANDOVER:  # another dock did this, and takes it back
        yield
        return
    sys.setswitchinterval(_HANDOVER)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


class _Collector:
    """Python's garbage collector, put off by one or several threads at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._resting = 0
        self._was_on = False

    @contextlib.contextmanager
    def at_rest(self) -> Iterator[None]:
        """Put it off; the last one to leave puts it on again, if it was on before the first."""
        with self._lock:
            if not self._resting:
                self._was_on = gc.isenabled()
                gc.disable()
            self._resting += 1
        try:
            yield
        finally:
            with self._lock:
                self._resting -= 1
                if self._was_on and not self._resting:
                    _count_as_old()
                    gc.enable()


def _count_as_old() -> None:
    """Let the collector take all objects of now for long-lived ones, without looking at them.

    What was made while it rested would be gone through twice as soon as it is on again. Nothing is
    kept from it: the next full collection looks at everything.
    """
    if not gc.get_freeze_count():  # what another library froze stays frozen
        gc.freeze()
        gc.unfreeze()


_collector = _Collector()


def collector_at_rest() -> contextlib.AbstractContextManager[None]:
    """Put Python's garbage collector off while a large library is imported or layers are built.

    The import of torch makes a million objects that stay. Looking through them and napari's again
    and again is a quarter of the time that the import takes.
    """
    return _collector.at_rest()
