"""What differs between Ethereum clients: genesis, files, how they are started, and how validators are voted on.

An engine is an existing client with its consensus. It only says what to write and what to ask; :mod:`.folder` writes,
:mod:`.client` starts and asks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from proml.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from proml.consortium.plan import Plan, Seat
    from proml.core.finality import Finality

DEPLOYER = "0x4e59b44847b379578588920cA78FbF26c0B4956C"
"""Where the deterministic deployment proxy is on every chain; in our genesis, so that factories get their address."""
DEPLOYER_CODE = (
    "0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f5"
    "8015156039578182fd5b8082525050506014600cf3"
)
ALLOWANCE_WEI = 10**27
"""What each account of a founder gets in the genesis block: coins without value, which limit nobody but outsiders."""


class Ask(Protocol):
    """Asks the client of one folder: a JSON-RPC method and its parameters."""

    def __call__(self, method: str, *parameters: Any) -> Any:
        """Returns the result."""
        ...


class Engine(Protocol):
    """An existing Ethereum client with its consensus.

    Attributes:
        name: As plans name it.
        variable: Environment variable that names the program.
        program: What it is called on the PATH.
        versions: Versions that are known to work, for people.
    """

    name: str
    variable: str
    program: str
    versions: str

    def finality(self, plan: Plan) -> Finality:
        """Returns when the network's blocks are final."""
        ...

    def validator(self, seat: Seat) -> str:
        """Returns the address with which a participant seals blocks."""
        ...

    def files(self, plan: Plan, seat: Seat) -> Mapping[str, str]:
        """Returns the client's files by name, ``genesis.json`` and ``start.sh`` among them; the same for everybody."""
        ...

    def accepts(self, version: str) -> bool:
        """Whether a program that says this about its version can be used."""
        ...

    def admin_socket(self) -> str:
        """Returns the IPC socket for administration, relative to the folder; empty for JSON-RPC over HTTP."""
        ...

    def validators(self, ask: Ask) -> Sequence[str]:
        """Returns the addresses that may seal blocks now."""
        ...

    def vote(self, ask: Ask, address: str, *, admit: bool) -> None:
        """Votes that an address may seal blocks, or may not any more; counts once enough others vote alike."""
        ...

    def votes(self, ask: Ask) -> Mapping[str, bool]:
        """Returns this client's own votes that are not carried out yet: address to whether it is to be admitted."""
        ...

    def votes_needed(self, validators: int) -> int:
        """Returns how many validators must vote alike."""
        ...


def engine_of(name: str) -> Engine:
    """Returns the engine of this name; raises ConfigError if there is none."""
    from proml.consortium.besu_qbft import BesuQbft  # noqa: PLC0415 - they import this module
    from proml.consortium.geth_clique import GethClique  # noqa: PLC0415 - as above

    engines: tuple[Engine, ...] = (GethClique(), BesuQbft())
    found = next((engine for engine in engines if engine.name == name), None)
    if found is None:
        names = ", ".join(engine.name for engine in engines)
        raise ConfigError(f"there is no engine {name!r}; expected one of {names}.", hint="Correct the plan.")
    return found


def allocations(plan: Plan) -> dict[str, dict[str, str]]:
    """Returns what accounts have in the genesis block: the founders' coins, and the deployment proxy."""
    accounts = sorted({account for seat in plan.founders for account in seat.keys.accounts})
    coins = {account: {"balance": hex(ALLOWANCE_WEI)} for account in accounts}
    return {**coins, DEPLOYER: {"balance": "0x0", "code": DEPLOYER_CODE}}


def enode(seat: Seat) -> str:
    """Returns a client's address for its peers (EIP-778's older form, which every client reads)."""
    host = f"[{seat.host}]" if ":" in seat.host else seat.host
    return f"enode://{seat.keys.node_key.hex()}@{host}:{seat.p2p_port}?discport=0"


def peers_of(plan: Plan, seat: Seat) -> list[str]:
    """Returns the addresses of all other participants' clients."""
    return [enode(other) for other in plan.seats if other is not seat]
