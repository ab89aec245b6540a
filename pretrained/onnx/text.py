"""The graph of a text generator: one step of sampling. Axes: ``b`` batch, ``v`` vocabulary."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...byte_pairs import LETTERS
from ...models.base import ZooModel
from ...models.text.base import TextModel
from ...models.text.generators.base import LanguageModel
from ...models.text.generators.packing import PackedState
from ...models.text.text_vae import TextVAE
from ...vocabulary import BPE
from .graph import BATCH, PAST, Graph, Value


class Step(Graph):
    """Logits of the next token and the state after it, from the latest token and the state before it.

    Args:
        generator: whose state is packed.
    """

    def __init__(self, generator: LanguageModel) -> None:
        if not isinstance(generator, PackedState):
            raise ValueError(
                f"the generator {type(generator).__name__} does not say what its state is: give it the methods of "
                "PackedState"
            )
        shapes, v = generator.state_shapes(), generator.vocab_size
        inputs = [Value("token", (BATCH,), torch.int64, 0, v, "latest token, first bos")]
        if generator.classes:
            inputs.append(Value("label", (BATCH,), torch.int64, 0, generator.classes - 1, "class of the text"))
        state = [Value(name, shape, meaning="state, zeros at first") for name, shape in shapes.items()]
        grown = [
            Value(f"next_{name}", tuple(f"{PAST} + 1" if axis == PAST else axis for axis in shape), meaning="new state")
            for name, shape in shapes.items()
        ]
        logits = Value("logits", (BATCH, v), meaning="of the next token, unnormalised")
        super().__init__("generator.onnx", [*inputs, *state], [logits, *grown], generator.max_length - 1)
        self.generator: Any = generator

    def forward(self, token: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
        """Compute logits ``b v`` and the new state."""
        model = self.generator
        label, packed = (others[0], others[1:]) if model.classes else (None, others)
        features, state = model.step(model.add_label(model.embedding(token), label), model.unpack_state(packed))
        return (model.head(features), *model.pack_state(state))

    def axes(self) -> tuple[Any, ...]:
        """Return the same, as ``forward`` takes them: all but the token in one tuple."""
        token, *others = super().axes()
        return token, tuple(others)


def text_graphs(model: ZooModel) -> list[Graph]:
    """Return the graph of a text model's generator, none of a VAE's; ValueError for one whose state is not packed."""
    return [Step(model.generator)] if isinstance(model, TextModel) and not isinstance(model, TextVAE) else []


def describe_text(model: ZooModel) -> dict[str, Any]:
    """Return the vocabulary and length of a text model, as plain values; empty for other models."""
    if not isinstance(model, TextModel):
        return {}
    vocabulary = model.require_vocabulary()
    ids = {"bos": vocabulary.bos, "eos": vocabulary.eos, "unk": vocabulary.unk}
    alphabet = {"alphabet": "".join(LETTERS)} if vocabulary.level == BPE else {}
    return {"max_length": model.max_length, "vocabulary": {**vocabulary.config(), **ids, **alphabet}}
