"""Embeddings on disk: what comes back, what does not, and what is removed."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from samari.engine import embedding_files
from samari.engine.embedding import Embedding, EmbeddingCache, content_key
from samari.engine.embedding_files import EmbeddingFiles, embeddings_dir
from samari.engine.predict import Segmenter
from samari.engine.session import Session
from samari.errors import InputError
from samari.zoo.paths import cache_dir

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def embedding(seed: int = 0) -> Embedding:
    rgb = np.full((4, 6, 3), seed, np.uint8)
    features = torch.randn(1, 8, 5, 7, generator=torch.Generator().manual_seed(seed))
    features = features.contiguous(memory_format=torch.channels_last)
    return Embedding(features, (40, 56), (20, 28), content_key(rgb, "m"))


def path_of(files: EmbeddingFiles, one: Embedding) -> Path:
    return files.folder / f"{one.key}.safetensors"


def use_at(files: EmbeddingFiles, one: Embedding, moment: float) -> None:
    os.utime(path_of(files, one), (moment, moment))


@pytest.fixture
def files(tmp_path: Path) -> EmbeddingFiles:
    return EmbeddingFiles(tmp_path / "made when needed")


def test_an_embedding_comes_back_bit_for_bit(files: EmbeddingFiles) -> None:
    one = embedding()
    assert files.get(one.key) is None
    assert not files.folder.exists()
    files.put(one)
    again = EmbeddingFiles(files.folder).get(one.key)
    assert again is not None
    assert torch.equal(again.features, one.features)
    assert again.features.stride() == one.features.stride()
    assert (again.plane_shape, again.input_shape, again.key) == ((40, 56), (20, 28), one.key)
    assert one.key in files
    assert len(files) == 1
    assert os.listdir(files.folder) == [f"{one.key}.safetensors"]


def test_half_precision_takes_half_the_room_and_is_close(tmp_path: Path) -> None:
    one = embedding()
    whole, half = EmbeddingFiles(tmp_path / "a"), EmbeddingFiles(tmp_path / "b", half=True)
    whole.put(one)
    half.put(one)
    assert half.nbytes < whole.nbytes
    assert whole.nbytes - half.nbytes >= one.nbytes // 2
    again = EmbeddingFiles(tmp_path / "b").get(one.key)
    assert again is not None
    assert again.features.dtype == torch.float32
    torch.testing.assert_close(again.features, one.features, rtol=1e-3, atol=1e-6)


def test_what_half_precision_cannot_hold_is_written_in_full(tmp_path: Path) -> None:
    one = embedding()
    one.features[0, 0, 0, 0] = 1e6
    files = EmbeddingFiles(tmp_path, half=True)
    files.put(one)
    again = files.get(one.key)
    assert again is not None
    assert torch.equal(again.features, one.features)


def _with(content: bytes, **changes: Any) -> bytes:
    """Make another file of this kind, whose checksum is right."""
    import json
    import zlib

    said = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]
    features = changes.pop("features", load(content)["features"]).contiguous()
    said |= {"crc32": str(zlib.crc32(features.numpy().data)), **changes}
    return save({"features": features}, said)


def _flipped(content: bytes) -> bytes:
    return content[:-100] + bytes([content[-100] ^ 1]) + content[-99:]


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "cut in the header": lambda content: content[:40],
    "cut in the features": lambda content: content[:-1],
    "one bit": _flipped,
    "garbage": lambda content: np.random.default_rng(0).bytes(len(content)),
    "not UTF-8": lambda content: content[:8] + b"\xff" * (len(content) - 8),
    "weights of a model": lambda content: save({"weight": torch.zeros(3)}),
    "another key": lambda content: _with(content, key="0" * 64),
    "another version": lambda content: _with(content, made_by="samari 0.0.0"),
    "no shape": lambda content: _with(content, plane_shape="40"),
    "other axes": lambda content: _with(content, features=torch.zeros(8, 5, 7)),
    "whole numbers": lambda content: _with(content, features=torch.zeros(1, 8, 5, 7).long()),
    "not a number": lambda content: _with(content, features=torch.full((1, 8, 5, 7), np.nan)),
    "infinite": lambda content: _with(content, features=torch.full((1, 8, 5, 7), np.inf)),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_not_that_embedding_is_ignored_and_replaced(
    files: EmbeddingFiles, damage: str
) -> None:
    one = embedding()
    files.put(one)
    path = path_of(files, one)
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    assert files.get(one.key) is None
    files.put(one)
    again = files.get(one.key)
    assert again is not None
    assert torch.equal(again.features, one.features)


def test_a_file_under_the_name_of_another_is_not_taken(files: EmbeddingFiles) -> None:
    one, other = embedding(1), embedding(2)
    files.put(one)
    os.rename(path_of(files, one), path_of(files, other))
    assert files.get(other.key) is None


def test_what_was_used_longest_ago_goes_first(files: EmbeddingFiles) -> None:
    ones = [embedding(seed) for seed in range(4)]
    for age, one in enumerate(ones[:3]):
        files.put(one)
        use_at(files, one, 1000.0 + age)
    size = files.nbytes // 3
    limited = EmbeddingFiles(files.folder, 3 * size)
    assert limited.get(ones[0].key) is not None, "now it is the one that was used last"
    limited.put(ones[3])
    assert [one.key in files for one in ones] == [True, False, True, True]
    assert limited.nbytes <= 3 * size


def test_the_limit_is_kept_whoever_wrote_what_is_there(files: EmbeddingFiles) -> None:
    files.put(embedding(0))
    size = files.nbytes
    for seed in range(1, 6):
        files.put(embedding(seed))
    EmbeddingFiles(files.folder, 2 * size).put(embedding(9))
    assert files.nbytes <= 2 * size
    assert embedding(9).key in files


def test_what_other_programs_write_meanwhile_is_counted_now_and_then(
    files: EmbeddingFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedding_files, "_LOOK_EVERY", 3)
    files.put(embedding(0))
    one = EmbeddingFiles(files.folder, 6 * files.nbytes)
    one.put(embedding(1))
    for seed in range(2, 9):
        files.put(embedding(seed))
    assert one.nbytes > 6 * one.nbytes // len(one)
    for seed in range(9, 12):
        one.put(embedding(seed))
    assert len(one) == 6


def test_a_limit_that_nothing_fits_into_keeps_nothing(tmp_path: Path) -> None:
    files = EmbeddingFiles(tmp_path / "none", 0)
    files.put(embedding())
    assert len(files) == 0
    with pytest.raises(InputError, match="-1"):
        EmbeddingFiles(tmp_path, -1)


def test_files_of_others_are_neither_counted_nor_removed(files: EmbeddingFiles) -> None:
    files.put(embedding(0))
    for name in ("notes.txt", "model.safetensors", f"{'g' * 64}.safetensors"):
        (files.folder / name).write_bytes(b"mine" * 10_000)
    size = files.nbytes
    EmbeddingFiles(files.folder, size).put(embedding(1))
    assert sorted(os.listdir(files.folder)) == sorted(
        [path_of(files, embedding(1)).name, "notes.txt", "model.safetensors",
         f"{'g' * 64}.safetensors"]
    )  # fmt: skip


def test_parts_of_a_program_that_died_are_removed_those_of_a_living_one_stay(
    files: EmbeddingFiles,
) -> None:
    files.put(embedding(0))
    dead, living = (files.folder / f".{digit * 12}.samari-part" for digit in "ab")
    for part in (dead, living):
        part.write_bytes(b"half of it")
    os.utime(dead, (1000, 1000))
    EmbeddingFiles(files.folder).put(embedding(1))
    assert not dead.exists()
    assert living.exists()


def test_a_folder_that_can_only_be_read_is_read_and_told_of_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trap 41."""
    EmbeddingFiles(tmp_path).put(embedding(0))

    def read_only(*arguments: Any, **options: Any) -> None:
        raise PermissionError(13, "Permission denied")

    files = EmbeddingFiles(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("samari.engine.atomic.uuid.uuid4", read_only)
        patch.setattr(os, "utime", read_only)
        assert files.get(embedding(0).key) is not None
        with pytest.warns(RuntimeWarning, match="no permission to write"):
            files.put(embedding(1))
        files.put(embedding(2))  # a second warning would be an error here
    files.put(embedding(4))
    assert embedding(4).key in files, "it goes on when it can"


def test_a_folder_that_cannot_be_made_is_told_and_no_failure(tmp_path: Path) -> None:
    """Trap 41."""
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    told: list[str] = []
    files = EmbeddingFiles(tmp_path / "file" / "Ordner 細胞", told=told.append)
    files.put(embedding())
    assert files.get(embedding().key) is None
    assert (len(files), files.nbytes) == (0, 0)
    assert len(told) == 1


def test_another_thread_may_write_and_a_slow_disk_is_not_waited_for(tmp_path: Path) -> None:
    waiting: list[Callable[[], None]] = []
    files = EmbeddingFiles(tmp_path, later=waiting.append)
    ones = [embedding(seed) for seed in range(40)]
    for one in ones:
        files.put(one)
    assert len(files) == 0
    assert len(waiting) == 32, "no more are held in memory"
    for write in waiting:
        write()
    assert [one.key in files for one in ones] == [True] * 32 + [False] * 8
    files.put(ones[35])
    waiting[-1]()
    assert ones[35].key in files


def test_many_threads_at_once(files: EmbeddingFiles, soak: Callable[[int, int], int]) -> None:
    ones = [embedding(seed) for seed in range(8)]
    files.put(ones[0])
    limited = EmbeddingFiles(files.folder, 4 * files.nbytes)
    wrong = []

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(soak(20, 1000)):
            one = ones[rng.integers(8)]
            found = limited.get(one.key)
            if found is None:
                limited.put(one)
            elif not torch.equal(found.features, one.features):
                wrong.append(one.key)

    threads = [threading.Thread(target=work, args=[seed]) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert 1 <= len(limited) <= 4


PROGRAM = """
import sys, numpy as np, torch
from samari.engine.embedding import Embedding, content_key
from samari.engine.embedding_files import EmbeddingFiles
files = EmbeddingFiles(sys.argv[1], int(sys.argv[2]))
rng = np.random.default_rng(int(sys.argv[3]))
for _ in range(int(sys.argv[4])):
    seed = int(rng.integers(8))
    key = content_key(np.full((4, 6, 3), seed, np.uint8), "m")
    wanted = torch.full((1, 8, 5, 7), float(seed))
    found = files.get(key)
    assert found is None or torch.equal(found.features, wanted)
    files.put(Embedding(wanted, (40, 56), (20, 28), key))
"""


def test_two_processes_at_once(tmp_path: Path, soak: Callable[[int, int], int]) -> None:
    """Neither sees a half of what the other writes; the limit is that of both together."""
    files = EmbeddingFiles(tmp_path)
    first = replace(embedding(), features=torch.zeros(1, 8, 5, 7))
    files.put(first)
    size = files.nbytes
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", PROGRAM, str(tmp_path), str(4 * size + 200),
             str(seed), str(soak(60, 5000))],
            stderr=subprocess.PIPE, text=True,
        )
        for seed in (1, 2)
    ]  # fmt: skip
    errors = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    # Each counts what the other writes now and then; whoever comes next sees all of it.
    assert files.nbytes <= 8 * size
    EmbeddingFiles(tmp_path, 4 * size).put(first)
    assert files.nbytes <= 4 * size
    assert all(name.endswith(".safetensors") for name in os.listdir(tmp_path))


