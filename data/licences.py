"""Under what terms the data sets may be used, and whom to cite: a line of every result and of every model card."""

from __future__ import annotations

LICENCES = {
    "digits": "UCI optdigits (Alpaydin & Kaynak 1998), as it comes with scikit-learn (BSD 3-Clause)",
    "mnist": "CC BY-SA 3.0, LeCun & Cortes (LeCun et al. 1998)",
    "fashion_mnist": "MIT (Xiao et al. 2017)",
    "omniglot": "MIT (Lake et al. 2015)",
    "cifar10": "none is stated (Krizhevsky 2009)",
    "oracle": "drawn by gumbelzoo, free of any",
    "oracle_published": "none is stated with the parameters (Yu et al. 2017)",
    "grammar": "drawn by gumbelzoo, free of any",
    "captions": "CC BY 4.0 (Chen et al. 2015)",
    "tinyshakespeare": "public domain",
    "names": "public domain",
    "smiles": "none is stated with the file (ZINC: Irwin et al. 2012)",
    "smiles_qm9": "none is stated with the file (QM9: Ramakrishnan et al. 2014)",
}


def licence_of(name: str) -> str:
    """The terms of a data set by its name; of a user's own file nothing is known."""
    return LICENCES.get(name, "not known here")
