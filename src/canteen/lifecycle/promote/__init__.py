"""Promotion: a name moves to another model when what was asked of that one holds, and back."""
