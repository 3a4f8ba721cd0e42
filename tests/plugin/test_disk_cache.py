"""Images that are opened again are not encoded again; the disk is the I/O thread's business."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from napari.components import ViewerModel

from samari.engine.embedding_files import EmbeddingFiles, embeddings_dir
from samari.plugin.controller import Controller
from samari.plugin.workshop import Workshop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def shops(qapp: Any) -> Iterator[Callable[..., Workshop]]:
    """Make workshops that keep up to so many bytes on disk."""
    made: list[Workshop] = []

    def make(disk_bytes: int = 10**9) -> Workshop:
        shop = Workshop()
        shop.configure("cpu", "auto", 10**9, disk_bytes)
        made.append(shop)
        return shop

    yield make
    for shop in made:
        shop.close()
        assert shop.inference.join(10)
        assert shop.files.join(10)


def click_on_every_slice(image: Any, model: Path, shop: Workshop) -> Any:
    """Annotate a stack as after a start of napari; return the labels."""
    viewer = ViewerModel()
    c = Controller(viewer, viewer.add_image(image), model=str(model), workshop=shop)
    assert c.wait(60)  # or the encoding of the plane on screen may be begun and given up
    for z in range(len(image)):
        viewer.dims.set_point(0, z)
        c.points.add([z, 20, 30])
        assert c.wait(60)
        c.accept()
    assert shop.files.wait(30)
    labels = np.array(c.session.labels)
    c.close()
    return labels


def test_a_stack_that_is_opened_again_is_not_encoded_again(
    shops: Callable[..., Workshop], noise: Callable[..., Any], tiny_model_folder: Path,
    encodings: list[Any], soak: Callable[[int, int], int], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    threads = set()
    fsync = os.fsync

    def sync(descriptor: Any) -> None:
        threads.add(threading.current_thread().name)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", sync)
    image = noise(soak(5, 50), 40, 56)
    first = click_on_every_slice(image, tiny_model_folder, shops())
    assert len(encodings) == len(image) == len(EmbeddingFiles())
    assert threads == {"samari-files"}
    second = click_on_every_slice(image, tiny_model_folder, shops())
    assert len(encodings) == len(image)
    assert first.any()
    np.testing.assert_array_equal(second, first)


def test_who_wants_nothing_on_disk_has_nothing(
    shops: Callable[..., Workshop], noise: Callable[..., Any], tiny_model_folder: Path
) -> None:
    click_on_every_slice(noise(2, 40, 56), tiny_model_folder, shops(0))
    assert not embeddings_dir().exists()


def test_the_limit_can_be_changed_while_the_dock_is_open(shops: Callable[..., Workshop]) -> None:
    shop = shops(10**6)
    cache = shop._cache
    assert cache.files is not None
    assert cache.files.max_bytes == 10**6
    shop.configure("cpu", "auto", 10**9, 10**7)
    assert cache.files.max_bytes == 10**7
    shop.configure("cpu", "auto", 10**9, 0)
    assert cache.files is None


def test_a_disk_that_takes_nothing_is_told_of_once(
    shops: Callable[..., Workshop], noise: Callable[..., Any], tiny_model_folder: Path,
    tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Trap 41."""
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    monkeypatch.setenv("SAMARI_CACHE", str(tmp_path / "file" / "cache"))
    labels = click_on_every_slice(noise(3, 40, 56), tiny_model_folder, shops())
    assert labels.any()
    (sentence,) = said
    assert sentence.startswith("Encoded images cannot be kept on the disk: ")
