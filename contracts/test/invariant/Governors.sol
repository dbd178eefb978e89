// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IWorkspace} from "../../src/IWorkspace.sol";
import {Typed} from "../Typed.sol";
import {Sender} from "./Sender.sol";

/// @dev What the admins do: approve changes one by one, and push changes of members' roles through.
abstract contract Governors is Sender {
    IWorkspace.Proposal[] private _proposals;

    /// @dev Approves an open proposal, the same with other bytes, or a new one.
    function govern(uint256 seed) external draws(seed) {
        uint256 count = _proposals.length;
        if (count == 0 || _odd(3)) _proposals.push(_drawProposal());
        else count = _odd(6) ? _draw(count) : count - 1;
        IWorkspace.Proposal memory p = _proposals[count];
        if (_odd(16)) p.data = _drawProposal().data;
        if (_odd(30)) p.action = uint8(_draw(7));
        bytes32 id = keccak256(abi.encode(_epoch, p.action, p.salt, p.data));
        uint256 by = _approver(id);
        if (_odd(3)) {
            (uint256 nonce, uint256 deadline) = _next(by);
            if (!_relay(by, abi.encodeCall(ws.governFor, (p, _signed(by, Typed.govern(p, nonce, deadline)))))) return;
        } else if (!_send("govern", by, abi.encodeCall(ws.govern, (p)))) {
            return;
        }
        _governed(_account(by), p);
    }

    /// @dev Takes a role from a member whose session key holds it, or gives a member's roles back, approved by one admin
    ///      after the other: what a key may do must follow its member at once.
    function reform(uint256 seed) external draws(seed) {
        uint256 who = _draw(MEMBERS);
        uint16 roles = foundingRoles(who);
        uint256 start = _draw(KEYS);
        for (uint256 i; i < KEYS && !_odd(3); ++i) {
            Grant storage grant = _grants[_account(FIRST_KEY + (start + i) % KEYS)];
            uint16 common = grant.roles & _people[grant.member].roles & ~ADMIN;
            if (grant.expires <= _now || common == 0) continue;
            for (who = 0; _account(who) != grant.member;) ++who;
            roles = _people[grant.member].roles & ~(common & CONTRIBUTOR == 0 || _odd(3) ? common : CONTRIBUTOR);
            break;
        }
        bytes memory data = abi.encode(IWorkspace.Member(_account(who), organisation(who), roles));
        IWorkspace.Proposal memory p = IWorkspace.Proposal(1, bytes32(seed), data);
        bytes32 id = keccak256(abi.encode(_epoch, p.action, p.salt, p.data));
        for (uint256 needed = _quorum - _approvals[id]; needed != 0; --needed) {
            uint256 by = _approver(id);
            if (!_send("govern", by, abi.encodeCall(ws.govern, (p)))) return;
            _governed(_account(by), p);
        }
        _tally("reform", true);
    }

    /// @dev Mostly an admin whose organisation has not approved yet.
    function _approver(bytes32 id) private returns (uint256 by) {
        by = _oneWho(ADMIN, 0);
        for (uint256 i; i < 12 && !_odd(20); ++i) {
            Person storage person = _people[_account(by)];
            if (person.roles & ADMIN != 0 && !_approved[id][person.organisation]) break;
            by = _oneWho(ADMIN, 0);
        }
    }

    function _drawProposal() private returns (IWorkspace.Proposal memory p) {
        p.salt = bytes32(_proposals.length);
        p.action = uint8(1 + _draw(5));
        if (p.action == 1) {
            uint256 who = _odd(8) ? PEOPLE - 1 : _draw(MEMBERS);
            uint16 roles = _odd(8) ? 0 : foundingRoles(who % MEMBERS) ^ uint16(_odd(2) ? 0 : 1 << _draw(5));
            uint16 org = _odd(10) ? uint16(_draw(4)) : organisation(who);
            p.data = abi.encode(IWorkspace.Member(_account(who), org, roles));
        } else if (p.action == 2) {
            p.data = abi.encode(uint8(_odd(10) ? _draw(6) : 1 + _draw(3)));
        } else if (p.action == 3) {
            p.data = abi.encode(lifecycles()[_draw(2)]);
        } else if (p.action == 4) {
            bytes32[] memory all = new bytes32[](1);
            all[0] = _artefacts[_artefacts.length - 1];
            if (all[0] == QUIET_ARTEFACT) all[0] = 0;
            p.data = abi.encode(_kept[all[0]].owner, _account(_draw(MEMBERS)), all);
        } else {
            p.data = abi.encode(_account(FIRST_KEY + _draw(KEYS)));
        }
    }
}
