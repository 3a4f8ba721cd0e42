"""How good a model is, on the path that users take: `samari.engine.predict.Segmenter`.

First click: the pixel of the object farthest from its edge. Further clicks: the same of the deepest
error. The mask scored is the model's own choice by its score, not the best of its candidates. The
figure is the mean over objects at native resolution; its interval is a bootstrap over images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, overload

import numpy as np

from samari.engine.pictures import ArrayPicture
from samari.engine.prompts import PlanePrompts
from samari.engine.steps import result_of
from samari.engine.tiled import answer_each, answer_steps
from samari.errors import InputError
from samari.train.baselines import CLICK_BASELINES, filled_box, inscribed_ellipse
from samari.train.measures import boundary_f, clicks_to, iou, segmentation_accuracy
from samari.train.prompts import centre_click, correction_click, object_box
from samari.train.scores import Scores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from samari.engine.predict import Segmenter
    from samari.engine.prediction import Prediction
    from samari.train.data import Sample

    Answer = Callable[[Sequence[PlanePrompts]], list[Prediction]]

#: Smaller objects are not scored, in pixels.
LEAST_AREA = 30
#: Numbers of clicks whose IoU is recorded; further ones are made for the clicks to a goal alone.
CLICKS = (1, 2, 3, 5)
#: The IoU that clicks are counted to, by measure.
GOALS = {"noc_80": 0.8, "noc_90": 0.9}
#: The annotator gives up after so many.
MOST_CLICKS = 10
_CHUNK = 32


@dataclass(frozen=True)
class Example:
    """One answer, for those who want to see it.

    Attributes
    ----------
    sample : Sample
    measure : str
        ``"click_1"`` or ``"box"``.
    prompts : PlanePrompts
    truth, guess : ndarray of bool, shape (H, W)
    iou : float
    """

    sample: Sample
    measure: str
    prompts: PlanePrompts
    truth: NDArray[np.bool_]
    guess: NDArray[np.bool_]
    iou: float


class ObjectMasks(Sequence["NDArray[np.bool_]"]):
    """The masks (H, W) of some labels, each made when it is asked for.

    All at once would take a plane for each object.

    Parameters
    ----------
    labels : ndarray of int, shape (H, W)
    ids : ndarray of int
    """

    def __init__(self, labels: NDArray[np.int32], ids: NDArray[np.int32]) -> None:
        self._labels = labels
        self._ids = ids

    def __len__(self) -> int:
        """Return the number of labels."""
        return len(self._ids)

    @overload
    def __getitem__(self, index: int) -> NDArray[np.bool_]: ...

    @overload
    def __getitem__(self, index: slice) -> ObjectMasks: ...

    def __getitem__(self, index: int | slice) -> NDArray[np.bool_] | ObjectMasks:
        """Make one mask, or choose some labels."""
        if isinstance(index, slice):
            return ObjectMasks(self._labels, self._ids[index])
        mask: NDArray[np.bool_] = self._labels == self._ids[index]
        return mask


def objects_of(labels: NDArray[np.int32], least: int = LEAST_AREA) -> ObjectMasks:
    """Return the masks (H, W) of all labels of at least ``least`` pixels."""
    ids, sizes = np.unique(labels, return_counts=True)
    return ObjectMasks(labels, ids[(ids > 0) & (sizes >= least)])


def evaluate(
    segmenter: Segmenter,
    samples: Iterable[Sample],
    *,
    clicks: int = MOST_CLICKS,
    baselines: bool = True,
    automatic: bool = False,
    progress: Callable[[str], object] | None = None,
    show: Callable[[Example], object] | None = None,
) -> Scores:
    """Prompt every object of every sample and score the answers.

    Parameters
    ----------
    segmenter : Segmenter
    samples : iterable of Sample
    clicks : int
        Longest click sequence. Clicks to a goal are counted if it is `MOST_CLICKS`.
    baselines : bool
        Also score what needs no model.
    automatic : bool
        Also look for everything, and score the labels of each image.
    progress : callable, optional
        Called with the key of every sample when it is done.
    show : callable, optional
        Called with an `Example` for the first click and the box of every object.

    Returns
    -------
    Scores

    Raises
    ------
    InputError
        If there is no object to score.
    """
    scores = Scores()
    for sample in samples:
        masks = objects_of(sample.labels)
        _prompted(segmenter, sample, masks, scores, clicks, show)
        if baselines and masks:
            _baselines(sample, masks, scores)
        if automatic and masks:
            scores.add("automatic", sample, _everything(segmenter, sample))
        if progress is not None:
            progress(sample.key)
    if not scores.records:
        raise InputError(f"no object of at least {LEAST_AREA} pixels to evaluate")
    return scores


def _prompted(
    segmenter: Segmenter,
    sample: Sample,
    masks: Sequence[NDArray[np.bool_]],
    scores: Scores,
    clicks: int,
    show: Callable[[Example], object] | None,
) -> None:
    """Score boxes and clicks on the objects of one sample."""
    picture = ArrayPicture(sample.image)
    answer_all = partial(answer_each, segmenter, picture)

    def answer(prompt: PlanePrompts) -> Prediction:
        return result_of(answer_steps(segmenter, picture, prompt))

    for first in range(0, len(masks), _CHUNK):
        some = masks[first : first + _CHUNK]
        _boxes(answer_all, some, sample, scores, show)
        clicked = _first_clicks(answer_all, some, sample, scores, show)
        for mask, prompt, found in zip(some, *clicked, strict=True):
            after = _corrected(answer, mask, prompt, found, clicks)
            for number in (n for n in CLICKS[1:] if n <= clicks):
                scores.add(f"click_{number}", sample, after[number - 1])
            if clicks >= MOST_CLICKS:
                for measure, goal in GOALS.items():
                    scores.add(measure, sample, clicks_to(goal, after, MOST_CLICKS))


def _boxes(
    answer_all: Answer,
    masks: Sequence[NDArray[np.bool_]],
    sample: Sample,
    scores: Scores,
    show: Callable[[Example], object] | None,
) -> None:
    prompts = [PlanePrompts(box=object_box(mask)) for mask in masks]
    for mask, prompt, answer in zip(masks, prompts, answer_all(prompts), strict=True):
        best = answer.best
        value = iou(best, mask)
        scores.add("box", sample, value)
        scores.add("box_boundary", sample, boundary_f(best, mask))
        if show is not None:
            show(Example(sample, "box", prompt, mask, best, value))
    loose = [PlanePrompts(box=_loose(object_box(mask), mask.shape)) for mask in masks]
    for mask, answer in zip(masks, answer_all(loose), strict=True):
        scores.add("box_loose", sample, iou(answer.best, mask))


def _loose(
    box: tuple[float, float, float, float], shape: tuple[int, ...]
) -> tuple[float, float, float, float]:
    """Return a box as it is often drawn: a tenth too large on each side, on the plane."""
    y0, x0, y1, x1 = box
    high, wide = 0.1 * (y1 - y0), 0.1 * (x1 - x0)
    y0, x0 = max(-0.5, y0 - high), max(-0.5, x0 - wide)
    return y0, x0, min(shape[0] - 0.5, y1 + high), min(shape[1] - 0.5, x1 + wide)


def _first_clicks(
    answer_all: Answer,
    masks: Sequence[NDArray[np.bool_]],
    sample: Sample,
    scores: Scores,
    show: Callable[[Example], object] | None,
) -> tuple[list[PlanePrompts], list[Prediction]]:
    """Score one click on each object; return the clicks and what they gave."""
    prompts = [PlanePrompts((centre_click(mask),), (1,)) for mask in masks]
    answers = answer_all(prompts)
    for mask, prompt, answer in zip(masks, prompts, answers, strict=True):
        best = answer.best
        value = iou(best, mask)
        scores.add("click_1", sample, value)
        scores.add("click_1_oracle", sample, max(iou(guess, mask) for guess in answer.masks))
        scores.add("click_1_boundary", sample, boundary_f(best, mask))
        if show is not None:
            show(Example(sample, "click_1", prompt, mask, best, value))
    return prompts, answers


def _corrected(
    answer: Callable[[PlanePrompts], Prediction],
    mask: NDArray[np.bool_],
    prompt: PlanePrompts,
    found: Prediction,
    clicks: int,
) -> list[float]:
    """Correct one object's mask click by click, as an annotator does; return the IoU after each.

    One object after the other, because each answer begins with that to the clicks before, which is
    kept for the last objects only. After the last of `CLICKS` it ends where every goal is reached.
    """
    after = [iou(found.best, mask)]
    for number in range(2, clicks + 1):
        if number > max(CLICKS) and max(after) >= max(GOALS.values()):
            break
        correction = correction_click(mask, found.best)
        if correction is not None:
            prompt = prompt.with_point(*correction)
            found = answer(prompt)
        after.append(iou(found.best, mask))
    return after


def _baselines(sample: Sample, masks: Sequence[NDArray[np.bool_]], scores: Scores) -> None:
    for name, make in CLICK_BASELINES.items():
        baseline = make(sample.image)
        for mask in masks:
            value = iou(baseline.under(centre_click(mask)), mask)
            scores.add(f"click_1_{name}", sample, value)
    for mask in masks:
        box = object_box(mask)
        scores.add("box_ellipse", sample, iou(inscribed_ellipse(box, mask.shape), mask))
        scores.add("box_filled", sample, iou(filled_box(box, mask.shape), mask))


def _everything(segmenter: Segmenter, sample: Sample) -> float:
    """Return the mSA of what *Find everything* labels with its default thresholds."""
    from samari.engine.session import Session

    session = Session(sample.image, rgb=True, segmenter=segmenter)
    session.segment_everything()
    return segmentation_accuracy(np.asarray(session.labels), sample.labels)
