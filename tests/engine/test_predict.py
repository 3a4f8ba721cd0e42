from __future__ import annotations

import json
import shutil
import threading
from itertools import pairwise

import numpy as np
import pytest
import torch

from samari.engine.embedding import EmbeddingCache
from samari.engine.planes import to_rgb_uint8
from samari.engine.predict import Segmenter
from samari.engine.prompts import PlanePrompts
from samari.errors import Cancelled, InputError, ModelError


@pytest.fixture(scope="module")
def segmenter(tiny_model_folder) -> Segmenter:
    return Segmenter(tiny_model_folder, device="cpu")


@pytest.fixture(scope="module")
def padded(tiny_model_folder, tmp_path_factory) -> Segmenter:
    """Give the same weights, in the frame of the published models."""
    folder = tmp_path_factory.mktemp("padded") / "tiny"
    shutil.copytree(tiny_model_folder, folder)
    config = json.loads((folder / "config.json").read_text())
    del config["samari"]
    (folder / "config.json").write_text(json.dumps(config))
    return Segmenter(folder, device="cpu")


def picture(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def same(one, other) -> bool:
    return np.array_equal(one.logits, other.logits) and np.array_equal(one.masks, other.masks)


def test_it_says_what_it_is(segmenter, tiny_model_folder):
    assert segmenter.model_name == tiny_model_folder.name
    assert len(segmenter.model_hash) == 64
    assert (segmenter.device, segmenter.dtype) == ("cpu", "float32")
    assert segmenter.info is None
    assert not segmenter.model.training


@pytest.mark.parametrize(
    "shape",
    [(1, 1), (1, 40), (40, 1), (3, 2), (15, 9), (50, 37), (64, 64), (3, 700), (300, 2), (130, 97)],
    ids=str,
)
@pytest.mark.parametrize("kind", ["bare", "padded"])
def test_planes_of_every_shape(request, segmenter, kind, shape):
    """Trap 20: non-square, one pixel wide, smaller than a patch, larger than the frame."""
    model = segmenter if kind == "bare" else request.getfixturevalue("padded")
    image = picture(*shape)
    corner = (shape[0] - 1, shape[1] - 1)
    for prompts in ({"points": [corner]}, {"box": (0, 0, *corner)}, {"mask": image >= 0}):
        prediction = model.predict(image, **prompts)
        assert prediction.masks.shape == (len(prediction.scores), *shape)
        assert np.isfinite(prediction.logits).all()


def test_a_plane_larger_than_4096(segmenter):
    """Trap 20."""
    image = np.zeros((4300, 4200), np.uint8)
    image[1000:2000, 1500:2500] = 200
    prediction = segmenter.predict(image, points=[(1500.5, 2000)])
    assert prediction.masks.shape == (3, 4300, 4200)
    assert prediction.masks.any()


def test_two_images_of_different_size_in_turn(segmenter):
    """Trap 19."""
    small, large = picture(20, 31), picture(90, 64, seed=1)
    alone = [segmenter.predict(small, [(5, 6)]), segmenter.predict(large, [(70, 60)])]
    for _ in range(2):
        assert same(segmenter.predict(small, [(5, 6)]), alone[0])
        assert same(segmenter.predict(large, [(70, 60)]), alone[1])


def test_data_changed_in_place_is_encoded_anew(segmenter):
    """Trap 7: the cache goes by content."""
    image = picture(40, 40)
    before = segmenter.predict(image, [(9, 9)])
    image[5:30, 5:30] = 255 - image[5:30, 5:30]
    after = segmenter.predict(image, [(9, 9)])
    assert np.abs(after.logits - before.logits).max() > 1e-4
    image[5:30, 5:30] = 255 - image[5:30, 5:30]
    assert same(segmenter.predict(image, [(9, 9)]), before)


def test_contrast_limits_are_part_of_the_content(segmenter):
    image = picture(30, 30).astype(np.uint16) * 10
    wide = segmenter.predict(image, [(9, 9)], contrast_limits=(0, 2550))
    narrow = segmenter.predict(image, [(9, 9)], contrast_limits=(500, 900))
    assert np.abs(wide.logits - narrow.logits).max() > 1e-4
    assert same(segmenter.predict(image, [(9, 9)], contrast_limits=(0, 2550)), wide)


def test_a_grey_image_is_the_same_as_its_colour_picture(segmenter):
    image = picture(30, 30)
    colour = to_rgb_uint8(image)
    alpha = np.concatenate([colour, picture(30, 30, 1)], axis=2)
    grey = segmenter.predict(image, [(9, 9)])
    assert same(segmenter.predict(colour, [(9, 9)]), grey)
    assert same(segmenter.predict(alpha, [(9, 9)]), grey)
    assert same(segmenter.predict(colour.astype(float) / 255, [(9, 9)], rgb=True), grey)


def test_a_click_moved_by_a_tenth_of_a_pixel_counts(segmenter):
    """Trap 8."""
    image = picture(40, 40)
    places = [segmenter.predict(image, [(10 + d, 20)]).logits for d in (-0.1, 0, 0.1)]
    for one, other in pairwise(places):
        assert np.abs(one - other).max() > 1e-6


def test_boxes_without_extent_and_boxes_over_the_edge_are_answered(segmenter):
    """Trap 8."""
    image = picture(40, 40)
    for box in [(5.2, 5.2, 5.2, 5.2), (5, 5, 5.3, 30), (30, 5, 5, 5.1)]:
        assert segmenter.predict(image, box=box).masks.shape == (1, 40, 40)
    over = segmenter.predict(image, box=(-100, 3, 500, 20))
    assert same(over, segmenter.predict(image, box=(-0.5, 3, 39.5, 20)))


def test_best_is_the_mask_of_the_highest_score(segmenter):
    """Trap 16."""
    for seed in range(8):
        prediction = segmenter.predict(picture(30, 30, seed=seed), [(9, 9)])
        assert prediction.scores[prediction.best_index] == prediction.scores.max()
        assert np.array_equal(prediction.best, prediction.masks[prediction.scores.argmax()])
        assert prediction.chosen == prediction.best_index


def test_a_mask_without_a_pixel_is_not_chosen(tiny_model_folder, monkeypatch):
    segmenter = Segmenter(tiny_model_folder, device="cpu")
    forward = type(segmenter.model).forward

    def silent(model, **given):
        found = forward(model, **given)
        first = int(found.iou_scores[0, 0].argmax())
        found.pred_masks[0, 0].abs_()
        found.pred_masks[0, 0, first].neg_()
        found.iou_scores[0, 0] += 1
        return found

    monkeypatch.setattr(type(segmenter.model), "forward", silent)
    answer = segmenter.predict(picture(30, 40), points=[(10, 12)])
    empty = [not mask.any() for mask in answer.masks]
    assert sum(empty) == 1
    assert answer.scores[empty.index(True)] == 0
    assert answer.best.all()


def test_boxes_of_masks_hold_all_their_pixels(segmenter):
    prediction = segmenter.predict(picture(70, 90), [(30, 30)])
    for i, mask in enumerate(prediction.masks):
        y0, x0, y1, x1 = prediction.bbox(i)
        assert mask[y0:y1, x0:x1].sum() == mask.sum() > 0
        assert mask[y0].any()
        assert mask[y1 - 1].any()
        assert mask[:, x0].any()
        assert mask[:, x1 - 1].any()


def test_one_prediction_for_every_prompt(segmenter):
    image = picture(50, 40)
    points, boxes = [(5, 6), (30.5, 20), (49, 39)], [(1, 1, 9, 9), (20, 10, 40, 30)]
    each = segmenter.predict_each(image, points, boxes)
    singles = [segmenter.predict(image, [p]) for p in points]
    singles += [segmenter.predict(image, box=b) for b in boxes]
    assert [len(p.masks) for p in each] == [3, 3, 3, 1, 1]
    for one, other in zip(each, singles, strict=True):
        np.testing.assert_allclose(one.logits, other.logits, atol=1e-4)
    assert [len(p.masks) for p in segmenter.predict_each(image, points, multimask=False)] == [1] * 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "no prompt"),
        ({"points": [(3, 50)]}, r"point 0 at \(y, x\) = \(3, 50\) lies outside .*\(40, 50\)"),
        ({"points": [(3, 4), (-1, 4)]}, "point 1"),
        ({"points": [(3, 4)], "labels": [1, 0]}, "1 points need as many labels"),
        ({"points": [(3, np.nan)]}, "not finite"),
        ({"points": (3, 4)}, r"\[\(y, x\)\]"),
        ({"box": (50, 60, 70, 80)}, "outside"),
        ({"mask": np.ones((50, 40), bool)}, r"\(50, 40\), the plane \(40, 50\)"),
    ],
)
def test_prompts_that_cannot_be_used_are_named_before_anything_is_encoded(
    segmenter, arguments, message
):
    held = len(segmenter.cache)
    with pytest.raises(InputError, match=message):
        segmenter.predict(picture(40, 50, seed=99), **arguments)
    assert len(segmenter.cache) == held


