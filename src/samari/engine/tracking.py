"""One step of propagation: the next plane is prompted with the last mask, for many objects at once.

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
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from samari.engine.embedding import Embedding
    from samari.engine.frames import Frame
    from samari.engine.predict import Segmenter
    from samari.engine.regions import Contrast

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
    """

    region: Region
    logits: NDArray[np.float32]
    score: float
    contrast: Contrast


@dataclass(frozen=True, eq=False)
class Scene:
    """A plane as the model and the eye see it.

    Attributes
    ----------
    embedding : Embedding
    grey : ndarray of uint8, shape (H, W)
    """

    embedding: Embedding
    grey: NDArray[np.uint8]

    @property
    def nbytes(self) -> int:
        """Memory of both, in bytes."""
        return self.embedding.nbytes + self.grey.nbytes


def grey_of(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the mean of the colours, (H, W), of a plane (H, W, 3)."""
    return np.rint(rgb.mean(axis=2)).astype(np.uint8)


class Tracker:
    """Asks a model where objects of one plane are on the next one.

    Parameters
    ----------
    segmenter : Segmenter
    plane_shape : (int, int)
        Rows and columns of every plane.
    """

    def __init__(self, segmenter: Segmenter, plane_shape: tuple[int, int]) -> None:
        self._model = segmenter.model
        self._frame: Frame = FrameRule.of(segmenter.model.config).frame(plane_shape)
        self._shape = plane_shape

    def start(self, region: Region, grey: NDArray[np.uint8]) -> Step:
        """Return a mask that is known, on a plane (H, W), as the step to go on from."""
        y0, x0, y1, x1 = region.box
        mask = np.zeros(self._shape, bool)
        mask[y0:y1, x0:x1] = region.mask
        return Step(region, mask_prompt(mask, self._frame), 1.0, region.contrast(grey))

    def follow(self, scene: Scene, last: Sequence[Step]) -> list[Step | None]:
        """Find each of some objects on the next plane.

        Parameters
        ----------
        scene : Scene
            The next plane.
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

    def joined(self, logits: NDArray[np.float32]) -> Region | None:
        """Return the mask of logits; None if it is empty."""
        (mask,), (box,) = masks_of(logits[None], self._frame)
        return None if box is None else Region(box, mask)

    def _follow(self, scene: Scene, last: Sequence[Step]) -> list[Step | None]:
        boxes = [self._boxed(step.region) for step in last]
        points = [self._frame.to_frame([step.region.interior]) for step in last]
        prior = [step.logits for step in last]
        by_box, box_scores = self._ask(scene.embedding, boxes=boxes, masks=prior)
        by_point, point_scores = self._ask(scene.embedding, points=points, many=True)
        found: list[Step | None] = []
        for k, step in enumerate(last):
            choice = self._likeliest(by_point[k], point_scores[k], step.region)
            both = np.stack([by_box[k][0], by_point[k][choice]])
            logits: NDArray[np.float32] = np.clip(both, -_CERTAIN, _CERTAIN).mean(axis=0)
            region = self.joined(logits)
            region = None if region is None else region.connected_to(step.region)
            if region is None:
                found.append(None)
                continue
            score = float(box_scores[k][0] + point_scores[k][choice]) / 2
            found.append(Step(region, logits, score, region.contrast(scene.grey)))
        return found

    def _likeliest(
        self, logits: NDArray[np.float32], scores: NDArray[np.float32], region: Region
    ) -> int:
        """Return which of three candidates is best by its score times its overlap with a mask."""
        overlaps = [
            0.0 if box is None else Region(box, mask).overlap(region)
            for mask, box in zip(*masks_of(logits, self._frame), strict=True)
        ]
        return int(np.argmax(np.array(overlaps) * scores))

    def _boxed(self, region: Region) -> NDArray[np.float64]:
        """Return the box prompt (x0, y0, x1, y1) of the frame, cut to the plane."""
        corners = np.reshape(region.grown_box(_MARGIN), (2, 2))
        inside = np.clip(corners, -0.5, np.array(self._shape) - 0.5)
        return self._frame.to_frame(inside).ravel()

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
