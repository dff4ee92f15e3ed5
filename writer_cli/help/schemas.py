"""The JSON Schemas of what scripts read and write: one file in the package for each."""

from pathlib import Path

FOLDER = Path(__file__).parents[1] / "schemas"


def titles() -> dict[str, str]:
    """Return the name and the title of every schema."""
    import json

    return {
        path.stem: json.loads(path.read_text(encoding="utf-8"))["title"]
        for path in sorted(FOLDER.glob("*.json"))
    }


def text(name: str) -> str:
    """Return a schema as it is in the package. Raises `KeyError` where there is none."""
    if name not in titles():
        raise KeyError(name)
    return (FOLDER / f"{name}.json").read_text(encoding="utf-8")
