"""Rewards of molecules, written as SMILES, through rdkit; those of ORGAN (Guimaraes et al. 2017, arXiv:1705.10843).

Each is named what it is. An invalid string scores 0.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

from ....evaluation import molecules
from ....ranges import check_sizes
from .base import DOMAIN_REWARDS, DomainReward

LOWEST_LOG_P, HIGHEST_LOG_P = -2.12178879609, 6.0429063424  # ORGAN's scaling
EASIEST, HARDEST = 1.0, 10.0  # scores of synthesizability
REFERENCES = 200  # training molecules that ``diversity`` compares with


class MoleculeReward(DomainReward):
    """Base class of rewards of molecules.

    Args:
        closed_shell: molecules with unpaired electrons or a net charge are invalid, and score 0. Radicals and ions are
            valid SMILES, and so many that a reward for variety fills up with them.

    Raises:
        ValueError: rdkit is missing; the extra is named.
    """

    def __init__(self, closed_shell: bool = False) -> None:
        super().__init__()
        molecules.chemistry()
        self.closed_shell = closed_shell

    def canonical(self, sentence: str) -> str | None:
        """Return the canonical SMILES, or None of a string that is no molecule."""
        form = molecules.canonical(sentence)
        refused = form is not None and self.closed_shell and not molecules.is_closed_shell(molecules.parse(form))
        return None if refused else form


@DOMAIN_REWARDS.register("validity")
class Validity(MoleculeReward):
    """1 for every valid molecule."""

    def score(self, sentence: str) -> float:
        """Return 1."""
        return 1.0


@DOMAIN_REWARDS.register("log_p")
class LogP(MoleculeReward):
    """Crippen's logP, scaled to [0, 1] and clipped as ORGAN does, which calls it solubility.

    It grows with oil and falls with water, and with the size of a molecule: a chain of fifteen carbons has the highest
    possible reward.

    Args:
        most_atoms: heavy atoms of the largest molecule that is rewarded; larger ones score 0. None for no limit.
        closed_shell: molecules with unpaired electrons or a net charge score 0.

    Raises:
        ValueError: a limit below 1, or no rdkit.
    """

    def __init__(self, most_atoms: int | None = None, closed_shell: bool = False) -> None:
        super().__init__(closed_shell)
        check_sizes(most_atoms=1 if most_atoms is None else most_atoms)
        self.most_atoms = math.inf if most_atoms is None else most_atoms

    def score(self, sentence: str) -> float:
        """Return the scaled logP."""
        molecule = molecules.parse(sentence)
        if molecule.GetNumHeavyAtoms() > self.most_atoms:
            return 0.0
        scaled = (molecules.log_p(molecule) - LOWEST_LOG_P) / (HIGHEST_LOG_P - LOWEST_LOG_P)
        return min(max(scaled, 0.0), 1.0)


@DOMAIN_REWARDS.register("qed")
class QED(MoleculeReward):
    """Quantitative estimate of drug-likeness (Bickerton et al. 2012)."""

    def score(self, sentence: str) -> float:
        """Return the estimate."""
        from rdkit.Chem import QED as estimate

        return float(estimate.qed(molecules.parse(sentence)))


@DOMAIN_REWARDS.register("synthesizability")
class Synthesizability(MoleculeReward):
    """Ease of synthesis: the score of Ertl & Schuffenhauer 2009, scaled from 10 (hard) to 1 (easy) to [0, 1]."""

    def score(self, sentence: str) -> float:
        """Return the scaled score."""
        found = _scorer().calculateScore(molecules.parse(sentence))
        return min(max((HARDEST - float(found)) / (HARDEST - EASIEST), 0.0), 1.0)


@DOMAIN_REWARDS.register("novelty")
class Novelty(MoleculeReward):
    """1 for a valid molecule that is not in training, by canonical form."""

    needs_training_text = True

    def __init__(self, closed_shell: bool = False) -> None:
        super().__init__(closed_shell)
        self.known: frozenset[str | None] = frozenset()

    def learn(self, sentences: Sequence[str]) -> None:
        """Keep the canonical forms of the training molecules."""
        super().learn(sentences)
        self.known = frozenset(map(molecules.canonical, sentences))

    def score(self, sentence: str) -> float:
        """Return 0 or 1; ValueError before ``learn``."""
        if not self.known:
            raise ValueError("the reward 'novelty' compares with training molecules, and knows none yet")
        return float(sentence not in self.known)


@DOMAIN_REWARDS.register("diversity")
class Diversity(MoleculeReward):
    """Mean Tanimoto distance to the first 200 training molecules of a random order.

    So it is a distance from training: a set of equal samples can have a high reward. The diversity of a set is the
    metric ``internal_diversity``.
    """

    needs_training_text = True

    def __init__(self, closed_shell: bool = False) -> None:
        super().__init__(closed_shell)
        self.references: list[Any] = []

    def learn(self, sentences: Sequence[str]) -> None:
        """Keep fingerprints of training molecules."""
        super().learn(sentences)
        found = (molecule for molecule in map(molecules.parse, sentences) if molecule is not None)
        self.references = molecules.fingerprints(islice(found, REFERENCES))

    def score(self, sentence: str) -> float:
        """Return the mean distance; ValueError before ``learn``."""
        from rdkit.DataStructs import BulkTanimotoSimilarity

        if not self.references:
            raise ValueError("the reward 'diversity' compares with training molecules, and knows none yet")
        (own,) = molecules.fingerprints([molecules.parse(sentence)])
        return 1.0 - sum(BulkTanimotoSimilarity(own, self.references)) / len(self.references)


@cache
def _scorer() -> Any:
    """Import the scorer of synthesizability, which rdkit ships among its contributions."""
    from rdkit.Chem import RDConfig

    folder = str(Path(RDConfig.RDContribDir) / "SA_Score")
    sys.path.append(folder)
    try:
        import sascorer
    finally:
        sys.path.remove(folder)
    return sascorer
