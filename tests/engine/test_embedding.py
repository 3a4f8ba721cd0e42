from __future__ import annotations

import numpy as np
import pytest
import torch

from samari.engine.embedding import Embedding, EmbeddingCache, content_key
from samari.errors import InputError


def plane(seed: int = 0, shape: tuple[int, int] = (6, 8)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)


def embedding(key: str) -> Embedding:
    return Embedding(torch.zeros(1, 4, 5, 5), (40, 40), (40, 40), key)


def test_the_key_is_a_function_of_the_content():
    assert content_key(plane(), "m") == content_key(plane().copy(), "m")
    assert content_key(plane(), "m") == content_key(np.asfortranarray(plane()), "m")


def test_every_part_of_the_content_changes_the_key():
    rgb = plane()
    changed = rgb.copy()
    changed[5, 7, 2] ^= 1
    keys = [
        content_key(rgb, "m"),
        content_key(changed, "m"),
        content_key(rgb, "n"),
        content_key(rgb, "m", (0, 0, 6, 8)),
        content_key(rgb, "m", (0, 0, 8, 6)),
        content_key(rgb.reshape(8, 6, 3), "m"),
        content_key(rgb[::-1], "m"),
    ]
    assert len(set(keys)) == len(keys)


def test_data_changed_in_place_has_another_key():
    """Trap 7."""
    rgb = plane()
    before = content_key(rgb, "m")
    rgb[0, 0, 0] ^= 255
    assert content_key(rgb, "m") != before


@pytest.mark.parametrize(
    "rgb",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.uint16),
        np.zeros((0, 4, 3), np.uint8),
        [[0, 0, 0]],
    ],
    ids=["grey", "rgba", "uint16", "empty", "list"],
)
def test_what_is_not_an_rgb_plane_is_refused(rgb):
    with pytest.raises(InputError, match=r"\(H, W, 3\)"):
        content_key(rgb, "m")


def test_the_cache_keeps_the_embeddings_used_last_within_its_limit():
    size = embedding("a").nbytes
    assert size == 400
    cache = EmbeddingCache(2 * size)
    for key in ("a", "b"):
        cache.put(embedding(key))
    assert cache.get("a").key == "a"
    cache.put(embedding("c"))
    assert [key in cache for key in "abc"] == [True, False, True]
    assert cache.nbytes == 2 * size
    cache.clear()
    assert len(cache) == 0
    assert cache.get("a") is None
