"""An adapter in training: its pairs end to end in one tensor, so that clipping and the optimizer take a handful of operations."""

from typing import Any

import torch
from torch import Tensor
from torch.optim.adamw import adamw  # the class AdamW does the same and imports torch's compiler first, which takes seconds

from bot.lm.adapter import Adapter, Pair


class Trainable:
    """The pairs and the bias on 32 bits, and the pairs once more in the type in which the base computes."""

    def __init__(self, adapter: Adapter, dtype: torch.dtype, *, learning_rate: float, bias_rate: float) -> None:
        """`adapter`: where training begins. The rates are the peaks."""
        self.bias = adapter.bias.clone().requires_grad_()
        self._flat = torch.cat([t.flatten() for t in adapter.tensors.values()])
        self._flat.grad = self._gradient = torch.zeros_like(self._flat)
        self.adapter = Adapter(_views(self._flat, adapter.tensors), self.bias.detach())
        """Its tensors are what is trained."""
        self._gradients = list(_views(self._gradient, adapter.tensors).values())
        self._narrow = torch.empty_like(self._flat, dtype=dtype)
        self._leaves = {name: view.requires_grad_() for name, view in _views(self._narrow, adapter.tensors).items()}
        self.pairs: dict[str, Pair] = Adapter(self._leaves, self.bias).pairs(dtype)
        """Gradients come to these, and to the bias."""
        self._trained = [(self._flat, learning_rate), (self.bias, bias_rate)]
        self._moments = [
            {"step": tensor.new_zeros(()), "exp_avg": torch.zeros_like(tensor), "exp_avg_sq": torch.zeros_like(tensor)}
            for tensor in (self._flat, self.bias.detach())
        ]
        self.narrow()

    def narrow(self) -> None:
        """Cast the pairs anew, after they were changed."""
        with torch.no_grad():
            self._narrow.copy_(self._flat)

    def clear(self) -> None:
        """Forget all gradients."""
        for leaf in self._leaves.values():
            leaf.grad = None
        self._gradient.zero_()
        self.bias.grad = None

    def gradients(self) -> dict[str, Tensor]:
        """All that was gathered, by the names of the adapter's tensors."""
        return Adapter(
            dict(zip(self._leaves, self._gradients, strict=True)), torch.zeros_like(self.bias) if self.bias.grad is None else self.bias.grad
        ).state()

    def gather(self) -> None:
        """Add up the gradients that came back."""
        leaves = list(self._leaves.values())
        torch._foreach_add_(self._gradients, [leaf.grad for leaf in leaves if leaf.grad is not None])
        for leaf in leaves:
            leaf.grad = None

    def step(self, share: float, clip: float) -> None:
        """Change all tensors at this share of the peak rates, along the gathered gradients, cut to the 2-norm `clip`."""
        torch.nn.utils.clip_grad_norm_([self._flat, self.bias], clip)
        for (tensor, peak), moments in zip(self._trained, self._moments, strict=True):
            if tensor.grad is not None:
                _move(tensor, tensor.grad, moments, peak * share)
        self.narrow()

    def moments(self) -> dict[str, Any]:
        """What the optimizer remembers, as the class AdamW gives its state."""
        return {"state": dict(enumerate(self._moments))}

    def load_moments(self, saved: dict[str, Any]) -> None:
        """Go on with what `moments` gave."""
        for number, moments in saved["state"].items():
            for name, value in moments.items():
                self._moments[number][name].copy_(value)


@torch.no_grad()
def _move(tensor: Tensor, gradient: Tensor, moments: dict[str, Tensor], learning_rate: float) -> None:
    """A step of AdamW, in place."""
    adamw(
        [tensor],
        [gradient],
        [moments["exp_avg"]],
        [moments["exp_avg_sq"]],
        [],
        [moments["step"]],
        fused=True,
        amsgrad=False,
        beta1=0.9,
        beta2=0.999,
        lr=learning_rate,
        weight_decay=0.0,
        eps=1e-8,
        maximize=False,
    )


def _views(flat: Tensor, like: dict[str, Tensor]) -> dict[str, Tensor]:
    """Parts of a flat tensor with these names and shapes."""
    parts = torch.split(flat, [t.numel() for t in like.values()])
    return {name: part.view(t.shape) for (name, t), part in zip(like.items(), parts, strict=True)}
