"""One step of propagation: the next plane is prompted with the last mask, for many objects at once.

Regions are in pixels of the plane; what goes to the model is in those of a tile.

docs/design/propagation.md tells why the model is asked what it is asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from samari.engine.decoding import CHUNK, CHUNK_ELSEWHERE
from samari.engine.frames import FrameRule
from samari.engine.masks import mask_prompt, masks_of
from samari.engine.regions import Region

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from samari.engine.embedding import Embedding
    from samari.engine.frames import Frame
    from samari.engine.predict import Segmenter
    from samari.engine.regions import Contrast
    from samari.engine.scenes import Scene
    from samari.engine.tiles import Tile

#: By how much of its length each side of the last mask's box is moved out.
_MARGIN = 0.025
#: Logits beyond this are as certain as any when several answers are joined.
_CERTAIN = 6.0


@dataclass(frozen=True, eq=False)
class Step:
    """What is known of an object on one plane, from which it is followed to the next.

    Attributes
    ----------
    region : Region
    logits : ndarray of float32, shape (4 h, 4 w)
    score : float
        The model's own estimate of the mask's quality.
    contrast : Contrast
    tile : Tile
        What the logits are of.
    """

    region: Region
    logits: NDArray[np.float32]
    score: float
    contrast: Contrast
    tile: Tile


class Tracker:
    """Asks a model where objects of one plane are on the next one.

    Parameters
    ----------
    segmenter : Segmenter
    """

    def __init__(self, segmenter: Segmenter) -> None:
        self._model = segmenter.model
        self._rule = FrameRule.of(segmenter.model.config)

    def start(self, region: Region, contrast: Contrast, tile: Tile) -> Step:
        """Return a mask that is known, and lies in a tile, as the step to go on from."""
        return Step(region, self._drawn(region, tile), 1.0, contrast, tile)

    def follow(self, scene: Scene, last: Sequence[Step]) -> list[Step | None]:
        """Find each of some objects on the next plane.

        Parameters
        ----------
        scene : Scene
            The next plane, or a tile of it.
        last : sequence of Step
            The objects on the last one.

        Returns
        -------
        list of Step or None
            None where no part of the object touches what it was on the last plane.
        """
        found: list[Step | None] = []
        at_once = CHUNK.get(scene.embedding.features.device.type, CHUNK_ELSEWHERE)
        for first in range(0, len(last), at_once):
            found += self._follow(scene, last[first : first + at_once])
        return found

    def logits_in(self, tile: Tile, step: Step) -> NDArray[np.float32]:
        """Return the logits of a step in a tile: its own, or if it is another tile, of its mask."""
        return step.logits if step.tile == tile else self._drawn(step.region, tile)

    def joined(self, logits: NDArray[np.float32], tile: Tile) -> Region | None:
        """Return the mask of the logits of a tile; None if it is empty."""
        return next(self._regions(logits[None], tile))

    def _drawn(self, region: Region, tile: Tile) -> NDArray[np.float32]:
        """Return the mask prompt of the part of a region that lies in a tile."""
        return mask_prompt(region.on(tile.box), self._frame(tile))

    def _frame(self, tile: Tile) -> Frame:
        return self._rule.frame(tile.shape)

    def _regions(self, logits: NDArray[np.float32], tile: Tile) -> Iterator[Region | None]:
        for mask, box in zip(*masks_of(logits, self._frame(tile)), strict=True):
            yield None if box is None else Region(box, mask).moved(*tile.corner)

    def _follow(self, scene: Scene, last: Sequence[Step]) -> list[Step | None]:
        tile = scene.tile
        frame = self._frame(tile)
        boxes = [self._boxed(step.region, tile, frame) for step in last]
        points = [frame.to_frame([np.subtract(step.region.interior, tile.corner)]) for step in last]
        prior = [self.logits_in(tile, step) for step in last]
        by_box, box_scores = self._ask(scene.embedding, boxes=boxes, masks=prior)
        by_point, point_scores = self._ask(scene.embedding, points=points, many=True)
        found: list[Step | None] = []
        for k, step in enumerate(last):
            choice = self._likeliest(by_point[k], point_scores[k], step.region, tile)
            both = np.stack([by_box[k][0], by_point[k][choice]])
            logits: NDArray[np.float32] = np.clip(both, -_CERTAIN, _CERTAIN).mean(axis=0)
            region = self.joined(logits, tile)
            region = None if region is None else region.connected_to(step.region)
            if region is None:
                found.append(None)
                continue
            score = float(box_scores[k][0] + point_scores[k][choice]) / 2
            found.append(Step(region, logits, score, scene.contrast(region), tile))
        return found

    def _likeliest(
        self, logits: NDArray[np.float32], scores: NDArray[np.float32], region: Region, tile: Tile
    ) -> int:
        """Return which of three candidates is best by its score times its overlap with a mask."""
        overlaps = [
            0.0 if one is None else one.overlap(region) for one in self._regions(logits, tile)
        ]
        return int(np.argmax(np.array(overlaps) * scores))

    @staticmethod
    def _boxed(region: Region, tile: Tile, frame: Frame) -> NDArray[np.float64]:
        """Return the box prompt (x0, y0, x1, y1) of the frame, cut to the tile."""
        corners = np.reshape(region.grown_box(_MARGIN), (2, 2)) - tile.corner
        inside = np.clip(corners, -0.5, np.array(tile.shape) - 0.5)
        return frame.to_frame(inside).ravel()

    @torch.inference_mode()
    def _ask(
        self,
        embedding: Embedding,
        *,
        points: list[NDArray[np.float64]] | None = None,
        boxes: list[NDArray[np.float64]] | None = None,
        masks: list[NDArray[np.float32]] | None = None,
        many: bool = False,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return logits (objects, candidates, 4 h, 4 w) and scores (objects, candidates)."""
        device = embedding.features.device

        def tensor(arrays: list[NDArray[np.floating]] | None) -> torch.Tensor | None:
            if arrays is None:
                return None
            return torch.from_numpy(np.stack(arrays).astype(np.float32))[None].to(device)

        labels = None if points is None else torch.ones((1, len(points), 1), device=device)
        output = self._model(
            image_embeddings=embedding.features,
            input_points=tensor(points),  # type: ignore[arg-type]
            input_labels=None if labels is None else labels.long(),
            input_boxes=tensor(boxes),  # type: ignore[arg-type]
            input_masks=tensor(masks),
            multimask_output=many,
        )
        logits = output.pred_masks[0].float().cpu().numpy()
        return logits, output.iou_scores[0].float().cpu().numpy()
