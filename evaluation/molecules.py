"""Molecules written as SMILES: validity, canonical form, and metrics of a set of samples, through rdkit.

Metrics as in MOSES (Polykovskiy et al. 2020, arXiv:1811.12823). All comparisons are of canonical forms, so another way
to write a training molecule is not new, and no two ways are different molecules. Axes: ``n`` molecules, ``d``
descriptors.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from .fid import frechet_distance

INSTALL = "molecules need rdkit: pip install 'gumbelzoo[chem]'"
COMPARED = 1_000  # molecules whose pairs are compared
RADIUS, BITS = 2, 1024  # of Morgan fingerprints


def has_rdkit() -> bool:
    """Return whether rdkit is installed, without importing it."""
    return importlib.util.find_spec("rdkit") is not None


def chemistry() -> Any:
    """Import ``rdkit.Chem``; ValueError naming the extra without it."""
    try:
        from rdkit import Chem
    except ModuleNotFoundError:
        raise ValueError(INSTALL) from None
    return Chem


def parse(smiles: str) -> Any:
    """Return the molecule of a string, or None: one that is no valid molecule, or has no atom."""
    chem = chemistry()
    from rdkit import rdBase

    with rdBase.BlockLogs():  # rdkit writes a line for every invalid string
        molecule = chem.MolFromSmiles(smiles)
    return molecule if molecule is not None and molecule.GetNumAtoms() else None


def canonical(smiles: str) -> str | None:
    """Return the canonical form of a string; None of one that is no valid molecule, or whose form rdkit cannot read."""
    if (molecule := parse(smiles)) is None:
        return None
    form = str(chemistry().MolToSmiles(molecule))
    return None if parse(form) is None else form  # some aromatic rings have a form without a Kekule structure


def is_closed_shell(molecule: Any) -> bool:
    """Return whether a molecule has no unpaired electrons and no net charge."""
    chem = chemistry()
    return not chem.GetFormalCharge(molecule) and not any(atom.GetNumRadicalElectrons() for atom in molecule.GetAtoms())


def log_p(molecule: Any) -> float:
    """Return Crippen's logP, the logarithm of the ratio of concentrations in octanol and water."""
    chemistry()
    from rdkit.Chem import rdMolDescriptors

    return float(rdMolDescriptors.CalcCrippenDescriptors(molecule)[0])


def molecule_metrics(samples: Sequence[str], known: Iterable[str], held_out: Iterable[str]) -> dict[str, float]:
    """Compute metrics of sampled strings.

    - ``valid``: share of samples that are molecules.
    - ``closed_shell``: share of valid samples without unpaired electrons and net charge. Radicals are valid SMILES.
    - ``unique_1k``, ``unique_10k``: share of different ones among the first 1,000 and 10,000 valid samples; missing
      with fewer.
    - ``novel``: share of different valid samples that are not among the known molecules.
    - ``internal_diversity``: 1 - mean Tanimoto similarity of the pairs of the first 1,000 valid samples.
    - ``descriptor_distance``: Frechet distance of ``descriptors`` to held-out molecules; lower is closer.
    - ``heavy_atoms``: atoms of the largest molecule.

    All but ``valid`` are missing with fewer than two valid samples.

    Args:
        samples: strings, molecules or not.
        known: molecules that are not novel, such as all that a model was trained or selected on.
        held_out: other molecules, to compare with.

    Raises:
        ValueError: no samples, or no rdkit.
    """
    if not samples:
        raise ValueError("metrics of molecules need at least one sample")
    molecules = [molecule for molecule in map(parse, samples) if molecule is not None]
    metrics = {"valid": len(molecules) / len(samples)}
    if len(molecules) < 2:
        return metrics
    metrics["closed_shell"] = sum(map(is_closed_shell, molecules)) / len(molecules)
    names = [str(chemistry().MolToSmiles(molecule)) for molecule in molecules]
    for label, number in (("unique_1k", 1_000), ("unique_10k", 10_000)):
        if len(names) >= number:
            metrics[label] = len(set(names[:number])) / number
    forms = {canonical(line) for line in known}
    metrics["novel"] = sum(name not in forms for name in set(names)) / len(set(names))
    metrics["internal_diversity"] = internal_diversity(molecules[:COMPARED])
    real = [molecule for molecule in map(parse, held_out) if molecule is not None]
    if len(real) > 1:
        metrics["descriptor_distance"] = descriptor_distance(real, molecules)
    metrics["heavy_atoms"] = float(max(molecule.GetNumHeavyAtoms() for molecule in molecules))
    return metrics


def fingerprints(molecules: Iterable[Any]) -> list[Any]:
    """Return Morgan fingerprints of molecules."""
    chemistry()
    from rdkit.Chem import rdFingerprintGenerator

    generator = rdFingerprintGenerator.GetMorganGenerator(radius=RADIUS, fpSize=BITS)
    return [generator.GetFingerprint(molecule) for molecule in molecules]


def internal_diversity(molecules: Sequence[Any]) -> float:
    """Return 1 - the mean Tanimoto similarity of all ordered pairs, each with itself included, in [0, 1)."""
    from rdkit.DataStructs import BulkTanimotoSimilarity

    prints = fingerprints(molecules)
    return 1.0 - sum(sum(BulkTanimotoSimilarity(one, prints)) for one in prints) / len(prints) ** 2


def descriptors(molecules: Iterable[Any]) -> Tensor:
    """Return numbers of each molecule, float64 ``n d``.

    They are weight, logP, polar surface, donors, acceptors, rotatable bonds, rings, aromatic rings, the share of sp3
    carbon, heavy atoms, and atoms other than carbon.
    """
    chemistry()
    from rdkit.Chem import rdMolDescriptors

    numbers = (
        rdMolDescriptors.CalcExactMolWt,
        log_p,
        rdMolDescriptors.CalcTPSA,
        rdMolDescriptors.CalcNumHBD,
        rdMolDescriptors.CalcNumHBA,
        rdMolDescriptors.CalcNumRotatableBonds,
        rdMolDescriptors.CalcNumRings,
        rdMolDescriptors.CalcNumAromaticRings,
        rdMolDescriptors.CalcFractionCSP3,
        lambda molecule: molecule.GetNumHeavyAtoms(),
        rdMolDescriptors.CalcNumHeteroatoms,
    )
    rows = [[float(number(molecule)) for number in numbers] for molecule in molecules]
    return torch.tensor(rows, dtype=torch.float64)


def descriptor_distance(real: Iterable[Any], generated: Iterable[Any]) -> float:
    """Return the Frechet distance of descriptors, each divided by its standard deviation among the real molecules."""
    reference, written = descriptors(real), descriptors(generated)
    scale = reference.std(0).clamp(min=1e-6)
    return frechet_distance(reference / scale, written / scale)
