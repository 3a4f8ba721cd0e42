"""Rows of the prompt layers to pending objects of a Session, and back. Pure: no layer, no Qt."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from samari.engine.pending import PendingObject, PendingPart
from samari.engine.prompts import PlanePrompts
from samari.errors import InputError
from samari.plugin.layers import PointRow, ShapeRow, rectangle

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from samari.engine.planes import ImagePlanes, PlaneIndex
    from samari.plugin.source import ImageSource

#: Shapes whose larger side is below this (pixels) are slips of the mouse, not boxes.
MIN_SIDE = 1.0
#: Shapes that are strokes along an object and become points.
STROKES = ("line", "path")
_STROKE_POINTS = 5
_ELLIPSE_VERTICES = 64


@dataclass
class Reading:
    """What the prompt layers say.

    Attributes
    ----------
    pending : tuple of PendingObject
    points, shapes : list
        The rows that were understood, with `member` the position of their object in `pending`.
    refused : list of str
        Why the other rows were not; empty reasons (slips of the mouse) are left out.
    n_refused : int
        Number of rows that are not in `points` and `shapes`.
    """

    pending: tuple[PendingObject, ...] = ()
    points: list[PointRow] = field(default_factory=list)
    shapes: list[ShapeRow] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    n_refused: int = 0


class PromptRows:
    """Translates between rows of the prompt layers and pending objects.

    Parameters
    ----------
    source : ImageSource
    planes : ImagePlanes
        Of the Session.
    """

    def __init__(self, source: ImageSource, planes: ImagePlanes) -> None:
        self.source = source
        self.planes = planes
        # Regions (box, mask) whose outline a row shows without saying all of it: masks that were
        # drawn as an outline, or that come from an object that is being edited again.
        self._regions: dict[ShapeRow, PlanePrompts] = {}

    def read(
        self,
        points: Sequence[PointRow],
        shapes: Sequence[ShapeRow],
        before: tuple[PendingObject, ...],
        view: str,
    ) -> Reading:
        """Return the pending objects that the rows describe.

        Parameters
        ----------
        points, shapes : sequences of rows
            `member` is a position in `before`, or beyond it for a further object. A second
            region of one object starts a further object.
        before : tuple of PendingObject
            What was pending: choices among candidates are kept for steps that did not change.
        view : str
            The view of rows that do not tell theirs.
        """
        reading = Reading()
        drafts: dict[int, dict[PlaneIndex, _Draft]] = {}
        regions: set[int] = set()
        for shape in shapes:
            shape = self._with_view(shape, view)
            try:
                plane, region = self._region(shape)
            except InputError as error:
                self._refuse(reading, error)
                continue
            member = shape.member
            if member in regions:
                used = {*regions, *(row.member for row in points), len(before) - 1}
                member = max(used) + 1
            regions.add(member)
            drafts.setdefault(member, {})[plane] = _Draft(region)
            reading.shapes.append(replace(shape, member=member))
        for point in points:
            point = self._with_view(point, view)
            position = self.source.to_session(point.position)
            try:
                plane = self.planes.plane_at(position, point.view)
            except InputError as error:
                self._refuse(reading, error)
                continue
            parts = drafts.setdefault(point.member, {})
            draft = parts.setdefault(plane, _Draft())
            draft.points.append(self.planes.to_plane(position, plane.view))
            draft.labels.append(point.label)
            reading.points.append(point)
        order = {member: i for i, member in enumerate(sorted(drafts))}
        reading.pending = tuple(
            _object(before[member] if member < len(before) else PendingObject(), drafts[member])
            for member in order
        )
        reading.points = [replace(row, member=order[row.member]) for row in reading.points]
        reading.shapes = [replace(row, member=order[row.member]) for row in reading.shapes]
        self._remember(reading)
        return reading

    def write(self, pending: tuple[PendingObject, ...]) -> tuple[list[PointRow], list[ShapeRow]]:
        """Return the rows that show these pending objects."""
        points, shapes = [], []
        for member, obj in enumerate(pending):
            for part in obj.parts:
                if part.has_region:
                    shapes.append(self._shape(part, member))
                for (row, col), label in zip(part.prompts.points, part.prompts.labels, strict=True):
                    position = self._position((row, col), part.plane)
                    points.append(PointRow(position, label, member, part.plane.view))
        return points, shapes

    def stroke_points(self, shape: ShapeRow) -> list[PointRow]:
        """Return positive points at even distances along a line or path."""
        vertices = np.array(shape.vertices)
        lengths = np.linalg.norm(np.diff(vertices, axis=0), axis=1)
        along = np.concatenate([[0.0], np.cumsum(lengths)])
        if along[-1] < MIN_SIDE:
            return []
        wanted = along[-1] * (np.arange(_STROKE_POINTS) + 0.5) / _STROKE_POINTS
        columns = [np.interp(wanted, along, vertices[:, axis]) for axis in range(vertices.shape[1])]
        return [
            PointRow(tuple(float(v) for v in position), 1, shape.member, shape.view)
            for position in np.stack(columns, axis=1)
        ]

    def _with_view(self, row: Any, view: str) -> Any:
        """Return a row whose view is one of the image's; `view` where it is not."""
        try:
            canonical = self.planes.canonical_view(row.view)
        except InputError:
            canonical = view
        return replace(row, view=canonical)

    def _refuse(self, reading: Reading, error: InputError) -> None:
        reading.n_refused += 1
        if str(error):
            reading.refused.append(str(error))

    def _region(self, shape: ShapeRow) -> tuple[PlaneIndex, PlanePrompts]:
        """Return the plane of a shape, and its box and mask as prompts.

        Raises
        ------
        InputError
            If it lies outside the image, or, with an empty message, if it is a slip of the mouse.
        """
        corners = np.array([self.source.to_session(vertex) for vertex in shape.vertices])
        flat = np.array([self.planes.to_plane(corner, shape.view) for corner in corners])
        low, high = flat.min(axis=0), flat.max(axis=0)
        rows, cols = self.planes.shape_of(shape.view)
        if (high - low).max() < MIN_SIDE:
            raise InputError("")
        if (high < -0.5).any() or (low > np.array([rows, cols]) - 0.5).any():
            raise InputError("the box lies outside the image; it was ignored")
        plane = self.planes.plane_at(corners[0], shape.view, inside=False)
        known = self._regions.get(replace(shape, member=0))
        if known is not None:
            return plane, known
        if shape.kind in ("polygon", "ellipse"):
            outline = _ellipse(low, high) if shape.kind == "ellipse" else flat
            return plane, PlanePrompts().with_polygon(outline, (rows, cols))
        last = np.array([rows, cols]) - 0.5
        low, high = np.clip(low, -0.5, last), np.clip(high, -0.5, last)
        return plane, PlanePrompts(box=(*low, *high))

    def _shape(self, part: PendingPart, member: int) -> ShapeRow:
        """Return the outline of a part's region: as it was drawn, else the rectangle around it."""
        prompts = part.prompts
        for row, known in self._regions.items():
            if _same_region(known, prompts) and self._plane_of(row) == part.plane:
                return replace(row, member=member)
        row = self._rectangle(part)
        if prompts.mask is not None:
            self._regions[row] = _region_only(prompts)
        return replace(row, member=member)

    def _rectangle(self, part: PendingPart) -> ShapeRow:
        """Return the rectangle around a part's region."""
        y0, x0, y1, x1 = _bounds(part.prompts)
        low, high = self._position((y0, x0), part.plane), self._position((y1, x1), part.plane)
        axes = [self.source.axes.index(letter) for letter in part.plane.view]
        vertices = rectangle(low, high, (axes[0], axes[1]))
        return as_stored(ShapeRow(vertices, "rectangle", 0, part.plane.view))

    def _plane_of(self, row: ShapeRow) -> PlaneIndex:
        corner = self.source.to_session(row.vertices[0])
        return self.planes.plane_at(corner, row.view, inside=False)

    def _position(self, position: tuple[float, float], plane: PlaneIndex) -> tuple[float, ...]:
        return self.source.to_layer(self.planes.to_volume(position, plane))

    def _remember(self, reading: Reading) -> None:
        """Keep the outline of every drawn region that is pending or was: undo brings them back.

        Not that of a plain box, which says all there is to know; but of one that was cut at the
        edge of the image, or turned.
        """
        for row in reading.shapes:
            if replace(row, member=0) in self._regions:
                continue
            part = reading.pending[row.member].part_on(self._plane_of(row))
            if part is None:
                continue
            if row.kind in ("polygon", "ellipse") or not _alike(row, self._rectangle(part)):
                self._regions[replace(row, member=0)] = _region_only(part.prompts)


