"""Extraction: whatever a model says, every quote stands in the text where it is said to."""

import asyncio
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import canteen
from canteen.core.errors import InvalidOutput, InvalidRequest, ModelNotFound
from canteen.core.generation import GenerationRequest
from canteen.tasks.extract import Extracted, ExtractRequest, Found, extract, told
from tests.tasks.answering import Answering, instances, schema_of
from tests.tasks.speaking import Speaking, model_of

LETTER = (
    "Dear Anna Schmidt, your order ORD-123456 of March 3, 2024 was shipped from Oslo. "
    "Write to help@globex.com or call +1 978-262-5334. It cost $25.90."
)
ORDER: dict[str, Any] = {
    "type": "object",
    "properties": {
        "buyer": {"type": "string"},
        "mail": {"type": "string", "format": "email"},
        "status": {"enum": ["shipped", "open"]},
        "total": {"type": ["number", "null"]},
        "is_gift": {"type": "boolean"},
        "items": {
            "type": "array",
            "maxItems": 30,
            "items": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "count": {"type": "integer"}},
                "required": ["name"],
            },
        },
    },
    "required": ["items", "total"],
}


def run(models: Speaking, text: str, **options: Any) -> Extracted:
    return asyncio.run(extract(model_of(models), ExtractRequest(text, **options)))


def saying(*answers: Any) -> Answering:
    """A model that gives these answers, one a request."""
    left = list(answers)
    return Answering(lambda request: left.pop(0))


def said(result: Extracted) -> list[tuple[str, str]]:
    return [(one.type, one.quote) for one in result.found]


def is_grounded(result: Extracted, text: str) -> bool:
    return all(
        one.start is not None and text[one.start : one.end] == one.quote != ""
        for one in result.found
    )


def test_fields_with_a_form_are_found_without_a_model() -> None:
    models = Speaking()

    result = run(models, LETTER, types=["email", "phone", "date", "order number", "money"])

    assert said(result) == [
        ("order number", "ORD-123456"),
        ("date", "March 3, 2024"),
        ("email", "help@globex.com"),
        ("phone", "+1 978-262-5334"),
        ("money", "$25.90"),
    ]
    assert set(result.methods.values()) == {"pattern"}
    assert is_grounded(result, LETTER)
    assert models.asked == []


def test_what_a_model_lists_is_quoted_at_all_its_places() -> None:
    text = "Anna met Bob. Later anna left Bob."

    result = run(saying({"person": ["Anna", "BOB", "Bob"]}), text, types=["person"], method="model")

    assert [(one.quote, one.start) for one in result.found] == [
        ("Anna", 0),
        ("Bob", 9),
        ("Bob", 30),
    ]
    assert {one.method for one in result.found} == {"model"}


def test_what_the_text_does_not_have_is_dropped_and_counted() -> None:
    result = run(
        saying({"person": ["Anna", "Charles"]}), "Anna left.", types=["person"], method="model"
    )

    assert said(result) == [("person", "Anna")]
    assert result.num_dropped == 1


def test_what_the_text_does_not_have_can_be_flagged() -> None:
    result = run(
        saying({"person": ["Anna", "Charles"]}),
        "Anna left.",
        types=["person"],
        method="model",
        ungrounded="flag",
    )

    assert result.found[-1] == Found("person", "Charles", None, None, "model")
    assert result.num_dropped == 0
    assert "not in the text" in told(result)


def test_a_place_is_of_one_type() -> None:
    answer = {"person": ["Paris"], "city": ["Paris"]}

    result = run(saying(answer), "Paris left.", types=["person", "city"], method="model")

    assert said(result) == [("person", "Paris")]


def test_what_has_a_form_of_its_own_is_no_name() -> None:
    text = "Anna.Smith@x.org wrote to Anna."

    result = run(saying({"person": ["Anna"]}), text, types=["person"], method="model")

    assert [one.start for one in result.found] == [26]


