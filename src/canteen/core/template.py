"""What can be told of a chat template without applying it."""

import re

# What Go templates have and Jinja has not: {{ .Prompt }}, {{ if .System }}, {{ end }}.
_GO = re.compile(r"\{\{-?\s*(\.|\$|(if|range|end|else|template|block|with|define)\b)")


def is_go(template: str) -> bool:
    """Whether a template is in Go's language, as Ollama's are, and not in Jinja."""
    return _GO.search(template) is not None
