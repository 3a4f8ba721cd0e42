"""The copy of a zarr array that is saved: of the array only, whatever changes meanwhile."""

from __future__ import annotations

import shutil
import tempfile
from typing import TYPE_CHECKING

import numpy as np
import pytest

from samari.engine.new_labels import copy_of

if TYPE_CHECKING:
    from pathlib import Path

zarr = pytest.importorskip("zarr")


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for temporary files, empty."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_of_a_group_only_the_array_is_copied(tmp_path: Path, temporary: Path) -> None:
    group = zarr.open_group(tmp_path / "image.zarr", mode="w")
    group.create_array("0", data=np.full((8, 8), 7, np.uint16))
    group.create_array("labels/0", data=np.eye(8, dtype=np.uint32), chunks=(4, 4))
    copy = copy_of(group["labels/0"])
    np.testing.assert_array_equal(copy[...], np.eye(8))
    (folder,) = temporary.iterdir()
    names = {path.relative_to(folder).parts[0] for path in folder.rglob("*")}
    assert names == {"zarr.json", "c"}
    del copy


def test_a_chunk_that_becomes_background_meanwhile_fails_nothing(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = zarr.create_array(
        store=tmp_path / "labels.zarr", data=np.ones((8, 8), np.uint32), chunks=(4, 4)
    )
    copyfile = shutil.copyfile

    def late(source: str, target: str, **options: bool) -> str:
        labels[:4, :4] = 0
        return copyfile(source, target, **options)

    monkeypatch.setattr(shutil, "copyfile", late)
    copy = copy_of(labels)
    np.testing.assert_array_equal(copy[...], labels[...])


def test_a_copy_that_fails_leaves_nothing_behind(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = zarr.create_array(
        store=tmp_path / "labels.zarr", data=np.ones((8, 8), np.uint32), chunks=(4, 4)
    )

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(OSError, match="No space left"):
        copy_of(labels)
    assert not list(temporary.iterdir())