def test_a_text_whose_letters_have_one_case_goes_to_the_language_model() -> None:
    text = "東京タワーは東京にあります。"

    result = run(saying({"place": ["東京"]}), text, types={"place": "都市"})

    assert result.methods == {"place": "model"}
    assert [(one.start, one.end) for one in result.found] == [(0, 2), (6, 8)]


def test_a_long_text_is_read_in_windows_and_no_place_comes_twice() -> None:
    sentence = "Nothing of note was said on that day in the village. "
    text = sentence * 60 + "Then Anna came. " + sentence * 60
    models = Answering(lambda request: {"person": ["Anna"]})

    result = run(models, text, types=["person"], method="model")

    assert len(models.asked) > 3
    assert said(result) == [("person", "Anna")]
    assert is_grounded(result, text)
    assert result.num_dropped == len(models.asked) - 1


def test_a_window_without_a_valid_answer_is_told() -> None:
    sentence = "Nothing of note was said on that day in the village. "
    text = "Anna came. " + sentence * 60

    def answer(request: GenerationRequest) -> Any:
        if "Anna" not in request.messages[-1].content:
            raise InvalidOutput("no end")
        return {"person": ["Anna"]}

    result = run(Answering(answer), text, types=["person"], method="model")

    assert said(result) == [("person", "Anna")]
    assert result.unread[-1].end == len(text)


def test_no_valid_answer_at_all_is_an_error() -> None:
    def answer(request: GenerationRequest) -> Any:
        raise InvalidOutput("no end")

    with pytest.raises(InvalidOutput, match="no valid answer"):
        run(Answering(answer), "Anna came.", types=["person"], method="model")


def test_another_error_of_a_window_ends_the_request() -> None:
    def answer(request: GenerationRequest) -> Any:
        raise ModelNotFound("gone")

    with pytest.raises(ModelNotFound):
        run(Answering(answer), "Anna came.", types=["person"], method="model")


def test_an_embedder_that_is_missing_is_told_with_the_way_out() -> None:
    with pytest.raises(InvalidRequest, match=r"canteen pull all-minilm.*method model") as raised:
        run(Speaking(can_embed=False), "Anna came.", types=["person"])

    assert raised.value.param == "embedder"


@pytest.mark.parametrize(
    ("options", "needs"),
    [
        ({"types": ["person", "email"]}, True),
        ({"types": ["email"]}, False),
        ({"types": ["person"], "method": "model"}, False),
        ({"schema": ORDER}, False),
    ],
)
def test_an_embedder_is_needed_for_names_only(options: dict[str, Any], needs: bool) -> None:
    assert ExtractRequest("", **options).needs_embedder is needs


def test_a_schema_is_filled_with_quotes_and_the_rest_is_marked() -> None:
    answer = {
        "buyer": "anna  schmidt",
        "mail": "help@globex.com",
        "status": "shipped",
        "total": 25.9,
        "is_gift": None,
        "items": [],
    }

    result = run(saying(answer), LETTER, schema=ORDER)

    assert result.value == {
        "buyer": "Anna Schmidt",
        "mail": "help@globex.com",
        "status": "shipped",
        "total": 25.9,
        "items": [],
    }
    assert result.found == (
        Found("/buyer", "Anna Schmidt", 5, 17, "model"),
        Found("/mail", "help@globex.com", 90, 105, "pattern"),
    )
    assert result.unquoted == ("/status", "/total")
    assert told(result).startswith('{"buyer": "Anna Schmidt"')


def test_a_format_that_patterns_know_leaves_the_model_only_what_they_found() -> None:
    models = saying({"mail": None})
    schema = {"type": "object", "properties": {"mail": ORDER["properties"]["mail"]}}

    run(models, LETTER, schema=schema)

    (asked,) = models.asked
    assert schema_of(asked)["properties"]["mail"] == {"enum": ["help@globex.com", None]}


