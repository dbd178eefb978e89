// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IWorkspace} from "../src/IWorkspace.sol";
import {Workspace} from "../src/Workspace.sol";
import {WorkspaceTest} from "./WorkspaceTest.sol";

/// @dev Each event, with every one of its values: what readers of the chain rebuild everything from.
contract EventsTest is WorkspaceTest {
    function test_registration_tells_the_owner_the_signer_and_the_first_head() public {
        grant(anne, CONTRIBUTOR, 0, uint40(START + 60));
        IWorkspace.Registration memory r = registration(id("m"), MODEL);
        bytes32 head = keccak256(abi.encode(block.chainid, address(ws), r.artefact, r.lifecycle, key, r.record));
        vm.expectEmit();
        emit IWorkspace.Registered(r.artefact, MODEL, anne, key, r.record, head);
        vm.prank(key);
        ws.register(r);
    }

    function test_a_transition_tells_its_step_and_its_inputs() public {
        bytes32 artefact = built("m");
        grant(anne, CONTRIBUTOR, artefact, uint40(START + 60));
        IWorkspace.Transition memory change_ = change(artefact, REBUILD);
        change_.inputs = using_(artefact);
        bytes32 head = keccak256(
            bytes.concat(
                abi.encode(change_.expectedHead, REBUILD, uint8(1), uint8(1), uint32(2), key, change_.content),
                abi.encode(change_.record, commitment(change_.inputs), bytes32(0))
            )
        );
        uint256 step = uint256(uint160(key)) | uint256(REBUILD) << 160 | uint256(1) << 168 | uint256(2) << 176;
        vm.expectEmit();
        emit IWorkspace.Transitioned(artefact, change_.content, anne, step, change_.record, head);
        vm.expectEmit();
        emit IWorkspace.InputUsed(artefact, artefact, change_.inputs[0].head, uint256(2) << 160);
        act(key, change_);
    }

    function test_a_vote_tells_all_that_its_ballot_is_about(bool approve) public {
        bytes32 artefact = built("m");
        IWorkspace.Transition memory merge = change(artefact, MERGE);
        merge.inputs = using_(artefact);
        IWorkspace.Endorsement memory v = vote(merge);
        v.approve = approve;
        bytes32 ballot = keccak256(abi.encode(artefact, v.expectedHead, MERGE, v.content, v.inputs));
        bytes32 chain = keccak256(abi.encode(bytes32(0), ballot, dora, uint16(300), approve, v.record));
        uint256 cast = uint256(uint160(dora)) | uint256(MERGE) << 160 | uint256(300) << 168 | (approve ? 1 << 184 : 0);
        vm.expectEmit();
        emit IWorkspace.Endorsed(
            artefact, dora, cast, v.expectedHead, v.content, v.inputs, v.record, bytes32(uint256(uint184(uint256(chain))))
        );
        vm.prank(dora);
        ws.endorse(v);
    }

    function test_an_anchor_tells_its_signer_and_leaves(uint64 leaves) public {
        vm.assume(leaves != 0);
        grant(bert, REVIEWER, 0, uint40(START + 60));
        bytes32 head = keccak256(abi.encode(bytes32(0), digest("root"), leaves, key));
        uint256 signed_ = uint256(uint160(key)) | uint256(leaves) << 160;
        vm.expectEmit();
        emit IWorkspace.Anchored(bert, digest("root"), signed_, bytes32(uint256(uint224(uint256(head)))));
        vm.prank(key);
        ws.anchor(IWorkspace.Anchor(0, digest("root"), leaves));
    }

    function test_sessions_tell_what_was_granted_and_revoked() public {
        IWorkspace.Session memory session = IWorkspace.Session(key, CONTRIBUTOR, id("m"), uint40(START + 60));
        bytes memory consent = consentOf(anne, session);
        vm.expectEmit();
        emit IWorkspace.SessionGranted(anne, key, CONTRIBUTOR, id("m"), uint40(START + 60));
        vm.prank(anne);
        ws.grantSession(session, consent);
        vm.expectEmit();
        emit IWorkspace.SessionRevoked(anne, key);
        vm.prank(anne);
        ws.revokeSession(key);
    }

    function test_governance_tells_who_approved_what_and_that_it_was_done() public {
        told(1, abi.encode(IWorkspace.Member(eve, 7, REVIEWER)));
        emit IWorkspace.MemberSet(eve, 7, REVIEWER);
        done();
        told(2, abi.encode(uint8(3)));
        emit IWorkspace.GovernanceQuorumSet(3);
        done();
    }

    function test_governance_tells_of_lifecycles_and_recovered_artefacts() public {
        bytes32 artefact = built("m");
        told(3, abi.encode(log()));
        emit IWorkspace.LifecycleAdded(4, digest("log"));
        done();
        bytes32[] memory all = new bytes32[](1);
        all[0] = artefact;
        told(4, abi.encode(anne, cleo, all));
        emit IWorkspace.ArtefactRecovered(artefact, anne, cleo);
        done();
    }

    function test_founding_tells_of_members_quorum_and_lifecycles() public {
        for (uint256 i; i < 5; ++i) {
            IWorkspace.Member memory member = founders()[i];
            vm.expectEmit();
            emit IWorkspace.MemberSet(member.account, member.organisation, member.roles);
        }
        vm.expectEmit();
        emit IWorkspace.GovernanceQuorumSet(2);
        vm.expectEmit();
        emit IWorkspace.LifecycleAdded(1, digest("model"));
        new Workspace(founders(), 2, lifecycles());
    }

    bytes32 private _done;
    IWorkspace.Proposal private _change;

    /// @dev Anne's approval tells what she approved; Bert's is next, and what it does is emitted by the test itself.
    function told(uint8 action, bytes memory data) private {
        IWorkspace.Proposal memory change_ = proposal(action, data);
        (bytes32 id_,,) = ws.proposalOf(change_);
        (_done, _change) = (id_, change_);
        vm.expectEmit();
        emit IWorkspace.ProposalApproved(id_, anne, 1, change_);
        approve(anne, change_);
        vm.expectEmit();
        emit IWorkspace.ProposalApproved(id_, bert, 2, change_);
        vm.expectEmit();
    }

    function done() private {
        vm.expectEmit();
        emit IWorkspace.ProposalExecuted(_done);
        approve(bert, _change);
    }
}
