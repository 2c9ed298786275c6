"""What plans are told to be made with is what they can be made with."""

from canteen.factors import instances, places
from canteen.factors.hardware import device
from canteen.planning.kv import element_bytes
from canteen.planning.offered import offered
from canteen.planning.quantization import weights_format
from canteen.planning.subject import of_name


def test_every_name_that_is_told_is_known() -> None:
    told = offered([])

    specs = {one["name"]: of_name(one["name"], {}).spec for one in told["models"]}
    assert {one["name"]: one["context_length"] for one in told["models"]} == {
        name: spec.context_length for name, spec in specs.items()
    }
    assert all(weights_format(name, specs["llama3.1:8b"]) for name in told["quantizations"])
    assert all(element_bytes(name) for name in told["kv_caches"])
    assert all(device(one["name"]).kind == one["kind"] for one in told["devices"])
    for one in told["instances"]:
        assert instances.instance(one["name"]).provider == one["provider"]
        assert all(places.operator_of(row["region"]) == one["provider"] for row in one["prices"])
    assert all(places.site(one["name"]).pue for one in told["regions"])
    assert all(places.site(name).pue for name in told["countries"])
