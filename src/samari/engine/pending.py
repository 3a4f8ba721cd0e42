"""Objects that are prompted but not yet accepted, as immutable values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from samari.engine.checks import listed
from samari.engine.prompts import PlanePrompts
from samari.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from samari.engine.planes import ImagePlanes, PlaneIndex

    Pending = tuple["PendingObject", ...]


@dataclass(frozen=True)
class PendingPart:
    """The prompts of one pending object on one plane. They act on that plane only (trap 9)."""

    plane: PlaneIndex
    prompts: PlanePrompts

    @property
    def has_region(self) -> bool:
        """Whether there is a box or a mask among the prompts."""
        return self.prompts.box is not None or self.prompts.mask is not None


@dataclass(frozen=True)
class PendingObject:
    """One object that is being prompted: at most one part a plane, the newest at the end.

    Attributes
    ----------
    parts : tuple of PendingPart
        All of them get one id when the object is accepted.
    replaces : int or None
        The accepted object that was reopened: accepting replaces its pixels and keeps its id.
    scope : tuple of PlaneIndex
        With `replaces`: planes on which the old pixels go, besides the planes of `parts`. So an
        object whose prompts on one plane were all removed leaves that plane.
    """

    parts: tuple[PendingPart, ...] = ()
    replaces: int | None = None
    scope: tuple[PlaneIndex, ...] = ()

    @property
    def planes(self) -> tuple[PlaneIndex, ...]:
        """Planes of the parts."""
        return tuple(part.plane for part in self.parts)

    @property
    def newest(self) -> PendingPart:
        """The part that was changed last."""
        return self.parts[-1]

    @property
    def has_region(self) -> bool:
        """Whether any part has a box or a mask."""
        return any(part.has_region for part in self.parts)

    def part_on(self, plane: PlaneIndex) -> PendingPart | None:
        """Return the part on a plane, None if there is none."""
        return next((part for part in self.parts if part.plane == plane), None)

    def with_part(self, part: PendingPart) -> PendingObject:
        """Return the object with this part instead of the one on the same plane, as the newest."""
        others = tuple(other for other in self.parts if other.plane != part.plane)
        return replace(self, parts=(*others, part))


@dataclass(frozen=True)
class Request:
    """A question to the model: which masks belong to these prompts on this plane.

    Attributes
    ----------
    plane : PlaneIndex
    prompts : PlanePrompts
    generation : int
        Which of the session's models is asked; an answer of an earlier one is superseded.
    """

    plane: PlaneIndex
    prompts: PlanePrompts
    generation: int = 0


def prompted(
    pending: Pending,
    plane: PlaneIndex,
    edit: Callable[[PlanePrompts], PlanePrompts],
    *,
    region: bool,
) -> Pending:
    """Return pending objects after one more prompt.

    Parameters
    ----------
    pending : tuple of PendingObject
    plane : PlaneIndex
        Where the prompt lies.
    edit : callable
        Adds it to the prompts that the object has there.
    region : bool
        Whether it is a box or a mask: then it starts another object if the newest one has any.
    """
    if not pending or (region and pending[-1].has_region):
        pending = (*pending, PendingObject())
    newest = pending[-1]
    part = newest.part_on(plane)
    prompts = edit(PlanePrompts() if part is None else part.prompts)
    return (*pending[:-1], newest.with_part(PendingPart(plane, prompts)))


def mask_prompts(mask: Any) -> PlanePrompts:
    """Return the prompts that a mask makes: itself and the box around its outer edges.

    Parameters
    ----------
    mask : PlaneMask or array of bool, shape (H, W)

    Raises
    ------
    InputError
        See `PlanePrompts`.
    """
    prompts = PlanePrompts(mask=mask)
    if prompts.mask is None:
        raise InputError("a mask prompt must be a boolean array of shape (H, W), not None")
    return prompts.with_box(prompts.mask.edges)


def check_pending(
    pending: Iterable[PendingObject], planes: ImagePlanes, before: Pending = ()
) -> Pending:
    """Check pending objects against an image, and drop parts and objects without prompts.

    Parameters
    ----------
    pending : iterable of PendingObject
    planes : ImagePlanes
    before : tuple of PendingObject
        What was pending until now: a reopened object keeps its `scope`.

    Raises
    ------
    InputError
        If a prompt lies outside its plane, an object has two parts on one plane, or two objects
        replace the same one.
    """
    pending = listed(pending, "pending objects")
    if not all(isinstance(obj, PendingObject) for obj in pending):
        raise InputError(f"pending objects must be of type PendingObject, not {pending!r:.80}")
    scopes = {obj.replaces: obj.scope for obj in before if obj.replaces is not None}
    kept = []
    for obj in pending:
        parts = tuple(part for part in obj.parts if not part.prompts.is_empty)
        for part in parts:
            planes.check(part.plane)
            part.prompts.check_fits(planes.shape_of(part.plane.view))
            if sum(other.plane == part.plane for other in parts) > 1:
                raise InputError(
                    f"a pending object has several parts on one plane "
                    f"({planes.name_of(part.plane) or 'the only one'}); "
                    f"put all prompts of one object on one plane into one part"
                )
        if parts:
            scope = obj.scope if obj.replaces is None else scopes.get(obj.replaces, obj.scope)
            kept.append(PendingObject(parts, obj.replaces, scope))
    reopened = [obj.replaces for obj in kept if obj.replaces is not None]
    for label in reopened:
        if reopened.count(label) > 1:
            raise InputError(f"object {label} is being edited twice; keep one of the two")
    return tuple(kept)
