"""The vocabulary: frozen dataclasses, protocols and errors, on the standard library alone."""
