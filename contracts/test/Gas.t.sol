// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IWorkspace} from "../src/IWorkspace.sol";
import {Typed} from "./Typed.sol";
import {WorkspaceTest} from "./WorkspaceTest.sol";

/// @dev Gas of whole transactions, 21,000 and call data included. `forge test --match-contract Gas -vvvv` prints them.
contract GasTest is WorkspaceTest {
    function test_register_costs_at_most_78000() public {
        register(anne, "a", LOG);
        measured("register", 78_000);
    }

    function test_a_transition_without_inputs_costs_at_most_46000() public {
        bytes32 artefact = appended("a");
        act(anne, change(artefact, APPEND));
        measured("transition", 46_000);
    }

    function test_a_transition_by_a_scoped_session_key() public {
        bytes32 artefact = appended("a");
        grant(anne, CONTRIBUTOR, artefact, uint40(START + 1 days));
        act(key, change(artefact, APPEND));
        measured("transition by a session key", 52_000);
    }

    function test_a_transition_with_an_input_costs_at_most_52000() public {
        bytes32 artefact = appended("a");
        bytes32 other = appended("b");
        IWorkspace.Transition memory with_ = change(artefact, APPEND);
        with_.inputs = using_(other);
        act(anne, with_);
        measured("transition with one input", 52_000);
    }

    function test_a_transition_with_a_usable_input() public {
        bytes32 artefact = built("a");
        bytes32 other = appended("b");
        IWorkspace.Transition memory with_ = change(artefact, REBUILD);
        with_.inputs = using_(other);
        act(anne, with_);
        with_.expectedHead = ws.headOf(artefact);
        act(anne, with_);
        measured("transition with one input, usable, kept", 60_000);
    }

    function test_a_relayed_transition_costs_at_most_58000() public {
        bytes32 artefact = appended("a");
        for (uint256 nonce; nonce < 2; ++nonce) {
            IWorkspace.Transition memory change_ = change(artefact, APPEND);
            uint256 deadline = START + 1 hours;
            bytes memory signature = signed(ANNE_KEY, Typed.transit(change_, nonce, deadline));
            vm.prank(eve);
            ws.transitionFor(change_, IWorkspace.Relay(anne, nonce, deadline, signature));
        }
        measured("relayed transition", 58_000);
    }

    function test_fifty_distinct_artefacts() public {
        IWorkspace.Transition[] memory changes = new IWorkspace.Transition[](50);
        for (uint256 i; i < 50; ++i) {
            changes[i] = change(appended(vm.toString(i)), APPEND);
        }
        vm.prank(anne);
        ws.transitions(changes);
        measuredEach("50 artefacts in one transaction, each", 50, 18_000);
    }

    function test_fifty_transitions_of_one_artefact() public {
        IWorkspace.Transition[] memory changes = new IWorkspace.Transition[](50);
        bytes32 artefact = appended("a");
        for (uint256 i; i < 50; ++i) {
            changes[i] = change(artefact, APPEND);
            if (i > 0) changes[i].expectedHead = next(changes[i - 1], uint32(i + 1));
        }
        vm.prank(anne);
        ws.transitions(changes);
        measuredEach("50 transitions of one artefact, each", 50, 8_500);
    }

    function test_endorsements() public {
        IWorkspace.Transition memory release = step(validated("a"), RELEASE);
        endorse(cleo, release);
        measured("first endorsement (four eyes)", 64_000);
        endorse(bert, release);
        measured("second endorsement (four eyes)", 47_000);
        IWorkspace.Transition memory merge = change(built("b"), MERGE);
        endorse(cleo, merge);
        measured("first endorsement", 60_500);
        endorse(bert, merge);
        measured("second endorsement", 43_500);
    }

    function test_an_anchor_costs_at_most_31000() public {
        vm.prank(anne);
        ws.anchor(IWorkspace.Anchor(0, digest("root"), 1000));
        measured("first anchor", 31_000);
        bytes32 head = ws.anchorHeadOf(anne);
        vm.prank(anne);
        ws.anchor(IWorkspace.Anchor(head, digest("root 2"), 1000));
        measured("anchor", 31_000);
    }

    function appended(string memory name) private returns (bytes32 artefact) {
        artefact = register(anne, name, LOG);
        act(anne, change(artefact, APPEND));
    }

    function next(IWorkspace.Transition memory before, uint32 seq) private view returns (bytes32) {
        bytes32 zero;
        return keccak256(
            abi.encode(
                before.expectedHead, before.rule, 0, 0, seq, anne, before.content, before.record, zero, zero
            )
        );
    }

    function measured(string memory what, uint256 limit) private {
        measuredEach(what, 1, limit);
    }

    function measuredEach(string memory what, uint256 number, uint256 limit) private {
        uint256 gas = vm.lastCallGas().gasTotalUsed / number;
        emit Measured(what, gas);
        assertAtMost(gas, limit, what);
    }
}
