// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IWorkspace} from "../../src/IWorkspace.sol";
import {Stage} from "./Stage.sol";

/// @dev What Halmos proves of the committed byte code, for every value of a check's arguments at once. Most checks are an
///      "exactly if": a guard taken out, or one too many, is a counterexample.
///
///      Each check has a twin `reach_…` that plays the same scene and claims that it never succeeds; Halmos must refute
///      it. So no check holds because its scene cannot happen.
///
///      Artefacts are arguments throughout: Halmos takes no two hashes of unknown bytes for equal, but knows nothing of
///      that kind about the hashes of more than 128 known bytes, such as a ballot of a known artefact.
contract WorkspaceChecks is Stage {
    // ----------------------------------------------------------------------------------------------------- roles

    /// @dev A transition happens exactly if the member has one of the roles that its rule names.
    function check_no_transition_without_a_permitted_role(bytes32 artefact, uint16 has, uint16 needed, bytes32 content)
        external
    {
        assert(moves(artefact, has, needed, content) == (has & needed != 0));
    }

    function reach_no_transition_without_a_permitted_role(bytes32 artefact, uint16 has, uint16 needed, bytes32 content)
        external
    {
        assert(!moves(artefact, has, needed, content));
    }

    function moves(bytes32 artefact, uint16 has, uint16 needed, bytes32 content) private returns (bool) {
        vm.assume(has != 0 && needed != 0);
        deployWith(has, rule(0, needed, 0));
        return transit(BERT, artefact, start(artefact), 0, content);
    }

    /// @dev Nobody registers without a role that the lifecycle names, or what is registered.
    function check_no_registration_without_a_permitted_role(bytes32 taken, bytes32 artefact, uint16 has) external {
        bool accepted = registers(taken, artefact, has);
        assert(accepted == (has & 6 != 0 && artefact != taken));
        assert((ws.headOf(artefact) != 0) == (accepted || artefact == taken));
    }

    function reach_no_registration_without_a_permitted_role(bytes32 taken, bytes32 artefact, uint16 has) external {
        assert(!registers(taken, artefact, has));
    }

    function registers(bytes32 taken, bytes32 artefact, uint16 has) private returns (bool) {
        vm.assume(has != 0);
        deployWith(has, rule(0, 2, 0));
        start(taken);
        return send(BERT, abi.encodeCall(ws.register, (IWorkspace.Registration(artefact, 1, 0))));
    }

    /// @dev A session key moves an artefact exactly if the key and its member both have a role that the rule names now,
    ///      before it expires, in its scope: whatever the key was granted when, and whatever its member has lost since.
    function check_a_session_key_never_has_more_than_its_member_has(
        bytes32 artefact,
        uint16 granted,
        uint16 has,
        uint40 expires,
        uint64 time,
        bytes32 scope
    ) external {
        bool accepted = actsByKey(artefact, granted, has, expires, time, scope);
        assert(accepted == (granted & has & 2 != 0 && expires > time && (scope == 0 || scope == artefact)));
    }

    function reach_a_session_key_never_has_more_than_its_member_has(
        bytes32 artefact,
        uint16 granted,
        uint16 has,
        uint40 expires,
        uint64 time,
        bytes32 scope
    ) external {
        assert(!actsByKey(artefact, granted, has, expires, time, scope));
    }

    function actsByKey(bytes32 artefact, uint16 granted, uint16 has, uint40 expires, uint64 time, bytes32 scope)
        private
        returns (bool)
    {
        vm.assume(has != 0);
        deployWith(has, rule(0, 2, 0));
        bytes32 head = start(artefact);
        uint256 session = uint256(granted) << 16 | uint256(uint160(BERT)) << 32 | uint256(expires) << 192;
        put(slot(KEY, ACCOUNTS), session | (scope == 0 ? 0 : 1 << 232));
        put(slot(KEY, SCOPES), uint256(scope));
        vm.warp(time);
        return transit(KEY, artefact, head, 0, 0);
    }

    /// @dev No member grants a session a role that it has not, whatever the key's signature.
    function check_no_session_is_granted_more_than_its_member_has(
        uint16 has,
        uint16 granted,
        uint40 expires,
        bytes32 r,
        bytes32 s,
        uint8 v
    ) external {
        if (grants(has, granted, expires, r, s, v)) assert(granted != 0 && granted & ~has == 0);
        (address member, uint16 roles,,) = ws.sessionOf(KEY);
        assert(member == BERT || roles == 0);
    }

    function reach_no_session_is_granted_more_than_its_member_has(
        uint16 has,
        uint16 granted,
        uint40 expires,
        bytes32 r,
        bytes32 s,
        uint8 v
    ) external {
        assert(!grants(has, granted, expires, r, s, v));
    }

    function grants(uint16 has, uint16 granted, uint40 expires, bytes32 r, bytes32 s, uint8 v) private returns (bool) {
        vm.assume(has != 0);
        deployWith(has, rule(0, 2, 0));
        IWorkspace.Session memory session = IWorkspace.Session(KEY, granted, 0, expires);
        return send(BERT, abi.encodeCall(ws.grantSession, (session, abi.encodePacked(r, s, v))));
    }

    // ----------------------------------------------------------------------------------------------------- heads

    /// @dev Nothing leaves a terminal state: no rule, on no head, with no content; nor does it change the head.
    function check_a_terminal_state_is_final(bytes32 artefact, uint8 number, bytes32 expected, bytes32 content) external {
        bytes32 last = ends(artefact);
        assert(!transit(ANNE, artefact, expected, number, content));
        assert(ws.headOf(artefact) == last);
    }

    function reach_a_terminal_state_is_final(bytes32 artefact, uint8 number, bytes32 expected, bytes32 content) external {
        deployWith(2, rule(ANY_STATE, 2, 0));
        start(artefact);
        assert(!transit(ANNE, artefact, expected, number, content));
    }

    function ends(bytes32 artefact) private returns (bytes32) {
        deployWith(2, rule(ANY_STATE, 2, 0));
        assert(transit(ANNE, artefact, start(artefact), END, 0));
        return ws.headOf(artefact);
    }

    /// @dev A transition happens exactly if it names the artefact's head and an existing rule, be it from one state
    ///      or from any; the new head is then the hash that the interface promises, and otherwise the old one.
    function check_the_expected_head_is_necessary(bytes32 artefact, bytes32 expected, uint8 number, bytes32 content)
        external
    {
        deployWith(2, rule(ANY_STATE, 2, 0));
        bytes32 head = start(artefact);
        bool accepted = transit(ANNE, artefact, expected, number, content);
        assert(accepted == (expected == head && number < 2));
        (,, uint8 state,,,,,) = ws.artefactOf(artefact);
        bytes32 next = keccak256(
            abi.encode(head, number, 0, state, uint32(1), ANNE, content, bytes32(0), bytes32(0), bytes32(0))
        );
        assert(ws.headOf(artefact) == (accepted ? next : head));
    }

    function reach_the_expected_head_is_necessary(bytes32 artefact, bytes32 expected, uint8 number, bytes32 content)
        external
    {
        deployWith(2, rule(ANY_STATE, 2, 0));
        start(artefact);
        assert(!transit(ANNE, artefact, expected, number, content));
    }

    /// @dev A transition adds one to whatever sequence number the artefact has, and a refused one nothing; owner and
    ///      lifecycle stay.
    function check_a_sequence_number_grows_by_one(bytes32 artefact, uint32 before, uint16 has, uint8 number) external {
        bool accepted = counts(artefact, before, has, number);
        (address owner, uint16 lifecycle,,, uint32 seq,,,) = ws.artefactOf(artefact);
        assert(seq == (accepted ? before + 1 : before));
        assert(owner == ANNE && lifecycle == 1);
    }

    function reach_a_sequence_number_grows_by_one(bytes32 artefact, uint32 before, uint16 has, uint8 number) external {
        assert(!counts(artefact, before, has, number));
    }

    function counts(bytes32 artefact, uint32 before, uint16 has, uint8 number) private returns (bool) {
        vm.assume(before < type(uint32).max && has != 0);
        deployWith(has, rule(0, 2, 0));
        bytes32 head = start(artefact);
        put(slot(artefact, ARTEFACTS), uint256(uint160(ANNE)) | 1 << 160 | uint256(before) << 188);
        return transit(BERT, artefact, head, number, 0);
    }
}
