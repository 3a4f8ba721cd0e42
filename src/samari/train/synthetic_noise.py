"""Noise with a correlation length."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray


def smooth_noise(rng: np.random.Generator, size: int, sigma: float) -> NDArray[np.float32]:
    """Return Gaussian noise (size, size) float32 of that correlation length in pixels, variance 1.

    Made on a coarse grid and enlarged, because a wide filter on the full grid is slow.
    """
    coarse = max(4, int(np.ceil(size / max(sigma / 2, 1.0))))
    noise = ndimage.gaussian_filter(
        rng.standard_normal((coarse, coarse)),
        2.0 * coarse / size if sigma < 2 else 2.0,
        mode="wrap",
    )
    zoomed = ndimage.zoom(noise, size / coarse, order=1, mode="nearest", grid_mode=True)
    zoomed = zoomed[:size, :size]
    return ((zoomed - zoomed.mean()) / (zoomed.std() + 1e-6)).astype(np.float32)
