"""Published results on SeqGAN's oracle (vocabulary 5,000, length 20, 10,000 training sequences), in nats per token.

A curve is a temperature sweep over the inverse temperatures ``ALPHAS``. Each point is (NLL_oracle of the model's
samples, NLL_test of the model on held-out sentences), both at that temperature. From Caccia et al. 2020, "Language GANs
falling short" (arXiv:1811.02549).
"""

from __future__ import annotations

Point = tuple[float, float]

ALPHAS = (0.70, 1.00, 1.30, 1.51, 1.75, 1.99)
CURVES: dict[str, list[Point]] = {
    "MLE (Caccia et al. 2020)": [
        (10.031, 7.598),
        (9.400, 7.610),
        (8.647, 7.808),
        (8.052, 8.044),
        (7.246, 8.400),
        (6.526, 8.835),
    ],
    "adversarial RL (Caccia et al. 2020)": [
        (9.742, 7.735),
        (8.754, 8.062),
        (7.587, 8.710),
        (6.836, 9.316),
        (6.237, 10.12),
        (5.833, 11.02),
    ],
    "SeqGAN, the authors' code (Caccia et al. 2020)": [
        (10.156, 8.313),
        (9.617, 9.215),
        (9.168, 10.41),
        (8.924, 11.23),
        (8.641, 12.56),
        (8.426, 13.80),
    ],
}

# Measured on the published oracle: its own samples, words drawn by frequency (NLL_test depends on smoothing), and the
# greedy sentence (NLL_test is infinite).
REFERENCE_POINTS: dict[str, tuple[float, float | None]] = {
    "truth": (5.757, 5.757),
    "unigram": (10.28, None),
    "one greedy sentence": (2.756, None),
}
