// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IWorkspace} from "../src/IWorkspace.sol";
import {Workspace} from "../src/Workspace.sol";
import {WorkspaceTest} from "./WorkspaceTest.sol";

/// @dev Endorsements, quorums of distinct organisations, and inputs held until release.
contract VotesTest is WorkspaceTest {
    bytes32 private artefact;

    function setUp() public override {
        super.setUp();
        artefact = validated("m");
    }

    function test_a_quorum_of_distinct_organisations_lets_it_pass() public {
        IWorkspace.Transition memory release = step(artefact, RELEASE);
        endorse(cleo, release);
        refused(quorumMissing(1, 2));
        act(bert, release);
        endorse(dora, release);
        (uint8 endorsed, bytes32 votes) = ws.ballotOf(ballotOf(vote(release)));
        assertEq(endorsed, 2, "endorsed");
        act(bert, release);
        assertEq(
            ws.headOf(artefact),
            keccak256(
                abi.encode(
                    release.expectedHead, RELEASE, uint8(2), uint8(3), uint32(3), bert, bytes32(0), release.record, bytes32(0), votes
                )
            ),
            "the head commits to the votes"
        );
    }

    function test_votes_form_a_chain() public {
        IWorkspace.Endorsement memory one = vote(step(artefact, RELEASE));
        bytes32 ballot = ballotOf(one);
        cast_(cleo, one);
        bytes32 first = chain(0, ballot, cleo, 3, true, one.record);
        (, bytes32 found) = ws.ballotOf(ballot);
        assertEq(found, first, "first");
        (one.approve, one.record) = (false, digest("no"));
        cast_(dora, one);
        uint8 endorsed;
        (endorsed, found) = ws.ballotOf(ballot);
        assertEq(found, chain(first, ballot, dora, 300, false, one.record), "second");
        assertEq(endorsed, 1, "a rejection never counts");
    }

    function test_an_organisation_votes_once_whatever_its_number_and_its_vote() public {
        govern(1, abi.encode(IWorkspace.Member(eve, 3, VERIFIER)));
        govern(1, abi.encode(IWorkspace.Member(key, 300, VERIFIER)));
        IWorkspace.Endorsement memory vote_ = vote(step(artefact, RELEASE));
        bytes32 ballot = ballotOf(vote_);
        cast_(cleo, vote_);
        cast_(dora, vote_);
        vote_.approve = false;
        refused(abi.encodeWithSelector(IWorkspace.AlreadyVoted.selector, ballot, uint16(3)));
        cast_(eve, vote_);
        refused(abi.encodeWithSelector(IWorkspace.AlreadyVoted.selector, ballot, uint16(300)));
        cast_(key, vote_);
        refused(abi.encodeWithSelector(IWorkspace.AlreadyVoted.selector, ballot, uint16(3)));
        cast_(cleo, vote_);
    }

    function test_any_two_organisations_have_separate_votes(uint16 a, uint16 b) public {
        a = uint16(400 + uint256(a) % 60_000);
        b = uint16(400 + uint256(b) % 60_000);
        vm.assume(a != b);
        govern(1, abi.encode(IWorkspace.Member(eve, a, VERIFIER)));
        govern(1, abi.encode(IWorkspace.Member(key, b, VERIFIER)));
        IWorkspace.Transition memory release = step(artefact, RELEASE);
        endorse(eve, release);
        endorse(key, release);
        (uint8 endorsed,) = ws.ballotOf(ballotOf(vote(release)));
        assertEq(endorsed, 2, "endorsed");
    }

    function test_organisations_share_no_bit() public {
        uint16[6] memory organisations = [uint16(63), 64, 192, 320, 576, 65_535];
        IWorkspace.Transition memory release = step(artefact, RELEASE);
        for (uint256 i; i < 6; ++i) {
            address account = vm.addr(1000 + i);
            govern(1, abi.encode(IWorkspace.Member(account, organisations[i], VERIFIER)));
            endorse(account, release);
        }
        (uint8 endorsed,) = ws.ballotOf(ballotOf(vote(release)));
        assertEq(endorsed, 6, "endorsed");
    }

    function test_the_count_stays_at_255() public {
        uint256 organisations = 258;
        IWorkspace.Member[] memory members = new IWorkspace.Member[](organisations);
        for (uint256 i; i < organisations; ++i) {
            members[i] = IWorkspace.Member(vm.addr(1000 + i), uint16(i + 1), ADMIN | CONTRIBUTOR | REVIEWER);
        }
        ws = new Workspace(members, 2, lifecycles());
        bytes32 large = register(vm.addr(1000), "m", MODEL);
        act(vm.addr(1000), change(large, BUILD));
        IWorkspace.Transition memory merge = change(large, MERGE);
        for (uint256 i; i < organisations; ++i) {
            endorse(vm.addr(1000 + i), merge);
        }
        (uint8 endorsed,) = ws.ballotOf(ballotOf(vote(merge)));
        assertEq(endorsed, 255, "endorsed");
    }

    function test_votes_are_void_when_the_artefact_moved_on() public {
        IWorkspace.Transition memory release = step(artefact, RELEASE);
        endorse(cleo, release);
        endorse(dora, release);
        act(anne, change(artefact, REOPEN));
        act(bert, step(artefact, VALIDATE));
        IWorkspace.Endorsement memory late = vote(release);
        refused(
            abi.encodeWithSelector(
                IWorkspace.HeadMismatch.selector, artefact, release.expectedHead, ws.headOf(artefact)
            )
        );
        cast_(bert, late);
        release.expectedHead = ws.headOf(artefact);
        refused(quorumMissing(0, 2));
        act(bert, release);
    }

    function test_votes_are_for_one_content_and_its_inputs_only() public {
        IWorkspace.Transition memory release = step(artefact, RELEASE);
        endorse(cleo, release);
        endorse(dora, release);
        release.content = digest("swapped");
        refused(quorumMissing(0, 2));
        act(bert, release);
        release.content = 0;
        release.inputs = using_(artefact);
        refused(quorumMissing(0, 2));
        act(bert, release);
    }

    function test_four_eyes_holds_for_votes_too() public {
        IWorkspace.Transition memory release = step(artefact, RELEASE);
        refused(abi.encodeWithSelector(IWorkspace.FourEyes.selector, artefact, uint16(1)));
        endorse(arno, release);
    }

    function test_a_vote_needs_a_vote_role() public {
        IWorkspace.Transition memory release = step(artefact, RELEASE);
        refused(
            abi.encodeWithSelector(
                IWorkspace.RoleMissing.selector, anne, ADMIN | CONTRIBUTOR | OPERATOR, REVIEWER | VERIFIER
            )
        );
        endorse(anne, release);
    }

    function test_a_transition_without_quorum_takes_no_votes() public {
        IWorkspace.Transition memory reopen = change(artefact, REOPEN);
        refused(abi.encodeWithSelector(IWorkspace.NoQuorum.selector, artefact, REOPEN));
        endorse(cleo, reopen);
    }

    function test_a_vote_on_a_rule_that_does_not_start_here_is_refused() public {
        IWorkspace.Transition memory merge = change(artefact, MERGE);
        refused(abi.encodeWithSelector(IWorkspace.WrongState.selector, artefact, uint8(2), uint8(1)));
        endorse(cleo, merge);
    }

    // --------------------------------------------------------------------------------------------- held inputs

    function test_held_inputs_are_repeated_and_not_revoked() public {
        (bytes32 data, IWorkspace.Input[] memory inputs) = withInputs();
        IWorkspace.Transition memory release = step(artefact, RELEASE);
        endorse(cleo, release);
        endorse(dora, release);
        refused(abi.encodeWithSelector(IWorkspace.HeldMismatch.selector, artefact, commitment(inputs), bytes32(0)));
        act(bert, release);
        release.held = inputs;
        act(anne, step(data, REVOKE));
        refused(abi.encodeWithSelector(IWorkspace.InputRevoked.selector, address(0), data));
        act(bert, release);
    }

    function test_held_inputs_may_move_on_as_long_as_they_are_not_revoked() public {
        (bytes32 data, IWorkspace.Input[] memory inputs) = withInputs();
        act(bert, step(data, VALIDATE));
        IWorkspace.Transition memory release = step(artefact, RELEASE);
        release.held = inputs;
        endorse(cleo, release);
        endorse(dora, release);
        act(bert, release);
    }

    function test_held_inputs_stay_until_new_content_comes() public {
        (, IWorkspace.Input[] memory inputs) = withInputs();
        assertEq(heldOf(artefact), commitment(inputs), "after a transition without content");
        act(anne, change(artefact, REOPEN));
        assertEq(heldOf(artefact), 0, "after new content without inputs");
    }

    function test_a_lifecycle_that_holds_nothing_keeps_no_inputs() public {
        bytes32 log_ = register(anne, "log", LOG);
        IWorkspace.Transition memory append = change(log_, APPEND);
        append.inputs = using_(artefact);
        act(anne, append);
        assertEq(heldOf(log_), 0, "held");
    }

    // --------------------------------------------------------------------------------------------------- words

    /// @dev Builds the artefact anew from an input, and validates it.
    function withInputs() private returns (bytes32 data, IWorkspace.Input[] memory inputs) {
        data = built("data");
        IWorkspace.Transition memory reopen = change(artefact, REOPEN);
        inputs = using_(data);
        reopen.inputs = inputs;
        act(anne, reopen);
        act(bert, step(artefact, VALIDATE));
    }

    function heldOf(bytes32 artefact_) private view returns (bytes32 held) {
        (,,,,,,, held) = ws.artefactOf(artefact_);
    }

    function cast_(address by, IWorkspace.Endorsement memory vote_) private {
        vm.prank(by);
        ws.endorse(vote_);
    }

    function ballotOf(IWorkspace.Endorsement memory v) private pure returns (bytes32) {
        return keccak256(abi.encode(v.artefact, v.expectedHead, v.rule, v.content, v.inputs));
    }

    function chain(bytes32 before, bytes32 ballot, address key_, uint16 organisation, bool yes, bytes32 record)
        private
        pure
        returns (bytes32)
    {
        return bytes32(
            uint256(uint184(uint256(keccak256(abi.encode(before, ballot, key_, organisation, yes, record)))))
        );
    }

    function quorumMissing(uint8 endorsed, uint8 needed) private view returns (bytes memory) {
        return abi.encodeWithSelector(IWorkspace.QuorumMissing.selector, artefact, endorsed, needed);
    }
}
