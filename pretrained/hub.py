"""Releases on the Hugging Face hub: fetched by ``load("user/repository")``, uploaded by ``push_to_hub``."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

from ..models.base import ZooModel
from .config import CONFIG
from .markdown import python_text, shell_word
from .paths import user_path
from .release import CARD, Release
from .saving import save_pretrained
from .untrusted import MAX_CONFIG_BYTES, first_line
from .weights import MAX_WEIGHT_BYTES, WEIGHTS

LIMITS = {CONFIG: MAX_CONFIG_BYTES, WEIGHTS: MAX_WEIGHT_BYTES}


def fetch(repository: str, endpoint: str | None = None, revision: str | None = None) -> Release:
    """Download the two files of a release that are read, or use the hub's cached copy.

    Args:
        repository: ``user/repository``.
        endpoint: address of the hub; default ``HF_ENDPOINT``, else the public one.
        revision: branch, tag or commit; default: the main branch.

    Raises:
        ValueError: no such repository or revision, no connection, no release in it, or a file larger than a release's
            may be.
    """
    _check_sizes(repository, endpoint, revision)
    release = Release(_download(repository, [CONFIG], endpoint, revision))
    if not (release.folder / CONFIG).is_file():
        raise ValueError(f"the hub's '{repository}' is no gumbelzoo release: it has no {CONFIG}")
    release.config  # noqa: B018  (read first: no weights are fetched for what is no release)
    folder = _download(repository, [CONFIG, WEIGHTS], endpoint, revision)
    return release if folder == release.folder else Release(folder)  # another folder: a commit in between


def _check_sizes(repository: str, endpoint: str | None, revision: str | None) -> None:
    """ValueError for files that are too large to be fetched; nothing if the hub does not answer."""
    from huggingface_hub import HfApi

    try:
        info = HfApi(endpoint=endpoint).model_info(repository, revision=revision, files_metadata=True)
    except Exception:  # the cached copy may serve; if not, the download says why
        return
    for file in info.siblings or []:
        if (file.size or 0) > LIMITS.get(file.rfilename, math.inf):
            raise ValueError(
                f"the hub's '{repository}': {file.rfilename} has {file.size} bytes, more than the "
                f"{LIMITS[file.rfilename]} that a release's may have"
            )


def _download(repository: str, names: list[str], endpoint: str | None, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(repository, revision=revision, allow_patterns=names, endpoint=endpoint))
    except Exception as error:  # HTTP, offline and cache errors come from several libraries
        at = f" at the revision '{revision}'" if revision else ""
        raise ValueError(
            f"no folder '{repository}' here, and the hub has no release of that name{at}: {first_line(error)}"
        ) from None


def push_to_hub(
    source: ZooModel | str | Path,
    repository: str,
    *,
    private: bool = False,
    token: str | None = None,
    endpoint: str | None = None,
    **options: Any,
) -> str:
    """Upload a release in one commit; the repository is created if there is none.

    The uploaded card loads and tests the model by the repository's name.

    Args:
        source: a release folder, or a model.
        repository: ``user/repository``.
        private: whether a new repository is private.
        token: of the user; default: the one that ``hf auth login`` stored.
        endpoint: address of the hub; default ``HF_ENDPOINT``, else the public one.
        options: of ``save_pretrained``, such as ``card``; for a model only.

    Returns:
        The address of the commit.

    Raises:
        ValueError: the folder is no release, or the hub refuses.
    """
    from huggingface_hub import HfApi

    if isinstance(source, ZooModel):
        with tempfile.TemporaryDirectory() as scratch:
            folder = save_pretrained(source, Path(scratch) / repository.rpartition("/")[2], **options)
            return push_to_hub(folder, repository, private=private, token=token, endpoint=endpoint)
    folder = user_path(source)
    if options or not all((folder / name).is_file() for name in (CONFIG, WEIGHTS)):
        raise ValueError(f"{folder} is no release folder that could be uploaded as it is; `export` or save one first")
    hub = HfApi(endpoint=endpoint, token=token)
    try:
        hub.create_repo(repository, private=private, exist_ok=True)
        commit = hub.create_commit(repository, _additions(folder, repository), commit_message="Upload of gumbelzoo")
    except Exception as error:  # HTTP, offline and authentication errors come from several libraries
        raise ValueError(f"the hub did not take '{repository}': {first_line(error)}") from None
    return str(commit.commit_url)


def _additions(folder: Path, repository: str) -> list[Any]:
    """Files of a release for a commit; its card names the repository instead of the folder."""
    from huggingface_hub import CommitOperationAdd

    files = [folder / CONFIG, folder / WEIGHTS, *sorted(folder.glob("*.png"))]
    additions = [CommitOperationAdd(file.name, file) for file in files]
    if (folder / CARD).is_file():
        card = _renamed((folder / CARD).read_text(encoding="utf-8"), folder.name, repository)
        additions.append(CommitOperationAdd(CARD, card.encode()))
    return additions


def _renamed(card: str, name: str, repository: str) -> str:
    """Card whose commands and Python, where ``export`` wrote the release's name, have the repository's."""
    forms = [("gumbelzoo.load({}", python_text), ("`gumbelzoo test {}", shell_word), ("={}`", shell_word)]
    for form, quote in forms:
        card = card.replace(form.format(quote(name)), form.format(quote(repository)))
    return card
