// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IWorkspace} from "../../src/IWorkspace.sol";
import {Test} from "../Test.sol";

/// @dev What the checks share: three members, one lifecycle, and the byte code that prove.mjs takes from the committed
///      build. Anne of organisation 1 has every role and owns the artefact.
abstract contract Stage is Test {
    uint16 internal constant EVERYTHING = 65535;
    uint8 internal constant ANY_STATE = 255;
    uint8 internal constant END = 1; // rule that leads to the terminal state
    uint8 internal constant MOVE = 2; // rule that asks for nothing but a role; if rule 0 takes votes

    address internal constant ANNE = address(0xA11CE);
    address internal constant BERT = address(0xB0B);
    address internal constant CLEO = address(0xC1E0);
    address internal constant KEY = address(0x5E55);

    // Slots of the storage, frozen in tests/contracts/golden/storage.json.
    uint256 internal constant ACCOUNTS = 0;
    uint256 internal constant SCOPES = 1;
    uint256 internal constant NONCES = 2;
    uint256 internal constant ARTEFACTS = 10;

    IWorkspace internal ws;

    /// @dev Lifecycle 1: state 0, and the terminal state 1.
    function deploy(uint8 quorum, IWorkspace.Member memory b, IWorkspace.Member memory c, IWorkspace.Rule memory first)
        internal
    {
        IWorkspace.Member[] memory founders = new IWorkspace.Member[](3);
        (founders[0], founders[1], founders[2]) = (IWorkspace.Member(ANNE, 1, EVERYTHING), b, c);
        IWorkspace.Lifecycle[] memory all = new IWorkspace.Lifecycle[](1);
        all[0].definition = keccak256("lifecycle");
        all[0].registerRoles = 6;
        all[0].stateFlags = new uint8[](2);
        all[0].stateFlags[1] = 2;
        all[0].rules = new IWorkspace.Rule[](first.voteRoles == 0 ? 2 : 3);
        all[0].rules[0] = first;
        all[0].rules[END] = IWorkspace.Rule(0, 1, 2, 0, 0, 0, 0, 0);
        if (first.voteRoles != 0) all[0].rules[MOVE] = IWorkspace.Rule(0, 0, 2, 0, 0, 0, 0, 0);
        bytes memory code = bytes.concat(vm.getCode("cache/symbolic/Workspace.json"), abi.encode(founders, quorum, all));
        address made;
        assembly ("memory-safe") {
            made := create(0, add(code, 32), mload(code))
        }
        assert(made != address(0));
        ws = IWorkspace(made);
    }

    /// @dev A workspace in which Bert has these roles.
    function deployWith(uint16 roles, IWorkspace.Rule memory first) internal {
        deploy(1, IWorkspace.Member(BERT, 2, roles), IWorkspace.Member(CLEO, 3, 2), first);
    }

    function rule(uint8 from, uint16 roles, uint8 quorum) internal pure returns (IWorkspace.Rule memory) {
        return IWorkspace.Rule(from, 0, roles, 0, quorum, quorum == 0 ? 0 : 2, 0, 0);
    }

    /// @dev Anne registers the artefact.
    function start(bytes32 artefact) internal returns (bytes32 head) {
        vm.prank(ANNE);
        ws.register(IWorkspace.Registration(artefact, 1, 0));
        return ws.headOf(artefact);
    }

    function send(address by, bytes memory call) internal returns (bool accepted) {
        vm.prank(by);
        (accepted,) = address(ws).call(call);
    }

    function transit(address by, bytes32 artefact, bytes32 head, uint8 number, bytes32 content) internal returns (bool) {
        IWorkspace.Input[] memory none;
        IWorkspace.Transition memory t = IWorkspace.Transition(artefact, head, number, content, 0, none, none);
        return send(by, abi.encodeCall(ws.transition, (t)));
    }

    function vote(address by, bytes32 artefact, bytes32 head, bytes32 content, bool approve) internal returns (bool) {
        IWorkspace.Endorsement memory v = IWorkspace.Endorsement(artefact, head, 0, content, 0, 0, approve);
        return send(by, abi.encodeCall(ws.endorse, (v)));
    }

    /// @dev Where a mapping keeps a value.
    function slot(bytes32 at, uint256 mapping_) internal pure returns (bytes32) {
        return keccak256(abi.encode(at, mapping_));
    }

    function slot(address at, uint256 mapping_) internal pure returns (bytes32) {
        return slot(bytes32(uint256(uint160(at))), mapping_);
    }

    function put(bytes32 where, uint256 word) internal {
        vm.store(address(ws), where, bytes32(word));
    }
}
