// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IWorkspace} from "../../src/IWorkspace.sol";
import {Stage} from "./Stage.sol";

/// @dev Votes, governance and signed messages; see WorkspaceChecks.
contract AgreementChecks is Stage {
    /// @dev A relayed message is accepted only with its signer's next nonce, which then is used up, whatever it was; a
    ///      refused one uses up nothing.
    function check_a_nonce_is_monotone(uint256 next, uint256 nonce, bytes32 r, bytes32 s, uint8 v) external {
        bool accepted = relays(next, nonce, r, s, v);
        if (accepted) assert(nonce == next);
        assert(ws.nonceOf(ANNE) == (accepted ? next + 1 : next));
    }

    function reach_a_nonce_is_monotone(uint256 next, uint256 nonce, bytes32 r, bytes32 s, uint8 v) external {
        assert(!relays(next, nonce, r, s, v));
    }

    function relays(uint256 next, uint256 nonce, bytes32 r, bytes32 s, uint8 v) private returns (bool) {
        vm.assume(next < type(uint256).max);
        deployWith(2, rule(0, 2, 0));
        put(slot(ANNE, NONCES), next);
        assert(ws.nonceOf(ANNE) == next);
        IWorkspace.Relay memory relay = IWorkspace.Relay(ANNE, nonce, type(uint256).max, abi.encodePacked(r, s, v));
        IWorkspace.Registration memory registration = IWorkspace.Registration(keccak256("artefact"), 1, 0);
        return send(CLEO, abi.encodeCall(ws.registerFor, (registration, relay)));
    }

    // ----------------------------------------------------------------------------------------------------- votes

    /// @dev A transition with a quorum happens exactly if that many distinct organisations approved: two members of
    ///      whatever organisations vote, each for or against.
    function check_a_quorum_counts_distinct_organisations(
        bytes32 artefact,
        uint16 b,
        uint16 c,
        bool bertFor,
        bool cleoFor,
        uint8 quorum
    ) external {
        (bool first, bool second, bool accepted) = decides(artefact, b, c, bertFor, cleoFor, quorum);
        assert(first && second == (b != c));
        uint256 approving = (bertFor ? 1 : 0) + (cleoFor && b != c ? 1 : 0);
        assert(accepted == (approving >= quorum));
    }

    function reach_a_quorum_counts_distinct_organisations(
        bytes32 artefact,
        uint16 b,
        uint16 c,
        bool bertFor,
        bool cleoFor,
        uint8 quorum
    ) external {
        (,, bool accepted) = decides(artefact, b, c, bertFor, cleoFor, quorum);
        assert(!accepted || quorum == 1);
    }

    function decides(bytes32 artefact, uint16 b, uint16 c, bool bertFor, bool cleoFor, uint8 quorum)
        private
        returns (bool first, bool second, bool accepted)
    {
        vm.assume(b != 0 && c != 0 && quorum != 0);
        deploy(1, IWorkspace.Member(BERT, b, 2), IWorkspace.Member(CLEO, c, 2), rule(0, 2, quorum));
        bytes32 head = start(artefact);
        first = vote(BERT, artefact, head, 0, bertFor);
        second = vote(CLEO, artefact, head, 0, cleoFor);
        accepted = transit(ANNE, artefact, head, 0, 0);
    }

    /// @dev A vote counts for exactly the content that it names.
    function check_a_vote_counts_for_its_content_alone(bytes32 artefact, bytes32 voted, bytes32 content) external {
        assert(passes(artefact, voted, content) == (voted == content));
    }

    function reach_a_vote_counts_for_its_content_alone(bytes32 artefact, bytes32 voted, bytes32 content) external {
        assert(!passes(artefact, voted, content));
    }

    function passes(bytes32 artefact, bytes32 voted, bytes32 content) private returns (bool) {
        deployWith(2, rule(0, 2, 1));
        bytes32 head = start(artefact);
        assert(vote(BERT, artefact, head, voted, true));
        return transit(ANNE, artefact, head, 0, content);
    }

    /// @dev A vote counts for exactly the head that it names: after the artefact moved on by whatever content, it is void.
    function check_a_vote_counts_for_its_head_alone(bytes32 artefact, bytes32 content) external {
        bytes32 head = movesOn(artefact, content);
        assert(!transit(ANNE, artefact, head, 0, 0));
    }

    /// @dev Another vote, for the new head, is what lets it pass.
    function reach_a_vote_counts_for_its_head_alone(bytes32 artefact, bytes32 content) external {
        bytes32 head = movesOn(artefact, content);
        vote(CLEO, artefact, head, 0, true);
        assert(!transit(ANNE, artefact, head, 0, 0));
    }

    function movesOn(bytes32 artefact, bytes32 content) private returns (bytes32 head) {
        deployWith(2, rule(0, 2, 1));
        head = start(artefact);
        assert(vote(BERT, artefact, head, 0, true));
        assert(transit(ANNE, artefact, head, MOVE, content));
        return ws.headOf(artefact);
    }

    // ------------------------------------------------------------------------------------------------ governance

    /// @dev A change is carried out exactly when admins of M distinct organisations approved it: Anne of organisation 1,
    ///      then Bert of whatever organisation, whose approval counts only if that is another one.
    function check_governance_needs_distinct_organisations(uint16 b, uint8 quorum, bytes32 salt) external {
        (bool second, bool executed) = governs(b, quorum, salt);
        uint256 approving = b == 1 ? 1 : 2;
        assert(executed == (approving >= quorum));
        assert(second == (b != 1 && quorum > 1)); // who comes after the change, or again, is refused
    }

    function reach_governance_needs_distinct_organisations(uint16 b, uint8 quorum, bytes32 salt) external {
        (, bool executed) = governs(b, quorum, salt);
        assert(!executed || quorum == 1);
    }

    function governs(uint16 b, uint8 quorum, bytes32 salt) private returns (bool second, bool executed) {
        vm.assume(b != 0 && quorum != 0 && quorum <= (b == 1 || b == 3 ? 2 : 3));
        deploy(quorum, IWorkspace.Member(BERT, b, 1), IWorkspace.Member(CLEO, 3, 1), rule(0, 2, 0));
        put(slot(KEY, ACCOUNTS), 2 << 16 | uint256(uint160(CLEO)) << 32 | 1 << 192);
        bytes memory call = abi.encodeCall(ws.govern, (IWorkspace.Proposal(5, salt, abi.encode(KEY))));
        assert(send(ANNE, call));
        second = send(BERT, call);
        (,,, uint40 expires) = ws.sessionOf(KEY);
        executed = expires == 0;
    }
}
