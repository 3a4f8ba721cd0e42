"""What a box promises: whether a model's masks may leave it.

The published models may draw beyond a box, because many are drawn sloppily. A small model knows
less well where its box ends; it may ask (``"samari": {"box_margin": 0.05}`` in its ``config.json``)
that nothing is drawn farther outside than that share of the box's sides.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from samari.engine.masks import box_of
from samari.errors import ModelError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from samari.engine.masks import Box
    from samari.engine.prompts import PlanePrompts
    from samari.sam import SamConfig


@dataclass(frozen=True)
class BoxRule:
    """How far a mask may reach beyond its box prompt.

    Attributes
    ----------
    margin : float or None
        Share of the box's height above and below, of its width left and right; None: any distance.
    """

    margin: float | None = None

    @classmethod
    def of(cls, config: SamConfig) -> BoxRule:
        """Read the rule of a model from its configuration.

        Raises
        ------
        ModelError
            If ``samari.box_margin`` is neither absent, null nor a number from 0 on.
        """
        margin = config.extra.get("samari", {}).get("box_margin")
        number = isinstance(margin, int | float) and not isinstance(margin, bool)
        if margin is not None and not (number and 0 <= margin < math.inf):
            raise ModelError(
                f'"samari.box_margin" in config.json must be a number from 0 on, got {margin!r}'
            )
        return cls(margin)

    def cut(
        self, masks: NDArray[np.bool_], boxes: list[Box | None], prompts: PlanePrompts
    ) -> list[Box | None]:
        """Empty masks beyond the box, unless a positive point or the mask prompt lies there too.

        Parameters
        ----------
        masks : ndarray of bool, shape (n, H, W)
            Changed in place.
        boxes : list of (y0, x0, y1, x1) or None
            Where each mask lies, half-open, see `masks_of`.
        prompts : PlanePrompts
            What was asked.

        Returns
        -------
        list of (y0, x0, y1, x1) or None
            Where each mask lies now.
        """
        limits = self._limits(prompts, masks.shape[1:])
        if limits is None:
            return boxes
        top, left, bottom, right = limits
        kept: list[Box | None] = []
        for mask, box in zip(masks, boxes, strict=True):
            if box is None or (
                top <= box[0] and left <= box[1] and box[2] <= bottom and box[3] <= right
            ):
                kept.append(box)
                continue
            y0, x0, y1, x1 = box
            mask[y0 : min(top, y1), x0:x1] = False
            mask[max(bottom, y0) : y1, x0:x1] = False
            mask[y0:y1, x0 : min(left, x1)] = False
            mask[y0:y1, max(right, x0) : x1] = False
            kept.append(box_of(mask))
        return kept

    def _limits(self, prompts: PlanePrompts, shape: tuple[int, ...]) -> Box | None:
        """Return the pixels (half-open) that a mask may have; None if there is no limit."""
        if self.margin is None or prompts.box is None or prompts.mask is not None:
            return None
        y0, x0, y1, x1 = prompts.box
        y0, y1, x0, x1 = min(y0, y1), max(y0, y1), min(x0, x1), max(x0, x1)
        high, wide = self.margin * (y1 - y0), self.margin * (x1 - x0)
        y0, x0, y1, x1 = y0 - high, x0 - wide, y1 + high, x1 + wide
        for (y, x), label in zip(prompts.points, prompts.labels, strict=True):
            if label and not (y0 <= y <= y1 and x0 <= x <= x1):
                return None  # the user says that the object goes on outside
        # A pixel belongs to the box if its centre does.
        top, left = max(0, math.ceil(y0)), max(0, math.ceil(x0))
        return top, left, min(shape[0], math.floor(y1) + 1), min(shape[1], math.floor(x1) + 1)
