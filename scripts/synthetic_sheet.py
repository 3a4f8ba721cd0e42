"""Draw the sheet of synthetic images in the model card: ``python scripts/synthetic_sheet.py``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from skimage.segmentation import find_boundaries

from samari.train.synthetic import synthetic_sample

ROWS, COLUMNS, SIDE = 7, 4, 128
TARGET = Path(__file__).parents[1] / "docs" / "images" / "synthetic.jpg"


def main() -> None:
    """Draw pictures 0, 1, 2, ... each beside its outlines."""
    tiles = []
    for seed in range(ROWS * COLUMNS):
        sample = synthetic_sample(seed, 256)
        outlined = sample.image.copy()
        outlined[find_boundaries(sample.labels, mode="inner")] = (255, 0, 0)
        pair = np.concatenate([sample.image, outlined], axis=1)
        tiles.append(np.asarray(Image.fromarray(pair).resize((2 * SIDE, SIDE))))
    rows = [np.concatenate(tiles[i : i + COLUMNS], axis=1) for i in range(0, len(tiles), COLUMNS)]
    Image.fromarray(np.concatenate(rows)).save(TARGET, quality=82)


if __name__ == "__main__":
    main()
