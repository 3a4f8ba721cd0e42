"""The planes of a stack as the model and the eye see them: each tile is encoded once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from samari.engine.pictures import PlanePicture, pixels_read
from samari.engine.prompts import PlanePrompts
from samari.engine.tiled import MAX_READ, encode_tile
from samari.engine.tiles import TilePyramid

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from numpy.typing import NDArray

    from samari.engine.embedding import Embedding
    from samari.engine.pictures import Picture
    from samari.engine.planes import ImagePlanes, PlaneIndex
    from samari.engine.predict import Segmenter
    from samari.engine.regions import Contrast, Region
    from samari.engine.tiles import Tile

#: Encoded tiles held for the way back, in bytes; beyond that one may be encoded a second time.
HELD_BYTES = 2**31
#: Tiles on which objects are known are read once for so many objects in a row that lie on them.
_READ_ONCE = 4
#: Pixels around an object that its contrast may depend on; see `Region.contrast`.
_AROUND = 3


@dataclass(frozen=True, eq=False)
class Scene:
    """A plane, or a tile of a large one, encoded.

    Attributes
    ----------
    embedding : Embedding
    tile : Tile
    picture : Picture
        The plane.
    grey : ndarray of uint8 or None
        The pixels of the tile, where the model saw all of them.
    """

    embedding: Embedding
    tile: Tile
    picture: Picture
    grey: NDArray[np.uint8] | None

    @property
    def nbytes(self) -> int:
        """Memory of embedding and pixels, in bytes."""
        return self.embedding.nbytes + (0 if self.grey is None else self.grey.nbytes)

    def contrast(self, region: Region) -> Contrast:
        """Return how a region of the plane differs from what is close around it."""
        if self.grey is None:
            return _contrast(self.picture, region)
        row, col = self.tile.corner
        return region.moved(-row, -col).contrast(self.grey)


class Scenes:
    """Reads and encodes the planes that objects of one stack of planes are followed through.

    Parameters
    ----------
    planes : ImagePlanes
    model : Segmenter
    view : str
        Of all planes.
    """

    def __init__(self, planes: ImagePlanes, model: Segmenter, view: str) -> None:
        self.pyramid = TilePyramid(planes.shape_of(view), model.picture_size)
        self._planes, self._model = planes, model
        self._held: dict[tuple[PlaneIndex, Tile], Scene] = {}
        self._grey_at = lru_cache(_READ_ONCE)(self._read_grey)

    def tiles(self, plane: PlaneIndex, region: Region, last: Tile | None = None) -> Iterator[Tile]:
        """Yield the tiles in which a region can be looked for, the finest first.

        As for prompts (`TilePyramid.for_prompts`). The tile it was last seen in is kept as long as
        it holds the region, and no finer one does.
        """
        coming = self.pyramid.for_prompts(PlanePrompts(box=region.grown_box(0.0)))
        finest = next(coming)
        stays = last is not None and last.level == finest.level
        if last is not None and stays and self.pyramid.holds(last, region.grown_box(0.0)):
            finest = last
        yield finest
        for tile in coming:
            if pixels_read(PlanePicture(self._planes, plane), tile) > MAX_READ:
                return
            yield tile

    def contrast(self, plane: PlaneIndex, tile: Tile, region: Region) -> Contrast:
        """Return the contrast of a region that is known, in a tile that is not encoded."""
        if tile.level:
            return _contrast(PlanePicture(self._planes, plane), region)
        row, col = tile.corner
        return region.moved(-row, -col).contrast(self._grey_at(plane, tile))

    def encoded(
        self, plane: PlaneIndex, tile: Tile, *, hold: bool
    ) -> Generator[tuple[int, int], None, Scene]:
        """Encode a tile block by block, unless it is held; `hold` it for later if there is room."""
        held = self._held.get((plane, tile))
        if held is not None:
            return held
        picture = PlanePicture(self._planes, plane)
        if tile.level:
            scene = Scene((yield from encode_tile(self._model, picture, tile)), tile, picture, None)
        else:
            rgb = self._read(plane, tile)
            embedding = yield from self._model.encode_steps(rgb)
            scene = Scene(embedding, tile, picture, grey_of(rgb))
        room = HELD_BYTES - sum(one.nbytes for one in self._held.values())
        if hold and scene.nbytes <= room:
            self._held[plane, tile] = scene
        return scene

    def _read(self, plane: PlaneIndex, tile: Tile) -> NDArray[np.uint8]:
        y0, x0, y1, x1 = tile.box
        return self._planes.rgb_plane(plane, slice(y0, y1), slice(x0, x1))

    def _read_grey(self, plane: PlaneIndex, tile: Tile) -> NDArray[np.uint8]:
        return grey_of(self._read(plane, tile))


def grey_of(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the mean of the colours, (H, W), of a plane (H, W, 3)."""
    return np.rint(rgb.mean(axis=2)).astype(np.uint8)


def _contrast(picture: Picture, region: Region) -> Contrast:
    """Return the contrast of a region; of the plane only what is around it is read."""
    y0, x0, y1, x1 = region.box
    rows = slice(max(0, y0 - _AROUND), min(picture.shape[0], y1 + _AROUND))
    cols = slice(max(0, x0 - _AROUND), min(picture.shape[1], x1 + _AROUND))
    return region.moved(-rows.start, -cols.start).contrast(grey_of(picture.read(rows, cols)))
