// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IWorkspace} from "../src/IWorkspace.sol";
import {Workspace} from "../src/Workspace.sol";
import {WorkspaceTest} from "./WorkspaceTest.sol";

/// @dev What needs admins of M distinct organisations, and what even they cannot do.
contract GovernanceTest is WorkspaceTest {
    uint8 private constant MEMBER = 1;
    uint8 private constant QUORUM = 2;
    uint8 private constant LIFECYCLE = 3;
    uint8 private constant RECOVER = 4;
    uint8 private constant SESSION = 5;

    function test_the_founders_and_their_quorum() public view {
        (uint8 quorum, uint16 adminOrganisations, uint64 epoch) = ws.governance();
        assertEq(quorum, 2, "quorum");
        assertEq(adminOrganisations, 3, "admin organisations");
        assertEq(epoch, 0, "epoch");
        (uint16 organisation, uint16 roles) = ws.memberOf(dora);
        assertEq(organisation, 300, "organisation");
        assertEq(roles, REVIEWER, "roles");
    }

    function test_a_change_waits_for_the_last_approval() public {
        IWorkspace.Proposal memory add = proposal(MEMBER, abi.encode(IWorkspace.Member(eve, 7, REVIEWER)));
        approve(anne, add);
        (bytes32 id_, uint8 approvals, bool executed) = ws.proposalOf(add);
        assertEq(
            id_, keccak256(abi.encode(uint64(0), add.action, add.salt, keccak256(add.data))), "id"
        );
        assertEq(approvals, 1, "approvals");
        assertTrue(!executed, "not yet");
        (uint16 organisation,) = ws.memberOf(eve);
        assertEq(organisation, 0, "not yet a member");
        approve(cleo, add);
        (organisation,) = ws.memberOf(eve);
        assertEq(organisation, 7, "organisation");
    }

    function test_an_organisation_approves_once() public {
        govern(MEMBER, abi.encode(IWorkspace.Member(arno, 1, ADMIN)));
        IWorkspace.Proposal memory add = proposal(MEMBER, abi.encode(IWorkspace.Member(eve, 7, REVIEWER)));
        approve(anne, add);
        (bytes32 id_,,) = ws.proposalOf(add);
        refused(abi.encodeWithSelector(IWorkspace.AlreadyApproved.selector, id_, uint16(1)));
        approve(arno, add);
    }

    function test_only_admins_govern() public {
        IWorkspace.Proposal memory add = proposal(MEMBER, abi.encode(IWorkspace.Member(eve, 7, ADMIN)));
        refused(abi.encodeWithSelector(IWorkspace.RoleMissing.selector, dora, REVIEWER, ADMIN));
        approve(dora, add);
        refused(abi.encodeWithSelector(IWorkspace.NotAMember.selector, eve));
        approve(eve, add);
    }

    function test_approvals_are_over_the_same_bytes() public {
        IWorkspace.Proposal memory change_ = proposal(QUORUM, abi.encode(uint8(3)));
        approve(anne, change_);
        change_.data = abi.encode(uint8(1));
        approve(bert, change_);
        (uint8 quorum,,) = ws.governance();
        assertEq(quorum, 2, "quorum");
    }

    function test_a_change_is_carried_out_once() public {
        IWorkspace.Proposal memory add = proposal(LIFECYCLE, abi.encode(log()));
        approve(anne, add);
        approve(bert, add);
        (bytes32 id_, uint8 approvals, bool executed) = ws.proposalOf(add);
        assertEq(approvals, 2, "approvals");
        assertTrue(executed, "executed");
        refused(abi.encodeWithSelector(IWorkspace.AlreadyExecuted.selector, id_));
        approve(cleo, add);
    }

    function test_a_change_of_who_governs_voids_open_approvals() public {
        IWorkspace.Proposal memory add = proposal(MEMBER, abi.encode(IWorkspace.Member(eve, 7, ADMIN)));
        approve(cleo, add);
        govern(MEMBER, abi.encode(IWorkspace.Member(cleo, 3, 0)));
        (, uint8 approvals,) = ws.proposalOf(add);
        assertEq(approvals, 0, "approvals");
        approve(anne, add);
        (uint16 organisation,) = ws.memberOf(eve);
        assertEq(organisation, 0, "the removed admin's approval counts no more");
        govern(QUORUM, abi.encode(uint8(2)));
        (, approvals,) = ws.proposalOf(add);
        assertEq(approvals, 0, "approvals after a new quorum");
        (,, uint64 epoch) = ws.governance();
        assertEq(epoch, 2, "epoch");
    }

    function test_other_changes_leave_open_approvals_alone() public {
        IWorkspace.Proposal memory add = proposal(MEMBER, abi.encode(IWorkspace.Member(eve, 7, ADMIN)));
        approve(cleo, add);
        govern(LIFECYCLE, abi.encode(log()));
        (, uint8 approvals,) = ws.proposalOf(add);
        assertEq(approvals, 1, "approvals");
    }

    // ------------------------------------------------------------------------------------------------- members

    function test_an_account_never_changes_its_organisation() public {
        unsettable(IWorkspace.Member(dora, 2, REVIEWER));
        govern(MEMBER, abi.encode(IWorkspace.Member(dora, 300, 0)));
        unsettable(IWorkspace.Member(dora, 2, REVIEWER));
        govern(MEMBER, abi.encode(IWorkspace.Member(dora, 300, VERIFIER)));
        (, uint16 roles) = ws.memberOf(dora);
        assertEq(roles, VERIFIER, "roles");
    }

    function test_who_cannot_be_a_member() public {
        unsettable(IWorkspace.Member(address(0), 7, REVIEWER));
        unsettable(IWorkspace.Member(eve, 0, REVIEWER));
        unsettable(IWorkspace.Member(eve, 7, 0));
        grant(anne, CONTRIBUTOR, 0, uint40(START + 1));
        unsettable(IWorkspace.Member(key, 7, REVIEWER));
    }

    function test_a_removed_member_may_do_nothing_and_keeps_what_it_did() public {
        vm.prank(cleo);
        ws.anchor(IWorkspace.Anchor(0, digest("root"), 1));
        bytes32 artefact = register(cleo, "m", MODEL);
        govern(MEMBER, abi.encode(IWorkspace.Member(cleo, 3, 0)));
        refused(abi.encodeWithSelector(IWorkspace.NotAMember.selector, cleo));
        register(cleo, "n", MODEL);
        (address owner,,,,,,,) = ws.artefactOf(artefact);
        assertEq(owner, cleo, "owner");
        assertTrue(ws.anchorHeadOf(cleo) != 0, "anchors");
    }

    function test_a_new_admin_organisation_counts_once() public {
        govern(MEMBER, abi.encode(IWorkspace.Member(dora, 300, ADMIN)));
        govern(MEMBER, abi.encode(IWorkspace.Member(arno, 1, ADMIN)));
        govern(MEMBER, abi.encode(IWorkspace.Member(arno, 1, ADMIN | REVIEWER)));
        (, uint16 adminOrganisations,) = ws.governance();
        assertEq(adminOrganisations, 4, "admin organisations");
        govern(MEMBER, abi.encode(IWorkspace.Member(arno, 1, 0)));
        (, adminOrganisations,) = ws.governance();
        assertEq(adminOrganisations, 4, "another admin of organisation 1 is left");
    }

    // ------------------------------------------------------------------------------------------------ lock-out

    function test_governance_cannot_lock_itself_out() public {
        locked(proposal(QUORUM, abi.encode(uint8(0))), 0, 3);
        locked(proposal(QUORUM, abi.encode(uint8(4))), 4, 3);
        govern(MEMBER, abi.encode(IWorkspace.Member(cleo, 3, VERIFIER)));
        locked(proposal(MEMBER, abi.encode(IWorkspace.Member(bert, 2, REVIEWER))), 2, 1);
        locked(proposal(MEMBER, abi.encode(IWorkspace.Member(bert, 2, 0))), 2, 1);
    }

    function test_a_workspace_is_not_founded_locked() public {
        refused(abi.encodeWithSelector(IWorkspace.GovernanceLocked.selector, uint8(0), 3));
        new Workspace(founders(), 0, lifecycles());
        refused(abi.encodeWithSelector(IWorkspace.GovernanceLocked.selector, uint8(4), 3));
        new Workspace(founders(), 4, lifecycles());
        refused(abi.encodeWithSelector(IWorkspace.GovernanceLocked.selector, uint8(1), 0));
        new Workspace(new IWorkspace.Member[](0), 1, lifecycles());
    }

    /// @dev Whatever members and quorums are set, enough organisations with an admin are left to change it again.
    function test_any_sequence_of_changes_leaves_a_quorum(uint256 seed) public {
        address[5] memory accounts = [anne, arno, bert, cleo, dora];
        uint16[5] memory organisations = [uint16(1), 1, 2, 3, 300];
        for (uint256 i; i < 12; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            uint256 who = (seed >> 8) % 5;
            IWorkspace.Proposal memory change_ = seed % 3 == 0
                ? proposal(QUORUM, abi.encode(uint8((seed >> 16) % 6)))
                : proposal(MEMBER, abi.encode(IWorkspace.Member(accounts[who], organisations[who], uint16(seed >> 24) & 3)));
            for (uint256 j; j < 5; ++j) {
                vm.prank(accounts[j]);
                try ws.govern(change_) {} catch {}
            }
            uint256 counted;
            bool[4] memory seen;
            for (uint256 j; j < 5; ++j) {
                (, uint16 roles) = ws.memberOf(accounts[j]);
                uint256 at = j == 0 ? 0 : j - 1; // anne and arno are of one organisation
                if (roles & ADMIN != 0 && !seen[at]) (seen[at], counted) = (true, counted + 1);
            }
            (uint8 quorum, uint16 adminOrganisations,) = ws.governance();
            assertEq(adminOrganisations, counted, "admin organisations");
            assertTrue(quorum > 0 && quorum <= counted, "enough are left");
        }
    }

    // ---------------------------------------------------------------------------------- recovery and the rest

    function test_governance_recovers_artefacts() public {
        bytes32[] memory artefacts = new bytes32[](2);
        (artefacts[0], artefacts[1]) = (built("m"), built("n"));
        bytes32 head = ws.headOf(artefacts[0]);
        govern(RECOVER, abi.encode(anne, arno, artefacts));
        (address owner,, uint8 state,, uint32 seq,, bytes32 headNow,) = ws.artefactOf(artefacts[0]);
        assertEq(owner, arno, "owner");
        assertEq(state, 1, "state");
        assertEq(seq, 1, "seq");
        assertEq(headNow, head, "head");
        IWorkspace.Transition memory validate = step(artefacts[1], VALIDATE);
        govern(RECOVER, abi.encode(arno, bert, one(artefacts[1])));
        refused(abi.encodeWithSelector(IWorkspace.FourEyes.selector, artefacts[1], uint16(2)));
        act(bert, validate); // the new owner's organisation is now the one kept out
    }

    function test_recovery_is_from_the_owner_to_a_member() public {
        bytes32[] memory artefacts = new bytes32[](1);
        artefacts[0] = built("m");
        fails(
            proposal(RECOVER, abi.encode(cleo, arno, artefacts)),
            abi.encodeWithSelector(IWorkspace.NotOwnedBy.selector, artefacts[0], anne)
        );
        fails(
            proposal(RECOVER, abi.encode(anne, eve, artefacts)),
            abi.encodeWithSelector(IWorkspace.NotAMember.selector, eve)
        );
        artefacts[0] = id("nothing");
        fails(
            proposal(RECOVER, abi.encode(address(0), arno, artefacts)),
            abi.encodeWithSelector(IWorkspace.UnknownArtefact.selector, artefacts[0])
        );
    }

    function test_neither_a_session_key_nor_a_removed_member_is_an_heir() public {
        bytes32[] memory artefacts = new bytes32[](1);
        artefacts[0] = built("m");
        grant(anne, CONTRIBUTOR, 0, uint40(START + 60));
        govern(MEMBER, abi.encode(IWorkspace.Member(dora, 300, 0)));
        for (uint256 i; i < 2; ++i) {
            address heir = i == 0 ? key : dora;
            fails(
                proposal(RECOVER, abi.encode(anne, heir, artefacts)),
                abi.encodeWithSelector(IWorkspace.NotAMember.selector, heir)
            );
        }
    }

    function test_an_unknown_action_is_refused_at_once() public {
        IWorkspace.Proposal memory odd = proposal(6, "");
        refused(abi.encodeWithSelector(IWorkspace.UnknownAction.selector, uint8(6)));
        approve(anne, odd);
        odd.action = 0;
        refused(abi.encodeWithSelector(IWorkspace.UnknownAction.selector, uint8(0)));
        approve(anne, odd);
    }

    function test_malformed_data_changes_nothing() public {
        IWorkspace.Proposal memory odd = proposal(SESSION, "");
        approve(anne, odd);
        vm.prank(bert);
        try ws.govern(odd) {
            revert("executed");
        } catch {}
        (, uint8 approvals, bool executed) = ws.proposalOf(odd);
        assertEq(approvals, 1, "approvals");
        assertTrue(!executed, "not executed");
    }

    // ----------------------------------------------------------------------------------------------- lifecycles

    function test_a_lifecycle_is_read_as_it_was_added() public view {
        assertEq(ws.lifecycleCount(), 3, "count");
        assertEq(abi.encode(ws.lifecycleOf(MODEL)), abi.encode(model()), "model");
        assertEq(abi.encode(ws.lifecycleOf(EVALUATION)), abi.encode(evaluation()), "evaluation");
        assertEq(abi.encode(ws.lifecycleOf(LOG)), abi.encode(log()), "log");
    }

    function test_every_field_of_a_rule_is_kept(IWorkspace.Rule memory rule) public {
        IWorkspace.Lifecycle memory added = log();
        rule.from = rule.from % 2 == 0 ? 0 : 255;
        rule.to = 0;
        rule.guards %= 128;
        if (rule.guards & 12 == 12) rule.guards &= ~uint16(8);
        if (rule.roles == 0) rule.roles = 1;
        if (rule.quorum == 0 || rule.voteRoles == 0) (rule.quorum, rule.voteRoles) = (0, 0);
        added.rules[0] = rule;
        govern(LIFECYCLE, abi.encode(added));
        assertEq(abi.encode(ws.lifecycleOf(4)), abi.encode(added), "lifecycle");
    }

    function test_an_unknown_lifecycle_is_not_read() public {
        refused(abi.encodeWithSelector(IWorkspace.UnknownLifecycle.selector, uint16(4)));
        ws.lifecycleOf(4);
    }

    function test_lifecycles_of_64_states_and_255_rules_are_the_largest() public {
        govern(LIFECYCLE, abi.encode(large(64, 255)));
        assertEq(abi.encode(ws.lifecycleOf(4)), abi.encode(large(64, 255)), "lifecycle");
        malformed(large(65, 1), 255);
        malformed(large(1, 256), 255);
    }

    function test_malformed_lifecycles_are_refused() public {
        IWorkspace.Lifecycle memory l = evaluation();
        l.definition = 0;
        malformed(l, 255);
        l = evaluation();
        l.registerRoles = 0;
        malformed(l, 255);
        l = evaluation();
        l.initial = 3;
        malformed(l, 255);
        l = evaluation();
        l.stateFlags[2] = 8;
        malformed(l, 255);
        l = evaluation();
        l.rules[1].to = 3;
        malformed(l, 1);
        l = evaluation();
        l.rules[1].from = 3;
        malformed(l, 1);
        l = evaluation();
        l.rules[1].from = 2; // terminal
        malformed(l, 1);
        l = evaluation();
        l.rules[0].roles = 0;
        malformed(l, 0);
        l = evaluation();
        l.rules[0].guards = 128;
        malformed(l, 0);
        l = evaluation();
        l.rules[0].guards = 4 | 8;
        malformed(l, 0);
        l = evaluation();
        l.rules[0].quorum = 1;
        malformed(l, 0);
        l = evaluation();
        l.rules[0].voteRoles = 1;
        malformed(l, 0);
    }

    // --------------------------------------------------------------------------------------------------- words

    function one(bytes32 artefact) private pure returns (bytes32[] memory all) {
        all = new bytes32[](1);
        all[0] = artefact;
    }

    function large(uint256 states, uint256 rules) private pure returns (IWorkspace.Lifecycle memory l) {
        l = log();
        l.stateFlags = new uint8[](states);
        l.stateFlags[states - 1] = 4;
        l.rules = new IWorkspace.Rule[](rules);
        for (uint256 i; i < rules; ++i) {
            l.rules[i] = IWorkspace.Rule(255, uint8(states - 1), 1, 0, 0, 0, uint32(i), 0);
        }
    }

    function malformed(IWorkspace.Lifecycle memory l, uint8 at) private {
        fails(proposal(LIFECYCLE, abi.encode(l)), abi.encodeWithSelector(IWorkspace.LifecycleInvalid.selector, at));
    }

    function unsettable(IWorkspace.Member memory member) private {
        fails(
            proposal(MEMBER, abi.encode(member)),
            abi.encodeWithSelector(IWorkspace.MemberInvalid.selector, member.account, member.organisation)
        );
    }

    function locked(IWorkspace.Proposal memory change_, uint8 quorum, uint256 organisations) private {
        fails(change_, abi.encodeWithSelector(IWorkspace.GovernanceLocked.selector, quorum, organisations));
    }

    /// @dev The change is approved by one and refused with this reason when the second approval would carry it out.
    function fails(IWorkspace.Proposal memory change_, bytes memory reason) private {
        approve(anne, change_);
        refused(reason);
        approve(bert, change_);
    }
}
