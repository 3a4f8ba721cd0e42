from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from samari.engine.steps import result_of
from samari.errors import InputError
from samari.train.build import build_model
from samari.train.data import Sample
from samari.train.lessons import LessonBook, lessons_of, turned

if TYPE_CHECKING:
    from collections.abc import Callable

    from samari.sam.model import SamModel
    from samari.train.config import TrainConfig


@pytest.fixture
def model_of(make_config: Callable[..., TrainConfig]) -> Callable[[dict[str, Any]], SamModel]:
    """Give a small model that wants its pictures in a certain way."""
    config = make_config([{"steps": 1}]).model

    def build(samari: dict[str, Any]) -> SamModel:
        return build_model({**config, "samari": samari}, seed=0)

    return build


def cells(shape: tuple[int, int], side: int = 6) -> Sample:
    labels = np.zeros(shape, np.int32)
    numbers = iter(range(1, 10_000))
    for row in range(2, shape[0] - side, 2 * side + 4):
        for col in range(3, shape[1] - side, 2 * side + 4):
            labels[row : row + side, col : col + 2 * side] = next(numbers)
    image = np.stack([np.where(labels > 0, 220, 20).astype(np.uint8)] * 3, -1)
    return Sample(image, labels, "own", "own", "cells", "cells")


def agree(lesson: Any) -> float:
    """Return the share of pixels that are bright where the labels say so, and dark elsewhere."""
    bright = lesson.pixels[0].mean(0) > 0.5
    return float((bright == (lesson.labels[0] > 0)).float().mean())


@pytest.mark.parametrize(
    ("samari", "size"),
    [
        ({}, (64, 64)),
        ({"pad": False, "upscale": False}, (40, 56)),
        ({"pad": False}, (48, 64)),
    ],
)
def test_labels_lie_on_their_pixels_in_the_frame_of_the_model(
    model_of: Callable[..., SamModel], samari: dict[str, Any], size: tuple[int, int]
) -> None:
    lessons = lessons_of(model_of(samari), [cells((36, 50))], np.random.default_rng(0), most=4)
    assert len(lessons) == 1
    assert tuple(lessons[0].pixels.shape[2:]) == size
    assert agree(lessons[0]) > 0.93
    assert set(lessons[0].clicked) == set(lessons[0].boxed) == set(range(1, 7))


def test_a_large_plane_is_learnt_in_its_tiles_and_small_objects_enlarged(
    model_of: Callable[..., SamModel],
) -> None:
    model = model_of({"pad": False, "upscale": False, "zoom": 64})
    sample = cells((120, 150), side=3)
    lessons = lessons_of(model, [sample], np.random.default_rng(0), most=500)
    clicked = [lesson for lesson in lessons if lesson.clicked]
    boxed = [lesson for lesson in lessons if not lesson.clicked]
    assert len(clicked) > 3
    assert len(boxed) > 3
    assert all(agree(lesson) > 0.9 for lesson in lessons)
    widths = []
    for lesson in boxed:
        of_one = (lesson.labels[0] == lesson.boxed[0]).any(0).sum()
        widths.append(int(of_one))
    assert min(widths) >= 12  # six pixels wide, and seen at least twice as large
    few = lessons_of(model, [sample], np.random.default_rng(0), most=6)
    assert len(few) == 6
    assert sum(bool(lesson.clicked) for lesson in few) == 3


def test_nothing_to_learn_is_an_error(model_of: Callable[..., SamModel]) -> None:
    sample = dataclasses.replace(cells((30, 40)), labels=np.zeros((30, 40), np.int32))
    with pytest.raises(InputError, match="no object"):
        lessons_of(model_of({}), [sample], np.random.default_rng(0), most=4)
    with pytest.raises(InputError, match="no object"):
        LessonBook(model_of({}), [sample])


def test_the_eight_positions_differ_and_keep_labels_on_their_pixels() -> None:
    sample = cells((36, 50))
    seen = set()
    for way in range(8):
        one = turned(sample, way)
        assert np.array_equal(one.image[..., 0] > 100, one.labels > 0)
        seen.add(one.labels.tobytes() + bytes(one.labels.shape))
    assert len(seen) == 8


