import pytest

from canteen.core.template import is_go


@pytest.mark.parametrize(
    "template",
    [
        "{{ .Prompt }}",
        "{{- if .System }}x{{ end }}",
        "{{ $m := .Messages }}",
        "{{range .A}}{{end}}",
    ],
)
def test_the_templates_of_ollamas_models_are_gos(template: str) -> None:
    assert is_go(template)


@pytest.mark.parametrize(
    "template", ["", "{{ prompt }}", "{% if a %}{{ a }}{% endif %}", "{{ a.b }}"]
)
def test_jinjas_are_not(template: str) -> None:
    assert not is_go(template)
