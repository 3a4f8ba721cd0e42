from __future__ import annotations

import numpy as np
import pytest

from samari.engine.candidates import PlaneCandidates, Thresholds, pack
from samari.engine.masks import box_of
from samari.engine.planes import PlaneIndex
from samari.engine.prompts import PlanePrompts
from samari.errors import InputError

SHAPE = (40, 60)
LOOSE = Thresholds(min_score=0, min_stability=0, min_size=1, max_size=2400, overlap=1)


def square(y, x, side=6):
    mask = np.zeros(SHAPE, bool)
    mask[y : y + side, x : x + side] = True
    return mask


def candidates(*rows):
    """Rows of (mask, score, stability)."""
    boxes = [box_of(mask) for mask, *_ in rows]
    return PlaneCandidates(
        plane=PlaneIndex("YX", ()),
        shape=SHAPE,
        points=np.array([[k, k] for k in range(len(rows))], float).reshape(-1, 2),
        candidates=np.arange(len(rows), dtype=np.int16) % 3,
        scores=np.array([score for _, score, _ in rows], np.float32),
        stabilities=np.array([stability for *_, stability in rows], np.float32),
        sizes=np.array([mask.sum() for mask, *_ in rows], np.int64),
        boxes=np.array(boxes, np.int32).reshape(-1, 4),
        packed=tuple(
            pack(mask[b[0] : b[2], b[1] : b[3]]) for (mask, *_), b in zip(rows, boxes, strict=True)
        ),
    )


def test_masks_come_back_as_they_were_kept():
    rng = np.random.default_rng(0)
    masks = [rng.random(SHAPE) > 0.5, square(3, 4, 1), square(0, 0, 40)]
    found = candidates(*((mask, 1, 1) for mask in masks))
    for index, mask in enumerate(masks):
        y0, x0, y1, x1 = box_of(mask)
        np.testing.assert_array_equal(found.mask(index), mask[y0:y1, x0:x1])


def test_no_candidates_give_no_objects():
    """Trap 18."""
    selection = candidates().select(LOOSE)
    assert len(selection) == 0
    assert not selection.draw().any()


def test_one_candidate_gives_one_object():
    """Trap 18."""
    selection = candidates((square(5, 5), 0.9, 0.9)).select(LOOSE)
    np.testing.assert_array_equal(selection.draw(), square(5, 5))


def test_objects_are_numbered_from_the_best_score():
    found = candidates((square(0, 0), 0.6, 1), (square(10, 0), 0.9, 1), (square(20, 0), 0.7, 1))
    selection = found.select(LOOSE)
    assert [one.score for one in selection.objects] == pytest.approx([0.9, 0.7, 0.6])
    assert selection.draw()[10, 0] == 1


def test_a_stabler_mask_goes_first_where_scores_are_equal():
    found = candidates((square(0, 0), 0.9, 0.5), (square(0, 0), 0.9, 0.8))
    (only,) = found.select(Thresholds(min_score=0, min_stability=0, overlap=0)).objects
    assert only.stability == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("threshold", "left"),
    [
        ({"min_score": 0.75}, [0, 2]),
        ({"min_score": 0.8}, [0]),
        ({"min_stability": 0.6}, [1, 2]),
        ({"min_size": 36}, [0, 1]),
        ({"min_size": 37}, [1]),
        ({"max_size": 99}, [0, 2]),
        ({"max_size": 9}, [2]),
    ],
)
def test_each_threshold_drops_what_is_below_it(threshold, left):
    rows = [
        (square(0, 0, 6), 0.9, 0.5),
        (square(10, 10, 10), 0.5, 0.9),
        (square(30, 30, 3), 0.75, 0.75),
    ]
    limits = {"min_score": 0, "min_stability": 0, "min_size": 1, "max_size": 2400, **threshold}
    drawn = candidates(*rows).select(Thresholds(**limits)).draw() > 0
    np.testing.assert_array_equal(drawn, np.any([rows[k][0] for k in left], axis=0))


