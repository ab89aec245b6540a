"""The oracle: probabilities against torch's LSTM, samples against probabilities, published values."""

import hashlib
import pickle
from itertools import product

import numpy as np
import pytest
import torch
from gumbelzoo.data.storage import Folders
from gumbelzoo.data.text import oracle as module
from gumbelzoo.data.text.oracle import NAMES, oracle_splits, published_oracle, read_published, score, seeded_oracle

RNG = np.random.default_rng(0)
V, D, H = 7, 5, 4


def arrays():
    """The 15 arrays of the published file, small."""
    shapes = {"embedding": (V, D), "W_out": (H, V), "b_out": (V,)}
    sizes = {"W": (D, H), "U": (H, H), "b": (H,)}
    return {name: RNG.normal(size=shapes.get(name) or sizes[name[0]]).astype(np.float32) for name in NAMES}


def sequences(v, t):
    return torch.tensor(list(product(range(v), repeat=t)))


def test_nll_equals_that_of_torchs_lstm():
    given = {name: torch.tensor(array) for name, array in arrays().items()}
    lstm = torch.nn.LSTM(D, H, batch_first=True)
    with torch.no_grad():
        for target, part in ((lstm.weight_ih_l0, "W"), (lstm.weight_hh_l0, "U"), (lstm.bias_ih_l0, "b")):
            target.copy_(torch.cat([given[part + gate] for gate in ("i", "f", "c", "o_gate")], -1).t())
        lstm.bias_hh_l0.zero_()
        tokens = torch.randint(V, (300, 6), generator=torch.Generator().manual_seed(0))
        fed = torch.cat([torch.zeros(300, 1, dtype=torch.int64), tokens[:, :-1]], 1)
        log_p = (lstm(given["embedding"][fed])[0] @ given["W_out"] + given["b_out"]).log_softmax(-1)
    expected = -log_p.gather(-1, tokens[..., None])[..., 0]
    oracle = published_oracle({name: array.numpy() for name, array in given.items()})
    assert torch.allclose(oracle.nll(tokens), expected, atol=1e-5)


def test_probabilities_sum_to_one():
    total = (-seeded_oracle(3, 5, 3).nll(sequences(5, 4)).sum(1)).exp().sum()
    assert float(total) == pytest.approx(1, abs=1e-5)


def test_samples_have_the_oracles_probabilities():
    oracle, n, t = seeded_oracle(5, 4, 3), 40_000, 3
    every = sequences(4, t)
    expected = n * (-oracle.nll(every).sum(1)).exp()
    samples = oracle.sample(n, torch.Generator().manual_seed(0), t)
    found = torch.bincount(samples @ torch.tensor([16, 4, 1]), minlength=64)
    assert samples.dtype == torch.int64
    often = expected >= 5
    assert often.sum() >= 20
    statistic = ((found - expected)[often] ** 2 / expected[often]).sum()
    degrees = float(often.sum())
    assert abs(statistic - degrees) < 4.5 * (2 * degrees) ** 0.5
    assert abs(found[~often].sum() - expected[~often].sum()) < 5 * expected[~often].sum().clamp(min=1) ** 0.5


def test_greedy_takes_the_most_probable_token():
    oracle = seeded_oracle(0, 6, 3)
    greedy = oracle.greedy(4)
    for position in range(4):
        others = greedy.repeat(6, 1)
        others[:, position] = torch.arange(6)
        assert oracle.nll(others)[:, position].argmin() == greedy[position]


