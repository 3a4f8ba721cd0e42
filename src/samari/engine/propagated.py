"""What a propagation finds, and what it tells in the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from samari.engine.regions import Region


@dataclass(frozen=True, eq=False)
class FoundMask:
    """What was found of one object on one plane."""

    target: int
    index: int
    region: Region
    confidence: float


@dataclass
class PropagationReport:
    """What a propagation did.

    Attributes
    ----------
    confidence : dict of int to dict of int to float
        For every label, for every plane it was written on: between 0 and 1, how sure the mask is.
        The model's own estimate times the overlap with the plane before.
    ended : dict of int to dict of int to str
        For every label, the planes on which it was not found any more, and why: "score",
        "overlap", "area", "contrast", "lost" (no mask that touches the last one), "stop sign",
        "taken" (all its pixels are another object's).
    cancelled : bool
        Whether it was stopped; what was done until then is in the labels.
    """

    confidence: dict[int, dict[int, float]] = field(default_factory=dict)
    ended: dict[int, dict[int, str]] = field(default_factory=dict)
    cancelled: bool = False

    @property
    def planes(self) -> int:
        """How many masks were written."""
        return sum(map(len, self.confidence.values()))
