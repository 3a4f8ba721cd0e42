from __future__ import annotations

import numpy as np
import pytest

from samari.engine.prompts import PlanePrompts
from samari.errors import InputError


def disc() -> np.ndarray:
    y, x = np.indices((12, 10))
    return np.hypot(y - 6, x - 5) < 3


def test_prompts_are_built_in_order_and_leave_the_earlier_value_alone():
    empty = PlanePrompts()
    one = empty.with_point((3, 4))
    two = one.with_point((5.25, 6), 0)
    assert empty.is_empty
    assert not one.is_empty
    assert one.points == ((3.0, 4.0),)
    assert (two.points, two.labels) == (((3.0, 4.0), (5.25, 6.0)), (1, 0))
    assert [p.n_steps for p in (empty, one, two)] == [0, 1, 2]


def test_a_box_and_a_mask_are_one_step_and_every_point_is_another():
    assert PlanePrompts(box=(1, 2, 3, 4)).n_steps == 1
    assert PlanePrompts(mask=disc()).n_steps == 1
    assert PlanePrompts(box=(1, 2, 3, 4), mask=disc()).n_steps == 1
    assert PlanePrompts(box=(1, 2, 3, 4)).with_point((2, 3)).n_steps == 2
    assert PlanePrompts(mask=disc()).with_point((2, 3)).with_point((4, 5)).n_steps == 3


def test_a_box_may_be_dragged_in_any_direction():
    wanted = (1.0, 2.0, 5.0, 8.0)
    for box in [(1, 2, 5, 8), (5, 8, 1, 2), (1, 8, 5, 2), (5, 2, 1, 8)]:
        assert PlanePrompts(box=box).box == wanted


def test_arrays_lists_and_tuples_are_the_same_prompts():
    as_lists = PlanePrompts([[1, 2], [3, 4]], [1, 0], [0, 0, 9, 9])
    as_arrays = PlanePrompts(
        np.array([[1, 2], [3, 4]]), np.array([True, False]), np.array([0, 0, 9, 9])
    )
    assert as_lists == as_arrays
    assert hash(as_lists) == hash(as_arrays)
    assert as_lists.key == as_arrays.key


def test_prompts_that_differ_in_anything_differ_in_their_keys():
    base = PlanePrompts(((1, 2), (3, 4)), (1, 0), (0, 0, 9, 9), disc(), (0,))
    other = disc()
    other[0, 0] = True
    variants = [
        base,
        PlanePrompts(((3, 4), (1, 2)), (0, 1), (0, 0, 9, 9), disc(), (0,)),
        PlanePrompts(((1, 2), (3, 4)), (1, 1), (0, 0, 9, 9), disc(), (0,)),
        PlanePrompts(((1, 2), (3, 4.001)), (1, 0), (0, 0, 9, 9), disc(), (0,)),
        base.with_box((0, 0, 9, 8)),
        base.with_box(None),
        base.with_mask(other),
        base.with_mask(None),
        base.with_choice(1),
        PlanePrompts(((1, 2), (3, 4)), (1, 0), (0, 0, 9, 9), disc(), (1,)),
    ]
    assert len({prompts.key for prompts in variants}) == len(variants)
    assert len(set(variants)) == len(variants)


def test_prompts_agree_on_the_keys_of_the_steps_they_share():
    one = PlanePrompts(((1, 2),), (1,))
    two = one.with_point((3, 4))
    chosen = one.with_choice(2).with_point((3, 4))
    assert one.step_key(0) == two.step_key(0) == chosen.step_key(0)
    assert two.step_key(1) != chosen.step_key(1)
    assert two.with_choice(1).step_key(1) == two.step_key(1)


def test_the_mask_is_a_copy_that_cannot_be_changed():
    mask = disc()
    prompts = PlanePrompts(mask=mask)
    key = prompts.key
    mask[:] = True
    np.testing.assert_array_equal(prompts.mask, disc())
    assert PlanePrompts(mask=disc()).key == key
    with pytest.raises(ValueError, match="read-only"):
        prompts.mask.crop[0, 0] = True


def test_a_read_only_view_of_an_array_that_may_change_is_copied_too():
    mask = disc()
    view = mask[:]
    view.setflags(write=False)
    prompts = PlanePrompts(mask=view)
    mask[:] = False
    np.testing.assert_array_equal(prompts.mask, disc())


def test_choices_belong_to_steps_and_go_where_the_first_step_changes():
    prompts = PlanePrompts(((1, 2),), (1,)).with_choice(2).with_point((3, 4))
    assert (prompts.choice(0), prompts.choice(1)) == (2, None)
    assert prompts.with_choice(0).choices == (2, 0)
    assert prompts.with_choice(0).with_choice(None).choices == (2,)
    assert PlanePrompts(((1, 2), (3, 4)), (1, 1)).with_choice(1).choices == (None, 1)
    assert prompts.with_box((0, 0, 5, 5)).choices == ()
    assert prompts.with_mask(disc()).choices == ()


