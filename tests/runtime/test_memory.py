"""The memory that models may take is the machine's, or what a container leaves of it."""

from pathlib import Path

import pytest

from canteen.runtime.memory import budget_bytes, cgroup_limits, machine_bytes


@pytest.fixture
def groups(tmp_path: Path) -> Path:
    return tmp_path / "cgroup"


def limits(groups: Path, membership: str) -> list[int]:
    """The limits of a process that is a member so."""
    file = groups.with_name("membership")
    file.write_text(membership)
    return cgroup_limits(groups, file)


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_the_limits_of_a_group_and_of_those_around_it_hold(groups: Path) -> None:
    put(groups / "a" / "b" / "memory.max", "500\n")
    put(groups / "a" / "memory.max", "400\n")

    assert sorted(limits(groups, "0::/a/b\n")) == [400, 500]


def test_a_group_without_limit_has_none(groups: Path) -> None:
    put(groups / "a" / "memory.max", "max\n")

    assert limits(groups, "0::/a\n") == []


def test_a_container_finds_its_limit_at_the_root(groups: Path) -> None:
    put(groups / "memory.max", "300\n")

    assert limits(groups, "0::/docker/1234\n") == [300]


def test_groups_of_version_1_have_their_limits_too(groups: Path) -> None:
    put(groups / "memory" / "a" / "memory.limit_in_bytes", "200\n")

    assert limits(groups, "5:cpu:/a\n4:memory:/a\n0::/\n") == [200]


def test_a_machine_without_groups_has_its_memory(tmp_path: Path) -> None:
    assert cgroup_limits(tmp_path, tmp_path / "missing") == []


def test_the_budget_is_what_is_set_or_a_share_of_the_machine() -> None:
    assert budget_bytes(1.5) == 1_500_000_000
    assert 0 < budget_bytes(0) < machine_bytes()
