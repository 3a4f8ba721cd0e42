"""A stack of two columns, and a stand-in for the model that follows what is equally bright."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from tests.plugin.conftest import Discs

from samari.engine.regions import Region
from samari.engine.tracking import Step

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from samari.engine.regions import Contrast
    from samari.engine.scenes import Scene
    from samari.engine.tiles import Tile

#: Middles (Y, X) of the two objects, which are discs of radius 6 on the planes 2 to 9.
LEFT, RIGHT = (16.0, 16.0), (16.0, 46.0)
PLANES = list(range(2, 10))


@dataclass
class Follower(Discs):
    """Answers clicks with discs; the plane whose corner pixel is `stop_at` is never encoded."""

    device: str = "cpu"
    stop_at: int = -1

    def encode_steps(self, rgb: Any) -> Generator[tuple[int, int], None, Any]:
        while rgb[0, 0, 0] == self.stop_at:
            time.sleep(0.005)
            yield 1, self.blocks
        return (yield from super().encode_steps(rgb))


class BrightTracker:
    """Stands for `Tracker`: an object is every pixel of its brightness."""

    def __init__(self, model: Any) -> None:
        pass

    def start(self, region: Region, contrast: Contrast, tile: Tile) -> Step:
        return Step(region, self._logits(region, tile), 1.0, contrast, tile)

    def _logits(self, region: Region, tile: Tile) -> Any:
        return np.where(region.on(tile.box), 4, -4).astype(np.float32)

    def logits_in(self, tile: Tile, step: Step) -> Any:
        return self._logits(step.region, tile)

    def joined(self, logits: Any, tile: Tile) -> Region | None:
        return Region.of(logits > 0)

    def follow(self, scene: Scene, last: Sequence[Step]) -> list[Step | None]:
        found: list[Step | None] = []
        assert scene.grey is not None
        for step in last:
            value = scene.grey[tuple(map(int, step.region.interior))]
            region = Region.of((scene.grey == value) & (value > 50))
            region = None if region is None else region.connected_to(step.region)
            if region is None:
                found.append(None)
            else:
                # Plane 8 is a doubtful one.
                score = 0.3 if scene.grey[0, 0] == 8 else 0.9
                logits, contrast = self._logits(region, scene.tile), scene.contrast(region)
                found.append(Step(region, logits, score, contrast, scene.tile))
        return found


def stack(planes: int = 12) -> Any:
    """Two columns; the corner pixel counts the planes."""
    image = np.zeros((planes, 48, 64), np.uint8)
    y, x = np.indices(image.shape[1:])
    for (row, col), value in ((LEFT, 200), (RIGHT, 100)):
        image[PLANES[0] : PLANES[-1] + 1, (y - row) ** 2 + (x - col) ** 2 <= 36] = value
    image[:, 0, 0] = np.arange(planes)
    return image


def planes_of(session: Any, label: int, axis: int = 0) -> list[int]:
    """The planes that an object has pixels on."""
    across = tuple(a for a in range(session.labels.ndim) if a != axis)
    return np.flatnonzero((session.labels == label).any(axis=across)).tolist()


def follows(session: Any, label: int, value: int) -> bool:
    """Whether an object is what has this brightness; plane 5 is what a click made it."""
    wanted, found = stack() == value, session.labels == label
    others = np.arange(len(wanted)) != 5
    return bool(found[5].any() and (found[others] == wanted[others]).all())
