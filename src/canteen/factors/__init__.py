"""Dated numbers from outside, each with its unit and its source, and what is made of them."""
