"""An agent that chooses slates, one slot after the other, trained by any estimator.

Its ground truth is an environment whose slates can be enumerated; see ``data/slates``. Axes: ``b`` users, ``n`` items,
``k`` slots, ``d`` user vector.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor

from ...interfaces import Batch
from ...ranges import check_sizes, check_weights
from ...registry import Spec
from ..base import ModelCard, OptimizerConfig, Part, ZooModel, check_draws, register_model
from ..relaxed import ESTIMATORS, SCHEDULES, RelaxedCategorical
from ..relaxed.checks import check_logits
from ..relaxed.entropy_weight import decayed_entropy_weight
from ..relaxed.policy_gradient import check_nesting
from ..run_length import run_length
from .base import SLATE_OBJECTIVES, SlateObjective
from .network import SlateNetwork
from .rollouts import draw_slates

EXAMPLES = 64  # training users that a model keeps, for ``sample``
MAX_ITEMS, MAX_SLOTS, MAX_WIDTH = 1_000_000, 1_000, 100_000
ROWS = 1_000  # slates drawn at a time
REFERENCES = ("random", "greedy", "best")  # policies whose rewards a batch has


@register_model("slate_agent")
class SlateAgent(ZooModel):
    """A GRU over a user and the items chosen so far, with one reward for the whole slate.

    No item comes twice. The items, the slots and the reward are those of the data.

    Args:
        items: number of items n; None takes it from the data.
        slots: items in a slate k; None takes it from the data.
        user_width: width d of a user vector; None takes it from the data.
        objective: white_box (the gradient of the known reward), black_box (drawn purchases), or ``{name: black_box,
            critic: true}``.
        estimator: of the gradient through each choice: a name, or ``{name: reinforce, samples: 4, baseline: ...}``.
            ``exact`` evaluates n^k slates.
        temperature: a number > 0, or the name or spec of a schedule.
        hidden: width of the network.
        entropy: initial reward of each choice per nat of its entropy, which falls linearly to 0 at the end of training.
            Without it a policy soon stops to explore, and stays at few different slates.
        past: False blanks the items chosen before: a control.
        optimizer: options of ``OptimizerConfig``.

    Raises:
        ValueError: an unknown name or option, a value out of range, only some of the first three arguments, an
            objective that cannot use the estimator, or an estimator with too many evaluations for these sizes.

    Example:
        >>> agent = SlateAgent(items=10, slots=3, user_width=13)
        >>> slates = agent.recommend(torch.randn(5, 13))  # 5 users, 3 items each
        >>> slates.shape
        torch.Size([5, 3])
    """

    card: ClassVar[ModelCard] = ModelCard(
        use="Research and teaching: sequential choice with a known optimum, to compare gradient estimators.",
        limits="Its users and items are drawn by gumbelzoo; nothing follows for real ones. `share` is the part of "
        "(best - random) that the agent reaches, in expected purchases of exact slates. `greedy_share` is that of "
        "taking the best item slot after slot; an agent at or below it has learned nothing sequential.",
        example="for slate in model.sample(16):\n    print(slate)",
        metrics=("share", "greedy_share", "reward"),
    )
    parts: ClassVar[Mapping[str, Part]] = {
        "objective": SLATE_OBJECTIVES,
        "estimator": ESTIMATORS,
        "temperature": SCHEDULES,
        "optimizer": OptimizerConfig,
    }
    batch_key = "user"
    monitor: str | None = "val/regret"
    users: Tensor
    objective: SlateObjective

    def __init__(
        self,
        items: int | None = None,
        slots: int | None = None,
        user_width: int | None = None,
        objective: Spec = "white_box",
        estimator: Spec = "reinmax",
        temperature: float | Spec = 1.0,
        hidden: int = 64,
        entropy: float = 0.0,
        past: bool = True,
        optimizer: OptimizerConfig | dict = ZooModel.optimizer_config,
    ) -> None:
        super().__init__()
        check_sizes(hidden=hidden)
        check_weights(entropy=entropy)
        self.save_hyperparameters()
        self.use_optimizer(optimizer)
        SLATE_OBJECTIVES.read(objective)
        self.entropy = entropy
        self._options = objective, estimator, temperature, hidden, past
        self.items: int | None = None
        self.slots: int | None = None
        self.user_width: int | None = None
        self._totals: list[Tensor] = []
        sizes = (items, slots, user_width)
        if None not in sizes:
            self._build(*sizes)  # type: ignore[arg-type]
        elif sizes != (None, None, None):
            raise ValueError("items, slots and user_width come together: give all, or none to take them from the data")
        else:
            RelaxedCategorical(estimator, temperature, event_shape=(10, 2))  # what is unknown is refused now

    def _build(self, items: int, slots: int, user_width: int) -> None:
        check_sizes(items=items, slots=slots, user_width=user_width)
        if not 2 <= items <= MAX_ITEMS or slots > min(items, MAX_SLOTS) or user_width > MAX_WIDTH:
            raise ValueError(
                f"items must be from 2 to {MAX_ITEMS}, slots at most items and {MAX_SLOTS}, user_width at most "
                f"{MAX_WIDTH}, got {items}, {slots} and {user_width}"
            )
        objective, estimator, temperature, hidden, past = self._options
        network = SlateNetwork(items, slots, user_width, hidden, items, past)
        layer = RelaxedCategorical(estimator, temperature, event_shape=(items,))
        built = SLATE_OBJECTIVES.build(objective, items=items, slots=slots, user_width=user_width)
        built.check(layer)
        check_nesting(layer, items, slots)
        self.items, self.slots, self.user_width = items, slots, user_width
        self.network, self.layer, self.objective = network, layer, built
        self.register_buffer("users", torch.zeros(EXAMPLES, user_width))

    def config(self) -> dict[str, Any]:
        """Return plain arguments that rebuild the model, with the sizes of its data."""
        return {**super().config(), "items": self.items, "slots": self.slots, "user_width": self.user_width}

    def configure_model(self) -> None:
        """Build for the trainer's data, or check that they have the model's sizes.

        Raises:
            ValueError: no slates, or slates of other sizes.
        """
        super().configure_model()
        source = self.source
        if source is None:
            self.require_network()
            return
        sizes = source.items, source.slots, source.user_width
        if self.items is None:
            self._build(*sizes)
        elif sizes != (self.items, self.slots, self.user_width):
            raise ValueError(
                f"the model knows {self.items} items, {self.slots} slots and users of width {self.user_width}, the "
                f"data has {sizes[0]}, {sizes[1]} and {sizes[2]}; give the data that it was trained on"
            )

    def require_network(self) -> tuple[SlateNetwork, int]:
        """Return the policy and the number of slots; ValueError while there are none."""
        if self.items is None or self.slots is None:
            raise ValueError("this agent has no items yet: train it on slates, or give items, slots and user_width")
        return self.network, self.slots

    # -- training -----------------------------------------------------------------------------------------------------

    def on_fit_start(self) -> None:
        """Keep some training users, for ``sample``."""
        if self.source is None:
            raise ValueError("an agent needs the rewards of its slates: fit it with a data module, --data=slates")
        found = next(iter(self.source.train_dataloader()))["user"][:EXAMPLES]
        self.users.copy_(found[torch.arange(EXAMPLES) % len(found)])

    def training_metrics(self, batch: Batch) -> dict[str, Tensor]:
        """Return the metrics of the objective; ``loss`` is what it descends."""
        entropy = decayed_entropy_weight(self.entropy, self.global_step, run_length(self.trainer))
        return self.objective.metrics(self.network, self.layer, batch["user"], self.source, entropy)

    # -- evaluation ---------------------------------------------------------------------------------------------------

    def on_validation_epoch_start(self) -> None:
        """Forget the sums of the last pass."""
        self._totals = []

    on_test_epoch_start = on_validation_epoch_start

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Sum the rewards of the most probable slates, and those of known policies."""
        codes = self.recommend(batch["user"])
        rewards = {"reward": self.source.reward(batch["user"], codes), **{key: batch[key] for key in REFERENCES}}
        ordered = codes.sort(-1).values
        repeats = (ordered[:, 1:] == ordered[:, :-1]).any(-1)
        sums = [*(rewards[key].double().sum() for key in ("reward", *REFERENCES)), repeats.double().sum()]
        self._totals.append(torch.stack([*sums, torch.tensor(float(len(codes)), device=codes.device).double()]))

    test_step = validation_step

    def on_validation_epoch_end(self) -> None:
        """Log the reward, and what is missing to the best one."""
        self._log_totals("val")

    def on_test_epoch_end(self) -> None:
        """Log the reward, the shares and the known policies."""
        self._log_totals("test")

    def _log_totals(self, stage: str) -> None:
        totals = self.trainer.strategy.reduce(torch.stack(self._totals).sum(0), reduce_op="sum")
        reward, random, greedy, best, repeats, _ = (totals / totals[-1]).float()
        scale = best - random
        metrics = {"share": (reward - random) / scale, "reward": reward, "regret": best - reward}
        if stage == "test":
            metrics |= {"greedy_share": (greedy - random) / scale, "random": random, "best": best, "repeats": repeats}
        named = {f"{stage}/{name}": value for name, value in metrics.items()}
        self.log_dict(named, batch_size=int(totals[-1]), sync_dist=True)

    # -- slates -------------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def recommend(self, user: Tensor) -> Tensor:
        """Return the most probable item of each slot given those before, different ones, ``b d -> b k`` (int64).

        Raises:
            ValueError: users that are no floating-point tensor, or of another width.
        """
        network, slots = self.require_network()
        user = check_logits(user, "users")
        if user.shape[-1] != self.user_width:
            raise ValueError(f"users must be vectors of width {self.user_width}, got shape {tuple(user.shape)}")
        return draw_slates(network, user.to(network.items.dtype), slots, self.layer.mode).codes

    @torch.no_grad()
    def sample(self, n: int, *, temperature: float = 1.0, generator: torch.Generator | None = None) -> list[str]:
        """Draw slates of the policy for training users that the model has kept, as text: the user, then the items.

        Args:
            n: number of slates.
            temperature: divides the logits of every choice; near 0 it is ``recommend``.
            generator: source of the noise.

        Raises:
            ValueError: n < 1, or a temperature that is not > 0.
        """
        check_draws(n, temperature)
        network, slots = self.require_network()
        numbers = torch.randint(len(self.users), (n,), device=self.device, generator=generator)
        draw = partial(_draw, self.layer, temperature, generator)
        parts = [draw_slates(network, self.users[part], slots, draw).codes for part in numbers.split(ROWS)]
        lines = zip(numbers.tolist(), torch.cat(parts).tolist(), strict=True)
        return [f"user {number}: {' '.join(map(str, codes))}" for number, codes in lines]


def _draw(layer: RelaxedCategorical, temperature: float, generator: torch.Generator | None, logits: Tensor) -> Tensor:
    return layer.sample(logits / temperature, generator=generator)
