"""The generated pages of docs/: `python -m api.reference` writes them.

One page for each kind, with the texts that `kubectl explain` prints, and those about reasons.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from api.block import RULES
from api.crds import object_schema
from api.durations import DURATION_PATTERN
from api.kinds import KINDS, Kind
from api.names import GROUP, VERSION
from api.reason_pages import errors_page, reasons_page
from api.structural import Schema

DIRECTORY = Path(__file__).resolve().parent.parent / "docs"

_NOTICE = "<!-- Made by `make crds` from api/; do not edit. -->\n\n"


def pages() -> dict[str, str]:
    """Every page's text by its place in docs/."""
    made = {f"reference/{kind.kind.lower()}.md": kind_page(kind) for kind in KINDS}
    made |= {"reference/reasons.md": reasons_page(), "errors.md": errors_page()}
    return {name: _NOTICE + text for name, text in made.items()}


def kind_page(kind: Kind) -> str:
    """The reference of a kind: a table for each block, outer blocks first."""
    schema = object_schema(kind)
    short = ", ".join(f"`{name}`" for name in kind.short_names)
    lines = [
        f"# {kind.kind}",
        "",
        schema["description"],
        "",
        f"`apiVersion: {GROUP}/{VERSION}` · `kubectl get {kind.plural}`, short {short} · "
        f"`kubectl explain {kind.kind.lower()}.spec` prints the same texts.",
    ]
    for part in ("spec", "status"):
        for path, block in _blocks(part, schema["properties"][part]):
            lines += ["", f"## {path}", "", block["description"], "", *_table(block), *_rules(block)]
    return "\n".join(lines) + "\n"


def _blocks(path: str, block: Schema) -> Iterator[tuple[str, Schema]]:
    yield path, block
    for name, field in block["properties"].items():
        inner = field.get("items", field)
        if "properties" in inner:
            yield from _blocks(f"{path}.{name}{'[]' if 'items' in field else ''}", inner)


def _table(block: Schema) -> Iterator[str]:
    yield "| field | type | default | meaning |"
    yield "|---|---|---|---|"
    required = block.get("required", ())
    for name, field in block["properties"].items():
        default = f"`{_plain(field['default'])}`" if field.get("default") not in (None, {}, "") else ""
        if name in required:
            default = "required"
        meaning = _cell(" ".join(filter(None, (field["description"], _bounds(field)))))
        yield f"| `{name}` | {_type(field)} | {default} | {meaning} |"


def _rules(block: Schema) -> Iterator[str]:
    messages = [entry["message"] for entry in block.get(RULES, ())]
    if messages:
        yield ""
        yield "The API server refuses what breaks one of these rules:"
        yield ""
        yield from (f"- {message}" for message in messages)


def _type(field: Schema) -> str:
    if field.get("x-kubernetes-int-or-string"):
        return "quantity"
    if "items" in field:
        return f"list of {_type(field['items'])}"
    if "additionalProperties" in field:
        return f"map of {_type(field['additionalProperties'])}"
    if field.get("pattern") == DURATION_PATTERN:
        return "duration"
    if field.get("format") == "date-time":
        return "time"
    return str(field["type"])


def _bounds(field: Schema) -> str:
    said = []
    if "enum" in field:
        said.append("One of " + ", ".join(f"`{value}`" for value in field["enum"]) + ".")
    if "minimum" in field and "maximum" in field:
        said.append(f"From {_plain(field['minimum'])} to {_plain(field['maximum'])}.")
    elif "minimum" in field:
        said.append(f"At least {_plain(field['minimum'])}.")
    if "maxItems" in field:
        said.append(f"At most {field['maxItems']} entries.")
    return " ".join(said)


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main(directory: Path = DIRECTORY) -> None:
    """Write every page."""
    for name, text in pages().items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
