// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IWorkspace} from "../src/IWorkspace.sol";
import {WorkspaceTest} from "./WorkspaceTest.sol";

/// @dev Session keys: consent, scope, roles, expiry, revocation.
contract SessionsTest is WorkspaceTest {
    uint40 private constant LATER = uint40(START + 1 days);

    function test_a_session_key_acts_for_its_member() public {
        grant(anne, CONTRIBUTOR, 0, LATER);
        bytes32 artefact = register(key, "m", MODEL);
        (address owner,,,,,,,) = ws.artefactOf(artefact);
        assertEq(owner, anne, "owner");
        act(key, change(artefact, BUILD));
        vm.prank(key);
        ws.anchor(IWorkspace.Anchor(0, digest("root"), 1));
        assertTrue(ws.anchorHeadOf(anne) != 0, "anchored in the member's chain");
        assertEq(ws.anchorHeadOf(key), 0, "a session key has no chain of its own");
        (uint16 organisation,) = ws.memberOf(key);
        assertEq(organisation, 0, "a session key is no member");
    }

    function test_a_session_is_read_as_it_was_granted() public {
        grant(anne, CONTRIBUTOR, id("m"), LATER);
        (address member, uint16 roles, bytes32 artefact, uint40 expires) = ws.sessionOf(key);
        assertEq(member, anne, "member");
        assertEq(roles, CONTRIBUTOR, "roles");
        assertEq(artefact, id("m"), "artefact");
        assertEq(expires, LATER, "expires");
        (member, roles, artefact, expires) = ws.sessionOf(anne);
        assertEq(member, address(0), "a member is no session key");
    }

    function test_a_scoped_session_touches_its_artefact_only() public {
        bytes32 artefact = id("m");
        grant(anne, CONTRIBUTOR, artefact, LATER);
        register(key, "m", MODEL);
        bytes32 other = register(anne, "other", MODEL);
        IWorkspace.Transition memory build = change(other, BUILD);
        refused(scope(artefact, other));
        act(key, build);
        refused(scope(artefact, id("third")));
        register(key, "third", MODEL);
        refused(scope(artefact, 0));
        vm.prank(key);
        ws.anchor(IWorkspace.Anchor(0, digest("root"), 1));
        act(key, change(artefact, BUILD));
    }

    function test_a_scope_holds_in_batches_and_votes() public {
        bytes32 other = built("other");
        grant(cleo, VERIFIER | CONTRIBUTOR, id("m"), LATER);
        IWorkspace.Transition[] memory changes = new IWorkspace.Transition[](1);
        changes[0] = change(other, MERGE);
        refused(scope(id("m"), other));
        vm.prank(key);
        ws.transitions(changes);
        refused(scope(id("m"), other));
        endorse(key, changes[0]);
    }

    function test_a_session_has_no_more_than_its_roles() public {
        grant(anne, OPERATOR, 0, LATER);
        refused(abi.encodeWithSelector(IWorkspace.RoleMissing.selector, key, OPERATOR, CONTRIBUTOR));
        register(key, "m", MODEL);
    }

    function test_a_session_has_no_more_than_its_members_roles_now() public {
        grant(anne, CONTRIBUTOR, 0, LATER);
        govern(1, abi.encode(IWorkspace.Member(anne, 1, ADMIN)));
        refused(abi.encodeWithSelector(IWorkspace.RoleMissing.selector, key, uint16(0), CONTRIBUTOR));
        register(key, "m", MODEL);
        refused(abi.encodeWithSelector(IWorkspace.RoleMissing.selector, key, uint16(0), type(uint16).max));
        vm.prank(key);
        ws.anchor(IWorkspace.Anchor(0, digest("root"), 1));
    }

    function test_a_session_ends_with_its_member() public {
        grant(arno, CONTRIBUTOR, 0, LATER);
        govern(1, abi.encode(IWorkspace.Member(arno, 1, 0)));
        refused(abi.encodeWithSelector(IWorkspace.NotAMember.selector, arno));
        register(key, "m", MODEL);
    }

    function test_a_session_ends_at_its_time() public {
        grant(anne, CONTRIBUTOR, 0, LATER);
        vm.warp(LATER - 1);
        register(key, "m", MODEL);
        vm.warp(LATER);
        refused(abi.encodeWithSelector(IWorkspace.SessionEnded.selector, key, LATER));
        register(key, "n", MODEL);
    }

    function test_a_revoked_session_ends_and_its_member_may_grant_it_again() public {
        grant(anne, CONTRIBUTOR, 0, LATER);
        vm.prank(anne);
        ws.revokeSession(key);
        refused(abi.encodeWithSelector(IWorkspace.SessionEnded.selector, key, uint40(0)));
        register(key, "m", MODEL);
        (,,, uint40 expires) = ws.sessionOf(key);
        assertEq(expires, 0, "expires");
        grant(anne, CONTRIBUTOR, 0, LATER);
        register(key, "m", MODEL);
    }

    function test_only_its_member_or_governance_revokes_a_session() public {
        grant(anne, CONTRIBUTOR, 0, LATER);
        refused(abi.encodeWithSelector(IWorkspace.SessionTaken.selector, key, anne));
        vm.prank(bert);
        ws.revokeSession(key);
        refused(abi.encodeWithSelector(IWorkspace.NotAMember.selector, eve));
        vm.prank(anne);
        ws.revokeSession(eve);
        refused(abi.encodeWithSelector(IWorkspace.NotAMember.selector, bert));
        vm.prank(anne);
        ws.revokeSession(bert);
        govern(5, abi.encode(key));
        refused(abi.encodeWithSelector(IWorkspace.SessionEnded.selector, key, uint40(0)));
        register(key, "m", MODEL);
    }

    function test_a_session_key_may_revoke_itself() public {
        grant(anne, CONTRIBUTOR, 0, LATER);
        vm.prank(key);
        ws.revokeSession(key);
        refused(abi.encodeWithSelector(IWorkspace.SessionEnded.selector, key, uint40(0)));
        register(key, "m", MODEL);
    }

    function test_a_session_key_does_not_revoke_others_of_its_member() public {
        grant(anne, CONTRIBUTOR, 0, LATER);
        uint256 otherKey = 0xc0ffee;
        address other = vm.addr(otherKey);
        IWorkspace.Session memory session = IWorkspace.Session(other, CONTRIBUTOR, 0, LATER);
        bytes memory consent = consentBy(otherKey, anne, session);
        vm.prank(anne);
        ws.grantSession(session, consent);
        refused(abi.encodeWithSelector(IWorkspace.MembersOnly.selector, key));
        vm.prank(key);
        ws.revokeSession(other);
    }

    function test_a_session_key_neither_grants_nor_governs() public {
        grant(anne, ADMIN | CONTRIBUTOR, 0, LATER);
        IWorkspace.Session memory session = IWorkspace.Session(eve, CONTRIBUTOR, 0, LATER);
        refused(abi.encodeWithSelector(IWorkspace.MembersOnly.selector, key));
        vm.prank(key);
        ws.grantSession(session, "");
        IWorkspace.Proposal memory change_ = proposal(2, abi.encode(uint8(1)));
        refused(abi.encodeWithSelector(IWorkspace.MembersOnly.selector, key));
        approve(key, change_);
    }

    function test_a_key_belongs_to_one_member_for_ever() public {
        grant(anne, CONTRIBUTOR, 0, LATER);
        vm.prank(anne);
        ws.revokeSession(key);
        IWorkspace.Session memory session = IWorkspace.Session(key, CONTRIBUTOR, 0, LATER);
        bytes memory consent = consentOf(cleo, session);
        refused(abi.encodeWithSelector(IWorkspace.SessionTaken.selector, key, anne));
        vm.prank(cleo);
        ws.grantSession(session, consent);
    }

    function test_nobody_claims_a_key_without_its_consent() public {
        IWorkspace.Session memory session = IWorkspace.Session(key, CONTRIBUTOR, 0, LATER);
        bytes memory forAnne = consentOf(anne, session);
        refused(abi.encodeWithSelector(IWorkspace.ConsentInvalid.selector, key));
        vm.prank(cleo); // a thief shows the consent given to another
        ws.grantSession(session, forAnne);
        session.expires += 1;
        refused(abi.encodeWithSelector(IWorkspace.ConsentInvalid.selector, key));
        vm.prank(anne); // the member wants more than was agreed
        ws.grantSession(session, forAnne);
        refused(abi.encodeWithSelector(IWorkspace.ConsentInvalid.selector, key));
        vm.prank(anne);
        ws.grantSession(session, "");
    }

    function test_what_cannot_be_granted() public {
        ungrantable(IWorkspace.Session(address(0), CONTRIBUTOR, 0, LATER));
        ungrantable(IWorkspace.Session(anne, CONTRIBUTOR, 0, LATER)); // itself
        ungrantable(IWorkspace.Session(bert, CONTRIBUTOR, 0, LATER)); // another member
        ungrantable(IWorkspace.Session(key, 0, 0, LATER)); // no role
        ungrantable(IWorkspace.Session(key, REVIEWER, 0, LATER)); // a role it has not
        ungrantable(IWorkspace.Session(key, CONTRIBUTOR, 0, uint40(START))); // over before it began
    }

    function ungrantable(IWorkspace.Session memory session) private {
        bytes memory consent = consentOf(anne, session);
        refused(
            abi.encodeWithSelector(IWorkspace.SessionRefused.selector, session.key, session.roles, session.expires)
        );
        vm.prank(anne);
        ws.grantSession(session, consent);
    }

    function scope(bytes32 granted, bytes32 touched) private view returns (bytes memory) {
        return abi.encodeWithSelector(IWorkspace.SessionScope.selector, key, granted, touched);
    }
}