def test_windows_are_merged_first_scalars_and_all_items() -> None:
    sentence = "Nothing of note was said on that day in the village. "
    text = "Anna bought a lamp. " + sentence * 60 + "Bob bought a chair."
    schema = {
        "type": "object",
        "properties": {
            "buyer": {"type": "string"},
            "bought": {"type": "array", "items": {"type": "string"}},
        },
    }

    def answer(request: GenerationRequest) -> Any:
        window = request.messages[-1].content
        return {
            "buyer": next((name for name in ("Anna", "Bob") if name in window), None),
            "bought": [thing for thing in ("lamp", "chair", "boat") if thing in window],
        }

    result = run(Answering(answer), text, schema=schema)

    assert result.value == {"buyer": "Anna", "bought": ["lamp", "chair"]}
    assert result.found[-1].type == "/bought/1"
    assert is_grounded(result, text)


def test_a_required_value_that_the_text_does_not_have_fails_closed() -> None:
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}},
        "required": ["name"],
    }

    with pytest.raises(InvalidOutput, match=r"name.*optional or nullable"):
        run(saying({"name": "Charles"}), "Anna left.", schema=schema)


def test_a_required_value_may_be_null_where_the_schema_says_so() -> None:
    schema = {
        "type": "object",
        "properties": {"name": {"type": ["string", "null"]}},
        "required": ["name"],
    }

    result = run(saying({"name": "Charles"}), "Anna left.", schema=schema)

    assert result.value == {"name": None}
    assert result.num_dropped == 1


def test_an_object_that_must_hold_itself_fails_closed() -> None:
    schema = {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}

    with pytest.raises(InvalidOutput, match="does not satisfy"):
        run(saying({"a": None}), "Anna left.", schema=schema)


def test_what_is_found_beyond_the_most_items_is_left_out() -> None:
    schema = {
        "type": "object",
        "properties": {"names": {"type": "array", "items": {"type": "string"}, "maxItems": 2}},
    }

    result = run(saying({"names": ["Anna", "anna", "Bob", "Cleo"]}), "Anna Bob Cleo", schema=schema)

    assert result.value == {"names": ["Anna", "Bob"]}


def test_an_item_that_is_nothing_without_its_name_is_left_out() -> None:
    items = [
        {"name": "Lamp", "count": 2},
        {"name": "Boat", "count": 1},
        {"name": "chair", "count": 0},
    ]
    answer = {"total": None, "items": items}

    result = run(saying(answer), "A lamp and a chair.", schema=ORDER)

    assert result.value["items"] == [{"name": "lamp", "count": 2}, {"name": "chair", "count": 0}]
    assert said(result) == [("/items/0/name", "lamp"), ("/items/1/name", "chair")]
    assert result.num_dropped == 1


def test_references_and_choices_are_followed() -> None:
    schema = {
        "$defs": {"name": {"type": "string"}, "kind": {"enum": ["firm", "person"]}},
        "type": "object",
        "properties": {
            "who": {"$ref": "#/$defs/name"},
            "kind": {"anyOf": [{"$ref": "#/$defs/kind"}, {"type": "null"}]},
        },
    }

    result = run(saying({"who": "ANNA", "kind": "firm"}), "Anna left.", schema=schema)

    assert result.value == {"who": "Anna", "kind": "firm"}
    assert result.unquoted == ("/kind",)


TEXTS = st.text(
    st.sampled_from("Anna Bob 12@.é\u0301\u200d👩👩🏽東京 -x\n") | st.characters(codec="utf-8"),
    min_size=1,
).filter(lambda text: text.strip() and "\0" not in text)


def parts(text: str) -> st.SearchStrategy[str]:
    """Anything, and what is nearly in the text."""
    place = st.integers(0, len(text))
    part = st.tuples(place, place).map(lambda ends: text[min(ends) : max(ends)])
    return st.text(max_size=20) | part | part.map(str.upper) | part.map(lambda one: f" {one}\n")


