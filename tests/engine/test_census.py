"""What the census says is what a count of the whole array would say, whatever was done."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from samari.engine.labels import LabelStore


def _counted(array: Any) -> dict[int, int]:
    found, numbers = np.unique(array, return_counts=True)
    return {int(f): int(n) for f, n in zip(found, numbers, strict=True) if f}


def _told(store: LabelStore) -> dict[int, int]:
    return {label: store.census.pixels(label) for label in store.census}  # type: ignore[misc]


def _finish(steps: Any) -> Any:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def _inside(store: LabelStore) -> bool:
    """Whether every label lies in its box."""
    for label in store.census:
        outside = store.array.copy()
        outside[store.census.box(label)] = 0
        if (outside == label).any():
            return False
    return True


def _random_writes(store: LabelStore, n: int, seed: int) -> list[Any]:
    rng = np.random.default_rng(seed)
    edits: list[Any] = []
    for _ in range(n):
        y, x = (int(v) for v in rng.integers(0, 30, 2))
        mask = rng.random((10, 10)) < 0.7
        what, label = rng.integers(0, 4), int(rng.integers(1, 9))
        where = (slice(y, y + 10), slice(x, x + 10))
        if what == 0:
            edits.append(store.write(where, mask, label))
        elif what == 1:
            edits.append(store.write(where, mask, label, keep=[label, 3]))
        elif what == 2:
            edits += store.relabel(label, int(rng.integers(0, 9)))
        elif edits:
            edits.pop().undo()
    return edits


@pytest.mark.parametrize("seed", range(5))
def test_the_writes_keep_the_census(seed: int) -> None:
    store = LabelStore(np.zeros((40, 40), np.uint16))
    edits = _random_writes(store, 60, seed)
    assert store.census.complete
    assert _told(store) == _counted(store.array)
    assert _inside(store)
    for edit in reversed(edits):
        edit.undo()
    for edit in edits:
        edit.redo()
    assert _told(store) == _counted(store.array)
    assert _inside(store)


@pytest.mark.parametrize("seed", range(5))
def test_labels_that_were_there_are_counted_while_writes_go_on(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("samari.engine.labels._COUNT_PIXELS", 200)
    start = np.random.default_rng(seed).integers(0, 9, (40, 40)).astype(np.uint16)
    store = LabelStore(start)
    assert not store.census.complete
    assert store.census.pixels(1) is None
    _random_writes(store, 10, seed)
    store.census.begin()
    steps = store.count_steps()
    for turn in range(4):
        next(steps)
        _random_writes(store, 5, seed + turn)
    assert store.take_count(_finish(steps))
    assert _told(store) == _counted(store.array)
    assert _inside(store)
    _random_writes(store, 20, seed + 9)
    assert _told(store) == _counted(store.array)
    assert _inside(store)


def test_new_objects_are_counted_before_the_old_ones_are() -> None:
    store = LabelStore(np.full((10, 10), 4, np.uint8))
    store.array[:5] = 0
    store.write((slice(0, 2), slice(0, 3)), np.ones((2, 3), bool), 5)
    assert store.census.pixels(5) == 6
    assert store.census.box(5) == (slice(0, 2), slice(0, 3))
    assert store.census.pixels(4) is None
    assert list(store.census) == [5]


def test_a_count_during_which_somebody_else_painted_is_void() -> None:
    store = LabelStore(np.ones((10, 10), np.uint8))
    store.census.begin()
    count = _finish(store.count_steps())
    store.array[0] = 7
    store.census.forget()
    assert not store.take_count(count)
    store.census.begin()
    assert store.take_count(_finish(store.count_steps()))
    assert _told(store) == {1: 90, 7: 10}


def test_large_arrays_are_searched_only_where_the_label_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trap 25: deleting or reopening an object costs its box, not the array."""
    monkeypatch.setattr("samari.engine.labels._SMALL_PIXELS", 10)
    store = LabelStore(np.zeros((50, 50), np.uint8))
    store.write((slice(10, 12), slice(20, 23)), np.ones((2, 3), bool), 1)
    store.array[40, 40] = 1  # by nobody who said so
    assert store.extent(1) == (slice(10, 12), slice(20, 23))
    assert [edit.count for edit in store.relabel(1, 0)] == [6]
    assert store.extent(1) is None
    assert store.relabel(1, 2) == []


def test_a_named_part_in_memory_is_searched_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("samari.engine.labels._SMALL_PIXELS", 10)
    store = LabelStore(np.zeros((3, 50, 50), np.uint8))
    store.array[1, 40, 40:42] = 7  # by nobody who said so
    part = (slice(1, 2),)
    assert store.extent(7, part) == (slice(1, 2), slice(40, 41), slice(40, 42))
    assert [edit.count for edit in store.relabel(7, 0, part)] == [2]
    assert store.extent(7, part) is None


def test_after_somebody_else_painted_no_label_is_known_to_be_nowhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("samari.engine.labels._SMALL_PIXELS", 10)
    store = LabelStore(np.zeros((50, 50), np.uint8))
    store.array[40, 40] = 9
    store.census.forget()
    assert store.census.pixels(9) is None
    assert store.extent(9) == (slice(40, 41), slice(40, 41))


@pytest.mark.parametrize("chunks", [None, (1, 8, 8)])
@pytest.mark.parametrize("shape", [(3, 60, 50), (1, 60, 50), (2, 1, 60, 50), (60, 50)])
def test_whatever_the_shape_little_is_read_at_a_time(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...], chunks: tuple[int, ...] | None
) -> None:
    monkeypatch.setattr("samari.engine.labels._SCAN_BYTES", 100)
    read = []

    class Watched:
        def __init__(self) -> None:
            self.data = np.random.default_rng(0).integers(0, 3, shape).astype(np.uint8)
            self.shape, self.dtype, self.ndim = shape, self.data.dtype, len(shape)
            if chunks is not None:
                self.chunks = (1,) * (len(shape) - 2) + chunks[-2:]

        def __getitem__(self, where: Any) -> Any:
            part = self.data[where]
            read.append(part.size)
            return part.copy()

        def __setitem__(self, where: Any, value: Any) -> None:
            self.data[where] = value

    store = LabelStore(Watched())
    assert store.scan_highest() == 2
    assert max(read) <= 100
    assert sum(read) >= np.prod(shape)
    read.clear()
    assert sum(edit.count for edit in store.relabel(2, 1)) > 0
    assert not (store.array.data == 2).any()
