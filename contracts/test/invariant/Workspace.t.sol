// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IWorkspace} from "../../src/IWorkspace.sol";
import {Handler} from "./Handler.sol";
import {Observed} from "./Observed.sol";

/// @dev What holds after any sequence of operations, legal and illegal, by anybody.
///
///      All laws are checked after each operation of one campaign: a campaign for each would see the same operations.
contract WorkspaceInvariants is Observed {
    function invariant_every_law_holds() external {
        law_nobody_makes_an_operation_of_somebody_else_dearer(); // first: the others warm the storage
        law_a_head_changes_only_by_a_permitted_transition_to_the_recomputed_value();
        law_sequence_numbers_grow_by_one();
        law_a_terminal_state_is_final();
        law_no_member_acts_outside_its_roles();
        law_a_session_key_never_has_more_than_its_member_has_now();
        law_a_quorum_counts_distinct_organisations_once();
        law_an_endorsement_for_one_head_never_counts_for_another();
        law_governance_executes_exactly_what_M_organisations_approved();
        law_a_nonce_is_used_once();
        law_an_anchor_chain_continues_by_its_member_alone();
    }

    /// @dev Every artefact has the head, state and owner that the accepted operations lead to, by the rules alone: no
    ///      other rule, state, content or input was accepted, and a refused operation changed nothing.
    function law_a_head_changes_only_by_a_permitted_transition_to_the_recomputed_value() public view {
        lawful(LAW_HEADS);
        for (uint256 i; i < handler.artefactCount(); ++i) {
            (bytes32 artefact, address owner, uint16 lifecycle, uint8 state,, bytes32 head, bytes32 held) = handler.kept(i);
            (address o, uint16 l, uint8 s,,,, bytes32 h, bytes32 found) = ws.artefactOf(artefact);
            assertEq(h, head, "head");
            assertEq(found, held, "held inputs");
            assertEq(o, owner, "owner");
            assertEq((uint256(l) << 8) | s, (uint256(lifecycle) << 8) | state, "lifecycle and state");
        }
    }

    /// @dev An artefact's sequence number is the number of its transitions.
    function law_sequence_numbers_grow_by_one() public view {
        for (uint256 i; i < handler.artefactCount(); ++i) {
            (bytes32 artefact,,,, uint32 seq,,) = handler.kept(i);
            (,,,, uint32 found,,,) = ws.artefactOf(artefact);
            assertEq(found, seq, "seq");
        }
    }

    /// @dev Who reached a terminal state has the head of that moment for ever.
    function law_a_terminal_state_is_final() public view {
        lawful(LAW_TERMINAL);
        for (uint256 i; i < handler.artefactCount(); ++i) {
            (bytes32 artefact, bytes32 last) = handler.finalHead(i);
            if (last != 0) assertEq(ws.headOf(artefact), last, "final head");
        }
    }

    /// @dev Every accepted operation was of a member with the role at that time; and each member, former member and
    ///      stranger can register now if and only if it has the role now.
    function law_no_member_acts_outside_its_roles() public {
        lawful(LAW_ROLES);
        for (uint256 i; i < PEOPLE; ++i) {
            if (i < FIRST_KEY || i >= FIRST_KEY + KEYS) couldRegister(accounts[i]);
        }
    }

    /// @dev The same for session keys, by the roles that both the key and its member have now, in its time and scope.
    function law_a_session_key_never_has_more_than_its_member_has_now() public {
        lawful(LAW_SESSIONS);
        for (uint256 i = FIRST_KEY; i < FIRST_KEY + KEYS; ++i) {
            couldRegister(accounts[i]);
            (address member, uint16 roles, bytes32 artefact, uint40 expires) = handler.grantOf(accounts[i]);
            (address m, uint16 r, bytes32 a, uint40 e) = ws.sessionOf(accounts[i]);
            assertEq(m, member, "member");
            assertEq(a, artefact, "scope");
            assertEq((uint256(r) << 40) | e, (uint256(roles) << 40) | expires, "roles and expiry");
        }
    }

    /// @dev Every ballot counts the distinct organisations that approved, and commits to every vote in order.
    function law_a_quorum_counts_distinct_organisations_once() public view {
        lawful(LAW_QUORUM);
        for (uint256 i; i < handler.ballotCount(); ++i) {
            (bytes32 ballot, uint8 endorsed, bytes32 chain) = handler.tally(i);
            (uint8 found, bytes32 commitment) = ws.ballotOf(ballot);
            assertEq(found, endorsed, "endorsing organisations");
            assertEq(commitment, chain, "vote chain");
        }
    }

    /// @dev No transition passed by votes for another head, counted by going through all votes ever cast on the artefact.
    function law_an_endorsement_for_one_head_never_counts_for_another() public view {
        lawful(LAW_VOTED_HEAD);
    }

    /// @dev Members, roles, M, epoch and lifecycles are what the payloads make them that M organisations approved.
    function law_governance_executes_exactly_what_M_organisations_approved() public view {
        lawful(LAW_GOVERNANCE);
        (uint8 quorum, uint16 admins, uint64 epoch) = ws.governance();
        (uint256 expected, uint256 expectedEpoch, uint256 lifecycles_) = handler.governed();
        assertEq(quorum, expected, "M");
        assertEq(epoch, expectedEpoch, "epoch");
        assertEq(ws.lifecycleCount(), lifecycles_, "lifecycles");
        assertTrue(quorum != 0 && quorum <= admins, "governance can still decide");
        for (uint256 i; i < PEOPLE; ++i) {
            (uint16 organisation, uint16 roles) = ws.memberOf(accounts[i]);
            (uint16 o, uint16 r,) = handler.personOf(accounts[i]);
            assertEq((uint256(organisation) << 16) | roles, (uint256(o) << 16) | r, "member");
        }
    }

    /// @dev An account's nonce is the number of its messages that were accepted; none was accepted twice.
    function law_a_nonce_is_used_once() public view {
        lawful(LAW_NONCES);
        for (uint256 i; i < PEOPLE; ++i) {
            assertEq(ws.nonceOf(accounts[i]), handler.usedBy(accounts[i]), "nonce");
        }
    }

    /// @dev A member's anchor chain is that of its own anchors, whatever governance did to its roles meanwhile.
    function law_an_anchor_chain_continues_by_its_member_alone() public view {
        lawful(LAW_ANCHORS);
        for (uint256 i; i < PEOPLE; ++i) {
            (,, bytes32 head) = handler.personOf(accounts[i]);
            assertEq(ws.anchorHeadOf(accounts[i]), head, "anchor head");
        }
    }

    /// @dev The bystander's operations cost exactly what they cost in a workspace that nobody else uses; its vote on a
    ///      ballot that others filled costs at most that.
    function law_nobody_makes_an_operation_of_somebody_else_dearer() public {
        IWorkspace.Input[] memory none;
        IWorkspace.Transition memory t =
            IWorkspace.Transition(QUIET_ARTEFACT, ws.headOf(QUIET_ARTEFACT), 0, bytes32(uint256(1)), 0, none, none);
        sameGas(abi.encodeCall(ws.transition, (t)), true);
        sameGas(abi.encodeCall(ws.anchor, (IWorkspace.Anchor(0, bytes32(uint256(1)), 1))), true);
        sameGas(abi.encodeCall(ws.register, (IWorkspace.Registration(keccak256("mine"), QUIET, 0))), true);
        sameGas(
            abi.encodeCall(ws.endorse, (IWorkspace.Endorsement(QUIET_ARTEFACT, t.expectedHead, 1, 0, 0, 0, true))), false
        );
    }
}
