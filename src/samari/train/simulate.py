"""A simulated annotator in the training loop: first prompts, then corrections of the answer."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from samari.train.losses import prompt_loss
from samari.train.prompts import jittered_boxes, pick_objects, sample_clicks

if TYPE_CHECKING:
    from samari.sam.model import SamModel
    from samari.train.config import Stage


#: Share of the corrections that are answered without the answer before.
_FORGOTTEN = 0.15


@dataclass(frozen=True)
class Targets:
    """Objects to prompt.

    Attributes
    ----------
    soft : Tensor of float32, shape (B, N, h, w)
        Coverage of every mask pixel by the object, 0 to 1.
    valid : Tensor of bool, shape (B, N)
        False where a crop had no object at all.
    """

    soft: torch.Tensor
    valid: torch.Tensor

    @property
    def region(self) -> torch.Tensor:
        """Return the mask pixels of every object, (B, N, h, w) bool, never empty."""
        return self.soft >= 0.5

    def to(self, device: torch.device) -> Targets:
        """Return them on a device."""
        return Targets(self.soft.to(device), self.valid.to(device))


def choose_targets(
    labels: torch.Tensor, count: int, stride: int, rng: np.random.Generator, least: int = 20
) -> Targets:
    """Pick ``count`` objects of every crop; a crop with fewer repeats its own.

    Parameters
    ----------
    labels : Tensor of int32, shape (B, S, S)
    count : int
    stride : int
        Crop pixels per mask pixel.
    rng : numpy.random.Generator
    least : int
        Smallest object in crop pixels.
    """
    picked, valid = [], []
    for crop in labels.numpy():
        found = pick_objects(crop, count, least, rng)
        valid.append(len(found) > 0)
        picked.append(np.resize(found, count) if len(found) else np.full(count, -1, np.int32))
    ids = torch.from_numpy(np.stack(picked))
    masks = (labels[:, None] == ids[:, :, None, None]).float()
    soft = functional.avg_pool2d(masks, stride)
    valid_crops = torch.tensor(valid)[:, None].expand(-1, count)
    # A thin fibre may cover no mask pixel by half, and an invalid target covers none.
    empty = (soft < 0.5).flatten(2).all(2)
    peak = soft.flatten(2).argmax(2)
    fill = functional.one_hot(peak, soft[0, 0].numel()).view_as(soft).bool()
    soft = torch.where(empty[..., None, None] & fill, torch.ones_like(soft), soft)
    return Targets(soft, valid_crops)


@dataclass(frozen=True)
class _Asked:
    """Prompts on every object: points (B, N, K, 2) with labels (B, N, K), and boxes (B, N, 4)."""

    points: torch.Tensor | None
    labels: torch.Tensor | None
    box: torch.Tensor | None

    @property
    def lone(self) -> bool:
        """Whether one click is all there is."""
        return self.box is None and self.points is not None and self.points.shape[2] == 1

    def and_click(self, where: torch.Tensor, what: torch.Tensor) -> _Asked:
        """Return these prompts and one more point (B, N, 2) with its label (B, N)."""
        where, what = where[:, :, None], what[:, :, None]
        if self.points is None or self.labels is None:
            return _Asked(where, what, self.box)
        points = torch.cat([self.points, where], dim=2)
        return _Asked(points, torch.cat([self.labels, what], dim=2), self.box)


@dataclass
class Simulation:
    """One training step's prompts on one batch of crops.

    Attributes
    ----------
    model : SamModel
    embeddings : Tensor, shape (B, C, h / 4, w / 4)
    targets : Targets
    stage : Stage
    generator : torch.Generator
        The only source of chance; on the CPU, so that chance is the same on every device.
    grid_offset : (int, int)
        Row and column, in tokens, of the crop within the model's frame.
    rounds : int
        Correction clicks after the first prompt. The first answer and the last are learnt from;
        those between only lead there (as in Sofiiuk et al. 2021, "Reviving Iterative Training with
        Mask Guidance for Interactive Segmentation").
    """

    model: SamModel
    embeddings: torch.Tensor
    targets: Targets
    stage: Stage
    generator: torch.Generator
    grid_offset: tuple[int, int] = (0, 0)
    rounds: int = 0

    def __post_init__(self) -> None:
        """Look up what turns mask pixels into the frame's coordinates."""
        config = self.model.config.prompt_encoder_config
        self._stride = config.patch_size // 4
        top, left = self.grid_offset
        corner = torch.tensor([left, top], dtype=torch.float32) * config.patch_size
        self._corner = corner.to(self.embeddings.device)

    def run(self) -> tuple[torch.Tensor, dict[str, float]]:
        """Return the summed loss of all rounds, and the figures to log."""
        count = self.targets.soft.shape[1]
        boxes = round(count * self.stage.box_share)
        total = self.embeddings.new_zeros(())
        figures: dict[str, float] = {}
        for name, part in (("click", slice(boxes, None)), ("box", slice(0, boxes))):
            soft, valid = self.targets.soft[:, part], self.targets.valid[:, part]
            if soft.shape[1]:
                share = soft.shape[1] / count
                total = total + share * self._episode(name, soft, valid, figures)
        return total, figures

    def _episode(
        self, name: str, soft: torch.Tensor, valid: torch.Tensor, figures: dict[str, float]
    ) -> torch.Tensor:
        region = soft >= 0.5
        points = labels = box = None
        if name == "box":
            # Half of the boxes are drawn well, the other half sloppily.
            amount = 0.03 if torch.rand((), generator=self.generator) < 0.5 else 0.09
            box = self._to_frame(
                jittered_boxes(region.flatten(0, 1), amount, self.generator).view(-1, 2, 2), 0.0
            ).view(*soft.shape[:2], 4)
        else:
            points = self._click(region)[:, :, None]
            labels = torch.ones(points.shape[:3], dtype=torch.int64, device=points.device)
        asked = _Asked(points, labels, box)
        logits, scores = self._answer(asked, None)
        loss, logits = self._learn(name, soft, valid, logits, scores, figures)
        for number in range(1, self.rounds + 1):
            asked = asked.and_click(*self._correction(region, logits > 0))
            # The engine begins with its last answer, but not when work is resumed later.
            known = bool(torch.rand((), generator=self.generator) >= _FORGOTTEN)
            with contextlib.ExitStack() as stack:
                if number < self.rounds:
                    stack.enter_context(torch.no_grad())
                    stack.enter_context(torch.autocast(logits.device.type, enabled=False))
                answer, scores = self._answer(asked, logits if known else None)
            more, logits = self._learn(f"{name}+{number}", soft, valid, answer, scores, figures)
        return loss if not self.rounds else (loss + more) / 2

    def _answer(
        self, asked: _Asked, previous: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the candidates' logits (B N, M, h, w) and scores (B N, M)."""
        # Three candidates for a lone click, as at inference; now and then the single mask, which
        # callers may ask for too.
        several = asked.lone and bool(torch.rand((), generator=self.generator) < 0.9)
        output = self.model(
            image_embeddings=self.embeddings.float(),
            input_points=asked.points,
            input_labels=asked.labels,
            input_boxes=asked.box,
            input_masks=previous,
            multimask_output=several,
            grid_offset=self.grid_offset,
        )
        logits, scores = (
            output[name].flatten(0, 1).float() for name in ("pred_masks", "iou_scores")
        )
        return logits, scores

    def _learn(
        self,
        name: str,
        soft: torch.Tensor,
        valid: torch.Tensor,
        logits: torch.Tensor,
        scores: torch.Tensor,
        figures: dict[str, float],
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the loss of an answer, and the logits (B, N, h, w) of the model's own choice."""
        keep = valid.flatten()
        if not keep.any():
            return logits.sum() * 0, logits.detach()[:, 0].view_as(soft)
        loss, _, iou = prompt_loss(
            logits[keep],
            scores[keep],
            soft.flatten(0, 1)[keep],
            self.stage.loss,
            self.stage.score_weight,
        )
        chosen = scores.detach().argmax(1)
        figures[name] = float(iou.gather(1, chosen[keep][:, None]).mean())
        if logits.shape[1] > 1:
            figures[f"{name}:best"] = float(iou.max(1).values.mean())
        index = torch.arange(len(logits), device=logits.device)
        return loss, logits.detach()[index, chosen].view_as(soft)

    def _to_frame(self, places: torch.Tensor, shift: float) -> torch.Tensor:
        # Continuous mask positions (x, y) to the frame's pixel-centre coordinates.
        return (places + shift) * self._stride - 0.5 + self._corner

    def _click(self, region: torch.Tensor) -> torch.Tensor:
        # (B, N, h, w) -> (B, N, 2) as (x, y) in the frame, somewhere within the mask pixel.
        flat = region.flatten(0, 1)
        centred = (torch.rand(len(flat), generator=self.generator) < 0.6).to(flat.device)
        cells = sample_clicks(flat, centred, self.generator).flip(1).float()
        within = torch.rand(cells.shape, generator=self.generator).to(cells.device)
        return self._to_frame(cells + within, 0.0).view(*region.shape[:2], 2)

    def _correction(
        self, region: torch.Tensor, guess: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        missed, astray = region & ~guess, guess & ~region
        label = missed.flatten(2).sum(2) >= astray.flatten(2).sum(2)
        wrong = torch.where(label[..., None, None], missed, astray)
        # Nothing is wrong: confirm the object by a click inside it.
        perfect = ~wrong.flatten(2).any(2)
        wrong = torch.where(perfect[..., None, None], region, wrong)
        return self._click(wrong), label.long()
