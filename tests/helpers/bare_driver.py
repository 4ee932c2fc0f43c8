"""i-PI's own Python driver for every socket of an input, one thread for each.

``python bare_driver.py input.xml`` waits for i-PI, and ends with it. What answers is the twin of
the server, :class:`toy_pes.ToyPES`; what it is given stands in the sockets' ``<parameters>``.
"""

from __future__ import annotations

import runpy
import sys
import threading
import time
from pathlib import Path
from xml.etree import ElementTree

from ipi.utils.io.inputs.io_xml import read_dict
from toy_pes import ToyPES
from twins import sockets_of

DRIVER = Path(sys.executable).with_name("i-pi-driver-py")
PATIENCE_S = 60.0


def serve(run_driver, arguments: dict) -> None:
    """Answer at one address, as soon as i-PI listens there."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            return run_driver(**arguments)
        except (FileNotFoundError, ConnectionRefusedError):
            time.sleep(0.05)
        except (ConnectionResetError, BrokenPipeError):
            return None  # i-PI has ended
    raise TimeoutError(f"i-PI does not listen at {arguments['address']}")


def main(xml: Path) -> None:
    run_driver = runpy.run_path(str(DRIVER))["run_driver"]
    root = ElementTree.parse(xml).getroot()
    prefix = root.get("sockets_prefix", "/tmp/ipi_")
    threads = []
    for element, field in sockets_of(root):
        arguments = {
            "unix": element.get("mode", "inet") == "unix",
            "address": element.findtext("address", "localhost").strip(),
            "port": int(element.findtext("port", "65535")),
            "driver": ToyPES(**read_dict(element.findtext("parameters", ""))),
            "sockets_prefix": prefix if field is element else "/tmp/ipi_",
        }
        threads.append(threading.Thread(target=serve, args=(run_driver, arguments)))
    for thread in threads:
        thread.start()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
