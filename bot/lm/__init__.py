"""The language model: the only importer of torch, transformers and peft. Knows no Discord and no SQL."""
