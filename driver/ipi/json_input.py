"""i-PI's inputs in JSON, as elements of its XML."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from xml.etree.ElementTree import Element

__all__ = ["read_json"]


def read_json(text: str) -> Element:
    """The ``<simulation>`` of a JSON text, which holds it by that name or is its content.

    ``attributes`` are those of the element, ``value`` is its text, a list stands for several
    elements of one name, anything else is an element.

    Raises:
        ValueError: if it is no such text.
    """
    data = json.loads(text)
    if not isinstance(data, dict):
        raise ValueError(f"an object is wanted, not {type(data).__name__}")
    return _element("simulation", data["simulation"] if set(data) == {"simulation"} else data)


def _element(tag: str, data: Any) -> Element:
    if not isinstance(data, Mapping):
        element = Element(tag)
        element.text = f" {data} "
        return element
    attributes = data.get("attributes", {})
    element = Element(tag, {name: str(value) for name, value in attributes.items()})
    element.text = f" {data['value']} " if "value" in data else None
    for name, content in data.items():
        if name not in ("attributes", "value"):
            items = content if isinstance(content, list) else [content]
            element.extend(_element(name, item) for item in items)
    return element
