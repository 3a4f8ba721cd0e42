"""What a session asks its model, and the answers that have come."""

from __future__ import annotations

from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING, Any

from samari.engine.answers import AnswerTable
from samari.engine.pending import Request
from samari.engine.pictures import PlanePicture
from samari.engine.tiled import answer_steps
from samari.zoo import LoadedModel, find

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

    from samari.engine.painting import Painting
    from samari.engine.pending import PendingObject, PendingPart
    from samari.engine.planes import ImagePlanes
    from samari.engine.predict import Segmenter
    from samari.engine.prediction import Prediction


class Questions:
    """Requests for pending objects, in one thread; their computation, in any thread.

    A prompt list is never dropped: whatever is pending and has no answer is a request, until its
    answer comes. An answer that comes too late is kept for undo, but is not what is shown.

    Parameters
    ----------
    planes : ImagePlanes
    model : str, path or LoadedModel
        Looked up at once; loaded on first use, in the thread that asks first.
    segmenter : Segmenter or None
        Used instead of `model`.

    Raises
    ------
    ModelError
        If nothing has the name `model`.
    """

    def __init__(
        self, planes: ImagePlanes, model: str | Path | LoadedModel, segmenter: Segmenter | None
    ) -> None:
        if segmenter is None and not isinstance(model, LoadedModel):
            find(model)
        self._planes = planes
        self._model = model
        self._segmenter = segmenter
        self._lock = Lock()
        self._generation = 0
        self._answers = AnswerTable()
        self._last_painted: tuple[Any, Any, Prediction | None] = (None, None, None)

    @property
    def segmenter(self) -> Segmenter:
        """The model that answers."""
        with self._lock:
            if self._segmenter is None:
                # Here, because it imports torch.
                from samari.engine.predict import Segmenter

                self._segmenter = Segmenter(self._model)
            return self._segmenter

    @segmenter.setter
    def segmenter(self, segmenter: Segmenter) -> None:
        with self._lock:
            self._segmenter = segmenter
        self._generation += 1
        self._answers.clear()

    def request(self, part: PendingPart) -> Request:
        """Return the question that a part asks the present model; what was painted is no part."""
        return Request(part.plane, part.prompts.asked, self._generation)

    def open(self, pending: Sequence[PendingObject]) -> list[Request]:
        """Return the requests without an answer, those of the newest prompts first."""
        requests = [self.request(part) for obj in pending[::-1] for part in obj.parts[::-1]]
        return [request for request in requests if self._answers.get(request) is None]

    def steps(self, request: Request) -> Generator[tuple[int, int], None, Prediction]:
        """Compute an answer; see `Session.compute_steps`."""
        picture = PlanePicture(self._planes, request.plane)
        return (yield from answer_steps(self.segmenter, picture, request.prompts))

    def take(
        self, request: Request, prediction: Prediction, pending: Sequence[PendingObject]
    ) -> bool:
        """Keep an answer; return whether something pending asks for it."""
        self._answers.put(request, prediction)
        self.keep(pending)
        return any(self.request(part) == request for obj in pending for part in obj.parts)

    def keep(self, pending: Sequence[PendingObject]) -> None:
        """Say what is pending now: its answers are held whatever their size."""
        self._answers.keep(self.request(part) for obj in pending for part in obj.parts)

    def find(self, part: PendingPart) -> Prediction | None:
        """Return the answer to a part if it is there, with what was painted on it."""
        answer = self._answers.get(self.request(part))
        painted = part.prompts.painted
        return answer if answer is None or painted is None else self._painted(answer, painted)

    def compute(self, part: PendingPart, pending: Sequence[PendingObject]) -> Prediction:
        """Return the answer to a part of a pending object, asking the model if need be."""
        found = self.find(part)
        if found is None:
            request = self.request(part)
            steps = self.steps(request)
            while True:
                try:
                    next(steps)
                except StopIteration as end:
                    found = end.value
                    break
            self.take(request, found, pending)
            found = self.find(part) or found
        return found

    def _painted(self, answer: Prediction, painting: Painting) -> Prediction:
        """Return an answer whose chosen mask is painted on; the same object if asked again."""
        known, key, made = self._last_painted
        if known is answer.crops and key == (painting, answer.chosen) and made is not None:
            return made
        i = answer.chosen
        crop, box = painting.over(answer.crops[i], answer.boxes[i])
        made = replace(
            answer,
            crops=(*answer.crops[:i], crop, *answer.crops[i + 1 :]),
            boxes=(*answer.boxes[:i], box, *answer.boxes[i + 1 :]),
        )
        self._last_painted = answer.crops, (painting, answer.chosen), made
        return made
