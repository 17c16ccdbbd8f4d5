"""What the prediction server says of itself, as OpenAPI 3.1."""

from __future__ import annotations

from typing import Any

import msgspec

from section5.predict import Answer, Predictor

TITLE = "Car price prediction"
EXAMPLE = {"maint": "high", "doors": "4", "lug_boot": "big", "safety": "high", "class": "good"}


def describe(predictor: Predictor) -> dict[str, Any]:
    """The OpenAPI document, with an example that the model answers."""
    schema = predictor.schema
    _, components = msgspec.json.schema_components([Answer], ref_template="#/components/schemas/{name}")
    values = {name: {"type": "string", "enum": schema.columns[name]} for name in schema.evidence}
    question = {"type": "object", "properties": values, "additionalProperties": False}
    field = {"type": "string"}
    mistake = {"type": "object", "properties": {"field": field, "problem": field, "hint": field}}
    known = {name: value for name, value in EXAMPLE.items() if value in schema.columns.get(name, [])}
    refused = {"description": "The field that is wrong and what is allowed", **_json(_ref("Mistake"))}
    return {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "version": str(predictor.trained.format), "description": _description(predictor)},
        "paths": {
            "/predict": {
                "post": {
                    "summary": "The price of a car",
                    "description": "Any of the fields, or none. doors and persons may be numbers.",
                    "requestBody": {"required": True, **_json(_ref("Question"), known)},
                    "responses": {
                        "200": {
                            "description": "The prices' probabilities",
                            **_json(_ref("Answer"), msgspec.to_builtins(predictor.answer(known))),
                        },
                        **dict.fromkeys(("400", "408", "413", "422"), refused),
                    },
                }
            },
            "/health": {"get": {"summary": "Whether it answers", "responses": {"200": {"description": "It does"}}}},
        },
        "components": {
            "schemas": {
                "Question": question,
                "Mistake": {"type": "object", "properties": {"error": mistake}},
                **components,
            }
        },
    }


def _description(predictor: Predictor) -> str:
    return (
        f"The {predictor.schema.price} price of a car, inferred from what is known of it. Where the data has no such "
        "car the answer says so (supported is false) and rests on less (used)."
    )


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(schema: dict[str, str], example: Any = None) -> dict[str, Any]:
    return {
        "content": {"application/json": {"schema": schema, **({"example": example} if example is not None else {})}}
    }
