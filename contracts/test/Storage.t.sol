// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IWorkspace} from "../src/IWorkspace.sol";
import {WorkspaceTest} from "./WorkspaceTest.sol";

/// @dev The words lie in the storage bit by bit as README.md draws them.
contract StorageTest is WorkspaceTest {
    uint256 private constant ACCOUNTS = 0;
    uint256 private constant SCOPES = 1;
    uint256 private constant RULES = 5;
    uint256 private constant PROPOSALS = 9;
    uint256 private constant ARTEFACTS = 10;
    uint256 private constant BALLOTS = 11;

    function test_a_member_is_organisation_roles_and_anchor_head() public {
        vm.prank(dora);
        ws.anchor(IWorkspace.Anchor(0, digest("root"), 3));
        uint256 head = uint224(uint256(keccak256(abi.encode(bytes32(0), digest("root"), uint64(3), dora))));
        assertEq(word(at(dora, ACCOUNTS)), 300 | uint256(REVIEWER) << 16 | head << 32, "member");
    }

    function test_a_session_is_roles_member_expiry_and_scope() public {
        uint256 session = uint256(CONTRIBUTOR) << 16 | uint256(uint160(anne)) << 32 | (START + 60) << 192;
        grant(anne, CONTRIBUTOR, 0, uint40(START + 60));
        assertEq(word(at(key, ACCOUNTS)), session, "for all artefacts");
        grant(anne, CONTRIBUTOR, id("m"), uint40(START + 60));
        assertEq(word(at(key, ACCOUNTS)), session | 1 << 232, "for one");
        assertEq(word(at(key, SCOPES)), uint256(id("m")), "scope");
    }

    function test_an_artefact_is_three_words() public {
        bytes32 artefact = built("m");
        IWorkspace.Transition memory rebuild = change(artefact, REBUILD);
        rebuild.inputs = using_(artefact);
        act(anne, rebuild);
        uint256 found = uint256(uint160(anne)) | uint256(MODEL) << 160 | 1 << 176 | 1 << 184 | 2 << 188 | START << 220;
        bytes32 slot = keccak256(abi.encode(artefact, ARTEFACTS));
        assertEq(word(slot), found, "owner, lifecycle, state, flags, seq, time");
        assertEq(word(bytes32(uint256(slot) + 1)), uint256(ws.headOf(artefact)), "head");
        assertEq(word(bytes32(uint256(slot) + 2)), uint256(commitment(rebuild.inputs)), "inputs");
    }

    function test_a_registered_artefact_is_in_the_initial_state() public {
        IWorkspace.Lifecycle memory made = evaluation();
        (made.initial, made.stateFlags[1]) = (1, 5);
        govern(3, abi.encode(made));
        bytes32 slot = keccak256(abi.encode(register(cleo, "e", 4), ARTEFACTS));
        uint256 found = uint256(uint160(cleo)) | 4 << 160 | 1 << 176 | 5 << 184 | START << 220;
        assertEq(word(slot), found, "owner, lifecycle, state, flags, no seq, time");
    }

    function test_a_rule_is_one_word() public view {
        uint256 release = 2 | 1 << 8 | uint256(OPERATOR) << 16 | (2 | 64) << 32 | 2 << 48
            | uint256(REVIEWER | VERIFIER) << 56 | 1 << 120 | 3 << 176 | 1 << 184;
        assertEq(word(keccak256(abi.encode(uint256(MODEL) << 8 | RELEASE, RULES))), release, "release");
        uint256 ripen = 1 | 1 << 8 | uint256(CONTRIBUTOR) << 16 | 3600 << 72 | 1 << 120 | 2 << 176 | 1 << 184;
        assertEq(word(keccak256(abi.encode(uint256(MODEL) << 8 | RIPEN, RULES))), ripen, "ripen");
        uint256 prove = 1 | 1 << 8 | uint256(CONTRIBUTOR) << 16 | uint256(EVALUATION) << 104 | 1 << 120 | 2 << 176 | 1 << 184;
        assertEq(word(keccak256(abi.encode(uint256(MODEL) << 8 | PROVE, RULES))), prove, "prove");
    }

    function test_a_ballot_is_voters_count_and_chain() public {
        IWorkspace.Transition memory release = step(validated("m"), RELEASE);
        bytes32 ballot = keccak256(abi.encode(release.artefact, release.expectedHead, RELEASE, bytes32(0), bytes32(0)));
        endorse(cleo, release);
        endorse(dora, release); // organisation 300 has its bit elsewhere
        (, bytes32 chain) = ws.ballotOf(ballot);
        assertEq(word(keccak256(abi.encode(ballot, BALLOTS))), 1 << 3 | 2 << 64 | uint256(chain) << 72, "ballot");
    }

    function test_a_proposal_is_approvers_count_and_whether_it_was_done() public {
        IWorkspace.Proposal memory change_ = proposal(3, abi.encode(log()));
        (bytes32 id_,,) = ws.proposalOf(change_);
        approve(anne, change_);
        assertEq(word(keccak256(abi.encode(id_, PROPOSALS))), 1 << 1 | 1 << 64, "approved");
        approve(bert, change_);
        assertEq(word(keccak256(abi.encode(id_, PROPOSALS))), 1 << 1 | 1 << 2 | 2 << 64 | 1 << 72, "done");
    }

    function at(address account, uint256 mapping_) private pure returns (bytes32) {
        return keccak256(abi.encode(account, mapping_));
    }

    function word(bytes32 slot) private view returns (uint256) {
        return uint256(vm.load(address(ws), slot));
    }
}
