"""What happens to a model before it serves: preparation, measuring."""
