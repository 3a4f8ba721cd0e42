"""Encodes what the user will probably look at next, while nothing else is to be done."""

from __future__ import annotations

import math
import time
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from samari.engine.pictures import PlanePicture
from samari.engine.planes import PlaneIndex
from samari.engine.tiled import encode_tile
from samari.engine.tiles import TilePyramid
from samari.plugin import settings
from samari.plugin.jobs import Job, Priority
from samari.plugin.pace import quick_handover

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from samari.engine.planes import ImagePlanes
    from samari.engine.tiles import Tile
    from samari.plugin.models import DeferredSegmenter
    from samari.plugin.worker import InferenceThread

#: Planes to either side that are encoded ahead, and seconds that may be spent on it at one place.
REACH, SECONDS = 20, 60.0
#: Embeddings that the cache keeps free for what the user asks.
_SPARE = 4


class Place(NamedTuple):
    """What is encoded as one picture: a plane, or a tile of a large one.

    The tile is None as long as no model is there that says how large it is.
    """

    plane: PlaneIndex
    tile: Tile | None


class Prefetch:
    """Keeps the neighbours of the place on screen encoded, the nearest first.

    A question of the user waits for at most one block of the encoder, because these jobs have the
    lowest priority. Where the cache is too small for all neighbours, the farthest are left out, and
    of what it holds the farthest is the first to go.

    Parameters
    ----------
    planes : ImagePlanes
    segmenter : DeferredSegmenter
    thread : InferenceThread
    """

    def __init__(
        self, planes: ImagePlanes, segmenter: DeferredSegmenter, thread: InferenceThread
    ) -> None:
        self.enabled = settings.current().prefetch
        #: Places that were encoded by the present model.
        self.encoded: dict[Place, Encoded] = {}
        self._planes = planes
        self._segmenter = segmenter
        self._thread = thread
        self._around: Place | None = None
        self._waiting: list[Place] = []
        self._job: tuple[Place, Job] | None = None
        self._left = 0.0

    def holds(self, place: Place) -> bool:
        """Whether the embedding of a place is in the cache."""
        found = self.encoded.get(place)
        return found is not None and found.key in self._segmenter.cache

    def is_ready(self, place: Place) -> bool:
        """Whether there is no use in encoding a place now.

        What was encoded and has left the cache is encoded again, unless the cache is too small for
        any such embedding: that would never end.
        """
        found = self.encoded.get(place)
        if found is None:
            return False
        cache = self._segmenter.cache
        return found.key in cache or found.nbytes > cache.max_bytes

    def follow(self, place: Place) -> None:
        """Go on around another place, which is encoded."""
        if not self.enabled or place == self._around or place.tile is None:
            return
        self._around, self._left = place, SECONDS
        near = list(islice(neighbours(place, self._planes, self._pyramid(place)), self._room()))
        self._waiting = [one for one in near if not self.holds(one)]
        for one in (*reversed(near), place):
            if self.holds(one):  # in memory: nothing is read from the disk here
                # Used last, so near ones stay longest.
                self._segmenter.cache.get(self.encoded[one].key)
        if self._job is not None and self._job[0] not in self._waiting:
            self._drop()
        self._next()

    def take(self, place: Place) -> Job | None:
        """Give away the job that encodes a place, if there is one: somebody waits for it now."""
        if self._job is None or self._job[0] != place:
            return None
        job, self._job = self._job[1], None
        return job

    def stop(self) -> None:
        """Encode nothing until `follow` is called again."""
        self._around = None
        self._waiting.clear()
        self._drop()

    def set_segmenter(self, segmenter: DeferredSegmenter) -> None:
        """Go on with another model."""
        self.stop()
        self.encoded.clear()
        self._segmenter = segmenter

    def _next(self) -> None:
        if self._job is not None or self._left <= 0:
            return
        place = next((one for one in self._waiting if not self.holds(one)), None)
        if place is None:
            return
        self._waiting.remove(place)
        start = partial(encode_place, self._planes, self._segmenter, place, (0.0, 0.0))
        job = Job(start, Priority.IDLE, done=self._on_done, failed=self._on_failed)
        self._job = place, job
        self._thread.submit(job)

    def _drop(self) -> None:
        if self._job is not None:
            job, self._job = self._job[1], None
            job.done = job.failed = None
            self._thread.cancel(job)

    def _on_done(self, job: Job, encoded: Encoded) -> None:
        if self._job is None or self._job[1] is not job:
            return
        place, self._job = self._job[0], None
        self.encoded[place] = encoded
        self._left -= encoded.seconds
        self._next()

    def _on_failed(self, job: Job, error: BaseException) -> None:
        """Stop; who looks at that plane or clicks on it will be told what is wrong."""
        if self._job is not None and self._job[1] is job:
            self._job = None
            self._waiting.clear()

    def _pyramid(self, place: Place) -> TilePyramid:
        shape = self._planes.shape_of(place.plane.view)
        return TilePyramid(shape, self._segmenter.picture_size)

    def _room(self) -> int:
        """Return for how many neighbours the cache has room."""
        if not REACH:
            return 0
        cache = self._segmenter.cache
        if not cache.nbytes:
            return 2 * REACH
        return max(0, min(2 * REACH, cache.max_bytes * len(cache) // cache.nbytes - _SPARE))


class Encoded(NamedTuple):
    """What came of the encoding of a place.

    Attributes
    ----------
    tile : Tile
    key : str
        Of the embedding.
    nbytes : int
        Memory of the embedding.
    seconds : float
        How long it took.
    """

    tile: Tile
    key: str
    nbytes: int
    seconds: float


def neighbours(place: Place, planes: ImagePlanes, pyramid: TilePyramid) -> Iterator[Place]:
    """Yield the places next to one, the nearest first.

    Of a plane in a stack these are the planes above and below along its last axis, of a tile in a
    single plane the tiles around it.
    """
    plane, tile = place
    if plane.index:
        axes = [letter for letter in planes.label_axes if letter not in plane.view]
        count = planes.label_shape[planes.label_axes.index(axes[-1])]
        *others, at = plane.index
        for step in range(1, count):
            for index in (at + step, at - step):
                if 0 <= index < count:
                    yield Place(PlaneIndex(plane.view, (*others, index)), tile)
    elif tile is not None and tile.level < pyramid.top:
        y0, x0, y1, x1 = tile.box
        step = (pyramid.side << tile.level) // 2
        around = [(y, x) for y in (-step, 0, step) for x in (-step, 0, step)]
        around.sort(key=lambda move: abs(move[0]) + abs(move[1]))
        tiles = [pyramid.at(((y0 + y1) / 2 + y, (x0 + x1) / 2 + x), tile.level) for y, x in around]
        for other in dict.fromkeys(tiles):
            if other != tile:
                yield Place(plane, other)


def encode_place(
    planes: ImagePlanes,
    segmenter: DeferredSegmenter,
    place: Place,
    near: tuple[float, float],
    job: Job,
    *,
    gently: Callable[[float], object] | None = None,
) -> Generator[tuple[int, int], None, Encoded]:
    """Read a place and encode it. The embedding stays in the segmenter's cache.

    Parameters
    ----------
    planes, segmenter
    place : Place
        Where it names no tile, the finest one around `near` is taken.
    near : (row, column)
    job : Job
    gently : callable, optional
        Called before every step with the seconds since the first one, and after it with infinity.
    """
    picture = PlanePicture(planes, place.plane)
    tile = place.tile or TilePyramid(picture.shape, segmenter.picture_size).at(near)
    steps = encode_tile(segmenter, picture, tile)  # type: ignore[arg-type]
    spent = 0.0
    while True:
        start = time.monotonic()
        if gently is not None:
            gently(spent)
        try:
            with quick_handover():
                step = next(steps)
        except StopIteration as end:
            return Encoded(tile, end.value.key, end.value.nbytes, spent)
        finally:
            spent += time.monotonic() - start
            if gently is not None:
                gently(math.inf)
        yield step
