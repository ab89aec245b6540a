"""What models learn from: LightningDataModules, and nothing else.

A batch is a dictionary of tensors, and it is all that data and models share:

========  =======  =============  ==========================================
key       dtype    shape          meaning
========  =======  =============  ==========================================
image     float32  ``b c h w``    levels in [0, 1], or exactly 0 and 1 if binarized
label     int64    ``b``          class
========  =======  =============  ==========================================

Besides its loaders a datamodule of images has ``name``, ``shape`` (``c, h, w``), ``mean`` (``c h w``, of the training
images as the model sees them) and ``facts()`` (what is printed beside every result).
"""

from .images import ImageData

__all__ = ["ImageData"]
