// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IWorkspace} from "../../src/IWorkspace.sol";
import {Test} from "../Test.sol";

/// @dev The stage of the invariant tests: who there is, which lifecycles there are, and the committed byte code.
///
///      Organisations 1, 2, 3 and 300 have two members each, organisation 9 has the bystander, whom nobody's activity
///      may cost anything. Four accounts are session keys to be, two are strangers.
abstract contract World is Test {
    uint16 internal constant ADMIN = 1;
    uint16 internal constant CONTRIBUTOR = 2;
    uint16 internal constant REVIEWER = 4;
    uint16 internal constant VERIFIER = 8;
    uint16 internal constant OPERATOR = 16;
    uint16 internal constant BYSTANDER = 128;

    uint16 internal constant MODEL = 1; //  draft 0, built 1, validated 2, released 3, revoked 4
    uint16 internal constant LOG = 2; //    open 0, closed 1 (usable and terminal)
    uint16 internal constant QUIET = 3; //  one state; the bystander's

    uint8 internal constant REVOKE = 4; //  rule of MODEL, from any state
    uint8 internal constant CLOSE = 1; //   rule of LOG

    uint256 internal constant START = 1_800_000_000;
    uint256 internal constant MEMBERS = 8;
    uint256 internal constant PEOPLE = 14; // eight members, four session keys, two strangers
    uint256 internal constant FIRST_KEY = 8;
    uint256 internal constant KEYS = 4;
    uint256 internal constant BYSTANDER_KEY = 0xB57A;
    bytes32 internal constant QUIET_ARTEFACT = keccak256("the bystander's");

    function privateKey(uint256 person) internal pure returns (uint256) {
        return 0xACC0 + person;
    }

    /// @dev A workspace of the committed byte code, in which the bystander has registered its artefact.
    function deploy() internal returns (IWorkspace ws) {
        bytes memory code = bytes.concat(
            vm.parseJsonBytes(vm.readFile("../src/proml/contracts/Workspace.json"), ".bytecode"),
            abi.encode(founders(), uint8(2), lifecycles())
        );
        address made;
        assembly ("memory-safe") {
            made := create(0, add(code, 32), mload(code))
        }
        assertTrue(made != address(0), "the committed byte code is deployed");
        ws = IWorkspace(made);
        vm.prank(vm.addr(BYSTANDER_KEY));
        ws.register(IWorkspace.Registration(QUIET_ARTEFACT, QUIET, keccak256("record")));
    }

    function founders() internal pure returns (IWorkspace.Member[] memory all) {
        all = new IWorkspace.Member[](MEMBERS + 1);
        for (uint256 i; i < MEMBERS; ++i) {
            all[i] = IWorkspace.Member(vm.addr(privateKey(i)), organisation(i), foundingRoles(i));
        }
        all[MEMBERS] = IWorkspace.Member(vm.addr(BYSTANDER_KEY), 9, BYSTANDER);
    }

    function organisation(uint256 member) internal pure returns (uint16) {
        uint256 which = member % 4;
        return which == 3 ? 300 : uint16(which + 1);
    }

    function foundingRoles(uint256 member) internal pure returns (uint16) {
        if (member < 3) return ADMIN | CONTRIBUTOR | REVIEWER | OPERATOR;
        if (member == 3) return REVIEWER | VERIFIER;
        return member % 2 == 0 ? CONTRIBUTOR | VERIFIER : REVIEWER | OPERATOR;
    }

    function lifecycles() internal pure returns (IWorkspace.Lifecycle[] memory all) {
        all = new IWorkspace.Lifecycle[](3);
        (all[0], all[1], all[2]) = (model(), log(), quiet());
    }

    function model() internal pure returns (IWorkspace.Lifecycle memory) {
        uint8[] memory flags = new uint8[](5);
        (flags[1], flags[2], flags[3], flags[4]) = (1, 1, 1, 2 | 4);
        IWorkspace.Rule[] memory rules = new IWorkspace.Rule[](8);
        rules[0] = IWorkspace.Rule(0, 1, CONTRIBUTOR, 1 | 4, 0, 0, 0, 0);
        rules[1] = IWorkspace.Rule(1, 1, CONTRIBUTOR, 4 | 16 | 32, 0, 0, 0, 0);
        rules[2] = IWorkspace.Rule(1, 2, REVIEWER, 2 | 8, 0, 0, 0, 0);
        rules[3] = IWorkspace.Rule(2, 3, OPERATOR, 2 | 64, 2, REVIEWER | VERIFIER, 0, 0);
        rules[REVOKE] = IWorkspace.Rule(255, 4, ADMIN, 0, 0, 0, 0, 0);
        rules[5] = IWorkspace.Rule(1, 2, CONTRIBUTOR, 0, 0, 0, 1 hours, 0);
        rules[6] = IWorkspace.Rule(3, 1, CONTRIBUTOR, 4, 0, 0, 0, 0);
        rules[7] = IWorkspace.Rule(1, 2, CONTRIBUTOR, 0, 0, 0, 0, LOG);
        return IWorkspace.Lifecycle(keccak256("model"), CONTRIBUTOR, 0, flags, rules);
    }

    function log() internal pure returns (IWorkspace.Lifecycle memory) {
        uint8[] memory flags = new uint8[](2);
        (flags[0], flags[1]) = (1, 1 | 2);
        IWorkspace.Rule[] memory rules = new IWorkspace.Rule[](2);
        rules[0] = IWorkspace.Rule(0, 0, CONTRIBUTOR | REVIEWER | VERIFIER, 0, 0, 0, 0, 0);
        rules[CLOSE] = IWorkspace.Rule(255, 1, CONTRIBUTOR, 0, 0, 0, 0, 0);
        return IWorkspace.Lifecycle(keccak256("log"), CONTRIBUTOR, 0, flags, rules);
    }

    /// @dev Rule 1 takes votes of everybody, so that others can say something about the bystander's artefact.
    function quiet() internal pure returns (IWorkspace.Lifecycle memory) {
        uint8[] memory flags = new uint8[](1);
        flags[0] = 1;
        IWorkspace.Rule[] memory rules = new IWorkspace.Rule[](2);
        rules[0] = IWorkspace.Rule(0, 0, BYSTANDER, 1, 0, 0, 0, 0);
        rules[1] = IWorkspace.Rule(0, 0, BYSTANDER, 1, 1, REVIEWER | VERIFIER | BYSTANDER, 0, 0);
        return IWorkspace.Lifecycle(keccak256("quiet"), BYSTANDER, 0, flags, rules);
    }
}
