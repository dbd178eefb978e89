// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IWorkspace} from "./IWorkspace.sol";

/// @title  Deploys workspaces: whole contracts of one and the same code, owned by nobody.
interface IWorkspaceFactory {
    /// @notice A workspace was created.
    /// @param workspace The new contract.
    /// @param creator The account that called the factory.
    event WorkspaceCreated(address indexed workspace, address indexed creator);

    /// @notice Creates a workspace at `addressOf` the sender and the same arguments; reverts if it is there already.
    /// @param salt             Tells the sender's workspaces apart.
    /// @param founders         The first members, with admins of at least `governanceQuorum` organisations among them.
    /// @param governanceQuorum Organisations whose admins must agree to a change.
    /// @param lifecycles       The first lifecycles, numbered from 1.
    /// @return workspace       The new contract.
    function create(
        bytes32 salt,
        IWorkspace.Member[] calldata founders,
        uint8 governanceQuorum,
        IWorkspace.Lifecycle[] calldata lifecycles
    ) external returns (address workspace);

    /// @notice Address of the workspace that `creator` gets from `create` with these arguments (CREATE2).
    /// @param creator The account that called the factory.
    /// @param salt Tells the creator's workspaces apart.
    /// @param founders The first members.
    /// @param governanceQuorum Organisations whose admins must agree to a change.
    /// @param lifecycles The first lifecycles, numbered from 1.
    /// @return workspace Where it stands, or will.
    function addressOf(
        address creator,
        bytes32 salt,
        IWorkspace.Member[] calldata founders,
        uint8 governanceQuorum,
        IWorkspace.Lifecycle[] calldata lifecycles
    ) external view returns (address workspace);
}
