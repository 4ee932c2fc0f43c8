"""Writes a changed input so that whatever stayed the same stands as its author wrote it.

ElementTree forgets comments, quotes and line breaks. So the text of the original is kept, but for
the elements that differ: their attributes and contents are written anew, and elements that came or
went are put in or cut out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from xml.etree import ElementTree
from xml.etree.ElementTree import Element
from xml.parsers import expat
from xml.sax.saxutils import escape

__all__ = ["laid_out_as"]

REST_OF_LINE = re.compile(rb"[ \t]*<!--[^\n]*?-->(?=[ \t]*\n)")
START_TAG = re.compile(rb"<(?:[^'\">]|'[^']*'|\"[^\"]*\")*>")
INDENT = 2
LINE = 90


@dataclass(frozen=True)
class Place:
    """Where an element stands in a text: the bytes of its tags, empty where it closes itself."""

    start: int
    content: int
    closing: int
    end: int


def laid_out_as(text: str, root: Element) -> str:
    """The XML of ``root``, as it stands in ``text`` wherever it says the same.

    Args:
        text: of an input; ``root`` was made from it by changes.
        root: its ``<simulation>``, changed.
    """
    data = text.encode()
    old = ElementTree.fromstring(data.decode())
    places = dict(zip(old.iter(), _places(data), strict=True))
    place = places[old]
    merged = _Merge(data, places).element(old, root)
    return (data[: place.start] + merged + data[place.end :]).decode()


def _places(data: bytes) -> list[Place]:
    """Those of all elements, in the order in which they begin."""
    parser = expat.ParserCreate("utf-8")
    starts: list[int] = []
    open_elements: list[int] = []
    found: dict[int, Place] = {}

    def begin(_name: str, _attributes: dict[str, str]) -> None:
        open_elements.append(len(starts))
        starts.append(parser.CurrentByteIndex)

    def finish(_name: str) -> None:
        number = open_elements.pop()
        tag = START_TAG.match(data, starts[number])
        closing = parser.CurrentByteIndex
        if tag is None or tag.end() > closing or tag[0].endswith(b"/>"):
            end = tag.end() if tag else closing
            found[number] = Place(starts[number], end, end, end)
        else:
            end = data.index(b">", closing) + 1
            found[number] = Place(starts[number], tag.end(), closing, end)

    parser.StartElementHandler = begin
    parser.EndElementHandler = finish
    parser.Parse(data, True)
    return [found[number] for number in range(len(starts))]


class _Merge:
    """Puts changed elements into the text of the others."""

    def __init__(self, data: bytes, places: dict[Element, Place]) -> None:
        self._data = data
        self._places = places
        self._step = 0
        root, *children = places
        if children:
            outer, inner = (self._indent(places[e].start) for e in (root, children[0]))
            self._step = max(inner - outer, 0)
        self._step = self._step or INDENT

    def element(self, old: Element, new: Element) -> bytes:
        """One element, as it was where it says the same."""
        place, data = self._places[old], self._data
        if _meaning(old) == _meaning(new):
            return data[place.start : place.end]
        if place.closing == place.end or bool(len(old)) != bool(len(new)):
            return self._written(new, self._indent(place.start))
        head = data[place.start : place.content]
        if old.attrib != new.attrib:
            head = _start_tag(new).encode()
        if len(new):
            body = self._children(old, new)
        else:
            body = f" {escape((new.text or '').strip())} ".encode()
        return head + body + data[place.closing : place.end]

    def _children(self, old: Element, new: Element) -> bytes:
        """All between the tags of an element that has children before and after."""
        place, out = self._places[old], b""
        position, indent = place.content, self._indent(self._places[old[0]].start)
        for kept, cut, added in _pairs(list(old), list(new)):
            for child in cut:
                gone = self._places[child]
                out += self._data[position : gone.start].rstrip()
                position = gone.end
            if kept is not None and added is not None:
                here = self._places[kept]
                out += self._data[position : here.start] + self.element(kept, added)
                position = here.end
            elif added is not None:
                rest = REST_OF_LINE.match(self._data, position)
                if rest is not None:  # a remark on what stands before
                    out += rest[0]
                    position = rest.end()
                out += b"\n" + b" " * indent + self._written(added, indent)
        return out + self._data[position : place.closing]

    def _indent(self, start: int) -> int:
        """How far something is indented, or would be if its line began with it."""
        before = self._data[self._data.rfind(b"\n", 0, start) + 1 : start].expandtabs()
        by = len(before) - len(before.lstrip())
        return by if by == len(before) else by + self._step

    def _written(self, element: Element, indent: int) -> bytes:
        """A new element; its first line is already indented."""
        text = escape((element.text or "").strip())
        if not len(element):
            if not text:
                return _start_tag(element, "/>").encode()
            return f"{_start_tag(element)} {text} </{element.tag}>".encode()
        if len(element) == 1 and not len(element[0]):  # short ones in a line, as in the scenarios
            line = b" ".join([_start_tag(element).encode(), self._written(element[0], indent)])
            if indent + len(line) < LINE:
                return line + f" </{element.tag}>".encode()
        margin = b"\n" + b" " * indent
        inner = indent + self._step
        body = b"".join(b"\n" + b" " * inner + self._written(child, inner) for child in element)
        return _start_tag(element).encode() + body + margin + f"</{element.tag}>".encode()


def _pairs(
    old: Sequence[Element], new: Sequence[Element]
) -> list[tuple[Element | None, list[Element], Element | None]]:
    """Steps from the one list to the other: what stays or changes, what goes before it, what comes.

    Returns:
        In order, ``(kept, cut, added)``: the elements ``cut`` go; then ``kept`` becomes ``added``,
        or without it ``added`` is new.
    """
    matcher = SequenceMatcher(None, [*map(_meaning, old)], [*map(_meaning, new)], autojunk=False)
    steps: list[tuple[Element | None, list[Element], Element | None]] = []
    for _, i, end_i, j, end_j in matcher.get_opcodes():
        left = list(old[i:end_i])
        for added in new[j:end_j]:
            tags = [element.tag for element in left]
            at = tags.index(added.tag) if added.tag in tags else None
            if at is None:
                steps.append((None, [], added))
            else:
                steps.append((left[at], left[:at], added))
                left = left[at + 1 :]
        steps.append((None, left, None))
    return steps


def _meaning(element: Element) -> str:
    """What an element says, however it is laid out."""
    inside = "".join(map(_meaning, element))
    words = " ".join((element.text or "").split())
    return f"<{element.tag} {sorted(element.attrib.items())}>{words}{inside}</>"


def _start_tag(element: Element, end: str = ">") -> str:
    given = "".join(
        f" {key}='{escape(value, {chr(39): '&apos;'})}'" for key, value in element.attrib.items()
    )
    return f"<{element.tag}{given}{end}"
