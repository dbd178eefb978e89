"""Putting off the BLS12-381 precompiles saves time and changes no answer."""

from __future__ import annotations

import subprocess
import sys

_SAME_ANSWER = """
import sys
from proml.adapters.embedded.quick_import import put_off_bls
put_off_bls()
from eth.precompiles import bls12_g1_add
assert "py_ecc.optimized_bls12_381" not in sys.modules

class Computation:
    class msg:
        data = data_as_bytes = bytes(256)
    def consume_gas(self, amount, reason):
        self.gas = amount

computation = Computation()
bls12_g1_add(computation)
assert "py_ecc.optimized_bls12_381" in sys.modules
assert computation.output == bytes(128), computation.output
"""


def test_the_machine_is_imported_without_pairing_tables() -> None:
    program = "import sys, proml.adapters.embedded.machine; sys.exit('py_ecc.optimized_bls12_381' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_precompile_that_is_called_is_the_real_one() -> None:
    subprocess.run([sys.executable, "-c", _SAME_ANSWER], check=True)


def test_an_evm_that_was_imported_before_is_left_alone() -> None:
    program = (
        "import eth.precompiles as before; from proml.adapters.embedded.quick_import import put_off_bls; put_off_bls();"
        "import eth.precompiles.bls12_381.bls12_381_g1 as real; assert before.bls12_g1_add is real.bls12_g1_add"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
