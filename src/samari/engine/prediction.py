"""The answer to the prompts of one object on one plane."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from samari.engine.masks import boxed, pasted
from samari.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from samari.engine.masks import Box
    from samari.engine.tiles import Tile


@dataclass(frozen=True, eq=False)
class Prediction:
    """Candidate masks with their scores; ``scores[i]`` belongs to ``masks[i]``.

    Each mask is kept as the part of the plane that holds it, so that the answer to a click costs
    no more memory on a large plane than on a small one.

    Attributes
    ----------
    crops : tuple of ndarray of bool
        Candidates, each cut to its box.
    boxes : tuple of (y0, x0, y1, x1) or None
        Where each lies on the plane, half-open; None if it is empty.
    scores : ndarray of float32, shape (n,)
        The model's own estimate of each mask's overlap (intersection over union) with the object.
    logits : ndarray of float32, shape (n, 4 h, 4 w)
        What the masks were made of: the mask prompts of a next step.
    chosen : int
        The candidate taken: the one that the prompts name, or the one of the highest score.
    shape : (int, int)
        Rows and columns H, W of the plane.
    tile : Tile or None
        Which part of a large plane the model saw; None for all of it.
    """

    crops: tuple[NDArray[np.bool_], ...]
    boxes: tuple[Box | None, ...]
    scores: NDArray[np.float32]
    logits: NDArray[np.float32]
    chosen: int
    shape: tuple[int, int]
    tile: Tile | None = None

    def __post_init__(self) -> None:
        """Check that there are as many scores and logits as masks."""
        count = len(self.crops)
        lengths = {len(self.boxes), len(self.scores), len(self.logits)}
        if lengths != {count} or not 0 <= self.chosen < count:
            raise InputError(
                f"{count} masks with {len(self.scores)} scores, {len(self.logits)} logits and "
                f"chosen = {self.chosen} do not belong together"
            )

    @classmethod
    def of(
        cls,
        masks: Sequence[NDArray[np.bool_]] | NDArray[np.bool_],
        scores: NDArray[np.float32],
        logits: NDArray[np.float32],
        chosen: int,
    ) -> Prediction:
        """Build from masks of the whole plane, shape (n, H, W)."""
        cut = [boxed(np.asarray(mask, dtype=bool)) for mask in masks]
        crops, boxes = tuple(mask for mask, _ in cut), tuple(box for _, box in cut)
        return cls(crops, boxes, scores, logits, chosen, np.shape(masks)[1:])

    def __len__(self) -> int:
        """Return the number of candidates."""
        return len(self.crops)

    @cached_property
    def masks(self) -> NDArray[np.bool_]:
        """All candidates as planes, ndarray of bool, shape (n, H, W); made when first asked for."""
        pairs = zip(self.crops, self.boxes, strict=True)
        return np.stack([pasted(crop, box, self.shape) for crop, box in pairs])

    @property
    def best_index(self) -> int:
        """Index of the highest score; the first of equals."""
        return int(np.argmax(self.scores))

    @property
    def best(self) -> NDArray[np.bool_]:
        """The mask (H, W) of the highest score."""
        return self._plane(self.best_index)

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The chosen mask (H, W)."""
        return self._plane(self.chosen)

    @property
    def score(self) -> float:
        """The score of the chosen mask."""
        return float(self.scores[self.chosen])

    @property
    def nbytes(self) -> int:
        """Memory of masks, logits and scores, in bytes."""
        crops = sum(crop.nbytes for crop in self.crops)
        return crops + self.logits.nbytes + self.scores.nbytes

    def bbox(self, index: int) -> Box | None:
        """Return the half-open box (y0, x0, y1, x1) that holds mask `index`, None if it is empty.

        ``crops[index]`` is all of the object.
        """
        return self.boxes[index]

    def seen_in(self, tile: Tile, shape: tuple[int, int]) -> Prediction:
        """Return the same answer, given on a tile, as one on the plane of a shape (H, W)."""
        row, col = tile.corner
        boxes = tuple(
            None if box is None else (box[0] + row, box[1] + col, box[2] + row, box[3] + col)
            for box in self.boxes
        )
        return replace(self, boxes=boxes, shape=shape, tile=tile)

    def _plane(self, index: int) -> NDArray[np.bool_]:
        return pasted(self.crops[index], self.boxes[index], self.shape)
