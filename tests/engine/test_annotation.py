from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
import zarr

from samari.engine.export import read_labels
from samari.engine.history import Opaque
from samari.engine.session import Session
from samari.errors import InputError, LabelsError


def test_labels_of_another_shape_are_refused(discs):
    with pytest.raises(InputError, match=r"\(4, 5\).*YX.*\(4, 6\)"):
        Session(np.zeros((4, 6)), labels=np.zeros((4, 5), np.uint8), segmenter=discs)


def test_dask_and_read_only_labels_are_refused_when_the_session_opens(discs):
    """Trap 24."""
    with pytest.raises(LabelsError, match="dask"):
        Session(np.zeros((4, 6)), labels=da.zeros((4, 6), dtype=np.uint8), segmenter=discs)
    frozen = np.zeros((4, 6), np.uint8)
    frozen.flags.writeable = False
    with pytest.raises(LabelsError, match=r"read-only.*copy"):
        Session(np.zeros((4, 6)), labels=frozen, segmenter=discs)


def test_the_256th_object_makes_another_array_and_says_so(discs):
    """Trap 23: earlier steps are undone in the new array."""
    labels = np.zeros((40, 60), np.uint8)
    labels[0, 0] = 254
    session = Session(np.zeros((40, 60), np.uint8), labels=labels, segmenter=discs)
    events = []
    session.connect(events.append)
    session.add_point((10, 10))
    assert session.accept() == [255]
    assert session.labels is labels
    assert not any(event.replaced for event in events)
    session.add_point((30, 30))
    assert session.accept() == [256]
    assert session.labels is not labels
    assert session.labels.dtype == np.uint16
    assert [event.replaced for event in events if event.kind == "labels"] == [False, True]
    while session.undo():
        pass
    assert session.labels.sum() == 254
    while session.redo():
        pass
    assert np.unique(session.labels).tolist() == [0, 254, 255, 256]


def test_a_refused_accept_leaves_the_labels_array_that_a_layer_shows(discs):
    """Trap 23: the first object fits, the second one makes the array grow, the third is empty."""
    labels = np.zeros((40, 60), np.uint8)
    labels[0, 0] = 254
    session = Session(np.zeros((40, 60), np.uint8), labels=labels, segmenter=discs)
    for corner in ((2, 2), (12, 2), (0, 0)):
        session.add_box(corner, corner if corner == (0, 0) else (corner[0] + 4, corner[1] + 4))
    with pytest.raises(LabelsError, match="covered by object 254"):
        session.accept()
    assert session.labels is labels
    assert labels.sum() == 254
    session.discard()
    session.add_point((10, 10))
    assert session.accept() == [255]
    assert (labels == 255).any()


def test_the_65536th_object_of_labels_on_disk_is_refused_and_nothing_changes(tmp_path, discs):
    """Traps 23 and 24."""
    labels = zarr.create_array(tmp_path / "labels", shape=(40, 60), dtype="uint16")
    labels[:] = 0
    labels[0, 0] = 65_535
    session = Session(np.zeros((40, 60), np.uint8), labels=labels, segmenter=discs)
    session.add_point((10, 10))
    with pytest.raises(LabelsError, match=r"65536.*uint16.*uint32"):
        session.accept()
    assert len(session.pending) == 1
    assert int(np.count_nonzero(labels[:])) == 1
    copy = Session(
        np.zeros((40, 60), np.uint8), labels=labels[:].astype(np.uint32), segmenter=discs
    )
    copy.add_point((10, 10))
    assert copy.accept() == [65_536]


def test_zarr_labels_are_written_in_place_with_undo(tmp_path, discs):
    """Trap 24."""
    labels = zarr.create_array(
        tmp_path / "labels", shape=(6, 40, 60), chunks=(1, 16, 16), dtype="uint16"
    )
    labels[:] = 0
    labels[5, 0, 0] = 3
    session = Session(np.zeros((6, 40, 60), np.uint8), axes="ZYX", labels=labels, segmenter=discs)
    session.view = "ZX"
    session.add_point((2, 20, 30))
    assert session.accept() == [4]
    assert labels[2, 20, 30] == 4
    session.delete(3)
    session.undo()
    session.undo()
    assert int(np.count_nonzero(labels[:])) == 1


def test_a_brush_stroke_is_a_step_of_the_one_history(discs):
    session = Session(np.zeros((40, 60), np.uint8), segmenter=discs)
    session.add_point((20, 30))
    session.accept()
    before = session.labels.copy()
    session.labels[20, 30] = 0
    session.labels[2:4, 2:4] = 12
    painted = session.labels.copy()

    def put(pixels):
        session.labels[:] = pixels

    events = []
    session.connect(events.append)
    session.record_edit(lambda: put(before), lambda: put(painted), slices=(slice(2, 21),))
    assert [(event.kind, event.slices) for event in events] == [
        ("labels", (slice(2, 21), slice(0, 60))),
        ("objects", None),
        ("history", None),
    ]
    session.add_point((30, 50))
    assert session.accept() == [13]
    for _ in range(3):
        session.undo()
    np.testing.assert_array_equal(session.labels, before)
    session.undo()
    assert not session.labels.any()
    while session.redo():
        pass
    assert np.unique(session.labels).tolist() == [0, 1, 12, 13]


