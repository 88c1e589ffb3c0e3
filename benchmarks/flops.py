"""How many operations training a character takes, counted from the shapes of its matrices."""

from bot.lm.adapter import Adapter, layer_of
from bot.lm.network import Network


def trained_per_token(network: Network, adapter: Adapter) -> float:
    """Operations for one token forwards and backwards; the scores of attention and what is no product of matrices are not counted.

    A frozen matrix takes 2 for each of its numbers forwards and 2 backwards, a trained pair 6. Layers below the first one with a pair are
    not counted: what leaves them is computed once and kept.
    """
    paired = {name.split(".lora_")[0] for name in adapter.tensors}
    first = min((layer_of(name) for name in paired if name in network.linears), default=0)
    frozen = sum(inputs * outputs for name, (inputs, outputs) in network.linears.items() if layer_of(name) >= first)
    frozen += network.shape.width * network.shape.vocabulary
    return 4.0 * frozen + 6.0 * sum(tensor.numel() for tensor in adapter.tensors.values())
