// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IWorkspace} from "./IWorkspace.sol";

// The assembly of the contracts, apart from the question to other workspaces in Artefacts. It spares a batch of
// transitions that use inputs more than 5 % of its gas; README.md has the figures.
//
// Hashes. `keccak256(abi.encode(…))` of words, as Solidity computes it, but over free memory that is used and not
// allocated: Solidity would allocate it, check the allocation, and never free it. Words only (bytes32, uint256), because
// the upper bits of anything shorter are not known to be zero.
//
// Call data. What `change.inputs.length != 0` and `changes[i]` read, without the checks that what they point to lies
// within the call data. Where it does not, zeros are read, as from a call with zeros appended. A relayed message was
// hashed before, with the checks, so it never gets here when it is malformed.

/// @dev Of an anchor chain: head before, root, leaves, key.
function hashOf(uint256 a, bytes32 b, uint256 c, uint256 d) pure returns (bytes32 result) {
    assembly ("memory-safe") {
        let words := mload(0x40)
        mstore(words, a)
        mstore(add(words, 0x20), b)
        mstore(add(words, 0x40), c)
        mstore(add(words, 0x60), d)
        result := keccak256(words, 0x80)
    }
}

/// @dev Of a ballot: artefact, expected head, rule, content, inputs.
function hashOf(bytes32 a, bytes32 b, uint256 c, bytes32 d, bytes32 e) pure returns (bytes32 result) {
    assembly ("memory-safe") {
        let words := mload(0x40)
        mstore(words, a)
        mstore(add(words, 0x20), b)
        mstore(add(words, 0x40), c)
        mstore(add(words, 0x60), d)
        mstore(add(words, 0x80), e)
        result := keccak256(words, 0xa0)
    }
}

/// @dev Of a vote chain: chain before, ballot, key, organisation, approve, record.
function hashOf(bytes32 a, bytes32 b, uint256 c, uint256 d, uint256 e, bytes32 f) pure returns (bytes32 result) {
    assembly ("memory-safe") {
        let words := mload(0x40)
        mstore(words, a)
        mstore(add(words, 0x20), b)
        mstore(add(words, 0x40), c)
        mstore(add(words, 0x60), d)
        mstore(add(words, 0x80), e)
        mstore(add(words, 0xa0), f)
        result := keccak256(words, 0xc0)
    }
}

/// @dev Of an artefact's history: head before, rule, from, to, seq, key, content, record, inputs, votes.
function hashOf(
    bytes32 a,
    uint256 b,
    uint256 c,
    uint256 d,
    uint256 e,
    uint256 f,
    bytes32 g,
    bytes32 h,
    bytes32 i,
    bytes32 j
) pure returns (bytes32 result) {
    assembly ("memory-safe") {
        let words := mload(0x40)
        mstore(words, a)
        mstore(add(words, 0x20), b)
        mstore(add(words, 0x40), c)
        mstore(add(words, 0x60), d)
        mstore(add(words, 0x80), e)
        mstore(add(words, 0xa0), f)
        mstore(add(words, 0xc0), g)
        mstore(add(words, 0xe0), h)
        mstore(add(words, 0x100), i)
        mstore(add(words, 0x120), j)
        result := keccak256(words, 0x140)
    }
}

/// @dev Of a list of inputs, whose length stands right before it in the call data. That the upper bits of the addresses
///      are zero is checked where the inputs are read, which everybody who hashes a list does as well.
function hashOf(IWorkspace.Input[] calldata inputs) pure returns (bytes32 result) {
    assembly ("memory-safe") {
        let words := mload(0x40)
        let size := add(mul(inputs.length, 0x60), 0x20)
        mstore(words, 0x20)
        calldatacopy(add(words, 0x20), sub(inputs.offset, 0x20), size)
        result := keccak256(words, add(size, 0x20))
    }
}

/// @dev Whether a transition has inputs; the sixth word says how far from its start their list is.
function hasInputs(IWorkspace.Transition calldata change) pure returns (bool result) {
    assembly ("memory-safe") {
        result := iszero(iszero(calldataload(add(change, calldataload(add(change, 0xa0))))))
    }
}

/// @dev A list of no inputs.
function noInputs() pure returns (IWorkspace.Input[] calldata inputs) {
    assembly ("memory-safe") {
        inputs.offset := 0
        inputs.length := 0
    }
}

/// @dev The transition at a position that is known to be in the list.
function itemOf(IWorkspace.Transition[] calldata changes, uint256 position)
    pure
    returns (IWorkspace.Transition calldata change)
{
    assembly ("memory-safe") {
        change := add(changes.offset, calldataload(add(changes.offset, shl(5, position))))
    }
}
