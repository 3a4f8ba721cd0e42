"""Damaged and dangerous weight files are refused, by the names of file and tensor."""

from __future__ import annotations

import errno
import json
import os
import pickle
import random
import shutil
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from samari.errors import WeightsError
from samari.sam import SamConfig, SamModel, vit_config
from samari.sam import weights as weights_module
from samari.sam.weights import load_model, save_model

if TYPE_CHECKING:
    from collections.abc import Callable

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture
def saved(small_model: Callable[..., SamModel], tmp_path: Path) -> tuple[SamModel, Path]:
    """A small network and the file it was saved in, in a folder with its configuration."""
    model = small_model()
    save_model(model, tmp_path / "model")
    return model, tmp_path / "model" / "model.safetensors"


def _same(first: SamModel, second: SamModel) -> bool:
    state, other = first.state_dict(), second.state_dict()
    return state.keys() == other.keys() and all(state[key].equal(other[key]) for key in state)


class _Evil:
    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> Any:
        return (os.mkdir, (str(self.proof),))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("kind", ["zip", "legacy", "protocol 0", "protocol 5"])
def test_malicious_pickle_is_refused_and_does_not_run(tmp_path: Path, kind: str) -> None:
    """Trap 39: a pickle with code in it is refused."""
    proof, file = tmp_path / "proof", tmp_path / "sam_vit_b.pth"
    content = {"image_encoder.pos_embed": torch.zeros(2), "evil": _Evil(proof)}
    if kind in ("zip", "legacy"):
        torch.save(content, file, _use_new_zipfile_serialization=kind == "zip")
    else:
        file.write_bytes(pickle.dumps(content["evil"], protocol=int(kind[-1])))
    with pytest.raises(WeightsError, match=r"sam_vit_b\.pth") as raised:
        load_model(file)
    assert not proof.exists()
    if kind != "protocol 0":
        assert ".mkdir" in str(raised.value) or kind == "protocol 5"
        assert "Ask for a safetensors file" in str(raised.value)
    # The trap is armed: an ordinary unpickling does run the code.
    torch.load(file, weights_only=False) if "proto" not in kind else pickle.loads(file.read_bytes())
    assert proof.exists()


def _offsets(file: Path) -> dict[str, tuple[int, int]]:
    data = file.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    return {
        key: (8 + length + entry["data_offsets"][0], 8 + length + entry["data_offsets"][1])
        for key, entry in header.items()
    }