def test_the_folder_is_the_user_s_or_the_one_that_the_environment_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAMARI_CACHE", str(tmp_path))
    assert EmbeddingFiles().folder == embeddings_dir() == tmp_path
    monkeypatch.delenv("SAMARI_CACHE")
    assert embeddings_dir() == cache_dir() / "embeddings"


def test_a_cache_without_files_writes_nothing(tiny_model_folder: Path) -> None:
    Segmenter(tiny_model_folder, device="cpu").encode(np.zeros((40, 56, 3), np.uint8))
    assert not embeddings_dir().exists()


def _annotated(image: Any, model: Path, files: EmbeddingFiles) -> Session:
    """Click once on every plane, in a session that remembers nothing of an earlier one."""
    cache = EmbeddingCache(files=files)
    session = Session(image, segmenter=Segmenter(model, device="cpu", cache=cache), axes="ZYX")
    for z in range(len(image)):
        session.add_point((z, 20, 30))
        session.accept()
    return session


def test_a_stack_of_50_slices_that_is_opened_again_encodes_nothing(
    files: EmbeddingFiles, tiny_model_folder: Path, encodings: list[tuple[int, ...]]
) -> None:
    image = np.random.default_rng(0).integers(0, 4000, (50, 40, 56)).astype(np.uint16)
    first = _annotated(image, tiny_model_folder, files)
    assert len(encodings) == 50
    again = _annotated(image, tiny_model_folder, EmbeddingFiles(files.folder))
    assert len(encodings) == 50
    np.testing.assert_array_equal(again.labels, first.labels)
    assert first.labels.any()
    limits = Session(image, segmenter=again.segmenter, axes="ZYX", contrast_limits=(0, 1000))
    limits.add_point((0, 20, 30))
    limits.accept()
    assert len(encodings) == 51, "other contrast limits are other pictures"
