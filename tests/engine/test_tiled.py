"""Prompts on planes larger than the model's picture: found at native resolution, without seams."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from samari.engine import tiled
from samari.engine.pictures import ArrayPicture, PlanePicture, read_tile
from samari.engine.planes import ImagePlanes, PlaneIndex
from samari.engine.predict import Segmenter
from samari.engine.prediction import Prediction
from samari.engine.prompts import PlanePrompts
from samari.engine.session import Session
from samari.engine.tiles import Tile, TilePyramid


@dataclass
class Bright:
    """Finds what is bright around the first click, as far as its picture reaches."""

    model_name: str = "bright"
    model_hash: str = "b"
    picture_size: int = 64
    zoom_size: int = 0
    seen: list[tuple[int, int]] = field(default_factory=list)

    def encode_steps(self, rgb, plane_shape=None):
        self.seen.append(plane_shape or rgb.shape[:2])
        yield 1, 1
        shape = plane_shape or rgb.shape[:2]
        # What the model sees has at most `picture_size` pixels a side.
        scale = min(1.0, self.picture_size / max(shape))
        small = Image.fromarray(rgb).resize([max(1, round(n * scale)) for n in shape[::-1]])
        return np.asarray(small.resize(shape[::-1], Image.Resampling.NEAREST))[..., 0] > 127

    def predict_prompts(self, embedding, prompts, multimask=None):
        parts, _ = ndimage.label(embedding)
        y, x = (round(value) for value in prompts.points[0])
        masks = (parts == parts[y, x])[None] & embedding
        return Prediction.of(masks, np.ones(1), np.zeros((1, 1, 1)), 0)

    def predict_many(self, embedding, prompts, multimask=None):
        return [self.predict_prompts(embedding, one) for one in prompts]


def finish(steps):
    count = 0
    while True:
        try:
            next(steps)
            count += 1
        except StopIteration as end:
            return end.value, count


def click(y: float, x: float) -> PlanePrompts:
    return PlanePrompts(((y, x),), (1,))


def scene(shape: tuple[int, int] = (500, 700)) -> np.ndarray:
    """Return discs of several sizes, none touching another."""
    rgb = np.zeros((*shape, 3), np.uint8)
    y, x = np.indices(shape)
    for cy, cx, radius in ((100, 100, 8), (130, 400, 14), (350, 250, 90), (330, 600, 3)):
        rgb[(y - cy) ** 2 + (x - cx) ** 2 <= radius**2] = 255
    return rgb


@pytest.mark.parametrize(
    ("point", "pictures"), [((100, 100), 1), ((130, 400), 1), ((330, 600), 1), ((350, 250), 3)]
)
def test_an_object_is_seen_at_its_own_resolution_in_the_finest_tile_that_holds_it(point, pictures):
    rgb, model = scene(), Bright()
    answer, blocks = finish(tiled.answer_steps(model, ArrayPicture(rgb), click(*point)))
    assert len(model.seen) == blocks == pictures
    parts, _ = ndimage.label(rgb[..., 0])
    truth = parts == parts[point]
    if pictures == 1:
        np.testing.assert_array_equal(answer.mask, truth)
        assert answer.tile.level == 0
        assert answer.tile.shape == (64, 64)
    else:
        # Seen at a quarter of its resolution, or in the whole plane.
        assert np.count_nonzero(answer.mask & truth) / np.count_nonzero(answer.mask | truth) > 0.93
    assert answer.shape == (500, 700)
    assert answer.masks.shape == (1, 500, 700)


def test_only_what_is_encoded_is_read():
    reads = []

    class Counting:
        shape, dtype, ndim = (4000, 3000), np.dtype(np.uint8), 2

        def __getitem__(self, key):
            rows, cols = (range(*k.indices(n)) for k, n in zip(key, self.shape, strict=True))
            reads.append((len(rows), len(cols)))
            return np.zeros((len(rows), len(cols)), np.uint8)

    planes = ImagePlanes(Counting(), contrast_limits=(0, 255))
    finish(tiled.answer_steps(Bright(), PlanePicture(planes, PlaneIndex("YX")), click(2000, 2000)))
    assert reads == [(64, 64)]


def test_a_click_beside_all_objects_reads_no_endless_image(monkeypatch):
    monkeypatch.setattr(tiled, "MAX_READ", 256 * 256)
    model = Bright()
    rgb = np.full((1000, 1000, 3), 255, np.uint8)
    answer, _ = finish(tiled.answer_steps(model, ArrayPicture(rgb), click(500, 500)))
    assert model.seen == [(64, 64), (128, 128), (256, 256)]
    assert answer.bbox(0) == answer.tile.box


def test_many_prompts_get_the_answers_that_each_of_them_gets_alone():
    rgb = scene()
    prompts = [click(*point) for point in ((100, 100), (102, 98), (350, 250), (330, 600))]
    many = Bright()
    answers = tiled.answer_each(many, ArrayPicture(rgb), prompts)
    for prompt, answer in zip(prompts, answers, strict=True):
        alone, _ = finish(tiled.answer_steps(Bright(), ArrayPicture(rgb), prompt))
        np.testing.assert_array_equal(alone.mask, answer.mask)
        assert alone.tile == answer.tile
    # Two of them lie in one tile, which is encoded once.
    assert len(many.seen) == 1 + 1 + 3


def test_coarse_tiles_are_reduced_while_they_are_read():
    rgb = np.random.default_rng(0).integers(0, 255, (700, 900, 3), np.uint8)
    picture = ArrayPicture(rgb)
    np.testing.assert_array_equal(read_tile(picture, Tile((3, 5, 67, 69), 0)), rgb[3:67, 5:69])
    assert read_tile(picture, Tile((0, 0, 128, 128), 1)).shape == (128, 128, 3)
    coarse = read_tile(picture, Tile((64, 64, 320, 320), 2))
    assert coarse.shape == (128, 128, 3)
    blocks = rgb[64:320, 64:320].reshape(128, 2, 128, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(coarse, blocks, atol=0.51)
    whole = TilePyramid((700, 900), 64).whole
    assert whole.level == 4
    assert read_tile(picture, whole).shape == (175, 225, 3)  # 64 of 900 columns: a 14th is enough


def test_reading_in_strips_changes_nothing(monkeypatch):
    rgb = np.random.default_rng(0).integers(0, 255, (700, 900, 3), np.uint8)
    tile = TilePyramid((700, 900), 64).whole
    at_once = read_tile(ArrayPicture(rgb), tile)
    monkeypatch.setattr("samari.engine.pictures._AT_ONCE", 900 * 10)
    np.testing.assert_array_equal(read_tile(ArrayPicture(rgb), tile), at_once)


def test_a_session_writes_the_mask_where_it_is():
    rgb = scene()
    session = Session(rgb[..., 0], segmenter=Bright(), contrast_limits=(0, 255))
    session.add_point((130, 400))
    session.accept()
    parts, _ = ndimage.label(rgb[..., 0])
    np.testing.assert_array_equal(session.labels, parts == parts[130, 400])


def test_a_painted_mask_may_reach_beyond_its_tile():
    session = Session(scene()[..., 0], segmenter=Bright(), contrast_limits=(0, 255))
    session.add_point((100, 100))
    mask = session.candidates.mask.copy()
    mask[20, 600:650] = True
    session.paint(mask)
    np.testing.assert_array_equal(session.candidates.mask, mask)


def test_the_bundled_model_sees_small_objects_of_large_images():
    """Shrunk to the model's picture a disc of 5 pixels has hardly two; in its tile it has all."""
    rng = np.random.default_rng(0)
    image = rng.normal(10, 2, (1500, 1500)).astype(np.float32)
    y, x = np.indices(image.shape)
    disc = (y - 700) ** 2 + (x - 900) ** 2 <= 6**2
    image[disc] += 40
    model = Segmenter("samari-tiny", device="cpu")
    box = (693.5, 893.5, 706.5, 906.5)
    for level, prompts in ((0, {"points": [(700, 900)]}), (-2, {"box": box})):
        answer = model.predict(image, **prompts)
        assert answer.tile.level == level
        found = answer.best
        assert np.count_nonzero(found & disc) / np.count_nonzero(found | disc) > 0.6
    each = model.predict_each(image, points=[(700, 900)])
    np.testing.assert_array_equal(each[0].best, model.predict(image, points=[(700, 900)]).best)
