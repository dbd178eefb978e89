// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice Who may do what, for all assets of an undertaking.
contract Roles {
    mapping(address account => uint256 bits) public rolesOf;

    constructor(address[] memory accounts, uint256 bits) {
        for (uint256 i; i < accounts.length; ++i) rolesOf[accounts[i]] = bits;
    }
}

/// @notice A state machine for one asset in a contract of its own, as the paper has it, doing the least that it can:
/// owner, state and hash chain, roles looked up in one place, a table of rules in the code, an event for each step.
contract Asset {
    /// @dev Five rules of four bytes: state before, state after, role bit, whether only the owner may.
    uint256 private constant RULES = 0x0000_00010101_01020101_02030201_03040401_01050101;

    Roles private immutable ROLES;
    address private immutable OWNER;
    uint8 public state;
    uint64 public seq;
    bytes32 public head;

    event Registered(address indexed owner, bytes32 record);
    event Acted(address indexed actor, uint256 rule, bytes32 indexed content, bytes32 record, bytes32 head);

    error Refused();

    constructor(Roles roles, bytes32 record) {
        if (roles.rolesOf(msg.sender) == 0) revert Refused();
        ROLES = roles;
        OWNER = msg.sender;
        head = keccak256(abi.encode(block.chainid, address(this), record, msg.sender));
        emit Registered(msg.sender, record);
    }

    function act(bytes32 expectedHead, uint256 rule, bytes32 content, bytes32 record) external {
        uint256 packed = RULES >> (8 * 4 * (4 - rule));
        if (expectedHead != head || uint8(packed >> 24) != state) revert Refused();
        if (ROLES.rolesOf(msg.sender) & uint8(packed >> 8) == 0) revert Refused();
        if (uint8(packed) != 0 && msg.sender != OWNER) revert Refused();
        bytes32 next = keccak256(abi.encode(expectedHead, rule, content, record, ++seq, msg.sender));
        head = next;
        state = uint8(packed >> 16);
        emit Acted(msg.sender, rule, content, record, next);
    }
}
