"""A stand-in for the model that finds what is as bright as the prompted place, and a stack."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from samari.engine.regions import Region
from samari.engine.tracking import Step

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from samari.engine.regions import Contrast
    from samari.engine.scenes import Scene
    from samari.engine.tiles import Tile


@dataclass
class Model:
    """Encodes what it sees to itself, in two blocks."""

    model_name: str = "bright"
    model_hash: str = "b1"
    device: str = "cpu"
    picture_size: int = 1 << 20
    encoded: list[int] = field(default_factory=list)
    pictures: list[tuple[int, int]] = field(default_factory=list)
    scores: dict[int, float] = field(default_factory=dict)

    def encode_steps(
        self, rgb: Any, plane_shape: tuple[int, int] | None = None
    ) -> Generator[tuple[int, int], None, Any]:
        yield 1, 2
        yield 2, 2
        self.pictures.append(plane_shape or rgb.shape[:2])
        self.encoded.append(int(rgb[0, 0, 0]))  # the corner tells the plane
        return Plane(rgb[..., 0], self)


@dataclass
class Plane:
    grey: Any
    model: Model
    nbytes: int = 1000


class BrightTracker:
    """Stands for `Tracker`: an object is every pixel of its brightness."""

    def __init__(self, model: Model) -> None:
        pass

    def start(self, region: Region, contrast: Contrast, tile: Tile) -> Step:
        return Step(region, self.logits(region, tile), 1.0, contrast, tile)

    def logits(self, region: Region, tile: Tile) -> Any:
        return np.where(region.on(tile.box), 4, -4).astype(np.float32)

    def logits_in(self, tile: Tile, step: Step) -> Any:
        return self.logits(step.region, tile)

    def joined(self, logits: Any, tile: Tile) -> Region | None:
        return Region.of(logits > 0, tile.corner)

    def follow(self, scene: Scene, last: Sequence[Step]) -> list[Step | None]:
        found: list[Step | None] = []
        plane: Any = scene.embedding
        score = plane.model.scores.get(int(plane.grey[0, 0]), 0.9)
        y0, x0, y1, x1 = scene.tile.box
        grey = scene.grey
        if grey is None:
            grey = scene.picture.read(slice(y0, y1), slice(x0, x1))[..., 0]
        for step in last:
            row, col = map(int, np.subtract(step.region.interior, scene.tile.corner))
            value = grey[row, col]
            region = Region.of((grey == value) & (value > 50), scene.tile.corner)
            region = None if region is None else region.connected_to(step.region)
            if region is None:
                found.append(None)
                continue
            logits, contrast = self.logits(region, scene.tile), scene.contrast(region)
            found.append(Step(region, logits, score, contrast, scene.tile))
        return found


def stack(planes: int = 12) -> Any:
    """Two columns of 8 x 8 pixels from plane 2 to 9; the corner pixel counts the planes."""
    image = np.zeros((planes, 24, 32), np.uint8)
    image[2:10, 4:12, 4:12] = 200
    image[2:10, 4:12, 18:26] = 100
    image[:, 0, 0] = np.arange(planes)
    return image
