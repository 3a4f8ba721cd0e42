from __future__ import annotations

import numpy as np
import pytest

from samari.engine.pending import PendingObject, PendingPart
from samari.engine.planes import PlaneIndex
from samari.engine.prompts import PlanePrompts
from samari.engine.session import Session
from samari.errors import InputError, LabelsError


@pytest.fixture
def flat(discs):
    return Session(np.zeros((40, 60), np.uint8), segmenter=discs)


@pytest.fixture
def stack(discs):
    return Session(np.zeros((12, 40, 60), np.uint8), axes="ZYX", segmenter=discs)


def two_objects(session, plane=()):
    for x in (10, 30):
        session.add_point((*plane, 20, x))
        session.accept()


def test_delete_makes_background_and_is_undone(flat):
    two_objects(flat)
    before, record = flat.labels.copy(), flat.objects[1]
    flat.labels[0, 0] = 1  # a pixel painted for the object, far from its mask
    flat.delete(1)
    assert not (flat.labels == 1).any()
    assert list(flat.objects) == [2]
    flat.undo()
    before[0, 0] = 1
    np.testing.assert_array_equal(flat.labels, before)
    assert flat.objects[1] == record


def test_an_id_is_not_used_again_while_undo_can_bring_it_back(flat):
    two_objects(flat)
    flat.delete(2)
    flat.add_point((30, 50))
    assert flat.accept() == [3]
    flat.undo()
    flat.undo()
    flat.undo()
    assert np.unique(flat.labels).tolist() == [0, 1, 2]


def test_an_id_whose_accept_was_undone_and_forgotten_is_free_again(flat):
    two_objects(flat)
    flat.undo()
    flat.discard()
    flat.add_point((30, 50))
    assert flat.accept() == [2]


def test_merge_gives_one_object_the_pixels_and_the_origin_of_the_other(flat):
    two_objects(flat)
    before = flat.labels.copy()
    first, second = flat.objects[1], flat.objects[2]
    flat.merge(2, 1)
    np.testing.assert_array_equal(flat.labels, np.where(before > 0, 2, 0))
    assert list(flat.objects) == [2]
    assert flat.objects[2].parts == second.parts
    assert flat.objects[2].merged == (first,)
    flat.undo()
    np.testing.assert_array_equal(flat.labels, before)
    assert dict(flat.objects) == {1: first, 2: second}
    flat.redo()
    assert np.unique(flat.labels).tolist() == [0, 2]


def test_merge_of_objects_without_origin(discs):
    labels = np.array([[1, 1, 0, 4, 4]], np.uint8)
    session = Session(np.zeros((1, 5), np.uint8), labels=labels, segmenter=discs)
    session.merge(1, 4)
    assert labels.tolist() == [[1, 1, 0, 1, 1]]
    assert len(session.objects) == 0


@pytest.mark.parametrize(
    ("a", "b", "message"), [(1, 1, "itself"), (1, 7, "7"), (7, 1, "7"), (1, 0, "0")]
)
def test_a_merge_that_cannot_be_done_changes_nothing(flat, a, b, message):
    two_objects(flat)
    before, depth = flat.labels.copy(), len(flat.history)
    with pytest.raises(InputError, match=message):
        flat.merge(a, b)
    np.testing.assert_array_equal(flat.labels, before)
    assert len(flat.history) == depth


def test_an_object_that_is_being_edited_is_not_merged(flat):
    two_objects(flat)
    flat.reopen(2)
    with pytest.raises(InputError, match="object 2 is being edited"):
        flat.merge(1, 2)


def test_the_background_is_no_object(flat):
    for act in (flat.delete, flat.reopen):
        with pytest.raises(InputError, match="object 0"):
            act(0)


def test_reopen_brings_the_prompts_back_and_accept_replaces_the_object(flat, discs):
    flat.add_point((20, 30))
    flat.choose(0)
    flat.accept()
    flat.add_point((20, 37))
    flat.accept()
    asked = len(discs.decoded)
    second = flat.labels == 2
    flat.reopen(1)
    assert flat.pending[0].replaces == 1
    assert flat.candidates.chosen == 0
    assert len(discs.decoded) == asked
    flat.add_point((26, 30))
    assert flat.accept() == [1]
    np.testing.assert_array_equal(flat.labels == 2, second)
    assert flat.labels[26, 30] == flat.labels[20, 30] == 1
    assert flat.objects[1].parts[0].prompts.points == ((20, 30), (26, 30))
    assert list(flat.objects) == [1, 2]


def test_the_pixels_of_a_reopened_object_that_are_no_longer_in_its_mask_go(flat):
    flat.add_point((20, 30))
    flat.accept()
    flat.reopen(1)
    plane = flat.pending[0].newest.plane
    moved = PendingPart(plane, PlanePrompts(((5, 8),), (1,)))
    flat.set_pending([PendingObject((moved,), replaces=1)])
    flat.accept()
    assert flat.labels[20, 30] == 0
    assert flat.labels[5, 8] == 1
    flat.undo()
    flat.undo()
    assert flat.labels[20, 30] == 1
    assert flat.labels[5, 8] == 0


def test_discard_after_reopen_leaves_the_object_as_it_was(flat):
    two_objects(flat)
    before, records = flat.labels.copy(), dict(flat.objects)
    flat.reopen(1)
    flat.add_point((20, 18))
    flat.discard()
    np.testing.assert_array_equal(flat.labels, before)
    assert dict(flat.objects) == records
    assert flat.pending == ()


def test_reopening_twice_is_reopening_once(flat):
    two_objects(flat)
    flat.reopen(1)
    flat.reopen(1)
    assert len(flat.pending) == 1


