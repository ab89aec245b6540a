"""What ``validate`` and ``test`` print, and the metrics of images that ``test`` adds to the model's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jsonargparse import Namespace
from lightning.pytorch import LightningDataModule, Trainer
from lightning.pytorch.utilities.seed import isolate_rng
from torch import nn

from ...callbacks import ImageMetrics
from ...evaluation.published_networks import InceptionFeatures, lpips_metric
from ...models import ZooModel
from ...pretrained.api import load
from ...pretrained.untrusted import printable

INCEPTION = "inception"
OPTIONS = ("fid", "fid_samples", "lpips")


def print_metrics(results: Sequence[Mapping[str, float]], facts: Mapping[str, str]) -> dict[str, float]:
    """Print facts and metrics, one a line, and return the metrics.

    Args:
        results: metrics by name, of each data loader.
        facts: what was measured.
    """
    metrics = {name: float(value) for result in results for name, value in result.items()}
    for name, value in facts.items():
        print(printable(f"{name:24s} {value}"))
    for name, metric in metrics.items():
        print(f"{name:24s} {metric:.4f}")
    return metrics


def image_metrics(
    command: str | None, options: Namespace, model: ZooModel, data: LightningDataModule
) -> list[ImageMetrics]:
    """Return the callback that measures images at ``test``, with the networks that the options name.

    The random state stays as it is, so that the model's own metrics are the same with any of these options.

    Raises:
        ValueError: one of these options for another command or for a model without such images; no such network, no
            weights of it, or images that do not fit it.
    """
    given = [name for name in OPTIONS if options.get(name) is not None]
    if command != "test":
        if given:
            raise ValueError(f"--{given[0]} is an option of `test`, leave it out")
        return []
    if not given:
        return [ImageMetrics()]
    _check_images(given, options, model)
    shape = tuple(data.shape)  # type: ignore[attr-defined]
    with isolate_rng():
        features = _feature_network(options.fid, shape) if options.fid else None
        lpips = lpips_metric(options.lpips, shape) if options.lpips else None
    return [ImageMetrics(features, options.fid_samples or 0, lpips, int(options.seed_everything or 0))]


def added_metrics(trainer: Trainer) -> list[str]:
    """Return names of the metrics of a test that a test without options does not have."""
    callbacks = [callback for callback in trainer.callbacks if isinstance(callback, ImageMetrics)]  # type: ignore[attr-defined]
    return sorted({name for callback in callbacks for name in callback.added})


def _check_images(given: Sequence[str], options: Namespace, model: ZooModel) -> None:
    """Check that a model makes the images that options ask for, and that samples have features."""
    if options.fid is None and options.fid_samples is not None:
        raise ValueError("--fid_samples needs the features to compare them in: add --fid=NAME")
    if model.batch_key != "image" or not (hasattr(model, "reconstruct") and hasattr(model, "encode")):
        raise ValueError(f"a {model.registry_name} model has no reconstructions of images: leave --{given[0]} out")
    if options.fid_samples is not None and not hasattr(model, "sample"):
        raise ValueError(f"a {model.registry_name} model cannot sample: leave --fid_samples out")


def _feature_network(name: str, shape: tuple[int, ...]) -> nn.Module:
    """Return the network that ``--fid`` names, for images of a shape."""
    if name == INCEPTION:
        return InceptionFeatures()
    network = load(name)
    if not hasattr(network, "features") or not hasattr(network, "logits"):
        raise ValueError(
            f"'{name}' is a {network.registry_name}; --fid takes a classifier, such as features-mnist, or {INCEPTION}"
        )
    if (known := tuple(network.image_shape)) != shape:  # type: ignore[arg-type]
        raise ValueError(
            f"'{name}' takes images of shape {known}, the data has {shape}; --fid takes another classifier"
        )
    return network


def shown_options(options: Namespace) -> dict[str, str]:
    """Return facts of the metrics that options add: the feature network, the samples."""
    facts: dict[str, str] = {}
    if options.fid is not None:
        facts["feature network"] = options.fid
    if options.fid_samples is not None:
        facts["samples"] = f"{options.fid_samples:,}, temperature 1, seed {int(options.seed_everything or 0)}"
    if options.lpips is not None:
        facts["lpips network"] = options.lpips
    return facts
