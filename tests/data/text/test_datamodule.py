"""The datamodule of text: what models and the command line rely on."""

import pytest
import torch
from gumbelzoo.data import TextData
from gumbelzoo.data.text.splits import TEXT_SETS
from lightning.pytorch import LightningDataModule


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("\n".join(f"the {'very ' * (i % 4)}old word {i % 50} of {i % 7}" for i in range(400)))
    return str(path)


@pytest.fixture
def tiny_oracle(monkeypatch):
    from gumbelzoo.data.text import oracle

    def make(folders):
        return oracle.oracle_splits(oracle.seeded_oracle(0, 30, 4), "tiny", 0, 6, (200, 40, 50))

    monkeypatch.setitem(TEXT_SETS._entries, "oracle", make)


@pytest.mark.parametrize("name", ["oracle", "grammar", "text"])
def test_batches_have_the_documented_form(name, file, tiny_oracle):
    data = TextData(name, path=file if name == "text" else None, batch_size=16, eval_batch_size=30)
    assert isinstance(data, LightningDataModule)
    assert data.name == name
    data.prepare_data()
    data.setup("fit")
    for loader, size in ((data.train_dataloader(), 16), (data.val_dataloader(), 30), (data.test_dataloader(), 30)):
        batch = next(iter(loader))
        tokens, length = batch["tokens"], batch["length"]
        assert set(batch) == {"tokens", "length"}
        assert tokens.dtype == length.dtype == torch.int64
        assert tokens.shape[1] == data.max_length
        assert len(tokens) == len(length) <= size
        behind = torch.arange(data.max_length) >= length[:, None]
        assert (tokens[behind] == data.vocabulary.pad).all()
        assert length.min() >= 1 and length.max() <= data.max_length
        assert tokens.min() >= 0 and tokens.max() < len(data.vocabulary)
        if data.vocabulary.eos is None:
            assert not behind.any()
        else:
            assert ((tokens == data.vocabulary.eos) & ~behind).sum(1).tolist() == [1] * len(tokens)
            assert (tokens.gather(1, length[:, None] - 1) == data.vocabulary.eos).all()


@pytest.mark.parametrize("name", ["oracle", "grammar", "text"])
def test_facts_scores_and_anchors_are_plain(name, file, tiny_oracle):
    data = TextData(name, path=file if name == "text" else None)
    assert all(isinstance(part, str) for item in data.facts().items() for part in item)
    assert {"data set", "source", "split"} <= set(data.facts())
    anchors = data.anchors(20, torch.Generator().manual_seed(0))
    names = set(data.score(data.splits.valid.tokens))
    assert "distinct" in names
    for figures in anchors.values():
        assert set(figures) == names
        assert all(type(value) is float for value in figures.values())
    assert anchors == data.anchors(20, torch.Generator().manual_seed(0))


def test_the_seed_orders_the_training_sequences_and_nothing_else():
    first, same, other = (TextData("grammar", batch_size=5000, seed=seed) for seed in (0, 0, 1))
    batches = [next(iter(data.train_dataloader()))["tokens"] for data in (first, same, other)]
    assert torch.equal(batches[0], batches[1])
    assert not torch.equal(batches[0], batches[2])
    assert sorted(batches[0].tolist()) == sorted(batches[2].tolist())
    assert torch.equal(first.splits.test.tokens, other.splits.test.tokens)


def test_a_loader_goes_on_where_its_state_was_taken():
    whole = TextData("grammar").train_dataloader()
    batches = [batch["tokens"] for batch in whole]
    begun = TextData("grammar").train_dataloader()
    for _, batch in zip(range(7), begun, strict=False):
        last = batch["tokens"]
    assert torch.equal(last, batches[6])
    rest = TextData("grammar").train_dataloader()
    rest.load_state_dict(begun.state_dict())
    assert torch.equal(next(iter(rest))["tokens"], batches[7])


def test_unknown_names_and_useless_arguments():
    with pytest.raises(ValueError, match=r"text set: 'gramar'; did you mean 'grammar'"):
        TextData("gramar")
    with pytest.raises(ValueError, match="'oracle' takes no path"):
        TextData("oracle", path="x.txt")
    with pytest.raises(ValueError, match="'captions' takes no test_path"):
        TextData("captions", test_path="x.txt")
    assert TEXT_SETS.names() == [
        "captions",
        "grammar",
        "names",
        "oracle",
        "oracle_published",
        "smiles",
        "smiles_qm9",
        "text",
        "tinyshakespeare",
    ]


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (torch.zeros(3, dtype=torch.int64), "int64 token ids 'b t'"),
        (torch.zeros(3, 4), "int64 token ids 'b t'"),
        (torch.zeros(0, 4, dtype=torch.int64), "int64 token ids 'b t'"),
        (torch.full((3, 4), 6), r"ids in \[0, 6\), got 6 to 6"),
        (torch.full((3, 4), -1), r"ids in \[0, 6\), got -1 to -1"),
    ],
)
def test_samples_that_are_none(samples, message):
    with pytest.raises(ValueError, match=message):
        TextData("grammar").score(samples)


def test_samples_that_differ_behind_their_ends_are_the_same():
    data = TextData("grammar")
    samples = data.splits.test.tokens[data.splits.test.lengths < 12][:2].repeat_interleave(4, 0)
    ends = data.vocabulary.lengths(samples)
    garbage = torch.randint(6, samples.shape, generator=torch.Generator().manual_seed(0))
    disguised = torch.where(torch.arange(12) < ends[:, None], samples, garbage)
    assert len(disguised.unique(dim=0)) > len(samples.unique(dim=0))
    assert data.score(disguised) == data.score(samples)
