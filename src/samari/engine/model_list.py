"""The models one can choose from, for those who do not know the zoo."""

from __future__ import annotations

from samari.zoo import MODELS, ModelInfo, added, available, resolve

__all__ = ["MODELS", "ModelInfo", "added", "available", "resolve"]
