from __future__ import annotations

import time

import dask.array as da
import h5py
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from samari.engine.label_arrays import as_box, common_part, is_in_memory, seen_from
from samari.engine.labels import LabelStore
from samari.errors import InputError, LabelsError


class CountingArray:
    """An array on disk in small: counts the pixels that are read and written."""

    def __init__(self, shape, dtype=np.uint16):
        self.data = np.zeros(shape, dtype)
        self.shape, self.dtype, self.ndim = shape, np.dtype(dtype), len(shape)
        self.touched = 0

    def __getitem__(self, index):
        part = self.data[index]
        self.touched += part.size
        return part.copy()

    def __setitem__(self, index, value):
        self.touched += self.data[index].size
        self.data[index] = value


def test_what_two_boxes_share_is_found_in_the_array_of_either():
    whole = np.arange(12 * 10).reshape(12, 10)
    one, other = np.s_[2:8, 1:6], np.s_[5:12, 0:4]
    common = common_part(one, other)
    assert common == np.s_[5:8, 1:4]
    for place in (one, other):
        np.testing.assert_array_equal(whole[place][seen_from(common, place)], whole[common])
    assert common_part(one, np.s_[8:12, 0:4]) is None
    assert common_part(one, np.s_[2:8, 6:9]) is None


def ring(size=11, outer=5.0, inner=2.5):
    y, x = np.indices((size, size)) - size // 2
    distance = np.hypot(y, x)
    return (distance <= outer) & (distance >= inner)


def test_only_background_becomes_an_object_and_painted_pixels_stay():
    """Trap 22."""
    array = np.zeros((6, 8), np.uint16)
    array[2, 3] = 7
    store = LabelStore(array)
    edit = store.write((slice(1, 4), slice(2, 5)), np.ones((3, 3), bool), 8)
    expected = np.zeros((6, 8), np.uint16)
    expected[1:4, 2:5] = 8
    expected[2, 3] = 7
    assert edit.count == 8
    np.testing.assert_array_equal(store.array, expected)


def test_pixels_of_labels_to_be_replaced_count_as_free():
    store = LabelStore(np.array([[1, 2, 0, 3]], np.uint8))
    store.write((), np.ones((1, 4), bool), 9, replace=(2, 3))
    np.testing.assert_array_equal(store.array, [[1, 9, 9, 9]])


def test_erasing_makes_background_of_one_label_only():
    store = LabelStore(np.array([[1, 2, 0, 2]], np.uint8))
    store.write((), np.ones((1, 4), bool), 0, replace=(2,))
    np.testing.assert_array_equal(store.array, [[1, 0, 0, 0]])


def test_a_write_is_undone_and_redone_bit_for_bit():
    array = np.array([[1, 2, 0], [0, 5, 5]], np.uint8)
    store = LabelStore(array.copy())
    edit = store.write((), np.ones((2, 3), bool), 9, replace=(2, 5))
    after = store.array.copy()
    edit.undo()
    np.testing.assert_array_equal(store.array, array)
    edit.redo()
    np.testing.assert_array_equal(store.array, after)


def test_undo_leaves_pixels_that_were_painted_over_since():
    store = LabelStore(np.zeros((1, 4), np.uint8))
    edit = store.write((), np.ones((1, 4), bool), 1)
    store.array[0, 2] = 6
    edit.undo()
    np.testing.assert_array_equal(store.array, [[0, 0, 6, 0]])


def test_a_write_reports_the_box_of_what_changed():
    store = LabelStore(np.zeros((5, 10, 10), np.uint8))
    mask = np.zeros((10, 10), bool)
    mask[3:5, 6] = True
    edit = store.write((2, slice(None), slice(None)), mask, 1)
    assert edit.slices == (2, slice(3, 5), slice(6, 7))
    assert edit.bbox == (slice(2, 3), slice(3, 5), slice(6, 7))


def test_an_empty_mask_changes_nothing():
    store = LabelStore(np.zeros((4, 4), np.uint8))
    edit = store.write((), np.zeros((4, 4), bool), 300)
    edit.undo()
    edit.redo()
    assert edit.count == 0
    assert store.array.dtype == np.uint8
    assert not store.array.any()


