"""The labels that a layer shows a part of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari.layers import Labels

    from samari.engine.session import Session
    from samari.plugin.labels_overview import LabelsOverview

#: Where a layer that shows a part of some labels keeps them.
KEY = "samari large labels"
#: What marks an overview of such labels, which nobody can add objects to.
OVERVIEW = "samari overview"


@dataclass(eq=False)
class LargeLabels:
    """What a layer shows a part of.

    Attributes
    ----------
    array : array of int
        All labels, in label axes.
    overview : LabelsOverview
    saved : dict
        Keywords of `save_labels` that say where they lie.
    """

    array: Any
    overview: LabelsOverview
    saved: dict[str, Any]

    @classmethod
    def of(cls, session: Session, overview: LabelsOverview) -> LargeLabels:
        """Return those of a session."""
        large = cls(session.labels, overview, {})
        large.measure(session)
        return large

    def measure(self, session: Session) -> None:
        """Take over where the labels of a session lie, and how large their voxels are."""
        self.saved = {
            "axes": session.planes.label_axes,
            "scale": session.scale,
            "units": session.units,
            "translate": session.translate,
            "name": session.name,
        }

    def __deepcopy__(self, memo: Any) -> LargeLabels:
        """Return itself: a copy of the layer shows the same labels."""
        return self


def labels_of(layer: Labels) -> Any:
    """Return the array of a labels layer, all of it where the layer shows a part."""
    large = layer.metadata.get(KEY)
    return layer.data if large is None else large.array


def lengths(box: tuple[slice, ...]) -> tuple[int, ...]:
    """Return the shape of a box of the labels."""
    return tuple(one.stop - one.start for one in box)
