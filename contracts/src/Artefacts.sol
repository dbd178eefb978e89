// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Governance} from "./Governance.sol";
import {hashOf, hasInputs, itemOf, noInputs} from "./Assembly.sol";
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
import {ActorWord, ArtefactWord, RuleWord, VoteWord, packArtefact, packCast, packStep, packUse} from "./Words.sol";

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

    /// @dev Registers an artefact.
    function _register(address key, Registration calldata registration) internal {
        _create(_actor(key), key, registration);
    }

    /// @dev Registers an artefact and performs its first transition.
    function _registerWith(address key, Registration calldata registration, Transition calldata first) internal {
        ActorWord actor = _actor(key);
        bytes32 head = _create(actor, key, registration);
        if (first.artefact != registration.artefact) revert HeadMismatch(first.artefact, first.expectedHead, head);
        _move(actor, uint160(key), first);
    }

    /// @dev Performs one transition.
    function _transit(address key, Transition calldata change) internal {
        _move(_actor(key), uint160(key), change);
    }

    /// @dev Performs transitions in their order, all or none. Mostly all have one rule, which then is read once.
    function _transitMany(address key, Transition[] calldata changes) internal {
        ActorWord actor = _actor(key);
        uint256 signer = uint160(key);
        // slither-disable-next-line uninitialized-local  zero until a rule was read, which no rule's key is
        uint256 known;
        // slither-disable-next-line uninitialized-local  zero until a rule was read
        RuleWord rule;
        for (uint256 i; i < changes.length; ++i) {
            Transition calldata change = itemOf(changes, i);
            Artefact storage entry = _artefacts[change.artefact];
            ArtefactWord word = entry.word;
            uint256 number = change.rule;
            uint256 ruleKey = word.ruleKey(number);
            if (ruleKey != known) (known, rule) = (ruleKey, _rules[ruleKey]);
            _perform(actor, signer, change, number, entry, word, rule);
        }
    }

    /// @dev Casts a vote, which needs what the transition needs of its place, and a vote role.
    function _endorse(address key, Endorsement calldata vote) internal {
        ActorWord actor = _actor(key);
        bytes32 artefact = vote.artefact;
        bytes32 expectedHead = vote.expectedHead;
        uint256 number = vote.rule;
        Artefact storage entry = _artefacts[artefact];
        ArtefactWord word = entry.word;
        RuleWord rule = _rules[word.ruleKey(number)];
        if (entry.head != expectedHead) _requireFit(artefact, expectedHead, number);
        if (!rule.startsAt(word)) _requireFit(artefact, expectedHead, number);
        if (actor.withScope()) _requireScope(key, artefact);
        if (rule.quorumOf() == 0) revert NoQuorum(artefact, uint8(number));
        _requireRole(actor, key, rule.voteRoles());
        if (rule.guardsOf() & FOUR_EYES != 0) _checkFourEyes(actor, word, artefact);
        bytes32 ballot = _ballotId(artefact, expectedHead, number, vote.content, vote.inputs);
        uint16 organisation = actor.ofOrganisation();
        (VoteWord votes, bool fresh) = _mark(_ballots[ballot], ballot, organisation);
        if (!fresh) revert AlreadyVoted(ballot, organisation);
        bool approve = vote.approve;
        if (approve) votes = votes.counted();
        uint256 signer = uint160(key);
        uint256 said = approve ? 1 : 0;
        votes = votes.chained(
            uint256(hashOf(votes.chainOf(), ballot, signer, organisation, said, vote.record))
        );
        _ballots[ballot] = votes;
        emit Endorsed(
            artefact,
            actor.ofMember(),
            packCast(signer, number, organisation, said),
            expectedHead,
            vote.content,
            vote.inputs,
            vote.record,
            votes.chainOf()
        );
    }

    /// @inheritdoc Governance
    function _recover(bytes32 artefact, address from, address to) internal override {
        ArtefactWord word = _artefacts[artefact].word;
        if (word.isNothing()) revert UnknownArtefact(artefact);
        if (word.ownerOf() != from) revert NotOwnedBy(artefact, word.ownerOf());
        _artefacts[artefact].word = word.ownedBy(to);
        emit ArtefactRecovered(artefact, from, to);
    }

    // ------------------------------------------------------------------------------------ what operations use

    /// @dev Registers an artefact of the actor's and returns its first head.
    function _create(ActorWord actor, address key, Registration calldata registration) private returns (bytes32 head) {
        bytes32 artefact = registration.artefact;
        uint16 lifecycle = registration.lifecycle;
        if (actor.withScope()) _requireScope(key, artefact);
        Artefact storage entry = _artefacts[artefact];
        if (!entry.word.isNothing()) revert AlreadyRegistered(artefact);
        Header storage header = _headers[lifecycle];
        uint16 roles = header.registerRoles;
        if (roles == 0) revert UnknownLifecycle(lifecycle);
        _requireRole(actor, key, roles);
        head = keccak256(abi.encode(block.chainid, address(this), artefact, lifecycle, key, registration.record));
        address owner = actor.ofMember();
        entry.word = packArtefact(owner, lifecycle, header.initial, header.initialFlags, 0, block.timestamp);
        entry.head = head;
        emit Registered(artefact, lifecycle, owner, key, registration.record, head);
    }

    /// @dev Finds what a transition changes, and performs it.
    function _move(ActorWord actor, uint256 signer, Transition calldata change) private {
        Artefact storage entry = _artefacts[change.artefact];
        ArtefactWord word = entry.word;
        uint256 number = change.rule;
        _perform(actor, signer, change, number, entry, word, _rules[word.ruleKey(number)]);
    }

    /// @dev Performs a transition. Most of what a workspace is used for, so each word is read and written once. What is
    ///      passed beside it was read already: the number of its rule, the artefact's entry and word, and the rule.
    function _perform(
        ActorWord actor,
        uint256 signer,
        Transition calldata change,
        uint256 number,
        Artefact storage entry,
        ArtefactWord word,
        RuleWord rule
    ) private {
        bytes32 artefact = change.artefact;
        bytes32 expectedHead = change.expectedHead;
        if (entry.head != expectedHead) _requireFit(artefact, expectedHead, number);
        if (!rule.startsAt(word)) _requireFit(artefact, expectedHead, number);
        if (actor.withScope()) _requireScope(address(uint160(signer)), artefact);
        if (!actor.hasRoleOf(rule)) {
            revert RoleMissing(address(uint160(signer)), actor.withRoles(), rule.ruleRoles());
        }
        Input[] calldata inputs = noInputs();
        // slither-disable-next-line uninitialized-local  zero without inputs
        bytes32 commitment;
        if (hasInputs(change)) {
            inputs = change.inputs;
            commitment = hashOf(inputs);
        }
        // slither-disable-next-line uninitialized-local  zero without a quorum
        bytes32 votes;
        if (rule.isGuarded()) votes = _guard(actor, entry, word, rule, change, inputs, commitment);

        uint256 seq = word.nextSeq();
        bytes32 content = change.content;
        bytes32 record = change.record;
        bytes32 head = hashOf(
            expectedHead, number, word.stateOf(), rule.toState(), seq, signer, content, record, commitment, votes
        );
        entry.word = word.moved(rule, block.timestamp);
        entry.head = head;
        emit Transitioned(artefact, content, actor.ofMember(), packStep(signer, number, rule, seq), record, head);
        if (commitment != 0) _emitInputs(artefact, inputs, seq);
    }

    /// @dev Says what was used.
    function _emitInputs(bytes32 artefact, Input[] calldata inputs, uint256 seq) private {
        for (uint256 i; i < inputs.length; ++i) {
            Input calldata input = inputs[i];
            emit InputUsed(artefact, input.artefact, input.head, packUse(input.workspace, seq));
        }
    }

    /// @dev Says why an artefact is not where the signer saw it, or why the rule does not start there. Called only when
    ///      the head differs or the rule does not start in exactly this state, so that the usual case pays nothing.
    function _requireFit(bytes32 artefact, bytes32 expectedHead, uint256 number) private view {
        ArtefactWord word = _artefacts[artefact].word;
        if (word.isNothing()) revert UnknownArtefact(artefact);
        bytes32 head = _artefacts[artefact].head;
        if (head != expectedHead) revert HeadMismatch(artefact, expectedHead, head);
        if (word.flagsOf() & TERMINAL != 0) revert Terminal(artefact, word.stateOf());
        RuleWord rule = _rules[word.ruleKey(number)];
        if (rule.isNoRule()) revert UnknownRule(word.lifecycleNumber(), uint8(number));
        if (rule.fromState() != ANY_STATE) revert WrongState(artefact, word.stateOf(), rule.fromState());
    }

    // -------------------------------------------------------------------------------------------------- guards

    /// @dev What a rule demands beyond state and role; returns the votes' commitment, zero for a rule without quorum.
    function _guard(
        ActorWord actor,
        Artefact storage entry,
        ArtefactWord word,
        RuleWord rule,
        Transition calldata change,
        Input[] calldata inputs,
        bytes32 commitment
    ) private returns (bytes32 votes) {
        uint256 guards = rule.guardsOf();
        bytes32 artefact = change.artefact;
        if (guards & (OWNER_ONLY | FOUR_EYES) != 0) _checkActor(actor, word, guards, artefact);
        if (guards & (CONTENT_NEEDED | CONTENT_FORBIDDEN | INPUT_NEEDED) != 0) {
            _checkBrought(guards, artefact, change.content, commitment);
        }
        if (rule.isTimedOrVoted()) votes = _checkTimeAndVotes(word, rule, change, commitment);
        if (guards & INPUTS_HELD != 0) _checkHeld(artefact, entry.heldInputs, change.held);
        if (guards & INPUTS_USABLE != 0) _checkUsable(inputs);
        if (rule.isAboutInputs()) {
            if (rule.evidenceOf() != 0) _checkEvidence(artefact, word, rule.evidenceOf(), inputs);
            if (rule.keepsInputs() && change.content != 0) entry.heldInputs = commitment;
        }
    }

    /// @dev Refuses the wrong person: not the owner, or of the owner's organisation.
    function _checkActor(ActorWord actor, ArtefactWord word, uint256 guards, bytes32 artefact) private view {
        address member = actor.ofMember();
        if (guards & OWNER_ONLY != 0 && member != word.ownerOf()) revert OwnerOnly(artefact, word.ownerOf(), member);
        if (guards & FOUR_EYES != 0) _checkFourEyes(actor, word, artefact);
    }

    /// @dev Refuses content or inputs that the rule forbids, or their absence where it needs them.
    function _checkBrought(uint256 guards, bytes32 artefact, bytes32 content, bytes32 commitment) private pure {
        if (guards & CONTENT_NEEDED != 0 && content == 0) revert ContentNeeded(artefact);
        if (guards & CONTENT_FORBIDDEN != 0 && content != 0) revert ContentForbidden(artefact);
        if (guards & INPUT_NEEDED != 0 && commitment == 0) revert InputNeeded(artefact);
    }

    /// @dev Refuses what comes too early or with too few votes; returns the votes' commitment.
    function _checkTimeAndVotes(ArtefactWord word, RuleWord rule, Transition calldata change, bytes32 commitment)
        private
        view
        returns (bytes32 votes)
    {
        uint256 earliest = uint256(word.timeOf()) + rule.minDelayOf();
        // slither-disable-next-line timestamp  a delay is meant in time; README.md says how far validators can bend it
        if (block.timestamp < earliest) revert TooEarly(change.artefact, earliest);
        uint8 quorum = rule.quorumOf();
        if (quorum == 0) return 0;
        VoteWord ballot =
            _ballots[_ballotId(change.artefact, change.expectedHead, change.rule, change.content, commitment)];
        if (ballot.countOf() < quorum) revert QuorumMissing(change.artefact, ballot.countOf(), quorum);
        return ballot.chainOf();
    }

    /// @dev Refuses an actor of the owner's organisation.
    function _checkFourEyes(ActorWord actor, ArtefactWord word, bytes32 artefact) private view {
        uint16 organisation = actor.ofOrganisation();
        if (_accounts[word.ownerOf()].organisationOf() == organisation) revert FourEyes(artefact, organisation);
    }

    /// @dev Refuses inputs that are not at their head in a usable state.
    function _checkUsable(Input[] calldata inputs) private view {
        for (uint256 i; i < inputs.length; ++i) {
            Input calldata input = inputs[i];
            address workspace = input.workspace;
            bool usable = workspace == address(0)
                ? usableAt(input.artefact, input.head)
                : _ask(workspace, abi.encodeCall(IWorkspace.usableAt, (input.artefact, input.head))) == 1;
            if (!usable) revert InputNotUsable(workspace, input.artefact, input.head);
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
    // slither-disable-next-line assembly  why is said above
    function _ask(address workspace, bytes memory question) private view returns (uint256 answer) {
        assembly ("memory-safe") {
            let ok := staticcall(QUESTION_GAS, workspace, add(question, 32), mload(question), 0, 32)
            answer := not(0)
            if and(ok, eq(returndatasize(), 32)) { answer := mload(0) }
        }
    }

    function _ballotId(bytes32 artefact, bytes32 head, uint256 rule, bytes32 content, bytes32 inputs)
        private
        pure
        returns (bytes32)
    {
        return hashOf(artefact, head, rule, content, inputs);
    }

    function _commitment(Input[] calldata inputs) private pure returns (bytes32) {
        return inputs.length == 0 ? bytes32(0) : hashOf(inputs);
    }
}
