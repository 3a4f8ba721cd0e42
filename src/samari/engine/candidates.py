"""Everything that was found on one plane, kept small, and which of it becomes objects.

Finding is slow and needs the model; choosing is quick and does not. So all candidates are kept,
whatever the thresholds, and other thresholds choose among them again.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from samari.engine.checks import own_number
from samari.engine.prompts import PlanePrompts
from samari.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from samari.engine.masks import Box
    from samari.engine.planes import PlaneIndex


@dataclass(frozen=True)
class Thresholds:
    """Which candidates become objects.

    Source of score and stability: Kirillov et al., "Segment Anything" (2023), appendix B. There a
    mask is compared with better ones by the boxes around them, and one may lie in another. A pixel
    of a label image belongs to one object only, so here the pixels are compared.

    The defaults suit the bundled model, whose scores are modest. The published models were meant to
    be asked for a score of 0.88 and a stability of 0.95.

    Attributes
    ----------
    min_score : float
        The model's own estimate of a mask's quality (predicted intersection over union).
    min_stability : float
        How little the mask changes with the threshold that cuts it out: 1 is not at all.
    min_size, max_size : int or None
        Pixels of the plane. The default of `max_size`, None, is a quarter of the plane: what is
        larger is the background, as a rule.
    overlap : float
        Which share of a mask may lie on objects that are there already or score better, and which
        share of any such object it may cover. The common pixels stay with the other object.

    Raises
    ------
    InputError
        If a threshold is not finite or out of range.
    """

    min_score: float = 0.5
    min_stability: float = 0.5
    min_size: int = 20
    max_size: int | None = None
    overlap: float = 0.2

    def __post_init__(self) -> None:
        """Take numbers of numpy too, and check the ranges."""
        for name, value in asdict(self).items():
            object.__setattr__(self, name, own_number(value))
        for name in ("min_score", "min_stability", "overlap"):
            value = getattr(self, name)
            if not math.isfinite(value):
                raise InputError(f"{name}={value} must be a finite number")
        if not 0 <= self.overlap <= 1:
            raise InputError(f"overlap={self.overlap} must be between 0 and 1")
        if self.min_size < 1:
            raise InputError(f"min_size={self.min_size} must be at least 1 pixel")
        if self.max_size is not None and self.max_size < self.min_size:
            raise InputError(f"max_size={self.max_size} must be at least min_size={self.min_size}")

    def largest(self, plane_shape: tuple[int, int]) -> int:
        """Return the largest size on a plane, in pixels."""
        if self.max_size is not None:
            return self.max_size
        return max(self.min_size, plane_shape[0] * plane_shape[1] // 4)


@dataclass(frozen=True, eq=False)
class Found:
    """One chosen candidate: the pixels that it would get, and the prompt that it comes from.

    Attributes
    ----------
    point : (float, float)
        Row and column on the plane.
    candidate : int
        Which of the masks of this point it is.
    score, stability : float
        See `Thresholds`.
    box : (y0, x0, y1, x1)
        Half-open, in pixels of the plane.
    packed : bytes
        The pixels in the box.
    """

    point: tuple[float, float]
    candidate: int
    score: float
    stability: float
    box: Box
    packed: bytes

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Its own pixels inside `box`: without those that belong to other objects."""
        return unpacked(self.packed, self.box)

    @property
    def prompts(self) -> PlanePrompts:
        """The click that gives the same mask."""
        return PlanePrompts((self.point,), (1,), choices=(self.candidate,))


@dataclass(frozen=True, eq=False)
class Selection:
    """What thresholds choose on one plane, the best score first.

    Attributes
    ----------
    plane : PlaneIndex
    shape : (int, int)
        Rows and columns of the plane.
    objects : tuple of Found
        No two of them share a pixel.
    """

    plane: PlaneIndex
    shape: tuple[int, int]
    objects: tuple[Found, ...]

    def __len__(self) -> int:
        """Return the number of objects."""
        return len(self.objects)

    def draw(self) -> NDArray[np.integer]:
        """Return the objects as labels (H, W), numbered from 1 in their order."""
        # No wider than needed: what shows them is several times as fast with 16 bits.
        labels = np.zeros(self.shape, np.uint16 if len(self) < 2**16 else np.uint32)
        for number, found in enumerate(self.objects, 1):
            y0, x0, y1, x1 = found.box
            labels[y0:y1, x0:x1][found.mask] = number
        return labels


