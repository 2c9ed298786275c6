"""Which engine a GGUF file is prepared for, and why."""

from dataclasses import dataclass
from importlib.util import find_spec

from canteen.core.errors import ModelUnsuitable
from canteen.lifecycle.gguf_source import LLAMACPP_HINT, GgufSource
from canteen.lifecycle.llamacpp_model import is_generator

AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Here:
    """What there is on this machine: llama.cpp, and a GPU that it can use."""

    has_llamacpp: bool
    has_gpu: bool


def here() -> Here:
    """Look; takes the time to load llama.cpp where it is installed."""
    if find_spec("xllamacpp") is None:
        return Here(has_llamacpp=False, has_gpu=False)
    import xllamacpp

    cpu = xllamacpp.ggml_backend_dev_type.GGML_BACKEND_DEVICE_TYPE_CPU
    return Here(True, any(one["type"] != cpu for one in xllamacpp.get_device_info()))


def choose(gguf: GgufSource, asked: str, here: Here) -> tuple[str, str]:
    """The engine and the reason. Raises ModelUnsuitable where none that is installed, or not the
    one that is asked for, runs the file."""
    if asked == "vllm":
        raise ModelUnsuitable(
            "the vllm engine runs models of safetensors and no GGUF file; pull another form of "
            "this model, or have CANTEEN_ENGINE=auto"
        )
    problem = _for_openvino(gguf)
    if asked == "openvino":
        if problem:
            raise ModelUnsuitable(problem)
        return asked, "it was asked for"
    if asked == "llamacpp" and not here.has_llamacpp:
        raise ModelUnsuitable(f"the llamacpp engine is not installed; run: {LLAMACPP_HINT}")
    if asked == "llamacpp":
        return asked, "it was asked for"
    if here.has_gpu:
        return "llamacpp", "llama.cpp can use the GPU of this machine"
    if not problem:
        return "openvino", f"it runs {gguf.architecture} on a CPU fastest"
    if not here.has_llamacpp:
        raise ModelUnsuitable(problem)
    return "llamacpp", "OpenVINO cannot run this file"


def _for_openvino(gguf: GgufSource) -> str:
    """Why OpenVINO does not run a file; empty where it does."""
    if not is_generator(gguf):
        return f"a GGUF that makes embeddings is run by llamacpp only: {LLAMACPP_HINT}"
    try:
        gguf.check_for_openvino()
    except ModelUnsuitable as exc:
        return exc.message
    return ""
