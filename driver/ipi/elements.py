"""Reads and writes elements of i-PI's XML as i-PI does: text, numbers, lists, quantities."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar
from xml.etree.ElementTree import Element, SubElement

from ..errors import InputError
from .units import unit_factor

__all__ = [
    "attribute",
    "number",
    "numbers",
    "put",
    "put_child",
    "quantity",
    "remove",
    "strings",
    "text_of",
    "truth",
    "whole_number",
    "written",
]

Number = TypeVar("Number", int, float)


def text_of(parent: Element, path: str, default: str = "") -> str:
    """The text at a path below an element, without space around it; the default without any."""
    return (parent.findtext(path) or "").strip() or default


def attribute(element: Element, name: str, default: str = "") -> str:
    """An attribute without space around it; the default if it is absent or empty."""
    return element.get(name, "").strip() or default


def whole_number(text: str, where: str) -> int:
    """Read a whole number; InputError, which says where, if it is none."""
    try:
        return int(text)
    except ValueError:
        raise InputError(f"expected a whole number in {where}, got '{text}'") from None


def number(text: str, where: str) -> float:
    """Read a number; InputError, which says where, if it is none."""
    try:
        return float(text)
    except ValueError:
        raise InputError(f"expected a number in {where}, got '{text}'") from None


def truth(text: str, where: str) -> bool:
    """Read ``true`` or ``false`` in any case; InputError, which says where, if it is neither."""
    if text.lower() not in ("true", "false"):
        raise InputError(f"expected true or false in {where}, got '{text}'")
    return text.lower() == "true"


def strings(text: str) -> list[str]:
    """Read ``[a, b, …]``; white space means nothing."""
    items = (item.strip(" \n\t'") for item in text.strip().strip("[]").split(","))
    return [item for item in items if item]


def numbers(text: str, kind: Callable[[str], Number], where: str) -> tuple[Number, ...]:
    """Read ``[1, 8]``; InputError, which says where, if it is something else."""
    try:
        return tuple(kind(item) for item in text.strip().strip("[]").replace(",", " ").split())
    except ValueError:
        raise InputError(f"expected numbers [a, b, …] in {where}, got '{text.strip()}'") from None


def quantity(parent: Element, path: str, dimension: str, unit: str) -> float | None:
    """The value at a path in the unit wanted; ``None`` if it is absent, empty or not a number.

    Args:
        parent: the element that the path begins at.
        path: of the value, whose ``units`` are atomic ones unless it says otherwise.
        dimension: what i-PI calls it.
        unit: a name of i-PI's.
    """
    element = parent.find(path)
    text = "" if element is None else (element.text or "").strip()
    if element is None or not text:
        return None
    value = number(text, f"<{element.tag}>")
    if math.isnan(value):  # how i-PI writes what is not set
        return None
    return value * unit_factor(dimension, attribute(element, "units"), unit)


def written(values: Sequence[float]) -> str:
    """A list as i-PI reads it."""
    return f"[{', '.join(f'{value:.12g}' for value in values)}]"


def put(parent: Element, path: str, text: str, **attributes: str) -> Element:
    """Set text and attributes of the element at a path, made if it is not there."""
    for tag in path.split("/"):
        found = parent.find(tag)
        parent = SubElement(parent, tag) if found is None else found
    parent.text = f" {text} "
    parent.attrib.update(attributes)
    return parent


def put_child(parent: Element, new: Element) -> None:
    """Put an element in the place of the first of its kind, or at the end."""
    for index, child in enumerate(parent):
        if child.tag == new.tag:
            parent[index] = new
            return
    parent.append(new)


def remove(parent: Element, *tags: str) -> None:
    """Remove all children of these kinds."""
    for child in list(parent):
        if child.tag in tags:
            parent.remove(child)
