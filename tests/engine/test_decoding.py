from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.nn import functional as F

from samari.engine.masks import mask_prompt
from samari.engine.predict import Segmenter
from samari.engine.prompts import PlanePrompts
from samari.errors import InputError
from samari.sam import SamConfig, SamModel
from samari.zoo import LoadedModel

SHAPE = (50, 37)


@pytest.fixture(scope="module", params=["padded", "bare"])
def segmenter(request, tiny_model_folder) -> Segmenter:
    values = json.loads((tiny_model_folder / "config.json").read_text())
    values["samari"] = {"pad": request.param == "padded", "upscale": request.param == "padded"}
    # Layer norm over a single channel is blind, and the mask prompt must be seen here.
    values["prompt_encoder_config"]["mask_input_channels"] = 16
    config = SamConfig.from_dict(values)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = SamModel(config)
    return Segmenter(LoadedModel(model, request.param, request.param, None), device="cpu")


@pytest.fixture(scope="module")
def rgb() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (*SHAPE, 3), dtype=np.uint8)


@pytest.fixture
def counted(segmenter, monkeypatch):
    """Count the prompts that pass through the mask decoder, in a segmenter that remembers none."""
    segmenter._decoder.forget()
    passed: list[int] = []
    forward = segmenter.model.forward

    def counting(*args, **kwargs):
        output = forward(*args, **kwargs)
        passed.append(output.pred_masks.shape[1])
        return output

    monkeypatch.setattr(segmenter.model, "forward", counting)
    return passed