def test_a_kept_embedding_is_computed_once_and_a_learning_encoder_has_gradients(
    model_of: Callable[..., SamModel], encodings: list[Any]
) -> None:
    model = model_of({})
    (lesson,) = lessons_of(model, [cells((36, 50))], np.random.default_rng(0), most=1)
    fresh = lesson.features(model)
    assert fresh.requires_grad
    steps = lesson.kept_features(model, "a block")
    assert next(steps) == "a block"
    assert torch.is_grad_enabled()  # between the blocks somebody else is served
    kept = result_of(steps)
    assert not kept.requires_grad
    torch.testing.assert_close(kept, fresh.detach(), rtol=1e-4, atol=1e-4)
    assert lesson.pixels.numel() == 0
    count = len(encodings)
    assert result_of(lesson.kept_features(model, None)) is kept
    assert len(encodings) == count


def test_an_object_larger_than_a_tile_is_learnt_where_the_engine_answers_it(
    model_of: Callable[..., SamModel],
) -> None:
    sample = cells((200, 260), side=40)
    sample.labels[sample.labels > 1] = 0
    sample.labels[20:190, 30:240] = 9
    model = model_of({"pad": False, "upscale": False})
    lessons = lessons_of(model, [sample], np.random.default_rng(0), most=50)
    (lesson,) = [one for one in lessons if 9 in one.clicked]
    shown = (lesson.labels[0] == 9).float()
    # All of it, in a picture of the whole plane.
    assert shown.any(0).sum() == pytest.approx(64 * 210 / 260, abs=2)
    assert not shown[0].any()


def test_a_window_of_a_picture_that_one_object_fills(model_of: Callable[..., SamModel]) -> None:
    sample = cells((64, 64))
    sample.labels[:] = 3
    model = model_of({"pad": False, "upscale": False})
    (lesson,) = lessons_of(model, [sample], np.random.default_rng(0), most=1)
    assert lesson.window(32, 8, np.random.default_rng(0)).labels.unique().tolist() == [3]


def test_a_window_always_holds_the_only_object(model_of: Callable[..., SamModel]) -> None:
    sample = cells((64, 64))
    sample.labels[:] = 0
    sample.labels[30, 37] = 1
    model = model_of({"pad": False, "upscale": False})
    (lesson,) = lessons_of(model, [sample], np.random.default_rng(0), most=1)
    rng = np.random.default_rng(0)
    assert all(bool(lesson.window(32, 8, rng).labels.any()) for _ in range(300))


def test_the_book_grows_by_and_by_and_begins_with_the_pictures_as_they_are(
    model_of: Callable[..., SamModel],
) -> None:
    samples = [cells((36, 50)), cells((40, 44))]
    rng = np.random.default_rng(0)
    book = LessonBook(model_of({"pad": False, "upscale": False}), samples, seed=0)
    drawn = [book.draw(rng) for _ in range(40)]
    assert len({id(lesson) for lesson in drawn}) == 10
    first = {tuple(lesson.labels.shape[1:]) for lesson in (drawn[0], drawn[4])}
    assert first == {(40, 56), (40, 48)}
    again = LessonBook(model_of({"pad": False, "upscale": False}), samples, seed=0)
    rng = np.random.default_rng(0)
    for lesson in drawn:
        assert torch.equal(again.draw(rng).pixels, lesson.pixels)


def test_a_window_holds_an_object_and_begins_at_a_token(model_of: Callable[..., SamModel]) -> None:
    model = model_of({"pad": False, "upscale": False})
    (lesson,) = lessons_of(model, [cells((60, 64))], np.random.default_rng(0), most=1)
    whole = lesson.pixels[0, 0].numpy()
    rng = np.random.default_rng(1)
    for _ in range(20):
        part = lesson.window(32, 8, rng)
        assert tuple(part.labels.shape) == (1, 32, 32)
        assert part.labels.any()
        assert agree(part) > 0.93
        found = np.argwhere(
            np.lib.stride_tricks.sliding_window_view(whole, (32, 32))[::8, ::8]
            == part.pixels[0, 0].numpy()
        )
        assert len(found)
    assert lesson.window(64, 8, rng) is lesson
