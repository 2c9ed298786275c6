"""Requests that are answered later: kept, answered once, and told of."""
