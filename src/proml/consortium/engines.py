"""What differs between Ethereum clients: genesis, files, how they are started, and how validators are voted on.

An engine is an existing client with its consensus. It only says what to write and what to ask; :mod:`.folder` writes,
:mod:`.client` starts and asks.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any, Protocol

from proml.core.url import host_in_url
from proml.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

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

    @property
    def folder(self) -> Path:
        """The participant's folder."""
        ...

    def __call__(self, method: str, *parameters: Any, at: str = "") -> Any:
        """Returns the result; ``at`` is a path of the client's HTTP interface where it is not the ledger's."""
        ...


class Engine(Protocol):
    """An existing Ethereum client with its consensus.

    Attributes:
        name: As plans name it.
        variable: Environment variable that names the program.
        program: What it is called on the PATH.
        versions: Versions that are known to work, for people.
        image: A container image that has the program.
        in_image: What the image's environment has to say of where the program is.
        next_step: What is to be done once clients run, for people; empty if nothing.
        no_votes: Why validators are not voted on; empty if they are.
        instead: What to do instead.
        when_standing: What may be wrong, for people, when no block comes; empty if none has to without transactions.
        no_branches: Why clients never hold branches of which one has to be left; empty if they can.
    """

    name: str
    variable: str
    program: str
    versions: str
    image: str
    in_image: Mapping[str, str]
    next_step: str
    no_votes: str
    instead: str
    when_standing: str
    no_branches: str

    def finality(self, plan: Plan) -> Finality:
        """Returns when the network's blocks are final."""
        ...

    def validator(self, seat: Seat) -> str:
        """Returns the address with which a participant seals blocks."""
        ...

    def files(self, plan: Plan, seat: Seat) -> Mapping[str, str]:
        """Returns the client's files by name, ``genesis.json`` and ``start.sh`` among them; the same for everybody."""
        ...

    def rpc_path(self, files: Mapping[str, str]) -> str:
        """Returns at which path of its address a client with these files offers JSON-RPC; empty for none."""
        ...

    def accepts(self, version: str) -> bool:
        """Whether a program that says this about its version can be used."""
        ...

    def admin_socket(self) -> str:
        """Returns the IPC socket for administration, relative to the folder; empty for JSON-RPC over HTTP."""
        ...

    def period_s(self, genesis: Mapping[str, Any]) -> int:
        """Returns how long after a block the next is due, in seconds; 0 if none is due without transactions."""
        ...

    def ready(self, ask: Ask) -> None:
        """Asks something that a client answers once it runs."""
        ...

    def found(self, ask: Ask) -> Sequence[str]:
        """Founds the chain, where running clients are not enough; returns what was done."""
        ...

    def peers(self, ask: Ask) -> int:
        """Returns to how many other clients this one is connected."""
        ...

    def validators(self, ask: Ask) -> Sequence[str]:
        """Returns who may seal blocks now, as :meth:`validator` names them."""
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

    def step_back(self, ask: Ask, number: int) -> None:
        """Makes this block the client's newest; it forgets what came on top. Refuses: see ``no_branches``."""
        ...


NOTE_PROCESS = '[ "${1:-}" = started ] || echo "$$ supervised" >client.pid'
"""Line of a start script that says which process the client is, if another program than ours runs the script."""


class Usual:
    """What engines have in common whose chain is there as soon as the clients run, and whose validators vote."""

    no_branches = ""
    next_step = ""
    no_votes = ""
    instead = ""

    def rpc_path(self, files: Mapping[str, str]) -> str:  # noqa: ARG002 - the port's signature
        """Returns nothing: the whole address is JSON-RPC's."""
        return ""

    def ready(self, ask: Ask) -> None:
        """Asks for the newest block."""
        ask("eth_blockNumber")

    def found(self, ask: Ask) -> Sequence[str]:  # noqa: ARG002 - as above
        """Refuses: there is nothing to do."""
        raise UsageError(
            "this network's chain begins by itself, with its genesis block; only a plan with the engine subnet-evm "
            "has a chain to found.",
            hint="Start the clients: `proml consortium start`.",
        )

    def peers(self, ask: Ask) -> int:
        """Asks ``net_peerCount``."""
        return int(ask("net_peerCount"), 16)


def engine_of(name: str) -> Engine:
    """Returns the engine of this name; raises ConfigError if there is none."""
    from proml.consortium.besu_qbft import BesuQbft  # noqa: PLC0415 - they import this module
    from proml.consortium.geth_clique import GethClique  # noqa: PLC0415 - as above
    from proml.consortium.subnet_evm import SubnetEvm  # noqa: PLC0415 - as above

    engines: tuple[Engine, ...] = (GethClique(), SubnetEvm(), BesuQbft())
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


def need_addresses(plan: Plan, program: str) -> None:
    """Refuses host names, for programs that take IP addresses only; raises ConfigError."""
    for seat in plan.seats:
        try:
            ipaddress.ip_address(seat.host)
        except ValueError as error:
            raise ConfigError(
                f"expected an IP address as the host of {seat.name}, found {seat.host}: {program} takes no host names.",
                hint="Write its address into the plan.",
            ) from error


def enode(seat: Seat) -> str:
    """Returns a client's address for its peers (EIP-778's older form, which every client reads)."""
    host = host_in_url(seat.host)
    return f"enode://{seat.keys.node_key.hex()}@{host}:{seat.p2p_port}?discport=0"


def peers_of(plan: Plan, seat: Seat) -> list[str]:
    """Returns the addresses of all other participants' clients."""
    return [enode(other) for other in plan.seats if other is not seat]
