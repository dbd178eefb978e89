// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IWorkspace} from "../src/IWorkspace.sol";
import {Workspace} from "../src/Workspace.sol";
import {Test} from "./Test.sol";

/// @dev A workspace of four organisations, its lifecycles, and the words in which the tests speak.
///
///      Lifecycle 1 "model": 0 draft · 1 built (usable) · 2 validated (usable) · 3 released (usable) ·
///      4 revoked (terminal, revoked). Lifecycle 2 "evaluation": 0 open · 1 done (usable) · 2 withdrawn (terminal).
///      Lifecycle 3 "log": one state, usable, left and entered by rule 0, which has no guards.
abstract contract WorkspaceTest is Test {
    uint16 internal constant ADMIN = 1;
    uint16 internal constant CONTRIBUTOR = 2;
    uint16 internal constant REVIEWER = 4;
    uint16 internal constant VERIFIER = 8;
    uint16 internal constant OPERATOR = 16;

    uint16 internal constant MODEL = 1;
    uint16 internal constant EVALUATION = 2;
    uint16 internal constant LOG = 3;

    // Rules of the lifecycle "model".
    uint8 internal constant BUILD = 0; //     draft → built: owner only, new content
    uint8 internal constant REBUILD = 1; //   built → built: new content, at least one input, all usable
    uint8 internal constant VALIDATE = 2; //  built → validated: four eyes, no new content
    uint8 internal constant RELEASE = 3; //   validated → released: quorum of two, four eyes, inputs held
    uint8 internal constant REVOKE = 4; //    any → revoked
    uint8 internal constant RIPEN = 5; //     built → validated: one hour after the last transition
    uint8 internal constant PROVE = 6; //     built → validated: evidence by an evaluation
    uint8 internal constant REOPEN = 7; //    validated → built: new content, no guard on inputs
    uint8 internal constant MERGE = 8; //     built → built: quorum of one, new content
    // Rules of the lifecycle "evaluation".
    uint8 internal constant CLOSE = 0; //     open → done
    uint8 internal constant WITHDRAW = 1; //  done → withdrawn
    // Rules of the lifecycle "log".
    uint8 internal constant APPEND = 0; //    one state, again and again

    uint256 internal constant START = 1_800_000_000;

    uint256 internal constant ANNE_KEY = 0xA11CE;
    uint256 internal constant KEY = 0x5E55;
    address internal immutable anne = vm.addr(ANNE_KEY); // organisation 1: admin, contributor, operator
    address internal immutable arno = vm.addr(0xA120); //   organisation 1: contributor, reviewer
    address internal immutable bert = vm.addr(0xB0B); //    organisation 2: admin, reviewer, operator
    address internal immutable cleo = vm.addr(0xC1E0); //   organisation 3: admin, verifier, contributor
    address internal immutable dora = vm.addr(0xD02A); //   organisation 300: reviewer
    address internal immutable eve = vm.addr(0xE5E); //     nobody
    address internal immutable key = vm.addr(KEY); //       nobody, until a session is granted to it

    IWorkspace internal ws;
    uint256 private _salt;

    function setUp() public virtual {
        vm.warp(START);
        ws = new Workspace(founders(), 2, lifecycles());
    }

    // ------------------------------------------------------------------------------------------------- set-up

    function founders() internal view returns (IWorkspace.Member[] memory all) {
        all = new IWorkspace.Member[](5);
        all[0] = IWorkspace.Member(anne, 1, ADMIN | CONTRIBUTOR | OPERATOR);
        all[1] = IWorkspace.Member(arno, 1, CONTRIBUTOR | REVIEWER);
        all[2] = IWorkspace.Member(bert, 2, ADMIN | REVIEWER | OPERATOR);
        all[3] = IWorkspace.Member(cleo, 3, ADMIN | VERIFIER | CONTRIBUTOR);
        all[4] = IWorkspace.Member(dora, 300, REVIEWER);
    }

    function lifecycles() internal pure returns (IWorkspace.Lifecycle[] memory all) {
        all = new IWorkspace.Lifecycle[](3);
        (all[0], all[1], all[2]) = (model(), evaluation(), log());
    }

    function model() internal pure returns (IWorkspace.Lifecycle memory) {
        uint8[] memory flags = new uint8[](5);
        (flags[1], flags[2], flags[3], flags[4]) = (1, 1, 1, 2 | 4);
        uint16 voters = REVIEWER | VERIFIER;
        IWorkspace.Rule[] memory rules = new IWorkspace.Rule[](9);
        rules[BUILD] = IWorkspace.Rule(0, 1, CONTRIBUTOR, 1 | 4, 0, 0, 0, 0);
        rules[REBUILD] = IWorkspace.Rule(1, 1, CONTRIBUTOR, 4 | 16 | 32, 0, 0, 0, 0);
        rules[VALIDATE] = IWorkspace.Rule(1, 2, REVIEWER, 2 | 8, 0, 0, 0, 0);
        rules[RELEASE] = IWorkspace.Rule(2, 3, OPERATOR, 2 | 64, 2, voters, 0, 0);
        rules[REVOKE] = IWorkspace.Rule(255, 4, ADMIN, 0, 0, 0, 0, 0);
        rules[RIPEN] = IWorkspace.Rule(1, 2, CONTRIBUTOR, 0, 0, 0, 1 hours, 0);
        rules[PROVE] = IWorkspace.Rule(1, 2, CONTRIBUTOR, 0, 0, 0, 0, EVALUATION);
        rules[REOPEN] = IWorkspace.Rule(2, 1, CONTRIBUTOR, 4, 0, 0, 0, 0);
        rules[MERGE] = IWorkspace.Rule(1, 1, CONTRIBUTOR, 4, 1, voters, 0, 0);
        return IWorkspace.Lifecycle(digest("model"), CONTRIBUTOR, 0, flags, rules);
    }

    function evaluation() internal pure returns (IWorkspace.Lifecycle memory) {
        uint8[] memory flags = new uint8[](3);
        (flags[1], flags[2]) = (1, 2);
        IWorkspace.Rule[] memory rules = new IWorkspace.Rule[](2);
        rules[CLOSE] = IWorkspace.Rule(0, 1, CONTRIBUTOR, 0, 0, 0, 0, 0);
        rules[WITHDRAW] = IWorkspace.Rule(1, 2, CONTRIBUTOR, 0, 0, 0, 0, 0);
        return IWorkspace.Lifecycle(digest("evaluation"), CONTRIBUTOR, 0, flags, rules);
    }

    function log() internal pure returns (IWorkspace.Lifecycle memory) {
        uint8[] memory flags = new uint8[](1);
        flags[0] = 1;
        IWorkspace.Rule[] memory rules = new IWorkspace.Rule[](1);
        rules[APPEND] = IWorkspace.Rule(0, 0, CONTRIBUTOR, 0, 0, 0, 0, 0);
        return IWorkspace.Lifecycle(digest("log"), CONTRIBUTOR, 0, flags, rules);
    }

    // -------------------------------------------------------------------------------------------------- words

    function digest(string memory text) internal pure returns (bytes32) {
        return keccak256(bytes(text)); // not the precompile: a call to it would use up `vm.prank`
    }

    function id(string memory name) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(digest("name key"), name));
    }

    function none() internal pure returns (IWorkspace.Input[] memory) {
        return new IWorkspace.Input[](0);
    }

    /// @dev One input of this workspace at its present head.
    function using_(bytes32 artefact) internal view returns (IWorkspace.Input[] memory inputs) {
        return using_(address(0), artefact, ws.headOf(artefact));
    }

    function using_(address workspace, bytes32 artefact, bytes32 head)
        internal
        pure
        returns (IWorkspace.Input[] memory inputs)
    {
        inputs = new IWorkspace.Input[](1);
        inputs[0] = IWorkspace.Input(workspace, artefact, head);
    }

    function registration(bytes32 artefact, uint16 lifecycle) internal pure returns (IWorkspace.Registration memory) {
        return IWorkspace.Registration(artefact, lifecycle, digest("registration"));
    }

    /// @dev A transition from the present head with content and without inputs.
    function change(bytes32 artefact, uint8 rule) internal view returns (IWorkspace.Transition memory) {
        return IWorkspace.Transition(
            artefact, ws.headOf(artefact), rule, digest("content"), digest("record"), none(), none()
        );
    }

    /// @dev A transition from the present head without content or inputs.
    function step(bytes32 artefact, uint8 rule) internal view returns (IWorkspace.Transition memory made) {
        made = change(artefact, rule);
        made.content = 0;
    }

    function vote(IWorkspace.Transition memory for_) internal pure returns (IWorkspace.Endorsement memory) {
        return IWorkspace.Endorsement(
            for_.artefact,
            for_.expectedHead,
            for_.rule,
            for_.content,
            commitment(for_.inputs),
            digest("vote"),
            true
        );
    }

    function commitment(IWorkspace.Input[] memory inputs) internal pure returns (bytes32) {
        return inputs.length == 0 ? bytes32(0) : keccak256(abi.encode(inputs));
    }

    function proposal(uint8 action, bytes memory data) internal returns (IWorkspace.Proposal memory) {
        return IWorkspace.Proposal(action, bytes32(++_salt), data);
    }

    // ---------------------------------------------------------------------------------------------------- acts

    function register(address by, string memory name, uint16 lifecycle) internal returns (bytes32 artefact) {
        artefact = id(name);
        vm.prank(by);
        ws.register(registration(artefact, lifecycle));
    }

    function act(address by, IWorkspace.Transition memory change_) internal {
        vm.prank(by);
        ws.transition(change_);
    }

    function endorse(address by, IWorkspace.Transition memory change_) internal {
        IWorkspace.Endorsement memory vote_ = vote(change_);
        vm.prank(by);
        ws.endorse(vote_);
    }

    /// @dev A model of Anne's in the state "built".
    function built(string memory name) internal returns (bytes32 artefact) {
        artefact = register(anne, name, MODEL);
        act(anne, change(artefact, BUILD));
    }

    /// @dev A model of Anne's in the state "validated".
    function validated(string memory name) internal returns (bytes32 artefact) {
        artefact = built(name);
        act(bert, step(artefact, VALIDATE));
    }

    function approve(address by, IWorkspace.Proposal memory change_) internal {
        vm.prank(by);
        ws.govern(change_);
    }

    /// @dev A change that the admins of two organisations make.
    function govern(uint8 action, bytes memory data) internal {
        IWorkspace.Proposal memory change_ = proposal(action, data);
        approve(anne, change_);
        approve(bert, change_);
    }

    /// @dev Grants `key` a session of the member's with its consent.
    function grant(address by, uint16 roles, bytes32 artefact, uint40 expires) internal {
        IWorkspace.Session memory session = IWorkspace.Session(key, roles, artefact, expires);
        bytes memory consent = consentOf(by, session);
        vm.prank(by);
        ws.grantSession(session, consent);
    }

    /// @dev The next call must revert with this.
    function refused(bytes memory reason) internal {
        vm.expectRevert(reason);
    }

    // ---------------------------------------------------------------------------------------------- signatures

    function consentOf(address member, IWorkspace.Session memory session) internal view returns (bytes memory) {
        return consentBy(KEY, member, session);
    }

    function consentBy(uint256 privateKey, address member, IWorkspace.Session memory session)
        internal
        view
        returns (bytes memory)
    {
        bytes32 type_ =
            keccak256("SessionConsent(address member,address key,uint16 roles,bytes32 artefact,uint40 expires)");
        return signed(
            privateKey,
            keccak256(
                abi.encode(type_, member, session.key, session.roles, session.artefact, session.expires)
            )
        );
    }

    function signed(uint256 privateKey, bytes32 structHash) internal view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(privateKey, typed(structHash));
        return abi.encodePacked(r, s, v);
    }

    function typed(bytes32 structHash) internal view returns (bytes32) {
        return keccak256(abi.encodePacked(hex"1901", ws.domainSeparator(), structHash));
    }
}
