"""The documentation is in step with the code: tables, links, and examples that run."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
WITH_EXAMPLES = [page for page in PAGES if "```python\n" in page.read_text(encoding="utf-8")]


@pytest.fixture(scope="module")
def tables() -> ModuleType:
    """Load the script that writes the tables."""
    spec = importlib.util.spec_from_file_location("tables", ROOT / "scripts" / "tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("table", ["keys", "models"])
def test_a_table_of_the_readme_is_that_of_the_code(tables: ModuleType, table: str) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    wanted = getattr(tables, f"{table}_table")()
    assert len(wanted.splitlines()) > 5
    assert tables.between(text, table, wanted) == text, "run scripts/tables.py"


def test_every_trap_has_a_test_that_exists(tables: ModuleType) -> None:
    page = (ROOT / "docs" / "design" / "traps.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| (\d+) \| .* \| (.*) \|$", page, re.MULTILINE))
    assert {int(number) for number in rows} == set(tables.TRAPS)
    existing: dict[str, set[str]] = {}
    for number, listed in rows.items():
        tests = re.findall(r"`([^`]+)::([^`]+)`", listed)
        assert tests, f"trap {number} has no test that names it; run scripts/tables.py"
        for file, test in tests:
            if file not in existing:
                tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
                defined = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
                existing[file] = {node.name for node in defined}
            assert test in existing[file], f"trap {number}: {file}::{test} is gone"


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_link_inside_the_repository_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
    missing = [
        link
        for link in links
        if not re.match(r"[a-z]+:", link) and not (page.parent / link).exists()
    ]
    assert missing == []


@pytest.mark.parametrize("page", WITH_EXAMPLES, ids=_name)
def test_the_examples_of_a_page_run(page: Path, tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "\n".join(blocks)],
        cwd=tmp_path, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    written = re.findall(r'save\("([^"]+)"\)', "\n".join(blocks))
    assert written
    assert all((tmp_path / name).stat().st_size > 0 for name in written)


def test_the_options_of_segment_are_documented() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "samari", "segment", "--help"], capture_output=True, text=True
    )
    options = set(re.findall(r"(--[a-z-]+)", done.stdout)) - {"--help", "--output"}
    page = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    assert len(options) > 8
    assert {option for option in options if option not in page} == set()


def test_the_citation_names_this_version_and_licence() -> None:
    import samari

    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"version: {samari.__version__}" in text
    assert "license: BSD-3-Clause" in text
