"""The card of a release, written from what ``fit`` and ``test`` left in the run."""

from __future__ import annotations

import inspect
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..models import ZooModel
from ..models.cards import words_of
from ..pretrained.config import WEIGHTS

SENTENCES = 20


def write_card(
    name: str,
    model: ZooModel,
    fit: Mapping[str, Any],
    test: Mapping[str, Any],
    pictures: Sequence[str] = (),
    sentences: Sequence[str] = (),
    half: bool = False,
) -> str:
    """What the model is, what was measured, how it was made, what it is for.

    Args:
        name: of the release.
        model: the released model.
        fit: what ``fit.json`` of the run holds.
        test: what ``test.json`` of the run holds.
        pictures: files in the release.
        sentences: samples of a model of text.
        half: whether the weights are stored in half precision, and ``test`` is of these.
    """
    words, versions = words_of(model.registry_name), test["versions"]
    overview = inspect.cleandoc(type(model).__doc__ or "").partition("\nArgs:")[0].strip()
    shown = [f"![{Path(picture).stem}]({picture})" for picture in pictures]
    if sentences:
        shown += [f"{len(sentences)} samples, drawn with seed 0, not chosen:\n\n~~~~text", *sentences, "~~~~"]
    figures = "\n".join(f"| {metric} | {value:.4f} |" for metric, value in test["metrics"].items())
    data = "\n".join(f"- {fact}: {value}" for fact, value in test["data"].items())
    precision = f"half precision in `{WEIGHTS}`, float32 once loaded; the figures are of these" if half else "float32"
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return f"""---
library_name: gumbelzoo
license: apache-2.0
---
# {name}

A `{model.registry_name}` of gumbelzoo. {overview}

{parameters:,} parameters; weights in {precision}.

{chr(10).join(shown)}

## Data

{data}

## Measured on the test set

Negative log-likelihoods are in nats, lower is better; `bound` and `elbo` bound them from above.

| metric | value |
|---|---|
{figures}

The same figures again: `gumbelzoo test {name}` (seed {test["seed"]}; {test["minutes"]} minutes on {test["hardware"]}).

## How it was made

- command: `{portable(fit["command"])}`
- seed {fit["seed"]}, {fit["batches"]} training batches, {fit["minutes"]} minutes on {fit["hardware"]}
- commit {fit["commit"]}; {", ".join(f"{package} {version}" for package, version in versions.items())}
- tested by `{portable(test["command"])}`, commit {test["commit"]}
- checkpoint {test["checkpoint"]} after {test["batches"]} batches

## Intended use and limits

{words.use}

{words.limits}

## Use

```python
import gumbelzoo

model = gumbelzoo.load("{name}")
{words.example}
```
"""


def portable(command: str) -> str:
    """A command that begins a run, without the folders of the machine: paths begin at ``configs`` or ``runs``."""
    words = shlex.split(re.sub(r" --ckpt_path[ =](last|best)\b", "", command))
    return shlex.join(_portable(word) for word in words if not word.startswith("--trainer.default_root_dir="))


def _portable(word: str) -> str:
    option, equals, value = word.rpartition("=")
    parts = Path(value).parts
    if not Path(value).is_absolute():
        return word
    start = next((parts.index(folder) for folder in ("configs", "runs") if folder in parts), -1)
    return f"{option}{equals}{Path(*parts[start:])}"