@dataclass
class _Draft:
    """Prompts of one object on one plane while the rows are read."""

    region: PlanePrompts = field(default_factory=PlanePrompts)
    points: list[tuple[float, float]] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)

    def finished(self) -> PlanePrompts:
        return PlanePrompts(
            tuple(self.points), tuple(self.labels), self.region.box, self.region.mask
        )


def as_stored(row: ShapeRow) -> ShapeRow:
    """Return a shape as a shapes layer gives it back: in single precision."""
    vertices = np.array(row.vertices, dtype=np.float32)
    return replace(row, vertices=tuple(tuple(float(v) for v in vertex) for vertex in vertices))


def _object(before: PendingObject, parts: dict[PlaneIndex, _Draft]) -> PendingObject:
    """Return `before` with these prompts: choices kept where they still hold, newest part last."""
    unchanged: list[PendingPart] = []
    changed: list[PendingPart] = []
    for plane, draft in parts.items():
        prompts = draft.finished()
        old = before.part_on(plane)
        if old is not None:
            prompts = _with_choices(prompts, old.prompts).with_painting(old.prompts.painted)
        same = old is not None and old.prompts == prompts
        (unchanged if same else changed).append(PendingPart(plane, prompts))
    order = {plane: i for i, plane in enumerate(before.planes)}
    unchanged.sort(key=lambda part: order[part.plane])
    return replace(before, parts=(*unchanged, *changed))


