"""A stand-in for the model that finds what is as bright as the prompted place, and a stack."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from samari.engine.regions import Region
from samari.engine.tracking import Scene, Step

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence


@dataclass
class Model:
    """Encodes a plane to itself, in two blocks."""

    model_name: str = "bright"
    model_hash: str = "b1"
    device: str = "cpu"
    encoded: list[int] = field(default_factory=list)
    scores: dict[int, float] = field(default_factory=dict)

    def encode_steps(self, rgb: Any) -> Generator[tuple[int, int], None, Any]:
        yield 1, 2
        yield 2, 2
        self.encoded.append(int(rgb[0, 0, 0]))  # the corner tells the plane
        return Plane(rgb[..., 0], self)


@dataclass
class Plane:
    grey: Any
    model: Model
    nbytes: int = 1000


class BrightTracker:
    """Stands for `Tracker`: an object is every pixel of its brightness."""

    def __init__(self, model: Model, shape: tuple[int, int]) -> None:
        self.shape = shape

    def start(self, region: Region, grey: Any) -> Step:
        return Step(region, self.logits(region), 1.0, region.contrast(grey))

    def logits(self, region: Region) -> Any:
        return np.where(region.on((0, 0, *self.shape)), 4, -4).astype(np.float32)

    def joined(self, logits: Any) -> Region | None:
        return Region.of(logits > 0)

    def follow(self, scene: Scene, last: Sequence[Step]) -> list[Step | None]:
        found: list[Step | None] = []
        plane: Any = scene.embedding
        score = plane.model.scores.get(int(plane.grey[0, 0]), 0.9)
        for step in last:
            row, col = map(int, step.region.interior)
            value = plane.grey[row, col]
            region = Region.of((plane.grey == value) & (value > 50))
            region = None if region is None else region.connected_to(step.region)
            if region is None:
                found.append(None)
                continue
            contrast = region.contrast(scene.grey)
            found.append(Step(region, self.logits(region), score, contrast))
        return found


def stack(planes: int = 12) -> Any:
    """Two columns of 8 x 8 pixels from plane 2 to 9; the corner pixel counts the planes."""
    image = np.zeros((planes, 24, 32), np.uint8)
    image[2:10, 4:12, 4:12] = 200
    image[2:10, 4:12, 18:26] = 100
    image[:, 0, 0] = np.arange(planes)
    return image