@pytest.mark.parametrize(
    ("label", "given", "grown"),
    [
        (255, np.uint8, np.uint8),
        (256, np.uint8, np.uint16),
        (65_535, np.uint16, np.uint16),
        (65_536, np.uint16, np.uint32),
        (65_536, np.uint8, np.uint32),
        (128, np.int8, np.int16),
        (2**31, np.int32, np.int64),
    ],
)
def test_the_dtype_grows_when_an_id_would_not_fit(label, given, grown):
    """Trap 23."""
    array = np.zeros((2, 3), given)
    array[0, 0] = 100
    store = LabelStore(array)
    edit = store.write((slice(1, 2), slice(0, 2)), np.ones((1, 2), bool), label)
    assert store.array.dtype == grown
    np.testing.assert_array_equal(store.array, [[100, 0, 0], [label, label, 0]])
    edit.undo()
    np.testing.assert_array_equal(store.array, [[100, 0, 0], [0, 0, 0]])


def test_an_id_beyond_every_dtype_is_refused():
    with pytest.raises(LabelsError, match=str(2**64)):
        LabelStore(np.zeros((2, 2), np.uint8)).write((), np.ones((2, 2), bool), 2**64)


def test_a_zarr_array_is_written_in_place_and_refuses_an_id_that_does_not_fit(tmp_path):
    """Trap 24."""
    array = zarr.create_array(tmp_path / "labels", shape=(4, 8, 8), chunks=(2, 4, 4), dtype="uint8")
    array[:] = 0
    array[0, 0, 0] = 254
    store = LabelStore(array)
    assert store.next_label() == 255
    store.write((3, slice(2, 6), slice(2, 6)), np.ones((4, 4), bool), 255)
    assert int((zarr.open_array(tmp_path / "labels")[3] == 255).sum()) == 16
    with pytest.raises(LabelsError, match=r"256.*uint8.*uint16"):
        store.write((3, slice(0, 1), slice(0, 1)), np.ones((1, 1), bool), 256)
    assert int(np.asarray(array[3]).astype(bool).sum()) == 16


def test_a_read_only_zarr_array_is_refused_with_the_offer_of_a_copy(tmp_path):
    """Trap 24."""
    zarr.create_array(tmp_path / "labels", shape=(4, 4), dtype="uint8")[:] = 0
    with pytest.raises(LabelsError, match=r"read-only.*copy"):
        LabelStore(zarr.open_array(tmp_path / "labels", mode="r"))


def test_a_data_set_of_a_read_only_hdf5_file_is_refused_at_once(tmp_path):
    """Trap 24: not at the first accept."""
    with h5py.File(tmp_path / "labels.h5", "w") as file:
        file.create_dataset("labels", data=np.zeros((5, 5), np.int32))
    with (
        h5py.File(tmp_path / "labels.h5", "r") as file,
        pytest.raises(LabelsError, match=r"read-only.*copy"),
    ):
        LabelStore(file["labels"])


def test_an_hdf5_data_set_is_written_in_place(tmp_path):
    with h5py.File(tmp_path / "labels.h5", "w") as file:
        store = LabelStore(file.create_dataset("labels", data=np.zeros((3, 5, 5), np.int32)))
        edit = store.write((1, slice(1, 3), slice(1, 3)), np.eye(2, dtype=bool), 4)
        assert file["labels"][1].tolist()[1:3] == [[0, 4, 0, 0, 0], [0, 0, 4, 0, 0]]
        edit.undo()
        assert not file["labels"][:].any()


