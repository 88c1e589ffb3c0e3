"""How heavy work leaves the event loop: attempts in child processes, and the warm process that speaks."""
