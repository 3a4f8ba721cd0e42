"""Models are found by name or path, fetched when needed, and taken in from files."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from samari.errors import DownloadError, InputError, ModelError, WeightsError
from samari.zoo import MODELS, add, added, available, find, load, resolve, store


def _left(home: Path) -> list[str]:
    return sorted(str(path.relative_to(home)) for path in home.rglob("*"))


# Finding


def test_unknown_name_lists_what_there_is_and_guesses() -> None:
    with pytest.raises(ModelError, match=r"Did you mean vit_b_lm\?.*samari-tiny, sam-vit-base"):
        find("vit_b_ln")
    assert not available("vit_b_ln")


@pytest.mark.parametrize("value", [None, 5])
def test_what_is_neither_name_nor_path_is_no_model(value: Any) -> None:
    with pytest.raises(ModelError, match=f"{value} is no model"):
        find(value)


def test_paths_are_taken_as_they_are(weights: Path, tiny_model_folder: Path) -> None:
    assert find(weights) == weights
    assert resolve(str(tiny_model_folder)) == tiny_model_folder


def test_name_goes_before_a_file_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("vit_b_lm").touch()
    assert find("vit_b_lm") is None
    assert find("./vit_b_lm") == Path("vit_b_lm")
    assert find(Path("vit_b_lm")) == Path("vit_b_lm")


@pytest.mark.usefixtures("no_network")
def test_finding_makes_no_connection() -> None:
    """Trap 38: asking what is here reaches for no network."""
    for name, info in MODELS.items():
        assert available(name) == (info.source == "bundled" and find(name) is not None)


def test_missing_bundled_model_is_an_error_that_names_the_place(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(store, "bundled_folder", lambda name: tmp_path / name)
    with pytest.raises(ModelError, match=r"lacks its model samari-tiny .*install it again"):
        resolve("samari-tiny")


# Fetching


def test_model_is_fetched_proven_and_then_used_without_a_network(
    listed: Any, server: Any, home: Path, request: pytest.FixtureRequest
) -> None:
    """Trap 38: no network access when the weights are there."""
    listed()
    assert not available("test_lm")
    seen: list[tuple[int, int]] = []
    path = resolve("test_lm", progress=lambda *counts: seen.append(counts))
    assert path == home / "test_lm" / "vit_b.pt"
    assert seen[-1] == (path.stat().st_size,) * 2
    assert _left(home) == ["test_lm", "test_lm/vit_b.pt"]
    request.getfixturevalue("no_network")
    assert available("test_lm")
    assert resolve("test_lm") == path
    assert load("test_lm").name == "test_lm"
    assert len(server.asked) == 1


def test_file_without_a_hash_that_can_be_checked_must_still_be_the_model(
    listed: Any, server: Any, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trap 37, where xxhash is not installed: strict names and shapes stand in."""
    monkeypatch.setitem(__import__("sys").modules, "xxhash", None)
    monkeypatch.setattr("samari.zoo.download._wait", lambda job, seconds: None)
    listed(digest="xxh128:" + "0" * 32)
    whole = server.files["/zoo/vit_b.pt"]
    server.files["/zoo/vit_b.pt"] = whole[: len(whole) // 2]
    with pytest.raises(DownloadError, match=r"cut off or damaged.*xxh128:0000"):
        resolve("test_lm")
    assert _left(home) == ["test_lm"]
    server.files["/zoo/vit_b.pt"] = whole
    assert load(resolve("test_lm")).model.config.vision_config.hidden_size == 32


def test_model_of_another_architecture_than_the_table_says_is_refused(
    listed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trap 40: wrong architecture, from a server."""
    import dataclasses

    info = dataclasses.replace(listed(), config="base")
    monkeypatch.setitem(MODELS, "test_lm", info)
    monkeypatch.setattr("samari.zoo.download._wait", lambda job, seconds: None)
    with pytest.raises(DownloadError, match="does not fit its configuration"):
        resolve("test_lm")


def test_download_that_was_damaged_since_is_fetched_again(listed: Any, server: Any) -> None:
    """Trap 37: a truncated file is refused and fetched again."""
    listed()
    path = resolve("test_lm")
    whole = path.read_bytes()
    path.write_bytes(whole[:-1000])
    assert load("test_lm").info is MODELS["test_lm"]
    assert path.read_bytes() == whole
    assert len(server.asked) == 2


def test_download_of_the_wrong_size_is_fetched_again(listed: Any, weights: Path) -> None:
    listed(size=weights.stat().st_size)
    path = resolve("test_lm")
    path.write_bytes(path.read_bytes()[:-1])
    assert not available("test_lm")
    assert resolve("test_lm").read_bytes() == weights.read_bytes()


# Taking in


def test_file_is_taken_in_under_its_own_name(weights: Path, home: Path) -> None:
    folder = add(weights)
    assert folder == home / "vit_b"
    assert added() == ["vit_b"]
    assert available("vit_b")
    assert resolve("vit_b") == folder
    assert load("vit_b").name == "vit_b"
    assert _left(home) == ["vit_b", "vit_b/vit_b.pt"]
    with pytest.raises(InputError, match=r"a model vit_b is there already.*another --name"):
        add(weights)


def test_file_without_an_extension_is_taken_in(weights: Path, tmp_path: Path) -> None:
    shutil.copy(weights, tmp_path / "vit_b_lm_cached")
    add(tmp_path / "vit_b_lm_cached", "mine")
    assert load("mine").hash == load(weights).hash


def test_folder_is_taken_in_with_its_configuration(tiny_model_folder: Path, home: Path) -> None:
    assert add(tiny_model_folder, "Mein-Modell_äö.2") == home / "Mein-Modell_äö.2"
    taken = load("Mein-Modell_äö.2")
    assert taken.hash == load(tiny_model_folder).hash
    assert taken.model.config.extra["samari"] == {"pad": False, "upscale": False}


@pytest.mark.usefixtures("no_network")
def test_file_of_a_listed_model_is_proven_and_then_found_by_that_name(
    listed: Any, weights: Path, tmp_path: Path
) -> None:
    """Trap 38: a machine without a network gets its models by `add`."""
    listed()
    copied = tmp_path / "from a stick.pt"
    shutil.copy(weights, copied)
    add(copied, "test_lm")
    assert added() == []
    assert load("test_lm").info is MODELS["test_lm"]


def test_file_that_is_not_the_listed_model_is_refused(
    listed: Any, weights: Path, home: Path
) -> None:
    listed(digest="sha256:" + "1" * 64)
    with pytest.raises(WeightsError, match=r"is not the published test_lm: its hash is sha256:"):
        add(weights, "test_lm")
    with pytest.raises(WeightsError, match="does not fit its configuration"):
        add(weights, "sam-vit-base")
    assert not home.exists() or _left(home) == []


def test_original_file_can_stand_in_for_a_hub_model(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dataclasses

    info = dataclasses.replace(MODELS["sam-vit-base"], config=None)
    monkeypatch.setitem(MODELS, "sam-vit-base", info)
    folder = add(weights, "sam-vit-base")
    assert resolve("sam-vit-base") == folder
    assert load("sam-vit-base").hash == load(weights).hash


def test_damaged_file_is_not_taken_in(weights: Path, home: Path) -> None:
    """Trap 40: truncated, from a stick."""
    weights.write_bytes(weights.read_bytes()[:5000])
    with pytest.raises(WeightsError, match=r"vit_b\.pt is cut off or damaged"):
        add(weights)
    assert not home.exists()


@pytest.mark.parametrize(
    "name",
    ["../up", "a/b", "C:\\models\\x", "", ".hidden", "con", "LPT1.pt", "x" * 81, "a b", "end."],
)
def test_names_that_are_no_folder_on_every_system_are_refused(weights: Path, name: str) -> None:
    """Trap 41: Windows drive letters and the like."""
    if not name:
        weights = weights.rename(weights.with_name(" .pt"))
    with pytest.raises(InputError, match="cannot be a model's name"):
        add(weights, name)


def test_name_of_the_bundled_model_is_taken(weights: Path) -> None:
    with pytest.raises(InputError, match="ships with Samari"):
        add(weights, "samari-tiny")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES])
def test_full_disk_or_read_only_folder_leaves_nothing_behind(
    weights: Path, home: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """Trap 41: disk full, read-only folder."""

    def fail(file: Any, chunk: bytes) -> None:
        file.write(chunk[:100])
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(store, "write", fail)
    with pytest.raises(ModelError, match=r"could not copy .*SAMARI_MODELS"):
        add(weights)
    assert _left(home) == []
    assert added() == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes anywhere")
def test_folder_without_permission_is_a_clear_error(listed: Any, weights: Path, home: Path) -> None:
    """Trap 41: read-only folder, a real one."""
    listed()
    home.mkdir()
    home.chmod(0o500)
    try:
        with pytest.raises(DownloadError, match="SAMARI_MODELS"):
            resolve("test_lm")
        with pytest.raises(ModelError, match="SAMARI_MODELS"):
            add(weights)
    finally:
        home.chmod(0o700)


@pytest.mark.parametrize("part", ["Modelle äöü 细胞 🔬", "d" * 120])
def test_non_ascii_and_very_long_model_folders_work(
    listed: Any, weights: Path, tmp_path: Path, part: str
) -> None:
    """Trap 41: non-ASCII and very long paths."""
    folder = tmp_path / part / part / part
    listed()
    assert load("test_lm", folder=folder).hash == load(weights).hash
    add(weights, "own", folder=folder)
    assert load("own", folder=folder).hash == load(weights).hash
    assert added(folder) == ["own"]


def test_hash_of_the_file_on_the_server_is_what_is_checked(listed: Any, weights: Path) -> None:
    info = listed()
    assert info.files[0].digest == f"sha256:{hashlib.sha256(weights.read_bytes()).hexdigest()}"
