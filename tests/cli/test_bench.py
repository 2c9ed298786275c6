"""`canteen bench` against the echo server: what it prints, and how it fails."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from canteen.cli.main import main
from tests.serving import Server


def bench(*words: str) -> Result:
    """Run the program."""
    return CliRunner().invoke(main, ("bench", *words))


def test_a_level_of_concurrency_is_a_row_of_figures(echo_server: Server) -> None:
    asked = ("--model", "echo", "--concurrency", "1,4", "--requests", "8", "--json")

    levels = json.loads(bench(echo_server.url, *asked, "--max-tokens", "5").stdout)

    assert [level["concurrency"] for level in levels] == [1, 4]
    assert [level["num_whole"] for level in levels] == [8, 8]
    assert all(level["completion_tokens"] == 5 and level["errors"] == {} for level in levels)


def test_an_open_loop_offers_its_rate_whatever_the_answers_do(echo_server: Server) -> None:
    asked = ("--model", "echo", "--rate", "200", "--requests", "20", "--json")

    (level,) = json.loads(bench(echo_server.url, *asked).stdout)

    assert level["rate"] == 200
    assert level["num_whole"] == 20


def test_an_objective_that_cannot_be_met_leaves_no_goodput(echo_server: Server) -> None:
    asked = ("--model", "echo", "--requests", "3", "--slo-ttft-ms", "0.000001", "--json")

    (level,) = json.loads(bench(echo_server.url, *asked).stdout)

    assert (level["num_whole"], level["good_share"]) == (3, 0)


def test_a_table_and_a_plot_are_made_for_people(echo_server: Server, tmp_path: Path) -> None:
    plot = tmp_path / "bench.svg"

    answer = bench(echo_server.url, "--model", "echo", "--requests", "2", "--plot", str(plot))

    assert "output tokens/s" in answer.stdout
    assert plot.exists()


def test_what_there_is_no_figure_of_is_null(echo_server: Server) -> None:
    asked = ("--model", "echo", "--requests", "2", "--max-tokens", "1", "--json")

    (level,) = json.loads(bench(echo_server.url, *asked).stdout)

    assert level["tpot"]["median"] is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("http://127.0.0.1:1",), "no server answers at http://127.0.0.1:1"),
        (("gopher://x",), "is no address"),
        (("http://x", "--rate", "1", "--concurrency", "1"), "not both"),
        (("http://x", "--plot", "x.docx"), "a .svg or a .png"),
    ],
)
def test_a_failure_is_one_plain_line(words: tuple[str, ...], said: str) -> None:
    answer = bench(*words, "--model", "echo")

    assert answer.exit_code == 1
    (line,) = answer.stderr.splitlines()
    assert said in line


@pytest.mark.parametrize("levels", ["0", "x", "1,,2", "-1", "inf"])
def test_levels_that_are_no_numbers_are_wrong_usage(levels: str) -> None:
    assert bench("http://x", "--model", "echo", "--concurrency", levels).exit_code == 2
