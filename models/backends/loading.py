"""Loading by another package, whose weights may have to be downloaded."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator

import torch

from ..errors import HalfkickError, ModelError
from .ase import quiet

__all__ = ["loading"]

logger = logging.getLogger(__name__)

NETWORK_ERRORS = {
    *("ConnectionError", "ConnectError", "ConnectTimeout", "HTTPError", "HfHubHTTPError"),
    *("LocalEntryNotFoundError", "MaxRetryError", "NameResolutionError", "OfflineModeIsEnabled"),
    *("ProxyError", "SSLError", "URLError", "gaierror"),
}
"""What the libraries that download call their errors."""


@contextlib.contextmanager
def loading(kind: str, target: str) -> Iterator[None]:
    """Load within: what is printed or warned of goes to the log, torch's defaults stay.

    Args:
        kind: of the model.
        target: its name or file.

    Raises:
        ModelError: for any error, in one line; where weights cannot be downloaded it says so.
    """
    dtype, precision = torch.get_default_dtype(), torch.get_float32_matmul_precision()
    with quiet(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield
        except HalfkickError:
            raise
        except Exception as error:
            raise _refusal(kind, target, error) from error
        finally:
            torch.set_default_dtype(dtype)
            torch.set_float32_matmul_precision(precision)
    for warning in caught:
        logger.info("%s:%s: %s", kind, target, warning.message)


def _refusal(kind: str, target: str, error: Exception) -> ModelError:
    name = f"{kind}:{target}".rstrip(":")
    said = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}".rstrip(": ")
    if any(one in NETWORK_ERRORS for one in _names(error)):
        return ModelError(
            f"expected a network to download the weights of '{name}' from, got {said}; download "
            f"them where there is one, and name the file: {kind}:FILE"
        )
    return ModelError(f"expected '{name}' to load, got {said}; check its name and its options")


def _names(error: BaseException | None) -> Iterator[str]:
    """Of the classes of an error and of what led to it."""
    while error is not None:
        yield from (one.__name__ for one in type(error).__mro__)
        error = error.__cause__ or error.__context__
