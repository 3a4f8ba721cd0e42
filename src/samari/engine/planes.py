"""nD images to the 2D planes that prompts act on."""

from __future__ import annotations

from samari.engine.intensity import auto_contrast_limits, to_rgb_uint8

__all__ = ["auto_contrast_limits", "to_rgb_uint8"]
