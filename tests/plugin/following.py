"""A stack of two columns, and a stand-in for the model that follows what is equally bright."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from tests.helpers.bright_tracker import BrightTracker
from tests.plugin.conftest import Discs

if TYPE_CHECKING:
    from collections.abc import Generator

    from samari.engine.scenes import Scene

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


class DoubtfulTracker(BrightTracker):
    """Is in doubt on plane 8."""

    def score(self, scene: Scene) -> float:
        return 0.45 if scene.picture.read(slice(1), slice(1))[0, 0, 0] == 8 else 0.9


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
