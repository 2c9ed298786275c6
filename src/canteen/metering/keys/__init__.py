"""API keys: who may call, how much each may have, and what it has had."""
