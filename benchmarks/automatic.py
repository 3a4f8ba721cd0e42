"""Time automatic masks beside the reference: ``python benchmarks/automatic.py``.

One encoded image, clicked on at 32 x 32 points: from the embedding to the masks that pass the
filters, without their encoding, by `MaskGenerationPipeline` and by the pipeline of transformers
4.37.2, on the bundled model (512 x 512) and on a ViT-B with random weights (``--base``, 1024 x
1024). Random weights rate all their masks alike, so that the limit of the score is set to what a
third of them exceed. Both must give the same masks in the same order.

It needs transformers 4.37.2 (``scripts/bootstrap-reference.sh``); of torchvision, which not every
CPU has, only non-maximum suppression is used there, and this file has its own.
"""

from __future__ import annotations

import argparse
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import skimage.data
import torch
import vit_b
from measure import interleaved, ratio, save, spread

from samari.sam import SamImageProcessor, SamModel
from samari.sam.mask_generation import MaskGenerationPipeline
from samari.zoo.store import resolve

POINTS = 32


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", action="store_true", help="ViT-B, 1024 x 1024")
    parser.add_argument("-n", type=int, default=3, help="turns")
    parser.add_argument("--points", type=int, default=POINTS, help="points a side")
    arguments = parser.parse_args()
    name = "automatic-base" if arguments.base else "automatic-bundled"
    save(name, times(arguments.base, arguments.n, arguments.points))


def times(base: bool, n: int, points: int) -> dict[str, Any]:
    """Return seconds of both, their ratio, and what was found."""
    _stand_in_for_torchvision()
    import transformers

    folder = vit_b.weights() if base else resolve("samari-tiny")
    side = vit_b.SIZE if base else 512
    network = transformers.SamModel.from_pretrained(folder).eval()
    processor = transformers.SamImageProcessor(
        size={"longest_edge": side}, pad_size={"height": side, "width": side}
    )
    theirs = transformers.MaskGenerationPipeline(
        model=network, image_processor=processor, framework="pt", task="mask-generation"
    )
    model = SamModel.from_pretrained(folder).eval()
    ours = MaskGenerationPipeline(
        model,
        SamImageProcessor(size={"longest_edge": side}, pad_size={"height": side, "width": side}),
    )
    image = np.tile(np.asarray(skimage.data.coins()), (4, 4))[:side, :side]
    image = np.repeat(image[..., None], 3, axis=2)
    from PIL import Image

    picture = Image.fromarray(image)
    with torch.inference_mode():
        batches = list(theirs.preprocess(picture, points_per_batch=64, points_per_crop=points))
        embedding = batches[0]["image_embeddings"]
        limits = (
            _limits(network, batches)
            if base
            else {"pred_iou_thresh": 0.7, "stability_score_thresh": 0.7}
        )
    held: dict[str, Any] = {}

    def reference() -> None:
        with torch.inference_mode():
            outputs = [theirs._forward(dict(batch), **limits) for batch in batches]
            held["theirs"] = theirs.postprocess(outputs)

    ours._encode = _given(embedding)  # type: ignore[method-assign]

    def mine() -> None:
        held["ours"] = ours(picture, points_per_crop=points, points_per_batch=64, **limits)

    mine()
    before = _memory("VmRSS", reset=True)
    mine()
    added = _memory("VmHWM") - before
    reference()
    seconds = interleaved({"samari": mine, "transformers": reference}, n)
    masks = [np.array(held[name]["masks"]) for name in ("ours", "theirs")]
    assert masks[0].shape == masks[1].shape, "not the same masks"
    return {
        "n": n,
        "side": side,
        "points": points**2,
        "masks": len(masks[0]),
        "limits": limits,
        "gib_above_the_embedding": added,
        "pixels_that_differ": float((masks[0] != masks[1]).mean()),
        "summary_s": {name: spread(values) for name, values in seconds.items()},
        "transformers_over_samari": ratio(seconds, "transformers", "samari"),
        "seconds": seconds,
    }


def _memory(what: str, reset: bool = False) -> float:
    """Return resident memory or its peak in GiB, where Linux tells; `reset` forgets the peak."""
    own = Path("/proc/self")
    if not (own / "clear_refs").exists():
        return float("nan")
    if reset:
        (own / "clear_refs").write_text("5")
    lines = (own / "status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(what)) / 2**20


def _limits(network: Any, batches: list[dict[str, Any]]) -> dict[str, float]:
    """Return limits that a third of the masks of random weights exceed."""
    scores = torch.cat(
        [
            network(
                image_embeddings=batch["image_embeddings"],
                input_points=batch["input_points"],
                input_labels=batch["input_labels"],
            ).iou_scores.flatten()
            for batch in batches[:2]
        ]
    )
    least = float(scores.quantile(2 / 3))
    assert least > 0, "a limit of 0 or less would keep all masks"
    return {"pred_iou_thresh": least, "stability_score_thresh": 0.0}


def _given(embedding: torch.Tensor) -> Any:
    """Return what takes the place of the encoding: an embedding that is there."""

    def points_alone(crop: np.ndarray, grid: np.ndarray) -> Any:
        side = crop.shape[0]
        return embedding, torch.from_numpy(grid * np.array([side, side])), (side, side)

    return points_alone


def _stand_in_for_torchvision() -> None:
    """Let transformers find `torchvision.ops.boxes.batched_nms`; all boxes are of one class."""

    def batched_nms(boxes: Any, scores: Any, idxs: Any, iou_threshold: float) -> Any:
        del idxs
        x0, y0, x1, y1 = boxes.double().unbind(1)
        areas, left = (x1 - x0) * (y1 - y0), scores.argsort(descending=True, stable=True)
        kept = []
        while len(left):
            best, left = left[0], left[1:]
            kept.append(best)
            wide = torch.minimum(x1[best], x1[left]) - torch.maximum(x0[best], x0[left])
            high = torch.minimum(y1[best], y1[left]) - torch.maximum(y0[best], y0[left])
            shared = wide.clamp(min=0) * high.clamp(min=0)
            left = left[shared / (areas[best] + areas[left] - shared) <= iou_threshold]
        return torch.stack(kept) if kept else torch.zeros(0, dtype=torch.int64)

    from transformers.models.sam import image_processing_sam
    from transformers.pipelines import mask_generation

    for module in (image_processing_sam, mask_generation):
        module.batched_nms = batched_nms
        module.requires_backends = lambda *_: None
    sys.modules.setdefault("torchvision", types.ModuleType("torchvision"))


if __name__ == "__main__":
    main()
