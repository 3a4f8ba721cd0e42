"""Losses of promptable segmentation: focal, dice, score regression, lowest-loss candidate.

Targets may be soft: a mask pixel half covered by the object is 0.5, so that the zero of the logits
comes to lie on the outline and not on the edge of a mask pixel.
"""

from __future__ import annotations

import torch
from torch.nn import functional


def focal_loss(logits: torch.Tensor, target: torch.Tensor, gamma: float = 2.0) -> torch.Tensor:
    """Focal loss (Lin et al. 2017, eq. 4) per mask, relative to the size of the object.

    Parameters
    ----------
    logits, target : Tensor, shape (..., h, w)
    gamma : float
        0 gives the cross-entropy.

    Returns
    -------
    Tensor, shape (...)
        Sum over pixels divided by (4 * area + 64): the mean over all pixels would hand a small
        nucleus a thousandth of the weight of a large cell.
    """
    entropy = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    # |target - probability| is (1 - p_t) of the paper, for soft targets too.
    weight = (target - torch.sigmoid(logits)).abs() ** gamma
    area = target.sum((-2, -1))
    return (weight * entropy).sum((-2, -1)) / (4 * area + 64)


def balanced_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Cross-entropy with equal weight on object and background.

    Parameters
    ----------
    logits, target : Tensor, shape (..., h, w)

    Returns
    -------
    Tensor, shape (...)
        It draws too large masks, but unlike the focal loss it never collapses to empty ones.
    """
    inside = (target * functional.softplus(-logits)).sum((-2, -1))
    outside = ((1 - target) * functional.softplus(logits)).sum((-2, -1))
    area = target.sum((-2, -1))
    rest = (1 - target).sum((-2, -1))
    return 0.5 * inside / area.clamp(min=1) + 0.5 * outside / rest.clamp(min=1)


def dice_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Soft dice loss (Milletari et al. 2016, squared denominators) per mask, 0 to 1.

    Parameters
    ----------
    logits, target : Tensor, shape (..., h, w)

    Returns
    -------
    Tensor, shape (...)
    """
    guess = torch.sigmoid(logits)
    shared = (guess * target).sum((-2, -1))
    sizes = (guess**2).sum((-2, -1)) + (target**2).sum((-2, -1))
    return 1 - (2 * shared + 1) / (sizes + 1)


def mask_iou(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """IoU of the thresholded masks, shape (..., h, w) -> (...); two empty masks give 1."""
    guess, truth = logits > 0, target >= 0.5
    shared = (guess & truth).sum((-2, -1)).float()
    union = (guess | truth).sum((-2, -1)).float()
    return torch.where(union > 0, shared / union.clamp(min=1), torch.ones_like(shared))


def prompt_loss(
    logits: torch.Tensor,
    scores: torch.Tensor,
    target: torch.Tensor,
    kind: str = "focal",
    score_weight: float = 1.5,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Loss of the candidates of every prompt; only the best candidate learns the mask.

    Parameters
    ----------
    logits : Tensor, shape (P, M, h, w)
        M candidates a prompt.
    scores : Tensor, shape (P, M)
        Predicted IoU of every candidate; each learns its true IoU.
    target : Tensor, shape (P, h, w)
    kind : str
        ``"focal"`` or ``"balanced"``.
    score_weight : float

    Returns
    -------
    loss : Tensor, scalar
    best : Tensor of int, shape (P,)
        The candidate of lowest mask loss.
    iou : Tensor, shape (P, M)
        True IoU of every candidate.

    Notes
    -----
    Lowest-loss candidate: Kirillov et al. 2023, "Segment Anything", section 3. The mean over all
    candidates has a quarter of the weight: a candidate that only ever wins for one kind of object
    would be a wild guess for the others, and the score does not always tell.
    """
    wanted = target[:, None].expand_as(logits)
    pixel = focal_loss(logits, wanted) if kind == "focal" else balanced_loss(logits, wanted)
    mask = pixel + dice_loss(logits, wanted)
    lowest, best = mask.min(dim=1)
    iou = mask_iou(logits.detach(), wanted)
    regression = functional.smooth_l1_loss(scores, iou, beta=0.2, reduction="none").mean(dim=1)
    scored = regression + 0.5 * ranking_loss(scores, iou)
    loss = (0.75 * lowest + 0.25 * mask.mean(dim=1) + score_weight * scored).mean()
    return loss, best, iou


def ranking_loss(scores: torch.Tensor, iou: torch.Tensor, unit: float = 0.1) -> torch.Tensor:
    """Ask that the better of two candidates has the higher score, whatever the scores are.

    Parameters
    ----------
    scores, iou : Tensor, shape (P, M)
        Predicted and true IoU of the candidates of every prompt.
    unit : float
        Difference of scores that counts as clear.

    Returns
    -------
    Tensor, shape (P,)
        Mean over pairs of the IoU that is lost by the wrong choice, softly; 0 for one candidate.
    """
    better = (iou[:, :, None] - iou[:, None, :]).clamp(min=0)
    doubt = functional.softplus((scores[:, None, :] - scores[:, :, None]) / unit)
    return (better * doubt).flatten(1).mean(dim=1)
