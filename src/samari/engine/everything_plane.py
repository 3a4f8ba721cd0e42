"""Looks for everything on one plane: clicks on a grid, in the tiles of a large one.

What is found at a point is what a click there would give: the finest tile is asked, and coarser
ones as long as the best mask reaches an edge at which the plane goes on (`tiled.answer_steps`). Of
the points whose object is larger than their tile only every other one, along each axis, goes on to
the next level, so a coarse tile is asked no more points than a fine one.

Source: Kirillov et al., "Segment Anything" (2023), appendix B, "Automatic mask generation"; there
crops of an image are looked at, and masks at their edges dropped.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from samari.engine.candidates import PlaneCandidates, pack
from samari.engine.masks import masks_of
from samari.engine.pictures import pixels_read
from samari.engine.prompts import PlanePrompts
from samari.engine.tiled import MAX_READ, encode_tile, on_plane
from samari.engine.tiles import TilePyramid
from samari.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Generator

    from numpy.typing import NDArray

    from samari.engine.embedding import Embedding
    from samari.engine.frames import Frame
    from samari.engine.masks import Box
    from samari.engine.pictures import Picture
    from samari.engine.planes import PlaneIndex
    from samari.engine.predict import Segmenter
    from samari.engine.prediction import Prediction
    from samari.engine.tiles import Tile

#: Logits by which the threshold of a mask is moved to see how stable the mask is.
STABILITY_OFFSET = 1.0
#: Mask pixels that one batch of points may have.
_PIXELS_AT_ONCE = 2**26
#: Encoding a tile counts as much as this share of the points of a whole picture.
_ENCODING_SHARE = 0.25


def grid(
    shape: tuple[int, int], per_side: int, side: int | None = None
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return points, row by row, evenly spaced on a plane (H, W), and how far each goes.

    Parameters
    ----------
    shape : (int, int)
    per_side : int
        Points along each axis, at most one a pixel.
    side : int, optional
        Pixels that `per_side` is meant for where the plane is larger.

    Returns
    -------
    points : ndarray of float64, shape (n, 2)
        (row, column).
    levels : ndarray of int, shape (n,)
        The coarsest level of tiles on which each is asked: of 4**k, about one on level k.

    Raises
    ------
    InputError
        If `per_side` is less than 1.
    """
    if per_side < 1:
        raise InputError(f"points_per_side={per_side} must be at least 1")
    top = 0 if side is None else TilePyramid(shape, side).top
    lines, levels = [], []
    for length in shape:
        wanted = math.ceil(per_side * length / side) if top and side else per_side
        count = min(wanted, length)
        lines.append((np.arange(count) + 0.5) * (length / count) - 0.5)
        levels.append(_levels(count, top))
    rows, cols = np.meshgrid(*lines, indexing="ij")
    points = np.stack([rows.ravel(), cols.ravel()], axis=1)
    return points, np.minimum.outer(*levels).ravel()


def _levels(count: int, top: int) -> NDArray[np.int64]:
    """Return up to which level each of so many points on a line is asked."""
    levels = np.zeros(count, np.int64)
    left = np.arange(count)
    for level in range(1, top + 1):
        # Every other one; the first or the second, in turns, so that they stay in the middle.
        left = left[level % 2 :: 2] if len(left) > 1 else left
        levels[left] = level
    return levels


class Plan:
    """What is asked on planes of one shape: which points, in which tiles.

    Parameters
    ----------
    shape : (int, int)
    side : int
        Longest edge of the model's pictures.
    per_side : int
        Points along each edge of a picture.

    Attributes
    ----------
    pyramid : TilePyramid
    points : ndarray of float64, shape (n, 2)
    rounds : list of (Tile, ndarray of int)
        Tiles, the finest first, with the numbers of the points that may be asked there.
    encoding_cost : int
        Of each tile, in points.
    cost : int
        Of everything, in points.
    """

    def __init__(self, shape: tuple[int, int], side: int, per_side: int) -> None:
        self.pyramid = TilePyramid(shape, side)
        self.points, levels = grid(shape, per_side, side)
        self.rounds: list[tuple[Tile, NDArray[np.intp]]] = []
        for level in range(self.pyramid.top + 1):
            members: dict[Tile, list[int]] = {}
            for number in np.flatnonzero(levels >= level).tolist():
                row, col = self.points[number].tolist()
                members.setdefault(self.pyramid.at((row, col), level), []).append(number)
            self.rounds += [(tile, np.array(numbers)) for tile, numbers in members.items()]
        whole = per_side**2 if self.pyramid.top else len(self.points)
        self.encoding_cost = max(1, round(_ENCODING_SHARE * whole))
        self.cost = sum(self.encoding_cost + len(numbers) for _, numbers in self.rounds)


