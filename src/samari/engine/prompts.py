"""The prompts of one object on one plane, as a value: points, box, mask and the choices made."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from samari.engine.plane_mask import PlaneMask
from samari.engine.polygons import check_vertices, polygon_mask
from samari.errors import InputError

if TYPE_CHECKING:
    from samari.engine.painting import Painting

Point = tuple[float, float]


@dataclass(frozen=True, eq=False)
class PlanePrompts:
    """What a user said about one object on one plane, in order. Immutable, hashable, comparable.

    The mask that belongs to it is built in steps, so that a further click refines what is on the
    screen. A box, a mask or both are the first step; each point is a step that takes the box, all
    points so far and, as a mask prompt, the logits of the candidate chosen at the step before, as
    SAM was trained. Nothing else enters: no earlier object, no earlier version of the same prompts
    (trap 15).

    Negative points say where the object is not. While there is nothing else (no positive point,
    box or mask), a step gives one empty candidate of score 0 without asking the model, and the
    first step that knows the object starts afresh, with all points so far and no mask prompt from
    before.

    Parameters
    ----------
    points : sequence of (y, x)
        In pixels of the plane, centres at integers; fractions count.
    labels : sequence of int
        Of every point: 1 in the object, 0 not in it.
    box : (y, x, y, x), optional
        Two opposite corners; kept as (y0, x0, y1, x1) with y0 <= y1 and x0 <= x1.
    mask : PlaneMask or array of bool, shape (H, W), optional
        A first guess of the object, of the plane's shape, with at least one pixel. Kept as a
        `PlaneMask`; ``numpy.asarray`` makes the array of it.
    choices : sequence of int or None
        Of every step, the candidate that was taken; None, or nothing, for the highest score.
    painted : Painting, optional
        What a brush added to the last mask, and took away. No step of the model's: it comes last.

    Raises
    ------
    InputError
        If a coordinate is not finite, a label is not 0 or 1, the lengths differ, the mask is empty
        or there are more choices than steps.
    """

    points: tuple[Point, ...] = ()
    labels: tuple[int, ...] = ()
    box: tuple[float, float, float, float] | None = None
    mask: PlaneMask | None = None
    choices: tuple[int | None, ...] = ()
    painted: Painting | None = None

    def __post_init__(self) -> None:
        """Bring every field into its canonical form."""
        points = tuple(_point(point, i) for i, point in enumerate(_listed(self.points, "points")))
        labels = tuple(_label(value, i) for i, value in enumerate(_listed(self.labels, "labels")))
        if len(points) != len(labels):
            raise InputError(
                f"{len(points)} points need as many labels (1 in the object, 0 not in it), "
                f"got {len(labels)}"
            )
        store = object.__setattr__  # the dataclass is frozen for everybody else
        store(self, "points", points)
        store(self, "labels", labels)
        store(self, "box", None if self.box is None else _box(self.box))
        store(self, "mask", None if self.mask is None else PlaneMask.of(self.mask))
        choices = tuple(_choice(value) for value in _listed(self.choices, "choices"))
        while choices and choices[-1] is None:
            choices = choices[:-1]
        if len(choices) > self.n_steps:
            raise InputError(f"{len(choices)} choices for {self.n_steps} steps: {choices}")
        store(self, "choices", choices)

    @property
    def is_empty(self) -> bool:
        """Whether there is no prompt at all; what was painted on an answer is none."""
        return self.n_steps == 0

    @property
    def n_steps(self) -> int:
        """Number of steps: one for a box, a mask or both, and one for each point."""
        return int(self.has_region) + len(self.points)

    @property
    def has_region(self) -> bool:
        """Whether there is a box or a mask."""
        return self.box is not None or self.mask is not None

    @property
    def says_where(self) -> bool:
        """Whether anything says where the object is: a positive point, a box or a mask."""
        return self.has_region or 1 in self.labels

    def n_points(self, step: int) -> int:
        """Return how many of the points a step (from 0) takes."""
        return step + 1 - int(self.has_region)

    def choice(self, step: int) -> int | None:
        """Return the candidate chosen at a step (from 0), None for the highest score."""
        return self.choices[step] if step < len(self.choices) else None

    def with_point(self, point: Any, label: int = 1) -> PlanePrompts:
        """Return these prompts and one more (y, x) point."""
        return replace(self, points=(*self.points, point), labels=(*self.labels, label))

    def with_box(self, box: Any) -> PlanePrompts:
        """Return these prompts with another box (None for no box); all steps are computed anew.

        Choices are dropped, because they were made among candidates that no longer are.
        """
        return replace(self, box=box, choices=())

    def with_mask(self, mask: Any) -> PlanePrompts:
        """Return these prompts with another mask (None for no mask); choices are dropped."""
        return replace(self, mask=mask, choices=())

    def with_polygon(self, vertices: Any, shape: tuple[int, int]) -> PlanePrompts:
        """Return these prompts with a polygon (n, 2) of (y, x) vertices as mask and as box.

        Parameters
        ----------
        vertices : array-like of float, shape (n, 2)
        shape : (int, int)
            Rows and columns H, W of the plane. See `samari.engine.polygons.polygon_mask`.
        """
        corners = check_vertices(vertices)
        mask = polygon_mask(corners, shape)
        last = np.array(shape) - 0.5
        box = (*np.clip(corners.min(axis=0), -0.5, last), *np.clip(corners.max(axis=0), -0.5, last))
        return replace(self, mask=mask, box=box, choices=())

    def with_choice(self, candidate: int | None) -> PlanePrompts:
        """Return these prompts with another candidate chosen at the last step.

        Raises
        ------
        InputError
            If there is no prompt, or the candidate is not a number from 0.
        """
        if self.is_empty:
            raise InputError(f"candidate {candidate!r} was chosen before there is any prompt")
        earlier = (self.choice(step) for step in range(self.n_steps - 1))
        return replace(self, choices=(*earlier, candidate))

    def with_choices_of(self, other: PlanePrompts) -> PlanePrompts:
        """Return these prompts with the choices that `other` made in the steps both begin with."""
        chosen = self
        for step in range(min(self.n_steps, other.n_steps)):
            if chosen.step_key(step) != other.step_key(step):
                break
            chosen = replace(chosen, choices=other.choices[: step + 1])
        return chosen

    @cached_property
    def asked(self) -> PlanePrompts:
        """These prompts as the model sees them: without what was painted."""
        return self if self.painted is None else replace(self, painted=None)

    def within(self, box: tuple[int, int, int, int]) -> PlanePrompts:
        """Return these prompts as prompts of a part of the plane, without what was painted.

        Parameters
        ----------
        box : (y0, x0, y1, x1)
            The part, half-open, in pixels of the plane; a mask prompt is cut to it.
        """
        y0, x0, y1, x1 = box
        mask = self.mask
        if (y0, x0) == (0, 0) and (mask is None or mask.shape == (y1, x1)):
            return self.asked
        bounds = self.box
        return PlanePrompts(
            tuple((y - y0, x - x0) for y, x in self.points),
            self.labels,
            bounds and (bounds[0] - y0, bounds[1] - x0, bounds[2] - y0, bounds[3] - x0),
            None if mask is None else mask.within(box),
            self.choices,
        )

    def with_painting(self, painted: Painting | None) -> PlanePrompts:
        """Return these prompts with something painted over their mask, None for nothing."""
        return replace(self, painted=painted)

    @cached_property
    def key(self) -> str:
        """Name of the content: equal for equal prompts, 64 hexadecimal digits."""
        digest = self._digest(self.points, self.labels, self.choices)
        if self.painted is None:
            return digest
        return hashlib.sha256(f"{digest} {self.painted.key}".encode()).hexdigest()

    def step_key(self, step: int) -> str:
        """Name of all that the candidates of a step (from 0) depend on, the choice among them not.

        Two prompts that begin alike agree on the keys of the steps that they share.
        """
        count = self.n_points(step)
        choices = self.choices[:step]
        while choices and choices[-1] is None:
            choices = choices[:-1]
        return self._digest(self.points[:count], self.labels[:count], choices)

    def _digest(
        self, points: tuple[Point, ...], labels: tuple[int, ...], choices: tuple[int | None, ...]
    ) -> str:
        mask = "" if self.mask is None else self.mask.key
        content = repr((points, labels, self.box, choices, mask))
        return hashlib.sha256(content.encode()).hexdigest()

    def __eq__(self, other: object) -> bool:
        """Whether the content is equal."""
        return isinstance(other, PlanePrompts) and self.key == other.key

    def __hash__(self) -> int:
        """Hash of the content."""
        return hash(self.key)

    def check_fits(self, shape: tuple[int, int]) -> None:
        """Raise an InputError unless all prompts lie on a plane of H rows and W columns.

        A pixel reaches half a pixel to each side of its index, so points go from -0.5 to H - 0.5.
        A box may stick out as long as a part of it lies on the plane.

        Raises
        ------
        InputError
            Names the prompt and the shape.
        """
        high = (shape[0] - 0.5, shape[1] - 0.5)
        for i, (y, x) in enumerate(self.points):
            if not (-0.5 <= y <= high[0] and -0.5 <= x <= high[1]):
                raise InputError(
                    f"point {i} at (y, x) = ({y:g}, {x:g}) lies outside the plane of shape "
                    f"{tuple(shape)}"
                )
        if self.box is not None:
            y0, x0, y1, x1 = self.box
            if y1 < -0.5 or x1 < -0.5 or y0 > high[0] or x0 > high[1]:
                raise InputError(
                    f"the box (y0, x0, y1, x1) = ({y0:g}, {x0:g}, {y1:g}, {x1:g}) lies outside "
                    f"the plane of shape {tuple(shape)}"
                )
        if self.mask is not None and self.mask.shape != tuple(shape):
            raise InputError(
                f"the mask prompt has shape {self.mask.shape}, the plane {tuple(shape)}; they must "
                "be equal"
            )
        if self.painted is not None:
            self.painted.check_fits(shape)


def _listed(values: Any, name: str) -> list[Any]:
    try:
        return list(values)
    except TypeError as error:
        raise InputError(f"{name} must be a sequence, got {values!r}") from error


def _point(point: Any, index: int) -> Point:
    try:
        y, x = (float(value) for value in point)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"point {index} must be two numbers (y, x), got {point!r}; a single point is written "
            "[(y, x)]"
        ) from error
    if not (math.isfinite(y) and math.isfinite(x)):
        raise InputError(f"point {index} is ({y}, {x}), which is not finite")
    return y + 0.0, x + 0.0  # -0.0 and 0.0 are one place and get one key


def _label(label: Any, index: int) -> int:
    if not isinstance(label, (bool, int, float, np.generic)) or label not in (0, 1):
        raise InputError(
            f"label {index} is {label!r}; it must be 1 (in the object) or 0 (not in it)"
        )
    return int(label)


def _box(box: Any) -> tuple[float, float, float, float]:
    try:
        ya, xa, yb, xb = (float(value) + 0.0 for value in box)
    except (TypeError, ValueError) as error:
        raise InputError(f"a box must be four numbers (y0, x0, y1, x1), got {box!r}") from error
    if not all(map(math.isfinite, (ya, xa, yb, xb))):
        raise InputError(f"the box ({ya}, {xa}, {yb}, {xb}) is not finite")
    return min(ya, yb), min(xa, xb), max(ya, yb), max(xa, xb)


def _choice(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 0:
        raise InputError(f"a choice must be the number of a candidate, from 0, got {value!r}")
    return int(value)
