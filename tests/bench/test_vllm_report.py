"""The report of the measurements on a GPU, over lines that nobody measured."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import vllm_report
from benchmarks.vllm import begun_at_once
from benchmarks.vllm_model import LLAMA_8B
from benchmarks.vllm_report import Report
from canteen.bench.figures import Outcome

CEILINGS: list[dict[str, Any]] = [
    {"what": "ceilings", "name": "copy", "bytes_per_s": 4.3e12, "device": "NVIDIA H200"},
    {"what": "ceilings", "name": "product", "flop_per_s": 790e12},
]


def line(what: str, name: str, tokens_per_s: float, ttft_s: float = 0.1) -> dict[str, Any]:
    return {
        "at": "2026-11-30T10:00:00+00:00",
        "what": what,
        "name": name,
        "tokens_per_s": tokens_per_s,
        "prompt_tokens": 128.0,
        "ttft_p50_s": ttft_s,
        "ttft_p99_s": 2 * ttft_s,
    }


def cells(lines: list[dict[str, Any]]) -> list[list[str]]:
    rows = Report(lines, LLAMA_8B).rows()
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_the_service_is_divided_by_the_engine_alone_its_server_and_the_roofline() -> None:
    name = "64 x 128/128"
    measured = [
        *CEILINGS,
        line("raw", name, 8000.0, 0.100),
        line("service", name, 7600.0, 0.102),
        line("server", name, 7000.0, 0.110),
    ]

    raw, server, service = cells(measured)

    assert raw[3:8] == ["raw", name, "8000", "-", "-"]
    assert server[6:8] == ["0.88", "-"]
    assert (service[0], service[2]) == ("2026-11-30", "NVIDIA H200")
    assert service[6:8] == ["0.95", "1.09"]
    assert service[9:] == ["2.0 ms", "4.0 ms"]
    assert float(service[8]) == pytest.approx(0.95 * float(raw[8]), abs=0.01)


def test_one_sequence_is_bound_by_the_weights_that_each_step_reads() -> None:
    report = Report(CEILINGS, LLAMA_8B)

    limits = [
        report.most_tokens_per_s(line(what, "1 x 128/4096", 0.0)) for what in ("raw", "fp8 raw")
    ]

    # 4.3 TB/s over the bytes of the weights: 286 and 535, less what is read of the cache.
    assert limits == [pytest.approx(281, abs=2), pytest.approx(518, abs=3)]


def test_without_ceilings_or_the_engine_alone_there_are_no_ratios() -> None:
    (only,) = cells([line("service", "8 x 128/128", 900.0)])

    assert only[5:] == ["900", "-", "-", "-", "-", "-"]


def test_what_was_measured_again_counts_as_the_last_time_and_arrivals_are_left_out() -> None:
    name = "8 x 128/128"
    rows = cells([line("raw", name, 1.0), line("raw", name, 2.0), line("raw", "Poisson, 50%", 3.0)])

    assert [row[5] for row in rows] == ["2"]


def test_the_report_is_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "vllm.jsonl"
    path.write_text(json.dumps(line("raw", "8 x 128/128", 900.0)) + "\n")

    vllm_report.show(path, LLAMA_8B)

    printed = capsys.readouterr().out.splitlines()
    assert len({row.count("|") for row in printed}) == 1
    with pytest.raises(SystemExit, match="measure first"):
        vllm_report.show(tmp_path / "none.jsonl", LLAMA_8B)


def test_who_begins_after_another_has_ended_had_to_wait() -> None:
    together = [Outcome(0.0, 0.0, end_s, [start_s]) for start_s, end_s in ((1, 5), (2, 6))]
    later = Outcome(0.0, 0.0, 9.0, [5.5])
    refused = Outcome(0.0, 0.0, 8.0, error="429")

    assert begun_at_once([*together, later, refused]) == 2
