from __future__ import annotations

import pytest
import torch

from samari.train.losses import (
    balanced_loss,
    dice_loss,
    focal_loss,
    mask_iou,
    prompt_loss,
    ranking_loss,
)


@pytest.fixture
def target() -> torch.Tensor:
    mask = torch.zeros(1, 16, 16)
    mask[:, 4:9, 5:12] = 1
    return mask


@pytest.mark.parametrize("loss", [focal_loss, balanced_loss, dice_loss])
def test_a_perfect_mask_costs_nothing_and_an_inverted_one_much(loss, target) -> None:
    sure = (2 * target - 1) * 20
    assert loss(sure, target).item() < 1e-3
    assert loss(-sure, target).item() > 0.9


@pytest.mark.parametrize("loss", [focal_loss, balanced_loss, dice_loss])
def test_gradients_push_pixels_towards_the_object(loss, target) -> None:
    logits = torch.zeros_like(target, requires_grad=True)
    loss(logits, target).sum().backward()
    assert (logits.grad[target == 1] < 0).all()
    assert (logits.grad[target == 0] > 0).all()


def test_focal_loss_without_focus_is_the_cross_entropy(target) -> None:
    logits = torch.randn(target.shape, generator=torch.Generator().manual_seed(0))
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="sum")
    expected = entropy / (4 * target.sum() + 64)
    assert torch.allclose(focal_loss(logits, target, gamma=0.0)[0], expected)


def test_focal_loss_of_a_half_covered_pixel_is_lowest_at_logit_zero() -> None:
    target = torch.full((1, 2, 2), 0.5)
    at_zero, aside = (focal_loss(torch.full((1, 2, 2), v), target).item() for v in (0.0, 0.7))
    assert at_zero < aside


def test_balanced_loss_weighs_object_and_background_alike(target) -> None:
    inside, outside = (target - 0.5) * 0, (target - 0.5) * 0
    inside[target == 1] = 3.0
    outside[target == 0] = -3.0
    assert balanced_loss(inside, target).item() == pytest.approx(
        balanced_loss(outside, target).item(), abs=1e-5
    )


def test_iou_counts_pixels() -> None:
    target = torch.zeros(1, 4, 4)
    target[0, :2] = 1
    logits = torch.full((1, 4, 4), -1.0)
    logits[0, 1:3] = 1.0
    assert mask_iou(logits, target).item() == pytest.approx(4 / 12)


def test_iou_of_two_empty_masks_is_one() -> None:
    assert mask_iou(torch.full((1, 4, 4), -1.0), torch.zeros(1, 4, 4)).item() == 1.0


def test_the_best_candidate_learns_most_and_every_score_learns(target) -> None:
    logits = torch.zeros(1, 3, 16, 16)
    logits[0, 1] = (2 * target[0] - 1) * 0.5
    logits.requires_grad_(True)
    scores = torch.full((1, 3), 0.5, requires_grad=True)
    loss, best, iou = prompt_loss(logits, scores, target)
    loss.backward()
    assert best.tolist() == [1]
    assert iou[0, 1].item() == 1.0
    strength = logits.grad.abs().sum((0, 2, 3))
    assert strength[1] > 5 * strength[0]
    assert scores.grad[0, 1] < 0 < scores.grad[0, 0]


def test_ranking_asks_for_the_order_and_weighs_it_by_what_is_lost() -> None:
    iou = torch.tensor([[0.9, 0.2, 0.2], [0.9, 0.8, 0.8]])
    right = torch.tensor([[0.9, 0.2, 0.2]]).expand(2, 3)
    wrong = torch.tensor([[0.2, 0.9, 0.2]]).expand(2, 3)
    good, bad = ranking_loss(right, iou), ranking_loss(wrong, iou)
    assert good.max() < 0.01
    assert bad[0] > 5 * bad[1] > 0
    # The scores' level is no matter of the ranking, and one candidate has no rank.
    torch.testing.assert_close(ranking_loss(right - 3, iou), good)
    assert ranking_loss(torch.tensor([[0.3]]), torch.tensor([[0.9]])).item() == 0


def test_the_ranking_pulls_the_scores_of_two_candidates_apart() -> None:
    scores = torch.tensor([[0.5, 0.5]], requires_grad=True)
    ranking_loss(scores, torch.tensor([[0.9, 0.1]])).sum().backward()
    assert scores.grad is not None
    assert scores.grad[0, 0] < 0 < scores.grad[0, 1]
