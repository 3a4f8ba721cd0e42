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


def disc(shape, y, x, radius=4.0):
    rows, cols = np.indices(shape)
    return np.hypot(rows - y, cols - x) <= radius


def test_a_click_accepted_is_an_object_in_the_labels(flat):
    flat.add_point((20, 30))
    assert flat.accept() == [1]
    np.testing.assert_array_equal(flat.labels == 1, disc((40, 60), 20, 30))
    assert flat.pending == ()


def test_points_refine_the_same_object(flat):
    flat.add_point((20, 30))
    flat.add_point((20, 36))
    flat.add_point((20, 30), label=0)
    assert len(flat.pending) == 1
    assert flat.accept() == [1]
    assert flat.labels[20, 36] == 1
    assert flat.labels[20, 30] == 0


def test_a_plane_of_a_stack_is_named_by_its_number(stack):
    guess = disc((40, 60), 10, 10)
    stack.add_mask(guess, plane=7)
    assert stack.pending[0].planes == (PlaneIndex("YX", (7,)),)
    stack.paint(guess, plane=np.int64(7))
    stack.paint(guess, plane=(7,))
    (label,) = stack.accept()
    stack.reopen(label, 7)
    assert stack.pending[0].scope == (PlaneIndex("YX", (7,)),)
    with pytest.raises(InputError, match="no mask to paint on"):
        stack.paint(guess, plane=3)


def test_n_prompts_give_n_ids(flat):
    """Trap 21."""
    for k in range(8):
        flat.add_box((2, 1 + 7 * k), (6, 5 + 7 * k))
    assert len(flat.pending) == 8
    assert flat.accept() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert np.unique(flat.labels).tolist() == list(range(9))
    for k in range(8):
        assert (flat.labels[2:7, 1 + 7 * k : 6 + 7 * k] == k + 1).all()


def test_several_accepted_objects_are_taken_back_by_one_undo(flat):
    for k in range(3):
        flat.add_box((2, 1 + 8 * k), (6, 5 + 8 * k))
    pending = flat.pending
    flat.accept()
    assert flat.undo()
    assert not flat.labels.any()
    assert len(flat.objects) == 0
    assert flat.pending == pending


def test_later_objects_do_not_overwrite_earlier_ones_of_the_same_accept(flat):
    """Trap 22."""
    flat.add_box((5, 5), (14, 14))
    flat.add_box((10, 10), (19, 19))
    flat.accept()
    assert (flat.labels[5:15, 5:15] == 1).all()
    assert (flat.labels == 2).sum() == 100 - 25


def test_a_point_after_a_box_belongs_to_the_newest_object(flat):
    flat.add_box((2, 2), (6, 6))
    flat.add_box((20, 20), (26, 26))
    flat.add_point((30, 23))
    first, second = flat.pending
    assert first.newest.prompts.points == ()
    assert second.newest.prompts.points == ((30, 23),)
    assert second.newest.prompts.box == (20, 20, 26, 26)


def test_a_first_box_goes_to_the_object_that_has_points(flat):
    flat.add_point((23, 23))
    flat.add_box((26, 26), (20, 20))
    assert len(flat.pending) == 1
    assert flat.pending[0].newest.prompts.box == (20, 20, 26, 26)


def test_painted_pixels_and_given_labels_are_respected(discs):
    """Trap 22: also those that were painted by hand after the session was opened."""
    labels = np.zeros((40, 60), np.uint8)
    labels[18:22, 30:34] = 9
    session = Session(np.zeros((40, 60)), labels=labels, segmenter=discs)
    labels[24, 30] = 5
    session.add_point((20, 30))
    assert session.accept() == [10]
    mask = disc((40, 60), 20, 30)
    expected = np.where(mask, 10, 0)
    expected[18:22, 30:34], expected[24, 30] = 9, 5
    np.testing.assert_array_equal(labels, expected)


def test_a_point_acts_on_its_own_plane_only(stack):
    """Trap 9."""
    stack.add_point((3, 20, 30))
    before = stack.candidates.mask.copy()
    stack.add_point((4, 10, 10), label=0)
    stack.add_point((4, 25, 30))
    on_three = stack.pending[0].part_on(PlaneIndex("YX", (3,)))
    np.testing.assert_array_equal(stack.prediction(on_three).mask, before)
    assert stack.accept() == [1]
    np.testing.assert_array_equal(stack.labels[3] == 1, before)
    assert sorted(set(np.nonzero(stack.labels)[0])) == [3, 4]


def test_an_object_has_one_id_on_all_its_planes(stack):
    for z in range(2, 6):
        stack.add_point((z, 20, 30))
    assert stack.accept() == [1]
    assert [part.plane.index for part in stack.objects[1].parts] == [(2,), (3,), (4,), (5,)]


