"""Samples of a categorical and their relaxations, as pure functions of logits ``... k``.

Gumbel-max: Gumbel 1954; Maddison et al. 2014. Gumbel-Softmax / Concrete: Jang, Gu & Poole 2017 (arXiv:1611.01144),
eq. 2; Maddison, Mnih & Teh 2017 (arXiv:1611.00712), section 3.2. Straight-through: Bengio et al. 2013
(arXiv:1308.3432).

Every function computes in float32 (float64 for float64 logits) and casts back, also under autocast. A class is masked
by a logit of -inf, or by ``mask``, boolean and broadcastable to the logits, True where allowed.

Logits that are not floating point, that have no class, and masks that are not boolean raise ValueError.

Rows without an allowed class, NaN logits and temperatures <= 0 raise ValueError too. They are checked where the check
is cheap: on the CPU, outside ``torch.compile``, ``torch.jit.trace`` and ``torch.func`` transforms. Elsewhere it would
wait for the device or break the graph, so there the relaxed samples of such rows are NaN, and their codes arbitrary.
"""

from __future__ import annotations

import math
from functools import partial

import torch
from einops import rearrange
from torch import Tensor

from .checks import check_codes, check_finite, check_logits, readable
from .noise import NoiseFn, draw_noise, exponential_noise, gumbel_noise, is_drawn
from .shapes import Bool, Float, Int
from .softmax import drawn_softmax, perturbed_softmax
from .surrogate import upcast
from .temperature import align_temperature, learns

_BLOCK = 32


def gumbel_max(
    logits: Float[Tensor, "*b k"],
    *,
    noise: Float[Tensor, "*b k"] | None = None,
    generator: torch.Generator | None = None,
    mask: Bool[Tensor, "*m"] | None = None,
) -> Int[Tensor, "*b"]:
    """Draw exact samples argmax(logits + Gumbel noise), ``... k -> ...`` (int64).

    Args:
        logits: unnormalised log-probabilities ``... k``.
        noise: standard Gumbel noise ``... k`` to use instead of drawing it.
        generator: source of the noise.
        mask: True where a class is allowed.

    Raises:
        ValueError: a row has no allowed class or a NaN (see the module).
    """
    logits = mask_logits(logits.detach(), mask)
    noise = gumbel_noise(logits, generator=generator) if noise is None else noise
    scores = upcast(logits) + noise
    codes = argmax(scores)
    check_finite(scores.gather(-1, codes[..., None]), logits)
    return codes


def exponential_race(
    logits: Float[Tensor, "*b k"],
    *,
    noise: Float[Tensor, "*b k"] | None = None,
    generator: torch.Generator | None = None,
    mask: Bool[Tensor, "*m"] | None = None,
) -> Int[Tensor, "*b"]:
    """Draw exact samples argmin(E / p), ``... k -> ...`` (int64): the first arrival of k Poisson processes of rates p.

    They are the samples of ``gumbel_max`` with the Gumbel noise -log(E).

    Args:
        noise: standard exponential noise E, ``... k``, to use instead of drawing it.
        logits, generator, mask: as for ``gumbel_max``; so are the errors.
    """
    logits = mask_logits(logits.detach(), mask)
    race = exponential_noise(logits, generator=generator) if noise is None else noise
    arrivals = _softmax(logits, 1.0) / race
    codes = argmax(arrivals)
    check_finite(arrivals.gather(-1, codes[..., None]), logits)
    return codes


def categorical_sample(
    logits: Float[Tensor, "*b k"], *, generator: torch.Generator | None = None, mask: Bool[Tensor, "*m"] | None = None
) -> Int[Tensor, "*b"]:
    """Draw exact samples the fastest way, ``... k -> ...`` (int64): for many classes by inverting the cumulative sum.

    Two uniform numbers per row find first a block of classes, then the class inside it. So no cumulative sum runs over
    all classes, and the ones that remain are cheap in float64, where no tiny probability is rounded away.

    Args:
        logits, generator, mask: as for ``gumbel_max``; so are the errors.
    """
    k = logits.shape[-1]
    if k <= 2 * _BLOCK:
        return gumbel_max(logits, generator=generator, mask=mask)
    logits = mask_logits(logits.detach(), mask)
    p = _softmax(logits, 1.0)  # ... k
    check_finite(p[..., 0], logits)
    whole = k - k % _BLOCK
    blocks = rearrange(p[..., :whole], "... (j i) -> ... j i", i=_BLOCK).sum(-1)  # ... j
    if whole < k:
        blocks = torch.cat([blocks, p[..., whole:].sum(-1, keepdim=True)], -1)
    start = _BLOCK * _invert(blocks, generator)  # ... 1
    index = start + torch.arange(_BLOCK, device=p.device)  # ... i
    block = p.gather(-1, index.clamp(max=k - 1)).masked_fill(index >= k, 0.0)
    return (start + _invert(block, generator)).squeeze(-1)