def test_the_default_largest_size_is_a_quarter_of_the_plane():
    whole, quarter = np.ones(SHAPE, bool), np.zeros(SHAPE, bool)
    quarter[:20, :30] = True
    selection = candidates((whole, 1, 1), (quarter, 0.9, 1)).select(Thresholds())
    np.testing.assert_array_equal(selection.draw() == 1, quarter)


def test_the_same_object_found_twice_is_one_object():
    found = candidates((square(5, 5, 10), 0.8, 1), (square(5, 6, 10), 0.9, 1))
    selection = found.select(Thresholds())
    np.testing.assert_array_equal(selection.draw() == 1, square(5, 6, 10))


@pytest.mark.parametrize("scores", [(0.9, 0.8), (0.8, 0.9)])
def test_of_a_whole_and_its_part_the_better_one_stays(scores):
    found = candidates((square(5, 5, 12), scores[0], 1), (square(7, 7, 6), scores[1], 1))
    selection = found.select(Thresholds())
    assert len(selection) == 1
    assert selection.objects[0].score == pytest.approx(max(scores))


def test_touching_objects_share_no_pixel_and_the_better_one_has_the_seam():
    found = candidates((square(5, 5, 10), 0.9, 1), (square(5, 14, 10), 0.8, 1))
    drawn = found.select(Thresholds()).draw()
    np.testing.assert_array_equal(drawn == 1, square(5, 5, 10))
    np.testing.assert_array_equal(drawn == 2, square(5, 14, 10) & ~square(5, 5, 10))
    assert len(found.select(Thresholds(overlap=0.09))) == 1


def test_labels_that_are_there_keep_their_pixels_and_drop_what_lies_on_them():
    """Trap 27."""
    taken = np.zeros(SHAPE, np.uint16)
    taken[square(5, 5, 10)] = 700
    taken[square(20, 20, 10)] = 3
    found = candidates(
        (square(4, 4, 12), 0.9, 1),  # object 700 again, larger
        (square(21, 29, 10), 0.9, 1),  # touches object 3
        (square(7, 7, 3), 0.9, 1),  # a part of object 700
    )
    drawn = found.select(Thresholds(min_size=1), taken).draw()
    np.testing.assert_array_equal(drawn == 1, square(21, 29, 10) & (taken == 0))
    assert drawn.max() == 1


def test_what_is_left_of_an_object_must_have_its_size_too():
    found = candidates((square(5, 5, 10), 0.9, 1), (square(5, 14, 10), 0.8, 1))
    assert len(found.select(Thresholds(min_size=90))) == 2
    assert len(found.select(Thresholds(min_size=91))) == 1


def test_a_chosen_object_names_the_click_that_gives_it():
    found = candidates((square(0, 0), 0.1, 1), (square(10, 10), 0.9, 1))
    (only,) = found.select(Thresholds()).objects
    assert only.prompts == PlanePrompts(((1.0, 1.0),), (1,), choices=(1,))


def test_filtering_many_candidates_again_is_as_filtering_them_first():
    """Trap 18: many; the order of earlier thresholds leaves nothing behind."""
    rng = np.random.default_rng(1)
    rows = [
        (square(*rng.integers(0, (34, 54)), int(rng.integers(3, 12))), *rng.random(2))
        for _ in range(400)
    ]
    found = candidates(*rows)
    for _ in range(10):
        score, stability, overlap = rng.random(3).tolist()
        thresholds = Thresholds(score, stability, int(rng.integers(1, 50)), 100, overlap)
        found.select(LOOSE)
        again, first = found.select(thresholds).draw(), candidates(*rows).select(thresholds).draw()
        np.testing.assert_array_equal(again, first)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"overlap": 1.5}, "overlap=1.5"),
        ({"min_score": float("nan")}, "min_score=nan"),
        ({"min_size": 0}, "min_size=0"),
        ({"min_size": 30, "max_size": 20}, "max_size=20"),
    ],
)
def test_thresholds_out_of_range_are_refused(wrong, said):
    with pytest.raises(InputError, match=said):
        Thresholds(**wrong)


def test_candidates_are_kept_in_a_few_hundred_bytes():
    rows = [(square(k % 30, k % 50, 9), 0.5, 0.5) for k in range(300)]
    assert candidates(*rows).nbytes < 300 * 300
