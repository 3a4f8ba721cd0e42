"""Time images that are not square, and several at once: ``python benchmarks/shapes.py``.

A half image (H x H/2) beside a whole one, each through the engine: on a ViT-B of random weights,
which pads it to a square as published, and on the bundled model as it is and as a copy that pads.
Then planes of the bundled model one by one and four at a time.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import torch
import vit_b
from measure import interleaved, ratio, save, spread

from samari.engine.predict import Segmenter
from samari.zoo.store import resolve

if TYPE_CHECKING:
    from collections.abc import Callable


def main() -> None:
    """Measure all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=5, help="turns")
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder:
        padding = Segmenter(_padding(Path(folder)), "cpu", "float32")
        bundled = Segmenter("samari-tiny", "cpu", "float32")
        base = Segmenter(vit_b.weights(), "cpu", "float32")
        actions = {}
        for name, one, side in (
            ("ViT-B, padded", base, 1024),
            ("samari-tiny, padded", padding, 512),
            ("samari-tiny", bundled, 512),
        ):
            for shape in ((side, side), (side, side // 2)):
                actions[f"{name}, {shape[0]} x {shape[1]}"] = _encoding(one, shape)
        planes = torch.randn(4, 3, 512, 512)
        actions["four planes at once"] = lambda: _embed(bundled, planes)
        actions["four planes, one by one"] = lambda: [_embed(bundled, p[None]) for p in planes]
        for action in actions.values():
            action()
        seconds = interleaved(actions, arguments.n)
    names = list(actions)
    pairs = dict(zip(names[1::2], names[::2], strict=True))
    pairs = {half: whole for half, whole in pairs.items() if "planes" not in half}
    pairs["four planes at once"] = "four planes, one by one"
    save(
        "shapes",
        {
            "n": arguments.n,
            "summary": {name: spread(values) for name, values in seconds.items()},
            "ratios": {f"{one} / {all_}": ratio(seconds, one, all_) for one, all_ in pairs.items()},
            "seconds": seconds,
        },
    )


def _padding(folder: Path) -> Path:
    """Return a copy of the bundled model that pads images to the square of its frame."""
    copy = folder / "padding"
    shutil.copytree(resolve("samari-tiny"), copy)
    config = json.loads((copy / "config.json").read_text(encoding="utf-8"))
    config["samari"]["pad"] = True
    (copy / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return copy


def _encoding(segmenter: Segmenter, shape: tuple[int, int]) -> Callable[[], None]:
    rgb = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)

    def encode() -> None:
        segmenter.cache.clear()
        segmenter.encode(rgb)

    return encode


@torch.inference_mode()
def _embed(segmenter: Segmenter, planes: torch.Tensor) -> None:
    segmenter.model.get_image_embeddings(planes)


if __name__ == "__main__":
    main()
