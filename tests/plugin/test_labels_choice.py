"""Labels are sacred: existing layers of every kind as the target, copies of what cannot be written,
and overwriting only where the user says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from napari.layers import Labels

from samari.plugin.labels_choice import NEW_LAYER

if TYPE_CHECKING:
    from pathlib import Path


def _pick(dock: Any, name: str) -> None:
    combo = dock.ui.labels
    index = [combo.itemText(i) for i in range(combo.count())].index(name)
    combo.setCurrentIndex(index)
    combo.activated.emit(index)


def _given(dtype: Any, highest: int) -> Any:
    labels = np.zeros((40, 40), dtype)
    labels[2:6, 2:6], labels[18:22, 24:30] = highest, 3
    return labels


def _made(kind: str, folder: Path) -> Any:
    """Return labels of a kind, with objects of id 3 and 7, or 255."""
    if kind == "uint8 with id 255":
        return _given(np.uint8, 255)
    if kind == "int32":
        return _given(np.int32, 7)
    if kind == "int64":
        return _given(np.int64, 7)
    if kind == "zarr":
        import zarr

        array = zarr.open(
            str(folder / "a.zarr"), mode="w", shape=(40, 40), chunks=(16, 16), dtype="i4"
        )
        array[:] = _given(np.int32, 7)
        return array
    if kind == "memory map":
        array = np.memmap(folder / "a.raw", np.uint16, "w+", shape=(40, 40))
        array[:] = _given(np.uint16, 7)
        return array
    if kind == "dask":
        import dask.array as da

        return da.from_array(_given(np.uint16, 7), chunks=(16, 16))
    if kind == "multiscale":
        return [_given(np.uint16, 7), _given(np.uint16, 7)[::2, ::2]]
    array = _given(np.uint16, 7)
    array.flags.writeable = False
    return array


@pytest.mark.parametrize("kind", ["uint8 with id 255", "int32", "int64", "zarr", "memory map"])
def test_an_existing_layer_is_added_to_and_keeps_its_objects(
    annotated: Any, noise: Any, tmp_path: Path, kind: str
) -> None:
    """Trap 22, 23 and 24."""
    mine = Labels(_made(kind, tmp_path), name="mine")
    before = np.array(mine.data)
    c = annotated(noise(40, 40), labels=mine)
    c.viewer.add_layer(mine)
    assert c.labels_layer is mine
    c.points.add([20, 20])  # its disc reaches into object 3
    assert c.wait()
    (label,) = c.accept()
    assert label == int(before.max()) + 1
    after = np.asarray(mine.data)
    np.testing.assert_array_equal(after[before > 0], before[before > 0])
    assert after[20, 20] == label
    c.undo()
    np.testing.assert_array_equal(np.asarray(mine.data), before)
    c.reopen(3)
    assert c.wait()
    c.discard()
    c.delete(3)
    assert not (np.asarray(mine.data) == 3).any()
    c.undo()
    np.testing.assert_array_equal(np.asarray(mine.data), before)


@pytest.mark.parametrize("kind", ["dask", "read-only", "multiscale"])
def test_what_cannot_be_written_is_refused_and_a_copy_is_offered(
    docked: Any, noise: Any, said: list[str], tmp_path: Path, kind: str, qtbot: Any
) -> None:
    """Trap 24: the button makes the copy and goes on there, with the prompts."""
    viewer, _, dock = docked(noise(40, 40), scale=(2, 2))
    first = dock.controller.labels_layer
    mine = viewer.add_labels(_made(kind, tmp_path), name="mine", scale=(2, 2))
    dock.controller.points.add([10, 30])
    _pick(dock, "mine")
    assert len(said) == 1
    assert dock.controller.labels_layer is first
    button = dock.ui.target.copy
    assert button.isVisible()
    assert button.text() == "Use a copy of mine"
    button.click()
    qtbot.waitUntil(lambda: dock.controller.labels_layer.name == "mine copy", timeout=30_000)
    c = dock.controller
    assert not button.isVisible()
    assert dock.ui.labels.currentText() == "mine copy"
    np.testing.assert_array_equal(c.labels_layer.data, _given(np.uint16, 7))
    np.testing.assert_array_equal(c.labels_layer.scale, (2, 2))
    assert c.labels_layer.data is not mine.data
    assert len(c.points.data) == 1
    assert c.wait()
    assert c.accept() == [8]
    assert c.labels_layer.data[10, 30] == 8
    assert first.data.max() == 0


def test_labels_on_disk_whose_ids_are_used_up_are_copied_with_room(
    docked: Any, noise: Any, tmp_path: Path, qtbot: Any, said: list[str]
) -> None:
    """Trap 23: a zarr array cannot grow in place."""
    import zarr

    viewer, _, dock = docked(noise(40, 40))
    array = zarr.open(
        str(tmp_path / "a.zarr"), mode="w", shape=(40, 40), chunks=(16, 16), dtype="u1"
    )
    array[:] = _given(np.uint8, 255)
    viewer.add_labels(array, name="full")
    _pick(dock, "full")
    c = dock.controller
    c.points.add([10, 30])
    assert c.wait()
    assert c.accept() == []
    assert "256" in said[-1]
    assert len(c.points.data) == 1
    dock.ui.target.copy.click()
    qtbot.waitUntil(lambda: dock.controller.labels_layer.name == "full copy", timeout=30_000)
    assert dock.controller.wait()
    assert dock.controller.accept() == [256]
    assert array[:].max() == 255


def test_a_copy_can_be_cancelled_and_the_offer_stays(
    docked: Any, noise: Any, monkeypatch: pytest.MonkeyPatch, qtbot: Any, said: list[str]
) -> None:
    import threading

    import dask
    import dask.array as da

    gate = threading.Event()

    def slow(block: Any) -> Any:
        if threading.current_thread() is not threading.main_thread():
            gate.wait(30)
        return block

    monkeypatch.setattr("samari.plugin.labels_choice._SLAB", 40)
    # Blocks are computed by the thread that asks, so that the window itself never waits.
    monkeypatch.setitem(dask.config.config, "scheduler", "synchronous")
    viewer, _, dock = docked(noise(40, 40))
    lazy = da.from_array(_given(np.uint16, 7), chunks=(1, 40)).map_blocks(slow, dtype=np.uint16)
    gate.set()
    viewer.add_labels(lazy, name="lazy")
    _pick(dock, "lazy")
    gate.clear()
    dock.ui.target.copy.click()
    assert not dock.ui.target.copy.isEnabled()
    qtbot.waitUntil(dock.ui.cancel.isEnabled, timeout=30_000)
    dock.ui.cancel.click()
    gate.set()
    qtbot.waitUntil(lambda: not dock.ui.target.copying, timeout=30_000)
    assert dock.ui.target.copy.isEnabled()
    assert "lazy copy" not in viewer.layers
    gate.set()


def test_overwriting_is_an_option_that_is_off_at_first(docked: Any, noise: Any) -> None:
    """Trap 22."""
    viewer, _, dock = docked(noise(40, 40))
    mine = viewer.add_labels(_given(np.uint16, 7), name="mine")
    _pick(dock, "mine")
    c = dock.controller
    before = mine.data.copy()
    box = dock.ui.target.overwrite
    assert not box.isChecked()
    assert not c.session.overwrite
    for overwrite in (False, True):
        box.setChecked(overwrite)
        c.points.add([20, 24])
        assert c.wait()
        mask = c.candidates.mask.copy()
        (label,) = c.accept()
        np.testing.assert_array_equal(mine.data == label, mask & ((before == 0) | overwrite))
        c.undo()
        np.testing.assert_array_equal(mine.data, before)
        c.discard()
    _pick(dock, NEW_LAYER)
    assert dock.controller.session.overwrite
