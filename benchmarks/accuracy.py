"""How far masks in bfloat16 are from those in float32: ``python benchmarks/accuracy.py``.

On images that scikit-image brings along, with the bundled model or (``--base``) a ViT-B of random
weights: the masks of a grid of clicks, the candidate of the highest float32 score of each.
"""

from __future__ import annotations

import argparse

import numpy as np
import skimage.data
import torch
import vit_b
from measure import save

from samari.engine.everything_plane import grid
from samari.engine.planes import to_rgb_uint8
from samari.engine.predict import Segmenter
from samari.engine.prompts import PlanePrompts
from samari.train.evaluate import iou
from samari.zoo.store import resolve

IMAGES = ("coins", "camera", "cell", "human_mitosis", "page", "moon")


def main() -> None:
    """Compare the masks of both precisions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", action="store_true", help="a ViT-B with random weights")
    parser.add_argument("--images", type=int, default=len(IMAGES))
    parser.add_argument("--side", type=int, default=8, help="clicks a side")
    arguments = parser.parse_args()
    folder = vit_b.weights() if arguments.base else resolve("samari-tiny")
    exact, half = (Segmenter(folder, "cpu", dtype) for dtype in ("float32", "bfloat16"))
    overlaps: list[float] = []
    for name in IMAGES[: arguments.images]:
        rgb = to_rgb_uint8(np.asarray(getattr(skimage.data, name)()))
        points, _ = grid(rgb.shape[:2], arguments.side)
        prompts = [PlanePrompts((tuple(p),), (1,)) for p in points]
        answers = [s.predict_many(s.encode(rgb), prompts, True) for s in (exact, half)]
        for one, other in zip(*answers, strict=True):
            best = one.best_index
            if one.boxes[best] is not None:
                overlaps.append(iou(other.masks[best], one.masks[best]))
    save(
        "accuracy-" + ("base" if arguments.base else "bundled"),
        {
            "images": IMAGES[: arguments.images],
            "masks": len(overlaps),
            "mean": float(np.mean(overlaps)),
            "5th percentile": float(np.quantile(overlaps, 0.05)),
            "minimum": float(np.min(overlaps)),
            "packed": exact.model.vision_encoder.layers[0].attn.qkv.is_packed,
            "packed in bfloat16": half.model.vision_encoder.layers[0].attn.qkv.is_packed,
            "torch": torch.__version__,
        },
    )


if __name__ == "__main__":
    main()
