from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from napari.layers import Labels, Points, Shapes
from napari.utils.key_bindings import coerce_keybinding

from samari.plugin.controller import Controller
from samari.plugin.keys import EVERYWHERE, KEYS, as_markdown, cheat_sheet, key_of, tooltip

if TYPE_CHECKING:
    from collections.abc import Callable

    Annotated = Callable[..., Any]
    Noise = Callable[..., Any]


def test_every_key_calls_an_action_of_the_controller() -> None:
    for key in KEYS:
        assert callable(getattr(Controller, key.action)), key
        assert key.where <= EVERYWHERE


def test_no_key_is_in_the_table_twice() -> None:
    combos = [coerce_keybinding(key.combo) for key in KEYS]
    assert len(set(combos)) == len(combos)


def test_cheat_sheet_docs_and_tooltips_name_every_key() -> None:
    for key in KEYS:
        assert f"<b>{key.label}</b>" in cheat_sheet()
        assert f"| `{key.label}` | {key.text} |" in as_markdown()
        assert key_of(key.action).label in tooltip(key.action)


def test_an_action_without_a_key_is_an_error() -> None:
    with pytest.raises(KeyError, match="fly"):
        key_of("fly")


def test_keys_are_bound_where_the_table_says(annotated: Annotated, noise: Noise) -> None:
    c = annotated(noise(30, 30))
    c.points.add([15, 15])
    assert c.wait()
    c.brush()
    owners = {
        "points": c.points, "shapes": c.shapes, "labels": c.labels_layer, "viewer": c.viewer,
        "mask": c.viewer.layers["cells mask"],
    }  # fmt: skip
    for place, owner in owners.items():
        bound = set(owner.keymap)
        wanted = {coerce_keybinding(key.combo) for key in KEYS if place in key.where}
        assert bound == wanted, place


@pytest.mark.parametrize(
    ("place", "layer"), [("points", Points), ("shapes", Shapes), ("labels", Labels)]
)
def test_the_letters_are_free_on_every_layer_of_napari(
    place: str, layer: Any, make_napari_viewer: Any
) -> None:
    """Trap 35: no shortcut of napari's layers is taken away, except T on points."""
    make_napari_viewer()  # napari binds its shortcuts with its first window
    letters = {key.combo for key in KEYS if len(key.combo) == 1 and place in key.where} - {"T"}
    assert letters
    taken = {str(key) for key in layer.class_keymap}
    assert len(taken) > 5
    assert not letters & taken


def test_enter_and_escape_end_a_polygon_of_the_shapes_layer(
    annotated: Annotated, noise: Noise
) -> None:
    """Trap 35: while a drawing is under way these keys are napari's."""
    c = annotated(noise(30, 30))
    enter = coerce_keybinding("Enter")
    c.set_tool("shapes")
    assert enter in c.shapes.keymap
    c.shapes.events.data(value=c.shapes.data, action="adding", data_indices=(-1,))
    assert enter not in c.shapes.keymap
    c.shapes.add([[5, 5], [5, 20], [20, 20]], shape_type="polygon")
    assert enter in c.shapes.keymap


def test_enter_and_escape_end_a_polygon_or_stroke_of_the_labels_layer(
    annotated: Annotated, noise: Noise
) -> None:
    """Trap 35."""
    c = annotated(noise(30, 30))
    enter, escape = coerce_keybinding("Enter"), coerce_keybinding("Escape")
    for mode, bound in (
        ("polygon", set()),
        ("paint", {enter}),
        ("pan_zoom", {enter, escape}),
        ("erase", {enter}),
    ):
        c.labels_layer.mode = mode
        assert {enter, escape} & set(c.labels_layer.keymap) == bound, mode
