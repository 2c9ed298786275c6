"""The formats that weights can be prepared in, and what each is made with."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from canteen.core.errors import InvalidRequest

DEFAULT = "int8"
BUILTIN = "builtin"
# Types of llama.cpp's quantizer, which makes another source file.
GGUF_TYPES = (
    "q2_k", "q3_k_s", "q3_k_m", "q3_k_l", "q4_0", "q4_1", "q4_k_s", "q4_k_m",
    "q5_0", "q5_1", "q5_k_s", "q5_k_m", "q6_k", "q8_0", "iq4_nl", "iq4_xs",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Format:
    """A format of weights. `mode` is nncf's; the empty one leaves 16-bit floats.

    `group_size` is how many weights of a row share a scale, 0 for the whole row. `options` are
    nncf's; all of them need texts to calibrate by. `calibration` is the path of such texts,
    `builtin` for those that ship, or empty; `texts_id` tells them from others.
    """

    name: str
    mode: str
    told: str
    group_size: int = 0
    options: Mapping[str, bool] = field(default_factory=dict)
    calibration: str = ""
    texts_id: str = ""
    is_grouped: bool = False

    @property
    def tag(self) -> str:
        """What tells its prepared folder from others of the same source; empty for the default."""
        if self.name == DEFAULT:
            return ""
        usual = FORMATS[self.name]
        group = f"-g{self.group_size}" if self.group_size != usual.group_size else ""
        return self.name + group + (f"-{self.texts_id}" if self.texts_id else "")

    @property
    def can_group(self) -> bool:
        """Whether its group size can be chosen; standards say it of some formats."""
        return self.is_grouped and self.name not in _FIXED_GROUPS

    @property
    def label(self) -> str:
        """The format as a card's quality record says it."""
        group = f" in groups of {self.group_size}" if self.group_size else " per channel"
        texts = f", calibrated on {_texts(self.calibration)}" if self.calibration else ""
        return self.told + (group if self.mode else "") + texts


def _texts(calibration: str) -> str:
    return "the built-in texts" if calibration == BUILTIN else "texts of one's own"


def _grouped_by(name: str, mode: str, told: str, group_size: int = 64) -> Format:
    return Format(name, mode, told, group_size, is_grouped=True)


def _aware(name: str, told: str, **options: bool) -> Format:
    return Format(name, "int4_asym", told, 64, options, BUILTIN, is_grouped=True)


FORMATS: Mapping[str, Format] = {
    one.name: one
    for one in (
        Format(DEFAULT, "int8_sym", "int8, symmetric"),
        Format("int8-asym", "int8_asym", "int8, asymmetric"),
        _grouped_by("int4", "int4_sym", "int4, symmetric"),
        _grouped_by("int4-asym", "int4_asym", "int4, asymmetric"),
        _aware("int4-awq", "int4, AWQ and scale estimation", awq=True, scale_estimation=True),
        _grouped_by("nf4", "nf4", "normal float 4"),
        _grouped_by("fp4", "fp4", "float 4 (E2M1)"),
        _grouped_by("mxfp4", "mxfp4", "MX float 4 (E2M1)", 32),
        _grouped_by("nvfp4", "nvfp4", "NV float 4 (E2M1)", 16),
        _grouped_by("fp8", "fp8_e4m3", "float 8 (E4M3)"),
        _grouped_by("mxfp8", "mxfp8_e4m3", "MX float 8 (E4M3)", 32),
        Format("f16", "", "float16"),
    )
}
# Their standards say how many weights share a scale.
_FIXED_GROUPS = ("mxfp4", "mxfp8", "nvfp4")


def read(name: str, group_size: int | None = None, calibration: str | None = None) -> Format:
    """A format by its name with what is asked for besides; raises InvalidRequest.

    `group_size` is in weights, -1 for whole rows; `calibration` is a file or `builtin`.
    """
    form = FORMATS.get(name.lower())
    if form is None:
        raise _unknown(name.lower())
    if group_size is not None:
        form = replace(form, group_size=_size(form, group_size))
    if calibration is not None:
        if not form.options:
            aware = ", ".join(one.name for one in FORMATS.values() if one.options)
            raise InvalidRequest(
                f"{form.name} looks at weights only; --calibration is for {aware}",
                param="calibration",
            )
        if calibration != BUILTIN:
            path = str(Path(calibration).absolute())
            form = replace(form, calibration=path, texts_id=_texts_id(path))
    return form


def _texts_id(path: str) -> str:
    """What tells these texts from others; raises InvalidRequest for what are no texts."""
    try:
        data = Path(path).read_bytes()
        data.decode()
    except (OSError, UnicodeDecodeError) as exc:
        raise InvalidRequest(
            "the calibration texts cannot be read; give a file of plain text in UTF-8, "
            f"or {BUILTIN}",
            param="calibration",
        ) from exc
    return hashlib.sha256(data).hexdigest()[:8]


def _size(form: Format, group_size: int) -> int:
    if not form.can_group:
        raise InvalidRequest(
            f"{form.name} has no groups to choose; leave --group-size out", param="group-size"
        )
    if group_size == -1:
        return 0
    if not 8 <= group_size <= 1024 or group_size & (group_size - 1):
        raise InvalidRequest(
            "a group has 8, 16, 32, … or 1024 weights, or -1 for whole rows", param="group-size"
        )
    return group_size


def _unknown(name: str) -> InvalidRequest:
    told = f"no format '{name}' is made here"
    if name in GGUF_TYPES:
        told = f"{name} is a type of GGUF files, which canteen prepare makes, and no format"
    return InvalidRequest(f"{told}; there are {', '.join(FORMATS)}", param="format")
