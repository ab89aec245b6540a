"""Small image encoders and decoders, by name.

An encoder maps images ``b c h w`` to features ``b d``. A decoder maps features ``b d`` to one logit per pixel
``b c h w``, and its last layer needs no bias: the model adds one per pixel. Both get ``image_shape`` and ``features``
from the model; their other arguments are options of a spec such as ``{name: mlp, hidden: [512, 256]}``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

from einops.layers.torch import Rearrange
from torch import Tensor, nn

from ...ranges import check_sizes
from ...registry import Registry, Spec
from .shapes import output_shape
from .upsampling import TransposedConv2d, channels_last

ENCODERS: Registry[Callable[..., nn.Module]] = Registry("encoder", context=("image_shape", "features"))
DECODERS: Registry[Callable[..., nn.Module]] = Registry("decoder", context=("image_shape", "features"))
ACTIVATIONS: Registry[type[nn.Module]] = Registry("activation")
ACTIVATIONS.register("relu")(nn.ReLU)
ACTIVATIONS.register("tanh")(nn.Tanh)


@ENCODERS.register("mlp")
class MLPEncoder(nn.Sequential):
    """Multilayer perceptron on the flattened image, ``b c h w -> b d``.

    Args:
        image_shape: ``c h w`` of the images.
        features: d.
        hidden: widths of the hidden layers, first layer first.
        activation: ``relu`` or ``tanh``.

    Raises:
        ValueError: a width below 1.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        features: int,
        hidden: Sequence[int] = (512, 256),
        activation: str = "relu",
    ) -> None:
        check_sizes(hidden=hidden)
        c, h, w = image_shape
        super().__init__(Rearrange("b c h w -> b (c h w)"), *mlp([c * h * w, *hidden, features], activation))


@DECODERS.register("mlp")
class MLPDecoder(nn.Sequential):
    """Multilayer perceptron, ``b d -> b c h w``.

    Args:
        image_shape: ``c h w`` of the images.
        features: d.
        hidden: widths of the hidden layers, the one after the features first.
        activation: ``relu`` or ``tanh``.

    Raises:
        ValueError: a width below 1.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        features: int,
        hidden: Sequence[int] = (256, 512),
        activation: str = "relu",
    ) -> None:
        check_sizes(hidden=hidden)
        c, h, w = image_shape
        layers = mlp([features, *hidden, c * h * w], activation, last_bias=False)
        super().__init__(*layers, Rearrange("b (c h w) -> b c h w", c=c, h=h))


@ENCODERS.register("conv")
class ConvEncoder(nn.Sequential):
    """4x4 convolutions of stride 2, then one hidden linear layer, ``b c h w -> b d``.

    Args:
        image_shape: ``c h w`` of the images.
        features: d.
        hidden: channels of each convolution, then the width of the linear layer.
        activation: ``relu`` or ``tanh``.

    Raises:
        ValueError: fewer than two widths, one below 1, or an image that cannot be halved once per convolution.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        features: int,
        hidden: Sequence[int] = (512, 256),
        activation: str = "relu",
    ) -> None:
        h, w = _halved(image_shape, hidden)
        *channels, width = hidden
        layers: list[nn.Module] = []
        for before, after in pairwise([image_shape[0], *channels]):
            layers += [nn.Conv2d(before, after, kernel_size=4, stride=2, padding=1), ACTIVATIONS[activation]()]
        flat = channels[-1] * h * w
        super().__init__(*layers, Rearrange("b c h w -> b (c h w)"), *mlp([flat, width, features], activation))

    def forward(self, x: Tensor) -> Tensor:
        """Compute the features of images, ``b c h w -> b d``."""
        return super().forward(channels_last(x))


@DECODERS.register("conv")
class ConvDecoder(nn.Sequential):
    """One hidden linear layer, then 4x4 transposed convolutions of stride 2, ``b d -> b c h w``.

    Args:
        image_shape: ``c h w`` of the images.
        features: d.
        hidden: width of the linear layer, then input channels of each transposed convolution.
        activation: ``relu`` or ``tanh``.

    Raises:
        ValueError: fewer than two widths, one below 1, or an image that cannot be halved once per convolution.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        features: int,
        hidden: Sequence[int] = (256, 512),
        activation: str = "relu",
    ) -> None:
        h, w = _halved(image_shape, hidden)
        width, *channels = hidden
        layers: list[nn.Module] = mlp([features, width, channels[0] * h * w], activation)
        layers += [ACTIVATIONS[activation](), Rearrange("b (c h w) -> b c h w", h=h, w=w)]
        for before, after in pairwise(channels):
            layers.append(TransposedConv2d(before, after, kernel=4))
            layers.append(ACTIVATIONS[activation]())
        super().__init__(*layers, TransposedConv2d(channels[-1], image_shape[0], kernel=4, bias=False))


def check_networks(encoder: Spec, decoder: Spec, image_shape: Sequence[int], features: int, latents: int) -> None:
    """Check that an encoder maps images to ``features`` numbers, and a decoder ``latents`` numbers to images.

    Raises:
        ValueError: one does not; errors of the networks.
    """
    for registry, spec, width, given, expected in (
        (ENCODERS, encoder, features, tuple(image_shape), (features,)),
        (DECODERS, decoder, latents, (latents,), tuple(image_shape)),
    ):
        label = f"{registry.kind} '{registry.read(spec)[0]}'"
        build = partial(registry.build, spec, image_shape=tuple(image_shape), features=width)
        if (made := output_shape(label, build, given)) != expected:
            raise ValueError(f"the {label} maps shape {given} to shape {made}, and the model needs {expected}")


def mlp(widths: Sequence[int], activation: str, last_bias: bool = True) -> list[nn.Module]:
    """Build linear layers from each width to the next, with the activation between them."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), ACTIVATIONS[activation]()]
    if not last_bias:
        # The replaced layer has drawn random numbers: without it a seed gives other weights than the figures on file.
        layers[-2] = nn.Linear(widths[-2], widths[-1], bias=False)
    return layers[:-1]


def _halved(image_shape: Sequence[int], hidden: Sequence[int]) -> tuple[int, int]:
    """Return height and width between convolutions and linear layers; all widths but one are channels."""
    check_sizes(hidden=hidden)
    _, h, w = image_shape
    factor = 2 ** max(len(hidden) - 1, 0)
    if len(hidden) < 2 or h % factor or w % factor:
        raise ValueError(
            f"a convolutional network needs two hidden widths or more, channels and one linear layer, each convolution "
            f"halves the image, and height and width must be divisible by {factor} for hidden={list(hidden)}; got "
            f"images of shape {tuple(image_shape)}"
        )
    return h // factor, w // factor
