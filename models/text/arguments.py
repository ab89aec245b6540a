"""Arguments of text models: pretraining, a trained model to start from, nested specs that are checked by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...ranges import check_positive, check_sizes
from ...registry import Registry, Spec, from_options
from ...vocabulary import Vocabulary, read_vocabulary
from .base import TextModel


@dataclass(frozen=True)
class Pretraining:
    """Maximum likelihood before the objective's own phase.

    Args:
        steps: optimizer steps of maximum likelihood.
        learning_rate: peak learning rate of the generator in these steps.
        discriminator_steps: the discriminator trains as well in this many of the last ``steps``.

    Raises:
        ValueError: a negative number of steps, more discriminator steps than steps, a learning rate that is not > 0.
    """

    steps: int = 0
    learning_rate: float = 1e-3
    discriminator_steps: int = 0

    def __post_init__(self) -> None:
        steps = {"pretraining.steps": self.steps, "pretraining.discriminator_steps": self.discriminator_steps}
        check_sizes(0, **steps)
        check_positive(**{"pretraining.learning_rate": self.learning_rate})
        if self.discriminator_steps > self.steps:
            raise ValueError(
                f"pretraining.discriminator_steps are a part of pretraining.steps, got {self.discriminator_steps} of "
                f"{self.steps}; raise pretraining.steps"
            )


NO_PRETRAINING = Pretraining()


def check_spec(registry: Registry[Any], spec: Spec) -> None:
    """Check the names in a spec, those of nested specs included, and build nothing; errors are those of ``read``."""
    name, options = registry.read(spec)
    for option, part in getattr(registry[name], "parts", {}).items():
        value = options.get(option)
        if isinstance(part, Registry) and isinstance(value, (str, dict)):
            check_spec(part, value)
        elif isinstance(part, type) and value is not None:
            from_options(part, value)


def check_init_from(
    init_from: Any,
    vocabulary: Vocabulary | Mapping[str, Any] | None,
    max_length: int | None,
    generator: Spec | None,
    classes: int | list[str] = 0,
) -> TextModel:
    """Return the trained model to start from.

    Raises:
        ValueError: a name instead of a model, a model of another kind, an argument that differs from the model's own.
    """
    if isinstance(init_from, str):
        raise ValueError(
            f"init_from must be a loaded model, got the text '{init_from}'; use init_from=load('{init_from}')"
        )
    if not isinstance(init_from, TextModel):
        kind = getattr(init_from, "registry_name", type(init_from).__name__)
        raise ValueError(f"init_from must be a trained text model, got a {kind}")
    own_vocabulary, conditions = init_from.require_vocabulary(), init_from.generator.label_embedding
    if conditions is not None and not init_from.generator.classes:
        kind = getattr(init_from, "registry_name", type(init_from).__name__)
        raise ValueError(f"init_from is a {kind}, whose generator needs latents; start from a text_gan")
    if vocabulary is not None and read_vocabulary(vocabulary) != own_vocabulary:
        raise ValueError("init_from brings another vocabulary; leave out vocabulary")
    own = {
        "max_length": (max_length, init_from.max_length),
        "generator": (generator, init_from.generator_spec),
        "classes": (classes or None, [*init_from.class_names] if isinstance(classes, list) else init_from.classes),
    }
    for name, (given, brought) in own.items():
        if given not in (None, brought):
            raise ValueError(f"init_from brings the {name} {brought}, and {given} is asked for; leave out {name}")
    return init_from
