"""What models learn from: LightningDataModules, and nothing else.

A batch is a dictionary of tensors; it, and for text the ``Vocabulary`` in the package's root, is all that data and
models share:

========  =======  =============  ==========================================
key       dtype    shape          meaning
========  =======  =============  ==========================================
image     float32  ``b c h w``    levels in [0, 1], or exactly 0 and 1 if binarized
label     int64    ``b``          class
tokens    int64    ``b t``        ids of text, padded with ``vocabulary.pad``
length    int64    ``b``          tokens that count in each row, at least 1
========  =======  =============  ==========================================

Besides its loaders a datamodule of images has ``name``, ``shape`` (``c, h, w``), ``mean`` (``c h w``, of the training
images as the model sees them), ``variance`` (of all their pixels) and ``facts()`` (what is printed beside every
result).

The conventions of text: a batch has the tokens alone, with no begin in front, and all rows are ``max_length`` wide. A
sentence ends in ``eos``, which counts (``length`` has it) and is a target of the likelihood like any other token. The
places behind it hold ``eos`` again, for ``pad`` is ``eos``: a padded row is what a generator writes that has nothing to
add to its end, and no discriminator can tell the two apart by the padding. Sequences of a fixed length (the oracle's)
have no end, and ``length`` is ``max_length``. A model is fed ``bos = len(vocabulary)`` first; it is no token and never
an output. Tokens that training does not hold are ``unk``, a target like the others. Nats per token are over ``length``.

A datamodule of text has ``name``, ``vocabulary``, ``max_length``, ``facts()``, ``score(samples)`` (all that the set
knows about samples ``b t``, as figures by name) and ``anchors(n, generator)`` (the same figures for what a model is
compared with, such as the truth).
"""

from .images.datamodule import ImageData
from .text.datamodule import TextData

__all__ = ["ImageData", "TextData"]
