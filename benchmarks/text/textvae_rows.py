"""Rows of the benchmark of text VAEs: what each of them trains."""

from __future__ import annotations

from dataclasses import dataclass

CONFIG, LM_CONFIG = "textvae_captions", "textgan_captions_mle"
SEEDS = (0, 1, 2)
FREE_BITS = 4.5  # of the configuration
CATEGORICAL, GAUSSIAN, ADVERSARIAL, CONTROL = "categorical", "gaussian", "adversarial", "control"
SIZES = "latents: 3, categories: 16"


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes:
        section: categorical, gaussian, adversarial or control.
        options: of ``fit``, beside the configuration.
        config: configuration.
        free_bits: nats of the KL without a cost; those of the configuration in all rows but the curve over them.
        note: text of the column ``note``.
    """

    section: str
    options: tuple[str, ...] = ()
    config: str = CONFIG
    free_bits: float = FREE_BITS
    note: str = ""


def _categorical(estimator: str, note: str = "") -> Row:
    latent = f"--model.latent={{name: categorical, {SIZES}, estimator: {estimator}}}"
    return Row(CATEGORICAL, (latent,), note=note)


def _free_bits(section: str, nats: float, latent: str) -> Row:
    options = (f"--model.matching={{name: kl, free_bits: {nats}, warmup: 300}}", f"--model.latent={latent}")
    return Row(section, options, free_bits=nats)


_STRAIGHT = f"{{name: categorical, {SIZES}, estimator: straight_through_gumbel_softmax}}"
_NORMAL = "{name: gaussian, latents: 4}"

# The most wanted first.
ROWS: dict[str, Row] = {
    "language_model": Row(CONTROL, config=LM_CONFIG, note="the same decoder without z; `bound` is its exact NLL"),
    "straight_through_gumbel_softmax": _categorical("straight_through_gumbel_softmax"),
    "gaussian": Row(GAUSSIAN, (f"--model.latent={_NORMAL}",), note="4 latents"),
    "gumbel_softmax": _categorical("gumbel_softmax"),
    "reinforce_leave_one_out": _categorical("{name: reinforce, samples: 4}", "4 draws of z"),
    "autoencoder": Row(CONTROL, ("--model.matching={name: kl, weight: 0.0}",), note="KL without weight"),
    "no_free_bits": _free_bits(CONTROL, 0.0, _STRAIGHT),
    "adversarial": Row(
        ADVERSARIAL,
        (
            "--model.latent={name: categorical, latents: 3, categories: 8, estimator: straight_through_gumbel_softmax}",
            "--model.matching={name: adversarial, weight: 10.0, warmup: 1600}",
            "--model.word_dropout=0.6",
            "--trainer.max_epochs=24",
            "--model.optimizer={learning_rate: 3.0e-3, weight_decay: 0.0, schedule: cosine, warmup: 150}",
        ),
        note="3 latents of 8 categories, word dropout 0.6, rate 0.003, no weight decay, 24 epochs",
    ),
    "categorical_2": _free_bits(CATEGORICAL, 2.0, _STRAIGHT),
    "categorical_8": _free_bits(CATEGORICAL, 8.0, _STRAIGHT),
    "gaussian_2": _free_bits(GAUSSIAN, 2.0, _NORMAL),
    "gaussian_8": _free_bits(GAUSSIAN, 8.0, _NORMAL),
}
