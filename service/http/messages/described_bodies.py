"""OpenAPI descriptions of the bodies that routes read themselves."""

from typing import Any

from pydantic import TypeAdapter

from service.http.messages.schemas import ItemId

__all__ = ["BULK_ANSWER", "BULK_BODY", "REFERENCE", "TOKENIZE_BODY", "json_body"]

REFERENCE = "#/components/schemas/{model}"
TOKENIZE_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": REFERENCE.format(model="TokenizeRequest")}},
            "application/msgpack": {
                "schema": {
                    "type": "object",
                    "description": "items given by their vectors",
                    "required": ["item_ids", "vectors"],
                    "additionalProperties": False,
                    "properties": {
                        "item_ids": {
                            "type": "array",
                            "items": TypeAdapter(ItemId).json_schema(),
                            "minItems": 1,
                        },
                        "vectors": {
                            "type": "string",
                            "format": "binary",
                            "description": "msgpack bin: one vector after the other, each as "
                            "`dimension` little-endian float32; in NumPy "
                            "`matrix.astype('<f4').tobytes()`",
                        },
                        "titles": {
                            "type": "array",
                            "items": {"type": ["string", "null"]},
                            "description": "one title, or null, for each item",
                        },
                    },
                }
            },
        },
    }
}


def json_body(model: str) -> dict[str, Any]:
    """Return the description of a JSON body; `model` is the name of its schema."""
    content = {"application/json": {"schema": {"$ref": REFERENCE.format(model=model)}}}
    return {"requestBody": {"required": True, "content": content}}


LINE = {"line": {"type": "integer", "minimum": 1, "description": "number of the line"}}
BULK_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "one item on each line; any number of lines",
        "content": {
            "application/x-ndjson": {"schema": {"$ref": REFERENCE.format(model="ItemToTokenize")}}
        },
    }
}
BULK_ANSWER: dict[str, Any] = {
    "description": "for each line, in order, the item with its ID or the line's problem",
    "content": {
        "application/x-ndjson": {
            "schema": {
                "oneOf": [
                    {
                        "allOf": [
                            {"$ref": REFERENCE.format(model="TokenizedItem")},
                            {"type": "object", "properties": LINE, "required": ["line"]},
                        ]
                    },
                    {
                        "type": "object",
                        "properties": LINE | {"problem": {"type": "object"}},
                        "required": ["line", "problem"],
                    },
                ]
            }
        }
    },
}
