from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from samari.train.config import Stage
from samari.train.simulate import Simulation, Targets

SIDE, STRIDE, OFFSET = 16, 2, (3, 1)


class Drawing:
    """Draws everything, or nothing, whatever it is asked, and keeps what it was asked."""

    def __init__(self, logit: float) -> None:
        prompt = SimpleNamespace(patch_size=4 * STRIDE)
        self.config = SimpleNamespace(prompt_encoder_config=prompt)
        self.logit = torch.tensor(logit, requires_grad=True)
        self.asked: list[dict[str, Any]] = []
        self.learnt: list[bool] = []

    def __call__(self, **asked: Any) -> dict[str, torch.Tensor]:
        self.asked.append(asked)
        self.learnt.append(torch.is_grad_enabled())
        prompts = asked["input_points"] if asked["input_boxes"] is None else asked["input_boxes"]
        count = 3 if asked["multimask_output"] else 1
        shape = (*prompts.shape[:2], count)
        masks = self.logit * torch.ones(*shape, SIDE, SIDE)
        return {"pred_masks": masks, "iou_scores": torch.zeros(shape)}


def simulated(logit: float, rounds: int, seed: int = 0, **stage: Any) -> tuple[Drawing, Any, Any]:
    """Prompt two squares of one crop; return the model, the loss, and the figures."""
    soft = torch.zeros(1, 2, SIDE, SIDE)
    soft[0, 0, 2:7, 3:9] = 1
    soft[0, 1, 9:15, 8:14] = 1
    targets = Targets(soft, torch.ones(1, 2, dtype=torch.bool))
    model = Drawing(logit)
    generator = torch.Generator().manual_seed(seed)
    loss, figures = Simulation(
        model,  # type: ignore[arg-type]
        torch.zeros(1, 8, 4, 4),
        targets,
        Stage(1, **stage),
        generator,
        OFFSET,
        rounds,
    ).run()
    return model, loss, figures


def cells(points: torch.Tensor) -> list[list[int]]:
    """Return the mask pixel (column, row) of every last point of the two objects."""
    corner = torch.tensor([OFFSET[1], OFFSET[0]]) * 4 * STRIDE
    places: list[list[int]] = torch.floor((points[0, :, -1] + 0.5 - corner) / STRIDE).int().tolist()
    return places


def within(places: list[list[int]]) -> list[bool]:
    (x0, y0), (x1, y1) = places
    return [3 <= x0 < 9 and 2 <= y0 < 7, 8 <= x1 < 14 and 9 <= y1 < 15]


def test_corrections_go_to_what_was_missed_and_add_to_the_points() -> None:
    model, _, figures = simulated(-5.0, rounds=4, box_share=0.0)
    assert [asked["input_points"].shape for asked in model.asked] == [
        (1, 2, count, 2) for count in (1, 2, 3, 4, 5)
    ]
    for asked in model.asked:
        assert within(cells(asked["input_points"])) == [True, True]
        assert bool((asked["input_labels"] == 1).all())
    assert {"click", "click+1", "click+2", "click+3", "click+4"} <= set(figures)


def test_corrections_go_to_what_went_astray() -> None:
    model, _, _ = simulated(5.0, rounds=3, box_share=1.0)
    assert model.asked[0]["input_points"] is None
    for asked in model.asked[1:]:
        assert within(cells(asked["input_points"])) == [False, False]
        assert bool((asked["input_labels"] == 0).all())
        assert torch.equal(asked["input_boxes"], model.asked[0]["input_boxes"])


def test_the_first_and_the_last_answer_are_learnt_from_and_none_between() -> None:
    model, loss, _ = simulated(-5.0, rounds=4, box_share=0.0)
    assert model.learnt == [True, False, False, False, True]
    loss.backward()
    assert model.logit.grad is not None
    alone, first, _ = simulated(-5.0, rounds=0, box_share=0.0)
    assert alone.learnt == [True]
    # All answers are alike here, so their mean is the first one, and not a sum.
    assert float(loss.detach()) == pytest.approx(float(first.detach()), rel=0.2)


def test_an_answer_begins_with_the_last_one_but_not_always() -> None:
    known = []
    for seed in range(60):
        model, _, _ = simulated(-5.0, rounds=2, seed=seed, box_share=0.0)
        assert model.asked[0]["input_masks"] is None
        known += [asked["input_masks"] is not None for asked in model.asked[1:]]
        for asked in model.asked[1:]:
            if asked["input_masks"] is not None:
                assert asked["input_masks"].shape == (1, 2, SIDE, SIDE)
                assert not asked["input_masks"].requires_grad
    assert 0.7 < np.mean(known) < 0.97


def test_a_lone_click_alone_has_three_candidates() -> None:
    counts = [
        [asked["multimask_output"] for asked in simulated(-5.0, 2, seed, box_share=0.5)[0].asked]
        for seed in range(20)
    ]
    # Click, its corrections, box, its corrections.
    assert any(flags[0] for flags in counts)
    assert not any(flag for flags in counts for flag in [*flags[1:3], *flags[3:]])


def test_a_stage_draws_its_corrections() -> None:
    rng = np.random.default_rng(0)
    stage = Stage(1, corrections=4, correction_share=0.5)
    drawn = np.array([stage.draw_corrections(rng) for _ in range(4000)])
    assert np.mean(drawn == 0) == pytest.approx(0.5, abs=0.03)
    for count in (1, 2, 3, 4):
        assert np.mean(drawn == count) == pytest.approx(0.125, abs=0.02)
    assert {Stage(1, corrections=0).draw_corrections(rng) for _ in range(50)} == {0}
    assert {Stage(1, corrections=1).draw_corrections(rng) for _ in range(50)} == {1}
