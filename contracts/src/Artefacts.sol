// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Governance} from "./Governance.sol";
import {IWorkspace} from "./IWorkspace.sol";
import {
    ANY_STATE,
    CONTENT_FORBIDDEN,
    CONTENT_NEEDED,
    FOUR_EYES,
    INPUTS_HELD,
    INPUTS_USABLE,
    INPUT_NEEDED,
    OWNER_ONLY,
    REVOKED,
    TERMINAL,
    USABLE
} from "./Lifecycles.sol";
import {ArtefactWord, RuleWord, VoteWord, packArtefact, packCast, packStep, packUse} from "./Words.sol";

/// @title  The artefacts: how they come into being, change by the rules of their lifecycle, and are voted on.
abstract contract Artefacts is Governance {
    struct Artefact {
        ArtefactWord word;
        bytes32 head;
        bytes32 heldInputs; // only in lifecycles that keep inputs
    }

    /// @dev Gas that a question to another workspace may use; its answer takes about 8,000.
    uint256 private constant QUESTION_GAS = 50_000;

    mapping(bytes32 artefact => Artefact) private _artefacts;
    mapping(bytes32 ballot => VoteWord) private _ballots;

    // -------------------------------------------------------------------------------------------------- views

    /// @inheritdoc IWorkspace
    function artefactOf(bytes32 artefact)
        external
        view
        returns (
            address owner,
            uint16 lifecycle,
            uint8 state,
            uint8 flags,
            uint32 seq,
            uint40 changedAt,
            bytes32 head,
            bytes32 heldInputs
        )
    {
        Artefact storage entry = _artefacts[artefact];
        ArtefactWord word = entry.word;
        if (word.isNothing()) revert UnknownArtefact(artefact);
        (owner, lifecycle, state, flags) = (word.ownerOf(), word.lifecycleNumber(), word.stateOf(), word.flagsOf());
        (seq, changedAt, head, heldInputs) = (word.seqOf(), word.timeOf(), entry.head, entry.heldInputs);
    }

    /// @inheritdoc IWorkspace
    function headOf(bytes32 artefact) external view returns (bytes32) {
        return _artefacts[artefact].head;
    }

    /// @inheritdoc IWorkspace
    function usableAt(bytes32 artefact, bytes32 head) public view returns (bool) {
        Artefact storage entry = _artefacts[artefact];
        return entry.word.flagsOf() & USABLE != 0 && entry.head == head;
    }

    /// @inheritdoc IWorkspace
    function revoked(bytes32 artefact) public view returns (bool) {
        return _artefacts[artefact].word.flagsOf() & REVOKED != 0;
    }

    /// @inheritdoc IWorkspace
    function ballotOf(bytes32 ballot) external view returns (uint8 endorsed, bytes32 commitment) {
        VoteWord word = _ballots[ballot];
        return (word.countOf(), word.chainOf());
    }

    // --------------------------------------------------------------------------------------------- operations

    /// @dev Registers an artefact of the actor's and returns its first head.
    function _register(Actor memory actor, Registration calldata registration) internal returns (bytes32 head) {
        bytes32 artefact = registration.artefact;
        uint16 lifecycle = registration.lifecycle;
        _requireScope(actor, artefact);
        Artefact storage entry = _artefacts[artefact];
        if (!entry.word.isNothing()) revert AlreadyRegistered(artefact);
        Header storage header = _headers[lifecycle];
        uint16 roles = header.registerRoles;
        if (roles == 0) revert UnknownLifecycle(lifecycle);
        _requireRole(actor, roles);
        head = keccak256(
            abi.encode(block.chainid, address(this), artefact, lifecycle, actor.key, registration.record)
        );
        entry.word = packArtefact(actor.member, lifecycle, header.initial, header.initialFlags, 0, block.timestamp);
        entry.head = head;
        emit Registered(artefact, lifecycle, actor.member, actor.key, registration.record, head);
    }

    /// @dev Registers an artefact and performs its first transition.
    function _registerWith(Actor memory actor, Registration calldata registration, Transition calldata first) internal {
        bytes32 head = _register(actor, registration);
        if (first.artefact != registration.artefact) revert HeadMismatch(first.artefact, first.expectedHead, head);
        _transit(actor, first);
    }

    /// @dev Performs transitions in their order, all or none.
    function _transitMany(Actor memory actor, Transition[] calldata changes) internal {
        for (uint256 i; i < changes.length; ++i) {
            _transit(actor, changes[i]);
        }
    }

    /// @dev Performs one transition. Most of what a workspace is used for, so each word is read and written once.
    function _transit(Actor memory actor, Transition calldata change) internal {
        bytes32 artefact = change.artefact;
        uint8 number = change.rule;
        Artefact storage entry = _artefacts[artefact];
        ArtefactWord word = entry.word;
        bytes32 expectedHead = change.expectedHead;
        RuleWord rule = _rules[word.ruleKey(number)];
        if (entry.head != expectedHead || !rule.startsAt(word)) _requireFit(artefact, expectedHead, number);
        if (actor.scope != 0) _requireScope(actor, artefact);
        if (actor.roles & rule.ruleRoles() == 0) revert RoleMissing(actor.key, actor.roles, rule.ruleRoles());
        Input[] calldata inputs = change.inputs;
        bytes32 commitment;
        if (inputs.length != 0) commitment = _commitment(inputs);
        bytes32 votes;
        if (rule.isGuarded()) votes = _guard(actor, entry, word, rule, change, commitment);

        uint32 seq = word.nextSeq();
        address key = actor.key;
        bytes32 head = keccak256(
            abi.encode(
                expectedHead,
                number,
                word.stateOf(),
                rule.toState(),
                seq,
                key,
                change.content,
                change.record,
                commitment,
                votes
            )
        );
        entry.word = word.moved(rule, block.timestamp);
        entry.head = head;
        emit Transitioned(
            artefact, change.content, actor.member, packStep(key, number, rule.toState(), seq), change.record, head
        );
        for (uint256 i; i < inputs.length; ++i) {
            Input calldata input = inputs[i];
            emit InputUsed(artefact, input.artefact, input.head, packUse(input.workspace, seq));
        }
    }

    /// @dev Casts a vote, which needs what the transition needs of its place, and a vote role.
    function _endorse(Actor memory actor, Endorsement calldata vote) internal {
        bytes32 artefact = vote.artefact;
        Artefact storage entry = _artefacts[artefact];
        ArtefactWord word = entry.word;
        RuleWord rule = _rules[word.ruleKey(vote.rule)];
        if (entry.head != vote.expectedHead || !rule.startsAt(word)) _requireFit(artefact, vote.expectedHead, vote.rule);
        if (actor.scope != 0) _requireScope(actor, artefact);
        if (rule.quorumOf() == 0) revert NoQuorum(artefact, vote.rule);
        _requireRole(actor, rule.voteRoles());
        if (rule.guardsOf() & FOUR_EYES != 0) _checkFourEyes(actor, word, artefact);
        bytes32 ballot = _ballotId(artefact, vote.expectedHead, vote.rule, vote.content, vote.inputs);
        uint16 organisation = actor.account.organisationOf();
        (VoteWord votes, bool fresh) = _mark(_ballots[ballot], ballot, organisation);
        if (!fresh) revert AlreadyVoted(ballot, organisation);
        if (vote.approve) votes = votes.counted();
        votes = votes.chained(
            uint256(
                keccak256(
                    abi.encode(votes.chainOf(), ballot, actor.key, organisation, vote.approve, vote.record)
                )
            )
        );
        _ballots[ballot] = votes;
        emit Endorsed(
            artefact,
            actor.member,
            packCast(actor.key, vote.rule, organisation, vote.approve),
            vote.expectedHead,
            vote.content,
            vote.inputs,
            vote.record,
            votes.chainOf()
        );
    }

    /// @dev Says why an artefact is not where the signer saw it, or why the rule does not start there. Called only when
    ///      the head differs or the rule does not start in exactly this state, so that the usual case pays nothing.
    function _requireFit(bytes32 artefact, bytes32 expectedHead, uint8 number) private view {
        ArtefactWord word = _artefacts[artefact].word;
        if (word.isNothing()) revert UnknownArtefact(artefact);
        bytes32 head = _artefacts[artefact].head;
        if (head != expectedHead) revert HeadMismatch(artefact, expectedHead, head);
        if (word.flagsOf() & TERMINAL != 0) revert Terminal(artefact, word.stateOf());
        RuleWord rule = _rules[word.ruleKey(number)];
        if (rule.isNoRule()) revert UnknownRule(word.lifecycleNumber(), number);
        if (rule.fromState() != ANY_STATE) revert WrongState(artefact, word.stateOf(), rule.fromState());
    }

    /// @dev What a rule demands beyond state and role; returns the votes' commitment, zero for a rule without quorum.
    function _guard(
        Actor memory actor,
        Artefact storage entry,
        ArtefactWord word,
        RuleWord rule,
        Transition calldata change,
        bytes32 commitment
    ) private returns (bytes32 votes) {
        uint16 guards = rule.guardsOf();
        bytes32 artefact = change.artefact;
        if (guards & OWNER_ONLY != 0 && actor.member != word.ownerOf()) {
            revert OwnerOnly(artefact, word.ownerOf(), actor.member);
        }
        if (guards & FOUR_EYES != 0) _checkFourEyes(actor, word, artefact);
        if (guards & CONTENT_NEEDED != 0 && change.content == 0) revert ContentNeeded(artefact);
        if (guards & CONTENT_FORBIDDEN != 0 && change.content != 0) revert ContentForbidden(artefact);
        if (guards & INPUT_NEEDED != 0 && commitment == 0) revert InputNeeded(artefact);
        uint256 earliest = uint256(word.timeOf()) + rule.minDelayOf();
        if (block.timestamp < earliest) revert TooEarly(artefact, earliest);
        if (rule.quorumOf() != 0) {
            VoteWord ballot =
                _ballots[_ballotId(artefact, change.expectedHead, change.rule, change.content, commitment)];
            if (ballot.countOf() < rule.quorumOf()) {
                revert QuorumMissing(artefact, ballot.countOf(), rule.quorumOf());
            }
            votes = ballot.chainOf();
        }
        if (guards & INPUTS_HELD != 0) _checkHeld(artefact, entry.heldInputs, change.held);
        if (guards & INPUTS_USABLE != 0) _checkUsable(change.inputs);
        if (rule.evidenceOf() != 0) _checkEvidence(artefact, word, rule.evidenceOf(), change.inputs);
        if (rule.keepsInputs() && change.content != 0) entry.heldInputs = commitment;
    }

    // -------------------------------------------------------------------------------------------------- guards

    /// @dev Refuses an actor of the owner's organisation.
    function _checkFourEyes(Actor memory actor, ArtefactWord word, bytes32 artefact) private view {
        uint16 organisation = actor.account.organisationOf();
        if (_accounts[word.ownerOf()].organisationOf() == organisation) revert FourEyes(artefact, organisation);
    }

    /// @dev Refuses inputs that are not at their head in a usable state.
    function _checkUsable(Input[] calldata inputs) private view {
        for (uint256 i; i < inputs.length; ++i) {
            Input calldata input = inputs[i];
            if (!_isUsable(input)) revert InputNotUsable(input.workspace, input.artefact, input.head);
        }
    }

    /// @dev Refuses inputs without a usable artefact of this lifecycle, of this workspace and another organisation.
    function _checkEvidence(bytes32 artefact, ArtefactWord word, uint16 lifecycle, Input[] calldata inputs)
        private
        view
    {
        uint16 organisation = _accounts[word.ownerOf()].organisationOf();
        for (uint256 i; i < inputs.length; ++i) {
            Input calldata input = inputs[i];
            if (input.workspace != address(0)) continue;
            ArtefactWord evidence = _artefacts[input.artefact].word;
            if (
                evidence.lifecycleNumber() == lifecycle && usableAt(input.artefact, input.head)
                    && _accounts[evidence.ownerOf()].organisationOf() != organisation
            ) return;
        }
        revert EvidenceMissing(artefact, lifecycle);
    }

    function _isUsable(Input calldata input) private view returns (bool) {
        if (input.workspace == address(0)) return usableAt(input.artefact, input.head);
        return _ask(input.workspace, abi.encodeCall(IWorkspace.usableAt, (input.artefact, input.head))) == 1;
    }

    /// @dev Refuses `held` if it is not what the current version was made of, or if one of them was revoked since.
    function _checkHeld(bytes32 artefact, bytes32 expected, Input[] calldata held) private view {
        bytes32 actual = _commitment(held);
        if (actual != expected) revert HeldMismatch(artefact, expected, actual);
        for (uint256 i; i < held.length; ++i) {
            Input calldata input = held[i];
            bool bad = input.workspace == address(0)
                ? revoked(input.artefact)
                : _ask(input.workspace, abi.encodeCall(IWorkspace.revoked, (input.artefact))) != 0;
            if (bad) revert InputRevoked(input.workspace, input.artefact);
        }
    }

    /// @dev Another workspace's answer, 0 or 1; anything else (no code, a revert, too much gas) is the highest number.
    ///      Assembly, because Solidity would copy all that a hostile contract returns.
    function _ask(address workspace, bytes memory question) private view returns (uint256 answer) {
        assembly ("memory-safe") {
            let ok := staticcall(QUESTION_GAS, workspace, add(question, 32), mload(question), 0, 32)
            answer := not(0)
            if and(ok, eq(returndatasize(), 32)) { answer := mload(0) }
        }
    }

    /// @inheritdoc Governance
    function _recover(bytes32 artefact, address from, address to) internal override {
        ArtefactWord word = _artefacts[artefact].word;
        if (word.isNothing()) revert UnknownArtefact(artefact);
        if (word.ownerOf() != from) revert NotOwnedBy(artefact, word.ownerOf());
        _artefacts[artefact].word = word.ownedBy(to);
        emit ArtefactRecovered(artefact, from, to);
    }

    function _ballotId(bytes32 artefact, bytes32 head, uint8 rule, bytes32 content, bytes32 inputs)
        private
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(artefact, head, rule, content, inputs));
    }

    function _commitment(Input[] calldata inputs) private pure returns (bytes32) {
        return inputs.length == 0 ? bytes32(0) : keccak256(abi.encode(inputs));
    }
}
