"""Networks that several families share; importing this package registers encoders and decoders."""

from . import convolutional, image, on_grid, residual  # noqa: F401  (importing registers)
