"""`canteen plan` as it is typed: what it prints, what it draws, what it refuses and imports."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from canteen.cli.main import main
from tests.planning.shapes import LLAMA_3_8B

Call = Callable[..., Result]
# What no plan may load: engines, and what takes longer to load than a plan takes.
HEAVY = {
    "canteen.bootstrap", "canteen.engines", "fastapi", "gguf", "huggingface_hub", "matplotlib",
    "nncf", "numpy", "openvino", "openvino_genai", "pydantic", "tokenizers", "torch",
    "transformers",
}  # fmt: skip
GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "plan.md"
COMMANDS = re.findall(r"^\$ canteen plan ([^#\n]*)", GUIDE.read_text(), re.MULTILINE)


@pytest.fixture
def call(tmp_path: Path) -> Call:
    """Runs `canteen plan` with an empty store."""

    def run(*words: str, **environ: str) -> Result:
        env = {"CANTEEN_HOME": str(tmp_path / "home"), **environ}
        return CliRunner().invoke(main, ["plan", *words], env=env)

    return run


def test_a_small_training_is_told_in_small_units(call: Call) -> None:
    told = call("7B", "--finetune", "lora", "--train", "1M", "--device", "H100").stdout

    figures = dict(re.findall(r"^  (\S[\w ]*?)  +\S.*\] ([\w ]+)", told, re.MULTILINE))
    assert (figures["device time"], figures["calendar"]) == ("s", "s")
    assert (figures["energy"], figures["carbon of power"]) == ("Wh", "g CO2e")
    assert "years" not in told


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("7B --devices 2", "--devices needs a device"),
        ("7B --instance p5.48xlarge --hardware-usd 3", "give --hardware-usd or instance, not both"),
        ("7B --context 4k", "no price is known of this; give --price-usd-per-h, --hardware-usd or"),
    ],
)
def test_options_are_called_what_they_are_typed_as(call: Call, words: str, said: str) -> None:
    told = call(*words.split())

    assert said in " ".join(told.output.split())


@pytest.mark.parametrize(
    "words",
    [
        "smollm2:135m",
        "7B --quantization Q4_K_M",
        "llama3.1:8b --instance p5.48xlarge --sequences 32 --saas openai/gpt-4o-mini",
        "llama3.1:8b --instance g5.48xlarge --requests-per-s 5 --colocate 10",
        "gpt-3 --instance g5.48xlarge",
        "gpt-3 --train 300B --instance p5.48xlarge --devices 1024 --zero 3",
        "7B --finetune qlora --device H100",
        "all-minilm",
        "llama3.1:8b --device V100 --requests-per-s 5 --ttft-s 0.000001",
        "llama3.1:8b --instance p5.48xlarge --explain",
        "gpt-3 --train 300B --instance p5.48xlarge --explain",
        "--article",
    ],
)
def test_no_line_is_wider_than_80_columns_and_none_ends_in_blanks(call: Call, words: str) -> None:
    answer = call(*words.split())

    assert answer.exit_code == 0
    long = [line for line in answer.stdout.splitlines() if len(line) > 80 and "://" not in line]
    assert long == []
    assert not any(line.endswith(" ") for line in answer.stdout.splitlines())


def test_a_count_may_have_a_suffix_everywhere(call: Call) -> None:
    answer = call("gpt-3", "--train", "300B", "--instance", "p5.48xlarge", "--json")

    assert json.loads(answer.stdout)["flops"]["central"] == pytest.approx(3.19e23, rel=0.01)


def test_a_config_json_is_a_model(call: Call, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA_3_8B))

    answer = call(str(tmp_path / "config.json"), "--json")

    assert json.loads(answer.stdout)["parameters"] == 8_030_261_248
    assert str(tmp_path) not in answer.stdout


def test_a_model_of_the_store_is_planned_as_it_is_prepared(call: Call, model_home: Path) -> None:
    answer = call("smollm2:135m", "--json", CANTEEN_HOME=str(model_home))

    body = json.loads(answer.stdout)
    assert (body["model"], body["source"]) == ("smollm2:135m", "as it is in the store")
    assert (body["quantization"], body["engine"]) == ("int8", "openvino")


def test_this_machine_stands_where_the_settings_say(call: Call) -> None:
    told = {"CANTEEN_REGION": "eu-north-1", "CANTEEN_PRICE_USD_PER_H": "0.1"}

    body = json.loads(call("smollm2:135m", "--json", **told).stdout)

    assert body["region"] == "eu-north-1"
    assert body["cost_usd_per_h"]["central"] == 0.1


def test_the_plot_is_drawn_of_serving_and_of_training(call: Call, tmp_path: Path) -> None:
    for words in ("--saas openai/gpt-4o-mini", "", "--train 1B"):
        drawn = tmp_path / "plan.svg"
        answer = call(
            *f"llama3.1:8b --instance p5.48xlarge {words} --plot {drawn}".split(),
        )
        assert answer.exit_code == 0
        assert "<svg" in drawn.read_text()
        drawn.unlink()


def test_the_article_comes_as_json_too(call: Call) -> None:
    body = json.loads(call("--article", "--json", "--as-of", "2023-10-15").stdout)

    p5 = next(one for one in body["claims"] if one["claim"].startswith("p5.48xlarge costs"))
    assert p5["then"][0]["central"] == p5["today"][0]["central"] == 98.32


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("", "name a model"),
        ("lama3.1:8b", "near it: llama3.1:8b"),
        ("nosuch.json", "nosuch.json is neither a GGUF file nor a config.json"),
        ("nosuch.gguf", "nosuch.gguf cannot be read"),
        ("7B --sequences 0", "--sequences must be from 1"),
        ("7B --sequences -3", "whole number"),
        ("7B --utilization nan", "utilization must be from 1e-06 to 1"),
        ("7B --context 1M", "131,072 tokens"),
        ("7B --finetune half", "'half' is not one of"),
        ("7B --plot plan.docx", ".svg or a .png"),
        ("7B --as-of yesterday", "YYYY-MM-DD"),
        ("0B", "no such model can be"),
        ("--article --as-of 2999-01-01", "nobody knows the prices of 2999-01-01"),
        ("7B --electricity-usd-per-kwh 0.2", "give --hardware-usd with it"),
        ("7B --instance p5.48xlarge --hardware-usd 1", "owned or rented"),
        ("7B --instance a3-highgpu-8g --region eu-north-1", "google, which has no region"),
    ],
)
def test_what_cannot_be_planned_is_a_line_that_says_why(call: Call, words: str, says: str) -> None:
    answer = call(*words.split())

    assert answer.exit_code in (1, 2)
    assert says in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_load_is_told_with_how_long_requests_take(call: Call) -> None:
    words = ("llama3.1:8b", "--device", "L4", "--quantization", "Q4_K_M", "--requests-per-s")

    carried, too_much = (call(*words, load).stdout for load in ("1", "100"))

    assert "1 requests/s, coming at random, on this machine" in carried
    assert "s in 95 of 100" in carried
    assert "More than it can do: requests wait without end." in too_much


def test_a_shape_that_cannot_be_is_refused(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    for spoiled in ({"num_attention_heads": 0}, {"num_key_value_heads": 7}, {"hidden_size": -1}):
        path.write_text(json.dumps(LLAMA_3_8B | spoiled))
        assert "no such model can be" in call(str(path)).stderr


def test_a_plan_loads_no_engine_and_nothing_heavy(tmp_path: Path) -> None:
    program = (
        "import json, sys\nfrom canteen.cli.main import main\n"
        f"sys.argv = ['canteen', 'plan', '7B', '--instance', 'p5.48xlarge']\n"
        "try: main()\nexcept SystemExit: pass\n"
        f"print(json.dumps(sorted(set(sys.modules) & {HEAVY})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"CANTEEN_HOME": str(tmp_path)},
        capture_output=True,
        check=True,
        text=True,
    )

    assert json.loads(done.stdout.splitlines()[-1]) == []


@pytest.mark.parametrize("words", COMMANDS)
def test_the_commands_of_the_guide_work(
    call: Call, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert call(*words.split()).exit_code == 0
