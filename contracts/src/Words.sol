// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IWorkspace} from "./IWorkspace.sol";

// The packed storage words, each drawn from its lowest bit. Packing by hand, because a transition must read and write
// each word once; the getters cost what a struct's would. README.md draws them again, with what each one is for.

/// @dev A member or a session key; zero is neither.
///      member:      0 organisation 16 · 16 roles 16 · 32 anchor head 224
///      session key: 0 zero 16         · 16 roles 16 · 32 member 160 · 192 expires 40 · 232 scoped 1
type AccountWord is uint256;

/// @dev Who acts in an operation, never stored: 0 member 160 · 160 organisation 16 · 176 roles it may use now 16 · 192 scoped 1
///      Organisation and roles lie as in the member's account word, so that all of it is cut out and tested in one go.
type ActorWord is uint256;

/// @dev An artefact: 0 owner 160 · 160 lifecycle 16 · 176 state 8 · 184 flags 4 · 188 seq 32 · 220 time 36
type ArtefactWord is uint256;

/// @dev A rule: 0 from 8 · 8 exists 1 · 16 roles 16 · 32 guards 16 · 48 quorum 8 · 56 voteRoles 16 · 72 minDelay 32 ·
///      104 evidence 16 · 120 lifecycle keeps inputs 1 · 176 to 8 · 184 flags of `to` 4
///      `to` and its flags lie where an artefact has its state; `from` and `exists` are compared in one go.
type RuleWord is uint256;

uint256 constant ROLES = 0xffff << 16;
uint256 constant RULE_EXISTS = 1 << 8;
uint256 constant STATE_AND_FLAGS = 0xfff << 176;
uint256 constant OWNER_LIFECYCLE_SEQ = (2 ** 32 - 1) << 188 | (2 ** 176 - 1);

/// @dev A ballot or a proposal: 0 bitmap of the organisations 1 to 63 that voted 64 · 64 count 8 · 72 chain 184
type VoteWord is uint256;

using {organisationOf, rolesOf, anchorOf, memberOf, expiresOf, isScoped, isMember, isNobody, anchored} for AccountWord global;
using {ofMember, ofOrganisation, withRoles, withScope, hasRoleOf} for ActorWord global;
using {ownerOf, lifecycleNumber, stateOf, flagsOf, seqOf, timeOf, isNothing, ownedBy, ruleKey, nextSeq, moved} for ArtefactWord global;
using {
    fromState, toState, ruleRoles, guardsOf, quorumOf, voteRoles, minDelayOf, evidenceOf, keepsInputs, isNoRule, isGuarded, isTimedOrVoted, isAboutInputs, startsAt, unpacked
} for RuleWord global;
using {countOf, chainOf, counted, chained} for VoteWord global;

// ------------------------------------------------------------------------------------------------------ accounts

function packMember(uint16 organisation, uint16 roles, uint256 anchorHead) pure returns (AccountWord) {
    return AccountWord.wrap(uint256(organisation) | uint256(roles) << 16 | anchorHead << 32);
}

function packSession(address member, uint16 roles, uint40 expires, bool scoped) pure returns (AccountWord) {
    return AccountWord.wrap(
        uint256(roles) << 16 | uint256(uint160(member)) << 32 | uint256(expires) << 192 | (scoped ? 1 << 232 : 0)
    );
}

/// @dev The word `signed` of the event `Anchored`: 0 key 160 · 160 leaves 64
function packSigned(uint256 key, uint256 leaves) pure returns (uint256) {
    return key | leaves << 160;
}

/// @dev The member with another anchor head; of `anchorHead`, the lowest 224 bits are kept.
function anchored(AccountWord word, bytes32 anchorHead) pure returns (AccountWord) {
    return AccountWord.wrap(uint32(AccountWord.unwrap(word)) | uint256(anchorHead) << 32);
}

function organisationOf(AccountWord word) pure returns (uint16) {
    return uint16(AccountWord.unwrap(word));
}

function rolesOf(AccountWord word) pure returns (uint16) {
    return uint16(AccountWord.unwrap(word) >> 16);
}

function anchorOf(AccountWord word) pure returns (bytes32) {
    return bytes32(AccountWord.unwrap(word) >> 32);
}

function memberOf(AccountWord word) pure returns (address) {
    return address(uint160(AccountWord.unwrap(word) >> 32));
}

function expiresOf(AccountWord word) pure returns (uint40) {
    return uint40(AccountWord.unwrap(word) >> 192);
}

function isScoped(AccountWord word) pure returns (bool) {
    return AccountWord.unwrap(word) >> 232 != 0;
}

/// @dev Whether it is, or ever was, a member.
function isMember(AccountWord word) pure returns (bool) {
    return word.organisationOf() != 0;
}

