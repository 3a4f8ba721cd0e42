"""A quick look at a model in training: clicks and boxes on pictures that it does not learn from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from torch.nn import functional

from samari.errors import InputError
from samari.train.losses import mask_iou
from samari.train.prompts import centre_click, object_box

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from samari.sam.model import SamModel
    from samari.train.lessons import Lesson

T = TypeVar("T")
#: Objects of a picture that are tried.
_TRIED = 12


@dataclass(frozen=True)
class Trial:
    """Mean IoU over objects, in the model's resolution.

    Attributes
    ----------
    click, box : float
        From one click in the middle, the model's own choice, and from the box.
    clicked, boxed : int
        Objects.
    """

    click: float
    box: float
    clicked: int
    boxed: int

    @property
    def mean(self) -> float:
        """Mean of both."""
        return (self.click + self.box) / 2


def try_out(
    model: SamModel, lessons: Sequence[Lesson], tell: T, *, keep: bool
) -> Generator[T, None, Trial]:
    """Prompt objects of every picture, the same ones each time.

    Parameters
    ----------
    model : SamModel
    lessons : sequence of Lesson
    tell : object
        Yielded after every picture or part of the work, so that a caller can stop.
    keep : bool
        The encoder does not learn: what it makes of the pictures is kept.

    Returns
    -------
    Trial

    Raises
    ------
    InputError
        If no object is large enough to be tried.
    """
    clicks: list[float] = []
    boxes: list[float] = []
    for lesson in lessons:
        if keep:
            features = yield from lesson.kept_features(model, tell)
        with torch.no_grad():
            if not keep:
                features = lesson.features(model)
            found = _answers(model, features, lesson)
        clicks += found[0]
        boxes += found[1]
        yield tell
    if not (clicks and boxes):
        raise InputError("no object that is held out is large enough to be tried")
    return Trial(float(np.mean(clicks)), float(np.mean(boxes)), len(clicks), len(boxes))


def _answers(
    model: SamModel, features: torch.Tensor, lesson: Lesson
) -> tuple[list[float], list[float]]:
    """Return the IoU from clicks and from boxes on objects that are answered in a picture."""
    stride = model.config.prompt_encoder_config.patch_size // 4
    found: list[list[float]] = []
    for boxed, ids in ((False, lesson.clicked), (True, lesson.boxed)):
        soft = _covered(lesson.labels, ids[:_TRIED], stride)
        if not len(soft):
            found.append([])
            continue
        masks = [mask.numpy() for mask in soft >= 0.5]
        # Of mask pixels their centres, and outer edges, to pixels of the frame; (y, x) to (x, y).
        if boxed:
            edges = torch.tensor(np.array([object_box(mask) for mask in masks]))
            boxes = ((edges.float() + 0.5) * stride - 0.5)[None][..., [1, 0, 3, 2]]
            asked = {"input_boxes": boxes, "multimask_output": False}
        else:
            points = torch.tensor(np.array([centre_click(mask) for mask in masks])).float().flip(1)
            asked = {
                "input_points": ((points + 0.5) * stride - 0.5)[None, :, None],
                "input_labels": torch.ones(1, len(masks), 1, dtype=torch.int64),
            }
        output = model(image_embeddings=features, **asked)
        own = output["iou_scores"][0].argmax(1)
        logits = output["pred_masks"][0][torch.arange(len(masks)), own]
        found.append(mask_iou(logits, soft).tolist())
    return found[0], found[1]


def _covered(labels: torch.Tensor, ids: tuple[int, ...], stride: int) -> torch.Tensor:
    """Return the coverage (N, h, w) of mask pixels by objects, without those too small for one."""
    masks = torch.stack([labels[0] == number for number in ids]) if ids else labels[:0]
    soft = functional.avg_pool2d(masks[:, None].float(), stride)[:, 0] if len(masks) else masks
    return soft[(soft >= 0.5).flatten(1).any(1)] if len(soft) else soft
