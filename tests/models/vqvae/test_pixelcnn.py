"""The gated PixelCNN: what each position sees, and its size in the published comparison."""

from __future__ import annotations

import pytest
import torch
from gumbelzoo.models.vqvae.priors.pixelcnn import PixelCNN, gate
from torch import Tensor


def small(shape: tuple[int, int, int] = (5, 6, 1), **options: int) -> PixelCNN:
    torch.manual_seed(0)
    return PixelCNN(shape, codebook_size=4, **{"width": 6, "depth": 6, **options}).eval()  # type: ignore[arg-type]


def sees(model: PixelCNN, row: int, column: int) -> Tensor:
    """True at the codes ``h (w q)`` that the logits at one position depend on, by the gradient of their embeddings."""
    kept: list[Tensor] = []

    def keep(module: torch.nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        output.retain_grad()
        kept.append(output)

    handle = model.embedding.register_forward_hook(keep)
    codes = torch.zeros(1, *model.shape, dtype=torch.int64)
    logits = model.logits(codes, torch.zeros(1, dtype=torch.int64)).flatten(2, 3)  # 1 h (w q) k
    logits[0, row, column].square().sum().backward()
    handle.remove()
    gradients = [output.grad for output in kept if output.grad is not None]
    return sum(g.abs().sum(-1)[0].flatten(1) for g in gradients) > 0


@pytest.mark.parametrize("shape", [(5, 6, 1), (4, 3, 2)])
@pytest.mark.parametrize("kernel", [3, 5])
def test_position_sees_exactly_earlier_ones(shape: tuple[int, int, int], kernel: int) -> None:
    """No later one, and no blind spot as in a single masked stack."""
    model = small(shape, kernel=kernel, depth=8)
    rows, columns = shape[0], shape[1] * shape[2]
    order = torch.arange(rows * columns).reshape(rows, columns)
    for row, column in ((0, 0), (0, 3), (2, 0), (2, 2), (rows - 1, columns - 1)):
        expected = order < order[row, column]
        assert torch.equal(sees(model, row, column), expected), (row, column)


def test_one_layer_sees_its_kernel() -> None:
    """Above, the rows of the kernel, shifted up by one; to the left, its columns, shifted left by one."""
    seen = sees(small((5, 7, 1), depth=1, kernel=3), 4, 3)
    assert seen.nonzero().tolist() == [[2, 2], [2, 3], [2, 4], [3, 2], [3, 3], [3, 4], [4, 1], [4, 2]]


def test_gate() -> None:
    x = torch.randn(2, 6, 3, 3)
    assert torch.allclose(gate(x), torch.tanh(x[:, :3]) * torch.sigmoid(x[:, 3:]))


def test_published_size() -> None:
    model = PixelCNN((7, 7, 1), codebook_size=128)
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(1.05e6, rel=0.05)


@pytest.mark.parametrize("kernel", [1, 4])
def test_kernel_without_a_middle_raises(kernel: int) -> None:
    with pytest.raises(ValueError, match="kernel must be odd and at least 3"):
        small(kernel=kernel)
