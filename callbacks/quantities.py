"""Names and units of logged metrics where people read them. The logged keys are those of released records."""

from __future__ import annotations

QUANTITIES: dict[str, tuple[str, str]] = {  # name and unit by key, without train/, val/ and test/
    "loss": ("objective", ""),
    "elbo": ("negative ELBO", "nats"),
    "bound": ("bound on -log p", "nats"),
    "kl": ("KL to the prior", "nats"),
    "reconstruction": ("reconstruction, -log p(x | z)", "nats"),
    "nll": ("negative log-likelihood", "nats per token or image"),
    "nats_per_code": ("negative log-likelihood", "nats per code"),
    "nats_per_dim": ("reconstruction, -log p(x | z)", "nats per dimension"),
    "bits_per_dim": ("bound on -log p", "bits per dimension"),
    "nmse": ("squared error / variance of the pixels", ""),
    "rate": ("rate", "nats per position"),
    "distortion": ("distortion", ""),
    "usage": ("codes in use", "share"),
    "perplexity": ("perplexity of the codes", "codes"),
    "accuracy": ("accuracy", "share"),
    "temperature": ("temperature", ""),
}


def name_of(key: str) -> str:
    """Return the name of a metric, ``val/elbo`` as ``val/negative ELBO``; keys that say what they are are kept."""
    stage, slash, quantity = key.rpartition("/")
    return f"{stage}{slash}{'negative ELBO' if quantity == 'elbo' else quantity}"


def title_of(quantity: str) -> tuple[str, str]:
    """Return name and unit of a quantity for a plot."""
    return QUANTITIES.get(quantity, (quantity.replace("_", " "), ""))