@pytest.mark.parametrize("view", [False, True])
def test_a_memory_map_is_written_in_place_and_refuses_an_id_that_does_not_fit(tmp_path, view):
    """Trap 24. Also as a plain array that looks at a map."""
    mapped = np.memmap(tmp_path / "labels.raw", np.uint8, "w+", shape=(6, 6))
    array = np.asarray(mapped) if view else mapped
    assert not is_in_memory(array)
    store = LabelStore(array)
    store.write((slice(0, 2), slice(0, 2)), np.ones((2, 2), bool), 1)
    mapped.flush()
    assert np.fromfile(tmp_path / "labels.raw", np.uint8).sum() == 4
    with pytest.raises(LabelsError, match=r"300.*uint8"):
        store.write((), np.ones((6, 6), bool), 300)
    assert np.asarray(mapped).sum() == 4


def test_dask_and_read_only_labels_are_refused_with_the_offer_of_a_copy(tmp_path):
    """Trap 24."""
    with pytest.raises(LabelsError, match=r"dask.*numpy.asarray"):
        LabelStore(da.zeros((4, 4), dtype=np.uint8))
    frozen = np.zeros((4, 4), np.uint8)
    frozen.flags.writeable = False
    with pytest.raises(LabelsError, match=r"read-only.*numpy.array"):
        LabelStore(frozen)
    np.zeros(16, np.uint8).tofile(tmp_path / "labels.raw")
    with pytest.raises(LabelsError, match="read-only"):
        LabelStore(np.memmap(tmp_path / "labels.raw", np.uint8, "r", shape=(4, 4)))


@pytest.mark.parametrize("dtype", [bool, np.float32])
def test_labels_that_are_not_whole_numbers_are_refused(dtype):
    with pytest.raises(LabelsError, match=np.dtype(dtype).name):
        LabelStore(np.zeros((4, 4), dtype))


def test_a_list_is_refused_as_labels():
    with pytest.raises(LabelsError, match=r"list.*numpy.asarray"):
        LabelStore([[0, 1]])


def test_the_cost_of_a_write_depends_on_the_box_of_the_object_only():
    """Trap 25: pixels that are read and written, in a small and in a large array."""
    touched = []
    for side in (64, 1024):
        array = CountingArray((3, side, side))
        store = LabelStore(array)
        array.touched = 0
        mask = np.zeros((side, side), bool)
        mask[20:40, 10:40] = True
        edit = store.write((1, slice(None), slice(None)), mask, 1)
        edit.undo()
        edit.redo()
        touched.append(array.touched)
    assert touched[0] == touched[1] == 6 * 20 * 30


def test_the_time_of_a_write_does_not_grow_with_the_array():
    """Trap 25."""

    def seconds(side):
        store = LabelStore(np.ones((side, side), np.uint16))
        store.array[:64, :64] = 0
        best = np.inf
        for _ in range(9):
            start = time.perf_counter()
            store.write((slice(0, 64), slice(0, 64)), np.ones((64, 64), bool), 2).undo()
            best = min(best, time.perf_counter() - start)
        return best

    seconds(64)
    assert seconds(4096) < 5 * seconds(64)


def test_rings_two_parts_and_touching_objects_stay_as_they_are():
    """Trap 26."""
    store = LabelStore(np.zeros((11, 30), np.uint8))
    hole, two = ring(), np.zeros((11, 11), bool)
    two[1:4, 1:4] = two[7:10, 6:9] = True
    store.write((slice(0, 11), slice(0, 11)), hole, 1)
    store.write((slice(0, 11), slice(11, 22)), two, 2)
    store.write((slice(0, 11), slice(22, 30)), np.ones((11, 8), bool), 3)
    store.write((slice(4, 7), slice(4, 7)), np.ones((3, 3), bool), 4)
    np.testing.assert_array_equal(store.array[:, :11] == 1, hole)
    np.testing.assert_array_equal(store.array[:, 11:22] == 2, two)
    assert (store.array[:, 22:] == 3).all()
    np.testing.assert_array_equal(store.array[4:7, 4:7], 4)


def test_the_next_label_is_above_all_there_are():
    array = np.zeros((3, 4), np.int32)
    array[2, 1], array[0, 0] = 41, -3
    assert LabelStore(array).next_label() == 42
    assert LabelStore(np.zeros((3, 4), np.int32)).next_label() == 1
    assert LabelStore(np.full((3, 4), -2, np.int32)).next_label() == 1


