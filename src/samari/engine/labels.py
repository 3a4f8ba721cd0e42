"""The only writer of label arrays: background becomes an object, and nothing else changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from samari.engine.census import Census, Count
from samari.engine.label_arrays import (
    as_box,
    boxes_of,
    common_part,
    is_in_memory,
    padded,
    refuse_unwritable,
    span,
    wider,
)
from samari.errors import InputError, LabelsError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from numpy.typing import NDArray

    from samari.engine.label_arrays import Box, Index

_SCAN_BYTES = 1 << 26
#: Pixels that are counted at a time: a few milliseconds in a thread that shares the interpreter.
_COUNT_PIXELS = 1 << 19
#: Arrays of up to so many pixels are searched in a few milliseconds.
_SMALL_PIXELS = 1 << 21


@dataclass(frozen=True, eq=False)
class LabelEdit:
    """One write into a label array, which can be taken back and done again.

    It holds one bit a pixel of its bounding box, and the former values of the changed pixels only
    where they differ among themselves; so a long history stays small.

    Pixels that somebody else changed after this write are left alone by `undo` and `redo`.

    Attributes
    ----------
    label : int
        What was written; 0 if pixels were erased.
    slices : tuple of int or slice
        Where, as it was given, shrunk to the changed pixels.
    count : int
        Number of changed pixels.
    """

    store: LabelStore
    label: int
    slices: tuple[int | slice, ...]
    shape: tuple[int, ...]
    count: int
    changed: bytes
    former: int | NDArray[Any]

    @property
    def labels(self) -> frozenset[int]:
        """The labels that gained or lost pixels."""
        former = np.unique(self.former).tolist() if self.count else []
        return frozenset((self.label, *former)) - {0}

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Which pixels were changed, of the shape of ``array[slices]``."""
        size = int(np.prod(self.shape, dtype=np.int64))
        bits = np.unpackbits(np.frombuffer(self.changed, np.uint8), count=size)
        return bits.view(bool).reshape(self.shape)

    @property
    def bbox(self) -> Box:
        """The changed region as one slice for every axis of the label array."""
        return as_box(self.slices, self.store.array.shape)

    @property
    def nbytes(self) -> int:
        """Memory that the edit holds."""
        held = self.former.nbytes if isinstance(self.former, np.ndarray) else 0
        return len(self.changed) + held

    def undo(self) -> None:
        """Give the changed pixels their former values."""
        self._apply(forward=False)

    def redo(self) -> None:
        """Write the label again."""
        self._apply(forward=True)

    def _apply(self, *, forward: bool) -> None:
        if not self.count:
            return
        changed = self.mask
        block = self.store.read(self.slices)
        present = block[changed]
        if forward:
            new = np.where(present == self.former, self.label, present)
        else:
            new = np.where(present == self.label, self.former, present)
        block[changed] = new
        self.store.array[self.slices] = block
        self.store.census.moved(present, new, len(new), self.bbox)


