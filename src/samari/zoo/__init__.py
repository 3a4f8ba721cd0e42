"""Which models there are: the table, the bundled model, downloads, and the user's own files."""

from __future__ import annotations

from samari.zoo.loading import LoadedModel, load, weights_hash
from samari.zoo.models import MODELS, ModelFile, ModelInfo
from samari.zoo.paths import models_dir
from samari.zoo.store import add, added, available, find, resolve

__all__ = [
    "MODELS",
    "LoadedModel",
    "ModelFile",
    "ModelInfo",
    "add",
    "added",
    "available",
    "find",
    "load",
    "models_dir",
    "resolve",
    "weights_hash",
]
