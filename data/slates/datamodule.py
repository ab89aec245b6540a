"""Data module of slates: users of an environment whose reward is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from torch import Tensor

from ...interfaces import Batch
from ...ranges import check_numbers, check_sizes
from ..base import InMemoryData, register_data
from . import policies
from .environment import WIDTH, Environment, draw_users

SIZES = 51_200, 1_000, 1_000  # users for training, validation and test
MAX_ITEMS, MAX_SLOTS = 100_000, 100


@dataclass(frozen=True)
class Users:
    """User vectors ``b d``, and of validation and test users the rewards ``b`` of policies to compare with."""

    vectors: Tensor
    references: Mapping[str, Tensor] = field(default_factory=dict)

    def tensors(self) -> Batch:
        """Return all users by batch key."""
        return {"user": self.vectors, **self.references}

    def __len__(self) -> int:
        return len(self.vectors)


@dataclass(frozen=True)
class SlateSplits:
    """Users for training, validation and test."""

    train: Users
    valid: Users
    test: Users
    source: str


@register_data("slates")
class SlateData(InMemoryData):
    """Users in batches of ``{"user": float32 b d}``, and the reward of slates of items that they are shown.

    The environment is drawn from its number; see ``environment.py``. Batches of validation and test also have the
    expected purchases of ``random``, ``greedy`` and the ``best`` slates, ``b`` each.

    Args:
        items: number of items N, at least 2.
        slots: items in a slate K, at most ``items``.
        environment: number of the environment.
        effects: factor of the effects between categories; 0 makes the slots independent but for leaving.
        batch_size: users in a training batch, per process.
        eval_batch_size: most users in a validation or test batch, per process.
        root: unused, since nothing is read.
        seed: seed of the order of training users.

    Raises:
        ValueError: sizes or numbers out of range.

    Example:
        >>> data = SlateData(items=10, slots=3, environment=0)
        >>> user = next(iter(data.train_dataloader()))["user"]
        >>> data.reward(user, torch.tensor([3, 0, 7])).shape
        torch.Size([256])
    """

    def __init__(
        self,
        items: int = 10,
        slots: int = 3,
        environment: int = 0,
        effects: float = 1.0,
        batch_size: int = 256,
        eval_batch_size: int = 1000,
        root: str | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__("slates", batch_size, eval_batch_size, root, seed)
        check_sizes(items=items, slots=slots)
        check_sizes(0, environment=environment)
        if not 2 <= items <= MAX_ITEMS or not slots <= min(items, MAX_SLOTS):
            raise ValueError(
                f"items must be from 2 to {MAX_ITEMS}, and slots at most items and {MAX_SLOTS}, got {items} and {slots}"
            )
        check_numbers(effects=effects)
        if not 0 <= effects < 100:
            raise ValueError(f"effects must be from 0 to 100, got {effects}")
        self._items, self._slots, self.number, self.effects = items, slots, environment, effects

    @cached_property
    def environment(self) -> Environment:
        """Items and effects, drawn at first use."""
        return Environment.draw(self.number, self._items, self.effects)

    @cached_property
    def splits(self) -> SlateSplits:
        """The users, drawn at first use."""
        train, valid, test = (draw_users(n, self.number, split) for split, n in enumerate(SIZES))
        return SlateSplits(Users(train), self._compared(valid), self._compared(test), "drawn")

    def _compared(self, user: Tensor) -> Users:
        return Users(user, policies.references(self.environment, user, self._slots))

    @property
    def items(self) -> int:
        """Number of items: codes are in [0, items)."""
        return self._items

    @property
    def slots(self) -> int:
        """Number of items in a slate."""
        return self._slots

    @property
    def user_width(self) -> int:
        """Width d of a user vector."""
        return WIDTH

    def reward(self, user: Tensor, slate: Tensor) -> Tensor:
        """Return the expected purchases of slates.

        Args:
            user: vectors ``... d``.
            slate: codes ``... k``, or points of the simplex ``... k n``; leading axes broadcast against those of users.

        Returns:
            ``...``, with a gradient for relaxed slates.
        """
        return self.environment.reward(user, slate)

    def feedback(self, user: Tensor, codes: Tensor) -> Tensor:
        """Return drawn purchases, 0 or 1 for each slot, ``... k``, of codes ``... k`` and users ``... d``."""
        return self.environment.feedback(user, codes)

    def details(self) -> dict[str, str]:
        """Return the environment, and what ``best`` is."""
        if policies.is_enumerable(self._items, self._slots):
            best = f"the optimum of all {len(policies.all_slates(self._items, self._slots)):,} slates"
        else:
            best = f"the better of greedy and a beam of {policies.BEAM}, a lower bound on the optimum"
        return {
            "environment": f"number {self.number}, effects x {self.effects:g}",
            "slates": f"{self._slots} of {self._items:,} items",
            "best": best,
        }

    def controls(self) -> dict[str, float]:
        """Return the mean reward of policies that know the environment, for the test users."""
        return policies.controls(self.environment, self.splits.test.vectors, self._slots)
