from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from samari.engine.prompts import PlanePrompts
from samari.train.evaluate import Example, objects_of
from samari.train.prompts import centre_click, object_box
from samari.train.sheet import GAP, GUESS, PROMPT, SIDE, TRUTH, Sheet

if TYPE_CHECKING:
    from pathlib import Path

    from samari.train.data import Sample


def example(sample: Sample, value: float, measure: str) -> Example:
    mask = objects_of(sample.labels)[0]
    prompts = (
        PlanePrompts(box=object_box(mask))
        if measure == "box"
        else PlanePrompts((centre_click(mask),), (1,))
    )
    return Example(sample, measure, prompts, mask, np.roll(mask, 3, axis=0), value)


def has(picture: np.ndarray, color: tuple[int, int, int]) -> int:
    return int((picture == color).all(axis=2).sum())


def test_a_sheet_shows_failures_and_successes_of_every_set(discs: Sample, tmp_path: Path) -> None:
    sheet = Sheet(count=2)
    for dataset in ("one", "two"):
        sample = replace(discs, dataset=dataset)
        for value in np.linspace(0, 1, 40):
            sheet.add(example(sample, value, "click_1"))
        sheet.add(example(sample, 0.5, "box"))
    sheet.save(tmp_path / "sheet.png")
    picture = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert picture.shape[1] == GAP + 6 * (SIDE + GAP)  # two bad ones, two of the middle, two good
    assert has(picture, TRUTH) > 14 * 20
    assert has(picture, GUESS) > 14 * 20
    assert has(picture, PROMPT) > 12 * 9 + 2 * 40


def test_objects_at_the_edge_and_large_ones_fit(discs: Sample, tmp_path: Path) -> None:
    labels = np.zeros((300, 400), np.int32)
    labels[:300, :390] = 1
    large = replace(discs, image=np.zeros((300, 400, 3), np.uint8), labels=labels)
    sheet = Sheet()
    sheet.add(example(large, 0.4, "box"))
    sheet.save(tmp_path / "sheet.png")
    picture = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert picture.shape == (SIDE + 2 * 16 + 2 * GAP, GAP + SIDE + GAP, 3)


def test_thin_images_can_be_drawn(discs: Sample, tmp_path: Path) -> None:
    labels = np.zeros((600, 2), np.int32)
    labels[100:500] = 1
    thin = replace(discs, image=np.zeros((600, 2, 3), np.uint8), labels=labels)
    sheet = Sheet()
    sheet.add(example(thin, 0.4, "click_1"))
    sheet.save(tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").is_file()


def test_of_many_examples_a_fair_sample_is_kept(discs: Sample) -> None:
    sheet = Sheet(count=1, most=30)
    for value in np.linspace(0, 1, 600):
        sheet.add(example(discs, value, "box"))
    (held,) = sheet._held.values()
    kept = [value for value, _ in held]
    assert len(kept) == 30
    assert 0.3 < np.mean(kept) < 0.7
    assert min(kept) < 0.2 < 0.8 < max(kept)
