"""What Discord refuses, as pure functions over what was sent. Each raises `Refusal`, which holds Discord's answer."""
