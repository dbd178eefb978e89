// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IWorkspace} from "../../src/IWorkspace.sol";
import {Ghost} from "./Ghost.sol";

/// @dev Draws, people, signatures, and the sending of operations, all of which are counted.
abstract contract Sender is Ghost {
    string internal constant RELAY = "relayed message";

    struct Count {
        uint256 tried;
        uint256 accepted;
    }

    /// @dev A message that was accepted, for sending again.
    struct Sent {
        address signer;
        uint256 nonce;
        bytes data;
    }

    /// @dev A measurement, in a revert, so that nothing of it stays.
    error Answer(bool accepted, uint256 used);

    uint256 internal _now;
    uint256 private _random;
    Sent[] private _sent;
    IWorkspace.Relay private _relayed;
    mapping(string operation => Count) private _counts;
    string[] private _operations;

    /// @dev Starts an operation: the draws come from this seed, the time is the handler's.
    modifier draws(uint256 seed) {
        _random = seed;
        vm.warp(_now);
        _;
    }

    function _draw(uint256 below) internal returns (uint256) {
        _random = uint256(keccak256(abi.encode(_random)));
        return _random % below;
    }

    /// @dev True once in so many draws.
    function _odd(uint256 often) internal returns (bool) {
        return _draw(often) == 0;
    }

    // --------------------------------------------------------------------------------------------------- people

    address[PEOPLE] private _accounts; // deriving an address takes longer than most operations

    constructor() {
        for (uint256 i; i < PEOPLE; ++i) {
            _accounts[i] = vm.addr(privateKey(i));
        }
    }

    function _account(uint256 person) internal view returns (address) {
        return _accounts[person];
    }

    /// @dev Mostly somebody with one of these roles for this artefact; else who lacks them, as it is or by now, or anybody.
    function _oneWho(uint16 roles, bytes32 artefact) internal returns (uint256) {
        return _oneWhoIsNot(roles, artefact, 0);
    }

    /// @dev The same, of another organisation.
    function _oneWhoIsNot(uint16 roles, bytes32 artefact, uint16 org) internal returns (uint256 person) {
        uint256 start = _draw(PEOPLE);
        if (_odd(24)) return start;
        bool lawful = !_odd(6);
        for (uint256 i; i < PEOPLE; ++i) {
            person = (start + i) % PEOPLE;
            address account = _account(person);
            (address member,,) = standing(account);
            bool can = may(account, roles, artefact) && _people[member].organisation != org;
            bool known = _people[account].organisation != 0 || _grants[account].member != address(0);
            if (known && can == lawful) return person;
        }
    }

    // ----------------------------------------------------------------------------------------------- operations

    function _send(string memory operation, uint256 by, bytes memory data) internal returns (bool accepted) {
        return _sendAs(operation, _account(by), data);
    }

    function _sendAs(string memory operation, address by, bytes memory data) internal returns (bool accepted) {
        vm.prank(by);
        (accepted,) = address(ws).call(data);
        _tally(operation, accepted);
    }

    /// @dev The nonce and deadline of the person's next message; now and then those of a bad one.
    function _next(uint256 by) internal returns (uint256 nonce, uint256 deadline) {
        nonce = _used[_account(by)];
        if (_odd(20)) nonce += _draw(3);
        deadline = _odd(20) ? _now - 1 : _now + _draw(99);
        (_relayed.nonce, _relayed.deadline) = (nonce, deadline);
    }

    /// @dev The relay of a message with the nonce and deadline of `_next`; now and then signed by somebody else.
    function _signed(uint256 by, bytes32 message) internal returns (IWorkspace.Relay memory) {
        _relayed.signer = _account(by);
        _relayed.signature = _signature(_odd(20) ? _draw(PEOPLE) : by, message);
        return _relayed;
    }

    /// @dev Sends what `_signed` signed, as a stranger.
    function _relay(uint256 by, bytes memory data) internal returns (bool accepted) {
        address signer = _account(by);
        accepted = _send(RELAY, PEOPLE - 1, data);
        if (!accepted) return false;
        _demand(_relayed.nonce == _used[signer], Law.NONCES, "accepted out of order");
        _demand(_relayed.deadline >= block.timestamp, Law.NONCES, "accepted late");
        bytes32 s = keccak256(_relayed.signature);
        _demand(!_seen[s], Law.NONCES, "accepted twice");
        _seen[s] = true;
        ++_used[signer];
        _sent.push(Sent(signer, _relayed.nonce, data));
    }

    mapping(bytes32 signature => bool) private _seen;

    /// @dev Sends a message again that was accepted once.
    function replay(uint256 seed) external draws(seed) {
        if (_sent.length == 0) return;
        Sent storage again = _sent[_draw(_sent.length)];
        vm.prank(_account(_draw(PEOPLE)));
        (bool accepted,) = address(ws).call(again.data);
        _demand(!accepted, Law.NONCES, "accepted again");
        _tally("replay", !accepted);
    }

    function _signature(uint256 person, bytes32 message) private view returns (bytes memory) {
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", ws.domainSeparator(), message));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(privateKey(person), digest);
        return abi.encodePacked(r, s, v);
    }

    function _consent(uint256 person, address member, IWorkspace.Session memory s) internal view returns (bytes memory) {
        bytes32 type_ =
            keccak256("SessionConsent(address member,address key,uint16 roles,bytes32 artefact,uint40 expires)");
        return _signature(person, keccak256(abi.encode(type_, member, s.key, s.roles, s.artefact, s.expires)));
    }

    // ------------------------------------------------------------------------------------------------- counting

    function _tally(string memory operation, bool accepted) internal {
        Count storage count = _counts[operation];
        if (++count.tried == 1) _operations.push(operation);
        if (accepted) ++count.accepted;
    }

    /// @dev How often each operation was tried and accepted, a line each: `name,tried,accepted`.
    function counts() external view returns (string memory lines) {
        for (uint256 i; i < _operations.length; ++i) {
            Count storage count = _counts[_operations[i]];
            string memory numbers = string.concat(vm.toString(count.tried), ",", vm.toString(count.accepted));
            lines = string.concat(lines, i == 0 ? "" : "\n", _operations[i], ",", numbers);
        }
    }

    // ---------------------------------------------------------------------------------------------- measurements

    /// @dev Whether a call would be accepted, and its gas; leaves no trace, in `ws_` or in the list of what is warm.
    function would(IWorkspace ws_, address by, bytes memory data) external returns (bool accepted, uint256 used) {
        try this.measure(ws_, by, data) {
            revert("unreachable: measure always reverts");
        } catch (bytes memory reason) {
            assembly ("memory-safe") {
                accepted := mload(add(reason, 36))
                used := mload(add(reason, 68))
            }
        }
    }

    function measure(IWorkspace ws_, address by, bytes memory data) external {
        vm.prank(by);
        uint256 before = gasleft();
        (bool accepted,) = address(ws_).call(data);
        revert Answer(accepted, before - gasleft());
    }
}