def test_relabel_and_extent_find_an_object_wherever_it_is(monkeypatch):
    monkeypatch.setattr("samari.engine.labels._SCAN_BYTES", 100)  # several slabs
    array = np.zeros((7, 6, 5), np.uint8)
    array[2, 1, 3] = array[5, 4, 0] = 3
    store = LabelStore(array.copy())
    assert store.extent(3) == (slice(2, 6), slice(1, 5), slice(0, 4))
    assert store.extent(9) is None
    edits = store.relabel(3, 8)
    assert len(edits) == 2
    assert sorted(np.unique(store.array)) == [0, 8]
    for edit in reversed(edits):
        edit.undo()
    np.testing.assert_array_equal(store.array, array)


def test_labels_on_disk_are_scanned_in_whole_chunks(monkeypatch):
    monkeypatch.setattr("samari.engine.labels._SCAN_BYTES", 800)
    array = CountingArray((10, 10, 10))
    array.chunks = (3, 10, 10)
    store = LabelStore(array)
    starts = []
    read = CountingArray.__getitem__

    def note(self, index):
        starts.append((index[0].start, index[0].stop))
        return read(self, index)

    monkeypatch.setattr(CountingArray, "__getitem__", note)
    assert store.extent(1) is None
    assert starts == [(0, 3), (3, 6), (6, 9), (9, 10)]


def test_relabel_stays_within_its_part():
    store = LabelStore(np.full((3, 2, 2), 4, np.uint8))
    store.relabel(4, 0, (1,))
    assert store.array.sum(axis=(1, 2)).tolist() == [16, 0, 16]


def test_a_long_history_of_small_objects_is_small():
    store = LabelStore(np.zeros((512, 512), np.uint16))
    edit = store.write((), np.pad(ring(41, 20, 8), (200, 271)), 1)
    assert edit.nbytes <= 41 * 41 // 8 + 1


@pytest.mark.parametrize(
    ("slices", "mask", "label", "message"),
    [
        ((slice(0, 3),), np.ones((2, 4), bool), 1, r"\(2, 4\).*\(3, 4\)"),
        ((9,), np.ones(4, bool), 1, "9"),
        ((slice(None, None, 2),), np.ones((2, 4), bool), 1, "step 2"),
        ((0, 0, 0), np.ones((), bool), 1, "3 slices"),
        ((0,), np.ones(4, bool), -1, "-1"),
    ],
)
def test_a_write_that_does_not_fit_names_what_is_wrong(slices, mask, label, message):
    store = LabelStore(np.zeros((4, 4), np.uint8))
    with pytest.raises(InputError, match=message):
        store.write(slices, mask, label)
    assert not store.array.any()


def test_a_box_names_every_axis():
    assert as_box((2, slice(-3, None)), (5, 8, 4)) == (slice(2, 3), slice(5, 8), slice(0, 4))


@settings(max_examples=60, deadline=None)
@given(
    start=hnp.arrays(np.uint8, (4, 5), elements=st.integers(0, 4)),
    writes=st.lists(
        st.tuples(
            hnp.arrays(bool, (4, 5)),
            st.integers(1, 400),
            st.lists(st.integers(1, 6), max_size=2),
        ),
        max_size=8,
    ),
)
def test_any_sequence_of_writes_is_undone_to_every_earlier_state(start, writes):
    store = LabelStore(start.copy())
    states, edits = [start.astype(int)], []
    for mask, label, replace in writes:
        edits.append(store.write((), mask, label, replace))
        free = (states[-1] == 0) | np.isin(states[-1], replace)
        states.append(np.where(mask & free, label, states[-1]))
        np.testing.assert_array_equal(store.array, states[-1])
    for edit, state in zip(edits[::-1], states[-2::-1], strict=True):
        edit.undo()
        np.testing.assert_array_equal(store.array, state)
    for edit, state in zip(edits, states[1:], strict=True):
        edit.redo()
        np.testing.assert_array_equal(store.array, state)
