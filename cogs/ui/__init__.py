"""What the commands share: checks, autocomplete, transformers, buttons."""
