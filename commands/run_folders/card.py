"""Card of a release: from the model, and from the run's ``fit.json`` and ``test.json``."""

from __future__ import annotations

import inspect
import json
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...models import ZooModel
from ...pretrained.markdown import code_span, escape_markdown, python_text, shell_word
from ...pretrained.metadata import card_metadata
from ...pretrained.untrusted import printable
from ...pretrained.weights import WEIGHTS

SENTENCES = 20
DATA, USE = "## Data", "## Intended use and limits"  # first line of the records, and of what follows them
NO_LICENCE = "No licence is stated: whoever publishes this model chooses one (`export --licence`, or edit this card)."


def write_card(
    name: str,
    model: ZooModel,
    fit: Mapping[str, Any],
    test: Mapping[str, Any],
    pictures: Sequence[str] = (),
    sentences: Sequence[str] = (),
    half: bool = False,
    licence: str | None = None,
    plugins: Sequence[str] = (),
    data: Mapping[str, Any] | None = None,
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
        licence: identifier of the model's licence; None states none.
        plugins: modules that register what the release names.
        data: of the release, by registry names.
    """
    measured = {"metrics": test["metrics"], "metadata": test["data"]}
    metadata = card_metadata(name, model, data, measured, licence)
    opening = _opening(name, model, pictures, sentences, half, fit.get("ema"), licence is not None)
    return f"{metadata}{opening}\n{_recorded(name, fit, test, plugins)}\n{_closing(name, model, plugins)}"


def renew_card(
    card: str,
    name: str,
    model: ZooModel,
    pictures: Sequence[str] = (),
    sentences: Sequence[str] = (),
    half: bool = False,
    ema: float | None = None,
    data: Mapping[str, Any] | None = None,
    test: Mapping[str, Any] | None = None,
) -> str:
    """Return a card with all that does not come from its run's records as ``write_card`` writes it today.

    The licence is that of the card; ``data`` and ``test`` are those of the release's ``config.json``.

    Raises:
        ValueError: the card has not the sections of ``write_card``.
    """
    from huggingface_hub import ModelCard

    found = re.fullmatch(rf".*?\n({DATA}\n.*\n){USE}\n.*", card, flags=re.DOTALL)
    if found is None:
        raise ValueError(f"the card of {name} was not written by `export`")
    licence = ModelCard(card).data.get("license")
    opening = _opening(name, model, pictures, sentences, half, ema, licence is not None)
    return f"{card_metadata(name, model, data, test, licence)}{opening}\n{found[1]}{_closing(name, model)}"


def _opening(
    name: str,
    model: ZooModel,
    pictures: Sequence[str],
    sentences: Sequence[str],
    half: bool,
    ema: float | None,
    licensed: bool,
) -> str:
    """The kind of model, its size, pictures and samples."""
    overview = inspect.cleandoc(type(model).__doc__ or "").partition("\nArgs:")[0].strip()
    shown = [f"![{Path(picture).stem}]({picture})" for picture in pictures]
    if note := model.card.note:
        shown.append(f"\n{note.replace('NAME', shell_word(name))}")
    if sentences:
        lines = [printable(sentence) for sentence in sentences]
        fence = "~" * max(4, 1 + max(len(run) for line in lines for run in re.findall("~*", line)))
        shown += [f"{len(lines)} samples, drawn with seed 0, not selected:\n\n{fence}text", *lines, fence]
    precision = f"half precision in `{WEIGHTS}` (float32 once loaded), with which it was tested" if half else "float32"
    averages = f", exponential moving averages over training with decay {ema}" if ema is not None else ""
    parameters = sum(parameter.numel() for parameter in model.parameters())
    stated = "" if licensed else f"\n{NO_LICENCE}\n"
    return f"""# {escape_markdown(name)}

{_article(model.registry_name)} `{model.registry_name}` of gumbelzoo. {overview}

{parameters:,} parameters; weights in {precision}{averages}.
{stated}
{chr(10).join(shown)}
"""


def _recorded(name: str, fit: Mapping[str, Any], test: Mapping[str, Any], plugins: Sequence[str]) -> str:
    """Data, test metrics and training, from the records of a run."""
    metrics = "\n".join(f"| {escape_markdown(metric)} | {value:.4f} |" for metric, value in test["metrics"].items())
    data = "\n".join(f"- {escape_markdown(fact)}: {escape_markdown(value)}" for fact, value in test["data"].items())
    versions = escape_markdown(", ".join(f"{package} {version}" for package, version in test["versions"].items()))
    again = " ".join(["gumbelzoo test", shell_word(name), *(f"--plugin {shell_word(plugin)}" for plugin in plugins)])
    fitted, tested = code_span(portable(fit["command"])), code_span(portable(test["command"]))
    return f"""{DATA}

{data}

## Test metrics

Negative log-likelihoods are in nats, lower is better; `bound` and `elbo` are upper bounds on them.

| metric | value |
|---|---|
{metrics}

To reproduce: `{again}` (seed {test["seed"]}; {test["minutes"]} minutes on {escape_markdown(test["hardware"])}).

## Training

- command: {fitted}
- seed {fit["seed"]}, {fit["batches"]} training batches, {fit["minutes"]} minutes on {escape_markdown(fit["hardware"])}
- commit {fit["commit"]}; {versions}
- tested by {tested}, commit {test["commit"]}
- checkpoint {test["checkpoint"]} after {test["batches"]} batches
"""


def _closing(name: str, model: ZooModel, plugins: Sequence[str] = ()) -> str:
    """Use, limits, and Python that loads the model."""
    named = f", plugins={json.dumps(list(plugins))}" if plugins else ""
    return f"""{USE}

{model.card.use}

{model.card.limits}

## Use

```python
import gumbelzoo

model = gumbelzoo.load({python_text(name)}{named})
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


def _article(name: str) -> str:
    return "An" if name[0] in "aeio" else "A"
