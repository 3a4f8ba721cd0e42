"""Objects in small boxes are seen enlarged, by models that ask for it."""

from __future__ import annotations

import numpy as np
import pytest

from samari.engine.embedding import EmbeddingCache
from samari.engine.embedding_files import EmbeddingFiles
from samari.engine.frames import FrameRule
from samari.engine.pictures import ArrayPicture
from samari.engine.predict import Segmenter
from samari.engine.prompts import PlanePrompts
from samari.engine.steps import result_of
from samari.engine.tiled import answer_each, answer_steps
from samari.engine.tiles import Tile, TilePyramid
from samari.errors import InputError

RULE = FrameRule(512, 8, pad=False, upscale=False, zoom=256)


def levels(prompts: PlanePrompts, shape=(2000, 2000), zoom=256) -> list[int]:
    return [tile.level for tile in TilePyramid(shape, 512, zoom).for_prompts(prompts)]


@pytest.mark.parametrize(
    ("side", "first"), [(0, -2), (8, -2), (16, -2), (16.5, -1), (32, -1), (33, 0), (200, 0)]
)
def test_a_box_is_enlarged_as_long_as_it_is_small_in_the_picture(side, first):
    for y1, x1 in ((1000 + side, 1000), (1000, 1000 + side), (1000 - side, 1000 + side / 2)):
        box = PlanePrompts(box=(1000, 1000, y1, x1))
        assert levels(box) == list(range(first, 3))
        assert levels(box, zoom=0) == [0, 1, 2]


def test_clicks_and_masks_are_not():
    mask = np.zeros((2000, 2000), bool)
    mask[1000:1010, 1000:1010] = True
    for prompts in (PlanePrompts(((1000, 1000),), (1,)), PlanePrompts(mask=mask)):
        assert levels(prompts) == [0, 1, 2]


def test_a_correction_beyond_the_enlarged_picture_is_made_without_it():
    box = PlanePrompts(box=(1000, 1000, 1020, 1020))
    near = box.with_point((1030, 1010), 1)
    assert levels(near) == [-1, 0, 1, 2]
    assert levels(box.with_point((1200, 1010), 0)) == [0, 1, 2]
    pyramid = TilePyramid((2000, 2000), 512, 256)
    assert next(pyramid.for_prompts(near)) == next(pyramid.for_prompts(box))


def test_the_enlarged_tile_holds_the_box_with_its_surroundings():
    pyramid = TilePyramid((700, 900), 512, 256)
    for y, x in np.random.default_rng(0).uniform((0, 0), (669, 869), (300, 2)):
        tile = next(pyramid.for_prompts(PlanePrompts(box=(y, x, y + 31, x + 31))))
        assert tile.level == -1
        assert tile.shape == (128, 128)
        y0, x0, y1, x1 = tile.box
        # In its middle, but where the plane ends.
        assert y0 == 0 or y1 == 700 or abs(y0 + y1 - 1 - (2 * y + 31)) <= 1
        assert x0 == 0 or x1 == 900 or abs(x0 + x1 - 1 - (2 * x + 31)) <= 1


def test_an_outline_is_the_same_wherever_the_object_lies(bundled, dots):
    picture, masks = dots
    prompts = [PlanePrompts(box=around(mask)) for mask in masks[10:16]]
    rgb = np.repeat(picture[..., None], 3, axis=2)
    found = answer_each(
        bundled,
        ArrayPicture(np.pad(rgb, ((99, 99), (99, 99), (0, 0)))),
        [prompt.within((-99, -99, 1, 1)) for prompt in prompts],
    )
    down, right = 13, 29
    moved = np.pad(rgb, ((99 + down, 99), (99 + right, 99), (0, 0)))
    again = answer_each(
        bundled,
        ArrayPicture(moved),
        [prompt.within((-99 - down, -99 - right, 1, 1)) for prompt in prompts],
    )
    for one, other in zip(found, again, strict=True):
        assert one.best.any()
        assert np.array_equal(one.best, other.best[down:, right:])


def test_a_plane_smaller_than_the_tile_is_enlarged_whole():
    tile = next(TilePyramid((40, 100), 512, 256).for_prompts(PlanePrompts(box=(5, 5, 25, 25))))
    assert tile == Tile((0, 0, 40, 100), -1)


