"""Training: from a specification and texts to weights, in a process of its own."""
