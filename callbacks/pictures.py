"""Pictures of what an image model does: samples, reconstructions, paths between images, completions, latents.

Axes: ``b`` images, ``s`` steps or samples, ``n`` latents, ``k`` categories, ``c h w`` one image, ``H W`` the picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from einops import rearrange
from torch import Tensor

from .grids import DEFAULT_VIEW, View, above, grid

PAIRS = 8  # images in a row, each above its reconstruction
WINDOWED = 128  # pixels, at least, to which an image with windows is enlarged


def sample_columns(images: int, view: View = DEFAULT_VIEW) -> int:
    """Return the columns of so many images: a square."""
    return min(images, view.columns or max(1, round(images**0.5)))


def sample_grid(images: Tensor, view: View = DEFAULT_VIEW, title: str = "") -> Tensor:
    """Arrange images in a square, ``b c h w -> 3 H W``."""
    return grid(images, sample_columns(len(images), view), view, title=title)


def reconstruction_columns(images: int, view: View = DEFAULT_VIEW) -> int:
    """Return the columns of so many images and their reconstructions."""
    return min(images, view.columns or PAIRS)


def reconstruction_grid(
    images: Tensor,
    reconstructions: Tensor,
    view: View = DEFAULT_VIEW,
    classes: Sequence[int] = (),
    name: str = "reconstruction",
) -> Tensor:
    """Arrange images and below each its reconstruction, ``b c h w`` twice ``-> 3 H W``.

    Args:
        images: originals.
        reconstructions: of the images.
        view: options.
        classes: of the images, written above them.
        name: label of the reconstructions.
    """
    columns = reconstruction_columns(len(images), view)
    missing = -len(images) % columns
    both = torch.stack([torch.cat([part, _empty(part, missing)]) for part in (images, reconstructions)])
    pairs = both.shape[1] // columns
    names = [*(f"class {number}" for number in classes), *[""] * (columns * pairs - len(classes))]
    return grid(
        rearrange(both, "two (r x) c h w -> (r two x) c h w", x=columns),
        columns,
        view,
        rows=["original", name] * pairs,
        block=2,
        captions=[text for r in range(pairs) for text in [*names[r * columns : (r + 1) * columns], *[""] * columns]],
    )


def view_grid(
    images: Tensor,
    views: Mapping[str, Tensor],
    view: View = DEFAULT_VIEW,
    classes: Sequence[int] = (),
    predicted: Sequence[int] = (),
) -> Tensor:
    """Arrange images and below each what a model sees of it, ``b c h w`` each ``-> 3 H W``.

    Args:
        images: originals.
        views: of the images, by their label.
        view: options.
        classes: of the images, written above them.
        predicted: classes that the model finds.
    """
    columns = reconstruction_columns(len(images), view)
    missing = -len(images) % columns
    rows = [part.expand(-1, 3, -1, -1) for part in (images, *views.values())]
    filled = torch.stack([torch.cat([part, _empty(part, missing)]) for part in rows])
    groups = filled.shape[1] // columns
    names = [f"{found} (class {known})" for known, found in zip(classes, predicted, strict=True)]
    names += [""] * (columns * groups - len(names))
    below = [""] * columns * len(views)
    return grid(
        rearrange(filled, "v (r x) c h w -> (r v x) c h w", x=columns),
        columns,
        replace(view, scale=view.scale or max(1, WINDOWED // max(images.shape[-2:]))),
        title="What the model sees; above: the class it finds, and the true one",
        rows=["original", *views] * groups,
        block=len(rows),
        captions=[text for r in range(groups) for text in [*names[r * columns : (r + 1) * columns], *below]],
    )


def path_grid(
    first: Tensor, between: Tensor, last: Tensor, view: View = DEFAULT_VIEW, classes: Sequence[int] = ()
) -> Tensor:
    """Arrange paths, one in a row or ``view.columns``, ``b c h w, b s c h w, b c h w -> 3 H W``.

    Args:
        first: images at which the paths start.
        between: decoded images.
        last: images at which they end.
        view: options.
        classes: of the first images, then of the last ones.
    """
    paths = torch.cat([first[:, None], between, last[:, None]], dim=1)  # b s c h w
    across, steps = min(len(paths), view.columns or 1), paths.shape[1]
    filled = torch.cat([paths, _empty(paths, -len(paths) % across)])
    names = [""] * (len(filled) * steps)
    for number, name in enumerate(classes):
        end, path = divmod(number, len(first))
        names[path * steps + end * (steps - 1)] = f"class {name}"
    return grid(
        rearrange(filled, "b s c h w -> (b s) c h w"),
        across * steps,
        view,
        heads=[(1, "start"), (steps - 2, "decoded between them"), (1, "end")] * across,
        captions=names,
    )


def completion_grid(images: Tensor, completions: Tensor, drawn: Tensor, view: View = DEFAULT_VIEW) -> Tensor:
    """Arrange each image and its completions in a row, ``b c h w, s b c h w, s b c h w -> 3 H W``.

    Args:
        images: whole images.
        completions: their lower halves are probabilities, given one draw of the latents each.
        drawn: the same with pixels drawn from the probabilities.
        view: options.
    """
    s = len(completions)
    rows = torch.cat([images[None], completions, drawn])
    return grid(
        rearrange(rows, "s b c h w -> (b s) c h w"),
        len(rows),
        view,
        title="Lower halves predicted from the upper halves",
        heads=[
            (1, "original"),
            (s, f"{s} draws of the latents: probabilities of white"),
            (s, "pixels drawn from these"),
        ],
    )


def table_grid(
    table: Tensor, codes: Tensor, image: Tensor, reconstruction: Tensor, view: View = DEFAULT_VIEW
) -> Tensor:
    """Arrange a latent table, ``n k c h w -> 3 H W``: one latent per row, one category per column.

    Args:
        table: decoded images, each latent set to each category.
        codes: of the image, ``n``; the frames in the table.
        image: ``c h w``.
        reconstruction: of the image, ``c h w``.
        view: options.
    """
    n, k, h, w = *table.shape[:2], *table.shape[3:]
    view = View(view.scale_of(n + 1, k, h, w), labels=view.labels)
    upper = grid(
        torch.stack([image, reconstruction]),
        2,
        replace(view, scale=2 * (view.scale or 1)),
        title="One latent at a time set to each category, all others as in the code of the image",
        captions=["original", "reconstruction"],
    )
    lower = grid(
        rearrange(table, "n k c h w -> (n k) c h w"),
        k,
        view,
        title="rows: latents; columns: categories; framed: the category of the image's own code",
        captions=[f"category {category}" for category in range(k)],
        rows=[f"latent {latent}" for latent in range(n)],
        marks={latent * k + int(category) for latent, category in enumerate(codes)},
    )
    return above(upper, lower)


def reconstruction_name(model: object) -> str:
    """Return what ``model.reconstruct`` gives, as a label."""
    return "lower half predicted" if hasattr(model, "complete") else "reconstruction"


def _empty(like: Tensor, number: int) -> Tensor:
    """Places without an image."""
    return like.new_full((number, *like.shape[1:]), torch.nan)
