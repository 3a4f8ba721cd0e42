"""Reader, writer, samples and manifest, as napari uses them."""

from __future__ import annotations

import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from napari.layers import Layer
from npe2 import PluginManifest

from samari.plugin import reader, sample_data
from samari.plugin.writer import write_labels

if TYPE_CHECKING:
    from collections.abc import Callable

MANIFEST = Path(reader.__file__).parents[1] / "napari.yaml"


def test_a_saved_file_reopens_as_labels_that_lie_on_the_image(
    annotated: Callable[..., Any], noise: Callable[..., Any], tmp_path: Path
) -> None:
    c = annotated(
        noise(6, 30, 40), scale=(2, 0.5, 0.5), translate=(3, -4, 5), units=("micrometer",) * 3
    )
    c.viewer.dims.point = c.image.data_to_world((2, 0, 0))
    c.points.add([2, 12, 20])
    assert c.wait()
    c.accept()
    path = tmp_path / "cells.ome.tif"
    c.save(path)
    read = reader.get_reader(str(path))
    assert read is not None
    ((data, meta, kind),) = read(str(path))
    layer = Layer.create(data, meta, kind)
    assert kind == "labels"
    assert layer.name == "cells"
    np.testing.assert_array_equal(layer.data, c.labels_layer.data)
    np.testing.assert_allclose(layer.scale, c.image.scale)
    np.testing.assert_allclose(layer.translate, c.image.translate)
    assert layer.units == c.image.units
    assert layer.axis_labels == ("z", "y", "x")
    again = annotated(noise(6, 30, 40), labels=layer)
    assert again.session.labels.max() == 1


def test_the_dock_saves_in_the_background_what_is_there_now(
    annotated: Callable[..., Any], noise: Callable[..., Any], tmp_path: Path, workshop: Any
) -> None:
    c = annotated(noise(30, 30))
    c.points.add([15, 15])
    assert c.wait()
    c.accept()
    c.save_in_background(tmp_path / "a.ome.tif")
    c.undo()
    assert workshop.files.wait(30)
    assert "a.ome.tif" in c.status
    assert tifffile.imread(tmp_path / "a.ome.tif")[15, 15] == 1


def test_a_folder_that_does_not_exist_is_told_and_nothing_is_lost(
    annotated: Callable[..., Any], noise: Callable[..., Any], tmp_path: Path, workshop: Any,
    said: list[str],
) -> None:  # fmt: skip
    c = annotated(noise(30, 30))
    c.save_in_background(tmp_path / "nowhere" / "a.ome.tif")
    assert workshop.files.wait(30)
    assert len(said) == 1
    assert "nowhere" in said[0]


def test_napari_asks_nobody_about_an_ordinary_tiff() -> None:
    (offered,) = PluginManifest.from_file(MANIFEST).contributions.readers
    for name, ours in {
        "stack.tif": False, "a.tiff": False, "a.png": False,
        "cells.ome.tif": True, "coins labels.ome.tif": True, "x_labels.tif": True,
    }.items():  # fmt: skip
        assert any(fnmatch(name, pattern) for pattern in offered.filename_patterns) == ours, name


def test_other_labels_and_ome_images_open_at_their_voxel_size(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 999, (2, 3, 8, 9)).astype(np.uint16)
    path = tmp_path / "cells.ome.tif"
    tifffile.imwrite(
        path, image, ome=True, metadata={
            "axes": "CZYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5, "PhysicalSizeZ": 2.0,
            "PhysicalSizeXUnit": "µm", "PhysicalSizeYUnit": "µm", "PhysicalSizeZUnit": "µm",
        }, photometric="minisblack",
    )  # fmt: skip
    ((data, meta, kind),) = reader.read(str(path))
    layer = Layer.create(data, meta, kind)
    assert kind == "image"
    assert layer.name == "cells"
    assert layer.axis_labels == ("c", "z", "y", "x")
    np.testing.assert_allclose(layer.scale, (1, 2, 0.5, 0.5))
    assert str(layer.units[1]) == "micrometer"
    np.testing.assert_array_equal(np.asarray(layer.data), image)
    labels = tmp_path / "other_labels.tif"
    tifffile.imwrite(labels, np.eye(5, dtype=np.uint8))
    ((data, _, kind),) = reader.read(str(labels))
    assert kind == "labels"
    np.testing.assert_array_equal(data, np.eye(5))
    tifffile.imwrite(labels, np.full((5, 5), 0.5, np.float32))
    assert reader.read(str(labels))[0][2] == "image"


def test_missing_files_and_folders_are_left_to_napari(tmp_path: Path) -> None:
    assert reader.get_reader(str(tmp_path / "missing.tif")) is None
    assert reader.get_reader(str(tmp_path)) is None
    assert reader.get_reader([]) is None


@pytest.mark.parametrize(
    ("shape", "meta", "axes"),
    [
        ((5, 6), {}, "YX"),
        ((3, 5, 6), {"scale": (2, 1, 1), "units": ["micrometer"] * 3}, "ZYX"),
        ((3, 5, 6), {"axis_labels": ("t", "y", "x")}, "TYX"),
        ((2, 1, 3, 5, 6), {"axis_labels": ("a", "b", "c", "d", "e")}, "TCZYX"),
    ],
)
def test_napari_saves_any_labels_layer_with_its_axes(
    tmp_path: Path, shape: tuple[int, ...], meta: dict[str, Any], axes: str
) -> None:
    path = str(tmp_path / "labels.ome.tif")
    data = np.arange(np.prod(shape)).reshape(shape)
    assert write_labels(path, data, {"name": "a", **meta}) == [path]
    read = reader.get_reader(path)
    assert read is not None
    ((labels, found, _),) = read(path)
    np.testing.assert_array_equal(labels, data)
    assert "".join(found["axis_labels"]).upper() == axes
    if "scale" in meta:
        np.testing.assert_allclose(found["scale"], meta["scale"])


def test_every_sample_opens_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("a sample wanted the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    manifest = PluginManifest.from_file(MANIFEST)
    names = {command.id: command.python_name for command in manifest.contributions.commands}
    viewer = ViewerModel()
    for sample in manifest.contributions.sample_data:
        function = str(names[sample.command]).rpartition(":")[2]
        for data, meta, kind in getattr(sample_data, function)():
            viewer.add_layer(Layer.create(data, meta, kind))
    assert len(viewer.layers) == 5
    assert [layer.rgb for layer in viewer.layers if layer.name == "ihc"] == [True]


def test_the_generated_stack_is_the_same_every_time_and_its_truth_fits() -> None:
    image, labels = sample_data.nuclei_stack()
    again, _ = sample_data.nuclei_stack()
    np.testing.assert_array_equal(image, again)
    assert image.shape == labels.shape
    assert image.dtype == labels.dtype == np.uint16
    assert labels.max() > 20
    assert (np.unique(labels) == np.arange(labels.max() + 1)).all()
    assert image[labels > 0].mean() > 2 * image[labels == 0].mean()


def test_the_manifest_is_valid_and_everything_it_names_can_be_imported() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "npe2", "validate", "--imports", str(MANIFEST)],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "valid" in done.stdout


def test_the_manifest_offers_what_the_issue_asks() -> None:
    offered = PluginManifest.from_file(MANIFEST).contributions
    assert [widget.display_name for widget in offered.widgets] == ["Samari"]
    assert "napari/layers/segment" in offered.menus
    assert len(offered.sample_data) == 4
    assert len(offered.readers) == len(offered.writers) == 1
