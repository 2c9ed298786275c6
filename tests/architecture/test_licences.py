"""What counts as a licence that Canteen may depend on; `make licences` applies it."""

import pytest

from tests.architecture.licences import problem

OSI = "License :: OSI Approved :: GNU"
GCC = "BSD-3-Clause AND GPL-3.0-or-later WITH GCC-exception-3.1"


@pytest.mark.parametrize(
    "metadata",
    [
        {"name": "a", "license_expression": "MIT"},
        {"name": "a", "license_expression": "MIT OR GPL-2.0-or-later"},
        {"name": "a", "license_expression": GCC},
        {"name": "a", "classifier": [f"{OSI} Lesser General Public License v3 (LGPLv3)"]},
        {"name": "a", "license": "Apache License, Version 2.0"},
        {"name": "a", "license": "MIT License\n\nNot the GPL."},
    ],
)
def test_permissive_and_lesser_licences_pass(metadata: dict[str, object]) -> None:
    assert problem(metadata) is None


@pytest.mark.parametrize(
    "metadata",
    [
        {"name": "a", "license_expression": "AGPL-3.0-only"},
        {"name": "a", "license_expression": "MIT AND GPL-3.0-or-later"},
        {"name": "a", "license": "GPLv2"},
        {"name": "a", "classifier": [f"{OSI} General Public License v3 (GPLv3)"]},
        {"name": "a", "classifier": [f"{OSI} Affero General Public License v3"]},
        {"name": "a"},
    ],
)
def test_copyleft_and_unknown_licences_do_not(metadata: dict[str, object]) -> None:
    assert problem(metadata) is not None
