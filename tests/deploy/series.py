"""Which series a PromQL expression names, and which a page of metrics has."""

import re

from prometheus_client.parser import text_string_to_metric_families

_TEXTS = re.compile(r'"(?:[^"\\]|\\.)*"')
# What may look like a name of a series: labels in braces or lists, durations.
_NO_SERIES = re.compile(
    r"\{[^}]*\}|\[[^\]]*\]|\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)"
    r"|\boffset\s+\w+"
)
_NAME = re.compile(r"\b[a-zA-Z_][\w:]*\b(?!\s*\()")
_WORDS = {"and", "or", "unless", "bool", "by", "offset"}
_SUFFIXES = {
    "histogram": ("_bucket", "_count", "_sum"),
    "counter": ("_total",),
    "info": ("",),
    "gauge": ("",),
}


def named(expression: str) -> set[str]:
    """The series in an expression."""
    bare = _NO_SERIES.sub(" ", _TEXTS.sub(" ", expression))
    return set(_NAME.findall(bare)) - _WORDS


def families(page: str) -> set[str]:
    """Every series that a page of metrics has, or will have once there is a sample."""
    names: set[str] = set()
    for family in text_string_to_metric_families(page):
        names |= {family.name + suffix for suffix in _SUFFIXES[family.type]}
    return names
