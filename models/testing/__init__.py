"""A test of the contract of :class:`~halfkick.models.base.ForceModel`, for models of any package.

::

    from halfkick.models.testing import check_force_model

    def test_my_model():
        check_force_model(MyModel(), structures)

What is wrong is said by a :class:`ContractError` with numbers. Everything is compared with what the
model says itself, so that no reference is needed. Two things cannot be seen in this way: energy and
forces that are both in the same wrong unit of energy, and direct forces that are smooth and wrong.
"""

from .case import ContractError
from .check import check_force_model

__all__ = ["ContractError", "check_force_model"]
