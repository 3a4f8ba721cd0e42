"""Sessions with a real, if untrained, network."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from samari.engine.planes import PlaneIndex
from samari.engine.predict import Segmenter
from samari.engine.session import Session
from samari.errors import ModelError
from samari.sam import SamConfig, SamModel
from samari.zoo import LoadedModel


@pytest.fixture(scope="module")
def segmenter(tiny_model_folder):
    # The tiny model's mask prompt has one channel after its first layer, which normalisation makes
    # constant; with more of them the mask of one step is seen by the next.
    config = json.loads((tiny_model_folder / "config.json").read_text(encoding="utf-8"))
    config["prompt_encoder_config"]["mask_input_channels"] = 16
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = SamModel(SamConfig.from_dict(config)).eval()
    return Segmenter(LoadedModel(model, "tiny", "0f" * 32, None), device="cpu")


@pytest.fixture(scope="module")
def image():
    y, x = np.indices((48, 56))
    random = np.random.default_rng(3)
    spots = sum(np.exp(-((y - b) ** 2 + (x - a) ** 2) / 40.0) for a, b in [(15, 12), (40, 30)])
    return (spots * 3000 + random.normal(200, 20, y.shape)).clip(0).astype(np.uint16)


POINTS = [(12.25, 15.5), (30, 40), (5, 5)]
LABELS = [1, 1, 0]


def click(session, plane=()):
    for point, label in zip(POINTS, LABELS, strict=True):
        session.add_point((*plane, *point), label)


def test_session_and_segmenter_agree_on_the_same_ordered_prompts(segmenter, image):
    session = Session(image, segmenter=segmenter)
    limits = session.planes.contrast_limits
    for count in (1, 2, 3):
        session.add_point(POINTS[count - 1], LABELS[count - 1])
        expected = segmenter.predict(
            image, points=POINTS[:count], labels=LABELS[:count], contrast_limits=limits
        )
        np.testing.assert_array_equal(session.candidates.masks, expected.masks)
        np.testing.assert_array_equal(session.candidates.scores, expected.scores)
        assert session.candidates.chosen == expected.chosen


def test_session_and_segmenter_agree_on_a_box_with_points(segmenter, image):
    session = Session(image, segmenter=segmenter)
    session.add_box((5, 8), (20, 25))
    session.add_point((12, 15))
    expected = segmenter.predict(
        image,
        points=[(12, 15)],
        box=(5, 8, 20, 25),
        contrast_limits=session.planes.contrast_limits,
    )
    np.testing.assert_array_equal(session.candidates.masks, expected.masks)


def test_an_answer_in_steps_is_that_of_one_go(tiny_model_folder, image):
    one, other = (
        Session(image, segmenter=Segmenter(tiny_model_folder, device="cpu")) for _ in range(2)
    )
    click(one)
    click(other)
    (request,) = one.requests()
    blocks = []

    def run():
        steps = one.compute_steps(request)
        while True:
            try:
                blocks.append(next(steps))
            except StopIteration as end:
                return end.value

    assert one.answer(request, run())
    assert blocks == [(1, 2), (2, 2)]
    np.testing.assert_array_equal(one.candidates.logits, other.candidates.logits)


def test_the_second_object_is_the_same_with_or_without_the_first(segmenter, image):
    """Trap 15."""
    with_first, without = Session(image, segmenter=segmenter), Session(image, segmenter=segmenter)
    with_first.add_point((30, 40))
    with_first.candidates.masks.sum()
    with_first.discard()
    for session in (with_first, without):
        click(session)
    np.testing.assert_array_equal(with_first.candidates.logits, without.candidates.logits)


def test_a_choice_changes_what_a_further_click_refines(segmenter, image):
    chosen = []
    for candidate in (0, 2):
        session = Session(image, segmenter=segmenter)
        session.add_point((12, 15))
        session.choose(candidate)
        session.add_point((14, 18))
        expected = segmenter.predict_prompts(
            segmenter.encode(session.planes.rgb_plane(PlaneIndex("YX"))),
            session.pending[0].newest.prompts,
        )
        np.testing.assert_array_equal(session.candidates.logits, expected.logits)
        chosen.append(session.candidates.logits)
    assert np.abs(chosen[0] - chosen[1]).max() > 0


def test_undo_gives_the_earlier_mask_and_logits_again(segmenter, image):
    """Trap 34."""
    session = Session(image, segmenter=segmenter)
    logits = []
    for point, label in zip(POINTS, LABELS, strict=True):
        session.add_point(point, label)
        logits.append(session.candidates.logits)
    for earlier in logits[-2::-1]:
        session.undo()
        np.testing.assert_array_equal(session.candidates.logits, earlier)


def test_an_editing_session_records_the_model_of_every_object(segmenter, image):
    """Trap 4."""
    session = Session(np.stack([image, image]), axes="ZYX", segmenter=segmenter)
    click(session, plane=(1,))
    best = max(
        range(len(session.candidates.masks)), key=lambda i: session.candidates.masks[i].sum()
    )
    session.choose(best)
    (label,) = session.accept()
    record = session.objects[label]
    assert record.model == segmenter.model_name
    assert record.model_hash == segmenter.model_hash
    assert record.contrast_limits == session.planes.contrast_limits
    again = segmenter.predict_prompts(
        segmenter.encode(session.planes.rgb_plane(record.parts[0].plane)), record.parts[0].prompts
    )
    assert again.chosen == record.parts[0].candidate
    np.testing.assert_array_equal(session.labels[1] == label, again.mask)


def test_the_model_is_loaded_by_name_when_it_is_first_asked(tiny_model_folder, image):
    session = Session(image, model=tiny_model_folder)
    session.add_point((12, 15))
    assert session.candidates.masks.shape[1:] == image.shape


def test_a_model_that_does_not_exist_is_named_when_the_session_opens(image):
    with pytest.raises(ModelError, match="no-such-model"):
        Session(image, model="no-such-model")


def test_a_model_that_cannot_be_loaded_leaves_the_prompts_where_they_are(tmp_path, image):
    (tmp_path / "broken.safetensors").write_bytes(b"no weights at all")
    session = Session(image, model=tmp_path / "broken.safetensors")
    session.add_point((12, 15))
    with pytest.raises(ModelError, match=r"broken\.safetensors"):
        session.accept()
    assert len(session.pending) == 1
    assert len(session.requests()) == 1


def test_accept_without_prompts_does_not_load_the_model(tmp_path, image):
    (tmp_path / "broken.safetensors").write_bytes(b"no weights at all")
    assert Session(image, model=tmp_path / "broken.safetensors").accept() == []
