"""How the program that prepares models is told which format is wanted."""

from canteen.lifecycle.quantize.formats import Format
from canteen.runtime.pull import Form


def form_of(form: Format) -> Form:
    """A format, as what brings models into the store takes it."""
    arguments = ["--format", form.name]
    if form.can_group:
        arguments += ["--group-size", str(form.group_size or -1)]
    if form.texts_id:
        arguments += ["--calibration", form.calibration]
    return Form(form.tag, tuple(arguments))
