"""What the requests of every dialect are built from: null is absence, numbers are numbers."""

from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

MOST_TOKENS = 2**31 - 1
MOST_TOP_LOGPROBS = 20


class Wire(BaseModel):
    """A JSON object in which unknown keys are ignored and null means absent, at every depth."""

    model_config = ConfigDict(
        extra="ignore",
        strict=True,
        allow_inf_nan=False,
        protected_namespaces=(),
        populate_by_name=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, data: Any) -> Any:
        if isinstance(data, dict):
            return {key: value for key, value in data.items() if value is not None}
        return data


def _whole(value: Any) -> Any:
    """Some JSON writers know only floats: 16.0 is 16."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def expecting(what: str) -> WrapValidator:
    """Of several forms: one error that names them all, in place of one for each."""

    def validate(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        try:
            return handler(value)
        except ValidationError:
            raise ValueError(f"Input should be {what}") from None

    return WrapValidator(validate)


def _of_64_bits(value: dict[str, Any]) -> dict[str, Any]:
    """Larger whole numbers do not go over the worker's wire."""
    level: list[Any] = [value]
    while level:
        items = [
            item
            for outer in level
            for item in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if any(isinstance(item, int) and not -(2**63) <= item < 2**63 for item in items):
            raise ValueError("Input should have no whole number of more than 64 bits")
        level = [item for item in items if isinstance(item, dict | list)]
    return value


WHOLE = BeforeValidator(_whole, json_schema_input_type=int)
LISTED = BeforeValidator(_listed, json_schema_input_type=str | list[str])
JsonObject = Annotated[dict[str, Any], AfterValidator(_of_64_bits)]
Name = Annotated[str, Field(min_length=1, max_length=256)]
Penalty = Annotated[float, Field(ge=-2, le=2)]
