"""Shows a long job of the inference thread in napari's own activity dock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.qt.threading import thread_worker

if TYPE_CHECKING:
    import queue
    from collections.abc import Callable, Generator


def _steps_of(ticks: queue.SimpleQueue[tuple[int, int] | None]) -> Generator[int, None, None]:
    """Yield once for every step of a job, until it ends.

    Only the queue is held: napari keeps aborted workers, and what they were called with, until
    its window closes. The job puts None however it ends, so the wait is never for ever.
    """
    reached = 0
    while (tick := ticks.get()) is not None:
        while reached < tick[0]:
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
        The job's `ticks`.
    total : int
        Steps of the job: blocks of the encoder.
    text : str
        Shown beside the bar.
    on_abort : callable
        A bound method, called when napari is asked to cancel the worker.

    Returns
    -------
    napari GeneratorWorker
        Already started.
    """
    worker = thread_worker(_steps_of, progress={"total": total, "desc": text})(ticks)
    worker.aborted.connect(on_abort)
    worker.start()
    return worker
