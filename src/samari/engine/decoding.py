"""Prompts to mask logits, step by step, with the beginnings that were computed before kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from samari.engine.frames import LOGITS_PER_TOKEN
from samari.engine.lru import ByteLru
from samari.engine.mask_rule import MaskRule
from samari.engine.masks import EMPTY_LOGIT, mask_prompt, masks_of
from samari.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from samari.engine.embedding import Embedding
    from samari.engine.frames import Frame
    from samari.engine.prompts import PlanePrompts
    from samari.sam import SamModel
    from samari.sam.fast_decoder import PreparedImage

#: Prompts decoded together: few on a CPU, where large temporaries cost more than the arithmetic.
CHUNK = {"cpu": 4}
CHUNK_ELSEWHERE = 64
#: Memory for answers to earlier steps; one answer of the bundled model takes 0.25 to 0.75 MiB.
STEP_BYTES = 96 * 2**20
#: Memory for what all prompts on an image have in common; 6 MiB an image of the bundled model.
IMAGE_BYTES = 32 * 2**20
#: More logits above 0 than these give a mask with pixels; of fewer it is looked up.
_SURE = 64


@dataclass(frozen=True, eq=False)
class StepAnswer:
    """Candidates of one step, in the model's resolution. Read-only, because later steps start here.

    Attributes
    ----------
    logits : ndarray of float32, shape (n, 4 h, 4 w)
    scores : ndarray of float32, shape (n,)
    """

    logits: NDArray[np.float32]
    scores: NDArray[np.float32]

    def __post_init__(self) -> None:
        """Lock the arrays."""
        self.logits.setflags(write=False)
        self.scores.setflags(write=False)

    def chosen(self, choice: int | None) -> int:
        """Return the candidate a choice names, the highest score for None.

        Raises
        ------
        InputError
            If there is no such candidate.
        """
        if choice is None:
            return int(np.argmax(self.scores))
        if choice >= len(self.scores):
            raise InputError(
                f"candidate {choice} was chosen, but there are {len(self.scores)}, from 0 to "
                f"{len(self.scores) - 1}"
            )
        return choice


@dataclass(frozen=True, eq=False)
class _Request:
    """One step of one object, ready for the decoder. Coordinates are the frame's.

    `drawn` tells that the user drew a mask: it may have parts that no point lies on.
    """

    points: NDArray[np.float64]
    labels: tuple[int, ...]
    box: NDArray[np.float64] | None
    mask: NDArray[np.float32] | None
    many: bool
    drawn: bool

    @property
    def kind(self) -> tuple[int, bool, bool, bool]:
        """Requests of one kind fit into one batch as they are."""
        return len(self.labels), self.box is not None, self.mask is not None, self.many


class StepDecoder:
    """Computes the candidates of prompts by the steps that `PlanePrompts` defines.

    Parameters
    ----------
    model : SamModel
        In evaluation mode. Prompt encoder and mask decoder are used, the image encoder is not.
    rule : MaskRule, optional
        What the model promises about its masks; by default nothing.
    """

    def __init__(self, model: SamModel, rule: MaskRule | None = None) -> None:
        self._model = model
        self._rule = MaskRule() if rule is None else rule
        self._answers: ByteLru[StepAnswer] = ByteLru(STEP_BYTES)
        self._images: ByteLru[PreparedImage] = ByteLru(IMAGE_BYTES)

    def answer(
        self,
        embedding: Embedding,
        frame: Frame,
        prompts: Sequence[PlanePrompts],
        multimask: bool | None,
        *,
        keep: bool,
    ) -> list[StepAnswer]:
        """Return the candidates of the last step of each of many prompts on one plane.

        Parameters
        ----------
        embedding, frame
            The encoded plane and how it lies in the model's frame.
        prompts : sequence of PlanePrompts
            None of them empty; independent of each other.
        multimask : bool or None
            Whether each step gives three candidates or one; None: three for a lone point.
        keep : bool
            Whether the answers of all steps are kept, so that a further click costs one step.
        """
        answers: list[StepAnswer | None] = [None] * len(prompts)
        waiting: dict[int, int] = {}
        for i, prompt in enumerate(prompts):
            waiting[i] = 0
            for step in reversed(range(prompt.n_steps)):
                known = self._answers.get((embedding.key, prompt.step_key(step), multimask))
                if known is not None:
                    answers[i], waiting[i] = known, step + 1
                    break
        while True:
            waiting = {i: step for i, step in waiting.items() if step < prompts[i].n_steps}
            if not waiting:
                return [answer for answer in answers if answer is not None]
            requests = {
                i: _request(prompts[i], step, answers[i], frame, multimask)
                for i, step in waiting.items()
            }
            for i, answer in self._decode(embedding, frame, requests):
                answers[i] = answer
                if keep:
                    key = (embedding.key, prompts[i].step_key(waiting[i]), multimask)
                    self._answers.put(key, answer, answer.logits.nbytes)
                waiting[i] += 1

    def prepare(self, embedding: Embedding) -> PreparedImage | None:
        """Return what all prompts on an image have in common; None where it is of no use.

        It is kept, so whoever has just encoded an image spares the first click this work.
        """
        if embedding.features.device.type != "cpu":
            return None
        image = self._images.get(embedding.key)
        if image is None:
            with torch.inference_mode():
                image = self._model.prepare_image(embedding.features)
            self._images.put(embedding.key, image, image.nbytes)
        return image

    def forget(self) -> None:
        """Drop the answers that were kept, and what belongs to images."""
        self._answers.clear()
        self._images.clear()

    def _decode(
        self, embedding: Embedding, frame: Frame, requests: dict[int, _Request | None]
    ) -> Iterator[tuple[int, StepAnswer]]:
        """Yield the answers of one step each, decoded in batches of one kind."""
        kinds: dict[tuple[int, bool, bool, bool], list[tuple[int, _Request]]] = {}
        for i, request in requests.items():
            if request is None:
                logits = np.full((1, *frame.logits_shape), EMPTY_LOGIT, dtype=np.float32)
                yield i, StepAnswer(logits, np.zeros(1, dtype=np.float32))
            else:
                kinds.setdefault(request.kind, []).append((i, request))
        size = CHUNK.get(embedding.features.device.type, CHUNK_ELSEWHERE)
        for group in kinds.values():
            for first in range(0, len(group), size):
                chunk = group[first : first + size]
                decoded = self._batch(embedding, frame, [request for _, request in chunk])
                yield from zip((i for i, _ in chunk), decoded, strict=True)

    def _batch(
        self, embedding: Embedding, frame: Frame, requests: list[_Request]
    ) -> list[StepAnswer]:
        first, device = requests[0], embedding.features.device

        def stacked(arrays: list[NDArray[np.floating]]) -> torch.Tensor:
            return torch.from_numpy(np.stack(arrays).astype(np.float32))[None].to(device)

        points = labels = boxes = masks = None
        if first.labels:
            points = stacked([request.points for request in requests])
            labels = torch.tensor([[request.labels for request in requests]], device=device)
        if first.box is not None:
            boxes = stacked([request.box for request in requests if request.box is not None])
        if first.mask is not None:
            masks = stacked([request.mask for request in requests if request.mask is not None])
        with torch.inference_mode():
            output = self._model(
                image_embeddings=embedding.features,
                input_points=points,
                input_labels=labels,
                input_boxes=boxes,
                input_masks=masks,
                multimask_output=first.many,
                return_dict=True,
                prepared=self.prepare(embedding),
            )
        # One array for each answer: a view would keep the whole batch in memory.
        logits = output.pred_masks[0].float().cpu().numpy()
        scores = output.iou_scores[0].float().cpu().numpy()
        stride = frame.patch / LOGITS_PER_TOKEN
        answers = []
        for request, own, score in zip(requests, logits, scores, strict=True):
            kept = own.copy()
            if not request.drawn:
                self._rule.keep_parts(kept, request.points, request.labels, request.box, stride)
            # What draws nothing is nobody's choice, whatever the model thinks of it.
            drawn = [_draws(plane, frame) for plane in kept]
            answers.append(StepAnswer(kept, np.where(drawn, score, np.minimum(score, 0))))
        return answers


def _draws(logits: NDArray[np.float32], frame: Frame) -> bool:
    """Return whether a mask has a pixel on the plane; few logits above 0 may give none."""
    positive = np.count_nonzero(logits > 0)
    if positive > _SURE:
        return True
    return bool(positive) and masks_of(logits[None], frame)[1][0] is not None


def _request(
    prompts: PlanePrompts,
    step: int,
    before: StepAnswer | None,
    frame: Frame,
    multimask: bool | None,
) -> _Request | None:
    """Return what the decoder is asked at a step (from 0); None where there is nothing to ask."""
    count = prompts.n_points(step)
    labels = prompts.labels[:count]
    bounded = prompts.has_region
    if not bounded and 1 not in labels:
        return None
    mask = None
    if before is not None and (bounded or 1 in prompts.labels[:step]):
        mask = before.logits[before.chosen(prompts.choice(step - 1))]
    elif step == 0 and prompts.mask is not None:
        mask = mask_prompt(np.asarray(prompts.mask), frame)
    many = len(labels) == 1 and not bounded if multimask is None else multimask
    points = frame.to_frame(prompts.points[:count]) if labels else np.empty((0, 2))
    box = _frame_box(prompts, labels, frame)
    return _Request(points, labels, box, mask, many, prompts.mask is not None)


def _frame_box(
    prompts: PlanePrompts, labels: tuple[int, ...], frame: Frame
) -> NDArray[np.float64] | None:
    """Return the box prompt (x0, y0, x1, y1) of the frame, cut to the plane.

    In the first step a mask without a box brings its bounding box along: SAM was never trained on a
    mask prompt alone.
    """
    box = prompts.box
    if box is None:
        if prompts.mask is None or labels:
            return None
        box = prompts.mask.edges
    high = np.array(frame.plane_shape) - 0.5
    return frame.to_frame(np.clip(np.reshape(box, (2, 2)), -0.5, high)).ravel()