def plain(model: SamModel, rgb: np.ndarray, prompts: PlanePrompts, multimask: bool | None):
    """Compute logits, scores and masks by the definition, with nothing kept and nothing shared.

    Where gradients are on, that is done by the plain modules.
    """
    height, width = rgb.shape[:2]
    size, patch = 64, 8
    bare = not model.config.extra["samari"]["pad"]
    scale = 1.0 if bare else size / max(height, width)
    rows, cols = round(height * scale), round(width * scale)
    if bare:
        padded = (-(-rows // patch) * patch, -(-cols // patch) * patch)
    else:
        padded = (size, size)
    picture = np.asarray(Image.fromarray(rgb).resize((cols, rows), Image.Resampling.BILINEAR))
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    pixels = np.zeros((1, 3, *padded), np.float32)
    pixels[0, :, :rows, :cols] = ((picture / 255 - mean) / std).transpose(2, 0, 1)

    def placed(y, x):
        return [(x + 0.5) * cols / width - 0.5, (y + 0.5) * rows / height - 0.5]

    boxes = None
    if prompts.box is not None:
        y0, x0, y1, x1 = prompts.box
        boxes = torch.tensor([[placed(y0, x0) + placed(y1, x1)]])
    before = None
    for step in range(prompts.n_steps):
        count = step + 1 if boxes is None else step
        points, labels = prompts.points[:count], prompts.labels[:count]
        lone = len(points) == 1 and prompts.box is None and prompts.mask is None
        output = model(
            torch.from_numpy(pixels),
            input_points=torch.tensor([[[placed(*p) for p in points]]]) if points else None,
            input_labels=torch.tensor([[labels]]) if points else None,
            input_boxes=boxes,
            input_masks=before,
            multimask_output=lone if multimask is None else multimask,
        )
        scores = output.iou_scores[0, 0]
        choice = prompts.choice(step)
        taken = int(scores.argmax()) if choice is None else choice
        before = output.pred_masks[:, 0, taken : taken + 1]
    logits = output.pred_masks[0, 0]
    x = F.interpolate(logits[None], padded, mode="bilinear")[..., :rows, :cols]
    x = F.interpolate(x, (height, width), mode="bilinear")[0]
    return logits.numpy(), scores.numpy(), x.numpy(), taken


points = st.tuples(st.floats(-0.5, SHAPE[0] - 0.5), st.floats(-0.5, SHAPE[1] - 0.5))
CLICKS = [(10.0, 10.0), (20.5, 30.25), (0.0, 36.4), (44.4, 3.3)]
CASES = {
    "a click": PlanePrompts((CLICKS[0],), (1,)),
    "a click, another candidate": PlanePrompts((CLICKS[0],), (1,), choices=(0,)),
    "two clicks": PlanePrompts(CLICKS[:2], (1, 0)),
    "four clicks": PlanePrompts(CLICKS, (1, 1, 0, 1)),
    "four clicks with a choice": PlanePrompts(CLICKS, (1, 1, 0, 1), choices=(2,)),
    "a box": PlanePrompts(box=(5, 6, 30, 31)),
    "a box with clicks": PlanePrompts(CLICKS[:3], (1, 0, 1), (5.5, 6, 30, 31)),
    "a box thinner than a pixel": PlanePrompts(box=(5.1, 6.0, 5.1, 6.4)),
}


WAYS = [(case, multimask) for case in CASES for multimask in (None, True, False)]
WAYS.remove(("four clicks with a choice", False))  # there is no third candidate then


@pytest.mark.parametrize(("case", "multimask"), WAYS)
def test_a_mask_is_what_its_definition_says(segmenter, rgb, case, multimask):
    prompts = CASES[case]
    with torch.enable_grad():
        logits, scores, values, taken = plain(segmenter.model, rgb, prompts, multimask)
    prediction = segmenter.predict_prompts(segmenter.encode(rgb), prompts, multimask)
    np.testing.assert_allclose(prediction.logits, logits, atol=1e-4)
    np.testing.assert_allclose(prediction.scores, scores, atol=1e-4)
    clear = np.abs(values) > 1e-3
    np.testing.assert_array_equal(prediction.masks[clear], values[clear] > 0)
    assert prediction.masks.shape == values.shape
    assert prediction.chosen == taken


@pytest.mark.parametrize("case", ["a click", "two clicks", "a box", "a box with clicks"])
def test_the_number_of_candidates(segmenter, rgb, case):
    embedding = segmenter.encode(rgb)
    default = 3 if case == "a click" else 1
    for multimask, count in ((None, default), (True, 3), (False, 1)):
        prediction = segmenter.predict_prompts(embedding, CASES[case], multimask)
        assert len(prediction.masks) == len(prediction.scores) == len(prediction.logits) == count


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_the_second_object_is_the_same_with_or_without_the_first(segmenter, rgb, data):
    """Trap 15: no logits leak from one object, or from an earlier version of it, to another."""
    lists = st.lists(st.tuples(points, st.sampled_from([0, 1])), min_size=1, max_size=4)
    embedding = segmenter.encode(rgb)

    def drawn() -> PlanePrompts:
        clicks = data.draw(lists)
        box = data.draw(st.none() | st.just((3, 4, 40, 30)))
        return PlanePrompts([p for p, _ in clicks], [label for _, label in clicks], box)

    first, second = drawn(), drawn()
    segmenter._decoder.forget()
    alone = segmenter.predict_prompts(embedding, second)
    segmenter._decoder.forget()
    for count in range(1, len(first.points) + 1):
        part = PlanePrompts(first.points[:count], first.labels[:count], first.box)
        segmenter.predict_prompts(embedding, part)
    after = segmenter.predict_prompts(embedding, second)
    np.testing.assert_array_equal(after.logits, alone.logits)
    np.testing.assert_array_equal(after.scores, alone.scores)
    np.testing.assert_array_equal(after.masks, alone.masks)


def test_editing_an_early_point_gives_what_the_edited_prompts_give_afresh(segmenter, rgb):
    embedding = segmenter.encode(rgb)
    original = CASES["four clicks"]
    edited = PlanePrompts([(11.0, 12.0), *original.points[1:]], original.labels)
    before = segmenter.predict_prompts(embedding, original)
    warm = segmenter.predict_prompts(embedding, edited)
    segmenter._decoder.forget()
    fresh = segmenter.predict_prompts(embedding, edited)
    np.testing.assert_array_equal(warm.logits, fresh.logits)
    assert np.abs(warm.logits - before.logits).max() > 1e-3


def test_another_choice_at_an_early_step_changes_what_follows(segmenter, rgb):
    embedding = segmenter.encode(rgb)
    clicks = PlanePrompts((CLICKS[0],), (1,))
    results = [
        segmenter.predict_prompts(embedding, clicks.with_choice(i).with_point(CLICKS[1])).logits
        for i in range(3)
    ]
    assert np.abs(results[0] - results[1]).max() > 1e-3
    assert np.abs(results[1] - results[2]).max() > 1e-3


def test_a_further_click_costs_one_pass_and_a_repeated_one_none(segmenter, rgb, counted):
    embedding = segmenter.encode(rgb)
    prompts = PlanePrompts()
    for k, click in enumerate(CLICKS):
        prompts = prompts.with_point(click)
        segmenter.predict_prompts(embedding, prompts)
        assert len(counted) == k + 1
    segmenter.predict_prompts(embedding, prompts)
    segmenter.predict_prompts(embedding, PlanePrompts(CLICKS[:2], (1, 1)))
    assert len(counted) == len(CLICKS)


def test_another_choice_at_the_last_step_costs_nothing(segmenter, rgb, counted):
    embedding = segmenter.encode(rgb)
    click = PlanePrompts((CLICKS[0],), (1,))
    predictions = [segmenter.predict_prompts(embedding, click.with_choice(i)) for i in range(3)]
    assert [prediction.chosen for prediction in predictions] == [0, 1, 2]
    assert len(counted) == 1


def test_prompts_of_another_plane_do_not_meet(segmenter, rgb):
    one, other = segmenter.encode(rgb), segmenter.encode(rgb[::-1].copy())
    prompts = CASES["two clicks"]
    first = segmenter.predict_prompts(one, prompts)
    assert np.abs(first.logits - segmenter.predict_prompts(other, prompts).logits).max() > 1e-3
    np.testing.assert_array_equal(segmenter.predict_prompts(one, prompts).logits, first.logits)


def test_every_score_belongs_to_its_mask(segmenter, rgb):
    """Trap 17, also with several objects in one batch."""
    embedding = segmenter.encode(rgb)
    prompts = [PlanePrompts((click,), (1,)) for click in CLICKS]
    for prompt, many in zip(prompts, segmenter.predict_many(embedding, prompts), strict=True):
        with torch.inference_mode():
            logits, scores, _, _ = plain(segmenter.model, rgb, prompt, True)
        for i in range(3):
            distance = np.abs(logits - many.logits[i]).max(axis=(1, 2))
            assert np.argmin(distance) == i
            assert many.scores[i] == pytest.approx(scores[i], abs=1e-4)
        assert many.best_index == int(np.argmax(scores))


def test_many_objects_in_batches_are_the_same_as_one_by_one(segmenter, rgb):
    rng = np.random.default_rng(0)
    clicks = rng.uniform((0, 0), (SHAPE[0] - 1, SHAPE[1] - 1), (9, 2))
    y, x = np.indices(SHAPE)
    prompts = [PlanePrompts((click,), (1,)) for click in clicks]
    prompts += [PlanePrompts((clicks[i], clicks[-i - 1]), (1, i % 2)) for i in range(4)]
    prompts += [PlanePrompts(box=(*click - 3, *click + 5)) for click in clicks]
    prompts += [PlanePrompts(mask=np.hypot(y - a, x - b) < 6) for a, b in clicks[:5]]
    prompts += [PlanePrompts((click,), (0,)) for click in clicks[:2]]
    prompts = [prompts[i] for i in rng.permutation(len(prompts))]
    embedding = segmenter.encode(rgb)
    segmenter._decoder.forget()
    together = segmenter.predict_many(embedding, prompts)
    assert len(together) == len(prompts)
    for prompt, many in zip(prompts, together, strict=True):
        one = segmenter.predict_prompts(embedding, prompt)
        np.testing.assert_allclose(many.logits, one.logits, atol=1e-4)
        np.testing.assert_allclose(many.scores, one.scores, atol=1e-4)
        assert many.masks.shape == one.masks.shape


def test_no_prompts_give_no_predictions(segmenter, rgb):
    assert segmenter.predict_many(segmenter.encode(rgb), []) == []


def test_a_mask_prompt_is_seen_and_brings_its_box_along(segmenter, rgb):
    y, x = np.indices(SHAPE)
    disc = np.hypot(y - 20, x - 18) < 8
    embedding = segmenter.encode(rgb)
    frame = segmenter._frame_of(embedding)
    corners = frame.to_frame([[12.5, 10.5], [27.5, 25.5]])
    with torch.inference_mode():
        output = segmenter.model(
            image_embeddings=embedding.features,
            input_boxes=torch.tensor(corners.reshape(1, 1, 4), dtype=torch.float32),
            input_masks=torch.from_numpy(mask_prompt(disc, frame))[None, None],
            multimask_output=False,
        )
    prediction = segmenter.predict_prompts(embedding, PlanePrompts(mask=disc))
    np.testing.assert_allclose(prediction.logits, output.pred_masks[0, 0].numpy(), atol=1e-4)
    moved = segmenter.predict_prompts(embedding, PlanePrompts(mask=np.roll(disc, 5, axis=0)))
    assert np.abs(moved.logits - prediction.logits).max() > 1e-3


def test_points_refine_the_answer_to_a_mask_prompt_and_not_the_mask_prompt(segmenter, rgb):
    y, x = np.indices(SHAPE)
    disc = np.hypot(y - 20, x - 18) < 8
    embedding = segmenter.encode(rgb)
    frame = segmenter._frame_of(embedding)
    prompts = PlanePrompts(CLICKS[:2], (1, 0), mask=disc)
    before = torch.tensor(segmenter.predict_prompts(embedding, PlanePrompts(mask=disc)).logits)
    with torch.inference_mode():
        for count in (1, 2):
            placed = torch.from_numpy(frame.to_frame(CLICKS[:count]).copy()).float()
            output = segmenter.model(
                image_embeddings=embedding.features,
                input_points=placed[None, None],
                input_labels=torch.tensor([[[1, 0][:count]]]),
                input_masks=before[None],
                multimask_output=False,
            )
            before = output.pred_masks[0, 0].clone()
    prediction = segmenter.predict_prompts(embedding, prompts)
    np.testing.assert_allclose(prediction.logits, output.pred_masks[0, 0].numpy(), atol=1e-4)


@pytest.mark.parametrize("multimask", [None, True])
def test_negative_points_alone_give_one_empty_candidate(segmenter, rgb, counted, multimask):
    prompts = PlanePrompts(CLICKS[:2], (0, 0))
    prediction = segmenter.predict_prompts(segmenter.encode(rgb), prompts, multimask)
    assert prediction.masks.shape == (1, *SHAPE)
    assert not prediction.masks.any()
    assert prediction.scores.tolist() == [0.0]
    assert (prediction.logits < 0).all()
    assert counted == []


def test_the_first_positive_point_after_negative_ones_starts_afresh(segmenter, rgb):
    embedding = segmenter.encode(rgb)
    frame = segmenter._frame_of(embedding)
    placed = torch.from_numpy(frame.to_frame(CLICKS[:2]).copy()).float()
    with torch.inference_mode():
        output = segmenter.model(
            image_embeddings=embedding.features,
            input_points=placed[None, None],
            input_labels=torch.tensor([[[0, 1]]]),
            multimask_output=False,
        )
    prediction = segmenter.predict_prompts(embedding, PlanePrompts(CLICKS[:2], (0, 1)))
    np.testing.assert_allclose(prediction.logits, output.pred_masks[0, 0].numpy(), atol=1e-4)


def test_a_candidate_that_is_not_there_is_named(segmenter, rgb):
    embedding = segmenter.encode(rgb)
    with pytest.raises(InputError, match=r"candidate 3 .*there are 3"):
        segmenter.predict_prompts(embedding, PlanePrompts((CLICKS[0],), (1,), choices=(3,)))
    with pytest.raises(InputError, match=r"candidate 1 .*there are 1"):
        segmenter.predict_prompts(embedding, PlanePrompts(box=(1, 1, 9, 9), choices=(1,)))


def test_answers_kept_for_later_steps_cannot_be_changed_through_a_prediction(segmenter, rgb):
    prediction = segmenter.predict_prompts(segmenter.encode(rgb), CASES["two clicks"])
    with pytest.raises(ValueError, match="read-only"):
        prediction.logits[:] = 0
    with pytest.raises(ValueError, match="read-only"):
        prediction.scores[:] = 0


def test_what_prompts_have_in_common_is_computed_once_an_image_and_before_the_first_click(
    segmenter, rgb, monkeypatch
):
    prepared = []
    prepare = segmenter.model.prepare_image
    monkeypatch.setattr(
        segmenter.model, "prepare_image", lambda *given: prepared.append(1) or prepare(*given)
    )
    segmenter.cache.clear()
    segmenter._decoder.forget()
    embedding = segmenter.encode(rgb)
    assert len(prepared) == 1
    for case in ("a click", "two clicks", "a box"):
        segmenter.predict_prompts(embedding, CASES[case])
    assert len(prepared) == 1
