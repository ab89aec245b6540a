"""What a model card says of each kind of model, and which of its test figures stand in tables."""

from __future__ import annotations

from dataclasses import dataclass

from ..registry import Registry


@dataclass(frozen=True)
class Words:
    """The part of a card that is the same for every release of a model.

    Attributes:
        use: what it is good for.
        limits: what it is not, and what its figures do not say.
        example: Python that uses ``model``.
        figures: the test metrics of tables, without ``test/``; those that a release has, at most three.
    """

    use: str
    limits: str
    example: str
    figures: tuple[str, ...]


WORDS: Registry[Words] = Registry("model card")
BITS = "Bounds are comparable only under the same binarization and the same number of samples m."


def words_of(model: str) -> Words:
    """The words of a model by its registry name; plain ones for a model that has none."""
    return WORDS[model] if model in WORDS else Words("Research and teaching.", "None are known.", "model", ())


WORDS.register("categorical_vae")(
    Words(
        use="Research and teaching: a small generative model of binary images whose codes are discrete.",
        limits=f"It knows the images of its data set, at their size, and nothing else. {BITS} Samples of its prior, "
        "whose latents are independent, are worse than its reconstructions.",
        example="images = model.sample(16)  # b c h w, the probability that a pixel is white\n"
        "codes = model.encode(images.round())  # b n, one category for each latent\n"
        "again = model.decode(codes)",
        figures=("bound", "elbo"),
    )
)
WORDS.register("gaussian_vae")(
    Words(
        use="Research and teaching: the reference line with continuous latents for the categorical VAEs.",
        limits=f"It knows the images of its data set, at their size, and nothing else. {BITS}",
        example="images = model.sample(16)  # b c h w, the probability that a pixel is white\n"
        "means = model.encode(images.round())  # b n",
        figures=("bound", "elbo"),
    )
)
WORDS.register("structured_prediction")(
    Words(
        use="Research and teaching: the lower half of an image from its upper half, through stacked categories.",
        limits="It draws no images from nothing, and knows those of its data set only. Bounds are of the lower half, "
        "and comparable only under the same binarization and the same number of samples m.",
        example="# images: b c h w\ncompleted = model.complete(images, samples=4)",
        figures=("bound", "elbo"),
    )
)
WORDS.register("vq_vae")(
    Words(
        use="Research and teaching: images as small grids of codes, and back; the basis of a prior over codes.",
        limits="Its own samples have independent, uniform codes and look like nothing: images need a `code_prior`. "
        "The NMSE is of the images it was trained on, in units of their variance; it says nothing of others.",
        example="codes = model.encode(images)  # b h w q, for images b c h w in [0, 1]\nagain = model.decode(codes)",
        figures=("nmse", "bits_per_dim", "perplexity"),
    )
)
WORDS.register("code_prior")(
    Words(
        use="Research and teaching: images drawn code by code, through the decoder of the VQ-VAE that it contains.",
        limits="Images are no sharper than the VQ-VAE's reconstructions. Nats per code depend on the codebook: they "
        "compare priors over the same codes, and no others; those of maskgit are an upper bound, estimated by draws.",
        example="images = model.sample(16)  # b c h w\ncodes = model.encode(images)  # b h w q",
        figures=("nats_per_code", "bits_per_dim", "perplexity"),
    )
)
WORDS.register("text_gan")(
    Words(
        use="Research and teaching: short texts in the manner of its training text.",
        limits="It repeats what its training text says, with its errors and prejudices, and nothing that it says is "
        "meant. BLEU and Self-BLEU hold for the stated number of samples only, and one is won by losing the other.",
        example="for sentence in model.sample(16):\n    print(sentence)",
        figures=("nll_oracle", "nll", "bleu_4", "self_bleu_4", "valid", "total_variation", "distinct"),
    )
)
WORDS.register("classifier")(
    Words(
        use="Features in which samples of other models are compared with data (Frechet distance).",
        limits="It is small, and no state of the art: distances in its features compare with none in other features.",
        example="features = model.features(images)  # b d, for images b c h w in [0, 1]",
        figures=("accuracy", "loss"),
    )
)
