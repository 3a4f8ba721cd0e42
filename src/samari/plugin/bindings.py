"""Binds the table of keys to our layers and, while a dock is open, to the viewer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.utils.key_bindings import coerce_keybinding

from samari.plugin.keys import KEYS, Key

if TYPE_CHECKING:
    from collections.abc import Callable

#: Modes of a labels layer in which Enter or Escape belong to what is being drawn; on the layer of
#: the brush, Escape ends painting.
_DRAWING: dict[str, dict[str, tuple[str, ...]]] = {
    "labels": {"polygon": ("Enter", "Escape"), "paint": ("Escape",), "erase": ("Escape",)},
    "mask": {"polygon": ("Enter", "Escape")},
}


class Binding:
    """One key on one layer or viewer, put there and taken away without touching anybody's."""

    def __init__(self, owner: Any, key: Key, action: Callable[[], object]) -> None:
        self._owner = owner
        self._combo = key.combo
        self._action = action
        self._bound = False

    def bind(self) -> bool:
        """Bind the key; False if somebody else has it."""
        if self._bound:
            return True
        if coerce_keybinding(self._combo) in self._owner.keymap:
            return False
        self._owner.bind_key(self._combo, self._press)
        self._bound = True
        return True

    def unbind(self) -> None:
        """Take the key away, if it is still ours."""
        if not self._bound:
            return
        self._bound = False
        if self._owner.keymap.get(coerce_keybinding(self._combo)) == self._press:
            self._owner.bind_key(self._combo, None)

    def _press(self, _owner: Any = None) -> None:
        self._action()


class Bindings:
    """All keys of one controller.

    Parameters
    ----------
    actions : object
        Has a method for every `Key.action`.
    """

    def __init__(self, actions: Any) -> None:
        self._actions = actions
        self._bindings: dict[tuple[int, str], Binding] = {}
        self._owners: list[tuple[Any, Any, Any]] = []

    def bind(self, owner: Any, place: str) -> list[Key]:
        """Bind the keys of a place (see `Key.where`) to its owner, once.

        Returns
        -------
        list of Key
            Those that somebody else has there.
        """
        taken = []
        for key in KEYS:
            if place not in key.where:
                continue
            if (id(owner), key.combo) in self._bindings:
                continue
            binding = Binding(owner, key, getattr(self._actions, key.action))
            if binding.bind():
                self._bindings[id(owner), key.combo] = binding
            else:
                taken.append(key)
        if any(known is owner for known, _, _ in self._owners):
            return taken
        if place == "shapes":
            owner.events.data.connect(self._on_shapes)
            self._owners.append((owner, owner.events.data, self._on_shapes))
        elif place in _DRAWING:
            follow = self._on_label_mode if place == "labels" else self._on_mask_mode
            owner.events.mode.connect(follow)
            self._owners.append((owner, owner.events.mode, follow))
            self._free_for(owner, str(owner.mode), place)
        return taken

    def unbind(self, owner: Any) -> None:
        """Take the keys and callbacks of one owner away."""
        for known, emitter, callback in [row for row in self._owners if row[0] is owner]:
            emitter.disconnect(callback)
            self._owners.remove((known, emitter, callback))
        for name in [name for name in self._bindings if name[0] == id(owner)]:
            self._bindings.pop(name).unbind()

    def unbind_all(self) -> None:
        """Take all keys and callbacks away."""
        for _, emitter, callback in self._owners:
            emitter.disconnect(callback)
        self._owners.clear()
        for binding in self._bindings.values():
            binding.unbind()
        self._bindings.clear()

    def _on_shapes(self, event: Any) -> None:
        """While a polygon is being drawn, Enter and Escape end the drawing: they are napari's."""
        action = str(event.action).rpartition(".")[2].lower()
        for combo in ("Enter", "Escape"):
            binding = self._bindings.get((id(event.source), combo))
            if binding is None:
                continue
            if action == "adding":
                binding.unbind()
            elif action in ("added", "removed"):
                binding.bind()

    def _on_label_mode(self, event: Any) -> None:
        self._free_for(event.source, str(event.mode), "labels")

    def _on_mask_mode(self, event: Any) -> None:
        self._free_for(event.source, str(event.mode), "mask")

    def _free_for(self, layer: Any, mode: str, place: str) -> None:
        """Leave to a labels layer the keys with which it ends a drawing in this mode."""
        for combo in ("Enter", "Escape"):
            binding = self._bindings.get((id(layer), combo))
            if binding is None:
                continue
            if combo in _DRAWING[place].get(mode.lower(), ()):
                binding.unbind()
            else:
                binding.bind()
