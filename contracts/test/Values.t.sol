// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IWorkspace} from "../src/IWorkspace.sol";
import {Typed} from "./Typed.sol";
import {WorkspaceTest} from "./WorkspaceTest.sol";

/// @dev Whatever values the packed words and signed messages are given: what went in comes out, and its neighbours stay.
contract ValuesTest is WorkspaceTest {
    uint256 private _seed;

    // -------------------------------------------------------------------------------------------------- packed words

    function test_any_member_is_read_back(address account, uint16 organisation, uint16 roles) public {
        vm.assume(account != address(0) && organisation != 0 && roles != 0 && !isFounder(account));
        govern(1, abi.encode(IWorkspace.Member(account, organisation, roles)));
        (uint16 o, uint16 r) = ws.memberOf(account);
        assertEq(o, organisation, "organisation");
        assertEq(r, roles, "roles");
        assertEq(ws.anchorHeadOf(account), 0, "no anchor yet");
    }

    function test_an_anchor_keeps_the_member_and_a_change_of_roles_keeps_the_anchor(uint16 roles, bytes32 root) public {
        vm.assume(roles != 0 && root != 0);
        govern(1, abi.encode(IWorkspace.Member(eve, 65535, roles)));
        vm.prank(eve);
        ws.anchor(IWorkspace.Anchor(0, root, 1));
        bytes32 head = keccak256(abi.encode(bytes32(0), root, uint64(1), eve));
        head = bytes32(uint256(uint224(uint256(head))));
        assertEq(ws.anchorHeadOf(eve), head, "anchor head");
        (uint16 o, uint16 r) = ws.memberOf(eve);
        assertEq((uint256(o) << 16) | r, (65535 << 16) | uint256(roles), "member");
        govern(1, abi.encode(IWorkspace.Member(eve, 65535, 0)));
        assertEq(ws.anchorHeadOf(eve), head, "anchor head of a removed member");
    }

    function test_any_session_is_read_back_before_and_after_its_end(uint16 roles, bytes32 scope, uint40 expires) public {
        govern(1, abi.encode(IWorkspace.Member(anne, 1, 65535)));
        vm.assume(roles != 0 && expires > START);
        grant(anne, roles, scope, expires);
        isSession(roles, scope, expires);
        vm.prank(anne);
        ws.revokeSession(key);
        isSession(roles, scope, 0);
    }

    function isSession(uint16 roles, bytes32 scope, uint40 expires) private view {
        (address m, uint16 r, bytes32 a, uint40 e) = ws.sessionOf(key);
        assertEq(m, anne, "member");
        assertEq(a, scope, "scope");
        assertEq((uint256(r) << 40) | e, (uint256(roles) << 40) | expires, "roles and expiry");
    }

    function test_an_artefact_keeps_time_owner_and_lifecycle(uint256 time, uint8 steps) public {
        time %= 2 ** 36 - 256;
        vm.warp(time);
        bytes32 artefact = register(cleo, "log", LOG);
        for (uint256 i; i < steps % 8; ++i) {
            vm.warp(++time);
            act(cleo, step(artefact, APPEND));
        }
        (address owner, uint16 lifecycle, uint8 state, uint8 flags, uint32 seq, uint40 changedAt,, bytes32 held) =
            ws.artefactOf(artefact);
        assertEq(owner, cleo, "owner");
        assertEq(lifecycle, LOG, "lifecycle");
        assertEq((uint256(state) << 8) | flags, 1, "state 0, usable");
        assertEq(seq, steps % 8, "seq");
        assertEq(changedAt, time, "time");
        assertEq(held, 0, "held");
    }

    function test_any_state_and_its_flags_are_kept(uint8 states, uint8 to, uint8 flags) public {
        IWorkspace.Lifecycle memory made = soundLifecycle(uint256(states), 1);
        uint8 target = uint8(to % made.stateFlags.length);
        (made.initial, made.registerRoles, made.stateFlags[0]) = (0, CONTRIBUTOR, 0);
        made.stateFlags[target] = flags % 8;
        if (target == 0) made.stateFlags[0] &= 5;
        made.rules[0] = IWorkspace.Rule(0, target, CONTRIBUTOR, 0, 0, 0, 0, 0);
        govern(3, abi.encode(made));
        bytes32 artefact = register(anne, "any", 4);
        act(anne, change(artefact, 0));
        (,, uint8 state, uint8 found,,,,) = ws.artefactOf(artefact);
        assertEq(state, target, "state");
        assertEq(found, made.stateFlags[target], "flags");
        assertTrue(ws.revoked(artefact) == (found & 4 != 0), "revoked");
        assertTrue(ws.usableAt(artefact, ws.headOf(artefact)) == (found & 1 != 0), "usable");
    }

    function test_a_lifecycle_without_held_inputs_keeps_none() public {
        bytes32 shown = register(cleo, "evaluation", EVALUATION);
        act(cleo, step(shown, CLOSE));
        IWorkspace.Lifecycle memory made = log();
        made.rules[APPEND].evidence = EVALUATION;
        govern(3, abi.encode(made));
        bytes32 artefact = register(anne, "log", 4);
        IWorkspace.Transition memory append = change(artefact, APPEND);
        append.inputs = using_(shown);
        act(anne, append);
        (,,,,,,, bytes32 held) = ws.artefactOf(artefact);
        assertEq(held, 0, "held");
    }

    /// @dev A rule with one guard asks for what that guard says, and for nothing that another one would.
    function test_each_guard_stands_for_itself_alone() public {
        for (uint16 i; i < 7; ++i) {
            uint16 guard = uint16(1 << i);
            bytes32 artefact = appendable(guard, 0);
            bytes32 draft = register(anne, string.concat("draft ", vm.toString(i)), MODEL); // not usable
            IWorkspace.Transition memory append = step(artefact, APPEND);
            append.content = guard == 8 ? bytes32(0) : digest("content");
            append.inputs = using_(guard == 16 ? artefact : draft);
            act(guard == 2 ? cleo : guard == 1 ? anne : arno, append);
            (,,,,,,, bytes32 held) = ws.artefactOf(artefact);
            assertEq(held, guard == 64 ? commitment(append.inputs) : bytes32(0), "held");
        }
    }

    function test_each_guard_alone_is_enough_to_refuse() public {
        bytes32 draft = register(anne, "draft", MODEL); // not usable
        for (uint16 i; i < 7; ++i) {
            uint16 guard = uint16(1 << i);
            IWorkspace.Transition memory append = step(appendable(guard, 0), APPEND);
            if (guard == 8) append.content = digest("content");
            if (guard == 16) append.inputs = using_(draft);
            if (guard == 64) append.held = using_(draft);
            isRefused(append, guard == 2 ? anne : arno);
        }
        isRefused(step(appendable(0, MODEL), APPEND), anne); // evidence alone, of lifecycle 1
    }

    function isRefused(IWorkspace.Transition memory append, address by) private {
        vm.prank(by);
        (bool accepted,) = address(ws).call(abi.encodeCall(ws.transition, (append)));
        assertTrue(!accepted, "refused");
    }

    /// @dev A log of Anne's whose only rule has these guards, or asks for this evidence.
    function appendable(uint16 guards, uint16 evidence) private returns (bytes32) {
        IWorkspace.Lifecycle memory made = log();
        (made.rules[APPEND].guards, made.rules[APPEND].evidence) = (guards, evidence);
        govern(3, abi.encode(made));
        uint16 number = ws.lifecycleCount();
        return register(anne, string.concat("log ", vm.toString(number)), number);
    }

    // ---------------------------------------------------------------------------------------------------- lifecycles

    function test_any_sound_lifecycle_is_read_back(uint256 seed, uint8 rules) public {
        IWorkspace.Lifecycle memory made = soundLifecycle(seed, rules % 24);
        govern(3, abi.encode(made));
        assertEq(abi.encode(ws.lifecycleOf(4)), abi.encode(made), "lifecycle");
    }

    function test_one_flaw_in_any_rule_is_refused_by_its_number(uint256 seed, uint8 rules, uint8 at, uint8 flaw) public {
        IWorkspace.Lifecycle memory made = soundLifecycle(seed, 1 + rules % 12);
        at = uint8(at % made.rules.length);
        spoil(made.rules[at], flaw % 7, uint8(made.stateFlags.length));
        IWorkspace.Proposal memory adding = proposal(3, abi.encode(made));
        approve(anne, adding);
        refused(abi.encodeWithSelector(IWorkspace.LifecycleInvalid.selector, at));
        approve(bert, adding);
    }

    function spoil(IWorkspace.Rule memory rule, uint8 flaw, uint8 states) private pure {
        if (flaw == 0) rule.to = states;
        else if (flaw == 1) rule.from = states;
        else if (flaw == 2) rule.roles = 0;
        else if (flaw == 3) rule.guards |= 128;
        else if (flaw == 4) rule.guards |= 12;
        else if (flaw == 5) (rule.quorum, rule.voteRoles) = (0, 1);
        else (rule.quorum, rule.voteRoles) = (1, 0);
    }

    /// @dev A lifecycle with whatever values are sound, the extremes among them.
    function soundLifecycle(uint256 seed, uint256 rules) private returns (IWorkspace.Lifecycle memory made) {
        _seed = seed;
        uint256 states = draw(4) == 0 ? 64 : 1 + draw(64);
        made.definition = bytes32(1 + draw(type(uint256).max));
        made.registerRoles = uint16(1 + draw(65535));
        made.stateFlags = new uint8[](states);
        for (uint256 i; i < states; ++i) {
            made.stateFlags[i] = uint8(draw(8));
        }
        made.initial = uint8(draw(states));
        made.rules = new IWorkspace.Rule[](rules);
        for (uint256 i; i < rules; ++i) {
            made.rules[i] = soundRule(made.stateFlags);
        }
    }

    function soundRule(uint8[] memory flags) private returns (IWorkspace.Rule memory rule) {
        rule.from = uint8(draw(flags.length));
        if (flags[rule.from] & 2 != 0) rule.from = 255;
        (rule.to, rule.roles) = (uint8(draw(flags.length)), uint16(1 + draw(65535)));
        rule.guards = uint16(draw(128));
        if (rule.guards & 12 == 12) rule.guards ^= 4;
        if (draw(2) == 0) (rule.quorum, rule.voteRoles) = (uint8(1 + draw(255)), uint16(1 + draw(65535)));
        (rule.minDelay, rule.evidence) = (uint32(draw(2 ** 32)), uint16(draw(65536)));
    }

    function draw(uint256 below) private returns (uint256) {
        _seed = uint256(keccak256(abi.encode(_seed)));
        return _seed % below;
    }

    // ------------------------------------------------------------------------------------------------------ messages

    function test_any_transitions_are_what_a_wallet_signs(uint256 seed, uint256 deadline) public {
        vm.assume(deadline >= START);
        _seed = seed;
        IWorkspace.Transition[] memory all = new IWorkspace.Transition[](1 + draw(3));
        for (uint256 i; i < all.length; ++i) {
            all[i] = anyTransition();
        }
        bytes32 message = Typed.transitMany(all, 0, deadline);
        isSigned(abi.encodeCall(ws.transitionsFor, (all, relay(deadline, message))), IWorkspace.UnknownArtefact.selector);
        message = Typed.transit(all[0], 0, deadline);
        isSigned(abi.encodeCall(ws.transitionFor, (all[0], relay(deadline, message))), IWorkspace.UnknownArtefact.selector);
    }

    function anyTransition() private returns (IWorkspace.Transition memory) {
        uint256 all = type(uint256).max;
        (bytes32 artefact, bytes32 head, bytes32 content) = (bytes32(draw(all)), bytes32(draw(all)), bytes32(draw(all)));
        return IWorkspace.Transition(
            artefact, head, uint8(draw(256)), content, bytes32(draw(all)), anyInputs(draw(4)), anyInputs(draw(4))
        );
    }

    function anyInputs(uint256 count) private returns (IWorkspace.Input[] memory inputs) {
        inputs = new IWorkspace.Input[](count);
        for (uint256 i; i < count; ++i) {
            uint256 number = draw(type(uint256).max);
            inputs[i] = IWorkspace.Input(address(uint160(number)), bytes32(number), keccak256(abi.encode(number)));
        }
    }

    function test_any_vote_anchor_or_proposal_is_what_a_wallet_signs(
        IWorkspace.Endorsement memory v,
        IWorkspace.Anchor memory a,
        IWorkspace.Proposal memory p
    ) public {
        bytes32 message = Typed.endorse(v, 0, START);
        isSigned(abi.encodeCall(ws.endorseFor, (v, relay(START, message))), IWorkspace.UnknownArtefact.selector);
        (a.expectedHead, a.root, a.leaves) = (bytes32(uint256(a.expectedHead) | 1), a.root | bytes32(uint256(1)), a.leaves | 1);
        message = Typed.putAnchor(a, 0, START);
        isSigned(abi.encodeCall(ws.anchorFor, (a, relay(START, message))), IWorkspace.AnchorMismatch.selector);
        p.action = 6;
        message = Typed.govern(p, 0, START);
        isSigned(abi.encodeCall(ws.governFor, (p, relay(START, message))), IWorkspace.UnknownAction.selector);
    }

    function test_any_registration_or_grant_is_what_a_wallet_signs(
        IWorkspace.Registration memory r,
        IWorkspace.Session memory s,
        bytes memory consent
    ) public {
        r.lifecycle |= 4;
        bytes32 message = Typed.register(r, 0, START);
        isSigned(abi.encodeCall(ws.registerFor, (r, relay(START, message))), IWorkspace.UnknownLifecycle.selector);
        s.roles = 0;
        message = Typed.grantSession(s, consent, 0, START);
        isSigned(abi.encodeCall(ws.grantSessionFor, (s, consent, relay(START, message))), IWorkspace.SessionRefused.selector);
    }

    function relay(uint256 deadline, bytes32 message) private view returns (IWorkspace.Relay memory) {
        return IWorkspace.Relay(anne, 0, deadline, signed(ANNE_KEY, message));
    }

    /// @dev A message whose signature is found good is refused for what it says.
    function isSigned(bytes memory call, bytes4 reason) private {
        (bool accepted, bytes memory found) = address(ws).call(call);
        assertTrue(!accepted, "refused");
        assertEq(bytes32(bytes4(found)), bytes32(reason), "reason");
    }

    function isFounder(address account) private view returns (bool) {
        (uint16 organisation,) = ws.memberOf(account);
        return organisation != 0;
    }
}
