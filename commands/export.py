"""Write a release folder from a tested run: config.json, model.safetensors, a card with the measured figures."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("source", help="run folder, or one of its .ckpt files")
    parser.add_argument(
        "folder", type=Path, help="where; its last part names the release, as in checkpoints/catvae-mnist"
    )


def run(options: argparse.Namespace) -> None:
    """Export, and say where.

    Raises:
        ValueError: not a run, not tested, tested with another checkpoint, or the folder exists.
    """
    from ..models.pretrained import save_pretrained
    from . import runs
    from .source import open_source

    source = open_source(options.source)
    if source.run is None or source.checkpoint is None:
        raise ValueError(f"{options.source} is no run folder: only what `fit` trained and `test` measured is released")
    test = _read(source.run / "test.json", f"`{runs.program()} test {source.run}` first: the card states its figures")
    fit = _read(source.run / "fit.json", f"let the run finish (--ckpt_path last): {source.run} has no fit.json")
    checkpoint = runs.read_checkpoint(source.checkpoint)
    if (test["checkpoint"], test["batches"]) != (source.checkpoint.name, runs.batches_trained(checkpoint)):
        raise ValueError(
            f"test.json is of another checkpoint; `{runs.program()} test {source.checkpoint}` measures this"
        )
    pictures = {
        name: source.run / "figures" / name
        for name in ("samples.png", "reconstructions.png")
        if (source.run / "figures" / name).is_file()
    }
    text = card(options.folder.name, source.model.registry_name, fit, test, list(pictures))
    print(save_pretrained(source.model, options.folder, card=text, data=source.data, pictures=pictures))


def card(name: str, model: str, fit: dict[str, Any], test: dict[str, Any], pictures: list[str]) -> str:
    """The model card: what it is, what was measured, and how to get the same."""
    figures = "\n".join(f"| {metric} | {value:.4f} |" for metric, value in test["metrics"].items())
    facts = "\n".join(f"- {fact}: {value}" for fact, value in test["data"].items())
    versions = ", ".join(f"{package} {version}" for package, version in fit["versions"].items())
    images = "\n".join(f"![{Path(picture).stem}]({picture})" for picture in pictures)
    return f"""---
library_name: gumbelzoo
license: apache-2.0
---
# {name}

A `{model}` of gumbelzoo, with discrete latents.

{images}

## Measured on the test set

| metric (nats are upper bounds on the negative log-likelihood) | value |
|---|---|
{figures}

{facts}

## How it was made

- command: `{fit["command"]}`
- seed {fit["seed"]}, {fit["batches"]} training batches, {fit["minutes"]} minutes on {fit["hardware"]}
- commit {fit["commit"]}; {versions}
- tested by `{test["command"]}` in {test["minutes"]} minutes
- checkpoint {test["checkpoint"]} after {test["batches"]} batches

## Use

```python
import gumbelzoo

model = gumbelzoo.load("{name}")
images = model.sample(16)
```
"""


def _read(path: Path, remedy: str) -> dict[str, Any]:
    if not path.is_file():
        raise ValueError(f"{path} is missing; {remedy}")
    return json.loads(path.read_text(encoding="utf-8"))
