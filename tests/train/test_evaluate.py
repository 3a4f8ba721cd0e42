from __future__ import annotations

import json
import tracemalloc
from typing import TYPE_CHECKING

import numpy as np
import pytest

from samari.engine.prediction import Prediction
from samari.errors import InputError
from samari.train.evaluate import MOST_CLICKS, Example, evaluate, objects_of
from samari.train.report import report
from samari.train.scores import MEASURES

if TYPE_CHECKING:
    from pathlib import Path

    from samari.train.data import Sample


def test_small_objects_are_not_scored() -> None:
    labels = np.zeros((20, 20), np.int32)
    labels[:5, :5], labels[10:16, 10:15] = 1, 2
    assert [int(mask.sum()) for mask in objects_of(labels)] == [30]


def test_masks_are_made_one_by_one_and_are_those_of_the_labels() -> None:
    labels = np.arange(900, dtype=np.int32).reshape(30, 30).repeat(40, 0).repeat(40, 1) * 3 - 3
    tracemalloc.start()
    masks = objects_of(labels)
    for number, mask in enumerate(masks[32:64]):
        assert (mask == (labels == 3 * number + 99)).all()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # np.unique sorts a copy and counts in 64 bits; 898 masks would take 227 times the labels.
    assert peak < 8 * labels.nbytes
    assert len(masks) == 898
    assert masks
    assert not objects_of(np.zeros((9, 9), np.int32))
    assert (masks[-1] == (labels == labels.max())).all()
    assert len(list(masks[:5])) == 5


def test_evaluation_gives_every_measure_on_the_same_objects(
    tiny_model_folder: Path, discs: Sample
) -> None:
    from samari.engine.predict import Segmenter

    seen: list[str] = []
    shown: list[Example] = []
    scores = evaluate(
        Segmenter(tiny_model_folder),
        [discs],
        automatic=True,
        progress=seen.append,
        show=shown.append,
    )
    figures = report(scores)["measures"]
    assert list(figures) == list(MEASURES)
    assert {figures[name]["objects"] for name in figures if name != "automatic"} == {3}
    assert figures["automatic"]["objects"] == 1
    assert figures["click_1_otsu"]["mean"] == 1.0
    assert figures["click_1_oracle"]["mean"] >= figures["click_1"]["mean"]
    assert 0.7 < figures["box_filled"]["mean"] < figures["box_ellipse"]["mean"]
    assert seen == ["test/0"]
    assert [one.measure for one in shown] == ["box"] * 3 + ["click_1"] * 3
    json.dumps(figures)


class Patient:
    """Draws a quarter of the object more with each click; a box, and it draws all of it."""

    model_name = "patient"
    picture_size = 1 << 20
    zoom_size = 0

    def __init__(self, labels: np.ndarray) -> None:
        self._labels = labels
        self.asked = 0

    def encode_steps(self, rgb):
        yield 1, 1
        return rgb

    def predict_many(self, embedding, prompts, multimask=None):
        self.asked += len(prompts)
        return [self._answer(prompt) for prompt in prompts]

    def predict_prompts(self, embedding, prompts):
        return self.predict_many(embedding, [prompts])[0]

    def _answer(self, prompt):
        if prompt.box is None:
            y, x = (round(value) for value in prompt.points[0])
            mask = self._labels == self._labels[y, x]
            rows = np.cumsum(mask.sum(axis=1)) <= mask.sum() * len(prompt.points) / 4
            mask = mask & rows[:, None]
        else:
            y0, x0, y1, x1 = prompt.box
            mask = self._labels == self._labels[round((y0 + y1) / 2), round((x0 + x1) / 2)]
        return Prediction.of(mask[None], np.ones(1), np.zeros((1, 1, 1)), 0)


def test_clicks_are_counted_until_the_goal_and_asked_no_longer(discs: Sample) -> None:
    model = Patient(discs.labels)
    scores = evaluate(model, [discs], baselines=False)  # type: ignore[arg-type]
    means = {name: scores.figure(name).mean for name in scores.records}
    assert means["box"] == means["box_loose"] == means["box_boundary"] == 1.0
    assert means["click_1"] < means["click_2"] < means["click_3"] < means["click_5"] == 1.0
    assert means["click_1"] == pytest.approx(0.25, abs=0.05)
    assert means["noc_80"] == means["noc_90"] == 4
    # Two boxes and four clicks for each of three objects; nobody corrects what is right.
    assert model.asked == 3 * (2 + 4)


def test_a_further_click_is_one_pass_through_the_decoder(
    tiny_model_folder: Path, discs: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    from samari.engine.decoding import StepDecoder
    from samari.engine.predict import Segmenter

    decoded = 0
    whole = StepDecoder._batch

    def counted(self, embedding, frame, requests):
        nonlocal decoded
        decoded += len(requests)
        return whole(self, embedding, frame, requests)

    monkeypatch.setattr(StepDecoder, "_batch", counted)
    evaluate(Segmenter(tiny_model_folder), [discs], baselines=False)
    # Two boxes, the first click in a batch and once more to go on from, nine corrections.
    assert 0 < decoded <= 3 * (2 + 1 + MOST_CLICKS)


def test_fewer_clicks_count_none_to_a_goal(discs: Sample) -> None:
    model = Patient(discs.labels)
    scores = evaluate(model, [discs], clicks=3, baselines=False)  # type: ignore[arg-type]
    assert set(scores.records) == {
        "box", "box_loose", "box_boundary",
        "click_1", "click_1_oracle", "click_1_boundary", "click_2", "click_3",
    }  # fmt: skip
    assert MOST_CLICKS == 10


def test_nothing_to_score_is_an_error(tiny_model_folder: Path) -> None:
    from samari.engine.predict import Segmenter

    with pytest.raises(InputError, match="no object"):
        evaluate(Segmenter(tiny_model_folder), [])