def test_chunks_change_nothing(monkeypatch):
    oracle = seeded_oracle(0, 50, 8)
    noise = torch.rand(9, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    whole, nll = oracle.draw(noise), oracle.nll(oracle.draw(noise))
    monkeypatch.setattr(module, "CHUNK", 4)
    assert torch.equal(oracle.draw(noise), whole)
    assert torch.allclose(oracle.nll(whole), nll, atol=1e-5)


def test_seeded_oracle_never_changes():
    """Results on file depend on these values."""
    first = seeded_oracle(0, 3, 2)
    assert first.output_bias.tolist() == pytest.approx([0.5022303, 0.5335675, 1.8714854], abs=1e-6)
    sentences = oracle_splits(seeded_oracle(0, 40, 4), "", 0, 6, (2, 1, 1)).train.tokens
    assert sentences.tolist() == [[19, 10, 2, 9, 38, 20], [25, 2, 20, 1, 1, 34]]
    assert not torch.equal(first.embedding, seeded_oracle(1, 3, 2).embedding)
    spread = seeded_oracle(0, 400, 16).embedding
    assert abs(spread.mean()) < 4 / 80
    assert abs(spread.std() - 1) < 4 / (2 * 6400) ** 0.5


def test_splits_and_scores_of_references():
    oracle = seeded_oracle(0, 200, 8)
    splits = oracle_splits(oracle, "here", 0, 10, (300, 100, 200))
    rows = [set(map(tuple, part.tokens.tolist())) for part in (splits.train, splits.valid, splits.test)]
    assert [len(part) for part in (splits.train, splits.valid, splits.test)] == [300, 100, 200]
    assert not rows[0] & rows[1] and not rows[0] & rows[2] and not rows[1] & rows[2]
    assert splits.train.lengths.tolist() == [10] * 300
    assert (len(splits.vocabulary), splits.vocabulary.eos, splits.vocabulary.bos) == (200, None, 200)
    references = splits.reference_samples(500, torch.Generator().manual_seed(0))
    metrics = {name: splits.score(samples) for name, samples in references.items()}
    assert metrics["greedy"]["nll_oracle"] < metrics["truth"]["nll_oracle"] < metrics["unigram"]["nll_oracle"]
    assert metrics["greedy"]["distinct"] == 1 / 500
    held_out = oracle.nll(splits.test.tokens).mean(1)
    error = held_out.std() * (1 / 200 + 1 / 500) ** 0.5
    assert abs(metrics["truth"]["nll_oracle"] - held_out.mean()) < 4 * error


def test_published_oracle_from_either_file(tmp_path, monkeypatch):
    given = arrays()
    with pytest.raises(FileNotFoundError, match=r"target_params_py3\.pkl is missing"):
        read_published(Folders(str(tmp_path)))
    folder = tmp_path / "seqgan_oracle"
    folder.mkdir(exist_ok=True)
    content = pickle.dumps(list(given.values()), protocol=2)
    (folder / "target_params_py3.pkl").write_bytes(content)
    with pytest.raises(ValueError, match="corrupt"):
        read_published(Folders(str(tmp_path)))
    monkeypatch.setattr(module, "MD5", hashlib.md5(content).hexdigest())
    pickled, file = read_published(Folders(str(tmp_path)))
    assert file == "target_params_py3.pkl"
    np.savez(folder / "target_params.npz", **given)
    converted, file = read_published(Folders(str(tmp_path)))
    assert file == "target_params.npz"
    tokens = torch.randint(V, (5, 3))
    assert torch.equal(pickled.nll(tokens), converted.nll(tokens))
    assert torch.equal(pickled.nll(tokens), published_oracle(given).nll(tokens))


def test_pickled_code_is_not_run(tmp_path, monkeypatch):
    content = b"cos\nsystem\n(S'false'\ntR."
    (tmp_path / "seqgan_oracle").mkdir()
    (tmp_path / "seqgan_oracle/target_params_py3.pkl").write_bytes(content)
    monkeypatch.setattr(module, "MD5", hashlib.md5(content).hexdigest())
    with pytest.raises(ValueError, match=r"not the oracle of SeqGAN .*refers to os\.system"):
        read_published(Folders(str(tmp_path)))


@pytest.mark.parametrize("damage", ["missing", "shape", "bytes"])
def test_damaged_oracle_raises(tmp_path, damage):
    path = tmp_path / "seqgan_oracle" / "target_params.npz"
    path.parent.mkdir()
    given = arrays()
    if damage == "missing":
        del given["Uf"]
    if damage == "shape":
        given["W_out"] = given["W_out"][:-1]
    np.savez(path, **given)
    if damage == "bytes":
        path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match="not the oracle of SeqGAN") as error:
        read_published(Folders(str(tmp_path)))
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.real_data
def test_published_values_of_the_real_oracle(real):
    oracle, _ = read_published(Folders(real("seqgan_oracle/target_params.npz")))
    splits = oracle_splits(oracle, "", 1, 20, (500, 1, 1))
    references = splits.reference_samples(200, torch.Generator().manual_seed(0))
    truth = oracle.nll(references["truth"]).mean(1)
    assert abs(truth.mean() - 5.757) < 4 * truth.std() / 200**0.5
    assert score(oracle, references["greedy"][:2])["nll_oracle"] == pytest.approx(2.756, abs=0.001)
    assert score(oracle, references["unigram"])["nll_oracle"] == pytest.approx(10.28, abs=0.1)
    uniform = torch.randint(5000, (200, 20), generator=torch.Generator().manual_seed(0))
    assert score(oracle, uniform)["nll_oracle"] == pytest.approx(11.44, abs=0.1)
