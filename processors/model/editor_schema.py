"""The JSON Schema of a model file, for editors. Made from the reader's own table of keys, so the two cannot disagree."""

from typing import Any

from processors.model.condition_shapes import ACT_WORDS, LEAD_WORDS, condition_schema
from processors.model.keys import MODEL


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12). It knows keys and types; names that must exist and such are for `model check`."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "leadstream scoring model",
        **MODEL.schema(),
        "$defs": {words.id: condition_schema(words) for words in (ACT_WORDS, LEAD_WORDS)},
    }
