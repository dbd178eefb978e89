// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IWorkspace} from "../../src/IWorkspace.sol";
import {Typed} from "../Typed.sol";
import {Governors} from "./Governors.sol";

/// @dev The operations that the fuzzer calls, each with one number from which it draws everything. Most draws are
///      legal, as far as the ghost knows; every eighth or so is of the wrong person, on an old head, by a wrong rule.
contract Handler is Governors {
    bytes32[] private _heads; // that some artefact had

    constructor() {
        vm.warp(START);
        ws = deploy();
        _now = START;
        IWorkspace.Member[] memory all = founders();
        for (uint256 i; i < all.length; ++i) {
            _people[all[i].account].organisation = all[i].organisation;
            _people[all[i].account].roles = all[i].roles;
        }
        bytes memory first = abi.encode(block.chainid, address(ws), QUIET_ARTEFACT, QUIET, vm.addr(BYSTANDER_KEY), keccak256("record"));
        Kept storage k = _kept[QUIET_ARTEFACT];
        (k.owner, k.lifecycle, k.time, k.head) = (vm.addr(BYSTANDER_KEY), QUIET, START, keccak256(first));
        k.flags = 1;
        _artefacts.push(QUIET_ARTEFACT);
    }

    // ------------------------------------------------------------------------------------------------ artefacts

    function register(uint256 seed) external draws(seed) {
        if (_artefacts.length > 16 && _draw(4) != 0) return transition(seed);
        bytes32 artefact = _odd(12) ? _anyArtefact() : bytes32(keccak256(abi.encode("artefact", _draw(64))));
        IWorkspace.Registration memory r =
            IWorkspace.Registration(artefact, _odd(30) ? 77 : uint16(1 + _draw(2)), bytes32(_draw(9)));
        uint256 by = _oneWho(CONTRIBUTOR, artefact);
        if (_odd(3)) {
            (uint256 nonce, uint256 deadline) = _next(by);
            if (!_relay(by, abi.encodeCall(ws.registerFor, (r, _signed(by, Typed.register(r, nonce, deadline)))))) return;
        } else if (!_send("register", by, abi.encodeCall(ws.register, (r)))) {
            return;
        }
        _registered(_account(by), r);
    }

    function transition(uint256 seed) public draws(seed) {
        (IWorkspace.Transition memory t, uint256 by) = _drawTransition();
        if (_odd(3)) {
            (uint256 nonce, uint256 deadline) = _next(by);
            if (!_relay(by, abi.encodeCall(ws.transitionFor, (t, _signed(by, Typed.transit(t, nonce, deadline)))))) return;
        } else if (!_send("transition", by, abi.encodeCall(ws.transition, (t)))) {
            return;
        }
        _heads.push(t.expectedHead);
        _transited(_account(by), t);
    }

    /// @dev Transitions in one operation: two of one log, the second on the first's head, or of two artefacts, or one.
    function transitions(uint256 seed) external draws(seed) {
        IWorkspace.Transition[] memory all = new IWorkspace.Transition[](2);
        uint256 by;
        (all[0], by) = _drawTransition();
        for (uint256 i; i < 6 && !_fits(by, all[0]) && !_odd(6); ++i) {
            (all[0], by) = _drawTransition();
        }
        if (_kept[all[0].artefact].lifecycle == LOG && all[0].rule == 0 && !_odd(3)) {
            all[1] = abi.decode(abi.encode(all[0]), (IWorkspace.Transition));
            if (!_odd(12)) all[1].expectedHead = _headAfter(_account(by), all[0]);
        } else {
            (all[1],) = _drawTransition();
            for (uint256 i; i < 12 && (all[1].artefact == all[0].artefact || !_fits(by, all[1])); ++i) {
                (all[1],) = _drawTransition();
            }
            bool bad = all[1].artefact == all[0].artefact || !_fits(by, all[1]);
            if (bad && !_odd(4)) {
                IWorkspace.Transition memory first = all[0];
                all = new IWorkspace.Transition[](1);
                all[0] = first;
            }
        }
        if (!_send("transitions", by, abi.encodeCall(ws.transitions, (all)))) return;
        for (uint256 i; i < all.length; ++i) {
            _transited(_account(by), all[i]);
        }
    }

    /// @dev Whether a transition starts where the artefact is, and this is the right person for it.
    function _fits(uint256 by, IWorkspace.Transition memory t) private view returns (bool) {
        Kept storage k = _kept[t.artefact];
        IWorkspace.Rule[] memory rules = lifecycles()[k.lifecycle - 1].rules;
        IWorkspace.Rule memory rule = rules[t.rule % rules.length];
        (address member,,) = standing(_account(by));
        if (t.expectedHead != k.head || (rule.from != k.state && (rule.from != 255 || k.finalHead != 0))) return false;
        if (_now < k.time + rule.minDelay || (rule.guards & 4 != 0) != (t.content != 0)) return false;
        if (rule.guards & 1 != 0 && member != k.owner) return false;
        if (rule.guards & 2 != 0 && _people[member].organisation == _people[k.owner].organisation) return false;
        return may(_account(by), rule.roles, t.artefact);
    }

    /// @dev The bystander's own life: so that votes on its artefact become void.
    function _bystand() private {
        IWorkspace.Transition memory t;
        (t.artefact, t.expectedHead) = (QUIET_ARTEFACT, _kept[QUIET_ARTEFACT].head);
        address bystander = vm.addr(BYSTANDER_KEY);
        if (_sendAs("transition", bystander, abi.encodeCall(ws.transition, (t)))) _transited(bystander, t);
    }

    /// @dev Mostly an artefact that can move: not at its end, and not waiting for votes.
    function _movable() private returns (bytes32 artefact) {
        artefact = _anyArtefact();
        for (uint256 i; i < 8 && !_odd(12); ++i) {
            Kept storage k = _kept[artefact];
            bytes32 ballot = keccak256(abi.encode(artefact, k.head, uint8(3), bytes32(0), bytes32(0)));
            bool waits = k.lifecycle == MODEL && k.state == 2 && _tallies[ballot].endorsed < 2;
            if (!waits && k.finalHead == 0 && k.lifecycle != QUIET) break;
            artefact = _anyArtefact();
        }
    }

    function _drawTransition() private returns (IWorkspace.Transition memory t, uint256 by) {
        t.artefact = _movable();
        Kept storage k = _kept[t.artefact];
        IWorkspace.Rule[] memory rules = lifecycles()[k.lifecycle - 1].rules;
        t.expectedHead = _odd(20) ? _anyHead() : k.head;
        t.rule = _odd(20) ? uint8(_draw(10)) : _ruleFrom(k.state, rules);
        t.record = bytes32(_draw(9));
        IWorkspace.Rule memory rule = rules[t.rule % rules.length];
        if (rule.guards & 4 != 0 || (rule.guards & 8 == 0 && rule.quorum == 0 && _odd(3))) t.content = bytes32(1 + _draw(9));
        if (_odd(20)) t.content = t.content == 0 ? bytes32(uint256(1)) : bytes32(0);
        t.inputs = _drawInputs(rule.guards & 32 != 0 || rule.evidence != 0 || (rule.quorum == 0 && _odd(4)));
        if (rule.guards & 64 != 0 && !_odd(12)) t.held = _madeOf[t.artefact];
        by = _performer(rule, k.owner, t.artefact);
    }

    /// @dev A rule that starts in this state; those that end an artefact's life come rarely.
    function _ruleFrom(uint8 state, IWorkspace.Rule[] memory rules) private returns (uint8) {
        uint256 start = _draw(rules.length);
        for (uint256 i; i < rules.length; ++i) {
            uint256 rule = (start + i) % rules.length;
            if (rules[rule].from == state || (rules[rule].from == 255 && _odd(10))) return uint8(rule);
        }
        return uint8(start);
    }

    function _performer(IWorkspace.Rule memory rule, address owner, bytes32 artefact) private returns (uint256 by) {
        if (rule.guards & 2 != 0) return _oneWhoIsNot(rule.roles, artefact, _people[owner].organisation);
        if (rule.guards & 1 == 0 || _odd(10)) return _oneWho(rule.roles, artefact);
        uint256 start = _draw(PEOPLE);
        for (uint256 i; i < PEOPLE; ++i) {
            by = (start + i) % PEOPLE;
            (address member, uint16 roles,) = standing(_account(by));
            if (member == owner && roles & rule.roles != 0) return by;
        }
    }

    function _drawInputs(bool wanted) private returns (IWorkspace.Input[] memory inputs) {
        if (!wanted) return inputs;
        inputs = new IWorkspace.Input[](1 + _draw(2));
        for (uint256 i; i < inputs.length; ++i) {
            bytes32 artefact = _anyArtefact();
            for (uint256 tries; tries < 8 && !isUsable(artefact) && !_odd(12); ++tries) {
                artefact = _anyArtefact();
            }
            inputs[i] = IWorkspace.Input(address(0), artefact, _odd(20) ? _anyHead() : _kept[artefact].head);
        }
    }

    function _anyArtefact() private returns (bytes32) {
        return _artefacts[_draw(_artefacts.length)];
    }

    function _anyHead() private returns (bytes32) {
        return _heads.length == 0 ? bytes32(0) : _heads[_draw(_heads.length)];
    }

    // ---------------------------------------------------------------------------------------------------- votes

    /// @dev Votes mostly where a release waits for its quorum, now and then on the bystander's artefact.
    function endorse(uint256 seed) external draws(seed) {
        IWorkspace.Endorsement memory v;
        v.artefact = QUIET_ARTEFACT;
        v.rule = 1;
        uint256 start = _draw(_artefacts.length);
        for (uint256 i; i < _artefacts.length && !_odd(20); ++i) {
            bytes32 artefact = _artefacts[(start + i) % _artefacts.length];
            if (_kept[artefact].lifecycle != MODEL || _kept[artefact].state != 2) continue;
            (v.artefact, v.rule) = (artefact, _odd(20) ? 2 : 3);
            break;
        }
        v.expectedHead = _odd(12) ? _anyHead() : _kept[v.artefact].head;
        v.record = bytes32(_draw(9));
        v.approve = !_odd(8);
        if (_odd(8)) v.content = bytes32(uint256(1));
        uint256 by = _voter(v);
        if (_odd(3)) {
            (uint256 nonce, uint256 deadline) = _next(by);
            if (!_relay(by, abi.encodeCall(ws.endorseFor, (v, _signed(by, Typed.endorse(v, nonce, deadline)))))) return;
        } else if (!_send("endorse", by, abi.encodeCall(ws.endorse, (v)))) {
            return;
        }
        _endorsed(_account(by), v);
    }

    /// @dev Mostly somebody who may, and whose organisation has not voted yet.
    function _voter(IWorkspace.Endorsement memory v) private returns (uint256 by) {
        bytes32 ballot = keccak256(abi.encode(v.artefact, v.expectedHead, v.rule, v.content, v.inputs));
        uint16 owner = _people[_kept[v.artefact].owner].organisation;
        for (uint256 i; i < 6; ++i) {
            by = _oneWhoIsNot(REVIEWER | VERIFIER, v.artefact, owner);
            (address member,,) = standing(_account(by));
            if (!_voted[ballot][_people[member].organisation]) return by;
        }
    }

    // -------------------------------------------------------------------------------------------------- accounts

    function anchor(uint256 seed) external draws(seed) {
        uint256 by = _oneWho(type(uint16).max, 0);
        (address member,,) = standing(_account(by));
        IWorkspace.Anchor memory a =
            IWorkspace.Anchor(_people[member].anchorHead, bytes32(1 + _draw(99)), uint64(1 + _draw(99)));
        if (_odd(10)) a.expectedHead = bytes32(_draw(2));
        if (_odd(20)) a.leaves = 0;
        if (_odd(3)) {
            (uint256 nonce, uint256 deadline) = _next(by);
            if (!_relay(by, abi.encodeCall(ws.anchorFor, (a, _signed(by, Typed.putAnchor(a, nonce, deadline)))))) return;
        } else if (!_send("anchor", by, abi.encodeCall(ws.anchor, (a)))) {
            return;
        }
        _anchored(_account(by), a);
    }

    function grantSession(uint256 seed) external draws(seed) {
        uint256 by = _odd(12) ? _draw(PEOPLE) : _draw(MEMBERS);
        uint256 which = FIRST_KEY + _draw(KEYS);
        address known = _grants[_account(which)].member;
        for (uint256 i; i < MEMBERS && known != address(0) && !_odd(12); ++i) {
            if (_account(i) == known) by = i;
        }
        uint16 roles = _people[_account(by)].roles & ~uint16(_draw(2) == 0 ? 0 : 1 << _draw(5));
        if (_odd(12)) roles |= uint16(1 << _draw(6));
        IWorkspace.Session memory s = IWorkspace.Session(
            _account(which), roles, _odd(4) ? _anyArtefact() : bytes32(0), uint40(_now + _draw(5 hours))
        );
        if (_odd(30)) s.key = _account(_draw(MEMBERS));
        bytes memory consent = _consent(_odd(12) ? _draw(PEOPLE) : which, _account(by), s);
        if (_odd(3)) {
            (uint256 nonce, uint256 deadline) = _next(by);
            bytes32 message = Typed.grantSession(s, consent, nonce, deadline);
            if (!_relay(by, abi.encodeCall(ws.grantSessionFor, (s, consent, _signed(by, message))))) return;
        } else if (!_send("grantSession", by, abi.encodeCall(ws.grantSession, (s, consent)))) {
            return;
        }
        _granted(_account(by), s);
    }

    function revokeSession(uint256 seed) external draws(seed) {
        address key = _account(FIRST_KEY + _draw(KEYS));
        for (uint256 i; i < 6 && _grants[key].expires == 0; ++i) {
            key = _account(FIRST_KEY + _draw(KEYS));
        }
        uint256 by = _draw(PEOPLE);
        for (uint256 i; i < MEMBERS && !_odd(30); ++i) {
            if (_account(i) == _grants[key].member) by = i;
        }
        if (!_send("revokeSession", by, abi.encodeCall(ws.revokeSession, (key)))) return;
        _revoked(_account(by), key);
    }

    function wait(uint256 seed) external draws(seed) {
        _now += _draw(2 hours);
        if (_odd(3)) _bystand();
        _tally("wait", true);
    }
}