def test_each_needs_a_prompt_on_the_image(segmenter):
    with pytest.raises(InputError, match="no prompt"):
        segmenter.predict_each(picture(9, 9))
    with pytest.raises(InputError, match="outside"):
        segmenter.predict_each(picture(9, 9), [(3, 3), (9, 9)])


def test_a_stack_is_sent_to_the_session(segmenter):
    with pytest.raises(InputError, match=r"samari.Session"):
        segmenter.predict(picture(5, 40, 40), [(3, 3)])


def test_encoding_yields_after_every_block_and_is_held(tiny_model_folder):
    segmenter = Segmenter(tiny_model_folder, device="cpu")
    rgb = picture(30, 40, 3)
    assert segmenter.cached(rgb) is None
    steps = segmenter.encode_steps(rgb)
    seen = []
    while True:
        try:
            seen.append(next(steps))
        except StopIteration as end:
            embedding = end.value
            break
        assert not torch.is_inference_mode_enabled()
        assert torch.is_grad_enabled()
    assert seen == [(1, 2), (2, 2)]
    assert segmenter.cached(rgb.copy()) is embedding
    assert list(segmenter.encode_steps(rgb)) == []
    assert segmenter.encode(rgb) is embedding
    assert (embedding.plane_shape, embedding.input_shape) == ((30, 40), (30, 40))
    assert embedding.features.shape == (1, 32, 4, 5)