@pytest.mark.parametrize("enlarge", [2, 4])
def test_the_frame_is_as_many_times_larger(enlarge):
    frame = RULE.frame((30, 64), enlarge)
    assert frame.input_shape == (30 * enlarge, 64 * enlarge)
    assert frame.padded_shape == (-(-30 * enlarge // 8) * 8, 64 * enlarge)
    assert RULE.frame_seen((30, 64), frame.input_shape) == frame
    corners = frame.to_frame([(-0.5, -0.5), (29.5, 63.5)])
    assert np.allclose(corners, [(-0.5, -0.5), (64 * enlarge - 0.5, 30 * enlarge - 0.5)])


def test_frames_of_other_planes_are_found_again_too():
    for shape in ((30, 64), (512, 512), (1000, 800), (5000, 3)):
        frame = RULE.frame(shape)
        assert RULE.frame_seen(shape, frame.input_shape) == frame


@pytest.fixture(scope="module")
def dots() -> tuple[np.ndarray, list[np.ndarray]]:
    """Give a picture of blurred ellipses of 9 to 20 pixels, and their masks."""
    rng = np.random.default_rng(3)
    y, x = np.indices((300, 400))
    picture, masks = np.full((300, 400), 20.0), []
    for row in range(25, 300, 50):
        for col in range(25, 400, 50):
            a, b, turn = *rng.uniform(4.5, 10, 2), rng.uniform(0, np.pi)
            v, u = y - row - rng.uniform(-3, 3), x - col - rng.uniform(-3, 3)
            along, across = u * np.cos(turn) + v * np.sin(turn), v * np.cos(turn) - u * np.sin(turn)
            far = np.hypot(along / a, across / b)
            picture += 150 / (1 + np.exp(np.minimum((far - 1) * 12, 50)))
            masks.append(far <= 1)
    picture += rng.normal(0, 6, picture.shape)
    return np.clip(picture, 0, 255).astype(np.uint8), masks


def overlap(mask: np.ndarray, truth: np.ndarray) -> float:
    return float((mask & truth).sum() / (mask | truth).sum())


def around(mask: np.ndarray) -> tuple[float, float, float, float]:
    rows, cols = np.nonzero(mask)
    return rows.min() - 0.5, cols.min() - 0.5, rows.max() + 0.5, cols.max() + 0.5


def test_outlines_of_small_objects_are_better_enlarged(bundled, dots):
    picture, masks = dots
    rgb = np.repeat(picture[..., None], 3, axis=2)
    prompts = [PlanePrompts(box=around(mask)) for mask in masks]
    enlarged = answer_each(bundled, ArrayPicture(rgb), prompts)
    plain = bundled.predict_many(bundled.encode(rgb), prompts)
    assert all(one.tile is not None and one.tile.level < 0 for one in enlarged)
    gain = [
        overlap(one.best, mask) - overlap(other.best, mask)
        for one, other, mask in zip(enlarged, plain, masks, strict=True)
    ]
    assert np.mean(gain) > 0.01, np.round(gain, 2)
    assert np.median([overlap(one.best, m) for one, m in zip(enlarged, masks, strict=True)]) > 0.85


def test_one_by_one_and_together_are_the_same(bundled, dots):
    picture, masks = dots
    whole = ArrayPicture(np.repeat(picture[..., None], 3, axis=2))
    prompts = [PlanePrompts(box=around(mask)) for mask in masks[:6]]
    together = answer_each(bundled, whole, prompts)
    for prompt, one in zip(prompts, together, strict=True):
        alone = result_of(answer_steps(bundled, whole, prompt))
        assert alone.tile == one.tile
        assert overlap(alone.best, one.best) > 0.99
        assert alone.best.shape == picture.shape


def test_what_was_seen_enlarged_has_an_embedding_of_its_own(bundled, tmp_path):
    cache = EmbeddingCache(files=EmbeddingFiles(tmp_path))
    segmenter = Segmenter(device="cpu", cache=cache)
    rgb = np.random.default_rng(0).integers(0, 256, (64, 128, 3), dtype=np.uint8)
    plain = segmenter.encode(rgb)
    large = result_of(segmenter.encode_steps(rgb, enlarge=2))
    assert plain.features.shape[2:] == (8, 16)
    assert large.features.shape[2:] == (16, 32)
    assert plain.key != large.key
    box = PlanePrompts(box=(20, 20, 40, 40))
    assert segmenter.predict_prompts(large, box).best.shape == (64, 128)
    other = Segmenter(device="cpu", cache=EmbeddingCache(files=EmbeddingFiles(tmp_path)))
    again = list(other.encode_steps(rgb, enlarge=2))
    assert again == []
    assert np.array_equal(
        other.predict_prompts(result_of(other.encode_steps(rgb, enlarge=2)), box).logits,
        segmenter.predict_prompts(large, box).logits,
    )


def test_models_that_do_not_ask_for_it_refuse_what_was_enlarged(tiny_model_folder):
    segmenter = Segmenter(tiny_model_folder, device="cpu")
    assert segmenter.zoom_size == 0
    rgb = np.zeros((16, 16, 3), np.uint8)
    large = result_of(segmenter.encode_steps(rgb, enlarge=2))
    with pytest.raises(InputError, match="encode it again"):
        segmenter.predict_prompts(large, PlanePrompts(box=(2, 2, 8, 8)))
