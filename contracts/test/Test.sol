// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Vm} from "./Vm.sol";

/// @dev What a test contract needs of forge: the cheat codes and assertions that say what they found.
abstract contract Test {
    Vm internal constant vm = Vm(0x7109709ECfa91a80626fF3989D68f67F5b1DD12D);

    error NotEqual(string what, bytes32 found, bytes32 expected);
    error NotTrue(string what);
    error AboveLimit(string what, uint256 found, uint256 limit);

    event Measured(string what, uint256 gas);

    function assertEq(bytes32 found, bytes32 expected, string memory what) internal pure {
        if (found != expected) revert NotEqual(what, found, expected);
    }

    function assertEq(uint256 found, uint256 expected, string memory what) internal pure {
        if (found != expected) revert NotEqual(what, bytes32(found), bytes32(expected));
    }

    function assertEq(address found, address expected, string memory what) internal pure {
        assertEq(uint256(uint160(found)), uint256(uint160(expected)), what);
    }

    function assertEq(bytes memory found, bytes memory expected, string memory what) internal pure {
        assertEq(keccak256(found), keccak256(expected), what);
    }

    function assertTrue(bool condition, string memory what) internal pure {
        if (!condition) revert NotTrue(what);
    }

    function assertAtMost(uint256 found, uint256 limit, string memory what) internal pure {
        if (found > limit) revert AboveLimit(what, found, limit);
    }
}
