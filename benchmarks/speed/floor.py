"""Floor of the layer's time on a CPU: the least that draws relaxed samples and differentiates them, in kept buffers.

The parts of one step, forward and backward, for logits of one shape: random bits, two logarithms, a softmax and its
gradient. A straight-through step adds an argmax and a scatter. No part of the layer is used, and nothing is checked,
converted, scaled or allocated. The numbers are not samples of anything.
"""

from __future__ import annotations

import numpy as np
import torch


class Floor:
    """One step of the parts.

    Args:
        shape: rows and classes.
        hard: adds the argmax and the scatter of straight-through samples.
    """

    def __init__(self, shape: tuple[int, int], hard: bool = False) -> None:
        self.hard = hard
        self.bits = np.random.SFC64(0)
        self.draws = (shape[0] * shape[1] + 1) // 2  # 64 random bits make two numbers
        self.positive, self.grad = torch.rand(shape) + 0.1, torch.randn(shape)
        self.logs, self.soft, self.out = (torch.empty(shape) for _ in range(3))
        self.codes, self.one_hot = torch.empty(shape[0], 1, dtype=torch.int64), torch.zeros(shape)

    def __call__(self) -> None:
        """Run every part once."""
        self.bits.random_raw(self.draws)
        torch.log(self.positive, out=self.logs)
        torch.log(self.positive, out=self.logs)
        torch.ops.aten._softmax.out(self.logs, -1, False, out=self.soft)
        if self.hard:
            torch.argmax(self.soft, -1, keepdim=True, out=self.codes)
            self.one_hot.scatter_(-1, self.codes, 1)
        torch.ops.aten._softmax_backward_data.out(self.grad, self.soft, -1, torch.float32, grad_input=self.out)