@pytest.mark.parametrize("hint", [{}, {"label": 8}, {"slices": (0,)}])
def test_no_object_gets_the_id_of_a_brush_stroke(discs, hint):
    session = Session(np.zeros((40, 60), np.uint8), segmenter=discs)
    session.labels[0, 0] = 8
    session.record_edit(lambda: None, lambda: None, **hint)
    session.add_point((20, 30))
    assert session.accept() == [9]


def test_events_tell_what_changed(discs):
    session = Session(np.zeros((40, 60), np.uint8), segmenter=discs)
    kinds = []

    def note(event):
        kinds.append(event.kind)

    session.connect(note)
    session.connect(note)
    session.add_point((20, 30))
    assert kinds == ["pending", "history"]
    kinds.clear()
    session.accept()
    assert kinds == ["labels", "objects", "pending", "history"]
    kinds.clear()
    session.undo()
    assert kinds == ["labels", "objects", "pending", "history"]
    kinds.clear()
    session.disconnect(note)
    session.disconnect(note)
    session.redo()
    assert kinds == []


def test_the_event_of_an_accept_has_the_box_of_the_object(discs):
    session = Session(np.zeros((4, 40, 60), np.uint8), axes="ZYX", segmenter=discs)
    events = []
    session.connect(events.append)
    session.add_box((2, 10, 20), (2, 14, 30))
    session.accept()
    (labels,) = (event for event in events if event.kind == "labels")
    assert labels.slices == (slice(2, 3), slice(10, 15), slice(20, 31))


def test_an_action_pushed_by_somebody_else_is_told(discs):
    session = Session(np.zeros((40, 60), np.uint8), segmenter=discs)
    kinds = []
    session.connect(lambda event: kinds.append(event.kind))
    session.history.push(Opaque(lambda: None, lambda: None))
    assert kinds == ["history"]
    assert session.undo()
    assert not session.history.can_undo


def test_a_foreign_action_in_the_history_may_have_changed_anything(discs):
    session = Session(np.zeros((40, 60), np.uint8), segmenter=discs)

    class Foreign:
        def undo(self):
            session.labels[0, 0] = 0

        def redo(self):
            session.labels[0, 0] = 1

    session.history.push(Foreign())
    kinds = []
    session.connect(lambda event: kinds.append(event.kind))
    assert session.undo()
    assert kinds == ["labels", "objects", "pending", "history"]


@pytest.mark.parametrize("name", ["scale", "translate"])
@pytest.mark.parametrize("values", [(1, 2, 3), (1, float("inf")), 2, ("a", "b")])
def test_voxel_size_and_position_need_one_number_an_axis(discs, name, values):
    with pytest.raises(InputError, match=name):
        Session(np.zeros((4, 6)), segmenter=discs, **{name: values})


@pytest.mark.parametrize("refused", [{"scale": (0, 1)}, {"units": ("micrometer",)}])
def test_what_could_not_be_saved_is_refused_when_the_session_opens(discs, refused):
    with pytest.raises(InputError, match=next(iter(refused))):
        Session(np.zeros((4, 6)), segmenter=discs, **refused)


def test_one_unit_is_that_of_every_axis(discs):
    session = Session(np.zeros((4, 6)), units="µm", segmenter=discs)
    assert session.units == ("micrometer", "micrometer")


def test_undo_and_redo_with_an_empty_history_say_no(discs):
    session = Session(np.zeros((4, 6)), segmenter=discs)
    assert session.undo() is False
    assert session.redo() is False


def test_labels_are_saved_with_axes_voxel_size_units_and_position(tmp_path, discs):
    session = Session(
        np.zeros((2, 5, 40, 60), np.uint8),
        axes="CZYX",
        scale=(2, 0.5, 0.5),
        units="micrometer",
        translate=(10, 20, 30),
        segmenter=discs,
        name="Zellen",
    )
    session.add_point((3, 20, 30))
    session.accept()
    session.save(tmp_path / "labels.ome.tif")
    saved = read_labels(tmp_path / "labels.ome.tif")
    np.testing.assert_array_equal(saved.labels, session.labels)
    assert saved.axes == "ZYX"
    assert tuple(saved.scale) == (2, 0.5, 0.5)
    assert tuple(saved.translate) == (10, 20, 30)
    assert set(saved.units) == {"micrometer"}
