"""The verbs of the zoo: ``list_models``, ``list_pretrained``, ``create_model``, ``load``, ``find``.

``from_pretrained`` is another name for ``load``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from ..models.base import MODELS, ZooModel
from ..registry import import_installed, unknown_arguments, unknown_name
from . import hub
from .config import CONFIG
from .paths import user_path
from .plugins import import_plugins
from .release import Release
from .run import Run, is_run

RELEASED = Path(__file__).resolve().parent.parent / "checkpoints"
HUB_ID = re.compile(r"(?P<repository>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?")


def list_models(pattern: str = "*") -> list[str]:
    """Return the names of the models that ``create_model`` builds, those of plugins included, by shell pattern."""
    import_installed()
    return MODELS.names(pattern)


def list_pretrained(pattern: str = "*") -> list[str]:
    """Return the names of the released checkpoints that come with the package, by shell pattern."""
    return sorted(path.parent.name for path in RELEASED.glob(f"*/{CONFIG}") if fnmatch(path.parent.name, pattern))


def create_model(name: str, pretrained: bool = False, **arguments: Any) -> ZooModel:
    """Build an untrained model from its registry name, or a released one with some arguments changed.

    Args:
        name: one of ``list_models()``; with ``pretrained`` a release as ``load`` takes it, such as ``catvae-mnist``.
        pretrained: load the weights of the release ``name``; the model is in eval mode.
        arguments: constructor arguments, in place of the defaults or of the release's. Its weights must still fit.

    Raises:
        ValueError: an unknown name or argument (the nearest is named), arguments that the model refuses or that the
            weights do not fit, a damaged release.

    Example:
        >>> import gumbelzoo
        >>> model = gumbelzoo.create_model("categorical_vae", latents=30)
        >>> model = gumbelzoo.create_model("catvae-digits", pretrained=True, bound_samples=10)
    """
    if pretrained:
        if name in MODELS and not user_path(name).exists():
            raise ValueError(f"'{name}' is a model, and its releases have names of their own: {_releases_of(name)}")
        found = find(name)
        if isinstance(found, Run):
            raise ValueError(f"'{name}' is a run, not a release: load('{name}') gives its model as it was trained")
        return found.load_model(**arguments)
    if name not in MODELS and name in list_pretrained():
        raise ValueError(f"'{name}' is a released checkpoint: add pretrained=True, or use load('{name}')")
    model = MODELS[name]
    unknown_arguments(name, model, arguments)
    return model(**arguments)


def load(source: str | Path, *, revision: str | None = None, plugins: Sequence[str] = ()) -> ZooModel:
    """Load a released or trained model in eval mode, on the CPU.

    Args:
        source: a release folder, a run folder of ``fit``, or one of its ``.ckpt`` files; a name of
            ``list_pretrained()``; or a Hugging Face hub id, ``user/repository`` or ``user/repository@revision``. What
            lies here under that name comes first.
        revision: branch, tag or commit of a hub id.
        plugins: modules or ``.py`` files that register what the model is built of; they are imported first. No file
            makes us import one.

    Raises:
        ValueError: no such release or run, or one that is damaged, foreign or of another format; or a plugin that is
            needed and not given, or that cannot be imported.
        FileNotFoundError: a run without a checkpoint, or no such plugin.

    Example:
        >>> import gumbelzoo
        >>> images = gumbelzoo.load("catvae-digits").sample(4)  # b c h w
    """
    import_plugins([plugins] if isinstance(plugins, str) else plugins)
    return find(source, revision).load_model()


from_pretrained = load  # the name that other libraries have for it


def find(source: str | Path, revision: str | None = None) -> Run | Release:
    """Find what ``load`` takes, without reading it; only a hub id is fetched.

    Raises:
        ValueError: there is no such release or run, and the nearest released name is given; or a folder here that is
            neither; or a revision of something else than a hub id.
        FileNotFoundError: there is no such ``.ckpt`` file.
    """
    name, folder = str(source), user_path(source)
    local = folder.exists() or folder.suffix == ".ckpt"
    hub_id = HUB_ID.fullmatch(name) if isinstance(source, str) and not local else None
    if revision is not None and (hub_id is None or hub_id["revision"]):
        raise ValueError(f"'{name}' has no revision '{revision}': only a hub id user/repository has revisions")
    if local:
        return _find_here(folder, name)
    if name in list_pretrained():
        return Release(RELEASED / name)
    if hub_id is not None:
        return hub.fetch(hub_id["repository"], revision=revision or hub_id["revision"])
    raise ValueError(unknown_name("released checkpoint or folder", name, [*list_pretrained(), *_beside(folder)]))


def _beside(folder: Path) -> list[str]:
    """Runs and releases that lie where a folder was looked for."""
    try:
        return [str(path) for path in folder.parent.iterdir() if is_run(path) or (path / CONFIG).is_file()]
    except OSError:
        return []


def _find_here(folder: Path, name: str) -> Run | Release:
    """Find the run or release of an existing file or folder; errors are those of ``find``."""
    if folder.suffix == ".ckpt" and not folder.is_dir():
        return Run.of(folder)
    if is_run(folder):
        return Run(folder)
    if (folder / CONFIG).exists():
        return Release(folder)
    if not folder.is_dir():
        raise ValueError(f"{folder} is a file: a model is a release folder, a run folder or a .ckpt file of a run")
    runs = [int(path.name) for path in folder.iterdir() if path.name.isdecimal() and is_run(path)]
    hint = f"; did you mean its newest run, '{folder / str(max(runs))}'?" if runs else ""
    if name in list_pretrained():
        hint += f"; the released '{name}' is '{RELEASED / name}', or rename the folder './{name}'"
    raise ValueError(f"{folder} is no release folder: it has no {CONFIG}{hint}")


def _releases_of(model: str) -> str:
    """Names of the releases of a model, for a message."""
    names = [name for name in list_pretrained() if Release(RELEASED / name).config.model == model]
    return ", ".join(names) or "none yet"
