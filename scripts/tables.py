#!/usr/bin/env python
"""Write the tables of the documentation from what they document: keys, models, traps and tests.

The reference of the public names too (`api_reference.py`). Run it after changing one of them:
``python scripts/tables.py``. The tests compare.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# What was seen in comparable tools, by its number. Those that this version answers for.
TRAPS = {
    1: "pixels beyond the contrast limits saturate, they do not wrap",
    2: "constant planes, NaN and infinity, every dtype, RGBA, one pixel, an empty image",
    3: "one normalisation for the whole stack",
    4: "which contrast limits, channel and crop were used is kept with the object",
    5: "layers with scale, translate, rotate, shear or affine; prompt layers moved by the user",
    6: "transforms are the same before and after",
    7: "no stale result after data were changed, renamed or replaced",
    8: "sub-pixel clicks are symmetric; boxes thinner than a pixel",
    9: "a point on one slice has no effect on another",
    10: "time and channel axes; arrays with a short axis are not mistaken for RGB",
    11: "rolled and transposed dimensions; XZ and YZ views",
    12: "a layer that starts elsewhere in world space",
    13: "clicks outside the image, in 3D display, on a hidden layer",
    14: "multiscale layers: a click is a position of the full resolution",
    15: "the second object is the same with or without the first",
    16: "the best mask is the one with the highest score",
    17: "every score belongs to its mask",
    18: "automatic segmentation with 0, 1 and many masks",
    19: "two images of different size in turn",
    20: "planes that are not square, one pixel wide, very large, very small",
    21: "as many ids as objects",
    22: "only the object's own pixels change",
    23: "the 256th and the 65,536th object",
    24: "zarr, dask, memory-mapped and read-only labels",
    25: "the cost of a write is that of the object's bounding box",
    26: "rings, two-part and touching objects survive every export",
    27: "nothing but the user clears or overwrites labels",
    28: "two objects on different planes are both there",
    29: "sixty clicks in three seconds: none is lost, and the window does not freeze",
    30: "deleting, switching, closing during encode and decode",
    31: "cancel while encoding or propagating, then go on",
    32: "opening and closing the dock five times leaves nothing behind",
    33: "two viewers at once",
    34: "undo brings back labels, prompts and logits",
    35: "keys and callbacks of napari and of other plugins still work",
    36: "no quit, no patching, no process-wide settings",
    37: "downloads: temporary name, hash, rename; a broken one is fetched again",
    38: "no network access when the weights are there",
    39: "a pickle with code in it is refused",
    40: "a damaged or foreign weights file is a clear error that names the tensor",
    41: "full disk, read-only folder, foreign and long paths, drive letters",
    42: "decimal commas",
    43: "kill -9 at any moment: all that was accepted or painted comes back",
    44: "saving over a file is atomic",
}


def keys_table() -> str:
    """Return the keys and gestures of the plugin."""
    from samari.plugin.keys import as_markdown

    return as_markdown()


def models_table() -> str:
    """Return the models that Samari knows by name."""
    from samari.zoo import MODELS

    lines = ["| model | good for | size | licence |", "|---|---|---|---|"]
    for model in MODELS.values():
        size = f"{model.size_bytes / 1e6:,.0f} MB"
        where = "bundled" if model.source == "bundled" else size
        lines.append(f"| `{model.name}` | {model.good_for} | {where} | {model.licence} |")
    return "\n".join(lines) + "\n"


def trap_tests() -> dict[int, list[str]]:
    """Return the tests that name a trap in their docstring, as ``file::test``, by trap."""
    found: dict[int, list[str]] = {number: [] for number in TRAPS}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                for number in _traps_named(ast.get_docstring(node) or ""):
                    if number in found:
                        file = path.relative_to(ROOT).as_posix()
                        found[number].append(f"{file}::{node.name}")
    return found


def _traps_named(text: str) -> set[int]:
    """Read the numbers of "Trap 5", "traps 8 and 11", "Traps 1, 2 and 5"."""
    listed = re.findall(r"[Tt]raps? +(\d+(?:(?:, *| and | to )\d+)*)", text)
    return {int(number) for numbers in listed for number in re.findall(r"\d+", numbers)}


def traps_page() -> str:
    """Return docs/design/traps.md."""
    lines = [
        "# Traps and their tests",
        "",
        "Each of these was seen in a comparable tool. Each is a test here, which names its trap in "
        "its docstring; this table is made from them by `scripts/tables.py`. Numbers that are "
        "missing belong to functions that come later.",
        "",
        "| trap | what | tests |",
        "|---|---|---|",
    ]
    for number, tests in trap_tests().items():
        listed = "<br>".join(f"`{test}`" for test in tests)
        lines.append(f"| {number} | {TRAPS[number]} | {listed} |")
    return "\n".join(lines) + "\n"


def between(text: str, name: str, table: str) -> str:
    """Put a table between the markers of its name."""
    pattern = rf"(<!-- {name}: [^\n]*-->\n)(.*?)(<!-- end of {name} -->)"
    if not re.search(pattern, text, re.DOTALL):
        raise ValueError(f"there is no place for the table {name!r}")
    return re.sub(pattern, lambda found: found[1] + table + found[3], text, flags=re.DOTALL)


def main() -> None:
    """Write all tables."""
    readme = ROOT / "README.md"
    text = between(readme.read_text(encoding="utf-8"), "keys", keys_table())
    readme.write_text(between(text, "models", models_table()), encoding="utf-8")
    (ROOT / "docs" / "design" / "traps.md").write_text(traps_page(), encoding="utf-8")
    # Beside this file; only here, as the tests load this module from elsewhere.
    import api_reference

    api_reference.main()


if __name__ == "__main__":
    main()