class Look:
    """Looks for objects on one plane.

    Parameters
    ----------
    plan : Plan
    plane : PlaneIndex
    picture : Picture
        The plane.
    model : Segmenter
    """

    def __init__(self, plan: Plan, plane: PlaneIndex, picture: Picture, model: Segmenter) -> None:
        self._plan, self._picture, self._model = plan, picture, model
        self._found = _Gathered(plane, picture.shape)
        self._unanswered = np.ones(len(plan.points), bool)

    def steps(self) -> Generator[int, None, PlaneCandidates]:
        """Look; yields how much of the plan's cost is done."""
        before = 0
        for tile, numbers in self._plan.rounds:
            asked = numbers[self._unanswered[numbers]]
            if tile.level and pixels_read(self._picture, tile) > MAX_READ:
                asked = asked[:0]
            if len(asked):
                for done in self._in_tile(tile, asked):
                    yield before + done
            before += self._plan.encoding_cost + len(numbers)
            if len(asked) < len(numbers):
                yield before
        return self._found.candidates()

    def _in_tile(self, tile: Tile, asked: NDArray[np.intp]) -> Generator[int, None, None]:
        """Ask some points in a tile."""
        cost, points, pyramid = self._plan.encoding_cost, self._plan.points, self._plan.pyramid
        encoding = encode_tile(self._model, self._picture, tile)
        while True:
            try:
                done, blocks = next(encoding)
            except StopIteration as end:
                embedding: Embedding = end.value
                break
            yield cost * done // blocks
        frame, at_once = _frame_and_batch(self._model, tile.shape)
        for first in range(0, len(asked), at_once):
            batch = asked[first : first + at_once].tolist()
            prompts = [
                PlanePrompts((tuple(points[number].tolist()),), (1,)).within(tile.box)
                for number in batch
            ]
            answers = self._model.predict_many(embedding, prompts, True)
            for number, found in zip(batch, answers, strict=True):
                answer = on_plane(found, tile, pyramid)
                if not pyramid.is_cut(tile, answer.bbox(answer.best_index)):
                    self._unanswered[number] = False
                    whole = [not pyramid.is_cut(tile, box) for box in answer.boxes]
                    self._found.add(points[number], answer, whole, frame)
            yield cost + first + len(batch)


def _frame_and_batch(model: Segmenter, shape: tuple[int, int]) -> tuple[Frame, int]:
    """Return how a tile lies in the model's frame, and how many points go together.

    The batch is as large as the decoder takes at a time, or smaller: its masks must not fill the
    memory, however large the tile is.
    """
    # Here, because they import torch, which a session does without until it asks the model.
    from samari.engine.decoding import CHUNK, CHUNK_ELSEWHERE
    from samari.engine.frames import FrameRule

    chunk = CHUNK.get(model.device.partition(":")[0], CHUNK_ELSEWHERE)
    fitting = _PIXELS_AT_ONCE // (3 * shape[0] * shape[1])
    return FrameRule.of(model.model.config).frame(shape), max(1, min(chunk, fitting))


class _Gathered:
    """The candidates of a plane, as they come."""

    def __init__(self, plane: PlaneIndex, shape: tuple[int, int]) -> None:
        self._plane, self._shape = plane, shape
        self._rows: list[tuple[NDArray[np.float64], int, float, float, int, Box]] = []
        self._packed: list[bytes] = []

    def add(
        self, point: NDArray[np.float64], answer: Prediction, whole: list[bool], frame: Frame
    ) -> None:
        """Take those masks of a point that are whole and have any pixel."""
        for index, (own, box) in enumerate(zip(answer.crops, answer.boxes, strict=True)):
            if box is None or not whole[index]:
                continue
            stability = stability_of(answer.logits[index], frame)
            size = int(np.count_nonzero(own))
            score = float(answer.scores[index])
            self._rows.append((point, index, score, stability, size, box))
            self._packed.append(pack(own))

    def candidates(self) -> PlaneCandidates:
        """Return all of them."""
        count = len(self._rows)
        points, candidates, scores, stabilities, sizes, boxes = (
            zip(*self._rows, strict=True) if count else [()] * 6
        )
        return PlaneCandidates(
            plane=self._plane,
            shape=self._shape,
            points=np.array(points, np.float64).reshape(count, 2),
            candidates=np.array(candidates, np.int16),
            scores=np.array(scores, np.float32),
            stabilities=np.array(stabilities, np.float32),
            sizes=np.array(sizes, np.int64),
            boxes=np.array(boxes, np.int32).reshape(count, 4),
            packed=tuple(self._packed),
        )


def stability_of(logits: NDArray[np.float32], frame: Frame) -> float:
    """Return how little a mask changes when its threshold moves by `STABILITY_OFFSET`.

    The size of the mask at the higher threshold over the size at the lower one, which contains it;
    both in pixels of the plane. See `samari.sam.masks.stability_scores`.

    Parameters
    ----------
    logits : ndarray of float32, shape (4 h, 4 w)
        Of a mask that is not empty.
    frame : Frame
    """
    # The weights of a resize add up to 1, so moving the logits moves the threshold.
    moved = np.stack([logits - STABILITY_OFFSET, logits + STABILITY_OFFSET])
    masks, _ = masks_of(moved, frame)
    inner, outer = (int(np.count_nonzero(mask)) for mask in masks)
    return inner / outer if outer else 0.0
