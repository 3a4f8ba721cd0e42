"""A packed layer can be moved, copied, written and loaded like a plain one."""

from __future__ import annotations

import copy
import io
import pickle
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

from samari.sam.packed import PackedLinear, pack, precision

if TYPE_CHECKING:
    from collections.abc import Callable

X = torch.randn(5, 48, generator=torch.Generator().manual_seed(1))


def network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(48, 64), nn.ReLU(), nn.Linear(64, 96, bias=False))


@pytest.fixture(params=[torch.float32, torch.bfloat16], ids=str)
def packed(request: pytest.FixtureRequest) -> nn.Sequential:
    made = network()
    pack(made, request.param)
    return made


def result(module: nn.Module) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = module(X)
    return found


def assert_as_packed(found: nn.Module, wanted: nn.Module) -> None:
    assert torch.equal(result(found), result(wanted))
    for one, other in zip(found.modules(), wanted.modules(), strict=True):
        if isinstance(other, PackedLinear):
            assert isinstance(one, PackedLinear)
            assert (one.is_packed, one.dtype) == (other.is_packed, other.dtype)


def test_there_and_back_it_is_packed_again(packed: nn.Sequential) -> None:
    wanted = copy.deepcopy(packed)
    was = packed[0].dtype
    packed[0].to(torch.float64)
    assert not packed[0].is_packed
    packed[0].to(was)
    assert_as_packed(packed, wanted)


def test_from_another_device_it_comes_back(packed: nn.Sequential) -> None:
    """The meta device stands for a GPU, whose weights would come back as well."""
    wanted, weights = copy.deepcopy(packed), packed.state_dict()
    packed.to("meta")
    assert packed[0].weight.device.type == "meta"
    packed.to_empty(device="cpu")
    assert packed[0].weight.device.type == "cpu"
    packed.load_state_dict(weights)
    assert_as_packed(packed, wanted)


@pytest.mark.parametrize(("processor", "others"), [("AVX2", False), ("AVX512", True)])
def test_in_float32_layers_that_do_not_widen_are_packed_where_that_is_quicker(
    monkeypatch: pytest.MonkeyPatch, processor: str, others: bool
) -> None:
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: processor)
    made = nn.Sequential(nn.Linear(48, 64), nn.Linear(64, 64), nn.Linear(64, 32))
    wanted = result(made)
    pack(made, torch.float32)
    assert [isinstance(layer, PackedLinear) for layer in made] == [True, others, others]
    torch.testing.assert_close(result(made), wanted)
    pack(made, torch.bfloat16)
    assert [layer.dtype for layer in made] == 3 * [torch.bfloat16]


def test_layers_of_another_precision_are_all_brought_to_the_wanted_one() -> None:
    made = nn.Sequential(nn.Linear(48, 64), nn.Linear(64, 32)).to(torch.bfloat16)
    pack(made, torch.float32)
    assert [precision(layer) for layer in made] == 2 * [torch.float32]


def _saved(module: nn.Module) -> Any:
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module)), _saved],
    ids=["deepcopy", "pickle", "torch.save"],
)  # fmt: skip
def test_a_copy_is_packed_and_apart(
    packed: nn.Sequential, copied: Callable[[nn.Module], nn.Module]
) -> None:
    found = copied(packed)
    assert_as_packed(found, packed)
    before = result(found)
    packed.load_state_dict(network(1).state_dict())
    assert torch.equal(result(found), before)


@pytest.mark.parametrize("strict", [True, False])
def test_it_loads_what_a_plain_one_loads(packed: nn.Sequential, strict: bool) -> None:
    other = network(1)
    packed.load_state_dict(other.state_dict(), strict=strict)
    pack(other, packed[0].dtype)
    assert_as_packed(packed, other)


def test_what_does_not_fit_is_told(packed: nn.Sequential) -> None:
    weights = packed.state_dict()
    weights["0.weight"] = weights["0.weight"][:, :40]
    with pytest.raises(RuntimeError, match=r"size mismatch for 0\.weight"):
        packed.load_state_dict(weights)
    del weights["0.weight"]
    with pytest.raises(RuntimeError, match=r"Missing key.*0\.weight"):
        packed.load_state_dict(weights)
    assert packed.load_state_dict(weights, strict=False).missing_keys == ["0.weight"]
