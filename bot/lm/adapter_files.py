"""What the files of a character are called, and what lies in them: PEFT's own adapter, and the bias beside it."""

from bot.errors import TrainingError

ADAPTER, CONFIG, BIAS = "adapter_model.safetensors", "adapter_config.json", "output_bias.safetensors"
PREFIX = "base_model.model."
"""Before each module's name in the adapter."""
LORA_A, LORA_B = ".lora_A.weight", ".lora_B.weight"
"""Behind it: A `[rank, inputs]` and B `[outputs, rank]`."""
BIAS_NAME = "bias"
"""Of the one tensor in the bias' file."""


def check_vocabulary(character: int, base: int, base_name: str) -> None:
    """See that a character and its base know equally many tokens: another model may lie where its base was, or another nano in the package.

    Raises:
        TrainingError: they do not.
    """
    if character != base:
        known = f"its base knows {character:,} tokens, {base_name} has {base:,} now"
        raise TrainingError(f"This character was trained on another base ({known}): train it again.")
