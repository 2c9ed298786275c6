"""The language work: each task is a file, its prompt at the top, and is given an Engine."""