class LabelStore:
    """A label array and the rules for writing into it.

    Traps 22, 23, 24 and 25: only background pixels (or those of labels that the caller names)
    change; the dtype grows when an id would not fit, or the refusal says what to do; arrays that
    cannot be written are refused at once; a write touches its bounding box and nothing more.

    Parameters
    ----------
    array : array of int
        In memory (numpy), mapped (numpy.memmap) or chunked on disk (zarr, h5py). Written in
        place. A numpy array in memory is replaced by a wider copy when an id outgrows its dtype;
        read `array` again after a write.
    empty : bool
        Whether it is known to hold nothing but background: then it is not searched.

    Attributes
    ----------
    highest : int
        The highest id that is in use.
    census : Census
        Pixels and boxes of the labels; where there were some at the beginning, after a count.

    Raises
    ------
    LabelsError
        If the array is lazy (dask), read-only, or does not hold integers.
    """

    def __init__(self, array: Any, *, empty: bool = False) -> None:
        refuse_unwritable(array)
        self.array = array
        self.highest = 0 if empty else self.scan_highest()
        self.census = Census(complete=self.highest == 0, highest=self.highest)

    def next_label(self) -> int:
        """Return the first id above every id that is, or was, in use; the first is 1."""
        return self.highest + 1

    def read(self, slices: Index) -> NDArray[Any]:
        """Return a copy of a part of the array."""
        return np.array(self.array[tuple(slices)])

    def write(
        self,
        slices: Index,
        mask: NDArray[np.bool_],
        label: int,
        replace: Sequence[int] = (),
        keep: Sequence[int] | None = None,
    ) -> LabelEdit:
        """Give the free pixels of a mask a label.

        Parameters
        ----------
        slices : sequence of int or slice
            The part of the array that `mask` lies on.
        mask : ndarray of bool
            Same shape as ``array[slices]``.
        label : int
            1 or more; or 0, which erases pixels of the labels in `replace`.
        replace : sequence of int
            Labels whose pixels count as free, besides the background.
        keep : sequence of int, optional
            If given, all pixels count as free but those of these labels: the user said that
            what is there may be overwritten.

        Returns
        -------
        LabelEdit
            Its `count` is 0 if no pixel of the mask was free.

        Raises
        ------
        LabelsError
            If `label` does not fit the dtype and the array cannot grow.
        InputError
            If the shape of the mask is not that of the part, or `label` is negative.
        """
        mask = np.asarray(mask, dtype=bool)
        box = as_box(slices, self.array.shape)
        shape = tuple(
            extent.stop - extent.start
            for extent, where in zip(box, padded(slices, len(box)), strict=True)
            if isinstance(where, slice)
        )
        if mask.shape != shape:
            raise InputError(
                f"a mask of shape {mask.shape} cannot be written to a part of shape {shape} of "
                f"the labels; give both the same shape"
            )
        if label < 0:
            raise InputError(f"label {label} is negative; objects have ids from 1")
        tight = _shrink(padded(slices, len(box)), box, mask)
        if tight is None:
            return LabelEdit(self, label, tuple(slices), (0,) * mask.ndim, 0, b"", 0)
        where, within = tight
        self.make_room(label)
        block = self.read(where)
        if keep is not None:
            free = ~np.isin(block, list(keep))
        else:
            free = (block == 0) | np.isin(block, list(replace)) if replace else block == 0
        changed = mask[within] & free & (block != label)
        former = block[changed]
        if former.size:
            block[changed] = label
            self.array[where] = block
            self.census.moved(former, label, former.size, as_box(where, self.array.shape))
        self.highest = max(self.highest, label)
        uniform = bool(former.size) and bool((former == former[0]).all())
        return LabelEdit(
            store=self,
            label=label,
            slices=where,
            shape=block.shape,
            count=int(former.size),
            changed=np.packbits(changed).tobytes(),
            former=int(former[0]) if uniform else former,
        )

    def go_back_to(self, array: Any) -> None:
        """Put an earlier, narrower array back in place, with the labels of the present one.

        For a growth that was not to be: whoever shows the labels still holds the earlier array.
        """
        if array is not self.array:
            array[...] = self.array
            self.array = array

    def relabel(self, old: int | Sequence[int], new: int, slices: Index = ()) -> list[LabelEdit]:
        """Turn every pixel of one label, or of several, into another; background with ``new=0``.

        Without `slices`, wherever they are, slab by slab; one edit a slab and label comes back.
        """
        edits = []
        for where, labels in self._places_of([old] if isinstance(old, int) else old, slices):
            for part in self._slabs(where):
                block = np.asarray(self.array[part])
                for label, box in boxes_of(block, labels):
                    place = tuple(
                        slice(all_.start + here.start, all_.start + here.stop)
                        for all_, here in zip(part, box, strict=True)
                    )
                    edits.append(self.write(place, block[box] == label, new, replace=(label,)))
        return edits

    def extent(self, label: int, slices: Index = ()) -> Box | None:
        """Return the smallest box around all pixels of a label, or those in a part; else None."""
        low: list[int] | None = None
        high: list[int] = []
        where = self._place_of(label, slices)
        if where is None:
            return None
        for part in self._slabs(where):
            found = np.asarray(self.array[part]) == label
            if not found.any():
                continue
            spans = [span(found, axis) for axis in range(found.ndim)]
            first = [extent.start + s[0] for extent, s in zip(part, spans, strict=True)]
            last = [extent.start + s[1] for extent, s in zip(part, spans, strict=True)]
            low = first if low is None else list(map(min, low, first))
            high = list(map(max, high, last)) if high else last
        if low is None:
            return None
        return tuple(slice(a, b) for a, b in zip(low, high, strict=True))

    def scan_highest(self, slices: Index = ()) -> int:
        """Return the highest label in the array, or in a part of it; at least 0."""
        whole = as_box(slices, self.array.shape)
        parts = (np.asarray(self.array[part]) for part in self._slabs(whole))
        return max((0, *(int(part.max()) for part in parts if part.size)))

    def count_steps(self) -> Generator[tuple[int, int], None, Count]:
        """Count all labels; another thread may run it while this one writes.

        Call ``census.begin()`` before it is started, and `take_count` with what it returns.

        Yields
        ------
        (done, total) : tuple of int
            Slabs of the array.
        """
        array, count = self.array, Count()
        plane = max(1, int(np.prod(array.shape[1:], dtype=np.int64)))
        step = max(1, _COUNT_PIXELS // plane)
        chunks = getattr(array, "chunks", None)
        if chunks:
            step = -(-step // int(chunks[0])) * int(chunks[0])
        starts = range(0, array.shape[0], step)
        for done, start in enumerate(starts):
            yield done, len(starts)
            count.add_slab(np.asarray(array[start : start + step]), start)
        return count

    def take_count(self, count: Count) -> bool:
        """Take what `count_steps` returned; False if it must be done again."""
        touched = self.census.finish(count)
        for label in touched or ():
            box = self.census.box(label)
            if box is not None:
                pixels = int((np.asarray(self.array[box]) == label).sum())
                self.census.set(label, pixels, box)
        return touched is not None

    def _place_of(self, label: int, slices: Index) -> Box | None:
        """Return where to look for a label in a part: in its box if it is known, None for nowhere.

        A small array is read as a whole, and a part of one in memory: then nothing that a script
        did besides is overlooked.
        """
        part = as_box(slices, self.array.shape)
        small = np.prod(self.array.shape, dtype=np.int64) <= _SMALL_PIXELS
        quick = small or (bool(slices) and is_in_memory(self.array))
        if quick or self.census.pixels(label) is None:
            return part
        known = self.census.box(label)
        return None if known is None else common_part(part, known)

    def _places_of(
        self, labels: Sequence[int], slices: Index
    ) -> Iterator[tuple[Box, Sequence[int]]]:
        """Return where to look for which labels, those that may be anywhere at one go."""
        part = as_box(slices, self.array.shape)
        anywhere = []
        for label in labels:
            where = self._place_of(label, slices)
            if where == part:
                anywhere.append(label)
            elif where is not None:
                yield where, (label,)
        if anywhere:
            yield part, anywhere

    def _slabs(self, box: Box, axis: int = 0) -> Iterator[Box]:
        """Cut a part into slabs of 64 MB, in whole chunks, along one axis and those after it."""
        sides = [extent.stop - extent.start for extent in box]
        others = sides[:axis] + sides[axis + 1 :]
        across = int(np.prod(others, dtype=np.int64)) * self.array.dtype.itemsize
        chunks = getattr(self.array, "chunks", None)
        least = int(chunks[axis]) if chunks else 1
        step = max(1, _SCAN_BYTES // max(1, across * least)) * least
        for start in range(box[axis].start, box[axis].stop, step):
            stop = min(start + step, box[axis].stop)
            slab = (*box[:axis], slice(start, stop), *box[axis + 1 :])
            if (stop - start) * across > _SCAN_BYTES and axis + 1 < len(box):
                yield from self._slabs(slab, axis + 1)
            else:
                yield slab

    def make_room(self, label: int) -> None:
        """Widen the dtype if it cannot hold `label`. Trap 23.

        Raises
        ------
        LabelsError
            If the array is not in memory.
        """
        dtype = np.dtype(self.array.dtype)
        if label <= np.iinfo(dtype).max:
            return
        grown = wider(dtype, label)
        if not is_in_memory(self.array):
            raise LabelsError(
                f"object {label} does not fit labels of dtype {dtype} (at most "
                f"{np.iinfo(dtype).max}), and a {type(self.array).__name__} cannot grow in place; "
                f"open the session on a copy: labels.astype({str(grown)!r})"
            )
        self.array = self.array.astype(grown)


def _shrink(
    slices: Index, box: Box, mask: NDArray[np.bool_]
) -> tuple[tuple[int | slice, ...], Box] | None:
    """Return where a mask's true pixels lie in the array and in the mask; None if none are."""
    spans = [span(mask, axis) for axis in range(mask.ndim)]
    if not mask.any():
        return None
    left = iter(spans)
    where: list[int | slice] = []
    for given, extent in zip(slices, box, strict=True):
        if isinstance(given, slice):
            start, stop = next(left)
            where.append(slice(extent.start + start, extent.start + stop))
        else:
            where.append(int(given))
    return tuple(where), tuple(slice(*s) for s in spans)