def test_an_object_accepted_on_z_2_to_5_stays_when_another_comes_on_z_10_and_11(stack):
    """Trap 28."""
    for z in range(2, 6):
        stack.add_point((z, 20, 30))
    stack.accept()
    for z in (10, 11):
        stack.add_point((z, 20, 30))
    stack.accept()
    assert sorted(set(np.nonzero(stack.labels == 1)[0])) == [2, 3, 4, 5]
    assert sorted(set(np.nonzero(stack.labels == 2)[0])) == [10, 11]


@pytest.mark.parametrize(
    ("view", "index"),
    [("YX", np.s_[3]), ("ZX", np.s_[:, 20]), ("XZ", np.s_[:, 20]), ("ZY", np.s_[:, :, 30])],
)
def test_prompts_act_on_the_plane_of_the_view(discs, view, index):
    stack = Session(np.zeros((12, 40, 60), np.uint8), axes="ZYX", segmenter=discs)
    stack.view = view
    stack.add_point((3, 20, 30))
    stack.accept()
    assert stack.labels[index].sum() == stack.labels.sum() > 20
    assert stack.labels[3, 20, 30] == 1


def test_coordinates_of_an_image_with_channels_leave_the_channel_out(discs):
    """Trap 10, session side: T > 0 and Z > 0."""
    session = Session(
        np.zeros((3, 4, 2, 20, 30), np.uint8), axes="TZCYX", channel=1, segmenter=discs
    )
    assert session.labels.shape == (3, 4, 20, 30)
    session.add_point((2, 1, 10, 15))
    session.accept()
    assert session.labels[2, 1, 10, 15] == 1
    assert session.labels.sum() == session.labels[2, 1].sum()
    assert session.objects[1].channel == 1


def test_every_object_keeps_where_it_came_from(discs):
    """Trap 4."""
    session = Session(
        np.zeros((5, 40, 60), np.uint16), axes="ZYX", contrast_limits=(10, 900), segmenter=discs
    )
    session.add_point((2, 20, 30))
    session.add_point((2, 22, 30), label=0)
    session.choose(2)
    session.accept()
    record = session.objects[1]
    assert record.contrast_limits == (10, 900)
    assert (record.model, record.model_hash) == ("discs", "d15c")
    assert (record.channel, record.crop) == (None, None)
    (part,) = record.parts
    assert part.plane == PlaneIndex("YX", (2,))
    assert part.prompts.points == ((20, 30), (22, 30))
    assert part.prompts.labels == (1, 0)
    assert part.candidate == 2
    assert part.score == record.score == pytest.approx(0.7)


def test_a_choice_of_candidate_is_what_is_accepted_and_asks_the_model_nothing(flat, discs):
    flat.add_point((20, 30))
    assert flat.candidates.chosen == 1
    flat.choose(0)
    assert flat.candidates.chosen == 0
    assert len(discs.decoded) == 1
    flat.accept()
    np.testing.assert_array_equal(flat.labels == 1, disc((40, 60), 20, 30, 2.0))


def test_a_choice_is_undone(flat):
    flat.add_point((20, 30))
    flat.choose(0)
    flat.undo()
    assert flat.candidates.chosen == 1
    flat.redo()
    assert flat.candidates.chosen == 0


@pytest.mark.parametrize("candidate", [3, -1])
def test_a_candidate_that_is_not_there_is_named(flat, candidate):
    flat.add_point((20, 30))
    with pytest.raises(InputError, match=f"candidate {candidate}.*0 to 2"):
        flat.choose(candidate)


def test_a_polygon_is_a_mask_and_a_box_and_the_next_one_another_object(flat):
    flat.add_polygon([(5, 5), (5, 15), (12, 15), (12, 5)])
    flat.add_polygon([(20, 5), (20, 15), (30, 10)])
    first, second = (obj.newest.prompts for obj in flat.pending)
    assert first.box == (5, 5, 12, 15)
    assert first.mask.box == (5, 5, 12, 15)
    assert first.mask.crop.all()
    assert np.asarray(second.mask)[22, 10]
    assert flat.accept() == [1, 2]


def test_a_mask_is_prompted_with_the_box_around_it(stack):
    guess = np.zeros((40, 60), bool)
    guess[10:14, 20:30] = True
    stack.add_mask(guess, plane=(7,))
    part = stack.pending[0].newest
    assert part.plane == PlaneIndex("YX", (7,))
    assert part.prompts.box == (9.5, 19.5, 13.5, 29.5)
    stack.accept()
    np.testing.assert_array_equal(stack.labels[7] == 1, guess)


