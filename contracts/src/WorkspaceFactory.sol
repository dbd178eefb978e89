// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Create2} from "@openzeppelin/contracts/utils/Create2.sol";
import {IWorkspace} from "./IWorkspace.sol";
import {IWorkspaceFactory} from "./IWorkspaceFactory.sol";
import {Workspace} from "./Workspace.sol";

/// @title  Deploys workspaces: whole contracts of one and the same code, owned by nobody.
contract WorkspaceFactory is IWorkspaceFactory {
    /// @inheritdoc IWorkspaceFactory
    function create(
        bytes32 salt,
        IWorkspace.Member[] calldata founders,
        uint8 governanceQuorum,
        IWorkspace.Lifecycle[] calldata lifecycles
    ) external returns (address workspace) {
        workspace = Create2.deploy(0, _salt(msg.sender, salt), _code(founders, governanceQuorum, lifecycles));
        emit WorkspaceCreated(workspace, msg.sender);
    }

    /// @inheritdoc IWorkspaceFactory
    function addressOf(
        address creator,
        bytes32 salt,
        IWorkspace.Member[] calldata founders,
        uint8 governanceQuorum,
        IWorkspace.Lifecycle[] calldata lifecycles
    ) external view returns (address workspace) {
        return Create2.computeAddress(_salt(creator, salt), keccak256(_code(founders, governanceQuorum, lifecycles)));
    }

    /// @dev What is deployed: the creation code and the constructor's arguments.
    function _code(
        IWorkspace.Member[] calldata founders,
        uint8 governanceQuorum,
        IWorkspace.Lifecycle[] calldata lifecycles
    ) private pure returns (bytes memory) {
        // slither-disable-next-line too-many-digits  the digits are the byte code's, not a number's
        return bytes.concat(type(Workspace).creationCode, abi.encode(founders, governanceQuorum, lifecycles));
    }

    /// @dev CREATE2 salt that nobody else's call can have.
    function _salt(address creator, bytes32 salt) private pure returns (bytes32) {
        return keccak256(abi.encode(creator, salt));
    }
}
