// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IWorkspace} from "../src/IWorkspace.sol";
import {Workspace} from "../src/Workspace.sol";
import {WorkspaceTest} from "./WorkspaceTest.sol";

/// @dev Burns all gas it is given.
contract Burner {
    fallback() external {
        while (true) {}
    }
}

/// @dev Returns as much as its gas pays for.
contract Bomber {
    fallback() external {
        assembly {
            return(0, 100000)
        }
    }
}

/// @dev Answers every question with the bytes it was given.
contract Parrot {
    bytes private _answer;

    constructor(bytes memory answer) {
        _answer = answer;
    }

    fallback(bytes calldata) external returns (bytes memory) {
        return _answer;
    }
}

/// @dev Tries to change what it is asked about.
contract Meddler {
    fallback() external {
        IWorkspace(msg.sender).revokeSession(address(this));
    }
}

/// @dev Inputs of other workspaces, honest and hostile.
contract ForeignTest is WorkspaceTest {
    IWorkspace private other;
    bytes32 private artefact;
    bytes32 private foreign;

    function setUp() public override {
        super.setUp();
        IWorkspace mine = ws;
        other = new Workspace(founders(), 2, lifecycles());
        ws = other;
        foreign = built("foreign");
        ws = mine;
        artefact = built("m");
    }

    function test_a_usable_input_of_another_workspace() public {
        IWorkspace.Transition memory rebuild = change(artefact, REBUILD);
        rebuild.inputs = using_(address(other), foreign, other.headOf(foreign));
        act(anne, rebuild);
    }

    function test_this_workspace_may_be_named_by_its_address() public {
        IWorkspace.Transition memory rebuild = change(artefact, REBUILD);
        rebuild.inputs = using_(address(ws), artefact, ws.headOf(artefact));
        act(anne, rebuild);
    }

    function test_a_foreign_input_at_an_old_head_is_refused() public {
        unusable(address(other));
    }

    function test_a_foreign_input_that_was_revoked_is_not_held() public {
        (IWorkspace.Transition memory release) = releasing(address(other));
        IWorkspace mine = ws;
        ws = other;
        act(anne, step(foreign, REVOKE));
        ws = mine;
        refused(abi.encodeWithSelector(IWorkspace.InputRevoked.selector, address(other), foreign));
        act(bert, release);
    }

    function test_a_foreign_input_that_was_not_revoked_is_held() public {
        act(bert, releasing(address(other)));
    }

    function test_whatever_does_not_answer_by_one_word_is_not_usable() public {
        unusable(eve); // no code
        unusable(address(new Burner()));
        unusable(address(new Bomber()));
        unusable(address(new Meddler()));
        unusable(address(new Parrot("")));
        unusable(address(new Parrot(abi.encode(uint256(0)))));
        unusable(address(new Parrot(abi.encode(uint256(2)))));
        unusable(address(new Parrot(abi.encode(uint256(1), uint256(1)))));
        unusable(address(new Parrot(hex"01")));
    }

    function test_whatever_does_not_answer_no_counts_as_revoked() public {
        unheld(eve);
        unheld(address(new Burner()));
        unheld(address(new Bomber()));
        unheld(address(new Meddler()));
        unheld(address(new Parrot("")));
        unheld(address(new Parrot(abi.encode(uint256(1)))));
        unheld(address(new Parrot(abi.encode(uint256(2)))));
    }

    function test_a_hostile_workspace_burns_at_most_its_share_of_gas() public {
        IWorkspace.Transition memory rebuild = change(artefact, REBUILD);
        address[2] memory hostile = [address(new Burner()), address(new Bomber())];
        for (uint256 i; i < 2; ++i) {
            rebuild.inputs = using_(hostile[i], foreign, 0);
            vm.prank(anne);
            try ws.transition(rebuild) {
                revert("not refused");
            } catch {}
            assertAtMost(vm.lastCallGas().gasTotalUsed, 100_000, "gas");
        }
    }

    function unusable(address workspace) private {
        IWorkspace.Transition memory rebuild = change(artefact, REBUILD);
        rebuild.inputs = using_(workspace, foreign, digest("a head"));
        refused(
            abi.encodeWithSelector(IWorkspace.InputNotUsable.selector, workspace, foreign, digest("a head"))
        );
        act(anne, rebuild);
    }

    function unheld(address workspace) private {
        uint256 snapshot = vm.snapshotState();
        IWorkspace.Transition memory release = releasing(workspace);
        refused(abi.encodeWithSelector(IWorkspace.InputRevoked.selector, workspace, foreign));
        act(bert, release);
        vm.revertToState(snapshot);
    }

    /// @dev A release of the artefact, whose current version has an input of that workspace; the votes are in.
    function releasing(address workspace) private returns (IWorkspace.Transition memory release) {
        act(bert, step(artefact, VALIDATE));
        IWorkspace.Transition memory reopen = change(artefact, REOPEN);
        reopen.inputs = using_(workspace, foreign, digest("a head"));
        act(anne, reopen);
        act(bert, step(artefact, VALIDATE));
        release = step(artefact, RELEASE);
        release.held = reopen.inputs;
        endorse(cleo, release);
        endorse(dora, release);
    }
}
