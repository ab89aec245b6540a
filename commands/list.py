"""List the models, estimators, temperature schedules, data sets, configurations and released checkpoints."""

from __future__ import annotations

import argparse
import json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("--json", action="store_true", help="for programs")


def contents() -> dict[str, list[str]]:
    """Names of everything there is, by kind."""
    from ..data.splits import IMAGE_SETS
    from ..data.text import TEXT_SETS
    from ..models.pretrained import list_models, list_pretrained
    from ..models.relaxed import ESTIMATORS, SCHEDULES
    from .configs import config_names

    return {
        "models": list_models(),
        "estimators": ESTIMATORS.names(),
        "schedules": SCHEDULES.names(),
        "data": [*IMAGE_SETS.names(), *TEXT_SETS.names()],
        "configs": config_names(),
        "checkpoints": list_pretrained(),
    }


def run(options: argparse.Namespace) -> None:
    """Print them."""
    found = contents()
    if options.json:
        print(json.dumps(found, indent=2))
        return
    for kind, names in found.items():
        print(f"{kind:12s} {'  '.join(names) or '-'}")
