"""An adapter in training: its pairs end to end in one tensor, so that clipping and the optimizer take a handful of operations."""

import torch
from torch import Tensor

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
        groups = [{"params": [self._flat], "peak": learning_rate}, {"params": [self.bias], "peak": bias_rate}]
        self.optimizer = torch.optim.AdamW(groups, weight_decay=0.0, fused=True)
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
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * share
        self.optimizer.step()
        self.narrow()


def _views(flat: Tensor, like: dict[str, Tensor]) -> dict[str, Tensor]:
    """Parts of a flat tensor with these names and shapes."""
    parts = torch.split(flat, [t.numel() for t in like.values()])
    return {name: part.view(t.shape) for (name, t), part in zip(like.items(), parts, strict=True)}
