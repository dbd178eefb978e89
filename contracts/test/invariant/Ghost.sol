// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IWorkspace} from "../../src/IWorkspace.sol";
import {World} from "./World.sol";

/// @dev What must be so, kept beside the contract: every operation that the contract accepted is judged by the laws
///      and carried out here. The invariants compare both. Nothing of the contract's own code is used.
abstract contract Ghost is World {
    enum Law {
        HEADS,
        TERMINAL,
        ROLES,
        SESSIONS,
        QUORUM,
        VOTED_HEAD,
        GOVERNANCE,
        NONCES,
        ANCHORS
    }

    struct Person {
        uint16 organisation;
        uint16 roles;
        bytes32 anchorHead;
    }

    struct Grant {
        address member;
        uint16 roles;
        bytes32 artefact;
        uint40 expires;
    }

    struct Kept {
        address owner;
        uint16 lifecycle;
        uint8 state;
        uint8 flags;
        uint32 seq;
        uint256 time;
        bytes32 head;
        bytes32 held;
        bytes32 finalHead; // of the first terminal state that it reached
    }

    struct Vote {
        bytes32 head;
        uint8 rule;
        bytes32 content;
        bytes32 inputs;
        uint16 organisation;
        bool approve;
    }

    struct Tally {
        uint8 endorsed;
        bytes32 chain;
    }

    IWorkspace public ws;
    mapping(Law law => uint256) public breaches;
    string public breach; // the last one

    mapping(address account => Person) internal _people;
    mapping(address key => Grant) internal _grants;
    mapping(address signer => uint256) internal _used; // relayed messages accepted
    mapping(bytes32 artefact => Kept) internal _kept;
    mapping(bytes32 artefact => IWorkspace.Input[]) internal _madeOf; // the current version
    mapping(bytes32 artefact => Vote[]) internal _votes;
    mapping(bytes32 ballot => Tally) internal _tallies;
    mapping(bytes32 ballot => mapping(uint16 organisation => bool)) internal _voted;
    mapping(bytes32 proposal => mapping(uint16 organisation => bool)) internal _approved;
    mapping(bytes32 proposal => uint256) internal _approvals;
    mapping(bytes32 proposal => bool) internal _executed;
    bytes32[] internal _artefacts;
    bytes32[] internal _ballots;
    uint256 internal _epoch;
    uint256 internal _quorum = 2;
    uint256 internal _lifecycles = 3;

    function _demand(bool holds, Law law, string memory what) internal {
        if (holds) return;
        ++breaches[law];
        breach = what;
    }

    // ----------------------------------------------------------------------------------------------- who may act

    /// @dev The member behind an account, what it may do now, and the only artefact it may touch; 0, 0 if nobody.
    function standing(address key) public view returns (address member, uint16 roles, bytes32 scope) {
        if (_people[key].organisation != 0) return (key, _people[key].roles, 0);
        Grant storage grant = _grants[key];
        if (grant.expires <= block.timestamp) return (address(0), 0, 0);
        return (grant.member, grant.roles & _people[grant.member].roles, grant.artefact);
    }

    function may(address key, uint16 needed, bytes32 artefact) public view returns (bool) {
        (, uint16 roles, bytes32 scope) = standing(key);
        return roles & needed != 0 && (scope == 0 || scope == artefact);
    }

    /// @dev Demands that who just acted was allowed to; returns the member.
    function _judgeActor(address key, uint16 needed, bytes32 artefact) internal returns (address member) {
        Law law = _people[key].organisation != 0 ? Law.ROLES : Law.SESSIONS;
        _demand(may(key, needed, artefact), law, "acted without a role");
        (member,,) = standing(key);
    }

    // ------------------------------------------------------------------------------------------------ artefacts

    function _registered(address key, IWorkspace.Registration memory r) internal {
        IWorkspace.Lifecycle memory lifecycle = lifecycles()[r.lifecycle - 1];
        address member = _judgeActor(key, lifecycle.registerRoles, r.artefact);
        Kept storage k = _kept[r.artefact];
        _demand(k.head == 0, Law.HEADS, "registered twice");
        _artefacts.push(r.artefact);
        (k.owner, k.lifecycle, k.state, k.time) = (member, r.lifecycle, lifecycle.initial, block.timestamp);
        k.flags = lifecycle.stateFlags[lifecycle.initial];
        k.head = keccak256(abi.encode(block.chainid, address(ws), r.artefact, r.lifecycle, key, r.record));
    }

    function _transited(address key, IWorkspace.Transition memory t) internal {
        Kept storage k = _kept[t.artefact];
        IWorkspace.Lifecycle memory lifecycle = lifecycles()[k.lifecycle - 1];
        _demand(t.rule < lifecycle.rules.length, Law.HEADS, "no such rule");
        IWorkspace.Rule memory rule = lifecycle.rules[t.rule % lifecycle.rules.length];
        address member = _judgeActor(key, rule.roles, t.artefact);
        _demand(k.finalHead == 0, Law.TERMINAL, "left a terminal state");
        _demand(t.expectedHead == k.head, Law.HEADS, "built on another head");
        _demand(rule.from == k.state || rule.from == 255, Law.HEADS, "started in another state");
        _judgeGuards(member, k, rule, t);
        bytes32 votes;
        if (rule.quorum != 0) votes = _judgeQuorum(rule, t);
        k.head = _headAfter(key, k, rule, t, votes);
        (k.state, k.seq, k.time) = (rule.to, k.seq + 1, block.timestamp);
        k.flags = lifecycle.stateFlags[rule.to];
        if (k.flags & 2 != 0) k.finalHead = k.head;
        if (k.lifecycle == MODEL && t.content != 0) {
            k.held = commitment(t.inputs);
            delete _madeOf[t.artefact];
            for (uint256 i; i < t.inputs.length; ++i) {
                _madeOf[t.artefact].push(t.inputs[i]);
            }
        }
    }

    /// @dev The head after a transition of an artefact that takes no votes.
    function _headAfter(address key, IWorkspace.Transition memory t) internal view returns (bytes32) {
        Kept storage k = _kept[t.artefact];
        return _headAfter(key, k, lifecycles()[k.lifecycle - 1].rules[t.rule], t, 0);
    }

    function _headAfter(
        address key,
        Kept storage k,
        IWorkspace.Rule memory rule,
        IWorkspace.Transition memory t,
        bytes32 votes
    ) private view returns (bytes32) {
        bytes memory step = abi.encode(k.head, t.rule, k.state, rule.to, k.seq + 1, key);
        return keccak256(bytes.concat(step, abi.encode(t.content, t.record, commitment(t.inputs), votes)));
    }

    function _judgeGuards(
        address member,
        Kept storage k,
        IWorkspace.Rule memory rule,
        IWorkspace.Transition memory t
    ) private {
        uint16 own = _people[k.owner].organisation;
        _demand(rule.guards & 1 == 0 || member == k.owner, Law.ROLES, "not the owner");
        _demand(rule.guards & 2 == 0 || _people[member].organisation != own, Law.ROLES, "not four eyes");
        _demand(rule.guards & 4 == 0 || t.content != 0, Law.HEADS, "without content");
        _demand(rule.guards & 8 == 0 || t.content == 0, Law.HEADS, "with content");
        _demand(rule.guards & 32 == 0 || t.inputs.length != 0, Law.HEADS, "without input");
        _demand(rule.guards & 64 == 0 || commitment(t.held) == k.held, Law.HEADS, "held other inputs");
        _demand(block.timestamp >= k.time + rule.minDelay, Law.HEADS, "too early");
        bool evidence;
        for (uint256 i; i < t.inputs.length; ++i) {
            Kept storage input = _kept[t.inputs[i].artefact];
            bool usable = input.head == t.inputs[i].head && isUsable(t.inputs[i].artefact);
            _demand(rule.guards & 16 == 0 || usable, Law.HEADS, "used what is not usable");
            if (usable && input.lifecycle == rule.evidence && _people[input.owner].organisation != own) evidence = true;
        }
        _demand(rule.evidence == 0 || evidence, Law.HEADS, "without evidence");
        for (uint256 i; rule.guards & 64 != 0 && i < t.held.length; ++i) {
            Kept storage held = _kept[t.held[i].artefact];
            _demand(held.lifecycle != MODEL || held.state != 4, Law.HEADS, "held what is revoked");
        }
    }

    function isUsable(bytes32 artefact) internal view returns (bool) {
        Kept storage k = _kept[artefact];
        return k.head != 0 && k.flags & 1 != 0;
    }

    // ---------------------------------------------------------------------------------------------------- votes

    /// @dev Counts the votes cast for exactly this, by going through all votes on the artefact.
    function _judgeQuorum(IWorkspace.Rule memory rule, IWorkspace.Transition memory t) private returns (bytes32) {
        Vote[] storage votes = _votes[t.artefact];
        bytes32 inputs = commitment(t.inputs);
        uint256 forThis;
        uint256 forAnyHead;
        for (uint256 i; i < votes.length; ++i) {
            Vote storage vote = votes[i];
            if (!vote.approve || vote.rule != t.rule || vote.content != t.content || vote.inputs != inputs) continue;
            ++forAnyHead;
            if (vote.head == t.expectedHead) ++forThis;
        }
        Law law = forAnyHead >= rule.quorum ? Law.VOTED_HEAD : Law.QUORUM;
        _demand(forThis >= rule.quorum, law, "moved without its quorum");
        return _tallies[keccak256(abi.encode(t.artefact, t.expectedHead, t.rule, t.content, inputs))].chain;
    }

    function _endorsed(address key, IWorkspace.Endorsement memory v) internal {
        Kept storage k = _kept[v.artefact];
        IWorkspace.Rule memory rule = lifecycles()[k.lifecycle - 1].rules[v.rule];
        address member = _judgeActor(key, rule.voteRoles, v.artefact);
        uint16 org = _people[member].organisation;
        bytes32 ballot = keccak256(abi.encode(v.artefact, v.expectedHead, v.rule, v.content, v.inputs));
        _demand(v.expectedHead == k.head, Law.VOTED_HEAD, "voted on another head");
        _demand(rule.guards & 2 == 0 || _people[k.owner].organisation != org, Law.ROLES, "voted for its own");
        _demand(!_voted[ballot][org], Law.QUORUM, "voted twice");
        _voted[ballot][org] = true;
        _votes[v.artefact].push(Vote(v.expectedHead, v.rule, v.content, v.inputs, org, v.approve));
        Tally storage counted = _tallies[ballot];
        if (counted.chain == 0) _ballots.push(ballot);
        if (v.approve) ++counted.endorsed;
        bytes32 chain = keccak256(abi.encode(counted.chain, ballot, key, org, v.approve, v.record));
        counted.chain = bytes32(uint256(uint184(uint256(chain))));
    }

    // -------------------------------------------------------------------------------------- accounts, governance

    function _anchored(address key, IWorkspace.Anchor memory a) internal {
        address member = _judgeActor(key, type(uint16).max, 0);
        Person storage person = _people[member];
        _demand(a.expectedHead == person.anchorHead, Law.ANCHORS, "anchored on another head");
        bytes32 head = keccak256(abi.encode(person.anchorHead, a.root, a.leaves, key));
        person.anchorHead = bytes32(uint256(uint224(uint256(head))));
    }

    function _granted(address by, IWorkspace.Session memory s) internal {
        Person storage person = _people[by];
        _demand(person.roles != 0, Law.SESSIONS, "granted by who is no member");
        _demand(s.roles & ~person.roles == 0, Law.SESSIONS, "granted what the member has not");
        address before = _grants[s.key].member;
        _demand(before == address(0) || before == by, Law.SESSIONS, "taken from its member");
        _demand(_people[s.key].organisation == 0, Law.SESSIONS, "a member made a session key");
        _grants[s.key] = Grant(by, s.roles, s.artefact, s.expires);
    }

    function _revoked(address by, address key) internal {
        (address member,,) = standing(by);
        _demand(member == _grants[key].member, Law.SESSIONS, "revoked by another member");
        _demand(by == member || by == key, Law.SESSIONS, "revoked by another session key");
        _grants[key].expires = 0;
    }

    /// @dev Counts the approval for exactly this payload, and carries it out at the M-th organisation.
    function _governed(address by, IWorkspace.Proposal memory p) internal {
        _demand(_people[by].roles & ADMIN != 0, Law.ROLES, "governed by who is no admin");
        uint16 org = _people[by].organisation;
        bytes32 id = keccak256(abi.encode(_epoch, p.action, p.salt, p.data));
        _demand(!_executed[id], Law.GOVERNANCE, "approved what was done");
        _demand(!_approved[id][org], Law.GOVERNANCE, "approved twice");
        _approved[id][org] = true;
        if (++_approvals[id] < _quorum) return;
        _executed[id] = true;
        if (p.action == 1) {
            IWorkspace.Member memory m = abi.decode(p.data, (IWorkspace.Member));
            uint16 was = _people[m.account].organisation;
            _demand(was == 0 || was == m.organisation, Law.GOVERNANCE, "changed its organisation");
            (_people[m.account].organisation, _people[m.account].roles) = (m.organisation, m.roles);
            ++_epoch;
        } else if (p.action == 2) {
            _quorum = abi.decode(p.data, (uint8));
            ++_epoch;
        } else if (p.action == 3) {
            ++_lifecycles;
        } else if (p.action == 4) {
            (, address to, bytes32[] memory all) = abi.decode(p.data, (address, address, bytes32[]));
            for (uint256 i; i < all.length; ++i) {
                _kept[all[i]].owner = to;
            }
        } else {
            _grants[abi.decode(p.data, (address))].expires = 0;
        }
    }

    // ---------------------------------------------------------------------------------------- for the invariants

    function artefactCount() external view returns (uint256) {
        return _artefacts.length;
    }

    function kept(uint256 index) external view returns (bytes32, address, uint16, uint8, uint32, bytes32, bytes32) {
        Kept storage k = _kept[_artefacts[index]];
        return (_artefacts[index], k.owner, k.lifecycle, k.state, k.seq, k.head, k.held);
    }

    function finalHead(uint256 index) external view returns (bytes32, bytes32) {
        return (_artefacts[index], _kept[_artefacts[index]].finalHead);
    }

    function grantOf(address key) external view returns (address, uint16, bytes32, uint40) {
        Grant storage grant = _grants[key];
        return (grant.member, grant.roles, grant.artefact, grant.expires);
    }

    function personOf(address account) external view returns (uint16, uint16, bytes32) {
        Person storage person = _people[account];
        return (person.organisation, person.roles, person.anchorHead);
    }

    function ballotCount() external view returns (uint256) {
        return _ballots.length;
    }

    function tally(uint256 index) external view returns (bytes32, uint8, bytes32) {
        Tally storage found = _tallies[_ballots[index]];
        return (_ballots[index], found.endorsed, found.chain);
    }

    function governed() external view returns (uint256, uint256, uint256) {
        return (_quorum, _epoch, _lifecycles);
    }

    function usedBy(address signer) external view returns (uint256) {
        return _used[signer];
    }

    function commitment(IWorkspace.Input[] memory inputs) internal pure returns (bytes32) {
        return inputs.length == 0 ? bytes32(0) : keccak256(abi.encode(inputs));
    }
}
