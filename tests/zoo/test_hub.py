"""Models of the hub come through its own cache, and without a connection once they are there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from safetensors.torch import load_file, save_file

from samari.errors import Cancelled, DownloadError
from samari.sam.weights import hub_folder, load_model
from samari.zoo import available, load, resolve

if TYPE_CHECKING:
    from pathlib import Path

REPOSITORY = "facebook/sam-vit-base"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub(server: Any, tiny_model_folder: Path) -> Any:
    """A hub on loopback that has one model, under the name of a published one."""
    server.headers = {"X-Repo-Commit": COMMIT}
    for revision in ("main", COMMIT):
        for file in tiny_model_folder.iterdir():
            server.files[f"/{REPOSITORY}/resolve/{revision}/{file.name}"] = file.read_bytes()
    return server


def test_hub_model_is_fetched_into_the_shared_cache(
    hub: Any, hub_cache: Path, tiny_model_folder: Path
) -> None:
    seen: list[tuple[int, int]] = []
    assert not available("sam-vit-base")
    folder = resolve(
        "sam-vit-base", endpoint=hub.address, progress=lambda *counts: seen.append(counts)
    )
    size = (tiny_model_folder / "model.safetensors").stat().st_size
    assert seen[-1] == (size, size)
    assert hub_cache in folder.parents
    assert (folder / "model.safetensors").read_bytes() == (
        tiny_model_folder / "model.safetensors"
    ).read_bytes()
    load_model(folder)


@pytest.mark.usefixtures("no_network")
def test_unfetched_hub_model_offline_is_an_error_with_address_and_folder(
    hub_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(DownloadError, match="offline mode is on") as raised:
        resolve("sam-vit-base")
    assert REPOSITORY in str(raised.value)
    assert str(hub_cache) in str(raised.value)
    assert "samari models add" in str(raised.value)


def test_fetched_hub_model_needs_no_connection(
    hub: Any, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """Trap 38: no network access when the weights are there."""
    folder = resolve("sam-vit-base", endpoint=hub.address)
    request.getfixturevalue("no_network")
    assert available("sam-vit-base")
    assert resolve("sam-vit-base") == folder
    assert hub_folder(REPOSITORY) == folder
    assert load("sam-vit-base").name == "sam-vit-base"


def test_what_does_not_match_its_hash_is_refused(hub: Any, hub_cache: Path) -> None:
    """Trap 37: the hub names a large file by its SHA-256."""
    hub.headers["X-Linked-Etag"] = f'"{"0" * 64}"'
    with pytest.raises(DownloadError, match=f"instead of {'0' * 64}"):
        resolve("sam-vit-base", endpoint=hub.address)
    assert not available("sam-vit-base")


def test_damaged_hub_model_is_fetched_again(hub: Any) -> None:
    """Trap 37: broken since, so it is fetched again."""
    folder = resolve("sam-vit-base", endpoint=hub.address)
    file = (folder / "model.safetensors").resolve()
    whole = file.read_bytes()
    file.write_bytes(whole[:-100])
    load("sam-vit-base", endpoint=hub.address)
    assert (folder / "model.safetensors").read_bytes() == whole


def test_missing_repository_is_an_error(server: Any) -> None:
    with pytest.raises(DownloadError, match=r"could not download nobody/nothing from http://127"):
        hub_folder("nobody/nothing", endpoint=server.address)


def test_cancel_stops_a_hub_download(hub: Any) -> None:
    with pytest.raises(Cancelled):
        resolve("sam-vit-base", endpoint=hub.address, cancel=lambda: True)
    assert not available("sam-vit-base")


def test_shards_are_fetched_too(
    hub: Any, tiny_model_folder: Path, request: pytest.FixtureRequest
) -> None:
    state = load_file(tiny_model_folder / "model.safetensors")
    names = sorted(state)
    parts = {"a.safetensors": names[:50], "b.safetensors": names[50:]}
    prefixes = [f"/{REPOSITORY}/resolve/{revision}" for revision in ("main", COMMIT)]
    index = {"weight_map": {key: part for part, keys in parts.items() for key in keys}}
    shard = tiny_model_folder.parent / "shard"
    for prefix in prefixes:
        del hub.files[f"{prefix}/model.safetensors"]
        hub.files[f"{prefix}/model.safetensors.index.json"] = json.dumps(index).encode()
        for part, keys in parts.items():
            save_file({key: state[key] for key in keys}, shard)
            hub.files[f"{prefix}/{part}"] = shard.read_bytes()
    folder = hub_folder(REPOSITORY, endpoint=hub.address)
    load_model(folder)
    request.getfixturevalue("no_network")
    assert hub_folder(REPOSITORY) == folder
