// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IWorkspace} from "../src/IWorkspace.sol";
import {Vm} from "./Vm.sol";
import {WorkspaceTest} from "./WorkspaceTest.sol";

/// @dev Registration, transitions, their guards, and what the heads commit to.
contract OperationsTest is WorkspaceTest {
    // -------------------------------------------------------------------------------------------- registration

    function test_a_registered_artefact_has_its_owner_initial_state_and_head() public {
        bytes32 artefact = register(anne, "m", MODEL);
        (address owner, uint16 lifecycle, uint8 state, uint8 flags, uint32 seq, uint40 changedAt, bytes32 head, bytes32 held)
        = ws.artefactOf(artefact);
        assertEq(owner, anne, "owner");
        assertEq(lifecycle, MODEL, "lifecycle");
        assertEq(state, 0, "state");
        assertEq(flags, 0, "flags");
        assertEq(seq, 0, "seq");
        assertEq(changedAt, START, "time");
        assertEq(held, 0, "held");
        assertEq(head, head0(artefact, MODEL, anne), "head");
    }

    function test_an_artefact_is_registered_once() public {
        bytes32 artefact = register(anne, "m", MODEL);
        refused(abi.encodeWithSelector(IWorkspace.AlreadyRegistered.selector, artefact));
        register(cleo, "m", LOG);
    }

    function test_a_lifecycle_must_exist() public {
        refused(abi.encodeWithSelector(IWorkspace.UnknownLifecycle.selector, uint16(9)));
        register(anne, "m", 9);
        refused(abi.encodeWithSelector(IWorkspace.UnknownLifecycle.selector, uint16(0)));
        register(anne, "m", 0);
    }

    function test_registration_needs_a_role_of_the_lifecycle() public {
        refused(roleMissing(bert, ADMIN | REVIEWER | OPERATOR, CONTRIBUTOR));
        register(bert, "m", MODEL);
    }

    function test_a_stranger_registers_nothing() public {
        refused(abi.encodeWithSelector(IWorkspace.NotAMember.selector, eve));
        register(eve, "m", MODEL);
    }

    function test_registration_with_the_first_transition() public {
        bytes32 artefact = id("m");
        IWorkspace.Transition memory first = change(artefact, BUILD);
        first.expectedHead = head0(artefact, MODEL, anne);
        vm.prank(anne);
        ws.registerWith(registration(artefact, MODEL), first);
        assertEq(ws.headOf(artefact), headAfter(first, 0, 1, 1, anne, 0), "head");
    }

    function test_the_first_transition_is_of_the_registered_artefact() public {
        bytes32 other = register(anne, "other", MODEL);
        IWorkspace.Transition memory first = change(other, BUILD);
        bytes32 head = head0(id("m"), MODEL, anne);
        refused(abi.encodeWithSelector(IWorkspace.HeadMismatch.selector, other, first.expectedHead, head));
        vm.prank(anne);
        ws.registerWith(registration(id("m"), MODEL), first);
    }

    // --------------------------------------------------------------------------------------------- transitions

    function test_a_transition_moves_state_sequence_time_and_head() public {
        bytes32 artefact = register(anne, "m", MODEL);
        IWorkspace.Transition memory build = change(artefact, BUILD);
        vm.warp(START + 5);
        act(anne, build);
        (,, uint8 state, uint8 flags, uint32 seq, uint40 changedAt, bytes32 head,) = ws.artefactOf(artefact);
        assertEq(state, 1, "state");
        assertEq(flags, 1, "flags");
        assertEq(seq, 1, "seq");
        assertEq(changedAt, START + 5, "time");
        assertEq(head, headAfter(build, 0, 1, 1, anne, 0), "head");
        assertEq(head, ws.headOf(artefact), "headOf");
    }

    function test_a_head_does_not_depend_on_block_time_or_number(uint32 later) public {
        bytes32 artefact = register(anne, "m", MODEL);
        IWorkspace.Transition memory build = change(artefact, BUILD);
        vm.warp(START + later);
        act(anne, build);
        assertEq(ws.headOf(artefact), headAfter(build, 0, 1, 1, anne, 0), "head");
    }

    function test_a_chain_of_transitions_can_be_signed_ahead() public {
        bytes32 artefact = built("m");
        IWorkspace.Transition[] memory changes = new IWorkspace.Transition[](2);
        changes[0] = change(artefact, REBUILD);
        changes[0].inputs = using_(address(0), artefact, changes[0].expectedHead);
        changes[1] = change(artefact, REBUILD);
        changes[1].expectedHead = headAfter(changes[0], 1, 1, 2, anne, 0);
        changes[1].inputs = using_(address(0), artefact, changes[1].expectedHead);
        vm.prank(anne);
        ws.transitions(changes);
        assertEq(ws.headOf(artefact), headAfter(changes[1], 1, 1, 3, anne, 0), "head");
    }

    function test_many_transitions_are_all_or_none() public {
        bytes32 one = register(anne, "1", MODEL);
        bytes32 two = register(anne, "2", MODEL);
        IWorkspace.Transition[] memory changes = new IWorkspace.Transition[](2);
        (changes[0], changes[1]) = (change(one, BUILD), step(two, BUILD));
        bytes32 before = ws.headOf(one);
        refused(abi.encodeWithSelector(IWorkspace.ContentNeeded.selector, two));
        vm.prank(anne);
        ws.transitions(changes);
        assertEq(ws.headOf(one), before, "the first was undone");
    }

    function test_inputs_are_committed_to_and_told_of_in_order() public {
        bytes32 data = built("data");
        bytes32 artefact = built("m");
        IWorkspace.Transition memory rebuild = change(artefact, REBUILD);
        rebuild.inputs = new IWorkspace.Input[](2);
        rebuild.inputs[0] = IWorkspace.Input(address(0), data, ws.headOf(data));
        rebuild.inputs[1] = IWorkspace.Input(address(0), artefact, ws.headOf(artefact));
        vm.recordLogs();
        act(anne, rebuild);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        assertEq(ws.headOf(artefact), headAfter(rebuild, 1, 1, 2, anne, 0), "head");
        assertEq(logs.length, 3, "events");
        assertEq(logs[0].topics[0], IWorkspace.Transitioned.selector, "first event");
        assertEq(logs[0].topics[2], rebuild.content, "content");
        uint256 step = uint256(uint160(anne)) | uint256(REBUILD) << 160 | uint256(1) << 168 | uint256(2) << 176;
        assertEq(logs[0].data, abi.encode(step, rebuild.record, ws.headOf(artefact)), "step, record, head");
        assertEq(logs[1].topics[0], IWorkspace.InputUsed.selector, "second event");
        assertEq(logs[1].topics[2], data, "first input");
        assertEq(logs[2].topics[2], artefact, "second input");
        assertEq(logs[2].data, abi.encode(uint256(2) << 160), "workspace and number");
    }

    function test_an_unknown_artefact_is_refused() public {
        IWorkspace.Transition memory build = change(id("nothing"), BUILD);
        refused(abi.encodeWithSelector(IWorkspace.UnknownArtefact.selector, id("nothing")));
        act(anne, build);
        refused(abi.encodeWithSelector(IWorkspace.UnknownArtefact.selector, id("nothing")));
        ws.artefactOf(id("nothing"));
    }

    function test_a_stale_head_is_a_conflict() public {
        bytes32 artefact = built("m");
        IWorkspace.Transition memory stale = change(artefact, REBUILD);
        stale.inputs = using_(artefact);
        act(anne, stale);
        refused(
            abi.encodeWithSelector(
                IWorkspace.HeadMismatch.selector, artefact, stale.expectedHead, ws.headOf(artefact)
            )
        );
        act(anne, stale);
    }

    function test_an_unknown_rule_is_refused() public {
        bytes32 artefact = built("m");
        IWorkspace.Transition memory odd = change(artefact, 9);
        refused(abi.encodeWithSelector(IWorkspace.UnknownRule.selector, MODEL, uint8(9)));
        act(anne, odd);
    }

    function test_a_rule_starts_in_its_own_state() public {
        bytes32 artefact = register(anne, "m", MODEL);
        IWorkspace.Transition memory early = step(artefact, VALIDATE);
        refused(abi.encodeWithSelector(IWorkspace.WrongState.selector, artefact, uint8(0), uint8(1)));
        act(bert, early);
    }

    function test_a_rule_from_any_state_starts_in_each_that_is_not_terminal() public {
        bytes32 draft = register(anne, "draft", MODEL);
        bytes32 valid = validated("valid");
        act(anne, step(draft, REVOKE));
        act(anne, step(valid, REVOKE));
        assertTrue(ws.revoked(draft) && ws.revoked(valid), "revoked");
    }

    function test_a_terminal_state_is_final_for_every_rule(uint8 rule) public {
        bytes32 artefact = built("m");
        act(anne, step(artefact, REVOKE));
        IWorkspace.Transition memory late = change(artefact, rule);
        refused(abi.encodeWithSelector(IWorkspace.Terminal.selector, artefact, uint8(4)));
        act(anne, late);
    }

    function test_a_transition_needs_a_role_of_its_rule() public {
        bytes32 artefact = built("m");
        IWorkspace.Transition memory validate = step(artefact, VALIDATE);
        refused(roleMissing(cleo, ADMIN | VERIFIER | CONTRIBUTOR, REVIEWER));
        act(cleo, validate);
    }

    // -------------------------------------------------------------------------------------------------- guards

    function test_owner_only() public {
        bytes32 artefact = register(anne, "m", MODEL);
        IWorkspace.Transition memory build = change(artefact, BUILD);
        refused(abi.encodeWithSelector(IWorkspace.OwnerOnly.selector, artefact, anne, arno));
        act(arno, build);
    }

    function test_four_eyes_keeps_out_the_owners_whole_organisation() public {
        bytes32 artefact = built("m");
        IWorkspace.Transition memory validate = step(artefact, VALIDATE);
        refused(abi.encodeWithSelector(IWorkspace.FourEyes.selector, artefact, uint16(1)));
        act(arno, validate);
    }

    function test_content_needed_and_forbidden() public {
        bytes32 artefact = register(anne, "m", MODEL);
        IWorkspace.Transition memory build = step(artefact, BUILD);
        refused(abi.encodeWithSelector(IWorkspace.ContentNeeded.selector, artefact));
        act(anne, build);
        artefact = built("n");
        IWorkspace.Transition memory validate = change(artefact, VALIDATE);
        refused(abi.encodeWithSelector(IWorkspace.ContentForbidden.selector, artefact));
        act(bert, validate);
    }

    function test_an_input_needed() public {
        bytes32 artefact = built("m");
        IWorkspace.Transition memory rebuild = change(artefact, REBUILD);
        refused(abi.encodeWithSelector(IWorkspace.InputNeeded.selector, artefact));
        act(anne, rebuild);
    }

    function test_a_delay_is_waited_for_to_the_second() public {
        bytes32 artefact = built("m");
        IWorkspace.Transition memory ripen = step(artefact, RIPEN);
        vm.warp(START + 1 hours - 1);
        refused(abi.encodeWithSelector(IWorkspace.TooEarly.selector, artefact, START + 1 hours));
        act(anne, ripen);
        vm.warp(START + 1 hours);
        act(anne, ripen);
    }

    function test_an_input_must_exist_be_at_its_head_and_be_usable() public {
        bytes32 artefact = built("m");
        bytes32 draft = register(anne, "draft", MODEL);
        bytes32 data = built("data");
        IWorkspace.Transition memory rebuild = change(artefact, REBUILD);

        rebuild.inputs = using_(address(0), id("nothing"), 0);
        refused(notUsable(rebuild.inputs[0]));
        act(anne, rebuild);
        rebuild.inputs = using_(draft);
        refused(notUsable(rebuild.inputs[0]));
        act(anne, rebuild);
        rebuild.inputs = using_(address(0), data, digest("another head"));
        refused(notUsable(rebuild.inputs[0]));
        act(anne, rebuild);
        rebuild.inputs = using_(data);
        act(anne, rebuild);
    }

    function test_an_input_is_only_recorded_by_a_rule_without_the_guard() public {
        bytes32 artefact = validated("m");
        IWorkspace.Transition memory reopen = change(artefact, REOPEN);
        reopen.inputs = using_(address(0), id("nothing"), digest("no head"));
        act(anne, reopen);
        (,,,,,,, bytes32 held) = ws.artefactOf(artefact);
        assertEq(held, commitment(reopen.inputs), "held");
    }

    // ------------------------------------------------------------------------------------------------ evidence

    function test_evidence_must_be_a_usable_evaluation_of_another_organisation() public {
        bytes32 artefact = built("m");
        bytes32 ours = register(anne, "our evaluation", EVALUATION);
        act(anne, step(ours, CLOSE));
        bytes32 theirs = register(cleo, "their evaluation", EVALUATION);
        bytes32 log = register(cleo, "their log", LOG);
        IWorkspace.Transition memory prove = step(artefact, PROVE);
        bytes memory missing = abi.encodeWithSelector(IWorkspace.EvidenceMissing.selector, artefact, EVALUATION);

        refused(missing); // none
        act(anne, prove);
        prove.inputs = using_(ours);
        refused(missing); // our own organisation's
        act(anne, prove);
        prove.inputs = using_(theirs);
        refused(missing); // not yet in a usable state
        act(anne, prove);
        prove.inputs = using_(log);
        refused(missing); // of another lifecycle
        act(anne, prove);
        act(cleo, step(theirs, CLOSE));
        bytes32 head = ws.headOf(theirs);
        prove.inputs = using_(address(0), theirs, digest("an old head"));
        refused(missing); // not at its head
        act(anne, prove);
        prove.inputs = using_(address(ws), theirs, head);
        refused(missing); // named as if it lived elsewhere
        act(anne, prove);
        prove.inputs = using_(theirs);
        act(anne, prove);
    }

    function test_withdrawn_evidence_counts_no_more() public {
        bytes32 artefact = built("m");
        bytes32 theirs = register(cleo, "their evaluation", EVALUATION);
        act(cleo, step(theirs, CLOSE));
        act(cleo, step(theirs, WITHDRAW));
        IWorkspace.Transition memory prove = step(artefact, PROVE);
        prove.inputs = using_(theirs);
        refused(abi.encodeWithSelector(IWorkspace.EvidenceMissing.selector, artefact, EVALUATION));
        act(anne, prove);
    }

    // ------------------------------------------------------------------------------------------------- anchors

    function test_anchors_form_a_chain_of_their_member() public {
        vm.prank(anne);
        ws.anchor(IWorkspace.Anchor(0, digest("1"), 7));
        bytes32 first = chained(keccak256(abi.encode(bytes32(0), digest("1"), uint64(7), anne)));
        assertEq(ws.anchorHeadOf(anne), first, "first");
        vm.prank(anne);
        ws.anchor(IWorkspace.Anchor(first, digest("2"), 8));
        assertEq(ws.anchorHeadOf(anne), chained(keccak256(abi.encode(first, digest("2"), uint64(8), anne))), "second");
        assertEq(ws.anchorHeadOf(arno), 0, "another member's");
        (uint16 organisation, uint16 roles) = ws.memberOf(anne);
        assertEq(organisation, 1, "organisation");
        assertEq(roles, ADMIN | CONTRIBUTOR | OPERATOR, "roles");
    }

    function test_an_anchor_builds_on_the_chain_it_saw() public {
        vm.prank(anne);
        ws.anchor(IWorkspace.Anchor(0, digest("1"), 7));
        bytes32 head = ws.anchorHeadOf(anne);
        refused(abi.encodeWithSelector(IWorkspace.AnchorMismatch.selector, anne, bytes32(0), head));
        vm.prank(anne);
        ws.anchor(IWorkspace.Anchor(0, digest("2"), 8));
    }

    function test_a_removed_member_anchors_no_more() public {
        govern(1, abi.encode(IWorkspace.Member(dora, 300, 0)));
        refused(abi.encodeWithSelector(IWorkspace.NotAMember.selector, dora));
        vm.prank(dora);
        ws.anchor(IWorkspace.Anchor(0, digest("1"), 7));
    }

    function test_an_anchor_is_not_empty() public {
        refused(abi.encodeWithSelector(IWorkspace.EmptyAnchor.selector));
        vm.prank(anne);
        ws.anchor(IWorkspace.Anchor(0, 0, 7));
        refused(abi.encodeWithSelector(IWorkspace.EmptyAnchor.selector));
        vm.prank(anne);
        ws.anchor(IWorkspace.Anchor(0, digest("1"), 0));
    }

    // ---------------------------------------------------------------------------------------------------- words

    function head0(bytes32 artefact, uint16 lifecycle, address key_) private view returns (bytes32) {
        return keccak256(
            abi.encode(block.chainid, address(ws), artefact, lifecycle, key_, digest("registration"))
        );
    }

    function headAfter(
        IWorkspace.Transition memory made,
        uint8 from,
        uint8 to,
        uint32 seq,
        address key_,
        bytes32 votes
    ) private pure returns (bytes32) {
        return keccak256(
            abi.encode(
                made.expectedHead,
                made.rule,
                from,
                to,
                seq,
                key_,
                made.content,
                made.record,
                commitment(made.inputs),
                votes
            )
        );
    }

    function chained(bytes32 hash) private pure returns (bytes32) {
        return bytes32(uint256(uint224(uint256(hash))));
    }

    function roleMissing(address account, uint16 has, uint16 needed) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IWorkspace.RoleMissing.selector, account, has, needed);
    }

    function notUsable(IWorkspace.Input memory input) private pure returns (bytes memory) {
        return abi.encodeWithSelector(
            IWorkspace.InputNotUsable.selector, input.workspace, input.artefact, input.head
        );
    }
}
