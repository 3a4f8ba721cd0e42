from __future__ import annotations

import pytest
import torch

from samari.train.muon import Muon, orthogonalised


@pytest.mark.parametrize("shape", [(3, 16, 16), (2, 48, 16), (2, 16, 64)])
def test_singular_values_come_near_one_and_their_vectors_stay(shape: tuple[int, ...]) -> None:
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    made = orthogonalised(matrices)
    assert made.shape == matrices.shape
    values = torch.linalg.svdvals(made)
    assert values.min() > 0.3
    assert values.max() < 1.4
    left, _, right = torch.linalg.svd(matrices, full_matrices=False)
    inner = left.transpose(1, 2) @ made @ right.transpose(1, 2)
    off = inner - torch.diag_embed(inner.diagonal(dim1=1, dim2=2))
    assert off.abs().max() < 1e-3


def test_a_step_is_as_large_as_the_rate_says_whatever_the_gradient() -> None:
    weights = []
    for scale in (1e-3, 1e3):
        weight = torch.nn.Parameter(torch.zeros(32, 32))
        optimizer = Muon([{"params": [weight]}], lr=0.01)
        weight.grad = scale * torch.randn(32, 32, generator=torch.Generator().manual_seed(1))
        optimizer.step()
        weights.append(weight.detach())
    torch.testing.assert_close(weights[0], weights[1], rtol=1e-3, atol=1e-6)
    assert weights[0].square().mean().sqrt() == pytest.approx(0.2 * 0.01, rel=0.3)


def test_a_fused_matrix_counts_as_three() -> None:
    generator = torch.Generator().manual_seed(2)
    gradients = (
        torch.randn(3, 8, 8, generator=generator) * torch.tensor([1.0, 100, 1e-2])[:, None, None]
    )
    fused = torch.nn.Parameter(torch.zeros(24, 8))
    fused.grad = gradients.reshape(24, 8)
    Muon([{"params": [fused]}], lr=1.0).step()
    alone = []
    for gradient in gradients:
        weight = torch.nn.Parameter(torch.zeros(8, 8))
        weight.grad = gradient.clone()
        Muon([{"params": [weight]}], lr=1.0).step()
        alone.append(weight.detach())
    torch.testing.assert_close(fused.detach(), torch.cat(alone))


def test_it_decays_weights_and_leaves_what_has_no_gradient() -> None:
    pulled, idle = (torch.nn.Parameter(torch.ones(8, 8)) for _ in range(2))
    pulled.grad = torch.zeros(8, 8)
    Muon([{"params": [pulled, idle], "weight_decay": 0.5}], lr=0.1).step()
    torch.testing.assert_close(pulled.detach(), torch.full((8, 8), 0.95))
    torch.testing.assert_close(idle.detach(), torch.ones(8, 8))


def test_it_finds_the_least_squares_of_a_badly_scaled_problem() -> None:
    generator = torch.Generator().manual_seed(3)
    wanted = torch.randn(8, 8, generator=generator)
    inputs = torch.randn(64, 8, generator=generator) * torch.logspace(0, -2, 8)
    weight = torch.nn.Parameter(torch.zeros(8, 8))
    optimizer = Muon([{"params": [weight]}], lr=0.2, momentum=0.9)
    losses = []
    for step in range(200):
        optimizer.param_groups[0]["lr"] = 0.2 * (1 - step / 200)
        optimizer.zero_grad()
        loss = (inputs @ (weight - wanted).T).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 1e-3 * losses[0]
