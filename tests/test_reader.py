"""The end of all connections is said as often as it is asked for."""

from __future__ import annotations

from halfkick.driver.reader import Reader


def test_the_end_is_said_again():
    reader = Reader([], wait_s=1.0)
    reader.start()
    try:
        assert reader.next() is None
        assert reader.next() is None
    finally:
        reader.stop()
