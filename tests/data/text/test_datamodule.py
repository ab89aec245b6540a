"""The data module of text: batches, metrics, arguments."""

import inspect
from dataclasses import fields

import pytest
import torch
from gumbelzoo.data import TextData
from gumbelzoo.data.text import oracle
from gumbelzoo.data.text.corpora import NAMED_CORPORA
from gumbelzoo.data.text.rules import Rules
from gumbelzoo.data.text.splits import TEXT_SETS, TextSet
from gumbelzoo.data.text.text_file import JOINED


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("\n".join(f"the {'very ' * (i % 4)}old word {i % 50} of {i % 7}" for i in range(400)))
    return str(path)


@pytest.fixture
def tiny_oracle(monkeypatch):
    def read(folders):
        return oracle.oracle_splits(oracle.seeded_oracle(0, 30, 4), "tiny", 0, 6, (200, 40, 50))

    monkeypatch.setitem(TEXT_SETS._entries, "oracle", TextSet(read))


@pytest.mark.parametrize("name", ["oracle", "grammar", "text"])
def test_batches_have_the_documented_form(name, file, tiny_oracle):
    data = TextData(name, path=file if name == "text" else None, batch_size=16, eval_batch_size=30)
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
        padding = torch.arange(data.max_length) >= length[:, None]
        assert (tokens[padding] == data.vocabulary.pad).all()
        assert length.min() >= 1 and length.max() <= data.max_length
        assert tokens.min() >= 0 and tokens.max() < len(data.vocabulary)
        if data.vocabulary.eos is None:
            assert not padding.any()
        else:
            assert ((tokens == data.vocabulary.eos) & ~padding).sum(1).tolist() == [1] * len(tokens)
            assert (tokens.gather(1, length[:, None] - 1) == data.vocabulary.eos).all()


@pytest.mark.parametrize("name", ["oracle", "grammar", "text"])
def test_reference_samples_and_their_scores(name, file, tiny_oracle):
    """Sequences of the data's vocabulary and width; metrics are the same floats for samples and references."""
    data = TextData(name, path=file if name == "text" else None)
    references = data.reference_samples(20, torch.Generator().manual_seed(0))
    again = data.reference_samples(20, torch.Generator().manual_seed(0))
    names = set(data.score(data.splits.valid.tokens))
    assert "distinct" in names
    assert references.keys() == again.keys()
    for source, tokens in references.items():
        assert (tokens.shape, tokens.dtype) == ((20, data.max_length), torch.int64)
        assert torch.equal(tokens, again[source])
        metrics = data.score(tokens)
        assert set(metrics) == names
        assert all(type(value) is float for value in metrics.values())


def test_test_sequences_are_the_test_split():
    data = TextData("grammar", eval_batch_size=1000)
    (batch,) = data.test_dataloader()
    tokens, lengths = data.test_sequences()
    assert torch.equal(tokens, batch["tokens"]) and torch.equal(lengths, batch["length"])


def test_seed_changes_only_the_training_order():
    first, same, other = (TextData("grammar", batch_size=5000, seed=seed) for seed in (0, 0, 1))
    batches = [next(iter(data.train_dataloader()))["tokens"] for data in (first, same, other)]
    assert torch.equal(batches[0], batches[1])
    assert not torch.equal(batches[0], batches[2])
    assert sorted(batches[0].tolist()) == sorted(batches[2].tolist())
    assert torch.equal(first.splits.test.tokens, other.splits.test.tokens)


def test_loader_resumes_at_its_state():
    whole = TextData("grammar").train_dataloader()
    batches = [batch["tokens"] for batch in whole]
    first = TextData("grammar").train_dataloader()
    for _, batch in zip(range(7), first, strict=False):
        last = batch["tokens"]
    assert torch.equal(last, batches[6])
    resumed = TextData("grammar").train_dataloader()
    resumed.load_state_dict(first.state_dict())
    assert torch.equal(next(iter(resumed))["tokens"], batches[7])


def test_unknown_name_suggests_the_nearest():
    with pytest.raises(ValueError, match=r"text set: 'gramar'; did you mean 'grammar'"):
        TextData("gramar")
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
    ("name", "option"), [("oracle", "path"), ("grammar", "level"), ("captions", "test_path"), ("oracle", "min_count")]
)
def test_argument_that_a_set_does_not_take_raises(name, option):
    value = 2 if option == "min_count" else "x.txt"
    with pytest.raises(ValueError, match=f"'{name}' takes no {option}; leave it out"):
        TextData(name, **{option: value})


@pytest.mark.parametrize("name", TEXT_SETS.names())
def test_stated_options_are_those_of_the_reader(name):
    """Each option is an argument of ``TextData`` and of the reader, and the reader has no others."""
    text_set = TEXT_SETS[name]
    taken = inspect.signature(text_set.read).parameters.keys() - {"corpus"}
    if name in NAMED_CORPORA:  # one reader, whose options are those of its rules; molecules alone have labels
        taken |= {field.name for field in fields(Rules)} - {"vocabulary", "normal_form"}
        taken -= {"options", JOINED if NAMED_CORPORA[name].molecules else "labels"}
    assert {"folders", *text_set.options} == taken
    assert set(text_set.options) <= inspect.signature(TextData).parameters.keys()


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
def test_invalid_samples_raise(samples, message):
    with pytest.raises(ValueError, match=message):
        TextData("grammar").score(samples)


@pytest.mark.parametrize(("argument", "value"), [("batch_size", 0), ("eval_batch_size", -1), ("seed", -1)])
def test_size_that_is_out_of_range_is_named(argument, value):
    """When the data module is made, not after an epoch of training."""
    least = int(argument != "seed")
    with pytest.raises(ValueError, match=f"^{argument} must be a whole number >= {least}, got {value}"):
        TextData("grammar", **{argument: value})


def test_tokens_after_eos_are_ignored():
    data = TextData("grammar")
    samples = data.splits.test.tokens[data.splits.test.lengths < 12][:2].repeat_interleave(4, 0)
    ends = data.vocabulary.lengths(samples)
    noise = torch.randint(6, samples.shape, generator=torch.Generator().manual_seed(0))
    changed = torch.where(torch.arange(12) < ends[:, None], samples, noise)
    assert len(changed.unique(dim=0)) > len(samples.unique(dim=0))
    assert data.score(changed) == data.score(samples)
