"""Samari's page in napari's Preferences: stored, validated, and applied to what is open."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

import pytest
from npe2 import PluginManifest
from pydantic import ValidationError

from samari.plugin import settings
from samari.plugin.settings import PALETTES, Settings, SettingsWatch
from samari.plugin.workshop import Workshop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

read_stored = settings.stored


@pytest.fixture
def preferences(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, npe2pm: Any) -> Iterator[Any]:
    """Give napari's settings of this plugin, in a file of their own."""
    from napari import settings as of_napari

    npe2pm.register(PluginManifest.from_distribution("samari"))
    of_napari._clear_plugin_settings_cache()
    monkeypatch.setattr(of_napari, "_CFG_PATH", str(tmp_path / "settings.yaml"))
    monkeypatch.setattr(settings, "stored", read_stored)
    yield read_stored()
    of_napari._clear_plugin_settings_cache()


def test_the_defaults_are_those_of_the_manifest(preferences: Any) -> None:
    assert settings.current() == Settings()
    declared = {**type(preferences.annotation).model_fields, **type(preferences.model).model_fields}
    assert set(declared) == {field.name for field in fields(Settings)}
    assert {name: field.default for name, field in declared.items()} == asdict(Settings())


def test_what_is_chosen_is_stored_and_read_again(preferences: Any) -> None:
    preferences.model.device = "cpu"
    preferences.annotation.autosave = False
    assert settings.current() == Settings(device="cpu", autosave=False)
    assert "device: cpu" in preferences.config_path.read_text()


@pytest.mark.parametrize(
    ("group", "name", "value"),
    [
        ("model", "device", "abacus"),
        ("model", "precision", "float8"),
        ("model", "cache_gb", -1.0),
        ("model", "cache_gb", 1000.0),
        ("model", "disk_gb", -1.0),
        ("annotation", "colors", "plaid"),
        ("annotation", "hover", "perhaps"),
    ],
)
def test_what_is_no_setting_is_refused(preferences: Any, group: str, name: str, value: Any) -> None:
    with pytest.raises(ValidationError):
        setattr(getattr(preferences, group), name, value)
    assert settings.current() == Settings()


def test_the_watch_tells_of_changes_until_it_is_closed(preferences: Any, qapp: Any) -> None:
    watch, told = SettingsWatch(), []
    watch.changed.connect(lambda before, after: told.append((before, after)))
    preferences.model.cache_gb = 2.5
    assert told == [(Settings(), Settings(cache_gb=2.5))]
    assert watch.value.cache_bytes == 2_500_000_000
    assert watch.value.disk_bytes == 2_000_000_000
    watch.close()
    preferences.model.cache_gb = 3.0
    assert len(told) == 1


def test_without_napari_knowing_the_plugin_there_are_the_defaults() -> None:
    assert settings.stored() is None
    assert settings.current() == Settings()
    settings.remember("annotation", "hover", False)


def test_every_palette_of_the_manifest_is_there(preferences: Any) -> None:
    schema = type(preferences.annotation).model_json_schema()
    assert schema["properties"]["colors"]["enum"] == list(PALETTES)


def test_another_device_or_precision_asks_for_the_models_again(qapp: Any) -> None:
    shop = Workshop()
    try:
        first = shop.segmenter("samari-tiny")
        assert not shop.configure("auto", "auto", 10**9)
        assert shop.segmenter("samari-tiny") is first
        assert shop.configure("cpu", "bfloat16", 10**8)
        second = shop.segmenter("samari-tiny")
        assert second is not first
        assert second._arguments[1:3] == ("cpu", "bfloat16")
        assert shop._cache._held.max_bytes == 10**8
    finally:
        shop.close()
        shop.inference.join(30)
        shop.files.join(30)


def test_colors_are_applied_to_what_is_there_and_what_comes(
    annotated: Callable[..., Any], noise: Callable[..., Any]
) -> None:
    from napari.utils.colormaps.standardize_color import transform_color

    c = annotated(noise(40, 40))
    c.points.add([10, 10])
    palette = PALETTES["blue and orange"]
    c.set_palette(palette)
    c.toggle_polarity()
    c.points.add([12, 12])
    wanted = [transform_color(color)[0] for color in palette]
    assert (c.points.face_color == [wanted[0], wanted[1]]).all()
    c.undo()
    c.undo()
    c.redo()
    assert (c.points.face_color == [wanted[0]]).all()
    c.shapes.add([[5, 5], [5, 20], [20, 20], [20, 5]], shape_type="rectangle")
    c.undo()
    c.redo()
    assert (c.shapes.edge_color == [wanted[2]]).all()
    c.viewer.layers.remove(c.points)
    c.set_tool("points")
    c.points.add([20, 20])
    assert c.points.face_color_cycle is not None
    assert any((c.points.face_color[0] == color).all() for color in wanted[:2])


def test_the_dock_follows_preferences_and_remembers_the_preview(
    preferences: Any, docked: Any, noise: Any
) -> None:
    _, _, dock = docked(noise(40, 40))
    assert dock.controller.hover
    preferences.annotation.hover = False
    assert not dock.ui.hover.isChecked()
    assert not dock.controller.hover
    dock.ui.hover.click()
    assert preferences.annotation.hover
    assert dock.controller.hover
    preferences.annotation.colors = "white and black"
    dock.controller.points.add([10, 10])
    assert tuple(dock.controller.points.face_color[0]) == (1, 1, 1, 1)
    assert dock._workshop._cache.files.max_bytes == 2_000_000_000
    preferences.model.disk_gb = 0.0
    assert dock._workshop._cache.files is None
    asked = []
    dock.controller.set_model = asked.append
    preferences.model.device = "cpu"
    assert asked == ["samari-tiny"]
