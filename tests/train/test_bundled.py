"""The model that ships in the package: its size, who can load it, and that it is trained."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch

from samari.engine.predict import Segmenter
from samari.sam.weights import load_model
from samari.train.measures import iou
from samari.train.prompts import object_box

FOLDER = Path(str(files("samari"))) / "zoo" / "bundled" / "samari-tiny"


def _nuclei() -> tuple[np.ndarray, list[np.ndarray]]:
    # Soft bright ellipses on a noisy dark ground: the least a model of nuclei must know.
    rng = np.random.default_rng(0)
    rows, cols = np.mgrid[:160, :200]
    image, masks = np.full((160, 200), 300.0), []
    for y, x, a, b in [(40, 40, 14, 10), (48, 120, 10, 15), (110, 70, 16, 13), (118, 160, 12, 12)]:
        distance = np.hypot((rows - y) / a, (cols - x) / b)
        image += 1500 / (1 + np.exp((distance - 1) * 12))
        masks.append(distance <= 1)
    return rng.poisson(image).astype(np.uint16), masks


def test_the_weights_are_small_enough_for_the_package() -> None:
    assert (FOLDER / "model.safetensors").stat().st_size <= 25_000_000


def test_clicks_and_boxes_find_plain_nuclei() -> None:
    image, masks = _nuclei()
    segmenter = Segmenter("samari-tiny")
    centres = [tuple(np.argwhere(mask).mean(0)) for mask in masks]
    answers = segmenter.predict_each(image, points=centres, boxes=[object_box(m) for m in masks])
    found = [iou(answer.best, mask) for answer, mask in zip(answers, masks * 2, strict=True)]
    assert np.mean(found[:4]) > 0.7, found
    assert np.mean(found[4:]) > 0.7, found


def test_transformers_loads_it_and_computes_the_same() -> None:
    transformers = pytest.importorskip("transformers")
    theirs, report = transformers.SamModel.from_pretrained(FOLDER, output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    ours = load_model(FOLDER).eval()
    inputs = {
        "pixel_values": torch.randn(1, 3, 512, 512, generator=torch.Generator().manual_seed(0)),
        "input_points": torch.tensor([[[[200.0, 140.0]]]]),
        "input_labels": torch.ones(1, 1, 1, dtype=torch.long),
    }
    with torch.inference_mode():
        expected, got = theirs.eval()(**inputs), ours(**inputs)
    for name in ("pred_masks", "iou_scores"):
        spread = expected[name].std()
        assert (got[name] - expected[name]).abs().max() < 1e-3 * max(spread, 1), name
