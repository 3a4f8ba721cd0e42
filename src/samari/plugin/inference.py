"""Asks the model what a Session wants to know, in the right order, without waiting for it."""

from __future__ import annotations

import math
import queue
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from samari.errors import Cancelled
from samari.plugin.activity import show_activity
from samari.plugin.jobs import Job, Priority
from samari.plugin.look_ahead import LookAhead
from samari.plugin.models import load_steps
from samari.plugin.pace import quick_handover

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from samari.engine.pending import Request
    from samari.engine.planes import ImagePlanes, PlaneIndex
    from samari.engine.prediction import Prediction
    from samari.engine.session import Session
    from samari.plugin.models import DeferredSegmenter
    from samari.plugin.pace import ComputeThreads
    from samari.plugin.worker import InferenceThread

#: Encodings that take longer than this many seconds are shown in napari's activity dock.
SHOW_AFTER = 0.3
#: Of those that take longer than this, the status tells how long.
TELL_AFTER = 3.0
#: Seconds at the beginning of an encoding in which a core is left to the window.
GENTLE = 2.0


class Inference:
    """The questions of one Session, answered on the inference thread.

    Parameters
    ----------
    session : Session
    segmenter : DeferredSegmenter
    thread : InferenceThread
    changed : callable
        Called without arguments whenever `text`, `progress` or `busy` changed.
    failed : callable
        Called with an exception when something could not be computed.

    Attributes
    ----------
    text : str
        What is going on; empty when nothing is.
    progress : (int, int) or None
        Encoder blocks done and in all.
    ahead : LookAhead
        Answers to clicks that were not made yet.
    """

    def __init__(
        self,
        session: Session,
        segmenter: DeferredSegmenter,
        thread: InferenceThread,
        changed: Callable[[], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self.text = ""
        self.progress: tuple[int, int] | None = None
        self.show_after = SHOW_AFTER
        self.ahead = LookAhead(session.planes, segmenter, thread)
        self._session = session
        self._segmenter = segmenter
        self._thread = thread
        self._changed = changed
        self._tell_failure = failed
        self._loading: Job | None = None
        self._encodings: dict[PlaneIndex, Job] = {}
        self._encoded: set[PlaneIndex] = set()
        self._asked: dict[Request, Job] = {}
        self._closed = False
        self._left = 0.0

    @property
    def busy(self) -> bool:
        """True while something is being loaded, encoded or predicted."""
        return bool(self._loading or self._encodings or self._asked)

    def set_segmenter(self, segmenter: DeferredSegmenter) -> None:
        """Go on with another model: what is under way for the old one is cancelled."""
        self.cancel()
        self._segmenter = segmenter
        self.ahead.set_segmenter(segmenter)
        self._encoded.clear()

    def is_encoded(self, plane: PlaneIndex) -> bool:
        """Whether a plane was encoded by the present model."""
        return plane in self._encoded

    def warm_up(self, plane: PlaneIndex | None) -> None:
        """Begin to load the model and to encode a plane; the layers can be built meanwhile."""
        self._load()
        if plane is not None:
            self.encode(plane)

    def encode(self, plane: PlaneIndex, priority: Priority = Priority.VISIBLE) -> Job | None:
        """Encode a plane in the background, unless it is or is being encoded.

        Encodings of other planes that nobody clicked on are dropped: the newest one wins.
        """
        if priority is Priority.VISIBLE:
            for other, job in list(self._encodings.items()):
                if other != plane and not any(asked.after is job for asked in self._asked.values()):
                    self._drop(self._encodings, other)
        known = self._encodings.get(plane)
        if known is not None and not known.hopeless:
            known.priority = max(known.priority, priority)
            return known
        if plane in self._encoded:
            return None
        ticks: queue.SimpleQueue[tuple[int, int] | None] = queue.SimpleQueue()
        job = Job(
            partial(
                _encode_steps, self._session.planes, self._segmenter, plane, self._thread.compute
            ),
            priority,
            after=self._load(),
            done=self._on_encoded,
            failed=self._on_failed,
            progress=self._on_progress,
            ticks=ticks,
        )
        self._encodings[plane] = job
        self._thread.submit(job)
        self._update()
        return job

    def ask(self) -> None:
        """Ask what the Session wants to know now; drop what it no longer wants to know."""
        wanted = self._session.requests()
        for request, job in list(self._asked.items()):
            if request not in wanted and job.state == "waiting":
                self._drop(self._asked, request)
        for request in wanted:
            if request in self._asked and not self._asked[request].hopeless:
                continue
            known = self.ahead.recall(request.plane, request.prompts)
            job = Job(
                partial(_answer_steps, self._session, request, self._thread.compute)
                if known is None
                else partial(_known_steps, known),
                Priority.CLICK,
                after=self.encode(request.plane, Priority.CLICK),
                done=self._on_answer,
                failed=self._on_failed,
                progress=self._on_progress,
            )
            self._asked[request] = job
            self._thread.submit(job)
        self._update()

    def cancel(self) -> None:
        """Stop everything that is under way for this Session, at the next encoder block.

        Prompts stay; the next question starts afresh.
        """
        for table in (self._asked, self._encodings):
            for key in list(table):
                self._drop(table, key)
        if self._loading is not None:
            self._loading.done = self._loading.failed = None
            self._thread.cancel(self._loading)
            self._loading = None
        self._update()

    def close(self) -> None:
        """Stop everything; no callback comes after this."""
        self._closed = True
        self.ahead.close()
        self.cancel()

    def _load(self) -> Job | None:
        """Return the job that loads the model, None if it is loaded."""
        if self._segmenter.loaded:
            return None
        if self._loading is None:
            self._loading = Job(
                partial(load_steps, self._segmenter),
                Priority.VISIBLE,
                done=self._on_loaded,
                failed=self._on_failed,
            )
            self._thread.submit(self._loading)
        return self._loading

    def _drop(self, table: dict[Any, Job], key: Any) -> None:
        job = table.pop(key)
        job.done = job.failed = job.progress = None
        self._thread.cancel(job)

    def _on_loaded(self, job: Job, result: object) -> None:
        if job is self._loading:
            self._loading = None
        self._update()

    def _on_encoded(self, job: Job, result: object) -> None:
        for plane, other in list(self._encodings.items()):
            if other is job:
                del self._encodings[plane]
                self._encoded.add(plane)
        self.progress = None
        self._update()

    def _on_answer(self, job: Job, prediction: Any) -> None:
        for request, other in list(self._asked.items()):
            if other is job:
                del self._asked[request]
                self._session.answer(request, prediction)
        self._update()

    def _on_failed(self, job: Job, error: BaseException) -> None:
        was_ours = job is self._loading
        if was_ours:
            self._loading = None
        tables: tuple[dict[Any, Job], ...] = (self._encodings, self._asked)
        for table in tables:
            for key, other in list(table.items()):
                if other is job:
                    del table[key]
                    was_ours = True
        if not was_ours:
            return
        self.progress = None
        if not isinstance(error, Cancelled):
            self._tell_failure(error)
        self._update()

    def _on_progress(self, job: Job, done: int, total: int) -> None:
        if job.finished:
            return
        if job.started is not None and 0 < done < total:
            spent = time.monotonic() - job.started
            expected = spent / done * total
            self._left = expected - spent if expected > TELL_AFTER else 0.0
            if job.ticks is not None and not job.shown and expected > self.show_after:
                job.shown = True
                show_activity(job.ticks, total, "Samari: encoding", job.cancel)
        self.progress = (done, total)
        self._update()

    def _update(self) -> None:
        if self._closed:
            return
        if self._loading is not None:
            self.text = f"Loading the model {self._segmenter.requested}"
        elif self._encodings:
            self.text = "Encoding the image"
            if self._left:
                self.text += f", about {math.ceil(self._left)} s left"
        elif self._asked:
            self.text = "Finding the mask"
        else:
            self.text = ""
        if not self._encodings and not self._asked:
            self.progress = None
            self._left = 0.0
        self._changed()


def _encode_steps(
    planes: ImagePlanes,
    segmenter: DeferredSegmenter,
    plane: PlaneIndex,
    compute: ComputeThreads,
    job: Job,
) -> Generator[tuple[int, int], None, None]:
    """Read a plane and encode it. The embedding stays in the segmenter's cache."""
    rgb = planes.rgb_plane(plane)
    steps = segmenter.encode_steps(rgb)
    start = time.monotonic()
    while True:
        # At first the window is busy as well: with the layers of an opening, or with a new slice.
        compute.leave_a_core(time.monotonic() - start < GENTLE)
        try:
            with quick_handover():
                step = next(steps, None)
        finally:
            compute.leave_a_core(False)
        if step is None:
            return
        yield step


def _known_steps(prediction: Prediction, job: Job) -> Generator[tuple[int, int], None, Prediction]:
    """Return what was found before the click, by the way that all answers take."""
    yield from ()
    return prediction


def _answer_steps(
    session: Session, request: Request, compute: ComputeThreads, job: Job
) -> Generator[tuple[int, int], None, Prediction]:
    """Predict the candidates of one request; the plane is encoded, or else it is now."""
    steps = session.compute_steps(request)
    with compute.short():
        try:
            step = next(steps)
        except StopIteration as end:
            answer: Prediction = end.value
            return answer
    yield step
    return (yield from steps)
