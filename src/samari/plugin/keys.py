"""The one table of shortcuts. Bindings, tooltips, the cheat sheet and the docs are made from it."""

from __future__ import annotations

from dataclasses import dataclass

#: Where a key is bound: on our own layers ("mask" is the brush's), on the labels layer, and, while
#: the dock is open, on the viewer, where every other binding goes first.
EVERYWHERE = frozenset({"points", "shapes", "mask", "labels", "viewer"})
LAYERS = EVERYWHERE - {"viewer"}


@dataclass(frozen=True)
class Key:
    """One shortcut.

    Attributes
    ----------
    action : str
        Name of the method of `Controller` that it calls.
    combo : str
        Key combination as napari writes it.
    label : str
        As a person writes it.
    text : str
        What it does, in a few words; the button's text or tooltip.
    where : frozenset of str
        Out of `EVERYWHERE`.
    """

    action: str
    combo: str
    label: str
    text: str
    where: frozenset[str] = EVERYWHERE


KEYS: tuple[Key, ...] = (
    Key("toggle_tool", "W", "W", "Click tool / box tool"),
    Key(
        "toggle_polarity",
        "T",
        "T",
        "Next click adds to / takes away from the object",
        frozenset({"points"}),
    ),
    Key("next_candidate", "Q", "Q", "Next candidate mask"),
    Key("previous_candidate", "Shift-Q", "Shift+Q", "Previous candidate mask"),
    Key("accept", "Enter", "Enter", "Accept: keep the mask as an object"),
    Key("discard", "Escape", "Esc", "Discard the pending prompts"),
    Key("undo", "Control-Z", "Ctrl+Z", "Undo", LAYERS),
    Key("redo", "Control-Shift-Z", "Ctrl+Shift+Z", "Redo", LAYERS),
    # B is napari's on labels (what is not painted over) and on shapes (which one lies behind).
    Key(
        "brush",
        "B",
        "B",
        "Edit the pending mask with the brush",
        EVERYWHERE - {"labels", "shapes"},
    ),
    Key(
        "propagate", "G", "G", "Propagate: follow the pending or selected objects through the stack"
    ),
    Key("reopen", "K", "K", "Reopen the object under the cursor; Enter replaces it"),
    Key("join", "J", "J", "Join the object under the cursor to the last one"),
    Key("delete", "U", "U", "Delete the object under the cursor"),
    Key("next_object", "N", "N", "Look at the next object, the lowest score first"),
    Key("show_keys", "H", "H", "Show this list of keys"),
)

#: Gestures of the mouse, for the cheat sheet.
GESTURES: tuple[tuple[str, str], ...] = (
    ("Click", "This belongs to the object"),
    ("Right-click, Ctrl+click", "This does not belong to the object"),
    ("Drag with the box tool", "Box around an object; a second box starts a second object"),
    ("Click on a row of the table", "Look at this object; keys mean it until the mouse moves"),
)


def key_of(action: str) -> Key:
    """Return the first key of an action.

    Raises
    ------
    KeyError
        If no key is bound to the action.
    """
    for key in KEYS:
        if key.action == action:
            return key
    raise KeyError(action)


def tooltip(action: str) -> str:
    """Return the tooltip of an action's button: what it does and its key."""
    key = key_of(action)
    return f"{key.text}  ({key.label})"


def cheat_sheet() -> str:
    """Return keys and gestures as an HTML table."""
    rows = [*GESTURES, *((key.label, key.text) for key in KEYS)]
    cells = "".join(
        f"<tr><td><b>{label}</b>&nbsp;&nbsp;</td><td>{text}</td></tr>" for label, text in rows
    )
    return f"<table cellspacing='4'>{cells}</table>"


def as_markdown() -> str:
    """Return keys and gestures as a Markdown table, for the documentation."""
    rows = [*GESTURES, *((f"`{key.label}`", key.text) for key in KEYS)]
    lines = ["| key or gesture | effect |", "|---|---|"]
    lines += [f"| {label} | {text} |" for label, text in rows]
    return "\n".join(lines) + "\n"
