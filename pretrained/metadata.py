"""Metadata on top of a card, by which the hub finds and sorts a release: ``ModelCardData`` of huggingface_hub."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..models.base import ZooModel
from .untrusted import printable

LIBRARY = "gumbelzoo"
# Data sets that are on the hub, by our names. The others have no page there that a card could link to.
ON_THE_HUB = {
    "mnist": "ylecun/mnist",
    "fashion_mnist": "zalando-datasets/fashion_mnist",
    "cifar10": "uoft-cs/cifar10",
    "cifar100": "uoft-cs/cifar100",
    "svhn": "ufldl-stanford/svhn",
    "tinyshakespeare": "karpathy/tiny_shakespeare",
}
# Parts that say how a model works, and what is added to a name that says little alone, such as vector.
TAGGED = {
    "estimator": "",
    "quantizer": "-quantizer",
    "network": "",
    "generator": "",
    "objective": "-objective",
}
RENAMED = {"perplexity": "code_perplexity"}  # on the hub, perplexity is that of a language model
TAG = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}")


def card_metadata(
    name: str,
    model: ZooModel,
    data: Mapping[str, Any] | None = None,
    test: Mapping[str, Any] | None = None,
    licence: str | None = None,
) -> str:
    """Return the metadata as the lines of YAML that a card starts with, between two ``---``.

    Args:
        name: of the release.
        model: the released model. Its card has the task, and which metrics are listed.
        data: ``ReleaseConfig.data``.
        test: ``ReleaseConfig.test``.
        licence: identifier of the model's licence; None states none.
    """
    from huggingface_hub import ModelCardData

    results = _results(model, data or {}, test or {})
    data_set = ON_THE_HUB.get(_data_name(data or {}))
    content = ModelCardData(
        library_name=LIBRARY,
        license=licence,
        pipeline_tag=model.card.task or None,
        tags=_tags(model),
        datasets=[data_set] if data_set else None,
        model_name=printable(name) if results else None,
        eval_results=results or None,
    )
    return f"---\n{content.to_yaml()}\n---\n"


def _tags(model: ZooModel) -> list[str]:
    """Names of the model and of the parts that say how it works, as far as they can be tags."""
    arguments, names = model.config(), [str(model.registry_name)]
    for part in TAGGED.keys() & type(model).parts.keys() & arguments.keys():
        spec = arguments[part]
        found = spec.get("name") if isinstance(spec, dict) else spec
        names += [f"{found}{TAGGED[part]}"] if isinstance(found, str) else []
    tags = [name.replace("_", "-").lower() for name in names]
    return ["pytorch", *sorted({tag for tag in tags if TAG.fullmatch(tag)})]


def _results(model: ZooModel, data: Mapping[str, Any], test: Mapping[str, Any]) -> list[Any]:
    """Test metrics that tables show, rounded as the card prints them."""
    from huggingface_hub import EvalResult

    metrics, facts = test.get("metrics", {}), test.get("metadata", {})
    known = _data_name(data)
    binarization = facts.get("binarization", "none").partition(":")[0]
    shown = facts.get("data set", known) + ("" if binarization == "none" else f", {binarization} binarization")
    return [
        EvalResult(
            task_type=model.card.task or "other",
            dataset_type=ON_THE_HUB.get(known, printable(known)),
            dataset_name=printable(shown),
            dataset_split="test",
            metric_type=RENAMED.get(name, name),
            metric_name=f"test/{name}",
            metric_value=round(float(metrics[f"test/{name}"]), 4),
        )
        for name in model.card.metrics
        if f"test/{name}" in metrics
    ]


def _data_name(data: Mapping[str, Any]) -> str:
    """Registry name of the data set, else of the data module; a folder of a user's may be called mnist too."""
    return str(data.get("arguments", {}).get("name") or data.get("class") or "unknown")
