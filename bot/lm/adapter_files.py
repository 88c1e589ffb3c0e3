"""What the files of a character are called, and what lies in them: PEFT's own adapter, and the bias beside it."""

ADAPTER, CONFIG, BIAS = "adapter_model.safetensors", "adapter_config.json", "output_bias.safetensors"
PREFIX = "base_model.model."
"""Before each module's name in the adapter."""
LORA_A, LORA_B = ".lora_A.weight", ".lora_B.weight"
"""Behind it: A `[rank, inputs]` and B `[outputs, rank]`."""
BIAS_NAME = "bias"
"""Of the one tensor in the bias' file."""
