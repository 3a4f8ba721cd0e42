from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from samari.engine.steps import result_of
from samari.errors import InputError
from samari.train.lessons import Lesson
from samari.train.trial import try_out

STRIDE = 2


class Knowing:
    """Draws exactly what a prompt says: a square around a click, or the box, in mask pixels."""

    def __init__(self) -> None:
        prompt = SimpleNamespace(patch_size=4 * STRIDE)
        self.config = SimpleNamespace(prompt_encoder_config=prompt)

    def __call__(self, **asked: Any) -> dict[str, torch.Tensor]:
        # Pixels of the frame have their centres at integers, mask pixels are STRIDE of them wide.
        if "input_boxes" in asked:
            edges = (asked["input_boxes"][0] + 0.5) / STRIDE
        else:
            x, y = ((asked["input_points"][0, :, 0] + 0.5) / STRIDE).unbind(1)
            edges = torch.stack([x - 2.5, y - 2.5, x + 2.5, y + 2.5], dim=1)
        masks = torch.full((1, len(edges), 2, 20, 30), -9.0)
        for i, (x0, y0, x1, y1) in enumerate(edges.tolist()):
            masks[0, i, 1, round(y0) : round(y1), round(x0) : round(x1)] = 9.0
        return {"pred_masks": masks, "iou_scores": torch.tensor([[[0.1, 0.9]] * len(edges)])}


def lesson(**objects: Any) -> Lesson:
    labels = torch.zeros(1, 40, 60, dtype=torch.int32)
    labels[0, 8:18, 20:30] = 1
    labels[0, 22:32, 40:50] = 2
    labels[0, 0, 0] = 3
    one = Lesson(torch.zeros(1, 3, 40, 60), labels, **objects)
    one._embedding = torch.zeros(1)
    return one


def test_clicks_lie_in_the_middle_and_boxes_on_the_edges_of_objects() -> None:
    lessons = [lesson(clicked=(1, 2), boxed=(2,)), lesson(clicked=(), boxed=(1, 3))]
    trial = result_of(try_out(Knowing(), lessons, None, keep=True))  # type: ignore[arg-type]
    # Squares of five mask pixels: exactly the objects. The third is too small for a mask pixel.
    assert (trial.clicked, trial.boxed) == (2, 2)
    assert trial.click == trial.box == trial.mean == 1


def test_nothing_to_try_is_an_error() -> None:
    with pytest.raises(InputError, match="large enough"):
        result_of(try_out(Knowing(), [lesson(clicked=(3,), boxed=(3,))], None, keep=True))  # type: ignore[arg-type]
