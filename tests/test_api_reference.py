"""The reference of the documentation is that of the docstrings."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    """Load the script that writes the page."""
    file = ROOT / "scripts" / "api_reference.py"
    spec = importlib.util.spec_from_file_location("api_reference", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_that_of_the_docstrings(reference: ModuleType) -> None:
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    assert reference.page() == page, "run scripts/api_reference.py"


def test_every_public_name_and_method_is_in_it_with_a_text(reference: ModuleType) -> None:
    import samari.sam

    headings = re.split(r"^#{2,4} `", reference.page(), flags=re.MULTILINE)[1:]
    texts = {}
    for block in headings:
        head, _, body = block.partition("\n")
        texts[re.split(r"[(`]", head)[0]] = body.strip()
    assert set(samari.sam.__all__) <= texts.keys()
    assert {"Segmenter.predict", "Session.accept", "SamPredictor.predict"} <= texts.keys()
    assert {name for name, text in texts.items() if not text} == set()


def test_a_docstring_becomes_lists_and_examples(reference: ModuleType) -> None:
    def made(plane: int) -> int:
        """Do it.

        Parameters
        ----------
        plane : int
            Which ``plane``.

        Examples
        --------
        >>> made(1)
        1
        """
        return plane

    assert reference.docstring(made) == (
        "Do it.\n\n**Parameters**\n\n- `plane : int`  \n  Which `plane`.\n\n"
        "**Examples**\n\n```pycon\n>>> made(1)\n1\n```"
    )
    assert reference.signature(made) == "(plane)"
