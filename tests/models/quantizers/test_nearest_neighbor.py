"""Nearest codes, their gradients and losses, FSQ and composites, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gumbelzoo.models.quantizers import QUANTIZERS, distances
from gumbelzoo.models.quantizers.gradients import rotation, straight_through
from torch import Tensor

FROZEN = {"codebook_size": 5, "kmeans_batches": 0, "dead_code_threshold": 0.0}
VECTOR = {"name": "vector", **FROZEN}


def brute_force(rows: Tensor, table: Tensor) -> np.ndarray:
    differences = rows.double().numpy()[:, None] - table.double().numpy()
    return (differences**2).sum(-1).argmin(-1)


@pytest.mark.parametrize("k", [2, 63, 64, 65, 200])
@pytest.mark.parametrize("chunk", [1, 1000, 2**20])
def test_nearest_equals_brute_force(k: int, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(distances.CHUNK, "cpu", chunk)
    rows, table = torch.randn(37, 6), torch.randn(k, 6)
    assert np.array_equal(distances.nearest(rows, table).numpy(), brute_force(rows, table))


@pytest.mark.parametrize("offset", [100.0, 10_000.0])
def test_distances_are_exact_far_from_zero(offset: float) -> None:
    rows, table = torch.randn(500, 16) + offset, torch.randn(64, 16) + offset
    assert np.array_equal(distances.nearest(rows, table).numpy(), brute_force(rows, table))


def test_argmin_takes_the_first_tie() -> None:
    scores = torch.randint(3, (500, 320), generator=torch.Generator().manual_seed(0)).float()
    scores[0, 70:] = -1.0
    assert torch.equal(distances.argmin(scores), scores.argmin(-1))
    assert distances.argmin(scores)[0] == 70


def test_nearest_of_equal_codes_and_no_inputs() -> None:
    table = torch.zeros(300, 3)
    table[:70] = 9.0
    assert distances.nearest(torch.zeros(4, 3), table).min() >= 70
    assert distances.nearest(torch.zeros(0, 3), table).shape == (0,)


@pytest.mark.parametrize("update", ["ema", "loss"])
def test_losses_and_gradients_equal_numpy(update: str) -> None:
    """Commitment acts on z with its weight; all terms are means over positions and coordinates."""
    quantizer = QUANTIZERS["vector"](3, **FROZEN, update=update, commitment=0.4)
    z = torch.randn(2, 7, 3, requires_grad=True)
    x, table = z.detach().numpy().reshape(14, 3).astype(np.float64), quantizer.table().detach().double().numpy()
    codes = brute_force(z.detach().reshape(14, 3), torch.tensor(table))
    error = x - table[codes]
    quantized = quantizer(z)
    quantized.loss.backward()
    assert np.array_equal(quantized.codes.numpy().reshape(14), codes)
    assert quantized.loss.item() == pytest.approx((error**2).mean() * (0.4 + (update == "loss")), rel=1e-5)
    assert quantized.metrics["distortion"].item() == pytest.approx((error**2).mean(), rel=1e-5)
    assert z.grad is not None
    np.testing.assert_allclose(z.grad.numpy().reshape(14, 3), 0.4 * 2 * error / error.size, rtol=1e-4, atol=1e-7)
    if update == "loss":
        expected = np.zeros_like(table)
        np.add.at(expected, codes, -2 * error / error.size)
        (weight,) = quantizer.parameters()
        assert weight.grad is not None
        np.testing.assert_allclose(weight.grad.numpy(), expected, rtol=1e-4, atol=1e-7)
    else:
        assert not list(quantizer.parameters())


def test_cosine_codes_and_unit_vectors() -> None:
    quantizer = QUANTIZERS["vector"](3, **FROZEN, update="loss", cosine=True)
    z = 5 * torch.randn(40, 3)
    quantized = quantizer(z)
    weight = quantizer.codebook.weight.detach().numpy()
    unit, codes = weight / np.linalg.norm(weight, axis=-1, keepdims=True), (z.numpy() @ weight.T) / 1.0
    codes = (codes / np.linalg.norm(weight, axis=-1)).argmax(-1)
    assert np.array_equal(quantized.codes.numpy()[:, 0], codes)
    np.testing.assert_allclose(quantized.vectors.detach().numpy(), unit[codes], rtol=1e-5, atol=1e-6)
    cosine = (z.numpy() * unit[codes]).sum(-1) / np.linalg.norm(z.numpy(), axis=-1)
    assert quantized.metrics["distortion"].item() == pytest.approx((2 - 2 * cosine).mean() / 3, rel=1e-4)


def jacobian(gradient: object, row: Tensor, code: Tensor) -> Tensor:
    function = lambda x: gradient(x[None], code[None])[0]  # type: ignore[operator]  # noqa: E731
    return torch.autograd.functional.jacobian(function, row)  # type: ignore[no-any-return]


def test_straight_through_gradient() -> None:
    """The identity; values are exactly the codes, also of the rotation."""
    rows, codes = 1e4 * torch.randn(50, 3, requires_grad=True), torch.randn(50, 3)
    assert torch.equal(straight_through(rows, codes), codes) and torch.equal(rotation(rows, codes), codes)
    assert torch.equal(jacobian(straight_through, rows[0].detach(), codes[0]), torch.eye(3))


def test_rotation_gradient() -> None:
    """Times |z| / |e| it is orthogonal without reflection, and the identity off the plane of z and e."""
    row, code = torch.randn(2, 5, dtype=torch.float64)
    scaled = jacobian(rotation, row, code)
    turn = scaled * row.norm() / code.norm()
    assert torch.allclose(scaled @ row, code)
    assert torch.allclose(turn @ turn.T, torch.eye(5, dtype=torch.float64))
    assert torch.linalg.det(turn).item() == pytest.approx(1.0)
    off = torch.linalg.qr(torch.stack([row, code, *torch.randn(3, 5, dtype=torch.float64)]).T)[0][:, 2:]  # d 3
    assert torch.allclose(turn @ off, off)


@pytest.mark.parametrize("length", [0.0, 1e-9])
def test_rotation_of_zero_residual(length: float) -> None:
    """Straight-through where the input has no direction."""
    row = length * torch.ones(3)
    assert torch.equal(jacobian(rotation, row, torch.randn(3)), torch.eye(3))


def test_rotation_of_residuals_after_resets() -> None:
    """A reset code is an input of the batch, so the residual of that input is zero."""
    torch.manual_seed(0)
    vector = {"name": "vector", "codebook_size": 32, "gradient": "rotation", "dead_code_threshold": 0.5}
    quantizer = QUANTIZERS["residual"](8, vector, codebooks=2)
    largest = 0.0
    for step in range(40):
        z = (torch.randn(64, 8) + 0.1 * step).requires_grad_()
        quantized = quantizer(z)
        (quantized.vectors.square().mean() + quantized.loss).backward()
        assert z.grad is not None
        largest = max(largest, z.grad.abs().max().item())
    assert largest < 10


def test_sim_vq_step_moves_every_code() -> None:
    """The random codebook stays."""
    quantizer = QUANTIZERS["sim_vq"](4, codebook_size=100)
    before, frozen = quantizer.table().detach().clone(), quantizer.frozen.clone()
    quantized = quantizer(torch.randn(3, 4))
    quantized.loss.backward()
    with torch.no_grad():
        for parameter in quantizer.parameters():
            parameter -= 0.1 * parameter.grad
    assert ((quantizer.table() - before).norm(dim=-1) > 0).all()
    assert torch.equal(quantizer.frozen, frozen) and len(list(quantizer.parameters())) == 1


def test_fsq_rounds_to_the_grid() -> None:
    quantizer = QUANTIZERS["fsq"](3, levels=(3, 4, 2))
    z = torch.randn(500, 3, requires_grad=True)
    quantized = quantizer(z)
    top = np.array([2, 3, 1])
    levels = np.rint((np.tanh(z.detach().numpy()) + 1) / 2 * top)
    np.testing.assert_allclose(quantized.vectors.detach().numpy(), 2 * levels / top - 1, atol=1e-6)
    assert np.array_equal(quantized.codes.numpy()[:, 0], levels @ [1, 3, 12])
    assert len(quantized.codes.unique()) == 24 and quantized.loss == 0
    quantized.vectors.sum().backward()
    assert z.grad is not None
    assert torch.allclose(z.grad, 1 - z.detach().tanh().square(), atol=1e-6)
    every = torch.arange(24)[:, None]
    assert torch.equal(quantizer.encode(torch.atanh(0.99 * quantizer.decode(every))), every)


@pytest.mark.parametrize("levels", [[8] * 9, [3] * 39, [2] * 62], ids=["2^27", "3^39", "2^62"])
def test_fsq_with_many_codes(levels: list[int]) -> None:
    """Codes are exact above 2^24, where float32 has no odd numbers."""
    quantizer = QUANTIZERS["fsq"](len(levels), levels)
    digits = torch.randint(levels[0], (1000, len(levels)), generator=torch.Generator().manual_seed(0))
    digits[0] = levels[0] - 1  # the largest code
    codes = torch.tensor([[sum(int(d) * levels[0] ** i for i, d in enumerate(row))] for row in digits])
    vectors = quantizer.decode(codes)
    torch.testing.assert_close(vectors, 2 * digits / (levels[0] - 1) - 1)
    assert torch.equal(quantizer.encode(torch.atanh(0.99 * vectors)), codes)


def test_product_and_residual_by_hand() -> None:
    """A product is its groups, a residual quantizer the sum of its levels."""
    z = torch.randn(30, 6)
    product = QUANTIZERS["product"](6, VECTOR, codebooks=3)
    quantized = product.eval()(z)
    expected = [part(group) for part, group in zip(product.members(), z.chunk(3, -1), strict=True)]
    assert torch.equal(quantized.vectors, torch.cat([part.vectors for part in expected], -1))
    assert torch.equal(quantized.codes, torch.cat([part.codes for part in expected], -1))
    assert quantized.loss.item() == pytest.approx(sum(part.loss.item() for part in expected), rel=1e-5)

    residual = QUANTIZERS["residual"](6, VECTOR, codebooks=3).eval()
    residuals, tables = z.numpy().copy(), [part.table().numpy() for part in residual.members()]
    quantized = residual(z)
    for table, codes in zip(tables, quantized.codes.unbind(-1), strict=True):
        assert np.array_equal(codes.numpy(), brute_force(torch.tensor(residuals), torch.tensor(table)))
        residuals -= table[codes.numpy()]
    np.testing.assert_allclose(quantized.vectors.numpy(), z.numpy() - residuals, rtol=1e-4, atol=1e-5)


def test_residual_passes_the_gradient_once() -> None:
    quantizer = QUANTIZERS["residual"](6, VECTOR, codebooks=4)
    z = torch.randn(10, 6, requires_grad=True)
    weight = torch.randn(10, 6)
    (quantizer(z).vectors * weight).sum().backward()
    assert z.grad is not None and torch.allclose(z.grad, weight)


@pytest.mark.parametrize("levels", [4, 8])
@pytest.mark.parametrize("nested", [False, True], ids=["vector", "residual"])
def test_residual_rotation_points_along_the_gradient(levels: int, nested: bool) -> None:
    """It is the rotation from z to the sum; rotations of the levels would add up to a reversed gradient."""
    vector = {"name": "vector", "codebook_size": 32, "gradient": "rotation"}
    member = {"name": "residual", "quantizer": vector, "codebooks": 2} if nested else vector
    quantizer = QUANTIZERS["residual"](8, member, codebooks=levels // 2 if nested else levels)
    quantizer(torch.randn(1000, 8))  # k-means
    z, weight = torch.randn(500, 8, requires_grad=True), torch.randn(500, 8)
    quantized = quantizer.eval()(z)
    (quantized.vectors * weight).sum().backward()
    expected = torch.autograd.grad((rotation(z, quantized.vectors) * weight).sum(), z)[0]
    assert z.grad is not None and torch.allclose(z.grad, expected)
    assert torch.cosine_similarity(z.grad, weight).mean() > 0.5


def test_residual_commitment_of_every_level() -> None:
    """The loss has the gradient of the mean squares of all residuals, in NumPy."""
    quantizer = QUANTIZERS["residual"](6, {**VECTOR, "commitment": 0.5}, codebooks=4)
    z = torch.randn(10, 6, requires_grad=True)
    quantizer.eval()(z).loss.backward()
    left, expected = z.detach().numpy().astype(np.float64), np.zeros((10, 6))
    for part in quantizer.members():
        table = part.table().detach().numpy().astype(np.float64)
        left = left - table[((left[:, None] - table) ** 2).sum(-1).argmin(1)]
        expected += 0.5 * 2 * left / left.size
    assert z.grad is not None
    np.testing.assert_allclose(z.grad.numpy(), expected, rtol=1e-4, atol=1e-7)


def test_cosine_in_composites() -> None:
    cosine = {"name": "vector", "codebook_size": 16, "cosine": True}
    for quantizer in (cosine, {"name": "product", "quantizer": cosine, "codebooks": 2}):
        with pytest.raises(ValueError, match="takes no cosine"):
            QUANTIZERS["residual"](8, quantizer, codebooks=2)
    product = QUANTIZERS["product"](8, cosine, codebooks=2)
    assert product(5 * torch.randn(200, 8)).metrics["distortion"] < 1  # between vectors of length 1
