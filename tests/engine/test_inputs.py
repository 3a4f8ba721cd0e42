from __future__ import annotations

import numpy as np
import pytest

from samari.engine.inputs import as_plane, prompts_of, prompts_of_each
from samari.errors import InputError


def test_grey_planes_and_uint8_colour_are_taken_without_asking():
    assert as_plane(np.zeros((5, 4), np.uint16), None).shape == (5, 4)
    assert as_plane(np.zeros((5, 3)), None).shape == (5, 3)
    assert as_plane(np.zeros((5, 4, 3), np.uint8), None).shape == (5, 4, 3)
    assert as_plane(np.zeros((5, 4, 4), np.uint8), None).shape == (5, 4, 4)
    assert as_plane([[1, 2], [3, 4]], None).shape == (2, 2)


def test_colour_of_another_dtype_must_be_said():
    colour = np.zeros((5, 4, 3), np.float32)
    with pytest.raises(InputError, match=r"rgb=True.*Session"):
        as_plane(colour, None)
    assert as_plane(colour, True).shape == (5, 4, 3)


@pytest.mark.parametrize("shape", [(5, 6, 7), (2, 5, 6, 7), (3, 5, 6), (9,)], ids=str)
def test_a_stack_is_sent_to_the_session(shape):
    with pytest.raises(InputError, match=r"samari.Session"):
        as_plane(np.zeros(shape, np.uint8), None)


def test_a_stack_that_ends_in_three_columns_can_be_refused_as_colour():
    with pytest.raises(InputError, match=r"samari.Session"):
        as_plane(np.zeros((5, 4, 3), np.uint8), False)


def test_rgb_needs_a_colour_axis():
    with pytest.raises(InputError, match=r"\(5, 4\)"):
        as_plane(np.zeros((5, 4)), True)


def test_an_empty_image_is_refused():
    with pytest.raises(InputError, match=r"empty: shape \(0, 4\)"):
        as_plane(np.zeros((0, 4)), None)


def test_points_without_labels_are_positive():
    assert prompts_of([(1, 2), (3, 4)], None, None, None).labels == (1, 1)
    assert prompts_of(np.array([[1, 2], [3, 4]]), [0, 1], None, None).labels == (0, 1)
    assert prompts_of(None, None, (0, 0, 5, 5), None).points == ()
    assert prompts_of(iter([(1, 2)]), None, None, None).labels == (1,)
    with pytest.raises(InputError, match="points must be a sequence, got 7"):
        prompts_of(7, None, None, None)
    with pytest.raises(InputError, match="2 points"):
        prompts_of([(1, 2), (3, 4)], [1], None, None)


def test_every_point_and_every_box_is_an_object():
    prompts = prompts_of_each(np.array([[1, 2]]), iter([(0, 0, 5, 5), (6, 6, 9, 9)]))
    assert [(p.points, p.labels, p.box) for p in prompts] == [
        (((1, 2),), (1,), None),
        ((), (), (0, 0, 5, 5)),
        ((), (), (6, 6, 9, 9)),
    ]
    assert prompts_of_each(None, None) == []
    with pytest.raises(InputError, match="boxes must be a sequence, got 7"):
        prompts_of_each((), 7)
