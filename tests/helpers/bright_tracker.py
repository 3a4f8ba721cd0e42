"""A stand-in for the tracker of propagation: an object is what is equally bright."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from samari.engine.regions import Region
from samari.engine.tracking import Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from samari.engine.regions import Contrast
    from samari.engine.scenes import Scene
    from samari.engine.tiles import Tile


class BrightTracker:
    """Stands for `Tracker`: an object is every pixel of its brightness, if that is above 50."""

    def __init__(self, model: Any) -> None:
        pass

    def score(self, scene: Scene) -> float:
        """Return how sure the model is on a scene."""
        return 0.9

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
            found.append(Step(region, logits, self.score(scene), contrast, scene.tile))
        return found
