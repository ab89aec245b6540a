"""The nearest code, its gradients and its losses, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gumbelzoo.models.quantizers import QUANTIZERS
from gumbelzoo.models.quantizers import distances as nearest
from gumbelzoo.models.quantizers.gradients import rotation, straight_through
from torch import Tensor

FROZEN = {"codebook_size": 5, "start_batches": 0, "revive": 0.0}


def brute_force(rows: Tensor, table: Tensor) -> np.ndarray:
    differences = rows.double().numpy()[:, None] - table.double().numpy()
    return (differences**2).sum(-1).argmin(-1)


@pytest.mark.parametrize("k", [2, 63, 64, 65, 200])
@pytest.mark.parametrize("chunk", [1, 1000, 2**20])
def test_nearest_is_that_of_brute_force(k: int, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(nearest.CHUNK, "cpu", chunk)
    rows, table = torch.randn(37, 6), torch.randn(k, 6)
    assert np.array_equal(nearest.nearest(rows, table).numpy(), brute_force(rows, table))


@pytest.mark.parametrize("offset", [100.0, 10_000.0])
def test_distances_are_exact_far_from_zero(offset: float) -> None:
    rows, table = torch.randn(500, 16) + offset, torch.randn(64, 16) + offset
    assert np.array_equal(nearest.nearest(rows, table).numpy(), brute_force(rows, table))


def test_the_first_of_equal_codes_is_taken() -> None:
    table = torch.zeros(300, 3)
    table[:70] = 9.0
    assert nearest.nearest(torch.zeros(4, 3), table).tolist() == [70] * 4
    assert nearest.nearest(torch.zeros(0, 3), table).shape == (0,)


@pytest.mark.parametrize("update", ["ema", "loss"])
def test_losses_and_gradients_are_those_of_numpy(update: str) -> None:
    """Row 23: the commitment is on z, its weight too, and everything is a mean over positions and coordinates."""
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


def test_cosine_takes_the_largest_cosine_and_gives_unit_vectors() -> None:
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


def test_straight_through_is_the_identity_and_the_value_is_the_code() -> None:
    rows, codes = 1e4 * torch.randn(50, 3, requires_grad=True), torch.randn(50, 3)
    assert torch.equal(straight_through(rows, codes), codes) and torch.equal(rotation(rows, codes), codes)
    assert torch.equal(jacobian(straight_through, rows[0].detach(), codes[0]), torch.eye(3))


def test_the_rotation_takes_the_row_to_the_code_and_leaves_the_rest_alone() -> None:
    """Scaled by |code| / |row| it is orthogonal without reflection, and the identity off the plane of the two."""
    row, code = torch.randn(2, 5, dtype=torch.float64)
    scaled = jacobian(rotation, row, code)
    turn = scaled * row.norm() / code.norm()
    assert torch.allclose(scaled @ row, code)
    assert torch.allclose(turn @ turn.T, torch.eye(5, dtype=torch.float64))
    assert torch.linalg.det(turn).item() == pytest.approx(1.0)
    off = torch.linalg.qr(torch.stack([row, code, *torch.randn(3, 5, dtype=torch.float64)]).T)[0][:, 2:]  # d 3
    assert torch.allclose(turn @ off, off)


@pytest.mark.parametrize("length", [0.0, 1e-9])
def test_a_row_of_no_direction_passes_the_rotation_straight_through(length: float) -> None:
    row = length * torch.ones(3)
    assert torch.equal(jacobian(rotation, row, torch.randn(3)), torch.eye(3))


def test_the_rotation_of_rests_survives_revivals() -> None:
    """A revived code is a row of the batch, so that nothing rests of it for the second codebook."""
    torch.manual_seed(0)
    quantizer = QUANTIZERS["residual"](
        8, codebooks=2, quantizer_options={"codebook_size": 32, "gradient": "rotation", "revive": 0.5}
    )
    largest = 0.0
    for step in range(40):
        z = (torch.randn(64, 8) + 0.1 * step).requires_grad_()
        quantized = quantizer(z)
        (quantized.vectors.square().mean() + quantized.loss).backward()
        assert z.grad is not None
        largest = max(largest, z.grad.abs().max().item())
    assert largest < 10


def test_sim_vq_moves_every_code_in_a_step_and_keeps_its_frozen_codebook() -> None:
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


def test_a_product_is_its_groups_and_a_residual_its_sum() -> None:
    z = torch.randn(30, 6)
    product = QUANTIZERS["product"](6, codebooks=3, quantizer_options=FROZEN)
    quantized = product.eval()(z)
    expected = [part(group) for part, group in zip(product.each_part(), z.chunk(3, -1), strict=True)]
    assert torch.equal(quantized.vectors, torch.cat([part.vectors for part in expected], -1))
    assert torch.equal(quantized.codes, torch.cat([part.codes for part in expected], -1))
    assert quantized.loss.item() == pytest.approx(sum(part.loss.item() for part in expected), rel=1e-5)

    residual = QUANTIZERS["residual"](6, codebooks=3, quantizer_options=FROZEN).eval()
    rest, tables = z.numpy().copy(), [part.table().numpy() for part in residual.each_part()]
    quantized = residual(z)
    for table, codes in zip(tables, quantized.codes.unbind(-1), strict=True):
        assert np.array_equal(codes.numpy(), brute_force(torch.tensor(rest), torch.tensor(table)))
        rest -= table[codes.numpy()]
    np.testing.assert_allclose(quantized.vectors.numpy(), z.numpy() - rest, rtol=1e-4, atol=1e-5)


def test_a_residual_passes_the_gradient_once() -> None:
    quantizer = QUANTIZERS["residual"](6, codebooks=4, quantizer_options=FROZEN)
    z = torch.randn(10, 6, requires_grad=True)
    weight = torch.randn(10, 6)
    (quantizer(z).vectors * weight).sum().backward()
    assert z.grad is not None and torch.allclose(z.grad, weight)


def test_every_level_of_a_residual_draws_z_to_the_sum() -> None:
    """The gradient of the loss for z is that of the mean squares of all levels' rests, in plain NumPy."""
    quantizer = QUANTIZERS["residual"](6, codebooks=4, quantizer_options={**FROZEN, "commitment": 0.5})
    z = torch.randn(10, 6, requires_grad=True)
    quantizer.eval()(z).loss.backward()
    rest, expected = z.detach().numpy().astype(np.float64), np.zeros((10, 6))
    for part in quantizer.each_part():
        table = part.table().detach().numpy().astype(np.float64)
        rest = rest - table[((rest[:, None] - table) ** 2).sum(-1).argmin(1)]
        expected += 0.5 * 2 * rest / rest.size
    assert z.grad is not None
    np.testing.assert_allclose(z.grad.numpy(), expected, rtol=1e-4, atol=1e-7)


def test_cosine_in_composites() -> None:
    options = {"codebook_size": 16, "cosine": True}
    with pytest.raises(ValueError, match="takes no cosine"):
        QUANTIZERS["residual"](8, codebooks=2, quantizer_options=options)
    product = QUANTIZERS["product"](8, codebooks=2, quantizer_options=options)
    assert product(5 * torch.randn(200, 8)).metrics["distortion"] < 1  # between vectors of length 1
