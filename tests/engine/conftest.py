"""A stand-in for the model: discs around points, boxes filled, and a count of what it was asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pytest

from samari import zoo
from samari.engine.predict import Segmenter
from samari.engine.prediction import Prediction

if TYPE_CHECKING:
    from collections.abc import Generator

    from numpy.typing import NDArray

    from samari.engine.prompts import PlanePrompts


@dataclass
class DiscSegmenter:
    """Answers with discs of radius 2, 4 and 3 around positive points, in this order.

    Negative points take a disc of radius 1.5 away; a box is filled, a mask prompt is added. The
    candidate chosen at an earlier step sets the radius of that step's point from then on.
    """

    model_name: str = "discs"
    model_hash: str = "d15c"
    picture_size: int = 1 << 20
    zoom_size: int = 0
    decoded: list[PlanePrompts] = field(default_factory=list)
    encoded: int = 0

    def encode_steps(
        self, rgb: NDArray[np.uint8]
    ) -> Generator[tuple[int, int], None, NDArray[np.uint8]]:
        self.encoded += 1
        for block in (1, 2, 3):
            yield block, 3
        return rgb

    def predict_prompts(self, embedding: NDArray[np.uint8], prompts: PlanePrompts) -> Prediction:
        self.decoded.append(prompts)
        shape = embedding.shape[:2]
        radii = (2.0, 4.0, 3.0)
        masks = np.stack([self._mask(shape, prompts, radius) for radius in radii])
        scores = np.array([0.5, 0.9, 0.7], np.float32)
        choice = prompts.choice(prompts.n_steps - 1)
        return Prediction.of(
            masks, scores, np.zeros((3, 1, 1), np.float32), 1 if choice is None else choice
        )

    @staticmethod
    def _mask(shape: tuple[int, ...], prompts: PlanePrompts, last: float) -> NDArray[np.bool_]:
        y, x = np.indices(shape)
        mask = np.zeros(shape, bool) if prompts.mask is None else np.array(prompts.mask)
        if prompts.box is not None:
            y0, x0, y1, x1 = prompts.box
            mask |= (y >= y0) & (y <= y1) & (x >= x0) & (x <= x1)
        for k, ((py, px), label) in enumerate(zip(prompts.points, prompts.labels, strict=True)):
            choice = prompts.choice(k)
            radius = (2.0, 4.0, 3.0)[1 if choice is None else choice]
            if k == len(prompts.points) - 1:
                radius = last
            near = np.hypot(y - py, x - px) <= (radius if label else 1.5)
            mask = mask | near if label else mask & ~near
        return mask


@pytest.fixture
def discs() -> DiscSegmenter:
    return DiscSegmenter()


@pytest.fixture(scope="session")
def bundled() -> Segmenter:
    """Give the model that ships in the package."""
    if not zoo.available("samari-tiny"):
        pytest.skip("the bundled model is not part of this installation")
    return Segmenter(device="cpu")
