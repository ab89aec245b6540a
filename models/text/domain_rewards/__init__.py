"""Rewards of whole sentences that no gradient passes through, by name in ``DOMAIN_REWARDS``."""

from . import molecules, token_share  # noqa: F401  (importing registers)
from .base import DOMAIN_REWARDS, DomainReward

__all__ = ["DOMAIN_REWARDS", "DomainReward"]
