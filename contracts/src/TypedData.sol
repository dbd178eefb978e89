// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IWorkspace} from "./IWorkspace.sol";

/// @title  EIP-712 types of the relayed operations and of a session key's consent.
/// @notice A message is the operation's arguments, then `uint256 nonce,uint256 deadline`. The type hashes are written
///         as `keccak256` of one literal each, because only those are computed by the compiler.
library TypedData {
    bytes32 internal constant DOMAIN =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 internal constant NAME = keccak256("ProML Workspace");
    bytes32 internal constant VERSION = keccak256("1");

    bytes32 internal constant ANCHOR = keccak256("Anchor(bytes32 expectedHead,bytes32 root,uint64 leaves)");
    bytes32 internal constant ENDORSEMENT = keccak256(
        "Endorsement(bytes32 artefact,bytes32 expectedHead,uint8 rule,bytes32 content,bytes32 inputs,bytes32 record,"
        "bool approve)"
    );
    bytes32 internal constant INPUT = keccak256("Input(address workspace,bytes32 artefact,bytes32 head)");
    bytes32 internal constant PROPOSAL = keccak256("Proposal(uint8 action,bytes32 salt,bytes data)");
    bytes32 internal constant REGISTRATION = keccak256("Registration(bytes32 artefact,uint16 lifecycle,bytes32 record)");
    bytes32 internal constant SESSION = keccak256("Session(address key,uint16 roles,bytes32 artefact,uint40 expires)");
    bytes32 internal constant TRANSITION = keccak256(
        "Transition(bytes32 artefact,bytes32 expectedHead,uint8 rule,bytes32 content,bytes32 record,Input[] inputs,"
        "Input[] held)Input(address workspace,bytes32 artefact,bytes32 head)"
    );

    bytes32 internal constant REGISTER = keccak256(
        "Register(Registration registration,uint256 nonce,uint256 deadline)"
        "Registration(bytes32 artefact,uint16 lifecycle,bytes32 record)"
    );
    bytes32 internal constant REGISTER_WITH = keccak256(
        "RegisterWith(Registration registration,Transition first,uint256 nonce,uint256 deadline)"
        "Input(address workspace,bytes32 artefact,bytes32 head)"
        "Registration(bytes32 artefact,uint16 lifecycle,bytes32 record)"
        "Transition(bytes32 artefact,bytes32 expectedHead,uint8 rule,bytes32 content,bytes32 record,Input[] inputs,"
        "Input[] held)"
    );
    bytes32 internal constant TRANSIT = keccak256(
        "Transit(Transition change,uint256 nonce,uint256 deadline)"
        "Input(address workspace,bytes32 artefact,bytes32 head)"
        "Transition(bytes32 artefact,bytes32 expectedHead,uint8 rule,bytes32 content,bytes32 record,Input[] inputs,"
        "Input[] held)"
    );
    bytes32 internal constant TRANSIT_MANY = keccak256(
        "TransitMany(Transition[] changes,uint256 nonce,uint256 deadline)"
        "Input(address workspace,bytes32 artefact,bytes32 head)"
        "Transition(bytes32 artefact,bytes32 expectedHead,uint8 rule,bytes32 content,bytes32 record,Input[] inputs,"
        "Input[] held)"
    );
    bytes32 internal constant ENDORSE = keccak256(
        "Endorse(Endorsement vote,uint256 nonce,uint256 deadline)"
        "Endorsement(bytes32 artefact,bytes32 expectedHead,uint8 rule,bytes32 content,bytes32 inputs,bytes32 record,"
        "bool approve)"
    );
    bytes32 internal constant PUT_ANCHOR = keccak256(
        "PutAnchor(Anchor root,uint256 nonce,uint256 deadline)Anchor(bytes32 expectedHead,bytes32 root,uint64 leaves)"
    );
    bytes32 internal constant GRANT_SESSION = keccak256(
        "GrantSession(Session session,bytes consent,uint256 nonce,uint256 deadline)"
        "Session(address key,uint16 roles,bytes32 artefact,uint40 expires)"
    );
    bytes32 internal constant REVOKE_SESSION = keccak256("RevokeSession(address key,uint256 nonce,uint256 deadline)");
    bytes32 internal constant GOVERN = keccak256(
        "Govern(Proposal change,uint256 nonce,uint256 deadline)Proposal(uint8 action,bytes32 salt,bytes data)"
    );
    bytes32 internal constant SESSION_CONSENT =
        keccak256("SessionConsent(address member,address key,uint16 roles,bytes32 artefact,uint40 expires)");

    /// @dev `hashStruct` of a registration.
    function hash(IWorkspace.Registration calldata registration) internal pure returns (bytes32) {
        return keccak256(abi.encode(REGISTRATION, registration));
    }

    /// @dev `hashStruct` of a transition.
    function hash(IWorkspace.Transition calldata change) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                TRANSITION,
                change.artefact,
                change.expectedHead,
                change.rule,
                change.content,
                change.record,
                hash(change.inputs),
                hash(change.held)
            )
        );
    }

    /// @dev Hash of a list of transitions.
    function hash(IWorkspace.Transition[] calldata changes) internal pure returns (bytes32) {
        bytes32[] memory hashes = new bytes32[](changes.length);
        for (uint256 i; i < changes.length; ++i) {
            hashes[i] = hash(changes[i]);
        }
        return keccak256(abi.encodePacked(hashes));
    }

    /// @dev `hashStruct` of a vote.
    function hash(IWorkspace.Endorsement calldata vote) internal pure returns (bytes32) {
        return keccak256(abi.encode(ENDORSEMENT, vote));
    }

    /// @dev `hashStruct` of an anchor.
    function hash(IWorkspace.Anchor calldata root) internal pure returns (bytes32) {
        return keccak256(abi.encode(ANCHOR, root));
    }

    /// @dev `hashStruct` of a session.
    function hash(IWorkspace.Session calldata session) internal pure returns (bytes32) {
        return keccak256(abi.encode(SESSION, session));
    }

    /// @dev `hashStruct` of a proposal.
    function hash(IWorkspace.Proposal calldata change) internal pure returns (bytes32) {
        return keccak256(abi.encode(PROPOSAL, change.action, change.salt, keccak256(change.data)));
    }

    /// @dev Hash of a list of inputs; most are empty.
    function hash(IWorkspace.Input[] calldata inputs) private pure returns (bytes32) {
        if (inputs.length == 0) return keccak256("");
        bytes32[] memory hashes = new bytes32[](inputs.length);
        for (uint256 i; i < inputs.length; ++i) {
            hashes[i] = keccak256(abi.encode(INPUT, inputs[i]));
        }
        return keccak256(abi.encodePacked(hashes));
    }
}
