"""Glimpses one after the other: nested expectations, exact draws with their log-probabilities, and soft glimpses.

After the last glimpse comes the class, and no further choice, so that every log-probability has had an effect. Axes:
``b`` images, ``n`` places, ``t`` glimpses, ``s`` samples, ``y`` classes.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..networks.image_classifier import nll
from ..relaxed import RelaxedCategorical
from ..relaxed.densities import categorical_kl, log_prob
from ..relaxed.sampling import tempered_softmax
from .network import GlimpseNetwork
from .places import Choose


class Path(NamedTuple):
    """Glimpses of images.

    Attributes:
        codes: places, int64 ``... b t``.
        log_probs: of each place given those before, in nats, ``... b t``.
        kl: KL(policy || uniform) of each choice in nats, ``... b t``.
        first: probabilities of the first place, ``b n``, without a gradient.
        logits: of the classes after the last glimpse, ``... b y``.
    """

    codes: Tensor
    log_probs: Tensor
    kl: Tensor
    first: Tensor
    logits: Tensor


def expected_nll(
    network: GlimpseNetwork,
    layer: RelaxedCategorical,
    x: Tensor,
    label: Tensor,
    glimpses: int,
    centre: Tensor | None = None,
    weight: float = 0.0,
) -> Tensor:
    """Estimate E[-log p(y | glimpses)] per image, ``b`` nats, with the layer's gradient: glimpses nest.

    A pathwise estimator goes one path. ``exact`` evaluates all n^t, and others multiply their samples.

    Args:
        network: of glimpses.
        layer: its estimator.
        x: images ``b c h w``.
        label: ``b``.
        glimpses: t.
        centre: of the objects, ``b 2``, if the data tell it.
        weight: of the KL of each choice from uniform, which is added.
    """
    state, scene = network.start(x)
    # Without a gradient through z its codes say all, and a row is cheaper than a product.
    as_codes = layer.one_hot_samples and not layer.estimator.pathwise

    def follow(state: Tensor, step: int) -> Tensor:
        if step == glimpses:
            return nll(network.head(state), label)

        def cost(z: Tensor) -> Tensor:
            chosen = z.argmax(-1) if as_codes else z
            return follow(network.look(state, scene, chosen, layer.one_hot_samples and not as_codes), step + 1)

        logits = network.choice(state, scene, step, centre)
        value = layer.expectation(logits, cost)
        return value + weight * categorical_kl(logits) if weight else value

    return follow(state, 0)


def draw_path(
    network: GlimpseNetwork, x: Tensor, glimpses: int, draw: Choose, centre: Tensor | None = None, samples: int = 0
) -> Path:
    """Choose place after place by ``draw``, which maps logits ``... n`` to codes ``...``.

    Args:
        network: of glimpses.
        x: images ``b c h w``.
        glimpses: t, at least 1.
        draw: ``layer.sample``, ``layer.mode`` or the like.
        centre: of the objects, ``b 2``, if the data tell it.
        samples: paths of each image, with a leading axis ``s``; 0 for one path without this axis.
    """
    state, scene = network.start(x)
    state = state.expand(samples, *state.shape) if samples else state
    codes: list[Tensor] = []
    log_probs, kl, first = [], [], None
    for step in range(glimpses):
        logits = network.choice(state, scene, step, centre)
        if first is None:
            first = (logits[0] if samples else logits).detach().softmax(-1)
        codes.append(draw(logits))
        log_probs.append(log_prob(logits, codes[-1]))
        kl.append(categorical_kl(logits))
        state = network.look(state, scene, codes[-1])
    assert first is not None
    return Path(torch.stack(codes, -1), torch.stack(log_probs, -1), torch.stack(kl, -1), first, network.head(state))


def soft_logits(
    network: GlimpseNetwork, x: Tensor, glimpses: int, centre: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Look at the mean of all windows, weighted by the policy: the differentiable control.

    Returns:
        Logits of the classes ``b y``, and of the places ``b t n``.
    """
    state, scene = network.start(x)
    chosen = []
    for step in range(glimpses):
        chosen.append(network.choice(state, scene, step, centre))
        state = network.look(state, scene, tempered_softmax(chosen[-1], 1.0))
    return network.head(state), torch.stack(chosen, 1)
