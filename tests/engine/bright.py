"""A stand-in for the model that finds what is as bright as the prompted place, and a stack."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from tests.helpers.bright_tracker import BrightTracker

if TYPE_CHECKING:
    from collections.abc import Generator

    from samari.engine.scenes import Scene


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


class ScoredTracker(BrightTracker):
    """Is as sure as the model says for the plane."""

    def score(self, scene: Scene) -> float:
        plane: Any = scene.embedding
        return float(plane.model.scores.get(int(plane.grey[0, 0]), 0.9))


def stack(planes: int = 12) -> Any:
    """Two columns of 8 x 8 pixels from plane 2 to 9; the corner pixel counts the planes."""
    image = np.zeros((planes, 24, 32), np.uint8)
    image[2:10, 4:12, 4:12] = 200
    image[2:10, 4:12, 18:26] = 100
    image[:, 0, 0] = np.arange(planes)
    return image
