"""Running code that a model wrote, where it can reach nothing: off unless an admin wants it."""