def test_the_second_object_is_the_same_with_or_without_the_first(discs):
    """Trap 15."""
    masks = []
    for first in (True, False):
        session = Session(np.zeros((40, 60), np.uint8), segmenter=discs)
        if first:
            session.add_point((8, 8))
            session.accept()
        session.add_point((25, 40))
        session.add_point((25, 46))
        masks.append(session.candidates.mask)
        assert discs.decoded[-1] == PlanePrompts(((25, 40), (25, 46)), (1, 1))
    np.testing.assert_array_equal(*masks)


def test_accept_without_prompts_accepts_nothing(flat):
    assert flat.accept() == []
    assert not flat.history.can_undo


def test_a_mask_wholly_covered_by_another_object_changes_nothing_and_says_so(flat):
    flat.add_box((10, 10), (30, 30))
    flat.accept()
    before = flat.labels.copy()
    flat.add_box((2, 40), (8, 50))
    flat.add_box((15, 15), (20, 20))
    pending = flat.pending
    with pytest.raises(LabelsError, match="covered by object 1"):
        flat.accept()
    np.testing.assert_array_equal(flat.labels, before)
    assert flat.pending == pending
    assert list(flat.objects) == [1]
    flat.undo()
    assert flat.accept() == [2]


def test_an_empty_mask_is_not_accepted(flat):
    flat.add_point((20, 30))
    flat.add_point((20, 30), label=0)
    flat.add_point((20, 30), label=0)
    part = flat.pending[0].newest
    flat.set_pending([PendingObject((PendingPart(part.plane, PlanePrompts(((1, 1),), (0,))),))])
    with pytest.raises(LabelsError, match=r"empty.*positive point"):
        flat.accept()
    assert not flat.labels.any()


def test_discard_drops_the_prompts_and_undo_brings_them_back(flat):
    flat.add_point((20, 30))
    pending = flat.pending
    flat.discard()
    assert flat.pending == ()
    assert not flat.labels.any()
    flat.undo()
    assert flat.pending == pending


def test_discard_of_nothing_is_no_step(flat):
    flat.discard()
    assert not flat.history.can_undo


def test_edited_prompts_are_one_step_and_equal_ones_none(flat):
    flat.add_point((20, 30))
    before = flat.pending
    flat.set_pending(list(before))
    assert len(flat.history) == 1
    moved = PendingPart(before[0].newest.plane, PlanePrompts(((10, 10),), (1,)))
    flat.set_pending([PendingObject((moved,))])
    assert len(flat.history) == 2
    flat.undo()
    assert flat.pending == before


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda s: s.add_point((3, 40, 30)), r"y=40.*\(12, 40, 60\)"),
        (lambda s: s.add_point((12, 20, 30)), "z=12"),
        (lambda s: s.add_point((20, 30)), "2 coordinates"),
        (lambda s: s.add_point((3, 20, 30), label=2), "2"),
        (lambda s: s.add_point((3, float("nan"), 30)), "nan"),
        (lambda s: s.add_box((3, 1, 1), (4, 9, 9)), "not on z=3 and z=4"),
        (lambda s: s.add_box((3, 41, 1), (3, 50, 9)), "outside"),
        (lambda s: s.add_polygon([(1, 1, 1), (1, 5, 5)]), "three"),
        (lambda s: s.add_polygon([]), "three"),
        (lambda s: s.add_polygon([(1, 1, 1), (2, 5, 5), (1, 9, 1)]), "not on z=1 and z=2"),
        (lambda s: s.add_mask(np.ones((40, 60), bool), plane=3.5), "whole number, not 3.5"),
        (lambda s: s.reopen(4, "z"), "whole number, not 'z'"),
        (lambda s: s.add_mask(np.ones((4, 4), bool), plane=(3,)), r"\(4, 4\).*\(40, 60\)"),
        (lambda s: s.add_mask(np.ones((40, 60), bool), plane=(12,)), "12"),
        (lambda s: setattr(s, "view", "QX"), "QX"),
        (lambda s: s.candidates, "prompt"),
        (lambda s: s.delete(4), "object 4"),
        (lambda s: s.reopen(4), "object 4"),
        (lambda s: s.merge(4, 5), "object 4"),
    ],
)
def test_what_cannot_be_done_names_the_value_and_changes_nothing(stack, act, message):
    with pytest.raises(InputError, match=message):
        act(stack)
    assert stack.pending == ()
    assert not stack.history.can_undo


def test_a_box_may_reach_beyond_the_image(flat):
    flat.add_box((-5, -5), (6, 100))
    flat.accept()
    assert (flat.labels[:7] == 1).all()
    assert not flat.labels[7:].any()


def test_two_sessions_know_nothing_of_each_other(discs):
    one = Session(np.zeros((40, 60), np.uint8), segmenter=discs)
    two = Session(np.zeros((20, 20), np.uint8), segmenter=discs)
    one.add_point((30, 50))
    two.add_point((10, 10))
    one.accept()
    assert not two.labels.any()
    assert len(two.pending) == 1
    assert two.accept() == [1]
