"""Answers to clicks before they are made: the newest place wins, and nobody waits."""

from __future__ import annotations

import time
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING

from samari.engine.pictures import PlanePicture
from samari.engine.tiled import answer_steps
from samari.plugin.jobs import Job, Priority

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from samari.engine.planes import ImagePlanes, PlaneIndex
    from samari.engine.prediction import Prediction
    from samari.engine.prompts import PlanePrompts
    from samari.plugin.models import DeferredSegmenter
    from samari.plugin.pace import ComputeThreads
    from samari.plugin.worker import InferenceThread

    Question = tuple[PlaneIndex, PlanePrompts]

#: Answers kept for the click that may follow, and for how many seconds.
_KEPT, _SECONDS = 8, 10.0


class KnownAnswers:
    """Answers of the last seconds. All methods may be called from any thread.

    The inference thread puts them here, so that a click finds the answer to a question that was
    under way when the click came.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._answers: dict[Question, tuple[float, Prediction]] = {}

    def keep(self, question: Question, prediction: Prediction) -> None:
        """Add an answer, and drop the oldest one too many."""
        with self._lock:
            self._answers[question] = time.monotonic(), prediction
            while len(self._answers) > _KEPT:
                del self._answers[next(iter(self._answers))]

    def find(self, question: Question) -> Prediction | None:
        """Return the answer to a question, None if it was not asked lately."""
        with self._lock:
            moment, found = self._answers.get(question, (0.0, None))
        return found if time.monotonic() - moment < _SECONDS else None


class LookAhead:
    """What the model would answer to prompts that nobody gave yet.

    At most one question is computed and one, the newest, waits. Neither pending objects nor the
    session's answers nor its history know of it. If a click then asks the same, its answer is here.

    Parameters
    ----------
    planes : ImagePlanes
    segmenter : DeferredSegmenter
    thread : InferenceThread
    """

    def __init__(
        self, planes: ImagePlanes, segmenter: DeferredSegmenter, thread: InferenceThread
    ) -> None:
        self._planes = planes
        self._segmenter = segmenter
        self._thread = thread
        self._answered: Callable[[PlaneIndex, Prediction], None] | None = None
        self._job: Job | None = None
        self._question: Question | None = None
        self._told = False
        self._next: Question | None = None
        self._urgent = False
        self._answers = KnownAnswers()

    @property
    def answers(self) -> KnownAnswers:
        """The answers that hold for image and model as they are now."""
        return self._answers

    def listen(self, answered: Callable[[PlaneIndex, Prediction], None] | None) -> None:
        """Say who is called with (plane, prediction) of every answer."""
        self._answered = answered

    def ask(self, plane: PlaneIndex, prompts: PlanePrompts, *, urgent: bool = False) -> None:
        """Find out what prompts on an encoded plane would give; drops what waited until now.

        Parameters
        ----------
        plane : PlaneIndex
        prompts : PlanePrompts
        urgent : bool
            Whether somebody is going to wait for it: no time for trials.
        """
        known = self.recall(plane, prompts)
        if known is not None:
            self.stop()
            if self._answered is not None:
                self._answered(plane, known)
            return
        if self._job is not None and self._question == (plane, prompts):
            self._next, self._told = None, True
            return
        self._next, self._urgent = (plane, prompts), urgent
        if self._job is None:
            self._start()

    def stop(self) -> None:
        """Drop what waits; an answer that is under way is kept and not told."""
        self._next, self._told = None, False

    def recall(self, plane: PlaneIndex, prompts: PlanePrompts) -> Prediction | None:
        """Return the answer to a question that was asked lately."""
        return self._answers.find((plane, prompts))

    def forget(self) -> None:
        """Drop all answers: the image or the model has changed."""
        # What is under way fills the old ones.
        self._answers = KnownAnswers()
        self.stop()
        if self._job is not None:
            self._job.done = self._job.failed = None
            self._thread.cancel(self._job)
            self._job = None

    def set_segmenter(self, segmenter: DeferredSegmenter) -> None:
        """Go on with another model."""
        self.forget()
        self._segmenter = segmenter

    def close(self) -> None:
        """Stop; nobody is called any more."""
        self._answered = None
        self.forget()

    def _start(self) -> None:
        if self._next is None or not self._segmenter.loaded:
            return
        self._question, self._next, self._told = self._next, None, True
        plane, prompts = self._question
        start = partial(
            _look_steps,
            self._planes,
            self._segmenter,
            plane,
            prompts,
            self._thread.compute,
            self._urgent,
            self._answers,
        )
        self._job = Job(start, Priority.HOVER, done=self._on_done, failed=self._on_failed)
        self._thread.submit(self._job)

    def _on_done(self, job: Job, prediction: Prediction | None) -> None:
        self._job = None
        if self._told and self._answered is not None:
            if prediction is not None and self._question is not None:
                self._answered(self._question[0], prediction)
        self._start()

    def _on_failed(self, job: Job, error: BaseException) -> None:
        """Go on; a click on the same place will tell what is wrong."""
        self._job = None
        self._start()


def _look_steps(
    planes: ImagePlanes,
    segmenter: DeferredSegmenter,
    plane: PlaneIndex,
    prompts: PlanePrompts,
    compute: ComputeThreads,
    urgent: bool,
    answers: KnownAnswers,
    job: Job,
) -> Generator[tuple[int, int], None, Prediction | None]:
    """Predict in one step if what it takes is encoded; encode nothing for it."""
    yield from ()
    steps = answer_steps(segmenter, PlanePicture(planes, plane), prompts)  # type: ignore[arg-type]
    with compute.short(waited_for=urgent):
        try:
            next(steps)
        except StopIteration as end:
            found: Prediction = end.value
            answers.keep((plane, prompts), found)
            return found
    steps.close()
    return None
