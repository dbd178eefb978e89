// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice What the ledger suite calls: every way in which a contract answers, logs, creates, refuses and fails.
///         Compiled for london with the optimiser into probe.json (`make_probe.py` says how).
contract Probe {
    error Refused(uint256 number, address who);

    event Stored(bytes32 indexed key, bytes32 indexed value, address indexed who, uint256 count);
    event Created(address child);
    event Quiet(uint256 number) anonymous;

    mapping(bytes32 => bytes32) public valueOf;
    uint256 public count;

    function store(bytes32 key, bytes32 value) public {
        valueOf[key] = value;
        count++;
        emit Stored(key, value, msg.sender, count);
    }

    function storeThrice(bytes32 key) external {
        store(key, bytes32(uint256(1)));
        store(key, bytes32(uint256(2)));
        store(key, bytes32(uint256(3)));
        emit Quiet(count);
    }

    /// @dev The inner call keeps back a 64th of the gas.
    function storeThroughCalls(bytes32 key, uint256 depth) external {
        if (depth == 0) store(key, bytes32(uint256(1)));
        else this.storeThroughCalls(key, depth - 1);
    }

    function erase(bytes32 key) external {
        delete valueOf[key];
    }

    function storeThenRefuse(bytes32 key) external {
        store(key, bytes32(uint256(1)));
        revert Refused(7, msg.sender);
    }

    function refuse(uint256 number) external view {
        revert Refused(number, msg.sender);
    }

    function refuseInWords() external pure {
        revert("in words");
    }

    function refuseSilently() external pure {
        revert();
    }

    function fail() external pure {
        assembly {
            invalid()
        }
    }

    function spin() external pure {
        while (true) {}
    }

    function surroundings() external view returns (uint256 chain, uint256 number, uint256 time, bytes32 parent, uint256 fee) {
        return (block.chainid, block.number, block.timestamp, blockhash(block.number - 1), block.basefee);
    }

    function create(bytes32 salt) external {
        emit Created(address(new Child{salt: salt}()));
    }
}

contract Child {
    function answer() external pure returns (uint256) {
        return 42;
    }
}
