"""Session: one image, its labels, and everything a user does to them, with undo at any depth.

docs/design/session.md tells how state, history and the questions to the model hang together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from samari.engine import commit
from samari.engine.checks import listed, whole_number
from samari.engine.events import SessionEvent
from samari.engine.painting import Painting
from samari.engine.pending import PendingObject, PendingPart, check_pending, mask_prompts, prompted
from samari.engine.planes import ImagePlanes, PlaneIndex
from samari.engine.questions import Questions
from samari.engine.recorded import Recorded, findable
from samari.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from samari.engine.history import Action
    from samari.engine.journal_file import JournalFile
    from samari.engine.pending import Request
    from samari.engine.predict import Segmenter
    from samari.engine.prediction import Prediction
    from samari.engine.prompts import PlanePrompts
    from samari.zoo import LoadedModel


class Session(Recorded):
    """Prompt, look, accept, undo: the annotation of one image, with or without a window.

    Coordinates are data coordinates in label axes (the image's axes without C), the centre of a
    voxel at its integer index.

    Parameters
    ----------
    image : array-like
        See `ImagePlanes`, as `axes`, `rgb`, `channel`, `contrast_limits` and `coarser`.
    model : str, path or LoadedModel
        A zoo name, a folder or a weights file; loaded when the first mask is asked for.
    scale, translate : sequence of float, optional
        Voxel size and position of the first voxel, one a label axis; only saved with the labels.
    units : str or sequence of str, optional
        Unit of all label axes, or of each.
    labels : array of int, optional
        Labels to add to, of the shape of the label axes; written in place, see `LabelStore`.
        By default a new array.
    journal : path-like, optional
        A new file that every accepted object and every other change of the labels is in before the
        call returns; see `restore`. By default there is none until `save`.
    segmenter : Segmenter, optional
        A loaded model, instead of `model`.
    name : str, optional
        Of the image, saved with the labels.
    overwrite : bool
        Whether an accepted mask also takes pixels of other objects (an attribute, too).

    Raises
    ------
    InputError
        If image, axes, labels and voxel size do not fit together.
    LabelsError
        If `labels` cannot be written.
    ModelError
        If nothing has the name `model`.

    Notes
    -----
    All methods belong to one thread, except `compute_steps`, which another one may run.
    """

    def __init__(
        self,
        image: Any,
        model: str | Path | LoadedModel = "samari-tiny",
        axes: str | None = None,
        rgb: bool = False,
        channel: int | None = None,
        contrast_limits: tuple[float, float] | None = None,
        scale: Sequence[float] | None = None,
        units: str | Sequence[str] | None = None,
        labels: Any = None,
        journal: str | Path | JournalFile | None = None,
        *,
        segmenter: Segmenter | None = None,
        translate: Sequence[float] | None = None,
        name: str | None = None,
        overwrite: bool = False,
        coarser: Sequence[Any] = (),
    ) -> None:
        planes = ImagePlanes(
            image, axes, rgb=rgb, channel=channel, contrast_limits=contrast_limits, coarser=coarser
        )
        super().__init__(planes, labels, scale=scale, units=units, translate=translate, name=name)
        self.overwrite = overwrite
        self._view = planes.canonical_view("YX")
        self._questions = Questions(planes, model, segmenter)
        self._begin_journal(journal, contrast_limits, model if segmenter is None else segmenter)

    @property
    def view(self) -> str:
        """Plane that new prompts act on: "YX", "ZX" or "ZY"."""
        return self._view

    @view.setter
    def view(self, view: str) -> None:
        self._view = self.planes.canonical_view(view)

    @property
    def segmenter(self) -> Segmenter:
        """The model that answers; built on first use, in the thread that asks.

        Set another one to go on with it: what is pending is asked again, what was accepted stays.
        """
        return self._questions.segmenter

    @segmenter.setter
    def segmenter(self, segmenter: Segmenter) -> None:
        self._questions.segmenter = segmenter
        self.journal.model = findable(segmenter)
        self._listeners.emit([SessionEvent("answer")])

    # Prompts

    def add_point(self, point: Sequence[float], label: int = 1) -> None:
        """Add a point to the newest pending object, or start one.

        Parameters
        ----------
        point : sequence of float
            In label axes; it acts on the plane of `view` that it lies on.
        label : int
            1 on the object, 0 beside it.

        Raises
        ------
        InputError
            If the point lies outside the image.
        """
        plane = self.planes.plane_at(point, self._view)
        position = self.planes.to_plane(point, self._view)
        self._prompt(plane, lambda prompts: prompts.with_point(position, label))

    def add_box(self, c0: Sequence[float], c1: Sequence[float]) -> None:
        """Put a box around the newest pending object; if it has one, start another object.

        Parameters
        ----------
        c0, c1 : sequence of float
            Opposite corners on one plane of `view`, in label axes, in any order; the box may reach
            beyond the image.

        Raises
        ------
        InputError
            If the corners lie on different planes, or the box misses the image.
        """
        plane = self._common_plane("box", (c0, c1))
        corners = [self.planes.to_plane(corner, self._view) for corner in (c0, c1)]
        box = (*corners[0], *corners[1])
        self._prompt(plane, lambda prompts: prompts.with_box(box), region=True)

    def add_polygon(self, vertices: Sequence[Sequence[float]]) -> None:
        """Outline the newest pending object by a polygon: a mask and a box. See `add_box`.

        Parameters
        ----------
        vertices : array-like of float, shape (n, label axes)
            On one plane of `view`.
        """
        plane = self._common_plane("polygon", vertices)
        outline = [self.planes.to_plane(vertex, self._view) for vertex in vertices]
        shape = self.planes.shape_of(self._view)
        self._prompt(plane, lambda prompts: prompts.with_polygon(outline, shape), region=True)

    def add_mask(self, mask: Any, plane: Sequence[int] | PlaneIndex | int = ()) -> None:
        """Give the newest pending object a first guess: a mask and its box. See `add_box`.

        Parameters
        ----------
        mask : array of bool, shape (H, W) of the plane
        plane : sequence of int, PlaneIndex or int
            Index along the label axes that are not in `view`; a `PlaneIndex` names its own view.
        """
        where = self.planes.plane_of(plane, self._view)
        guess = mask_prompts(mask)
        self._prompt(
            where, lambda prompts: prompts.with_mask(guess.mask).with_box(guess.box), region=True
        )

    def set_pending(self, pending: Iterable[PendingObject]) -> None:
        """Replace all pending objects, as one step of the history: prompts were edited.

        Parts and objects without prompts are dropped; equal objects are no step.

        Raises
        ------
        InputError
            If a prompt lies outside its plane, or a plane or a reopened object is named twice.
        """
        checked = check_pending(pending, self.planes, self._state.pending)
        with self._change("prompt") as change:
            change.pending = checked

    @property
    def candidates(self) -> Prediction:
        """Candidate masks of the prompts given last; computed if they are not there yet.

        Raises
        ------
        InputError
            If nothing is pending.
        """
        if not self.pending:
            raise InputError("there are no candidates without a prompt: add a point or a box first")
        return self._questions.compute(self.pending[-1].newest, self.pending)

    def choose(self, candidate: int) -> None:
        """Take another one of `candidates`, for the prompts given last; an InputError if absent."""
        candidate = whole_number(candidate, "a candidate")
        count = len(self.candidates)
        if not 0 <= candidate < count:
            raise InputError(f"there is no candidate {candidate}; choose 0 to {count - 1}")
        newest = self.pending[-1]
        part = PendingPart(newest.newest.plane, newest.newest.prompts.with_choice(candidate))
        with self._change("choose") as change:
            change.pending = (*self.pending[:-1], newest.with_part(part))

    def paint(
        self, mask: NDArray[np.bool_], plane: PlaneIndex | Sequence[int] | int | None = None
    ) -> None:
        """Say what the mask of a pending object is: what a brush made of the model's.

        It is kept as a difference from what was shown, and stays when prompts or model change.

        Parameters
        ----------
        mask : ndarray of bool, shape (H, W)
        plane : PlaneIndex, sequence of int, or int, optional
            On which plane; of the newest object that is prompted there. By default that of the
            prompts given last.

        Raises
        ------
        InputError
            If nothing is pending there, or the mask does not have the plane's shape.
        """
        where = None if plane is None else self.planes.plane_of(plane, self._view)
        found = [
            (i, obj, part)
            for i, obj in enumerate(self.pending)
            if (part := obj.newest if where is None else obj.part_on(where)) is not None
        ]
        if not found:
            raise InputError("there is no mask to paint on; add a point or a box first")
        i, obj, part = found[-1]
        shown = self._questions.compute(part, self.pending).mask
        painted = Painting.between(shown, np.asarray(mask, bool), part.prompts.painted)
        new = obj.with_part(PendingPart(part.plane, part.prompts.with_painting(painted)))
        with self._change("paint") as change:
            change.pending = (*self.pending[:i], new, *self.pending[i + 1 :])

    # Objects

    def accept(self) -> list[int]:
        """Write the pending objects into the labels, one id each; compute what is not there yet.

        Only background becomes an object, unless `overwrite` is set. One undo takes all of them
        back.

        Returns
        -------
        list of int
            Labels, in the order of `pending`; empty if nothing is pending.

        Raises
        ------
        LabelsError
            If a mask is empty or wholly covered by other objects, or its id does not fit the
            labels. Then nothing was changed.
        """
        if not self.pending:
            return []
        predictions = [
            [self._questions.compute(part, self.pending) for part in obj.parts]
            for obj in self.pending
        ]
        origin = commit.Origin(
            model=self.segmenter.model_name,
            model_hash=self.segmenter.model_hash,
            contrast_limits=self.planes.contrast_limits,
            channel=self.planes.channel,
        )
        with self._change("accept") as change:
            change.details["overwrite"] = bool(self.overwrite)
            return commit.accept(change, self.planes, predictions, origin, overwrite=self.overwrite)

    def discard(self) -> None:
        """Drop the pending objects; undo brings them back. Reopened objects are as before."""
        with self._change("discard") as change:
            change.pending = ()

    def reopen(self, label: int, plane: PlaneIndex | Sequence[int] | int | None = None) -> None:
        """Make an accepted object pending again; accepting it replaces its pixels, same id.

        Its prompts come back. An object without prompts, from another tool or a brush, starts from
        its mask (mask prompt and box) on every plane of `view` that it lies on.

        Parameters
        ----------
        label : int
        plane : PlaneIndex, sequence of int, or int, optional
            Only this plane of the object; the others stay as they are.

        Raises
        ------
        InputError
            If there is no such object.
        """
        label = whole_number(label, "a label")
        if any(obj.replaces == label for obj in self.pending):
            return
        only = None if plane is None else self.planes.plane_of(plane, self._view)
        obj = commit.reopened(self._state, self.planes, label, self._view, only)
        with self._change("reopen") as change:
            change.pending = (*self.pending, obj)

    # Questions to the model

    def requests(self) -> list[Request]:
        """Return what the model has to be asked, for the prompts given last first."""
        return self._questions.open(self.pending)

    def compute_steps(self, request: Request) -> Generator[tuple[int, int], None, Prediction]:
        """Answer a request step by step; the only method that another thread may run.

        Yields
        ------
        (done, total) : tuple of int
            Blocks of the image encoder; nothing where the plane is encoded already.

        Returns
        -------
        Prediction
            To be given to `answer`.
        """
        return self._questions.steps(request)

    def answer(self, request: Request, prediction: Prediction) -> bool:
        """Take an answer; False if its prompts or its model are no longer asked for."""
        wanted = self._questions.take(request, prediction, self.pending)
        if wanted:
            self._listeners.emit([SessionEvent("answer")])
        return wanted

    def prediction(self, part: PendingPart) -> Prediction | None:
        """Return the answer to a part's prompts if it is there; computes nothing."""
        return self._questions.find(part)

    def _tell(self, action: Action, array: Any) -> None:
        self._questions.keep(self.pending)
        super()._tell(action, array)

    def _prompt(
        self,
        plane: PlaneIndex,
        edit: Callable[[PlanePrompts], PlanePrompts],
        *,
        region: bool = False,
    ) -> None:
        pending = prompted(self.pending, plane, edit, region=region)
        self.set_pending(pending)

    def _common_plane(self, what: str, corners: Sequence[Sequence[float]]) -> PlaneIndex:
        """Return the plane of all corners, which may lie beyond its edges."""
        planes = {
            self.planes.plane_at(corner, self._view, inside=False): None
            for corner in listed(corners, f"the corners of a {what}")
        }
        if not planes:
            raise InputError(f"a {what} without corners says nothing; a polygon has at least three")
        if len(planes) > 1:
            first, second = (self.planes.name_of(plane) for plane in list(planes)[:2])
            raise InputError(
                f"the corners of a {what} must lie on one {self._view} plane, not on {first} and "
                f"{second}"
            )
        return next(iter(planes))
