"""Metrics and rewards of molecules, at values that were computed by hand or are known from the definition."""

from __future__ import annotations

import pytest
import torch
from gumbelzoo.evaluation import molecules
from gumbelzoo.models.text.domain_rewards import DOMAIN_REWARDS

pytest.importorskip("rdkit", reason="extra chem")
TRAINING = ["CCO", "c1ccccc1", "CC(=O)O", "CCN"]


@pytest.mark.parametrize("training", [TRAINING, ["OCC", "C1=CC=CC=C1", "OC(C)=O", "NCC"]])
def test_another_way_to_write_is_not_novel(training: list[str]) -> None:
    """Novelty and uniqueness are of canonical forms, of samples and of training molecules: OCC is CCO."""
    samples = ["OCC", "CCO", "CCCl", "C1=CC=CC=C1"]
    metrics = molecules.molecule_metrics(samples, training, training)
    assert metrics["valid"] == 1.0 and metrics["novel"] == pytest.approx(1 / 3)
    reward = DOMAIN_REWARDS.build("novelty")
    reward.learn(training)
    assert reward(samples).tolist() == [0.0, 0.0, 1.0, 0.0]


def test_invalid_strings_count_in_validity_alone() -> None:
    metrics = molecules.molecule_metrics(["CCO", "C(", "", "c1cccc1", "CCN"], TRAINING, TRAINING)
    assert metrics["valid"] == pytest.approx(2 / 5) and metrics["heavy_atoms"] == 3
    assert molecules.molecule_metrics(["C(", "CCO"], TRAINING, TRAINING) == {"valid": 0.5}


def test_copies_have_no_diversity() -> None:
    """A set of equal molecules has none, and garbage gets no credit; different ones have some."""
    same = molecules.molecule_metrics(["CCO"] * 5 + ["C("] * 5, TRAINING, TRAINING)
    assert same["internal_diversity"] == pytest.approx(0.0)
    mixed = molecules.molecule_metrics(TRAINING, TRAINING, TRAINING)
    assert 0.5 < mixed["internal_diversity"] < 1
    assert abs(mixed["descriptor_distance"]) < 1e-3 < same["descriptor_distance"]


def test_unique_of_the_first_thousand() -> None:
    """Of a thousand valid samples with two different ones it is 0.002; without a thousand it is missing."""
    samples = ["C("] + ["CCO", "OCC", "CCN", "NCC"] * 250
    assert molecules.molecule_metrics(samples, TRAINING, TRAINING)["unique_1k"] == pytest.approx(0.002)
    assert "unique_1k" not in molecules.molecule_metrics(samples[:900], TRAINING, TRAINING)


@pytest.mark.parametrize(
    ("name", "smiles", "score"),
    [
        ("log_p", "C" * 15, 1.0),  # the trivial optimum
        ("log_p", "c1ccccc1", 0.466),
        ("log_p", "C(", 0.0),
        ("qed", "C" * 15, 0.343),
        ("validity", "CCO", 1.0),
        ("validity", "c1cccc1", 0.0),
    ],
)
def test_known_rewards(name: str, smiles: str, score: float) -> None:
    assert DOMAIN_REWARDS.build(name)([smiles]).item() == pytest.approx(score, abs=1e-3)


@pytest.mark.parametrize("options", [{}, {"closed_shell": True}])
def test_molecule_with_an_unreadable_form_has_no_reward(options: dict[str, bool]) -> None:
    """The string is valid, but not what rdkit makes of it; in a long run of a generator one turns up."""
    assert molecules.parse("CCc1cnccc=1=C") is not None
    for name in ("log_p", "qed", "validity", "synthesizability"):
        assert DOMAIN_REWARDS.build({"name": name, **options})(["CCc1cnccc=1=C"]).tolist() == [0.0], name


def test_larger_molecules_have_no_reward() -> None:
    reward = DOMAIN_REWARDS.build({"name": "log_p", "most_atoms": 9})
    assert reward(["C" * 9, "C" * 10]).tolist() == [pytest.approx(0.720, abs=1e-3), 0.0]
    with pytest.raises(ValueError, match="most_atoms must be"):
        DOMAIN_REWARDS.build({"name": "log_p", "most_atoms": 0})


@pytest.mark.parametrize("name", ["validity", "log_p", "qed", "synthesizability"])
@pytest.mark.parametrize(("smiles", "closed"), [("C[CH]CC", False), ("C[C+](C)C", False), ("C[N+](=O)[O-]", True)])
def test_radicals_and_ions_have_no_reward(name: str, smiles: str, closed: bool) -> None:
    """They are valid SMILES; nitromethane, without unpaired electrons and net charge, keeps its reward."""
    plain, strict = DOMAIN_REWARDS.build(name), DOMAIN_REWARDS.build({"name": name, "closed_shell": True})
    assert plain([smiles]) > 0 and strict([smiles]).item() == (plain([smiles]).item() if closed else 0.0)
    assert molecules.molecule_metrics([smiles, "CCO"], TRAINING, TRAINING)["closed_shell"] == (1.0 if closed else 0.5)


def test_reward_does_not_depend_on_the_batch() -> None:
    """Each score alone is that in a batch, in any order."""
    for name in ("log_p", "qed", "synthesizability", "diversity", "novelty"):
        reward = DOMAIN_REWARDS.build(name)
        reward.learn(TRAINING)
        alone = torch.cat([DOMAIN_REWARDS.build(name)([]), *(reward([smiles]) for smiles in TRAINING)])
        again = DOMAIN_REWARDS.build(name)
        again.learn(TRAINING)
        torch.testing.assert_close(again(TRAINING[::-1]).flip(0), alone)


def test_training_molecules_are_known() -> None:
    """Those of a later training set too: a score from before is not kept."""
    reward = DOMAIN_REWARDS.build("novelty")
    reward.learn(TRAINING)
    assert reward(["OCC", "CCCl", "C("]).tolist() == [0.0, 1.0, 0.0]
    reward.learn(["CCCl"])
    assert reward(["OCC", "CCCl", "C("]).tolist() == [1.0, 0.0, 0.0]
    for name in ("novelty", "diversity"):
        with pytest.raises(ValueError, match="knows none yet"):
            DOMAIN_REWARDS.build(name)(["CCO"])


def test_without_rdkit_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "rdkit", None)
    with pytest.raises(ValueError, match=r"molecules need rdkit: pip install 'gumbelzoo\[chem\]'"):
        DOMAIN_REWARDS.build("log_p")
