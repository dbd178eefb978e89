"""Makes py-evm import in half the time, by putting off what London does not have.

py-evm imports the BLS12-381 precompiles of Prague (EIP-2537) for every fork, and ``py_ecc`` computes pairing tables as
it is imported: 0.3 of 0.7 seconds, which each command that writes would pay. Here the package that holds them is
replaced by one whose functions import the real one when they are called, so a program that does run Prague gets the
same answers.
Imported by :mod:`.machine` before anything of py-evm.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_PACKAGE = "eth.precompiles.bls12_381"
_PRECOMPILES = {
    "bls12_g1_add": "bls12_381_g1",
    "bls12_g1_msm": "bls12_381_g1",
    "bls12_map_fp_to_g1": "bls12_381_g1",
    "bls12_g2_add": "bls12_381_g2",
    "bls12_g2_msm": "bls12_381_g2",
    "bls12_map_fp2_to_g2": "bls12_381_g2",
    "bls12_pairing_check": "bls12_381_pairing",
}


def put_off_bls() -> None:
    """Replaces the package of the BLS12-381 precompiles, unless py-evm has been imported already."""
    if _PACKAGE in sys.modules or "eth.precompiles" in sys.modules:
        return
    specification = importlib.util.find_spec("eth")
    if specification is None or not specification.submodule_search_locations:
        return  # importing py-evm is about to fail by itself
    package = ModuleType(_PACKAGE, __doc__)
    # With its real path, so that the modules below it are found where they are.
    package.__path__ = [f"{folder}/precompiles/bls12_381" for folder in specification.submodule_search_locations]
    for name, module in _PRECOMPILES.items():
        setattr(package, name, _deferred(module, name))
    sys.modules[_PACKAGE] = package


def _deferred(module: str, name: str) -> Callable[..., Any]:
    def precompile(computation: Any) -> Any:
        return getattr(importlib.import_module(f"{_PACKAGE}.{module}"), name)(computation)

    precompile.__name__ = name
    return precompile
