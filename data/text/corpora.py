"""Named corpora: public text files, found under the root or downloaded."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from ..storage import Folders, read_verified
from .documents import file_lines
from .rules import Rules
from .smiles import with_labels, with_molecules
from .splits import TextSplits, text_set
from .text_file import FILE_OPTIONS, JOINED, text_splits

GITHUB = "https://raw.githubusercontent.com"


@dataclass(frozen=True)
class PublicFile:
    """A public file: its path under the root, its address, its checksum, and whether its first line is a header."""

    name: str
    url: str
    md5: str
    header: bool = False


@dataclass(frozen=True)
class NamedCorpus:
    """A corpus: its level of tokens, its training file, its test file if there is one, and whether it is of SMILES."""

    level: str
    train: PublicFile
    test: PublicFile | None = None
    molecules: bool = False


COCO = f"{GITHUB}/geek-ai/Texygen/master/data"
ORGAN = f"{GITHUB}/gablg1/ORGAN/master/data"
NAMED_CORPORA = {
    # Chen et al. 2015 (arXiv:1504.00325); the 10,000 + 10,000 captions of Texygen (Zhu et al. 2018, arXiv:1802.01886)
    "captions": NamedCorpus(
        "word",
        PublicFile("text/image_coco/image_coco.txt", f"{COCO}/image_coco.txt", "931ec7d2b37cc8e1fb584154909abe75"),
        PublicFile(
            "text/image_coco/test_coco.txt", f"{COCO}/testdata/test_coco.txt", "ffc977caa4cfe9dda1c644e154d7f9c9"
        ),
    ),
    "tinyshakespeare": NamedCorpus(
        "character",
        PublicFile(
            "text/tinyshakespeare/input.txt",
            f"{GITHUB}/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
            "6fb458f1232090904fb40fe944165e91",
        ),
    ),
    "names": NamedCorpus(
        "character",
        PublicFile(
            "text/names/names.txt",
            f"{GITHUB}/karpathy/makemore/master/names.txt",
            "401b3c4cac9e28a586ed15e81256680d",
        ),
    ),
    # 50,413 molecules of ZINC (Irwin et al. 2012) and 4,989 of QM9 (Ramakrishnan et al. 2014), the selection of ORGAN
    # (Guimaraes et al. 2017, arXiv:1705.10843)
    "smiles": NamedCorpus(
        "character",
        PublicFile(
            "text/smiles/organ_zinc_50k_24heavy.csv",
            f"{ORGAN}/zinc_50k_24heavy.csv",
            "360fb303c8ddbcb25b07466d561a4088",
            header=True,
        ),
        molecules=True,
    ),
    "smiles_qm9": NamedCorpus(
        "character",
        PublicFile(
            "text/smiles/organ_qm9_5k.csv", f"{ORGAN}/qm9_5k.csv", "6a8dc4ff24a9e931108c9db085405334", header=True
        ),
        molecules=True,
    ),
}


def read_corpus(
    corpus: NamedCorpus,
    folders: Folders,
    level: str | None = None,
    labels: str | None = None,
    **options: Any,
) -> TextSplits:
    """Read a named corpus; its files are downloaded if missing.

    Args:
        corpus: files and tokenization.
        folders: where data sets lie.
        level: tokenization instead of the corpus' own.
        labels: of molecules; see ``with_labels``.
        options: further arguments of ``Rules``.
    """
    rules = Rules(level or corpus.level, **options)
    parts = []
    for file in filter(None, (corpus.train, corpus.test)):
        path = folders.fetch(file.name, [file.url], file.md5)
        read_verified(path, file.md5)
        lines = (line for line in file_lines(path) if not (file.header and line.number == 1))
        parts.append(rules.sentences(lines, str(path)))
    splits = text_splits(parts[0], parts[1] if corpus.test else None, rules.vocabulary_of)
    return with_labels(with_molecules(splits), labels) if corpus.molecules else splits


for name, corpus in NAMED_CORPORA.items():
    text_set(name, *FILE_OPTIONS, "labels" if corpus.molecules else JOINED)(partial(read_corpus, corpus))
