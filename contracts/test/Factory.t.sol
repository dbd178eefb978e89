// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IWorkspace} from "../src/IWorkspace.sol";
import {IWorkspaceFactory} from "../src/IWorkspaceFactory.sol";
import {Workspace} from "../src/Workspace.sol";
import {WorkspaceFactory} from "../src/WorkspaceFactory.sol";
import {WorkspaceTest} from "./WorkspaceTest.sol";

/// @dev The factory, and that what is tested here is the committed build.
contract FactoryTest is WorkspaceTest {
    uint256 private constant CODE_LIMIT = 24_576; // EIP-170

    IWorkspaceFactory private factory;

    function setUp() public override {
        super.setUp();
        factory = new WorkspaceFactory();
    }

    function test_a_workspace_is_created_at_the_address_foretold() public {
        address foretold = factory.addressOf(anne, digest("salt"), founders(), 2, lifecycles());
        vm.expectEmit();
        emit IWorkspaceFactory.WorkspaceCreated(foretold, anne);
        address created = create(anne, 2);
        assertEq(created, foretold, "address");
        assertEq(abi.encode(IWorkspace(created).lifecycleOf(MODEL)), abi.encode(model()), "lifecycle");
    }

    function test_nobody_takes_anothers_address() public {
        assertTrue(create(anne, 2) != create(eve, 2), "address depends on the creator");
        assertTrue(create(anne, 1) != create(eve, 1), "and on the arguments");
    }

    function test_a_workspace_is_created_once() public {
        create(anne, 2);
        vm.prank(anne);
        try factory.create(digest("salt"), founders(), 2, lifecycles()) {
            revert("created twice");
        } catch {}
    }

    function test_the_constructors_reason_is_passed_on() public {
        refused(abi.encodeWithSelector(IWorkspace.GovernanceLocked.selector, uint8(9), 3));
        create(anne, 9);
    }

    function test_all_workspaces_have_the_committed_code() public {
        bytes memory committed = built_("Workspace");
        assertEq(address(ws).code, committed, "deployed");
        assertEq(create(anne, 1).code, committed, "created");
        assertEq(address(factory).code, built_("WorkspaceFactory"), "factory");
    }

    function test_the_code_fits() public view {
        assertAtMost(address(ws).code.length, CODE_LIMIT, "workspace");
        assertAtMost(address(factory).code.length, CODE_LIMIT, "factory");
    }

    function create(address by, uint8 quorum) private returns (address) {
        IWorkspace.Member[] memory members = founders();
        IWorkspace.Lifecycle[] memory all = lifecycles();
        vm.prank(by);
        return factory.create(digest("salt"), members, quorum, all);
    }

    function built_(string memory name) private view returns (bytes memory) {
        string memory path = string.concat("../src/proml/contracts/", name, ".json");
        return vm.parseJsonBytes(vm.readFile(path), ".runtime_code");
    }
}
