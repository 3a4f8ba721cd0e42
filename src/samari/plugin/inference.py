"""Asks the model what a Session wants to know, in the right order, without waiting for it."""

from __future__ import annotations

import math
import queue
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from samari.engine.pending import Request
from samari.engine.tiles import TilePyramid
from samari.errors import Cancelled
from samari.plugin.activity import show_activity
from samari.plugin.jobs import Job, Priority
from samari.plugin.look_ahead import LookAhead
from samari.plugin.models import load_steps
from samari.plugin.prefetch import Place, Prefetch, encode_place

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from samari.engine.pending import PendingPart
    from samari.engine.planes import PlaneIndex
    from samari.engine.prediction import Prediction
    from samari.engine.session import Session
    from samari.plugin.look_ahead import KnownAnswers
    from samari.plugin.models import DeferredSegmenter
    from samari.plugin.pace import ComputeThreads
    from samari.plugin.prefetch import Encoded
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
    prefetch : Prefetch
        Planes that were not looked at yet.
    when_encoded : callable or None
        Called without arguments whenever something was encoded that was asked for.
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
        self.when_encoded: Callable[[], None] | None = None
        self.ahead = LookAhead(session.planes, segmenter, thread)
        self.prefetch = Prefetch(session.planes, segmenter, thread)
        self._session = session
        self._segmenter = segmenter
        self._thread = thread
        self._changed = changed
        self._tell_failure = failed
        self._loading: Job | None = None
        self._encodings: dict[Place, Job] = {}
        # Where the user looked when an encoding was asked for before the model was there.
        self._looked_at: dict[Place, tuple[float, float]] = {}
        self._asked: dict[Request, Job] = {}
        self._closed = False
        self._left = 0.0
        # Something failed or was cancelled, and nobody has asked for anything since.
        self._gave_up = False

    @property
    def busy(self) -> bool:
        """True while something is being loaded, encoded or predicted."""
        return bool(self._loading or self._encodings or self._asked)

    def set_segmenter(self, segmenter: DeferredSegmenter) -> None:
        """Go on with another model: what is under way for the old one is cancelled."""
        self.cancel()
        self._gave_up = False
        self._segmenter = segmenter
        self.ahead.set_segmenter(segmenter)
        self.prefetch.set_segmenter(segmenter)

    def is_encoded(self, plane: PlaneIndex, near: tuple[float, float]) -> bool:
        """Whether a plane is encoded by the present model; of a large one, the tile at a point."""
        return self.prefetch.is_ready(self._place(plane, near))

    def warm_up(self, plane: PlaneIndex | None, near: tuple[float, float]) -> None:
        """Begin to load the model and to encode a plane; the layers can be built meanwhile."""
        self._load()
        if plane is not None:
            self.encode(plane, near)

    def encode(self, plane: PlaneIndex, near: tuple[float, float]) -> None:
        """Encode the plane on screen in the background, unless it is or is being encoded.

        Encodings of other planes that nobody clicked on are dropped: the newest one wins.

        Parameters
        ----------
        plane : PlaneIndex
        near : (row, column)
            Where the user looks: of a large plane, the tile that is encoded lies around it.
        """
        self._gave_up = False
        self._name_tiles()
        place = self._place(plane, near)
        for other, job in list(self._encodings.items()):
            if other != place and not any(asked.after is job for asked in self._asked.values()):
                self._drop(self._encodings, other)
        self._encode(place, near, Priority.VISIBLE)

    def encode_in_passing(self, plane: PlaneIndex, near: tuple[float, float]) -> None:
        """As `encode`, for a mouse that comes by: not once more what failed or was cancelled."""
        if not self._gave_up:
            self.encode(plane, near)

    def ask(self) -> None:
        """Ask what the Session wants to know now; drop what it no longer wants to know."""
        self._name_tiles()
        wanted = self._session.requests()
        self._gave_up &= not wanted
        for request, job in list(self._asked.items()):
            if request not in wanted and job.state == "waiting":
                self._drop(self._asked, request)
        for request in wanted:
            if request in self._asked and not self._asked[request].hopeless:
                continue
            place, near = self._place_of(request)
            job = Job(
                partial(
                    _answer_steps,
                    self._session,
                    request,
                    self._thread.compute,
                    self.ahead.answers,
                ),
                Priority.CLICK,
                after=self._encode(place, near, Priority.CLICK),
                done=self._on_answer,
                failed=self._on_failed,
                progress=self._on_progress,
            )
            self._asked[request] = job
            self._thread.submit(job)
        self._update()

    def expect(self, part: PendingPart) -> None:
        """Begin to answer what a click will ask whose button is down and not yet up again.

        Not in a row of quick clicks: while one is being answered, the next has enough time.
        """
        if self._asked:
            return
        prompts = part.prompts.asked
        place, _ = self._place_of(Request(part.plane, prompts))
        if self.prefetch.is_ready(place) and self.ahead.recall(part.plane, prompts) is None:
            self.ahead.ask(part.plane, prompts, urgent=True)

    def cancel(self) -> None:
        """Stop everything that is under way for this Session, at the next encoder block.

        Prompts stay; the next question starts afresh.
        """
        self._gave_up = True
        self.prefetch.stop()
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
        self.when_encoded = None
        self.ahead.close()
        self.cancel()

    def _pyramid(self, plane: PlaneIndex) -> TilePyramid | None:
        """Return the tiles of a plane; None before the model is there that says their size."""
        if not self._segmenter.loaded:
            return None
        shape = self._session.planes.shape_of(plane.view)
        return TilePyramid(shape, self._segmenter.picture_size)

    def _place(self, plane: PlaneIndex, near: tuple[float, float]) -> Place:
        """Return what is encoded around a point of a plane."""
        pyramid = self._pyramid(plane)
        return Place(plane, None if pyramid is None else pyramid.at(near))

    def _name_tiles(self) -> None:
        """Say which tiles the encodings are of that were asked for before the model was there."""
        if not self._segmenter.loaded:
            return
        for place, near in self._looked_at.items():
            job = self._encodings.pop(place, None)
            if job is not None:
                named = self._place(place.plane, near)
                # The model may have come between two questions: then there is a job of that name.
                self._encodings[place if named in self._encodings else named] = job
        self._looked_at.clear()

    def _place_of(self, request: Request) -> tuple[Place, tuple[float, float]]:
        """Return what is encoded for a request, and the middle of it."""
        pyramid = self._pyramid(request.plane)
        if pyramid is None:
            rows, cols = self._session.planes.shape_of(request.plane.view)
            middle = request.prompts.points[0] if request.prompts.points else (rows / 2, cols / 2)
            return Place(request.plane, None), middle
        tile = next(pyramid.for_prompts(request.prompts))
        return Place(request.plane, tile), (0.0, 0.0)

    def _encode(self, place: Place, near: tuple[float, float], priority: Priority) -> Job | None:
        """Return the job that encodes a place; None if it is encoded."""
        known = self._encodings.get(place)
        if known is not None and not known.hopeless:
            known.priority = max(known.priority, priority)
            return known
        if self.prefetch.is_ready(place):
            if priority is Priority.VISIBLE:
                self.prefetch.follow(place)
            return None
        job = self.prefetch.take(place)
        if job is None or job.hopeless:
            job = Job(
                partial(
                    encode_place,
                    self._session.planes,
                    self._segmenter,
                    place,
                    near,
                    gently=partial(_leave_a_core, self._thread.compute),
                ),
                after=self._load(),
                ticks=queue.SimpleQueue(),
            )
            self._thread.submit(job)
        job.done, job.failed, job.progress = self._on_encoded, self._on_failed, self._on_progress
        job.priority = priority
        self._encodings[place] = job
        if place.tile is None:
            self._looked_at[place] = near
        self._update()
        return job

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

    def _on_encoded(self, job: Job, encoded: Encoded) -> None:
        for place, other in list(self._encodings.items()):
            if other is job:
                del self._encodings[place]
                here = Place(place.plane, encoded.tile)
                self.prefetch.encoded[here] = encoded
                self.prefetch.follow(here)
        self.progress = None
        self._update()
        if self.when_encoded is not None:
            self.when_encoded()

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
        self._gave_up = True
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


def _leave_a_core(compute: ComputeThreads, seconds: float) -> None:
    """At first the window is busy as well: with the layers of an opening, or with a new slice."""
    compute.leave_a_core(seconds < GENTLE)


def _answer_steps(
    session: Session,
    request: Request,
    compute: ComputeThreads,
    answers: KnownAnswers,
    job: Job,
) -> Generator[tuple[int, int], None, Prediction]:
    """Predict the candidates of one request; the plane is encoded, or else it is now.

    Not if they were found before the click: while the mouse rested, or the button was down.
    """
    known = answers.find((request.plane, request.prompts))
    if known is not None:
        return known
    steps = session.compute_steps(request)
    with compute.short():
        try:
            step = next(steps)
        except StopIteration as end:
            answer: Prediction = end.value
            return answer
    yield step
    return (yield from steps)
