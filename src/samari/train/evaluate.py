"""How good a model is, on the path that users take: `samari.engine.predict.Segmenter`.

First click: the pixel of the object farthest from its edge. Further clicks: the same of the deepest
error. The mask scored is the model's own choice by its score, not the best of its candidates. The
figure is the mean IoU over objects at native resolution; its interval is a bootstrap over images.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from samari.engine.pictures import ArrayPicture
from samari.engine.prompts import PlanePrompts
from samari.engine.tiled import answer_each
from samari.errors import InputError
from samari.train.baselines import OtsuComponents, filled_box, inscribed_ellipse
from samari.train.prompts import centre_click, correction_click, object_box

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from samari.engine.predict import Segmenter
    from samari.engine.prediction import Prediction
    from samari.train.data import Sample

    Answer = Callable[[Sequence[PlanePrompts]], list[Prediction]]

LEAST_AREA = 30
CHUNK = 32

MEASURES = {
    "click_1": "one click, the model's own choice",
    "click_1_oracle": "one click, the best of the candidates",
    "click_1_otsu": "one click, Otsu component under it",
    "click_3": "three clicks",
    "click_5": "five clicks",
    "box": "box",
    "box_ellipse": "box, ellipse inscribed in it",
    "box_filled": "box, filled",
}


@dataclass(frozen=True)
class Figure:
    """A mean over objects with its 95 % interval from a bootstrap over images."""

    mean: float
    low: float
    high: float
    objects: int
    images: int


@dataclass
class Scores:
    """IoU of every object for every measure, by image group."""

    values: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def add(self, measure: str, group: str, iou: float) -> None:
        """Record one object."""
        self.values.setdefault(measure, {}).setdefault(group, []).append(iou)

    def figure(self, measure: str) -> Figure:
        """Summarise one measure.

        Raises
        ------
        InputError
            Nothing was recorded under that name.
        """
        if measure not in self.values:
            raise InputError(f"nothing measured as {measure!r}; there are {sorted(self.values)}")
        return bootstrap(list(self.values[measure].values()))

    def table(self) -> dict[str, Figure]:
        """Summarise all measures, in the order of `MEASURES`."""
        return {name: self.figure(name) for name in MEASURES if name in self.values}


def bootstrap(groups: Sequence[Sequence[float]], rounds: int = 2000, seed: int = 0) -> Figure:
    """Mean over all values, with the interval of drawing whole groups with replacement.

    Parameters
    ----------
    groups : sequence of sequences of float
        IoU of the objects of every image.
    rounds, seed : int
        Of the bootstrap.
    """
    sums = np.array([sum(group) for group in groups], dtype=float)
    counts = np.array([len(group) for group in groups], dtype=float)
    rng = np.random.default_rng(seed)
    drawn = rng.integers(len(groups), size=(rounds, len(groups)))
    means = sums[drawn].sum(1) / counts[drawn].sum(1)
    low, high = np.percentile(means, (2.5, 97.5))
    return Figure(
        float(sums.sum() / counts.sum()), float(low), float(high), int(counts.sum()), len(groups)
    )


def iou(guess: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Intersection over union of two masks; of two empty ones 1."""
    union = np.count_nonzero(guess | truth)
    return np.count_nonzero(guess & truth) / union if union else 1.0


def objects_of(labels: NDArray[np.int32], least: int = LEAST_AREA) -> list[NDArray[np.bool_]]:
    """Return the masks (H, W) of all labels of at least ``least`` pixels."""
    ids, sizes = np.unique(labels, return_counts=True)
    return [labels == i for i, size in zip(ids, sizes, strict=True) if i > 0 and size >= least]


def evaluate(
    segmenter: Segmenter,
    samples: Iterable[Sample],
    *,
    clicks: int = 5,
    baselines: bool = True,
    progress: Callable[[str], object] | None = None,
) -> Scores:
    """Prompt every object of every sample and score the answers.

    Parameters
    ----------
    segmenter : Segmenter
    samples : iterable of Sample
    clicks : int
        Longest click sequence; one, three and five are recorded.
    baselines : bool
        Also score what needs no model.
    progress : callable, optional
        Called with the key of every sample when it is done.
    """
    scores = Scores()
    for sample in samples:
        masks = objects_of(sample.labels)
        answer = partial(answer_each, segmenter, ArrayPicture(sample.image))
        for first in range(0, len(masks), CHUNK):
            some = masks[first : first + CHUNK]
            _boxes(answer, some, sample.group, scores)
            _clicks(answer, some, sample.group, scores, clicks)
        if baselines and masks:
            _baselines(sample, masks, scores)
        if progress is not None:
            progress(sample.key)
    if not scores.values:
        raise InputError(f"no object of at least {LEAST_AREA} pixels to evaluate")
    return scores


def _boxes(
    answer_all: Answer,
    masks: Sequence[NDArray[np.bool_]],
    group: str,
    scores: Scores,
) -> None:
    prompts = [PlanePrompts(box=object_box(mask)) for mask in masks]
    for mask, answer in zip(masks, answer_all(prompts), strict=True):
        scores.add("box", group, iou(answer.best, mask))


def _clicks(
    answer_all: Answer,
    masks: Sequence[NDArray[np.bool_]],
    group: str,
    scores: Scores,
    clicks: int,
) -> None:
    prompts = [PlanePrompts((centre_click(mask),), (1,)) for mask in masks]
    answers = answer_all(prompts)
    for mask, answer in zip(masks, answers, strict=True):
        scores.add("click_1", group, iou(answer.best, mask))
        scores.add("click_1_oracle", group, max(iou(guess, mask) for guess in answer.masks))
    for number in range(2, clicks + 1):
        for i, (mask, answer) in enumerate(zip(masks, answers, strict=True)):
            correction = correction_click(mask, answer.best)
            if correction is not None:
                prompts[i] = prompts[i].with_point(*correction)
        answers = answer_all(prompts)
        if number in (3, 5):
            for mask, answer in zip(masks, answers, strict=True):
                scores.add(f"click_{number}", group, iou(answer.best, mask))


def _baselines(sample: Sample, masks: Sequence[NDArray[np.bool_]], scores: Scores) -> None:
    otsu = OtsuComponents(sample.image)
    for mask in masks:
        box = object_box(mask)
        scores.add("click_1_otsu", sample.group, iou(otsu.under(centre_click(mask)), mask))
        scores.add("box_ellipse", sample.group, iou(inscribed_ellipse(box, mask.shape), mask))
        scores.add("box_filled", sample.group, iou(filled_box(box, mask.shape), mask))


def report(scores: Scores) -> dict[str, Any]:
    """Return all figures as plain data for JSON."""
    return {
        name: {
            "what": MEASURES[name],
            "mean": round(figure.mean, 4),
            "interval": [round(figure.low, 4), round(figure.high, 4)],
            "objects": figure.objects,
            "images": figure.images,
        }
        for name, figure in scores.table().items()
    }


def as_text(scores: Scores) -> str:
    """Return all figures as a table for the terminal."""
    lines = [f"{'mean IoU':<40}{'mean':>7}   95 % interval      n"]
    for name, figure in scores.table().items():
        interval = f"[{figure.low:.3f}, {figure.high:.3f}]"
        lines.append(f"{MEASURES[name]:<40}{figure.mean:>7.3f}   {interval}   {figure.objects}")
    return "\n".join(lines)