function isNobody(AccountWord word) pure returns (bool) {
    return AccountWord.unwrap(word) == 0;
}

// -------------------------------------------------------------------------------------------------------- actors

/// @dev A member that acts itself.
function packActor(address member, AccountWord account) pure returns (ActorWord) {
    return ActorWord.wrap(uint256(uint160(member)) | uint256(uint32(AccountWord.unwrap(account))) << 160);
}

/// @dev A session key acting for the member: with the roles that both have, in its scope.
function packSessionActor(address member, AccountWord account, AccountWord session) pure returns (ActorWord) {
    uint256 roles = AccountWord.unwrap(account) & AccountWord.unwrap(session) & ROLES;
    return ActorWord.wrap(
        uint256(uint160(member)) | (account.organisationOf() | roles) << 160 | (session.isScoped() ? 1 << 192 : 0)
    );
}

function ofMember(ActorWord actor) pure returns (address) {
    return address(uint160(ActorWord.unwrap(actor)));
}

function ofOrganisation(ActorWord actor) pure returns (uint16) {
    return uint16(ActorWord.unwrap(actor) >> 160);
}

function withRoles(ActorWord actor) pure returns (uint16) {
    return uint16(ActorWord.unwrap(actor) >> 176);
}

/// @dev Whether a session key acts that may touch one artefact only.
function withScope(ActorWord actor) pure returns (bool) {
    return ActorWord.unwrap(actor) >> 192 != 0;
}

/// @dev Whether the actor has one of the roles that may perform the rule.
function hasRoleOf(ActorWord actor, RuleWord rule) pure returns (bool) {
    return (ActorWord.unwrap(actor) >> 160) & RuleWord.unwrap(rule) & ROLES != 0;
}

// ----------------------------------------------------------------------------------------------------- artefacts

function packArtefact(address owner, uint16 lifecycle, uint8 state, uint8 flags, uint32 seq, uint256 time)
    pure
    returns (ArtefactWord)
{
    return ArtefactWord.wrap(
        uint256(uint160(owner)) | uint256(lifecycle) << 160 | uint256(state) << 176 | uint256(flags) << 184
            | uint256(seq) << 188 | time << 220
    );
}

/// @dev The word `use` of the event `InputUsed`: 0 workspace 160 · 160 seq 32
function packUse(address workspace, uint256 seq) pure returns (uint256) {
    return uint256(uint160(workspace)) | seq << 160;
}

/// @dev The word `step` of the event `Transitioned`: 0 key 160 · 160 rule 8 · 168 to 8 · 176 seq 32
function packStep(uint256 key, uint256 number, RuleWord rule, uint256 seq) pure returns (uint256) {
    return key | number << 160 | RuleWord.unwrap(rule) >> 8 & 0xff << 168 | seq << 176;
}

function ownerOf(ArtefactWord word) pure returns (address) {
    return address(uint160(ArtefactWord.unwrap(word)));
}

function lifecycleNumber(ArtefactWord word) pure returns (uint16) {
    return uint16(ArtefactWord.unwrap(word) >> 160);
}

function stateOf(ArtefactWord word) pure returns (uint8) {
    return uint8(ArtefactWord.unwrap(word) >> 176);
}

function flagsOf(ArtefactWord word) pure returns (uint8) {
    return uint8(ArtefactWord.unwrap(word) >> 184) & 15;
}

function seqOf(ArtefactWord word) pure returns (uint32) {
    return uint32(ArtefactWord.unwrap(word) >> 188);
}

function timeOf(ArtefactWord word) pure returns (uint40) {
    return uint40(ArtefactWord.unwrap(word) >> 220);
}

/// @dev Where a rule of the artefact's lifecycle is kept: lifecycle number, then rule number.
function ruleKey(ArtefactWord word, uint256 rule) pure returns (uint256) {
    return (ArtefactWord.unwrap(word) >> 152) & 0xffff00 | rule;
}

/// @dev Number of the next transition; 2^32 transitions of one artefact are out of reach.
function nextSeq(ArtefactWord word) pure returns (uint256) {
    unchecked {
        return uint256(word.seqOf()) + 1;
    }
}

/// @dev The word after a transition by this rule at this time.
function moved(ArtefactWord word, RuleWord rule, uint256 time) pure returns (ArtefactWord) {
    unchecked {
        return ArtefactWord.wrap(
            (ArtefactWord.unwrap(word) & OWNER_LIFECYCLE_SEQ) + (1 << 188) | RuleWord.unwrap(rule) & STATE_AND_FLAGS
                | time << 220
        );
    }
}

function isNothing(ArtefactWord word) pure returns (bool) {
    return ArtefactWord.unwrap(word) == 0;
}

