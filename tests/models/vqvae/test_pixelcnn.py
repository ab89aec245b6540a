"""The gated PixelCNN: what each position sees, and its size in the published comparison."""

from __future__ import annotations

import gumbelzoo
import pytest
import torch
from gumbelzoo.models.vqvae.priors.gated_layer import gate
from gumbelzoo.models.vqvae.priors.pixelcnn import PixelCNN
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


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 7, 1), (5, 1, 2)])
@pytest.mark.parametrize("kernel", [3, 7])
def test_stepwise_logits_equal_whole_grid(shape: tuple[int, int, int], kernel: int, dtype: torch.dtype) -> None:
    """On grids smaller than the kernel, for several labels, and in training mode without a gradient or dropout."""
    model, seen = small(shape, kernel=kernel, classes=3).to(dtype), []
    for parameter in model.parameters():  # far from uniform
        parameter.data.add_(0.3 * torch.randn_like(parameter))
    label = torch.arange(6) % 3
    codes = model.train().sample(label, lambda logits: (seen.append(logits), logits.argmax(-1))[1])
    whole = model.eval().logits(codes, label).flatten(1, 3)
    exact = 0.05 * float(whole.detach().abs().max()) if dtype == torch.bfloat16 else 1e-5
    torch.testing.assert_close(torch.stack(seen, 1), whole, atol=exact, rtol=1e-5)


def test_released_prior_keeps_its_codes() -> None:
    """The codes of a seed and label are those of the release, however they are computed."""
    prior = gumbelzoo.load("vqvae-mnist-labels")
    codes = prior.sample_codes(10, label=torch.arange(10), generator=torch.Generator().manual_seed(0))
    assert codes[3, -2:].flatten().tolist() == [6, 73, 86, 36, 17, 99, 114, 6, 10, 116, 33, 69, 114, 114]
    assert codes.sum() == 28487


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
