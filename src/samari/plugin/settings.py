"""Samari's page in napari's Preferences, as values; the page itself is declared in the manifest."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from napari.settings import get_plugin_settings
from qtpy.QtCore import QObject, Signal

_PLUGIN = "samari"

#: Positive and negative points, boxes. All are told apart by red-green blind eyes.
PALETTES: dict[str, tuple[str, str, str]] = {
    "green and pink": ("#35d07f", "#f0468c", "#ffd23f"),
    "blue and orange": ("#3b9dff", "#ff8c1a", "#ffe45e"),
    "white and black": ("#ffffff", "#111111", "#ffd23f"),
}


@dataclass(frozen=True)
class Settings:
    """What a user chose in Preferences; the defaults are those of the manifest.

    Attributes
    ----------
    hover : bool
        Whether the outline of what a click would select follows the mouse.
    autosave : bool
        Whether every accepted object is written to the journal on disk at once.
    colors : str
        A name of `PALETTES`.
    device : str
        "auto", "cpu", "cuda" or "mps".
    precision : str
        "auto", "float32", "bfloat16" or "float16".
    cache_gb : float
        Limit of the encoded planes in memory, in GB (10^9 bytes).
    disk_gb : float
        The same on disk; 0 writes nothing.
    prefetch : bool
        Whether neighbours of the plane on screen are encoded while nothing else is to be done.
    """

    hover: bool = True
    autosave: bool = True
    colors: str = "green and pink"
    device: str = "auto"
    precision: str = "auto"
    cache_gb: float = 1.0
    disk_gb: float = 2.0
    prefetch: bool = True

    @property
    def palette(self) -> tuple[str, str, str]:
        """Colors of positive and negative points, and of boxes."""
        return PALETTES.get(self.colors, PALETTES["green and pink"])

    @property
    def cache_bytes(self) -> int:
        """Limit of the encoded planes in memory, in bytes."""
        return int(self.cache_gb * 1e9)

    @property
    def disk_bytes(self) -> int:
        """Limit of the encoded planes on disk, in bytes."""
        return int(self.disk_gb * 1e9)


def stored() -> Any:
    """Return napari's settings of this plugin, None if napari does not know the plugin."""
    try:
        return get_plugin_settings(_PLUGIN)
    except KeyError:
        return None


def current() -> Settings:
    """Return what is chosen in Preferences; the defaults if napari does not know the plugin."""
    return _read(stored())


class SettingsWatch(QObject):
    """Tells when the user chooses something else in Preferences.

    Attributes
    ----------
    value : Settings
    changed : Signal(object, object)
        Emitted with the settings before and after.
    """

    changed = Signal(object, object)

    def __init__(self) -> None:
        super().__init__()
        self._stored = stored()
        self.value = _read(self._stored)
        self._emitters: list[Any] = []
        if self._stored is not None:
            self._emitters.append(self._stored.events.changed)
        for emitter in self._emitters:
            emitter.connect(self._on_change)

    def close(self) -> None:
        """Stop telling."""
        for emitter in self._emitters:
            emitter.disconnect(self._on_change)
        self._emitters.clear()

    def _on_change(self, event: Any = None) -> None:
        before, self.value = self.value, _read(self._stored)
        if self.value != before:
            self.changed.emit(before, self.value)


def _read(stored: Any) -> Settings:
    if stored is None:
        return Settings()
    groups = [stored.annotation, stored.model]
    return Settings(
        **{
            field.name: next(
                getattr(group, field.name) for group in groups if hasattr(group, field.name)
            )
            for field in fields(Settings)
        }
    )


def remember(group: str, name: str, value: Any) -> None:
    """Store a setting that was changed in the dock, so that the next session begins with it."""
    store = stored()
    if store is not None and getattr(getattr(store, group), name) != value:
        setattr(getattr(store, group), name, value)
