"""Preparing an embedding model."""
