"""List models, estimators, temperature schedules, data sets, configurations, and released checkpoints with figures."""

from __future__ import annotations

import argparse
import json
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("--json", action="store_true", help="for programs; with every test figure of each release")


def contents() -> dict[str, list[str]]:
    """Names of everything there is, by kind."""
    from ..data.images.splits import IMAGE_SETS
    from ..data.text.datamodule import TEXT_SETS
    from ..models.relaxed import ESTIMATORS, SCHEDULES
    from ..pretrained.api import list_models, list_pretrained
    from .configs import config_names

    return {
        "models": list_models(),
        "estimators": ESTIMATORS.names(),
        "schedules": [*SCHEDULES.names(), "learned"],
        "data": [*IMAGE_SETS.names(), *TEXT_SETS.names()],
        "configs": config_names(),
        "checkpoints": list_pretrained(),
    }


def releases() -> list[dict[str, Any]]:
    """Every release: its name, model, data set and test figures, and which of these stand in tables."""
    from ..models.cards import words_of
    from ..pretrained.api import find_release, list_pretrained
    from ..pretrained.config import WEIGHTS, read_config

    found = []
    for name in list_pretrained():
        folder = find_release(name)
        config = read_config(folder)
        shown = [figure for figure in words_of(config.model).figures if f"test/{figure}" in config.metrics][:3]
        found.append(
            {
                "name": name,
                "model": config.model,
                "data": config.data.get("arguments", {}).get("name", ""),
                "facts": config.test.get("facts", {}),
                "megabytes": round((folder / WEIGHTS).stat().st_size / 1e6, 2),
                "precision": config.precision,
                "figures": {figure: config.metrics[f"test/{figure}"] for figure in shown},
                "metrics": config.metrics,
            }
        )
    return found


def run(options: argparse.Namespace) -> None:
    """Print them."""
    found: dict[str, Any] = contents()
    if options.json:
        print(json.dumps(found | {"checkpoints": releases()}, indent=2))
        return
    for kind, names in found.items():
        if kind != "checkpoints":
            print(f"{kind:12s} {'  '.join(names) or '-'}")
    print("checkpoints")
    for release in releases():
        figures = "  ".join(f"{name} {value:.4f}" for name, value in release["figures"].items())
        print(f"  {release['name']:28s} {release['model']} of {release['data']}, {release['megabytes']} MB: {figures}")