@dataclass(frozen=True, eq=False)
class PlaneCandidates:
    """All masks that were found on one plane. The arrays have one row a mask.

    A mask is kept as the packed bits of its bounding box, compressed: some hundred bytes.

    Attributes
    ----------
    plane : PlaneIndex
    shape : (int, int)
        Rows and columns of the plane.
    points : ndarray of float64, shape (n, 2)
        Row and column of the point that each mask was found at.
    candidates : ndarray of int16, shape (n,)
        Which of the masks of its point each is.
    scores, stabilities : ndarray of float32, shape (n,)
        See `Thresholds`.
    sizes : ndarray of int64, shape (n,)
        Pixels.
    boxes : ndarray of int32, shape (n, 4)
        y0, x0, y1, x1, half-open.
    packed : tuple of bytes
    """

    plane: PlaneIndex
    shape: tuple[int, int]
    points: NDArray[np.float64]
    candidates: NDArray[np.int16]
    scores: NDArray[np.float32]
    stabilities: NDArray[np.float32]
    sizes: NDArray[np.int64]
    boxes: NDArray[np.int32]
    packed: tuple[bytes, ...]

    def __len__(self) -> int:
        """Return the number of candidates."""
        return len(self.packed)

    @property
    def nbytes(self) -> int:
        """Memory of the candidates, in bytes."""
        columns = (
            self.points, self.candidates, self.scores, self.stabilities, self.sizes, self.boxes,
        )  # fmt: skip
        return sum(column.nbytes for column in columns) + sum(map(len, self.packed))

    def mask(self, index: int) -> NDArray[np.bool_]:
        """Return the pixels of a candidate inside its box."""
        return unpacked(self.packed[index], self._box(index))

    def select(self, thresholds: Thresholds, taken: NDArray[np.integer] | None = None) -> Selection:
        """Choose by thresholds; the model is not asked.

        Parameters
        ----------
        thresholds : Thresholds
        taken : ndarray of int, shape (H, W), optional
            Labels that are on the plane already; they keep their pixels.

        Returns
        -------
        Selection
            The same for the same candidates, thresholds and labels.
        """
        owner, sizes = _owners(self.shape, taken)
        objects = []
        for index in self._passing(thresholds):
            y0, x0, y1, x1 = box = self._box(index)
            mask, under = self.mask(index), owner[y0:y1, x0:x1]
            shared = np.bincount(under[mask], minlength=1)
            free = int(shared[0])
            others = np.flatnonzero(shared[1:]) + 1
            if (
                free < thresholds.min_size
                or self.sizes[index] - free > thresholds.overlap * self.sizes[index]
                or any(shared[k] > thresholds.overlap * sizes[k] for k in others)
            ):
                continue
            packed = self.packed[index]
            if len(others):
                mask &= under == 0
                packed = pack(mask)
            under[mask] = len(sizes)
            sizes.append(free)
            objects.append(
                Found(
                    point=(float(self.points[index, 0]), float(self.points[index, 1])),
                    candidate=int(self.candidates[index]),
                    score=float(self.scores[index]),
                    stability=float(self.stabilities[index]),
                    box=box,
                    packed=packed,
                )
            )
        return Selection(self.plane, self.shape, tuple(objects))

    def _passing(self, thresholds: Thresholds) -> NDArray[np.intp]:
        """Return the candidates within the thresholds, the best first."""
        passing = np.flatnonzero(
            (self.scores >= thresholds.min_score)
            & (self.stabilities >= thresholds.min_stability)
            & (self.sizes >= thresholds.min_size)
            & (self.sizes <= thresholds.largest(self.shape))
        )
        order = np.lexsort((passing, -self.stabilities[passing], -self.scores[passing]))
        return passing[order]

    def _box(self, index: int) -> Box:
        y0, x0, y1, x1 = self.boxes[index].tolist()
        return y0, x0, y1, x1


def _owners(
    shape: tuple[int, int], taken: NDArray[np.integer] | None
) -> tuple[NDArray[np.int32], list[int]]:
    """Return who owns each pixel, numbered from 1, and the size of each; number 0 is nobody."""
    owner = np.zeros(shape, np.int32)
    sizes = [0]
    if taken is not None:
        held = np.asarray(taken) != 0
        if held.any():
            _, numbers, counts = np.unique(taken[held], return_inverse=True, return_counts=True)
            owner[held] = numbers + 1
            sizes += counts.tolist()
    return owner, sizes


def pack(mask: NDArray[np.bool_]) -> bytes:
    """Return the pixels of a box in as few bytes as is quick."""
    return zlib.compress(np.packbits(mask).tobytes(), 1)


def unpacked(packed: bytes, box: Box) -> NDArray[np.bool_]:
    """Return the pixels of a box again, as an array of their own."""
    rows, cols = box[2] - box[0], box[3] - box[1]
    bits = np.frombuffer(zlib.decompress(packed), np.uint8)
    return np.unpackbits(bits, count=rows * cols).reshape(rows, cols).view(bool)
