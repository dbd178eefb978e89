// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IWorkspace} from "../src/IWorkspace.sol";
import {Workspace} from "../src/Workspace.sol";
import {Typed} from "./Typed.sol";
import {WorkspaceTest} from "./WorkspaceTest.sol";

/// @dev A contract account: its signature is the word it was given, whoever asks.
contract Wallet {
    bytes32 private immutable _word;

    constructor(bytes32 word) {
        _word = word;
    }

    function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4) {
        return keccak256(abi.encode(hash, _word)) == bytes32(signature) ? this.isValidSignature.selector : bytes4(0);
    }
}

/// @dev The relayed form of every operation, and every way in which a message can be bad.
contract RelayTest is WorkspaceTest {
    uint256 private constant DEADLINE = START + 1 hours;
    uint256 private constant BERT_KEY = 0xB0B;
    uint256 private constant CLEO_KEY = 0xC1E0;
    uint256 private constant ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;

    function test_every_operation_is_relayed() public {
        IWorkspace.Registration memory r = registration(id("m"), MODEL);
        ws.registerFor(r, by(ANNE_KEY, 0, Typed.register(r, 0, DEADLINE)));

        IWorkspace.Transition memory t = change(r.artefact, BUILD);
        ws.transitionFor(t, by(ANNE_KEY, 1, Typed.transit(t, 1, DEADLINE)));

        IWorkspace.Transition[] memory all = new IWorkspace.Transition[](2);
        (all[0], all[1]) = (change(r.artefact, REBUILD), step(built("other"), REVOKE));
        all[0].inputs = using_(r.artefact);
        ws.transitionsFor(all, by(ANNE_KEY, 2, Typed.transitMany(all, 2, DEADLINE)));

        t = step(r.artefact, VALIDATE);
        ws.transitionFor(t, by(BERT_KEY, 0, Typed.transit(t, 0, DEADLINE)));

        t = step(r.artefact, RELEASE);
        t.held = all[0].inputs;
        IWorkspace.Endorsement memory v = vote(t);
        ws.endorseFor(v, by(CLEO_KEY, 0, Typed.endorse(v, 0, DEADLINE)));
        endorse(dora, t);
        ws.transitionFor(t, by(BERT_KEY, 1, Typed.transit(t, 1, DEADLINE)));

        IWorkspace.Anchor memory a = IWorkspace.Anchor(0, digest("root"), 3);
        ws.anchorFor(a, by(ANNE_KEY, 3, Typed.putAnchor(a, 3, DEADLINE)));

        IWorkspace.Proposal memory p = proposal(2, abi.encode(uint8(3)));
        ws.governFor(p, by(ANNE_KEY, 4, Typed.govern(p, 4, DEADLINE)));
        ws.governFor(p, by(BERT_KEY, 2, Typed.govern(p, 2, DEADLINE)));

        IWorkspace.Session memory s = IWorkspace.Session(key, CONTRIBUTOR, 0, uint40(DEADLINE));
        bytes memory consent = consentOf(anne, s);
        ws.grantSessionFor(s, consent, by(ANNE_KEY, 5, Typed.grantSession(s, consent, 5, DEADLINE)));

        r = registration(id("by session"), MODEL);
        t = change(r.artefact, BUILD);
        t.expectedHead =
            keccak256(abi.encode(block.chainid, address(ws), r.artefact, r.lifecycle, key, r.record));
        ws.registerWithFor(r, t, by(KEY, 0, Typed.registerWith(r, t, 0, DEADLINE)));

        ws.revokeSessionFor(key, by(ANNE_KEY, 6, Typed.revokeSession(key, 6, DEADLINE)));
        assertEq(ws.nonceOf(anne), 7, "nonce");
    }

    function test_a_message_is_used_once() public {
        (IWorkspace.Registration memory r, IWorkspace.Relay memory relay) = message();
        ws.registerFor(r, relay);
        refused(abi.encodeWithSelector(IWorkspace.NonceMismatch.selector, anne, 0, 1));
        ws.registerFor(r, relay);
    }

    function test_messages_come_in_the_order_of_their_nonces() public {
        IWorkspace.Registration memory r = registration(id("m"), MODEL);
        IWorkspace.Relay memory relay = by(ANNE_KEY, 1, Typed.register(r, 1, DEADLINE));
        refused(abi.encodeWithSelector(IWorkspace.NonceMismatch.selector, anne, 1, 0));
        ws.registerFor(r, relay);
    }

    function test_a_refused_message_keeps_its_nonce() public {
        IWorkspace.Registration memory r = registration(id("m"), 9);
        IWorkspace.Relay memory relay = by(ANNE_KEY, 0, Typed.register(r, 0, DEADLINE));
        refused(abi.encodeWithSelector(IWorkspace.UnknownLifecycle.selector, uint16(9)));
        ws.registerFor(r, relay);
        assertEq(ws.nonceOf(anne), 0, "nonce");
    }

    function test_a_message_is_void_after_its_deadline() public {
        (IWorkspace.Registration memory r, IWorkspace.Relay memory relay) = message();
        vm.warp(DEADLINE + 1);
        refused(abi.encodeWithSelector(IWorkspace.DeadlinePassed.selector, DEADLINE));
        ws.registerFor(r, relay);
        vm.warp(DEADLINE);
        ws.registerFor(r, relay);
    }

    function test_a_message_is_for_one_workspace_and_one_chain() public {
        (IWorkspace.Registration memory r, IWorkspace.Relay memory relay) = message();
        IWorkspace other = new Workspace(founders(), 2, lifecycles());
        refused(invalid(anne));
        other.registerFor(r, relay);
        vm.chainId(77);
        refused(invalid(anne));
        ws.registerFor(r, relay);
    }

    function test_a_changed_message_is_refused(uint8 which) public {
        (IWorkspace.Registration memory r, IWorkspace.Relay memory relay) = message();
        if (which % 4 == 0) r.artefact = id("another");
        if (which % 4 == 1) r.lifecycle = LOG;
        if (which % 4 == 2) r.record = digest("another");
        if (which % 4 == 3) relay.deadline += 1;
        refused(invalid(anne));
        ws.registerFor(r, relay);
    }

    function test_nobody_signs_for_another() public {
        (IWorkspace.Registration memory r, IWorkspace.Relay memory relay) = message();
        relay.signer = cleo;
        refused(invalid(cleo));
        ws.registerFor(r, relay);
    }

    function test_a_message_for_one_operation_does_for_no_other() public {
        IWorkspace.Transition memory t = change(built("m"), REBUILD);
        IWorkspace.Relay memory relay = by(ANNE_KEY, 0, Typed.transit(t, 0, DEADLINE));
        IWorkspace.Transition[] memory all = new IWorkspace.Transition[](1);
        all[0] = t;
        refused(invalid(anne));
        ws.transitionsFor(all, relay);
    }

    function test_a_stranger_who_signs_is_still_a_stranger() public {
        IWorkspace.Registration memory r = registration(id("m"), MODEL);
        IWorkspace.Relay memory relay = by(0xE5E, 0, Typed.register(r, 0, DEADLINE));
        refused(abi.encodeWithSelector(IWorkspace.NotAMember.selector, eve));
        ws.registerFor(r, relay);
    }

    function test_a_mirrored_signature_is_refused() public {
        (IWorkspace.Registration memory r, IWorkspace.Relay memory relay) = message();
        bytes memory signature = relay.signature;
        bytes32 s;
        assembly ("memory-safe") {
            s := mload(add(signature, 0x40))
        }
        bytes32 head;
        assembly ("memory-safe") {
            head := mload(add(signature, 0x20))
        }
        uint8 v = uint8(signature[64]) == 27 ? 28 : 27;
        relay.signature = abi.encodePacked(head, bytes32(ORDER - uint256(s)), v);
        refused(invalid(anne));
        ws.registerFor(r, relay);
    }

    function test_odd_signatures_are_refused() public {
        (IWorkspace.Registration memory r, IWorkspace.Relay memory relay) = message();
        relay.signature = "";
        refused(invalid(anne));
        ws.registerFor(r, relay);
        relay.signature = new bytes(65);
        refused(invalid(anne));
        ws.registerFor(r, relay);
        relay.signer = address(0); // what a failed recovery would give
        refused(invalid(address(0)));
        ws.registerFor(r, relay);
    }

    function test_a_contract_signs_by_eip_1271() public {
        Wallet wallet = new Wallet(digest("word"));
        govern(1, abi.encode(IWorkspace.Member(address(wallet), 5, CONTRIBUTOR)));
        IWorkspace.Registration memory r = registration(id("m"), MODEL);
        bytes32 hash = typed(Typed.register(r, 0, DEADLINE));
        bytes memory signature = abi.encode(keccak256(abi.encode(hash, digest("another word"))));
        refused(invalid(address(wallet)));
        ws.registerFor(r, IWorkspace.Relay(address(wallet), 0, DEADLINE, signature));
        signature = abi.encode(keccak256(abi.encode(hash, digest("word"))));
        ws.registerFor(r, IWorkspace.Relay(address(wallet), 0, DEADLINE, signature));
        (address owner,,,,,,,) = ws.artefactOf(r.artefact);
        assertEq(owner, address(wallet), "owner");
    }

    function test_a_contract_that_does_not_know_eip_1271_signs_nothing() public {
        govern(1, abi.encode(IWorkspace.Member(address(this), 5, CONTRIBUTOR)));
        IWorkspace.Registration memory r = registration(id("m"), MODEL);
        refused(invalid(address(this)));
        ws.registerFor(r, IWorkspace.Relay(address(this), 0, DEADLINE, ""));
    }

    function test_the_domain_is_that_of_eip_712() public view {
        bytes32 type_ =
            keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
        assertEq(
            ws.domainSeparator(),
            keccak256(
                abi.encode(type_, keccak256("ProML Workspace"), keccak256("1"), block.chainid, address(ws))
            ),
            "domain"
        );
    }

    // --------------------------------------------------------------------------------------------------- words

    function message() private view returns (IWorkspace.Registration memory r, IWorkspace.Relay memory relay) {
        r = registration(id("m"), MODEL);
        relay = by(ANNE_KEY, 0, Typed.register(r, 0, DEADLINE));
    }

    function by(uint256 privateKey, uint256 nonce, bytes32 structHash)
        private
        view
        returns (IWorkspace.Relay memory)
    {
        return IWorkspace.Relay(vm.addr(privateKey), nonce, DEADLINE, signed(privateKey, structHash));
    }

    function invalid(address signer) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IWorkspace.SignatureInvalid.selector, signer);
    }
}
