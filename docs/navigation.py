"""Pages of the documentation site in their order, and what its API pages are made of."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Pages are paths in the tree without their suffix; a pattern stands for all pages that it finds.
NAVIGATION = {
    "Start": [
        "docs/choose",
        "docs/notebooks/temperature",
        "docs/notebooks/train_through_a_choice",
    ],
    "Families": [
        "docs/families/relaxed",
        "docs/families/quantizers",
        "docs/families/vae",
        "docs/families/vqvae",
        "docs/families/text",
        "docs/families/attention",
        "docs/families/glimpse",
        "docs/families/gates",
        "docs/families/slate",
        "docs/families/classifier",
    ],
    "Use": [
        "docs/command_line",
        "docs/python",
        "docs/training",
        "docs/your_data",
        "docs/explore",
        "docs/large",
        "docs/codes",
        "docs/onnx",
        "docs/publishing",
    ],
    "Released models": ["docs/releases", "checkpoints/*/README"],
    "Measured": ["benchmarks/README", "benchmarks/*", "benchmarks/*/*"],
    "API": ["docs/api/python", "docs/api/*"],
    "Project": ["docs/faults", "docs/stability", "docs/citing", "CONTRIBUTING", "CHANGELOG"],
}

# API pages of the names that are promised, from the running package: modules, and what is left to another page.
MODULES = {
    "python": {"gumbelzoo": "RelaxedCategorical", "gumbelzoo.models.base": "", "gumbelzoo.registry": ""},
    "layer": {"gumbelzoo.models.relaxed": ""},
}
# API pages of the parts that have names, from their source. The last one takes the kinds that no other page has.
KINDS = {
    "models": ["model", "optimizer"],
    "estimators": ["estimator", "baseline", "subset estimator", "temperature schedule"],
    "quantizers": ["quantizer"],
    "images": ["encoder", "decoder", "grid encoder", "grid decoder", "likelihood", "code network"],
    "texts": ["generator", "objective", "discriminator", "loss", "reward", "domain reward", "latent", "matching"],
    "data": ["data module", "data set", "text set", "set of pairs", "binarization"],
    "parts": [],
}


def files(patterns: Iterable[str]) -> list[Path]:
    """Pages that patterns find, each once, in their order."""
    paths = [path for name in patterns for path in sorted(ROOT.glob(f"{name}.*")) if path.suffix in (".md", ".ipynb")]
    return list(dict.fromkeys(paths))


def name(path: Path) -> str:
    """Path in the tree without its suffix."""
    return path.relative_to(ROOT).with_suffix("").as_posix()


def pages() -> list[str]:
    """Names of all pages but the first."""
    return [name(path) for part in NAVIGATION.values() for path in files(part)]
