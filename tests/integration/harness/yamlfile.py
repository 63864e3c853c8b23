"""Writes the small part of YAML that our configuration files use: mappings, lists and scalars, in block style."""

import json
import re

_PLAIN = re.compile(r"[A-Za-z0-9_./:+-]*[A-Za-z0-9_./+-]\Z")
_NOT_TEXT = re.compile(r"(?i)(true|false|yes|no|on|off|null|~|[-+]?[0-9]*\.?[0-9]+([eE][-+]?[0-9]+)?|0x[0-9a-f]+)\Z")


def scalar(value):
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    text = str(value)
    if _PLAIN.match(text) and not _NOT_TEXT.match(text) and text[0] not in "-:.":
        return text
    return json.dumps(text, ensure_ascii=False)  # a JSON string is a double-quoted YAML scalar


def emit(value, indent=0):
    pad = "  " * indent
    if isinstance(value, dict):
        lines = []
        for key, item in value.items():
            if item is None:
                continue
            if isinstance(item, (dict, list)) and item:
                lines.append(f"{pad}{key}:\n{emit(item, indent + 1)}")
            else:
                lines.append(f"{pad}{key}: {'[]' if item == [] else '{}' if item == {} else scalar(item)}\n")
        return "".join(lines)
    lines = []
    for item in value:
        if isinstance(item, dict) and item:
            block = emit(item, indent + 1)
            lines.append(f"{pad}- {block[len(pad) + 2:]}")
        else:
            lines.append(f"{pad}- {scalar(item)}\n")
    return "".join(lines)


def write(path, value):
    with open(path, "w", encoding="utf-8") as file:
        file.write(emit(value))
    return path