def test_choices_are_carried_over_as_far_as_both_prompts_begin_alike():
    old = PlanePrompts(((1, 2), (3, 4), (5, 6)), (1, 1, 0), choices=(2, 0, 1))
    moved = PlanePrompts(((1, 2), (3, 5), (5, 6)), (1, 1, 0))
    assert moved.with_choices_of(old).choices == (2,)
    assert PlanePrompts(((1, 2),), (1,)).with_choices_of(old).choices == (2,)
    longer = PlanePrompts((*old.points, (7, 8)), (*old.labels, 1))
    assert longer.with_choices_of(old).choices == (2, 0, 1)
    assert longer.with_box((0, 0, 9, 9)).with_choices_of(old).choices == ()
    boxed = PlanePrompts(((1, 2),), (1,), (0, 0, 9, 9), choices=(2, 1))
    assert PlanePrompts(box=(0, 0, 9, 9)).with_choices_of(boxed).choices == (2,)


def test_a_polygon_is_a_mask_and_its_box():
    prompts = PlanePrompts().with_polygon([(2, 2), (2, 7), (8, 7), (8, 2)], (12, 10))
    assert prompts.box == (2, 2, 8, 7)
    assert np.asarray(prompts.mask)[3:8, 3:7].all()
    cut = PlanePrompts().with_polygon([(-5, -5), (-5, 40), (40, 40), (40, -5)], (12, 10))
    assert cut.box == (-0.5, -0.5, 11.5, 9.5)
    assert np.asarray(cut.mask).all()


def test_says_where_needs_more_than_negative_points():
    negative = PlanePrompts(((1, 2),), (0,))
    assert not negative.says_where
    assert not PlanePrompts().says_where
    assert negative.with_point((3, 3), 1).says_where
    assert negative.with_box((0, 0, 3, 3)).says_where
    assert negative.with_mask(disc()).says_where


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"points": ((1, 2),), "labels": ()}, "1 points need as many labels.*got 0"),
        ({"points": (), "labels": (1,)}, "0 points"),
        ({"points": ((1, np.nan),), "labels": (1,)}, "point 0 is .*nan"),
        ({"points": ((1, 1), (np.inf, 2)), "labels": (1, 1)}, "point 1 is .*inf"),
        ({"points": ((1, 2, 3),), "labels": (1,)}, r"\(1, 2, 3\)"),
        ({"points": (10, 20), "labels": (1, 1)}, r"\[\(y, x\)\]"),
        ({"points": 5, "labels": (1,)}, "sequence"),
        ({"points": ((1, 2),), "labels": (2,)}, "label 0 is 2"),
        ({"points": ((1, 2),), "labels": ("1",)}, "label 0 is '1'"),
        ({"points": ((1, 2),), "labels": (np.nan,)}, "label 0 is nan"),
        ({"box": (1, 2, 3)}, r"\(1, 2, 3\)"),
        ({"box": (1, 2, 3, np.inf)}, "not finite"),
        ({"mask": np.zeros((4, 4), bool)}, "no pixel set"),
        ({"mask": np.ones((4, 4, 3), bool)}, r"\(4, 4, 3\)"),
        ({"mask": np.ones((4, 4))}, "float64"),
        ({"choices": (0,)}, "1 choices for 0 steps"),
        ({"points": ((1, 2),), "labels": (1,), "choices": (-1,)}, "-1"),
        ({"points": ((1, 2),), "labels": (1,), "choices": (0.5,)}, "0.5"),
    ],
)
def test_what_is_not_a_prompt_is_named(arguments, message):
    with pytest.raises(InputError, match=message):
        PlanePrompts(**arguments)


def test_a_choice_before_any_prompt_is_refused():
    with pytest.raises(InputError, match="before there is any prompt"):
        PlanePrompts().with_choice(0)


@pytest.mark.parametrize("point", [(-0.5, -0.5), (11.5, 9.5), (0, 9.49), (11.4, -0.4)])
def test_points_within_half_a_pixel_of_the_border_are_on_the_plane(point):
    PlanePrompts((point,), (1,)).check_fits((12, 10))


@pytest.mark.parametrize("point", [(-0.51, 2), (11.51, 2), (3, -0.6), (3, 9.6), (3, 1e9)])
def test_a_point_outside_is_named_with_the_shape(point):
    prompts = PlanePrompts(((2, 2), point), (1, 1))
    with pytest.raises(InputError, match=r"point 1 .*outside the plane of shape \(12, 10\)"):
        prompts.check_fits((12, 10))


def test_a_box_may_stick_out_but_not_miss_the_plane():
    PlanePrompts(box=(-5, -5, 3, 3)).check_fits((12, 10))
    with pytest.raises(InputError, match=r"box .*\(12, 10\)"):
        PlanePrompts(box=(12, 0, 15, 3)).check_fits((12, 10))


def test_a_mask_of_another_shape_is_refused():
    with pytest.raises(InputError, match=r"\(12, 10\).*\(10, 12\)"):
        PlanePrompts(mask=disc()).check_fits((10, 12))
