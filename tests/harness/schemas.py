"""The JSON Schemas of what the program prints."""

import json
from copy import deepcopy
from functools import cache
from importlib.resources import files
from typing import Any

from jsonschema import Draft202012Validator

FOLDER = files("writer_cli") / "schemas"

NAMES = sorted(file.name.removesuffix(".json") for file in FOLDER.iterdir())


def schema(name: str) -> dict[str, Any]:
    """Return a schema as it is in the package."""
    parsed: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return parsed


def closed(value: Any) -> Any:
    """Return a schema that allows no keys but those that it describes.

    The schemas in the package allow others, since a key may be added under the same version. The
    tests must find a key that was added to the output and not to the schema.
    """
    if isinstance(value, list):
        return [closed(item) for item in value]
    if not isinstance(value, dict):
        return value
    result = {name: closed(item) for name, item in value.items()}
    if result.get("type") == "object" and "properties" in result:
        result.setdefault("additionalProperties", False)
    return result


@cache
def _validator(name: str) -> Draft202012Validator:
    return Draft202012Validator(closed(deepcopy(schema(name))))


def problems(name: str, value: Any) -> list[str]:
    """Return the errors of a value against a schema: the path in the value, and the reason."""
    return [f"{error.json_path}: {error.message}" for error in _validator(name).iter_errors(value)]


def check(name: str, printed: str) -> Any:
    """Return the JSON value that the program printed, after checking it against its schema."""
    value = json.loads(printed)
    assert problems(name, value) == [], (
        f"writer_cli/schemas/{name}.json does not describe this output: add what is new to it"
    )
    return value
