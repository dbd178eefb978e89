// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Artefacts} from "./Artefacts.sol";
import {Governance} from "./Governance.sol";
import {TypedData} from "./TypedData.sol";
import {IWorkspace} from "./IWorkspace.sol";

/// @title  One joint provenance record of several organisations.
/// @notice The operations: each finds out who acts, by the sender or by a signed message, and does the same thing.
contract Workspace is Artefacts {
    /// @param founders   The first members, with admins of at least `quorum` organisations among them.
    /// @param quorum     Organisations whose admins must agree to a change.
    /// @param lifecycles The first lifecycles, numbered from 1.
    constructor(Member[] memory founders, uint8 quorum, Lifecycle[] memory lifecycles)
        Governance(founders, quorum, lifecycles)
    {}

    // --------------------------------------------------------------------------------------------- operations

    /// @inheritdoc IWorkspace
    function register(Registration calldata registration) external {
        _register(msg.sender, registration);
    }

    /// @inheritdoc IWorkspace
    function registerWith(Registration calldata registration, Transition calldata first) external {
        _registerWith(msg.sender, registration, first);
    }

    /// @inheritdoc IWorkspace
    function transition(Transition calldata change) external {
        _transit(msg.sender, change);
    }

    /// @inheritdoc IWorkspace
    function transitions(Transition[] calldata changes) external {
        _transitMany(msg.sender, changes);
    }

    /// @inheritdoc IWorkspace
    function endorse(Endorsement calldata vote) external {
        _endorse(msg.sender, vote);
    }

    /// @inheritdoc IWorkspace
    function anchor(Anchor calldata root) external {
        _anchor(msg.sender, root);
    }

    /// @inheritdoc IWorkspace
    function grantSession(Session calldata session_, bytes calldata consent) external {
        _grantSession(msg.sender, session_, consent);
    }

    /// @inheritdoc IWorkspace
    function revokeSession(address key) external {
        _revokeSessionBy(msg.sender, key);
    }

    /// @inheritdoc IWorkspace
    function govern(Proposal calldata change) external {
        _govern(msg.sender, change);
    }

    // ------------------------------------------------------------------------------------- relayed operations

    /// @inheritdoc IWorkspace
    function registerFor(Registration calldata registration, Relay calldata relay) external {
        bytes32 message = keccak256(
            abi.encode(TypedData.REGISTER, TypedData.hash(registration), relay.nonce, relay.deadline)
        );
        _accept(relay, message);
        _register(relay.signer, registration);
    }

    /// @inheritdoc IWorkspace
    function registerWithFor(Registration calldata registration, Transition calldata first, Relay calldata relay)
        external
    {
        bytes32 message = keccak256(
            abi.encode(
                TypedData.REGISTER_WITH,
                TypedData.hash(registration),
                TypedData.hash(first),
                relay.nonce,
                relay.deadline
            )
        );
        _accept(relay, message);
        _registerWith(relay.signer, registration, first);
    }

    /// @inheritdoc IWorkspace
    function transitionFor(Transition calldata change, Relay calldata relay) external {
        bytes32 message =
            keccak256(abi.encode(TypedData.TRANSIT, TypedData.hash(change), relay.nonce, relay.deadline));
        _accept(relay, message);
        _transit(relay.signer, change);
    }

    /// @inheritdoc IWorkspace
    function transitionsFor(Transition[] calldata changes, Relay calldata relay) external {
        bytes32 message =
            keccak256(abi.encode(TypedData.TRANSIT_MANY, TypedData.hash(changes), relay.nonce, relay.deadline));
        _accept(relay, message);
        _transitMany(relay.signer, changes);
    }

    /// @inheritdoc IWorkspace
    function endorseFor(Endorsement calldata vote, Relay calldata relay) external {
        bytes32 message = keccak256(abi.encode(TypedData.ENDORSE, TypedData.hash(vote), relay.nonce, relay.deadline));
        _accept(relay, message);
        _endorse(relay.signer, vote);
    }

    /// @inheritdoc IWorkspace
    function anchorFor(Anchor calldata root, Relay calldata relay) external {
        bytes32 message =
            keccak256(abi.encode(TypedData.PUT_ANCHOR, TypedData.hash(root), relay.nonce, relay.deadline));
        _accept(relay, message);
        _anchor(relay.signer, root);
    }

    /// @inheritdoc IWorkspace
    function grantSessionFor(Session calldata session_, bytes calldata consent, Relay calldata relay) external {
        bytes32 message = keccak256(
            abi.encode(
                TypedData.GRANT_SESSION, TypedData.hash(session_), keccak256(consent), relay.nonce, relay.deadline
            )
        );
        _accept(relay, message);
        _grantSession(relay.signer, session_, consent);
    }

    /// @inheritdoc IWorkspace
    function revokeSessionFor(address key, Relay calldata relay) external {
        bytes32 message = keccak256(abi.encode(TypedData.REVOKE_SESSION, key, relay.nonce, relay.deadline));
        _accept(relay, message);
        _revokeSessionBy(relay.signer, key);
    }

    /// @inheritdoc IWorkspace
    function governFor(Proposal calldata change, Relay calldata relay) external {
        bytes32 message =
            keccak256(abi.encode(TypedData.GOVERN, TypedData.hash(change), relay.nonce, relay.deadline));
        _accept(relay, message);
        _govern(relay.signer, change);
    }
}
