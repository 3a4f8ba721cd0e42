"""The answer to the prompts of one object on one plane."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from samari.engine.masks import box_of
from samari.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from samari.engine.masks import Box


@dataclass(frozen=True, eq=False)
class Prediction:
    """Candidate masks with their scores; ``scores[i]`` belongs to ``masks[i]``.

    Attributes
    ----------
    masks : ndarray of bool, shape (n, H, W)
        Candidates on the plane.
    scores : ndarray of float32, shape (n,)
        The model's own estimate of each mask's overlap (intersection over union) with the object.
    logits : ndarray of float32, shape (n, 4 h, 4 w)
        What the masks were made of: the mask prompts of a next step.
    chosen : int
        The candidate taken: the one that the prompts name, or the one of the highest score.
    boxes : tuple of (y0, x0, y1, x1) or None, optional
        What `bbox` returns; looked up in the masks where not given.
    """

    masks: NDArray[np.bool_]
    scores: NDArray[np.float32]
    logits: NDArray[np.float32]
    chosen: int
    boxes: tuple[Box | None, ...] | None = None

    def __post_init__(self) -> None:
        """Check that there are as many scores and logits as masks."""
        count = len(self.masks)
        if not count == len(self.scores) == len(self.logits) or not 0 <= self.chosen < count:
            raise InputError(
                f"{count} masks with {len(self.scores)} scores, {len(self.logits)} logits and "
                f"chosen = {self.chosen} do not belong together"
            )

    @property
    def best_index(self) -> int:
        """Index of the highest score; the first of equals."""
        return int(np.argmax(self.scores))

    @property
    def best(self) -> NDArray[np.bool_]:
        """The mask (H, W) of the highest score."""
        return self.masks[self.best_index]

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The chosen mask (H, W)."""
        return self.masks[self.chosen]

    @property
    def score(self) -> float:
        """The score of the chosen mask."""
        return float(self.scores[self.chosen])

    def bbox(self, index: int) -> Box | None:
        """Return the half-open box (y0, x0, y1, x1) that holds mask `index`, None if it is empty.

        ``masks[index][y0:y1, x0:x1]`` is all of the object.
        """
        return self._boxes[index] if self.boxes is None else self.boxes[index]

    @cached_property
    def _boxes(self) -> tuple[Box | None, ...]:
        return tuple(box_of(mask) for mask in self.masks)