def _with_choices(prompts: PlanePrompts, old: PlanePrompts) -> PlanePrompts:
    """Return `prompts` with the choices of the steps that it has in common with `old`."""
    if not _same_region(prompts, old):
        return prompts
    common = 0
    for new, known in zip(
        zip(prompts.points, prompts.labels, strict=True),
        zip(old.points, old.labels, strict=True),
        strict=False,
    ):
        if new != known:
            break
        common += 1
    if not prompts.points and not old.points:
        common = prompts.n_steps
    return replace(prompts, choices=old.choices[:common])


def _region_only(prompts: PlanePrompts) -> PlanePrompts:
    return PlanePrompts(box=prompts.box, mask=prompts.mask)


def _same_region(a: PlanePrompts, b: PlanePrompts) -> bool:
    """Whether box and mask are equal."""
    return (a.box, a.mask) == (b.box, b.mask)


def _alike(a: ShapeRow, b: ShapeRow) -> bool:
    """Whether two shapes have the same corners, whichever comes first."""
    one, other = (sorted(row.vertices) for row in (a, b))
    return len(one) == len(other) and bool(np.allclose(one, other, atol=1e-3))


def _bounds(region: PlanePrompts) -> tuple[float, float, float, float]:
    """Return the box of a region, of its mask if it has no box."""
    if region.box is not None:
        return region.box
    assert region.mask is not None
    return region.mask.edges


def _ellipse(low: NDArray[np.float64], high: NDArray[np.float64]) -> NDArray[np.float64]:
    angles = np.linspace(0, 2 * np.pi, _ELLIPSE_VERTICES, endpoint=False)
    middle, radius = (low + high) / 2, (high - low) / 2
    return middle + radius * np.stack([np.sin(angles), np.cos(angles)], axis=1)