@settings(max_examples=100, deadline=None)
@given(text=TEXTS, data=st.data())
def test_types_are_grounded_whatever_the_model_says(text: str, data: st.DataObject) -> None:
    models = Answering(lambda request: data.draw(instances(schema_of(request), parts(text))))

    result = run(models, text, types=["person", "thing", "email"], method="model")

    assert is_grounded(result, text)
    assert len({(one.start, one.end) for one in result.found}) == len(result.found)


@settings(max_examples=100, deadline=None)
@given(text=TEXTS, data=st.data())
def test_a_schema_is_kept_and_grounded_whatever_the_model_says(
    text: str, data: st.DataObject
) -> None:
    models = Answering(lambda request: data.draw(instances(schema_of(request), parts(text))))

    result = run(models, text, schema=ORDER)

    assert jsonschema_rs.is_valid(ORDER, result.value)
    assert is_grounded(result, text)
    strings = [one for one in leaves(result.value) if isinstance(one[1], str)]
    quoted = {one.type: one.quote for one in result.found}
    assert all(quoted.get(path) == value for path, value in strings if path != "/status")


def leaves(value: Any, path: str = "") -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [leaf for name, one in value.items() for leaf in leaves(one, f"{path}/{name}")]
    if isinstance(value, list):
        return [leaf for place, one in enumerate(value) for leaf in leaves(one, f"{path}/{place}")]
    return [(path, value)]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "give types, or a schema"),
        ({"types": ["a"], "schema": ORDER}, "not both"),
        ({"types": []}, "give types"),
        ({"types": ["a", " A "]}, "'a' is there 2 times"),
        ({"types": [" "]}, "a name of 1 to 100"),
        ({"types": ["a" * 101]}, "a name of 1 to 100"),
        ({"types": {"a": "b" * 1001}}, "up to 1,000 characters"),
        ({"types": {"a": 1}}, "are texts"),
        ({"types": "person"}, "a list"),
        ({"types": [f"t{number}" for number in range(65)]}, "64 are the most"),
        ({"types": ["a"], "ungrounded": "keep"}, "drop, flag"),
        ({"types": ["a"], "method": "magic"}, "embedding, model"),
        ({"schema": {"type": "string"}}, "an object with properties"),
        ({"schema": {"type": "array", "uniqueItems": True}}, r"'uniqueItems'.* at \$.uniqueItems"),
        ({"schema": {"properties": {"a": {"$ref": "#b"}}, "$defs": {"b": {"$anchor": "b"}}}}, "#b"),
        ({"schema": {"type": "thing", "properties": {}}}, "not a valid JSON Schema"),
    ],
)
def test_wrong_options_are_told_by_name(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidRequest, match=said) as raised:
        ExtractRequest("text", **options)

    assert raised.value.param in {"types", "schema", "ungrounded", "method"}


def test_an_empty_text_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="empty"):
        run(Speaking(), " \n", types=["email"])


def test_a_model_with_hardly_a_context_is_refused() -> None:
    models = Answering(lambda request: {}, context=256)

    with pytest.raises(InvalidRequest, match="too small a context"):
        run(models, "Anna left.", types=["person"], method="model")


@pytest.fixture(scope="module")
def llm(model_home: Path) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CANTEEN_HOME", str(model_home))
        with canteen.LLM() as llm:
            yield llm


def test_the_default_models_find_plain_names(llm: Any) -> None:
    result = llm.extract(LETTER, ["person", "location", "email"])

    assert ("person", "Anna Schmidt") in said(result)
    assert ("location", "Oslo") in said(result)
    assert is_grounded(result, LETTER)
    assert llm.receipt.prompt_version == "extract/1"


def test_the_default_model_fills_a_schema_that_holds(llm: Any) -> None:
    names = ("buyer", "mail", "status", "total")
    schema = {"type": "object", "properties": {name: ORDER["properties"][name] for name in names}}

    result = llm.extract(LETTER, schema=schema)

    assert jsonschema_rs.is_valid(schema, result.value)
    assert is_grounded(result, LETTER)
    assert result.value["mail"] == "help@globex.com"
    assert result == llm.extract(LETTER, schema=schema)
