"""Formats of weights: made, measured beside each other, and one of them recommended."""
