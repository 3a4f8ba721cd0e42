"""Doing again what a journal tells, with the model asked anew: the same prompts, its own masks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np

from samari.engine import commit
from samari.engine.journal_values import pixels_of
from samari.engine.label_arrays import common_part, seen_from
from samari.engine.pending import PendingPart
from samari.engine.propagate import Limits
from samari.engine.restore import planes_of, session_options
from samari.errors import InputError, LabelsError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from samari.engine.journal import JournalLog
    from samari.engine.journal_values import Pixels
    from samari.engine.objects import ObjectPart
    from samari.engine.planes import PlaneIndex
    from samari.engine.prediction import Prediction
    from samari.engine.recorded import Recorded
    from samari.engine.session import Session
    from samari.engine.state import Change

    #: Does a step again, which is one change, or the parts of a growing step.
    Again = Callable[["Replay", Sequence[Change]], None]

Kind = TypeVar("Kind", bound="Recorded")


def replayed(
    kind: type[Kind],
    log: JournalLog,
    image: Any,
    model: Any,
    labels: Any,
    segmenter: Any,
    device: str = "auto",
) -> Kind:
    """Return a new session in which everything was done again; see `Session.replay`.

    Models that are loaded for it, all but `segmenter`, compute on `device`.
    """
    # Restored first: so every step is known with the pixels that it really changed.
    elsewhere = log.opening["labels"]["from"] == "elsewhere"
    began = np.array(labels) if elsewhere and labels is not None else None
    former = kind.of_log(log, image, began, content=False)
    runs = former.journal.runs(former.history)
    options = session_options(log, planes_of(log, image), labels, content=False)
    if segmenter is not None:
        options["segmenter"] = segmenter
    elif model or log.opening["model"]:
        options["model"] = model or log.opening["model"]
    session = kind(image, **options)
    replay = Replay(cast("Session", session), device)
    if segmenter is None and device != "auto":
        replay.load(model or session.journal.model)
    for run in runs:
        if segmenter is None and model is None:
            replay.use(run[-1].details.get("model"))
        AGAIN.get(run[0].name, as_stored)(replay, run)
        session.store.highest = max(session.store.highest, *(part.highest[1] for part in run))
    # An id that was undone again may have widened the labels.
    session.store.make_room(int(np.iinfo(former.labels.dtype).max))
    hands_last(replay.session, [part for run in runs for part in run])
    session.overwrite = former.overwrite
    session.missing = tuple(replay.missing)
    return session


class Replay:
    """A session in which things are done again.

    Parameters
    ----------
    session : Session
    device : str
        Where models compute that are loaded for it.

    Attributes
    ----------
    session : Session
    missing : list of int
        Labels for which the model found nothing.
    """

    def __init__(self, session: Session, device: str) -> None:
        self.session = session
        self._device = device
        self.missing: list[int] = []
        self._grids: dict[tuple[PlaneIndex, int], dict[Any, NDArray[np.bool_]]] = {}

    def use(self, model: str | None) -> None:
        """Go on with the model that a step was made with."""
        if model and model != self.session.journal.model:
            self.load(model)

    def load(self, model: Any) -> None:
        """Go on with a model."""
        # Here, because it imports torch.
        from samari.engine.predict import Segmenter

        self.session.segmenter = Segmenter(model, device=self._device)

    def mask_of_point(
        self, part: ObjectPart, model_hash: str, per_side: int | None
    ) -> tuple[NDArray[np.bool_], float] | None:
        """Return the mask (H, W) of an automatic object and its score; None if it has none.

        The model that found it is asked for the whole grid again: what it says of a point depends,
        in the last digits, on the points that it is asked together with.
        """
        segmenter = self.session.segmenter
        candidate = part.prompts.choice(part.prompts.n_steps - 1)
        if per_side and model_hash == segmenter.model_hash and candidate is not None:
            found = self._grid(part.plane, per_side)
            mask = found.get((part.prompts.points[-1], candidate))
            if mask is not None:
                return mask, part.score
        answer = _predicted(self.session, PendingPart(part.plane, part.prompts))
        return (answer.mask, answer.score) if answer.mask.any() else None

    def _grid(self, plane: PlaneIndex, per_side: int) -> dict[Any, NDArray[np.bool_]]:
        if (plane, per_side) not in self._grids:
            steps = self.session.everything_steps(plane, points_per_side=per_side)
            while True:
                try:
                    next(steps)
                except StopIteration as end:
                    (candidates,) = end.value.planes
                    break
            masks: dict[Any, NDArray[np.bool_]] = {}
            for index in range(len(candidates)):
                y0, x0, y1, x1 = candidates.boxes[index].tolist()
                point = tuple(candidates.points[index].tolist())
                mask = np.zeros(candidates.shape, bool)
                mask[y0:y1, x0:x1] = candidates.mask(index)
                masks[point, int(candidates.candidates[index])] = mask
            self._grids = {(plane, per_side): masks}  # of one plane: a stack may have thousands
        return self._grids[plane, per_side]


def accept_again(replay: Replay, run: Sequence[Change]) -> None:
    """Accept the same prompts under the same ids, one object after the other."""
    (change,), session = run, replay.session
    session.overwrite = bool(change.details.get("overwrite"))
    newest = change.highest[0]
    for obj in change.pending[0]:
        if obj.replaces is None:
            newest += 1
            # The id that it had, whatever became of the objects before it.
            session.store.highest = newest - 1
        label = newest if obj.replaces is None else obj.replaces
        answerable = tuple(_answerable(session, part) for part in obj.parts)
        session.set_pending([replace(obj, parts=answerable)])
        try:
            session.accept()
        except LabelsError:
            replay.missing.append(label)
            session.set_pending(())


def everything_again(replay: Replay, run: Sequence[Change]) -> None:
    """Ask for the masks of automatic objects again, and append them under the same ids."""
    session, details = replay.session, run[0].details
    per_side = details.get("points_per_side")
    with session._change("everything") as redone:
        redone.details.update(details)
        for label, _, record in [row for part in run for row in part.records]:
            if record is None:
                continue
            (part,) = record.parts
            found = replay.mask_of_point(part, record.model_hash, per_side)
            where = session.planes.label_slices(part.plane)
            if found is None or not redone.write(where, found[0], label).count:
                replay.missing.append(label)
                continue
            redone.records[label] = replace(
                record,
                parts=(replace(part, score=found[1]),),
                model=session.segmenter.model_name,
                model_hash=session.segmenter.model_hash,
                contrast_limits=session.planes.contrast_limits,
            )


def propagate_again(replay: Replay, run: Sequence[Change]) -> None:
    """Follow the same objects again, as far as the model had found them.

    A run that was cancelled, or beside which something else was done, is as it was stored.
    """
    session, details = replay.session, run[-1].details
    if "limits" not in details:
        as_stored(replay, run)
        return
    labels = [label for label in details["labels"] if session.store.extent(label) is not None]
    if labels:
        low, high = details["range"]
        session.propagate(labels, details["axis"], (low, high), limits=Limits(**details["limits"]))


def delete_again(replay: Replay, run: Sequence[Change]) -> None:
    """Delete objects, those that the model had found."""
    session = replay.session
    known = _several(run[0].details["label"])
    known = [n for n in known if n in session.objects or session.store.extent(n) is not None]
    if known:
        session.delete(known)


def merge_again(replay: Replay, run: Sequence[Change]) -> None:
    """Merge objects that the model had found; if not the one that is kept, rename another."""
    (change,), session = run, replay.session
    kept, gone = change.details["kept"], _several(change.details["gone"])
    gone = [label for label in gone if session.store.extent(label) is not None]
    if not gone:
        return
    if session.store.extent(kept) is not None:
        session.merge(kept, gone)
        return
    first, *others = gone
    with session._change("merge") as redone:
        redone.details.update(change.details)
        redone.relabel(first, kept)
        record = session.objects.get(first)
        redone.records.update({first: None, kept: record and replace(record, label=kept)})
        commit.merge(redone, kept, others)


def as_stored(replay: Replay, run: Sequence[Change]) -> None:
    """Write the pixels and the objects of a step as the journal has them: a hand edit."""
    for change in run:
        with replay.session._change(change.name) as redone:
            redone.details.update(change.details)
            for pixels in pixels_of(change):
                redone.write(pixels.box, pixels.mask, pixels.label, keep=())
            redone.records.update({label: record for label, _, record in change.records})


#: What is done again, by the name of the step; all others are written as they are stored.
AGAIN: dict[str, Again] = {
    "accept": accept_again,
    "everything": everything_again,
    "propagate": propagate_again,
    "delete": delete_again,
    "merge": merge_again,
}


def hands_last(session: Session, steps: Sequence[Change]) -> None:
    """Give the pixels that were last changed by hand the value of the hand, as one step.

    With the model that made the journal they have it already.
    """
    written: list[tuple[bool, Pixels]] = [
        (change.name == "edit", pixels) for change in steps for pixels in pixels_of(change)
    ]
    with session._change("edit") as change:
        for i, (by_hand, pixels) in enumerate(written):
            if not by_hand:
                continue
            mask = pixels.mask.copy()
            for _, later in written[i + 1 :]:
                _take_away(mask, pixels, later)
            change.write(pixels.box, mask, pixels.label, keep=())


def _take_away(mask: NDArray[np.bool_], pixels: Pixels, later: Pixels) -> None:
    """Remove the pixels of a later step from a mask of an earlier one."""
    common = common_part(pixels.box, later.box)
    if common is not None:
        mask[seen_from(common, pixels.box)] &= ~later.mask[seen_from(common, later.box)]


def _several(labels: int | list[int]) -> list[int]:
    """Return what a journal says of labels as a list: it has a single one as a number."""
    return [labels] if isinstance(labels, int) else labels


def _answerable(session: Session, part: PendingPart) -> PendingPart:
    """Return a part whose choices the present model has, without them if it has not."""
    try:
        _predicted(session, part)
    except InputError:
        return PendingPart(part.plane, replace(part.prompts, choices=()))
    return part


def _predicted(session: Session, part: PendingPart) -> Prediction:
    return session._questions.compute(part, ())
