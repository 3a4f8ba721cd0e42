"""The tiles in which a plane too large for the model is encoded: from level 0 on a fixed grid.

A model sees pictures of a certain size. A larger plane used to be shrunk to it, and small objects
vanished. Here overlapping tiles cover it at its own resolution, and larger tiles at half, a quarter
and so on, up to the whole plane. Where a mask pixel is as wide as a tenth of the object, outlines
are poor: a model may ask for smaller tiles around small boxes, which it sees enlarged. These have
the box in their middle (but where the plane ends), so that an outline is the same wherever the
object lies. Which tile answers a prompt depends on plane and prompt alone, never on what is on the
screen, so an answer can be given again, and its embedding kept.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from samari.engine.masks import Box
    from samari.engine.prompts import PlanePrompts

#: Prompts in a tile keep this share of its side from an edge at which the plane goes on.
_CONTEXT = 1 / 16
#: A small box is enlarged as long as it takes no more than this share of a zoom picture's side.
_SMALL = 1 / 4
#: Levels below 0 at most: what is enlarged more is blurred, and has no surroundings.
_MOST = 2


@dataclass(frozen=True)
class Tile:
    """A part of a plane that is encoded as one picture.

    Attributes
    ----------
    box : (y0, x0, y1, x1)
        Half-open, in pixels of the plane.
    level : int
        The model sees it reduced by ``2**level``, or as much as the whole plane needs; enlarged
        where the level is below 0.
    """

    box: Box
    level: int = 0

    @property
    def corner(self) -> tuple[int, int]:
        """Row and column of its first pixel."""
        return self.box[0], self.box[1]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the plane that it covers."""
        y0, x0, y1, x1 = self.box
        return y1 - y0, x1 - x0


@dataclass(frozen=True)
class TilePyramid:
    """All tiles of planes of one shape.

    On each level from 0 on tiles begin at every half of their side, the last ones at the plane's
    end; below 0, anywhere. On the last level one tile is the whole plane.

    Attributes
    ----------
    plane_shape : (int, int)
        Rows and columns H, W.
    side : int
        Longest edge of the model's pictures: what is not larger is encoded whole.
    zoom : int
        Side of the pictures in which objects in small boxes are seen enlarged; 0: they are not.
    """

    plane_shape: tuple[int, int]
    side: int
    zoom: int = 0

    @property
    def top(self) -> int:
        """The last level."""
        return max(0, math.ceil(math.log2(max(self.plane_shape) / self.side)))

    @property
    def whole(self) -> Tile:
        """The tile that is the whole plane."""
        return Tile((0, 0, *self.plane_shape), self.top)

    def at(self, point: tuple[float, float], level: int = 0) -> Tile:
        """Return the tile of a level whose middle is closest to a point (row, column)."""
        if level >= self.top:
            return self.whole
        side = self._side(level)
        step = side // 2 if level >= 0 else 1
        (y0, y1), (x0, x1) = (
            _span(value, length, side, step)
            for value, length in zip(point, self.plane_shape, strict=True)
        )
        return Tile((y0, x0, y1, x1), level)

    def for_prompts(self, prompts: PlanePrompts) -> Iterator[Tile]:
        """Yield the tiles in which prompts can be answered, the finest first, the whole plane last.

        On each level it is the tile around the first prompt, as long as all others lie in it: so
        corrections are made in the picture in which the mask was seen. Otherwise it is the one in
        the middle of all prompts.
        """
        boxes = _boxes_of(prompts)
        if boxes:
            around = tuple(
                choose(box[i] for box in boxes) for i, choose in enumerate((min, min, max, max))
            )
            for level in range(self._finest(prompts), self.top):
                for box in (boxes[0], around):
                    tile = self.at(((box[0] + box[2]) / 2, (box[1] + box[3]) / 2), level)
                    if self.holds(tile, around):
                        yield tile
                        break
        yield self.whole

    def tiles(self, level: int) -> list[Tile]:
        """Return all tiles of a level: at every half of their side one has its middle."""
        step = max(1, (self.side << level) // 2)
        rows, cols = (range(0, length + step, step) for length in self.plane_shape)
        return list(dict.fromkeys(self.at((row, col), level) for row in rows for col in cols))

    def is_cut(self, tile: Tile, box: Box | None) -> bool:
        """Return whether a mask in this box (half-open) reaches an edge where the plane goes on."""
        if box is None:
            return False
        edge = 1 << max(0, tile.level)
        low = (box[i] < tile.box[i] + edge and tile.box[i] > 0 for i in (0, 1))
        high = (
            box[i + 2] > tile.box[i + 2] - edge and tile.box[i + 2] < self.plane_shape[i]
            for i in (0, 1)
        )
        return any(low) or any(high)

    def holds(self, tile: Tile, around: tuple[float, ...]) -> bool:
        """Return whether a box (y0, x0, y1, x1) lies in a tile, not close to where it cuts."""
        margin = _CONTEXT * self._side(tile.level)
        for i in (0, 1):
            low = tile.box[i] + margin if tile.box[i] > 0 else -math.inf
            high = tile.box[i + 2] - margin if tile.box[i + 2] < self.plane_shape[i] else math.inf
            if not (low <= around[i] and around[i + 2] <= high):
                return False
        return True

    def _side(self, level: int) -> int:
        """Return the longest edge of the tiles of a level, in pixels of the plane."""
        return self.side << level if level >= 0 else self.zoom >> -level

    def _finest(self, prompts: PlanePrompts) -> int:
        """Return the level to begin at: below 0 for a box that is small in the zoom's pictures."""
        if not self.zoom or prompts.box is None:
            return 0
        y0, x0, y1, x1 = prompts.box
        extent = max(abs(y1 - y0), abs(x1 - x0), 1.0)
        return -min(_MOST, max(0, math.floor(math.log2(_SMALL * self.zoom / extent))))


def by_next_tile(coming: dict[int, Iterator[Tile]]) -> dict[Tile, list[int]]:
    """Return what is to be asked in which tile next, so that each tile is encoded once.

    Parameters
    ----------
    coming : dict of int to iterator of Tile
        The tiles that are left for each question; questions without any are taken out.
    """
    groups: dict[Tile, list[int]] = {}
    for question, tiles in list(coming.items()):
        tile = next(tiles, None)
        if tile is None:
            del coming[question]
        else:
            groups.setdefault(tile, []).append(question)
    return groups


def _span(value: float, length: int, side: int, step: int) -> tuple[int, int]:
    """Return the half-open span of the tile along one axis whose middle is closest to a value."""
    if length <= side:
        return 0, length
    start = math.floor((value + 0.5 - side / 2) / step + 0.5) * step
    start = min(max(start, 0), length - side)
    return start, start + side


def _boxes_of(prompts: PlanePrompts) -> list[tuple[float, float, float, float]]:
    """Return where each of the prompts lies: the region first, then the points."""
    boxes: list[tuple[float, float, float, float]] = []
    if prompts.box is not None:
        boxes.append(prompts.box)
    if prompts.mask is not None:
        y0, x0, y1, x1 = prompts.mask.box
        boxes.append((y0, x0, y1 - 1, x1 - 1))
    return boxes + [(y, x, y, x) for y, x in prompts.points]
