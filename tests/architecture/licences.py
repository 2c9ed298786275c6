"""Fails on a distribution under the GPL or AGPL, or under nothing known, in base and extras.

`python -m tests.architecture.licences` asks pip what an install with every extra would bring,
and installs nothing.
"""

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
COPYLEFT = re.compile(r"\bA?GPL|\bAFFERO\b|(?<!LESSER )\bGENERAL PUBLIC LICEN[CS]E")
# The licence of GCC's run-time libraries, which says that their users need not be GPL.
EXCEPTION = re.compile(r"\bGPL-3\.0[\w.+-]* WITH GCC-EXCEPTION-3\.1")
# Distributions whose metadata names no licence, and where theirs was read.
READ_ELSEWHERE: Mapping[str, str] = {}


def problem(metadata: Mapping[str, Any]) -> str | None:
    """What is wrong with a distribution's licence; None when all is well."""
    stated = licence(metadata)
    if not stated:
        return "names no licence"
    choices = EXCEPTION.sub("", stated.upper()).split(" OR ")
    return f"is under {stated!r}" if all(COPYLEFT.search(one) for one in choices) else None


def licence(metadata: Mapping[str, Any]) -> str:
    """The licence as its metadata states it best: SPDX, else classifiers, else free text."""
    if expression := metadata.get("license_expression"):
        return str(expression)
    classifiers = [
        line.rpartition(" :: ")[2]
        for line in metadata.get("classifier", ())
        if line.startswith("License :: ") and line != "License :: OSI Approved"
    ]
    free_text = str(metadata.get("license") or "").strip()
    known = READ_ELSEWHERE.get(str(metadata["name"]).lower(), "")
    return " AND ".join(classifiers) or free_text.partition("\n")[0] or known


def everything() -> list[Mapping[str, Any]]:
    """The metadata of all distributions that the base and the extras for users need."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"]]
    for name, needed in extras.items():
        wanted += needed if name != "dev" else []
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed"]
        command += ["--quiet", "--report", str(report), "-c", str(ROOT / "constraints.txt")]
        subprocess.run([*command, *wanted], check=True, stderr=subprocess.DEVNULL)
        return [one["metadata"] for one in json.loads(report.read_text())["install"]]


def main() -> int:
    """The program; prints what is wrong, and returns its exit status."""
    found = everything()
    wrong = [f"{one['name']} {text}" for one in found if (text := problem(one))]
    verdict = "\n".join(wrong) or f"{len(found)} distributions, none under the GPL or AGPL"
    sys.stdout.write(f"{verdict}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