def test_truncated_safetensors_names_the_tensor_that_is_cut(saved: tuple[SamModel, Path]) -> None:
    """Trap 40: truncated."""
    _, file = saved
    name, (start, end) = sorted(_offsets(file).items(), key=lambda item: item[1])[40]
    whole = file.read_bytes()
    file.write_bytes(whole[: (start + end) // 2])
    with pytest.raises(WeightsError) as raised:
        load_model(file)
    assert str(file) in str(raised.value)
    assert name in str(raised.value)
    for size in (0, 1, 7, 8, 200, len(whole) - 1):
        file.write_bytes(whole[:size])
        with pytest.raises(WeightsError, match=r"model\.safetensors"):
            load_model(file)


def test_flipped_bit_in_our_files_names_the_tensor(saved: tuple[SamModel, Path]) -> None:
    """Trap 40: bit-flipped, in the values of a tensor."""
    _, file = saved
    for name, (start, _) in list(_offsets(file).items())[::20]:
        whole = bytearray(file.read_bytes())
        whole[start] ^= 1  # the last bit of a mantissa: a value that still looks well
        file.write_bytes(whole)
        with pytest.raises(WeightsError, match=f"damaged at tensor {name}: its checksum"):
            load_model(file)
        whole[start] ^= 1
        file.write_bytes(whole)


def test_flipped_bit_anywhere_is_an_error_or_changes_nothing(
    saved: tuple[SamModel, Path], soak: Callable[[int, int], int]
) -> None:
    """Trap 40: bit-flipped, anywhere, the header first."""
    model, file = saved
    whole = file.read_bytes()
    header = 8 + struct.unpack("<Q", whole[:8])[0]
    rng = random.Random(0)
    errors = []
    for i in range(soak(150, 5000)):
        flipped = bytearray(whole)
        flipped[rng.randrange(header if i % 2 else len(whole))] ^= 1 << rng.randrange(8)
        file.write_bytes(flipped)
        try:
            assert _same(load_model(file), model)
        except WeightsError as error:
            errors.append(str(error))
    assert all(str(file) in error for error in errors)
    assert len(errors) > 0.9 * i


def test_values_that_are_not_finite_are_damage_in_files_without_checksums(
    saved: tuple[SamModel, Path],
) -> None:
    """Trap 40: bit-flipped, in a file of another program."""
    _, file = saved
    state = load_file(file)
    for value in (float("nan"), float("inf")):
        state["mask_decoder.iou_token.weight"][0, 3] = value
        save_file(state, file)
        with pytest.raises(
            WeightsError, match=r"damaged at tensor mask_decoder\.iou_token\.weight"
        ):
            load_model(file)


@pytest.mark.parametrize("kind", ["flipped", "cut", "header cut"])
def test_damaged_pth_is_refused(
    tmp_path: Path, kind: str, small_model: Callable[..., SamModel]
) -> None:
    """Trap 40, for files of torch."""
    file = tmp_path / "sam.pth"
    torch.save(small_model().state_dict(), file)
    whole = bytearray(file.read_bytes())
    if kind == "flipped":
        whole[len(whole) // 2] ^= 1
    file.write_bytes(
        whole[: {"flipped": len(whole), "cut": len(whole) // 2, "header cut": 3}[kind]]
    )
    with pytest.raises(WeightsError, match=r"sam\.pth is (cut off or )?damaged"):
        load_model(file)


def test_flipped_bit_in_a_pth_names_the_tensor(
    tmp_path: Path, small_model: Callable[..., SamModel]
) -> None:
    """Trap 40, for files of torch: bit-flipped, in the values of a tensor."""
    file, state = tmp_path / "sam.pth", small_model().state_dict()
    torch.save(state, file)
    whole = file.read_bytes()
    random = [name for name, value in state.items() if value.ndim > 1 and value.std() > 0]
    assert len(random) > 40
    for name in random[::9]:
        place = whole.index(state[name].contiguous().numpy().tobytes())
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(WeightsError, match=rf"sam\.pth is damaged at tensor {name}: "):
            load_model(file)


def test_wrong_shape_missing_and_left_over_tensors_are_named(saved: tuple[SamModel, Path]) -> None:
    """Trap 40: wrong shape, missing and unexpected tensors."""
    _, file = saved
    state = load_file(file)
    name = "mask_decoder.mask_tokens.weight"
    save_file({**state, name: torch.zeros(4, 17)}, file)
    with pytest.raises(
        WeightsError, match=rf"tensor {name} has shape \(4, 17\) in place of \(4, 16\)"
    ):
        load_model(file)
    save_file({key: value for key, value in state.items() if key != name}, file)
    with pytest.raises(WeightsError, match=f"lacks tensor {name}"):
        load_model(file)
    save_file({**state, "vision_encoder.layers.9.extra": torch.zeros(1)}, file)
    with pytest.raises(
        WeightsError, match=r"does not expect tensor vision_encoder\.layers\.9\.extra"
    ):
        load_model(file)
    save_file({**state, name: torch.zeros(4, 16, dtype=torch.int64)}, file)
    with pytest.raises(WeightsError, match=f"tensor {name} is torch.int64"):
        load_model(file)


def test_wrong_architecture_is_refused(saved: tuple[SamModel, Path]) -> None:
    """Trap 40: wrong architecture."""
    _, file = saved
    with pytest.raises(WeightsError, match=r"does not fit.*lacks tensors vision_encoder"):
        load_model(file, vit_config("base"))
    config = file.with_name("config.json")
    entries = json.loads(config.read_text())
    entries["vision_config"]["hidden_size"] = 48
    config.write_text(json.dumps(entries))
    with pytest.raises(WeightsError, match=r"tensor .* has shape \(.*\) in place of"):
        load_model(file)
    save_file({"resnet.conv1.weight": torch.zeros(3)}, file)
    with pytest.raises(WeightsError, match=r"holds no weights of Segment Anything.*resnet"):
        load_model(file)
    torch.save([torch.zeros(3)], file.with_name("list.pth"))
    with pytest.raises(WeightsError, match="holds list, no table of tensors"):
        load_model(file.with_name("list.pth"))


def test_other_files_and_folders_are_told_apart(tmp_path: Path, saved: Any) -> None:
    page = tmp_path / "model.pth"
    page.write_text("<!DOCTYPE html><title>404</title>")
    with pytest.raises(WeightsError, match=r"no weight file: it begins with b'<!DOCTYPE"):
        load_model(page)
    with pytest.raises(WeightsError, match="there is no weight file or folder"):
        load_model(tmp_path / "nothing")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(WeightsError, match="holds no weight file"):
        load_model(empty)
    for name in ("a.pt", "b.pt"):
        shutil.copy(saved[1], empty / name)
    with pytest.raises(WeightsError, match=r"several weight files \(a\.pt, b\.pt\)"):
        load_model(empty)
    (saved[1].parent / "config.json").write_text("{'no': json}")
    with pytest.raises(WeightsError, match=r"config\.json is no configuration"):
        load_model(saved[1])


def test_shapes_that_leave_questions_open_ask_for_the_configuration() -> None:
    file = GOLDEN / "no_rel_pos.model.safetensors"
    with pytest.raises(WeightsError, match=r"heads and windows cannot be told.*config\.json"):
        load_model(file)
    load_model(file, SamConfig.from_pretrained(GOLDEN / "no_rel_pos.config.json"))


def test_full_disk_while_saving_leaves_the_old_files_and_no_others(
    saved: tuple[SamModel, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trap 41: disk full."""
    model, file = saved

    def full(tensors: Any, path: Path, metadata: Any) -> None:
        path.write_bytes(b"half of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    before = {path.name: path.read_bytes() for path in file.parent.iterdir()}
    monkeypatch.setattr(weights_module, "save_file", full)
    with pytest.raises(WeightsError, match=r"could not save the model in .*No space left"):
        save_model(model, file.parent)
    assert {path.name: path.read_bytes() for path in file.parent.iterdir()} == before
