"""Shows a long job of the inference thread in napari's own activity dock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.qt.threading import thread_worker

if TYPE_CHECKING:
    import queue
    from collections.abc import Callable, Generator


#: A bar has at most so many parts: each is a message to the window's thread.
_PARTS = 100


def _steps_of(
    ticks: queue.SimpleQueue[tuple[int, int] | None], parts: int
) -> Generator[int, None, None]:
    """Yield once for every part of a job, until it ends.

    Only the queue is held: napari keeps aborted workers, and what they were called with, until
    its window closes. The job puts None however it ends, so the wait is never for ever.
    """
    reached = 0
    while (tick := ticks.get()) is not None:
        while reached < tick[0] * parts // tick[1]:
            reached += 1
            yield reached


def show_activity(
    ticks: queue.SimpleQueue[tuple[int, int] | None],
    total: int,
    text: str,
    on_abort: Callable[[], None],
) -> Any:
    """Start a napari worker that follows a job.

    Parameters
    ----------
    ticks : queue.SimpleQueue
        Gets (done, total) after every step, and None at the end, however it ends.
    total : int
        Steps of the job; blocks of the encoder, for instance.
    text : str
        Shown beside the bar.
    on_abort : callable
        A bound method, called when napari is asked to cancel the worker.

    Returns
    -------
    napari GeneratorWorker
        Already started.
    """
    parts = min(total, _PARTS)
    worker = thread_worker(_steps_of, progress={"total": parts, "desc": text})(ticks, parts)
    worker.aborted.connect(on_abort)
    worker.start()
    return worker
