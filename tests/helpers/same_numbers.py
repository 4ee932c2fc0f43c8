"""Compares what two runs of i-PI left, number by number, each as exactly as it was printed.

Two numbers are the same if they differ by no more than ``RTOL`` of the largest in their column (in
a checkpoint: in their array), or by one in the last digit printed. What should be zero is not the
same zero twice, so a column counts as no smaller than ``NOTHING`` times the largest of the file.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

RTOL = 1e-9
"""Two drivers round differently, and a few steps make no more of it."""

NOTHING = 1e-6
"""Of the largest number in a file; a column of smaller ones holds rounding alone."""

SEPARATORS = re.compile(r"[\s,;=\[\]\"'(){}<>]+")
NUMBER = re.compile(r"[+-]?(?:\d+\.?(?P<digits>\d*)|\.\d+)(?:[eE](?P<exponent>[+-]?\d+))?")


@dataclass(frozen=True)
class Line:
    """A line of a file, or an element of a checkpoint.

    Attributes:
        tokens: its words and numbers.
        array: whether its numbers are of one size; else those of a column are.
    """

    tokens: list[str]
    array: bool = False

    def key(self, column: int) -> tuple[object, ...]:
        """Names what numbers are compared in size."""
        return (self.tokens[0],) if self.array else (len(self.tokens), column)


@dataclass
class Comparison:
    """What came of it.

    Attributes:
        files: compared.
        numbers: compared.
        largest: difference, relative to the largest number in its column.
        differences: in words, the first of each file.
    """

    files: int = 0
    numbers: int = 0
    largest: float = 0.0
    differences: list[str] = field(default_factory=list)


def compare_runs(ours: Mapping[str, Path], theirs: Mapping[str, Path]) -> Comparison:
    """Compare the outputs of halfkick's run with those of i-PI alone, by name."""
    found = Comparison()
    for name in sorted(ours.keys() ^ theirs.keys()):
        where = "i-PI alone" if name in theirs else "halfkick"
        found.differences.append(f"{name}: only with {where}")
    for name in sorted(ours.keys() & theirs.keys()):
        found.files += 1
        difference = _compare(_lines(ours[name]), _lines(theirs[name]), found)
        if difference is not None:
            found.differences.append(f"{name}: {difference}")
    return found


def _compare(lines: list[Line], expected: list[Line], found: Comparison) -> str | None:
    """The first difference, if there is one."""
    if len(lines) != len(expected):
        return f"{len(lines)} lines for {len(expected)}"
    scales = _scales(expected)
    for number, (line, other) in enumerate(zip(lines, expected, strict=True), start=1):
        if len(line.tokens) != len(other.tokens):
            a, b = (" ".join(each.tokens)[:80] for each in (line, other))
            return f"line {number}: {a!r} for {b!r}"
        for column, (a, b) in enumerate(zip(line.tokens, other.tokens, strict=True)):
            if not _is_same(a, b, scales[other.key(column)], found):
                return f"line {number}, column {column + 1}: {a} for {b}"
    return None


def _is_same(a: str, b: str, scale: float, found: Comparison) -> bool:
    match = NUMBER.fullmatch(b)
    if match is None or NUMBER.fullmatch(a) is None:
        return a == b
    found.numbers += 1
    difference = abs(float(a) - float(b))
    # to a number printed as whole, one more in the last digit is no rounding
    whole = "." not in b and match["exponent"] is None
    digit = 0.0 if whole else 10.0 ** (int(match["exponent"] or 0) - len(match["digits"] or ""))
    if difference > 1.01 * digit and scale > 0.0:
        found.largest = max(found.largest, difference / scale)
    return difference <= max(1.01 * digit, RTOL * scale)


def _scales(lines: list[Line]) -> dict[tuple[object, ...], float]:
    """The largest number of each column or array."""
    scales: dict[tuple[object, ...], float] = defaultdict(float)
    for line in lines:
        for column, text in enumerate(line.tokens):
            size = abs(float(text)) if NUMBER.fullmatch(text) else 0.0
            scales[line.key(column)] = max(scales[line.key(column)], size)
    nothing = NOTHING * max(scales.values(), default=0.0)
    return {key: max(scale, nothing) for key, scale in scales.items()}


def _lines(path: Path) -> list[Line]:
    text = path.read_text(errors="replace").replace(str(path.parent), "")
    if not text.lstrip().startswith(("<!--", "<simulation")):
        return [Line(SEPARATORS.split(line.strip())) for line in text.splitlines()]
    root = ElementTree.fromstring(text)
    root.attrib.pop("sockets_prefix", None)
    return list(_content(root))


def _content(element: Element) -> Iterator[Line]:
    """Names, attributes and values of elements.

    Without force fields, which differ on purpose, and seeds: of a restart i-PI writes the time, and
    goes on from the state of its generator all the same.
    """
    attributes = [f"{key}={value}" for key, value in sorted(element.attrib.items())]
    yield Line([element.tag, *attributes])
    if element.text and element.text.strip():
        yield Line([element.tag, *SEPARATORS.split(element.text.strip())], array=True)
    for child in element:
        if not child.tag.startswith("ff") and child.tag != "seed":
            yield from _content(child)
