"""Networks with published weights: Inception for the FID of publications, and LPIPS.

Weights are read where torch keeps downloads, and nothing is downloaded. LPIPS is Zhang et al. 2018 (arXiv:1801.03924).
Axes: ``b`` batch, ``c h w`` image, ``d`` features.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn
from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity
from torchvision.models import AlexNet_Weights, SqueezeNet1_1_Weights, VGG16_Weights

INCEPTION = (
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth"
)
LPIPS = {
    "alex": AlexNet_Weights.DEFAULT.url,
    "squeeze": SqueezeNet1_1_Weights.DEFAULT.url,
    "vgg": VGG16_Weights.DEFAULT.url,
}


class InceptionFeatures(nn.Module):
    """The 2048 features of the Inception network that publications use for the FID, by torchmetrics.

    Raises:
        ValueError: no torch-fidelity, or no weights.
    """

    def __init__(self) -> None:
        super().__init__()
        if find_spec("torch_fidelity") is None:
            raise ValueError("the Inception network needs torch-fidelity: pip install torch-fidelity")
        from torchmetrics.image.fid import NoTrainInceptionV3

        path = weights_file(INCEPTION)
        self.network = NoTrainInceptionV3("inception-v3-compat", ["2048"], str(path))

    def features(self, x: Tensor) -> Tensor:
        """Return features of images in [0, 1], ``b c h w -> b d``: 8 bits a level, resized to 299 x 299."""
        return self.network((255 * three_channels(x)).byte())


def lpips_metric(network: str, shape: Sequence[int]) -> LearnedPerceptualImagePatchSimilarity:
    """Return the mean LPIPS of pairs of images in [0, 1] with three channels.

    Args:
        network: alex, squeeze or vgg.
        shape: ``c h w`` of the images.

    Raises:
        ValueError: an unknown network, no weights, or images that are too small for the network.
    """
    if network not in LPIPS:
        raise ValueError(f"LPIPS has the networks {', '.join(LPIPS)}, got '{network}'")
    weights_file(LPIPS[network])
    metric = LearnedPerceptualImagePatchSimilarity(network, normalize=True)  # type: ignore[arg-type]
    empty = three_channels(torch.zeros(1, *shape))
    try:
        metric.update(empty, empty)
    except RuntimeError as error:
        raise ValueError(
            f"images of {shape[1]} x {shape[2]} are too small for LPIPS with the network {network}; vgg takes the "
            "smallest ones"
        ) from error
    metric.reset()
    return metric


def three_channels(x: Tensor) -> Tensor:
    """Repeat grey images as red, green and blue, ``b c h w``; others stay as they are.

    Raises:
        ValueError: neither one nor three channels.
    """
    if x.shape[1] not in (1, 3):
        raise ValueError(f"networks of photographs take images of 1 or 3 channels, got {x.shape[1]}")
    return x.expand(-1, 3, -1, -1)


def weights_file(url: str) -> Path:
    """Return where torch keeps the weights of an address; they are read once, and nothing in them is executed.

    Raises:
        ValueError: the file is missing or is no file of weights.
    """
    path = Path(torch.hub.get_dir(), "checkpoints", url.rpartition("/")[2])
    if not path.is_file():
        raise ValueError(f"the weights are not there: download {url} to {path.parent}")
    try:
        torch.load(path, map_location="meta", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        raise ValueError(f"{path} is no file of weights: delete it, and download {url} again") from error
    return path
