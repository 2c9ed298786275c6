"""The audit: who asked for what and when, in a chain of hashes that shows what was changed."""
