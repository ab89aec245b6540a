"""Named corpora: found, downloaded or missing; and the real files where GUMBELZOO_DATA has them."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from gumbelzoo.data import TextData
from gumbelzoo.data.storage import Folders
from gumbelzoo.data.text import corpora
from gumbelzoo.data.text.corpora import NAMED_CORPORA, read_corpus
from gumbelzoo.data.text.documents import file_lines
from gumbelzoo.data.text.rules import Rules
from gumbelzoo.evaluation import Corpus, bleu, self_bleu

TEXT = "\n".join(["smiles", *(f"C{'C' * (i % 9)}(=O)N{i}" for i in range(60))])


@pytest.mark.parametrize("name", NAMED_CORPORA)
def test_missing_corpus_names_the_file(name, tmp_path):
    with pytest.raises(FileNotFoundError, match="is missing and the download failed") as error:
        TextData(name, root=str(tmp_path)).setup()
    assert str(tmp_path / NAMED_CORPORA[name].train.name) in str(error.value)
    assert "\n" not in str(error.value)


def test_corpus_is_downloaded_verified_and_read(tmp_path, monkeypatch):
    file = replace(NAMED_CORPORA["smiles"].train, md5=hashlib.md5(TEXT.encode()).hexdigest())
    corpus = replace(NAMED_CORPORA["smiles"], train=file)

    def download(url, root, filename, md5):
        assert (url, md5) == (file.url, file.md5)
        Path(root, filename).write_text(TEXT)

    monkeypatch.setattr("torchvision.datasets.utils.download_url", download)
    splits = read_corpus(corpus, Folders(str(tmp_path)))
    assert sum(len(part) for part in (splits.train, splits.valid, splits.test)) == 60  # without the header
    assert splits.vocabulary.level == "character"
    (tmp_path / file.name).write_text(TEXT + "\nC")
    with pytest.raises(ValueError, match="corrupt"):
        read_corpus(corpus, Folders(str(tmp_path)))


def test_addresses_and_checksums():
    for corpus in NAMED_CORPORA.values():
        for file in filter(None, (corpus.train, corpus.test)):
            assert file.url.startswith(corpora.GITHUB)
            assert len(file.md5) == 32


SIZES = {
    "captions": (9000, 1000, 10_000, 38),
    "tinyshakespeare": (26_550, 2950, 3277, 64),
    "names": (25_947, 2883, 3203, 16),
    "smiles": (40_835, 4537, 5041, 76),
    "smiles_qm9": (4042, 449, 498, 32),
}


@pytest.mark.real_data
@pytest.mark.parametrize("name", NAMED_CORPORA)
def test_real_corpora(name, real):
    data = TextData(name, root=real(NAMED_CORPORA[name].train.name))
    parts = (data.splits.train, data.splits.valid, data.splits.test)
    assert (*map(len, parts), data.max_length) == SIZES[name]
    assert len(data.vocabulary) < 3000
    assert "also in training" in data.metadata()["overlap"]
    lines = (Path(data.root) / NAMED_CORPORA[name].train.name).read_text().split("\n")
    decoded = data.vocabulary.decode(data.splits.train.tokens[0])
    if data.vocabulary.level == "character":
        assert decoded in {line.strip() for line in lines}


@pytest.mark.real_data
def test_published_bleu_of_real_captions(real):
    """Texygen's table: 10,000 training captions against 10,000 test captions, and against each other."""
    folder = Path(real("text/image_coco")) / "text/image_coco"
    ids: dict[str, int] = {}
    parts = []
    for name in ("image_coco.txt", "test_coco.txt"):
        sentences = Rules("word").sentences(file_lines(folder / name), name).tokens
        tokens = np.zeros((len(sentences), 50), np.int64)
        for row, sentence in zip(tokens, sentences, strict=True):
            row[: len(sentence)] = [ids.setdefault(word, len(ids)) for word in sentence]
        parts.append(Corpus(tokens, np.array([len(sentence) for sentence in sentences])))
    train, test = parts
    published = {2: 0.740, 3: 0.520, 4: 0.337, 5: 0.218}, {2: 0.892, 3: 0.747, 4: 0.573, 5: 0.415}
    for ours, theirs in zip((bleu(train, test, 5), self_bleu(train, 5)), published, strict=True):
        assert {n: ours[n] for n in theirs} == pytest.approx(theirs, abs=0.0015)
