"""The interface of objectives that match q(z) to the prior, by name in ``MATCHINGS``. Axes: ``b`` batch, ``w`` of z."""

from __future__ import annotations

from torch import Tensor, nn

from ....registry import Registry
from ...relaxed.surrogate import Cost
from .latent import Latent


class Matching(nn.Module):
    """Base class of matchings. A subclass writes ``metrics``.

    Args:
        width: w of z.

    Attributes:
        trains_prior: the loss has a gradient for the parameters of a prior.
        monitor: metric that selects ``best.ckpt``; lower is better.
        learning_rate: of its own parameters, which then have no weight decay, and no schedule after the warm-up; None
            for that of the model.
    """

    trains_prior: bool = True
    monitor: str = "val/elbo"
    learning_rate: float | None = None

    def __init__(self, width: int) -> None:
        super().__init__()

    def metrics(self, latent: Latent, posterior: Tensor, cost: Cost, step: int) -> dict[str, Tensor]:
        """Named scalars of a batch, in nats per sentence; the model descends ``loss``.

        Args:
            latent: posterior and prior.
            posterior: parameters of q(z | x).
            cost: -log p(x | z) of z ``... b w``, ``... b``.
            step: optimizer steps taken so far.
        """
        raise NotImplementedError

    def penalty(self, z: Tensor) -> Tensor | None:
        """Return what draws pay on top of -log p(x | z), ``... w -> ...``; None where the KL or nothing is paid."""
        return None

    def figures(self, latent: Latent, posterior: Tensor) -> dict[str, Tensor]:
        """Return figures of all test sentences, whose posteriors these are, by name."""
        return {}


def warmed_up(step: int, warmup: int) -> float:
    """Return the share of a weight that is reached after ``step`` of ``warmup`` steps; 1 without a warm-up."""
    return min(1.0, step / warmup) if warmup else 1.0


MATCHINGS: Registry[type[Matching]] = Registry("matching", context=("width",), base=Matching)