def gumbel_softmax(
    logits: Float[Tensor, "*b k"],
    temperature: float | Tensor,
    *,
    noise: Float[Tensor, "*b k"] | NoiseFn | None = None,
    generator: torch.Generator | None = None,
    mask: Bool[Tensor, "*m"] | None = None,
) -> Float[Tensor, "*b k"]:
    """Draw relaxed samples softmax((logits + g) / temperature), ``... k``, with gradients for logits and temperature.

    Args:
        logits: unnormalised log-probabilities ``... k``.
        temperature: a number > 0, or a tensor as ``align_temperature`` takes it.
        noise: standard Gumbel noise ``... k`` to use instead of drawing it, or a function that returns it.
        generator: source of the noise.
        mask: True where a class is allowed.

    Raises:
        ValueError: temperature <= 0 or NaN; a row has no allowed class or a NaN (see the module).
    """
    temperature = align_temperature(temperature, logits)
    logits = mask_logits(logits, mask)
    if noise is None:
        noise = partial(draw_noise, generator=generator)
    soft = None
    if is_drawn(noise) and not learns(temperature):
        soft = drawn_softmax(upcast(logits), temperature, noise.keywords.get("generator"))
    if soft is None:
        soft = _softmax(logits, temperature, noise if isinstance(noise, Tensor) else noise(logits))
    check_finite(soft[..., 0], logits)
    return soft.to(logits.dtype)


def tempered_softmax(logits: Float[Tensor, "*b k"], temperature: float | Tensor) -> Float[Tensor, "*b k"]:
    """Compute softmax(logits / temperature), ``... k``; temperature and errors as for ``gumbel_softmax``."""
    temperature = align_temperature(temperature, check_logits(logits))
    soft = _softmax(logits, temperature)
    check_finite(soft[..., 0], logits)
    return soft.to(logits.dtype)


def one_hot(codes: Int[Tensor, "*b"], k: int, dtype: torch.dtype = torch.float32) -> Float[Tensor, "*b k"]:
    """Encode codes as one-hot vectors, ``... -> ... k``.

    Raises:
        ValueError: codes that are not whole numbers.
    """
    codes = check_codes(codes)
    return codes.new_zeros((), dtype=dtype).expand(*codes.shape, k).scatter(-1, codes[..., None], 1)


def hard_from_soft(soft: Float[Tensor, "*b k"]) -> Float[Tensor, "*b k"]:
    """Return the one-hot vector of each row's largest entry, ``... k -> ... k``, the first on ties; no gradient."""
    return one_hot(argmax(soft), soft.shape[-1], soft.dtype)


def argmax(values: Float[Tensor, "*b k"]) -> Int[Tensor, "*b"]:
    """Return the index of each row's largest entry, ``... k -> ...``, the first on ties; no gradient."""
    # On a CPU PyTorch's argmax is not vectorised; NumPy's is ten times as fast for many classes.
    values = check_logits(values.detach(), "values")
    if readable(values) and values.dtype in (torch.float32, torch.float64):
        return torch.as_tensor(values.numpy().argmax(-1))
    return values.argmax(-1)


def mode(logits: Float[Tensor, "*b k"]) -> Int[Tensor, "*b"]:
    """Return the most probable class of each row, ``... k -> ...``, the first on ties; no gradient.

    Raises:
        ValueError: a row has no allowed class or a NaN (see the module).
    """
    codes = argmax(check_logits(logits))
    check_finite(logits.detach().gather(-1, codes[..., None]), logits)
    return codes


def mask_logits(logits: Float[Tensor, "*b k"], mask: Bool[Tensor, "*m"] | None) -> Float[Tensor, "*b k"]:
    """Set logits ``... k`` to -inf where the boolean ``mask`` is False.

    Raises:
        ValueError: logits that are no tensor, not floating point or have no class, a mask that is not boolean or of
            another shape.
    """
    check_logits(logits)
    if mask is None:
        return logits
    if mask.dtype != torch.bool:
        raise ValueError(f"mask must be boolean, True where a class is allowed, got {mask.dtype}; use mask.bool()")
    try:
        return logits.masked_fill(~mask, -math.inf)
    except RuntimeError as error:
        raise ValueError(
            f"mask must broadcast to logits of shape {tuple(logits.shape)} on {logits.device}, got shape "
            f"{tuple(mask.shape)} on {mask.device}"
        ) from error


def _invert(weights: Tensor, generator: torch.Generator | None) -> Tensor:
    """Draw a class in proportion to ``weights``, ``... k -> ... 1``; never one of weight 0 by rounding."""
    weights = weights.double()
    cumulative = weights.cumsum(-1).masked_fill(weights <= 0, -1.0)  # ... k
    total = cumulative.amax(-1, keepdim=True)
    point = total * torch.rand(total.shape, generator=generator, dtype=total.dtype, device=total.device)
    chosen = (cumulative > point) | (cumulative == total)
    return chosen.byte().argmax(-1, keepdim=True)


def _softmax(logits: Tensor, temperature: float | Tensor, noise: Tensor | None = None) -> Tensor:
    """Compute softmax((logits + noise) / temperature), ``... k``, float32 or float64."""
    logits = upcast(logits)
    if not learns(temperature):
        noise = None if noise is None else noise.to(logits.dtype)
        if (soft := perturbed_softmax(logits, temperature, noise)) is not None:
            return soft
    scores = logits if noise is None else logits + noise
    if not learns(temperature):
        return (scores / temperature).softmax(-1)
    # A logit of -inf gives the temperature no gradient instead of NaN.
    masked = scores.isneginf()
    return (scores.masked_fill(masked, 0.0) / temperature.to(scores.dtype)).masked_fill(masked, -math.inf).softmax(-1)
