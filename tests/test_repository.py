"""What every tracked file must be: portable, of one idea, and in step with the code."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def _files() -> list[Path]:
    """List the files of the repository, or all files of an unpacked source archive."""
    if (ROOT / ".git").exists():
        done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
        names = done.stdout.splitlines()
    else:
        found = (path.relative_to(ROOT) for path in ROOT.rglob("*"))
        names = [str(path) for path in found if ".venv" not in path.parts]
    return [ROOT / name for name in names if (ROOT / name).is_file()]


def _text(path: Path) -> str:
    """Give what a file says; nothing for pictures and weights, which hold zero bytes."""
    content = path.read_bytes()
    return "" if b"\0" in content else content.decode("utf-8")


def test_no_file_names_a_path_of_the_machine_it_was_written_on() -> None:
    folders = "|".join(("work", "root", "home", "Users", "mnt"))
    machine = re.compile(rf"(?<![\w.~}}/-])/(?:{folders})/\w[\w./-]*")
    found = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in _files()
        for match in machine.finditer(_text(path))
    ]
    assert found == []


def test_source_files_are_one_idea_each() -> None:
    sizes = {
        path.relative_to(ROOT).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for path in _files()
        if path.suffix == ".py" and path.is_relative_to(ROOT / "src")
    }
    assert len(sizes) > 30
    assert {name: size for name, size in sizes.items() if size > 400} == {}


def test_the_manifest_at_the_root_is_a_link_into_the_package() -> None:
    link = ROOT / "napari.yaml"
    assert link.is_symlink()
    assert link.readlink() == Path("src/samari/napari.yaml")
    assert link.resolve().is_file()


def test_the_bundled_weights_are_small_enough_to_ship() -> None:
    folder = ROOT / "src" / "samari" / "zoo" / "bundled"
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert 0 < size <= 25e6


@pytest.mark.parametrize("name", ["Makefile", ".ci/run", "scripts/bootstrap.sh"])
def test_the_commands_do_not_leave_the_repository(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert "../shared" not in text
    assert "shared/" not in text
