"""The built wheel, installed where the repository is not, and the budget of its requirements."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[1]
NAMED_BY_THE_PLAN = {
    "torch", "napari", "magicgui", "numpy", "scikit-image", "safetensors", "npe2",
}  # fmt: skip


def _run(*words: str | Path, cwd: Path) -> str:
    done = subprocess.run(
        [str(word) for word in words], cwd=cwd, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Build wheel and sdist with the build backend of this environment."""
    folder = tmp_path_factory.mktemp("dist")
    _run(sys.executable, "-m", "hatchling", "build", "-d", folder, cwd=ROOT)
    return {"wheel": next(folder.glob("*.whl")), "sdist": next(folder.glob("*.tar.gz"))}


@pytest.fixture(scope="module")
def fresh_python(built: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the Python of a new environment: the wheel, and links to what it requires."""
    folder = tmp_path_factory.mktemp("fresh")
    _run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder)
    python = folder / "bin" / "python"
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    target = Path(_run(python, "-c", where, cwd=folder).strip())
    for source in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for entry in Path(source).iterdir():
            # Neither this checkout (an editable install) nor the .pth file that leads to it.
            ours = re.match(r"_?samari|.*\.pth$", entry.name)
            if not ours and not (target / entry.name).exists():
                (target / entry.name).symlink_to(entry)
    _run(
        sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps",
        "--no-index", "--no-compile", built["wheel"], cwd=folder,
    )  # fmt: skip
    return python


def test_the_installed_wheel_brings_manifest_weights_and_sample_data(
    fresh_python: Path, tmp_path: Path
) -> None:
    code = """
import json, pathlib, sys
import samari
from importlib.metadata import distribution
from npe2 import PluginManifest
from samari.plugin.sample_data import nuclei_stack
from samari.zoo import load

manifest = PluginManifest.from_distribution("samari")
manifest.validate_imports()
image, labels = nuclei_stack()
loaded = load("samari-tiny")
print(json.dumps({
    "package": samari.__file__,
    "widgets": len(manifest.contributions.widgets),
    "samples": len(manifest.contributions.sample_data),
    "readers": len(manifest.contributions.readers),
    "writers": len(manifest.contributions.writers),
    "stack": [list(image.shape), list(labels.shape), int(labels.max())],
    "parameters": sum(p.numel() for p in loaded.model.parameters()),
    "typed": (pathlib.Path(samari.__file__).parent / "py.typed").exists(),
}))
"""
    facts = json.loads(_run(fresh_python, "-c", code, cwd=tmp_path).splitlines()[-1])
    assert Path(facts["package"]).is_relative_to(fresh_python.parents[1])
    assert ROOT not in Path(facts["package"]).parents
    assert facts["widgets"] == 1
    assert facts["samples"] >= 4
    assert facts["readers"] == 1
    assert facts["writers"] == 1
    assert facts["stack"][0] == facts["stack"][1]
    assert facts["stack"][2] > 3
    assert facts["parameters"] > 100_000
    assert facts["typed"]


def test_the_installed_program_segments_a_sample_image(fresh_python: Path, tmp_path: Path) -> None:
    from skimage import data, io

    io.imsave(tmp_path / "coins.png", data.coins(), check_contrast=False)
    program = fresh_python.with_name("samari")
    out = _run(
        program, "segment", "coins.png", "--box", "40", "140", "80", "180", "-o", "labels.tif",
        cwd=tmp_path,
    )  # fmt: skip
    assert "labels.tif" in out
    assert (tmp_path / "labels.tif").stat().st_size > 0


def test_the_wheel_holds_the_package_and_nothing_else(built: dict[str, Path]) -> None:
    names = zipfile.ZipFile(built["wheel"]).namelist()
    assert "samari/napari.yaml" in names
    assert {name.partition("/")[0] for name in names} == {"samari", "samari-0.1.0.dist-info"}
    assert built["wheel"].stat().st_size < 30e6


def test_the_source_archive_can_build_the_wheel(built: dict[str, Path], tmp_path: Path) -> None:
    with tarfile.open(built["sdist"]) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    _run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path, cwd=source)
    again = zipfile.ZipFile(next(tmp_path.glob("*.whl")))
    assert sorted(again.namelist()) == sorted(zipfile.ZipFile(built["wheel"]).namelist())


def _closure(*wanted: str) -> set[str]:
    """Name the installed distributions that requirements lead to, with markers and extras."""
    found: set[str] = set()
    seen: set[tuple[str, str]] = set()
    todo = [Requirement(line) for line in wanted]
    while todo:
        requirement = todo.pop()
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        for extra in ("", *sorted(requirement.extras)):
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            try:
                lines = requires(name) or []
            except PackageNotFoundError:
                continue
            found.add(name)
            for needed in map(Requirement, lines):
                if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                    todo.append(needed)
    return found


def test_at_most_six_requirements_beyond_those_the_plan_names(
    requirements: Callable[[str | None], set[str]],
) -> None:
    assert requirements(None) >= NAMED_BY_THE_PLAN
    assert len(requirements(None) - NAMED_BY_THE_PLAN) <= 6


def test_at_most_ten_distributions_beyond_napari_and_torch(
    figure: Callable[[str, float, str], None],
) -> None:
    ours = _closure("samari") - {"samari"}
    further = ours - _closure("napari", "torch")
    figure("distributions beyond napari and torch", len(further), "")
    assert len(ours) > 50, "the closure is too small to be true"
    assert len(further) <= 10, sorted(further)
    assert further.isdisjoint({"h5py", "zarr", "imagecodecs", "tensorflow"})
