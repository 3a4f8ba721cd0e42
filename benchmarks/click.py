"""Time the decoder beside transformers: ``python benchmarks/click.py click``.

From an encoded 1024 x 1024 image to masks of its pixels, as booleans: ``click`` is one point with
three candidates, ``points`` are 64 of them, each on a ViT-B with random weights and on the bundled
model (with ``--bundled``, at its 512 x 512). Both get the same embedding; ours answers through the
engine, theirs through the network and its processor.
"""

from __future__ import annotations

import argparse

import numpy as np
import skimage.data
import torch
import vit_b
from measure import interleaved, ratio, save, spread

from samari.engine.predict import Segmenter
from samari.engine.prompts import PlanePrompts
from samari.zoo.store import resolve

POINTS = {"click": 1, "points": 64}


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=sorted(POINTS))
    parser.add_argument("-n", type=int, default=20, help="turns")
    parser.add_argument("--bundled", action="store_true", help="the bundled model, 512 x 512")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    model = "bundled" if arguments.bundled else "base"
    save(f"{arguments.what}-{model}", times(arguments.what, arguments.n, arguments.bundled))


def times(what: str, n: int, bundled: bool) -> dict:
    """Return seconds of both, their ratio, and how far the masks agree."""
    import transformers

    folder = resolve("samari-tiny") if bundled else vit_b.weights()
    side = 512 if bundled else vit_b.SIZE
    theirs = transformers.SamModel.from_pretrained(folder, attn_implementation="sdpa").eval()
    segmenter = Segmenter(folder, device="cpu", dtype="float32")
    gray = np.tile(skimage.data.camera(), (2, 2))[:side, :side]
    embedding = segmenter.encode(np.repeat(gray[..., None], 3, axis=2))
    features = embedding.features.contiguous()
    places = np.random.default_rng(0).uniform(0.05 * side, 0.95 * side, (POINTS[what], 2))
    prompts = [PlanePrompts((tuple(place),), (1,)) for place in places.tolist()]
    points = torch.from_numpy(places[None, :, None, ::-1].astype(np.float32).copy())
    frame = torch.nn.functional.interpolate

    def ours() -> np.ndarray:
        segmenter._decoder._answers.clear()
        found = segmenter.predict_many(embedding, prompts, True)
        return np.stack([answer.masks for answer in found])

    def reference() -> np.ndarray:
        with torch.inference_mode():
            output = theirs(image_embeddings=features, input_points=points)
            # What its processor does for an image that fills the frame: two resizes, one cut.
            full = frame(output.pred_masks[0], (side, side), mode="bilinear", align_corners=False)
            full = frame(full, (side, side), mode="bilinear", align_corners=False)
            return (full > 0).numpy()

    with torch.inference_mode():
        given = {"image_embeddings": features, "input_points": points}
        one, other = segmenter.model(**given).pred_masks, theirs(**given).pred_masks
    error = float((one - other).abs().max() / other.std())
    reference()
    share = float(ours().mean())
    seconds = interleaved({"samari": ours, "transformers": reference}, n)
    return {
        "n": n,
        "side": side,
        "points": POINTS[what],
        "summary_ms": {name: spread(values, 1e-3) for name, values in seconds.items()},
        "samari_over_transformers": ratio(seconds, "samari", "transformers"),
        "logit_error_over_std": error,
        "share_of_pixels_in_masks": share,
        "seconds": seconds,
    }


if __name__ == "__main__":
    main()
