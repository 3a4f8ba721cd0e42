#!/usr/bin/env python
"""Write docs/api.md, the reference of the public names, from their docstrings.

Run it after changing a docstring or a signature: ``python scripts/api_reference.py``. The tests
compare. A page made from the code by the standard library needs no documentation tool.
"""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "api.md"

#: Module, heading, and the names that it has for others (None: its ``__all__``).
MODULES: tuple[tuple[str, str, tuple[str, ...] | None], ...] = (
    ("samari", "Annotation", ("Segmenter", "Session", "annotate")),
    ("samari.engine.prediction", "Results", ("Prediction",)),
    ("samari.sam", "The network", None),
    ("samari.sam.tf", "The network for TensorFlow", ("TFSamModel",)),
    ("samari.sam.weights", "Weight files", None),
    ("samari.zoo", "The models", None),
    ("samari.errors", "Errors", None),
)

_SECTION = re.compile(r"^(?P<title>[A-Z][A-Za-z ]+)\n-{3,}$", re.MULTILINE)


def signature(value: Any) -> str:
    """Return the arguments of a function or a class, without annotations of what is returned."""
    try:
        found = inspect.signature(value)
    except (TypeError, ValueError):
        return ""
    parameters = [
        p.replace(annotation=p.empty) for p in found.parameters.values() if p.name not in _BOUND
    ]
    text = str(found.replace(parameters=parameters, return_annotation=found.empty))
    # Defaults that are objects show their address.
    return re.sub(r"<([^<>]*?) (?:object )?at 0x[0-9a-f]+>", r"<\1>", text)


_BOUND = ("self", "cls")


def docstring(value: Any) -> str:
    """Return a docstring with its numpydoc sections as bold lines and its entries as a list."""
    text = inspect.getdoc(value) or ""
    lines = _SECTION.sub(lambda found: f"**{found['title']}**\n", text).splitlines()
    out: list[str] = []
    section = fenced = False
    for line in lines:
        if line.startswith("**") and line.endswith("**"):
            section = True
            fenced = _close(out, fenced)
            out += [line, ""]
        elif line.startswith(">>>") or (fenced and line.strip()):
            if not fenced:
                out.append("```pycon")
            fenced = True
            out.append(line)
        elif section and line.startswith("    "):
            fenced = _close(out, fenced)
            out.append("  " + line.strip())
        elif section and re.match(r"[\w*`(]", line) and not line.endswith("."):
            out.append("- `" + line.replace("`", "") + "`  ")
        else:
            fenced = _close(out, fenced)
            out.append(line)
    _close(out, fenced)
    text = re.sub(r"(?<!`)``([^`\n]+)``(?!`)", r"`\1`", "\n".join(out))
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def _close(out: list[str], fenced: bool) -> bool:
    """End an example where one is open; return that none is."""
    if fenced:
        out.append("```")
    return False


def members(kind: type) -> Iterator[tuple[str, Any]]:
    """Yield the public methods and properties that a class or its bases in Samari define."""
    seen: set[str] = set()
    for base in kind.__mro__:
        if not base.__module__.startswith("samari"):
            continue
        for name, raw in vars(base).items():
            if name.startswith("_") or name in seen:
                continue
            seen.add(name)
            value = raw.__func__ if isinstance(raw, classmethod | staticmethod) else raw
            if inspect.isfunction(value) or isinstance(value, property):
                yield name, value


def entry(name: str, value: Any) -> Iterator[str]:
    """Yield the blocks of a public name."""
    if not (inspect.isclass(value) or inspect.isroutine(value)):
        yield f"### `{name}`"
        if isinstance(value, dict):
            yield f"A mapping with the keys {', '.join(f'`{key}`' for key in value)}."
        return
    yield f"### `{name}{signature(value)}`"
    yield docstring(value)
    if not inspect.isclass(value) or issubclass(value, Exception):
        return
    for method, member in members(value):
        if isinstance(member, property):
            yield f"#### `{name}.{method}`"
        else:
            yield f"#### `{name}.{method}{signature(member)}`"
        yield docstring(member)


def page() -> str:
    """Return docs/api.md."""
    blocks = [
        "# Reference",
        "The public names, from their docstrings (`scripts/api_reference.py` writes this page). "
        "Coordinates are (..., y, x) everywhere but in `samari.sam`, which speaks (x, y) as its "
        "reference does.",
    ]
    for module_name, heading, names in MODULES:
        module = importlib.import_module(module_name)
        blocks += [f"## {heading}: `{module_name}`", docstring(module)]
        for name in names or module.__all__:
            blocks += entry(name, getattr(module, name))
    text = "\n\n".join(block for block in blocks if block)
    return "\n".join(line.rstrip() if line.strip() else "" for line in text.splitlines()) + "\n"


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
