"""Which room may import what: every import is read from the source, lazy ones too."""

from __future__ import annotations

import ast
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PACKAGE = Path(__file__).parents[1] / "src" / "samari"

# Room -> the rooms it may import. Those in OPEN are open to all.
ARROWS = {
    "sam": set(),
    "zoo": {"sam"},
    "engine": {"zoo", "sam"},
    "train": {"engine", "zoo", "sam"},
    "plugin": {"engine", "train"},
    "cli": {"sam", "zoo", "engine", "train", "plugin", "demo"},
    "demo": {"sam", "zoo", "engine", "train", "plugin"},
    "errors": set(),
    "terminal": set(),
    "": {"engine", "plugin", "cli"},
}
OPEN = {"errors", "terminal", ""}
NETWORK_MAY_IMPORT = {"torch", "numpy", "safetensors", "PIL"}
READS_WEIGHTS = {"huggingface_hub", "h5py"}
SCREEN = {"napari", "qtpy", "magicgui", "superqt", "vispy", "PyQt5", "PyQt6", "PySide2", "PySide6"}
# Distributions whose import name differs.
IMPORT_NAMES = {"scikit-image": "skimage", "Pillow": "PIL"}


@dataclass(frozen=True)
class Import:
    """One import statement: who, what, and whether it waits inside a function."""

    file: str
    line: int
    module: str
    lazy: bool
    typing_only: bool

    @property
    def root(self) -> str:
        return self.module.partition(".")[0]

    @property
    def importer(self) -> str:
        """The room of the importing file; the package's own ``__init__`` is the room ''."""
        return _room(self.file.removesuffix(".py").removesuffix("__init__").split("/"))

    @property
    def imported(self) -> str:
        """The room of an imported module of Samari."""
        return _room(self.module.split(".")[1:] or [""])

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {self.module}"


def _room(parts: list[str]) -> str:
    room = parts[0].partition("_")[0]  # "cli_segment" is a part of "cli"
    return room if room in ARROWS else ""


def _imports(path: Path) -> Iterator[Import]:
    file = path.relative_to(PACKAGE).as_posix()
    package = ["samari", *path.relative_to(PACKAGE).parts[:-1]]

    def walk(node: ast.AST, lazy: bool, typing_only: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            inside = lazy or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            typed = typing_only or (
                isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
            )
            names: list[str] = []
            if isinstance(child, ast.Import):
                names = [alias.name for alias in child.names]
            elif isinstance(child, ast.ImportFrom):
                base = package[: len(package) - child.level + 1] if child.level else []
                source = ".".join([*base, *([child.module] if child.module else [])])
                # "from samari import engine" imports the room, not the package.
                whole = source == "samari"
                names = [f"samari.{a.name}" for a in child.names] if whole else [source]
            for name in names:
                yield Import(file, child.lineno, name, inside, typed)
            yield from walk(child, inside, typed)

    yield from walk(ast.parse(path.read_text(encoding="utf-8")), False, False)


ALL = [found for path in sorted(PACKAGE.rglob("*.py")) for found in _imports(path)]


def test_every_arrow_between_rooms_is_allowed() -> None:
    inside = [found for found in ALL if found.root == "samari"]
    wrong = [
        str(found)
        for found in inside
        if found.imported not in {found.importer} | OPEN | ARROWS[found.importer]
    ]
    assert len(inside) > 50, "the walk found hardly any import; does it still read the package?"
    assert wrong == []


def test_the_network_needs_only_torch_numpy_safetensors_and_pillow() -> None:
    wrong = []
    for found in ALL:
        if found.importer != "sam" or found.root in {"samari", *sys.stdlib_module_names}:
            continue
        reader = found.file.startswith("sam/weights") and found.lazy and found.root in READS_WEIGHTS
        if found.root not in NETWORK_MAY_IMPORT and not reader:
            wrong.append(str(found))
    assert wrong == []


def test_only_the_plugin_and_the_demo_know_napari_and_qt() -> None:
    wrong = [str(i) for i in ALL if i.root in SCREEN and i.importer not in {"plugin", "demo"}]
    assert wrong == []


def test_no_file_names_a_qt_binding() -> None:
    bindings = {"PyQt5", "PyQt6", "PySide2", "PySide6"}
    assert [str(found) for found in ALL if found.root in bindings] == []


def test_base_code_imports_base_requirements_and_extras_are_lazy(
    requirements: Callable[[str | None], set[str]],
) -> None:
    base = {IMPORT_NAMES.get(name, name) for name in requirements(None)}
    optional = {"h5py", "zarr", "xxhash", "imagecodecs", "tensorflow", "dask", "psygnal"}
    optional.add("matplotlib")  # samari train curves
    wrong = []
    for found in ALL:
        known = found.root in base | {"samari"} or found.root in sys.stdlib_module_names
        if not known and not (found.root in optional and (found.lazy or found.typing_only)):
            wrong.append(str(found))
    assert wrong == []


@pytest.mark.parametrize("module", ["samari", "samari.cli", "samari.errors"])
def test_light_modules_load_neither_torch_nor_qt(module: str) -> None:
    code = f"import {module}, sys; print(*sorted(m.partition('.')[0] for m in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    loaded = set(done.stdout.split())
    assert "samari" in loaded
    assert loaded & (SCREEN | {"torch", "numpy", "skimage", "scipy"}) == set()


def test_the_engine_loads_no_screen_code() -> None:
    code = (
        "import samari.engine.session, samari.engine.export, samari.engine.images, sys;"
        "print(*sorted({m.partition('.')[0] for m in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert set(done.stdout.split()) & SCREEN == set()


def test_loading_a_model_loads_no_compiler(tiny_model_folder: Path) -> None:
    code = (
        "import sys; from samari.zoo import load; load(sys.argv[1]);"
        "print(*sorted({m.partition('.')[0] for m in sys.modules} & {'sympy', 'triton'}),"
        "*(m for m in sys.modules if m.startswith('torch._dynamo')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tiny_model_folder)], capture_output=True, text=True,
        check=True, timeout=120,
    )  # fmt: skip
    assert done.stdout.split() == []


def test_importing_samari_takes_less_than_a_tenth_of_a_second(
    figure: Callable[[str, float, str], None],
) -> None:
    # Time of the processor, which other programs on the machine do not change.
    code = "from time import process_time as t; a = t(); import samari; print(t() - a)"
    times = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
        for _ in range(5)
    ]
    figure("import samari", min(times), "s")
    assert min(times) < 0.1
