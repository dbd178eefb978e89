// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IWorkspace} from "../src/IWorkspace.sol";

/// @dev EIP-712 written a second time, from the types' text as wallets see it, so that a slip in TypedData shows.
library Typed {
    string private constant ANCHOR = "Anchor(bytes32 expectedHead,bytes32 root,uint64 leaves)";
    string private constant ENDORSEMENT =
        "Endorsement(bytes32 artefact,bytes32 expectedHead,uint8 rule,bytes32 content,bytes32 inputs,bytes32 record,bool approve)";
    string private constant INPUT = "Input(address workspace,bytes32 artefact,bytes32 head)";
    string private constant PROPOSAL = "Proposal(uint8 action,bytes32 salt,bytes data)";
    string private constant REGISTRATION = "Registration(bytes32 artefact,uint16 lifecycle,bytes32 record)";
    string private constant SESSION = "Session(address key,uint16 roles,bytes32 artefact,uint40 expires)";
    string private constant TRANSITION =
        "Transition(bytes32 artefact,bytes32 expectedHead,uint8 rule,bytes32 content,bytes32 record,Input[] inputs,Input[] held)";

    function register(IWorkspace.Registration memory r, uint256 nonce, uint256 deadline) internal pure returns (bytes32) {
        return _message("Register(Registration registration,", REGISTRATION, abi.encode(_hash(r)), nonce, deadline);
    }

    function registerWith(
        IWorkspace.Registration memory r,
        IWorkspace.Transition memory t,
        uint256 nonce,
        uint256 deadline
    ) internal pure returns (bytes32) {
        return _message(
            "RegisterWith(Registration registration,Transition first,",
            string.concat(INPUT, REGISTRATION, TRANSITION),
            abi.encode(_hash(r), _hash(t)),
            nonce,
            deadline
        );
    }

    function transit(IWorkspace.Transition memory t, uint256 nonce, uint256 deadline) internal pure returns (bytes32) {
        return
            _message("Transit(Transition change,", string.concat(INPUT, TRANSITION), abi.encode(_hash(t)), nonce, deadline);
    }

    function transitMany(IWorkspace.Transition[] memory all, uint256 nonce, uint256 deadline)
        internal
        pure
        returns (bytes32)
    {
        bytes memory hashes;
        for (uint256 i; i < all.length; ++i) {
            hashes = bytes.concat(hashes, _hash(all[i]));
        }
        return _message(
            "TransitMany(Transition[] changes,",
            string.concat(INPUT, TRANSITION),
            abi.encode(keccak256(hashes)),
            nonce,
            deadline
        );
    }

    function endorse(IWorkspace.Endorsement memory v, uint256 nonce, uint256 deadline) internal pure returns (bytes32) {
        bytes32 hash = keccak256(
            abi.encode(
                keccak256(bytes(ENDORSEMENT)),
                v.artefact,
                v.expectedHead,
                v.rule,
                v.content,
                v.inputs,
                v.record,
                v.approve
            )
        );
        return _message("Endorse(Endorsement vote,", ENDORSEMENT, abi.encode(hash), nonce, deadline);
    }

    function putAnchor(IWorkspace.Anchor memory a, uint256 nonce, uint256 deadline) internal pure returns (bytes32) {
        bytes32 hash = keccak256(abi.encode(keccak256(bytes(ANCHOR)), a.expectedHead, a.root, a.leaves));
        return _message("PutAnchor(Anchor root,", ANCHOR, abi.encode(hash), nonce, deadline);
    }

    function grantSession(IWorkspace.Session memory s, bytes memory consent, uint256 nonce, uint256 deadline)
        internal
        pure
        returns (bytes32)
    {
        bytes32 hash = keccak256(abi.encode(keccak256(bytes(SESSION)), s.key, s.roles, s.artefact, s.expires));
        return _message(
            "GrantSession(Session session,bytes consent,", SESSION, abi.encode(hash, keccak256(consent)), nonce, deadline
        );
    }

    function revokeSession(address key, uint256 nonce, uint256 deadline) internal pure returns (bytes32) {
        return _message("RevokeSession(address key,", "", abi.encode(key), nonce, deadline);
    }

    function govern(IWorkspace.Proposal memory p, uint256 nonce, uint256 deadline) internal pure returns (bytes32) {
        bytes32 hash = keccak256(abi.encode(keccak256(bytes(PROPOSAL)), p.action, p.salt, keccak256(p.data)));
        return _message("Govern(Proposal change,", PROPOSAL, abi.encode(hash), nonce, deadline);
    }

    function _hash(IWorkspace.Registration memory r) private pure returns (bytes32) {
        return keccak256(abi.encode(keccak256(bytes(REGISTRATION)), r.artefact, r.lifecycle, r.record));
    }

    function _hash(IWorkspace.Transition memory t) private pure returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256(bytes(string.concat(TRANSITION, INPUT))),
                t.artefact,
                t.expectedHead,
                t.rule,
                t.content,
                t.record,
                _hash(t.inputs),
                _hash(t.held)
            )
        );
    }

    function _hash(IWorkspace.Input[] memory inputs) private pure returns (bytes32) {
        bytes memory hashes;
        for (uint256 i; i < inputs.length; ++i) {
            hashes = bytes.concat(
                hashes,
                keccak256(
                    abi.encode(keccak256(bytes(INPUT)), inputs[i].workspace, inputs[i].artefact, inputs[i].head)
                )
            );
        }
        return keccak256(hashes);
    }

    function _message(string memory head, string memory types, bytes memory words, uint256 nonce, uint256 deadline)
        private
        pure
        returns (bytes32)
    {
        bytes32 type_ = keccak256(bytes(string.concat(head, "uint256 nonce,uint256 deadline)", types)));
        return keccak256(bytes.concat(type_, words, abi.encode(nonce, deadline)));
    }
}