def test_block_by_block_is_the_same_as_the_encoder_in_one_go(padded):
    rgb = picture(30, 40, 3)
    pixels = padded._rule.frame((30, 40)).pixels(rgb)
    with torch.inference_mode():
        wanted = padded.model.get_image_embeddings(pixels)
    assert torch.equal(padded.encode(rgb).features, wanted)


def test_a_model_that_asks_for_a_reach_sees_no_farther(tiny_model_folder, tmp_path):
    near = tmp_path / "near"
    shutil.copytree(tiny_model_folder, near)
    entries = json.loads((near / "config.json").read_text(encoding="utf-8"))
    entries["samari"]["reach"] = 1
    (near / "config.json").write_text(json.dumps(entries), encoding="utf-8")
    rgb = picture(30, 60, 3)
    found = Segmenter(near, device="cpu").encode(rgb).features
    whole = Segmenter(tiny_model_folder, device="cpu")
    assert not torch.allclose(found, whole.encode(rgb).features, atol=1e-4)
    whole.model.limit_attention(1)
    with torch.inference_mode():
        wanted = whole.model.get_image_embeddings(whole._rule.frame((30, 60)).pixels(rgb))
    assert torch.equal(found, wanted)
    assert Segmenter(near, device="cpu").model_hash != whole.model_hash


def test_progress_is_told_and_cancel_stops_within_a_block(tiny_model_folder):
    segmenter = Segmenter(tiny_model_folder, device="cpu")
    rgb, told = picture(30, 40, 3), []
    with pytest.raises(Cancelled, match="after 1 of 2 blocks"):
        segmenter.encode(rgb, progress=lambda *n: told.append(n), cancel=lambda: True)
    assert told == [(1, 2)]
    assert segmenter.cached(rgb) is None
    segmenter.encode(rgb, progress=lambda *n: told.append(n), cancel=lambda: False)
    assert told == [(1, 2), (1, 2), (2, 2)]