def test_deleting_a_reopened_object_drops_its_prompts_too(flat):
    two_objects(flat)
    flat.reopen(2)
    pending = flat.pending
    flat.delete(2)
    assert flat.pending == ()
    flat.undo()
    assert flat.pending == pending


def test_prompts_removed_from_one_plane_take_the_object_from_that_plane(stack):
    stack.add_point((3, 20, 30))
    stack.add_point((4, 20, 30))
    stack.accept()
    stack.reopen(1)
    (obj,) = stack.pending
    stack.set_pending([PendingObject(obj.parts[:1], replaces=1)])
    assert stack.accept() == [1]
    assert set(np.nonzero(stack.labels)[0]) == {3}
    assert [part.plane.index for part in stack.objects[1].parts] == [(3,)]
    stack.undo()
    assert set(np.nonzero(stack.labels)[0]) == {3, 4}


def test_one_plane_of_an_object_can_be_reopened_alone(stack):
    stack.add_point((3, 20, 30))
    stack.add_point((4, 20, 30))
    stack.accept()
    stack.reopen(1, plane=PlaneIndex("YX", (4,)))
    stack.add_point((4, 30, 30))
    stack.accept()
    assert stack.labels[4, 30, 30] == 1
    assert stack.labels[3, 30, 30] == 0
    assert stack.labels[3, 20, 30] == 1
    assert [part.plane.index for part in stack.objects[1].parts] == [(3,), (4,)]
    assert len(stack.objects[1].parts[1].prompts.points) == 2


def test_an_object_of_another_tool_starts_from_its_mask(discs):
    labels = np.zeros((5, 30, 30), np.int32)
    labels[1:3, 4:9, 6:12] = 17
    session = Session(np.zeros((5, 30, 30)), axes="ZYX", labels=labels, segmenter=discs)
    session.reopen(17)
    (obj,) = session.pending
    assert [plane.index for plane in obj.planes] == [(1,), (2,)]
    for part in obj.parts:
        np.testing.assert_array_equal(part.prompts.mask, labels[part.plane.index] == 17)
        assert part.prompts.box == (3.5, 5.5, 8.5, 11.5)
    session.add_point((2, 20, 20))
    assert session.accept() == [17]
    assert labels[2, 20, 20] == 17
    assert labels[1].astype(bool).sum() == 30
    assert session.undo()
    assert (labels == 17).sum() == 60


def test_an_object_of_another_tool_is_reopened_in_the_view_and_on_the_plane_wanted(discs):
    labels = np.zeros((5, 30, 30), np.int32)
    labels[1:3, 4:9, 6:12] = 17
    session = Session(np.zeros((5, 30, 30)), axes="ZYX", labels=labels, segmenter=discs)
    session.view = "ZX"
    session.reopen(17)
    assert [plane.index for plane in session.pending[0].planes] == [(y,) for y in range(4, 9)]
    session.undo()
    session.reopen(17, plane=PlaneIndex("YX", (2,)))
    assert session.pending[0].planes == (PlaneIndex("YX", (2,)),)
    session.undo()
    with pytest.raises(InputError, match=r"no object 17 on z=4$"):
        session.reopen(17, plane=PlaneIndex("YX", (4,)))
    with pytest.raises(InputError, match=r"no object 18 in the labels$"):
        session.reopen(18)


def test_an_empty_mask_is_told_in_the_users_words(flat, stack):
    flat.add_point((20, 30), label=0)
    with pytest.raises(LabelsError, match=r"^the mask is empty: nothing"):
        flat.accept()
    outside = PlanePrompts(((1, 1),), (0,))
    parts = [PendingPart(PlaneIndex("YX", (z,)), outside) for z in (2, 5, 6, 7)]
    stack.set_pending([PendingObject((parts[0],))])
    with pytest.raises(LabelsError, match=r"^the mask on z=2 is empty"):
        stack.accept()
    stack.set_pending([PendingObject(tuple(parts))])
    with pytest.raises(LabelsError, match="on z=2; z=5; z=6 and 1 more is empty"):
        stack.accept()


def test_a_merged_object_starts_from_its_mask_so_that_nothing_of_it_is_lost(flat):
    two_objects(flat)
    flat.merge(1, 2)
    whole = flat.labels == 1
    flat.reopen(1)
    np.testing.assert_array_equal(flat.pending[0].newest.prompts.mask, whole)


def test_a_merged_object_redone_on_one_plane_keeps_its_pixels_on_the_others(stack):
    for x in (10, 30):
        stack.add_point((1, 20, x))
        stack.add_point((2, 20, x))
        stack.accept()
    stack.merge(1, 2)
    stack.reopen(1, plane=PlaneIndex("YX", (1,)))
    stack.accept()
    before = stack.labels.copy()
    stack.reopen(1)
    stack.accept()
    assert (stack.labels[before == 1] == 1).all()
    assert stack.objects[1].merged == ()  # all of it was done again


def test_rings_two_parts_and_touching_objects_reach_the_labels_unchanged(flat):
    """Trap 26, labels side."""
    shapes = np.zeros((3, 40, 60), bool)
    shapes[0, 5:16, 5:16] = True
    shapes[0, 8:13, 8:13] = False
    shapes[1, 20:24, 5:9] = shapes[1, 30:34, 12:20] = True
    shapes[2, 5:16, 16:20] = True
    for shape in shapes:
        prompts = PlanePrompts(mask=shape)
        flat.set_pending([PendingObject((PendingPart(PlaneIndex("YX"), prompts),))])
        flat.accept()
    for label, shape in enumerate(shapes, start=1):
        np.testing.assert_array_equal(flat.labels == label, shape)
