"""The table of accepted objects: where each of them came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from samari.engine.planes import PlaneIndex
    from samari.engine.prompts import PlanePrompts


@dataclass(frozen=True)
class ObjectPart:
    """The origin of one object's pixels on one plane.

    Attributes
    ----------
    plane : PlaneIndex
    prompts : PlanePrompts
        In the order in which they were given, with the choices made.
    candidate : int
        Which of the model's masks was taken.
    score : float
        The model's own estimate of that mask's quality (predicted intersection over union).
    """

    plane: PlaneIndex
    prompts: PlanePrompts
    candidate: int
    score: float


@dataclass(frozen=True)
class SegmentedObject:
    """One accepted object and everything that made it (trap 4).

    Attributes
    ----------
    label : int
        Its id in the labels.
    parts : tuple of ObjectPart
        Empty if it did not come from prompts (a brush, another tool).
    model, model_hash : str
        Name of the model and content hash of its weights; empty without prompts.
    contrast_limits : tuple of float or None
        What was black and white in the plane that the model saw; None for RGB as it is.
    channel : int or None
        Which channel of the image the model saw.
    crop : tuple or None
        Which part of the plane the model saw; None for all of it.
    merged : tuple of SegmentedObject
        Origins of objects that were merged into this one.
    """

    label: int
    parts: tuple[ObjectPart, ...] = ()
    model: str = ""
    model_hash: str = ""
    contrast_limits: tuple[float, float] | None = None
    channel: int | None = None
    crop: tuple[int, ...] | None = None
    merged: tuple[SegmentedObject, ...] = ()

    @property
    def score(self) -> float | None:
        """Lowest score of the parts, None without parts: what deserves a look has a low one."""
        return min((part.score for part in self.parts), default=None)

    @property
    def reopens_from_prompts(self) -> bool:
        """Whether its prompts alone say what it is, without the pixels of a merged object."""
        return bool(self.parts) and not self.merged


class ObjectTable(Mapping[int, SegmentedObject]):
    """Accepted objects by label; those that were in the labels before the session are not in it.

    Read it like a dict. Only the session changes it, together with the labels.
    """

    def __init__(self) -> None:
        self._records: dict[int, SegmentedObject] = {}

    def replace(self, label: int, record: SegmentedObject | None) -> None:
        """Set or, with None, remove the record of a label."""
        if record is None:
            self._records.pop(label, None)
        else:
            self._records[label] = record

    def __getitem__(self, label: int) -> SegmentedObject:
        """Return the record of a label; KeyError if there is none."""
        return self._records[label]

    def __iter__(self) -> Iterator[int]:
        """Go through the labels in increasing order."""
        return iter(sorted(self._records))

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self._records)

    def __contains__(self, label: object) -> bool:
        """Tell whether there is a record of a label."""
        return label in self._records

    def __repr__(self) -> str:
        """List the records."""
        return f"ObjectTable({[self._records[label] for label in self]})"