function ownedBy(ArtefactWord word, address owner) pure returns (ArtefactWord) {
    return ArtefactWord.wrap(ArtefactWord.unwrap(word) >> 160 << 160 | uint160(owner));
}

// --------------------------------------------------------------------------------------------------------- rules

function packRule(IWorkspace.Rule memory rule, uint8 flagsOfTo, bool lifecycleKeepsInputs) pure returns (RuleWord) {
    return RuleWord.wrap(
        uint256(rule.from) | RULE_EXISTS | uint256(rule.roles) << 16 | uint256(rule.guards) << 32
            | uint256(rule.quorum) << 48 | uint256(rule.voteRoles) << 56 | uint256(rule.minDelay) << 72
            | uint256(rule.evidence) << 104 | (lifecycleKeepsInputs ? 1 << 120 : 0) | uint256(rule.to) << 176
            | uint256(flagsOfTo) << 184
    );
}

function unpacked(RuleWord word) pure returns (IWorkspace.Rule memory) {
    return IWorkspace.Rule({
        from: word.fromState(),
        to: word.toState(),
        roles: word.ruleRoles(),
        guards: word.guardsOf(),
        quorum: word.quorumOf(),
        voteRoles: word.voteRoles(),
        minDelay: word.minDelayOf(),
        evidence: word.evidenceOf()
    });
}

function fromState(RuleWord word) pure returns (uint8) {
    return uint8(RuleWord.unwrap(word));
}

function toState(RuleWord word) pure returns (uint8) {
    return uint8(RuleWord.unwrap(word) >> 176);
}

function ruleRoles(RuleWord word) pure returns (uint16) {
    return uint16(RuleWord.unwrap(word) >> 16);
}

function guardsOf(RuleWord word) pure returns (uint16) {
    return uint16(RuleWord.unwrap(word) >> 32);
}

function quorumOf(RuleWord word) pure returns (uint8) {
    return uint8(RuleWord.unwrap(word) >> 48);
}

function voteRoles(RuleWord word) pure returns (uint16) {
    return uint16(RuleWord.unwrap(word) >> 56);
}

function minDelayOf(RuleWord word) pure returns (uint32) {
    return uint32(RuleWord.unwrap(word) >> 72);
}

function evidenceOf(RuleWord word) pure returns (uint16) {
    return uint16(RuleWord.unwrap(word) >> 104);
}

function keepsInputs(RuleWord word) pure returns (bool) {
    return (RuleWord.unwrap(word) >> 120) & 1 != 0;
}

/// @dev Whether it asks for more than state and role: a guard, quorum, delay or evidence, or inputs to be kept.
function isGuarded(RuleWord word) pure returns (bool) {
    return uint96(RuleWord.unwrap(word) >> 32) != 0;
}

/// @dev Whether it asks for evidence or belongs to a lifecycle that keeps inputs.
function isAboutInputs(RuleWord word) pure returns (bool) {
    return uint24(RuleWord.unwrap(word) >> 104) != 0;
}

/// @dev Whether it asks for a delay or for votes.
function isTimedOrVoted(RuleWord word) pure returns (bool) {
    return uint56(RuleWord.unwrap(word) >> 48) != 0;
}

/// @dev Whether it exists and starts in exactly this artefact's state, which then is not terminal.
function startsAt(RuleWord word, ArtefactWord artefact) pure returns (bool) {
    return uint16(RuleWord.unwrap(word)) == artefact.stateOf() | RULE_EXISTS;
}

function isNoRule(RuleWord word) pure returns (bool) {
    return RuleWord.unwrap(word) == 0;
}

// --------------------------------------------------------------------------------------------------------- votes

function countOf(VoteWord word) pure returns (uint8) {
    return uint8(VoteWord.unwrap(word) >> 64);
}

function chainOf(VoteWord word) pure returns (bytes32) {
    return bytes32(VoteWord.unwrap(word) >> 72);
}

/// @dev The word `cast` of the event `Endorsed`: 0 key 160 · 160 rule 8 · 168 organisation 16 · 184 approve 1
function packCast(uint256 key, uint256 rule, uint256 organisation, uint256 approve) pure returns (uint256) {
    return key | rule << 160 | organisation << 168 | approve << 184;
}

/// @dev One approving vote more; the count stays at 255, which is as many as any quorum can need.
function counted(VoteWord word) pure returns (VoteWord) {
    return word.countOf() == 255 ? word : VoteWord.wrap(VoteWord.unwrap(word) + (1 << 64));
}

/// @dev The same votes with another chain; of `chain`, the lowest 184 bits are kept.
function chained(VoteWord word, uint256 chain) pure returns (VoteWord) {
    return VoteWord.wrap(uint256(uint72(VoteWord.unwrap(word))) | chain << 72);
}
