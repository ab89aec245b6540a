"""Card of a release, written from the run's ``fit.json`` and ``test.json``."""

from __future__ import annotations

import inspect
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..models import ZooModel
from ..pretrained.untrusted import printable
from ..pretrained.weights import WEIGHTS

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
    """Return the card: what the model is, its test metrics, how it was trained, what it is for.

    Args:
        name: of the release.
        model: the released model.
        fit: content of the run's ``fit.json``.
        test: content of the run's ``test.json``.
        pictures: files in the release.
        sentences: samples of a text model.
        half: whether the weights are stored in half precision; ``test`` was measured with these weights.
    """
    overview = inspect.cleandoc(type(model).__doc__ or "").partition("\nArgs:")[0].strip()
    shown = [f"![{Path(picture).stem}]({picture})" for picture in pictures]
    if sentences:
        lines = [printable(sentence) for sentence in sentences]
        fence = "~" * max(4, 1 + max(len(run) for line in lines for run in re.findall("~*", line)))
        shown += [f"{len(lines)} samples, drawn with seed 0, not selected:\n\n{fence}text", *lines, fence]
    metrics = "\n".join(f"| {metric} | {value:.4f} |" for metric, value in test["metrics"].items())
    data = "\n".join(printable(f"- {fact}: {value}") for fact, value in test["data"].items())
    versions = ", ".join(f"{package} {version}" for package, version in test["versions"].items())
    precision = f"half precision in `{WEIGHTS}` (float32 once loaded), with which it was tested" if half else "float32"
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

## Test metrics

Negative log-likelihoods are in nats, lower is better; `bound` and `elbo` are upper bounds on them.

| metric | value |
|---|---|
{metrics}

To reproduce: `gumbelzoo test {name}` (seed {test["seed"]}; {test["minutes"]} minutes on {test["hardware"]}).

## Training

- command: `{portable(fit["command"])}`
- seed {fit["seed"]}, {fit["batches"]} training batches, {fit["minutes"]} minutes on {fit["hardware"]}
- commit {fit["commit"]}; {versions}
- tested by `{portable(test["command"])}`, commit {test["commit"]}
- checkpoint {test["checkpoint"]} after {test["batches"]} batches

## Intended use and limits

{model.card.use}

{model.card.limits}

## Use

```python
import gumbelzoo

model = gumbelzoo.load("{name}")
{model.card.example}
```
"""


def portable(command: str) -> str:
    """Return a command that starts a run, without this machine's folders: paths start at ``configs`` or ``runs``."""
    words = shlex.split(re.sub(r" --ckpt_path[ =](last|best)\b", "", command))
    return shlex.join(_portable(word) for word in words if not word.startswith("--trainer.default_root_dir="))


def _portable(word: str) -> str:
    """A word of the command line, its path shortened."""
    option, equals, value = word.rpartition("=")
    parts = Path(value).parts
    if not Path(value).is_absolute():
        return word
    start = next((parts.index(folder) for folder in ("configs", "runs") if folder in parts), -1)
    return f"{option}{equals}{Path(*parts[start:])}"