def test_an_encoding_left_half_way_leaves_nothing_behind(tiny_model_folder):
    segmenter = Segmenter(tiny_model_folder, device="cpu")
    rgb = picture(30, 40, 3)
    steps = segmenter.encode_steps(rgb)
    next(steps)
    steps.close()
    assert len(segmenter.cache) == 0
    assert not torch.is_inference_mode_enabled()


def test_segmenters_share_a_cache_and_models_do_not_meet_in_it(tiny_model_folder, padded, tmp_path):
    cache = EmbeddingCache()
    one, same_model = (Segmenter(tiny_model_folder, "cpu", cache=cache) for _ in range(2))
    rgb = picture(30, 40, 3)
    embedding = one.encode(rgb)
    assert same_model.cached(rgb) is embedding
    assert padded.model_hash != one.model_hash


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_lower_precision_uses_what_float32_encoded_and_not_the_other_way(
    tiny_model_folder, dtype
):
    cache = EmbeddingCache()
    exact = Segmenter(tiny_model_folder, "cpu", "float32", cache=cache)
    half = Segmenter(tiny_model_folder, "cpu", dtype, cache=cache)
    one, other = picture(30, 40, 3), picture(30, 40, 3, seed=1)
    assert half.cached(one) is None
    embedding = exact.encode(one)
    assert half.cached(one) is embedding
    assert list(half.encode_steps(one)) == []
    rounded = half.encode(other)
    assert half.cached(other) is rounded
    assert exact.cached(other) is None
    exact.encode(other)
    assert half.cached(other) is rounded


def test_an_embedding_of_another_model_is_refused(segmenter, padded):
    embedding = padded.encode(picture(30, 40, 3))
    with pytest.raises(InputError, match="encode it again"):
        segmenter.predict_prompts(embedding, PlanePrompts(((3, 3),), (1,)))


def test_empty_prompts_are_refused(segmenter):
    embedding = segmenter.encode(picture(30, 40, 3))
    with pytest.raises(InputError, match="no prompt"):
        segmenter.predict_prompts(embedding, PlanePrompts())
    with pytest.raises(InputError, match="outside"):
        segmenter.predict_many(embedding, [PlanePrompts(((30, 3),), (1,))])


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_encodes_nearly_the_same(segmenter, tiny_model_folder, dtype):
    half = Segmenter(tiny_model_folder, device="cpu", dtype=dtype)
    rgb = picture(50, 60, 3)
    assert half.dtype == dtype
    wanted, got = segmenter.encode(rgb).features, half.encode(rgb).features
    assert got.dtype == torch.float32
    assert 0 < (got - wanted).abs().max() < 0.1 * wanted.std() + 0.05
    prediction = half.predict_prompts(half.encode(rgb), PlanePrompts(((9, 9),), (1,)))
    assert prediction.logits.dtype == np.float32


def test_settings_of_torch_stay_as_they_were(tiny_model_folder):
    """Trap 36."""

    def state():
        return (
            torch.get_num_threads(),
            torch.is_grad_enabled(),
            torch.is_inference_mode_enabled(),
            torch.get_default_dtype(),
            torch.random.get_rng_state().sum().item(),
        )

    before = state()
    segmenter = Segmenter(tiny_model_folder, device="cpu")
    segmenter.predict(picture(30, 40), [(3, 3), (5, 5)])
    assert state() == before


def test_other_threads_may_ask_the_cache_while_one_predicts(tiny_model_folder):
    segmenter = Segmenter(tiny_model_folder, device="cpu", cache=EmbeddingCache(20_000))
    images = [picture(30, 40, seed=i) for i in range(6)]
    wanted = [segmenter.predict(image, [(3, 3)]).logits for image in images]
    stop, wrong = threading.Event(), []

    def ask() -> None:
        while not stop.is_set():
            for image in images:
                held = segmenter.cached(to_rgb_uint8(image))
                if held is not None and held.plane_shape != (30, 40):
                    wrong.append(held)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(3):
            for image, logits in zip(images, wanted, strict=True):
                assert np.array_equal(segmenter.predict(image, [(3, 3)]).logits, logits)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not wrong


def test_a_model_that_is_not_there_is_an_error_of_ours(tmp_path):
    with pytest.raises(ModelError, match="nowhere"):
        Segmenter(tmp_path / "nowhere")
