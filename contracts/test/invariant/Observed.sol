// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IWorkspace} from "../../src/IWorkspace.sol";
import {Handler} from "./Handler.sol";
import {Ghost} from "./Ghost.sol";
import {World} from "./World.sol";

/// @dev Sets the stage for the invariants, tells forge what to call, and compares with the ghost.
abstract contract Observed is World {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    string private constant TALLY = "cache/invariant/tally.csv";

    Ghost.Law internal constant LAW_HEADS = Ghost.Law.HEADS;
    Ghost.Law internal constant LAW_TERMINAL = Ghost.Law.TERMINAL;
    Ghost.Law internal constant LAW_ROLES = Ghost.Law.ROLES;
    Ghost.Law internal constant LAW_SESSIONS = Ghost.Law.SESSIONS;
    Ghost.Law internal constant LAW_QUORUM = Ghost.Law.QUORUM;
    Ghost.Law internal constant LAW_VOTED_HEAD = Ghost.Law.VOTED_HEAD;
    Ghost.Law internal constant LAW_GOVERNANCE = Ghost.Law.GOVERNANCE;
    Ghost.Law internal constant LAW_NONCES = Ghost.Law.NONCES;
    Ghost.Law internal constant LAW_ANCHORS = Ghost.Law.ANCHORS;

    error Broken(Ghost.Law law, string what);

    Handler internal handler;
    IWorkspace internal ws;
    address[PEOPLE] internal accounts;
    address private _bystander;
    IWorkspace private _alone; // a workspace that only the bystander uses

    function setUp() external {
        handler = new Handler();
        ws = handler.ws();
        _alone = deploy();
        _bystander = vm.addr(BYSTANDER_KEY);
        for (uint256 i; i < PEOPLE; ++i) {
            accounts[i] = vm.addr(privateKey(i));
        }
    }

    function targetContracts() external view returns (address[] memory all) {
        all = new address[](1);
        all[0] = address(handler);
    }

    /// @dev Each operation as often as the others; members' roles change by `govern` and by `reform`.
    function targetSelectors() external view returns (FuzzSelector[] memory all) {
        bytes4[] memory calls = new bytes4[](11);
        (calls[0], calls[1], calls[2]) = (Handler.register.selector, Handler.transition.selector, Handler.transitions.selector);
        (calls[3], calls[4], calls[5]) = (Handler.endorse.selector, Handler.anchor.selector, Handler.grantSession.selector);
        (calls[6], calls[7], calls[8]) = (Handler.revokeSession.selector, Handler.wait.selector, handler.govern.selector);
        (calls[9], calls[10]) = (handler.replay.selector, handler.reform.selector);
        all = new FuzzSelector[](1);
        all[0] = FuzzSelector(address(handler), calls);
    }

    /// @dev Writes down how often each operation was tried and accepted; fuzz.mjs adds them up.
    function afterInvariant() external {
        vm.writeLine(TALLY, handler.counts());
    }

    function lawful(Ghost.Law law) internal view {
        if (handler.breaches(law) != 0) revert Broken(law, handler.breach());
    }

    /// @dev Demands that an account can register an artefact now exactly if the ghost says that it may.
    function couldRegister(address who) internal {
        bytes32 artefact = keccak256("asked for");
        bytes memory call = abi.encodeCall(ws.register, (IWorkspace.Registration(artefact, LOG, 0)));
        (bool accepted,) = handler.would(ws, who, call);
        assertTrue(accepted == handler.may(who, CONTRIBUTOR, artefact), "registers exactly if it may");
    }

    /// @dev Demands that a call of the bystander's costs what it costs in the workspace that it has for itself.
    function sameGas(bytes memory call, bool exactly) internal {
        (bool here, uint256 gas) = handler.would(ws, _bystander, call);
        bytes memory there = _onHeadOf(call);
        (bool alone, uint256 expected) = handler.would(_alone, _bystander, there);
        assertTrue(here && alone, "the bystander's operation is accepted");
        if (exactly) assertEq(gas, expected, "gas");
        else assertAtMost(gas, expected, "gas");
    }

    /// @dev The same call with the head of the artefact in the other workspace, which differs by its address.
    function _onHeadOf(bytes memory call) private view returns (bytes memory there) {
        there = bytes.concat(call);
        bytes32 here = ws.headOf(QUIET_ARTEFACT);
        bytes32 head = _alone.headOf(QUIET_ARTEFACT);
        for (uint256 at = 36; at + 32 <= there.length + 32; at += 32) {
            assembly ("memory-safe") {
                if eq(mload(add(there, at)), here) { mstore(add(there, at), head) }
            }
        }
    }
}
