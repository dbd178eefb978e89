// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {IWorkspace} from "./IWorkspace.sol";
import {TypedData} from "./TypedData.sol";
import {AccountWord, packSession, packSigned} from "./Words.sol";

/// @title  Who may act: members, their session keys, and the messages they sign for others to send.
abstract contract Accounts is IWorkspace {
    /// @dev Who acts in an operation: the member, the account that signed, and what it may do now.
    struct Actor {
        address member;
        address key;
        uint16 roles;
        bytes32 scope;
        AccountWord account; // the member's
    }

    mapping(address account => AccountWord) internal _accounts;
    mapping(address key => bytes32 artefact) private _scopes;
    mapping(address signer => uint256) private _nonces;

    // -------------------------------------------------------------------------------------------------- views

    /// @inheritdoc IWorkspace
    function memberOf(address account) external view returns (uint16 organisation, uint16 roles) {
        AccountWord word = _accounts[account];
        if (word.isMember()) return (word.organisationOf(), word.rolesOf());
    }

    /// @inheritdoc IWorkspace
    function sessionOf(address key)
        external
        view
        returns (address member, uint16 roles, bytes32 artefact, uint40 expires)
    {
        AccountWord word = _accounts[key];
        if (!word.isMember()) return (word.memberOf(), word.rolesOf(), _scopes[key], word.expiresOf());
    }

    /// @inheritdoc IWorkspace
    function anchorHeadOf(address member) external view returns (bytes32 head) {
        AccountWord word = _accounts[member];
        if (word.isMember()) return word.anchorOf();
    }

    /// @inheritdoc IWorkspace
    function nonceOf(address account) external view returns (uint256) {
        return _nonces[account];
    }

    /// @inheritdoc IWorkspace
    function domainSeparator() public view returns (bytes32) {
        return keccak256(
            abi.encode(TypedData.DOMAIN, TypedData.NAME, TypedData.VERSION, block.chainid, address(this))
        );
    }

    // --------------------------------------------------------------------------------------------- operations

    /// @dev The actor behind an account that signed: a member, or the member that a session key acts for.
    function _actor(address key) internal view returns (Actor memory actor) {
        AccountWord word = _accounts[key];
        actor.key = key;
        actor.roles = word.rolesOf();
        if (word.isMember()) {
            (actor.member, actor.account) = (key, word);
            if (actor.roles == 0) revert NotAMember(key);
        } else {
            if (word.isNobody()) revert NotAMember(key);
            if (word.expiresOf() <= block.timestamp) revert SessionEnded(key, word.expiresOf());
            actor.member = word.memberOf();
            actor.account = _accounts[actor.member];
            if (actor.account.rolesOf() == 0) revert NotAMember(actor.member);
            actor.roles &= actor.account.rolesOf();
            if (word.isScoped()) actor.scope = _scopes[key];
        }
    }

    /// @dev The actor behind a relayed message, whose nonce is used up; `message` is the hash of its typed data.
    function _relayed(Relay calldata relay, bytes32 message) internal returns (Actor memory) {
        if (block.timestamp > relay.deadline) revert DeadlinePassed(relay.deadline);
        uint256 next = _nonces[relay.signer];
        if (relay.nonce != next) revert NonceMismatch(relay.signer, relay.nonce, next);
        _nonces[relay.signer] = next + 1;
        if (!_signed(relay.signer, message, relay.signature)) revert SignatureInvalid(relay.signer);
        return _actor(relay.signer);
    }

    /// @dev Lets a key act for the member, if the key consents and belongs to nobody else.
    function _grantSession(Actor memory actor, Session calldata session, bytes calldata consent) internal {
        if (actor.key != actor.member) revert MembersOnly(actor.key);
        AccountWord known = _accounts[session.key];
        if (
            session.key == address(0) || known.isMember() || session.roles == 0
                || session.roles & ~actor.roles != 0 || session.expires <= block.timestamp
        ) revert SessionRefused(session.key, session.roles, session.expires);
        if (!known.isNobody() && known.memberOf() != actor.member) revert SessionTaken(session.key, known.memberOf());
        bytes32 message = keccak256(abi.encode(TypedData.SESSION_CONSENT, actor.member, session));
        if (!_signed(session.key, message, consent)) revert ConsentInvalid(session.key);
        _accounts[session.key] =
            packSession(actor.member, session.roles, session.expires, session.artefact != 0);
        _scopes[session.key] = session.artefact;
        emit SessionGranted(actor.member, session.key, session.roles, session.artefact, session.expires);
    }

    /// @dev Revokes a session key of the actor's member. A session key revokes none but itself: a stolen one must not
    ///      be able to stop its member's other jobs.
    function _revokeSessionBy(Actor memory actor, address key) internal {
        if (actor.key != actor.member && actor.key != key) revert MembersOnly(actor.key);
        _revokeSession(key, actor.member);
    }

    /// @dev Revokes a session key; `by` is its member, or zero for governance.
    function _revokeSession(address key, address by) internal {
        AccountWord word = _accounts[key];
        if (word.isNobody() || word.isMember()) revert NotAMember(key);
        address member = word.memberOf();
        if (by != address(0) && by != member) revert SessionTaken(key, member);
        _accounts[key] = packSession(member, word.rolesOf(), 0, word.isScoped());
        emit SessionRevoked(member, key);
    }

    /// @dev Continues the member's anchor chain.
    function _anchor(Actor memory actor, Anchor calldata root) internal {
        if (actor.scope != 0) revert SessionScope(actor.key, actor.scope, 0);
        if (actor.roles == 0) revert RoleMissing(actor.key, 0, type(uint16).max);
        if (root.root == 0 || root.leaves == 0) revert EmptyAnchor();
        bytes32 head = actor.account.anchorOf();
        if (root.expectedHead != head) revert AnchorMismatch(actor.member, root.expectedHead, head);
        uint256 next = uint224(uint256(keccak256(abi.encode(head, root.root, root.leaves, actor.key))));
        _accounts[actor.member] = actor.account.anchored(next);
        emit Anchored(actor.member, root.root, packSigned(actor.key, root.leaves), bytes32(next));
    }

    /// @dev Refuses a session key that may only touch another artefact.
    function _requireScope(Actor memory actor, bytes32 artefact) internal pure {
        if (actor.scope != 0 && actor.scope != artefact) revert SessionScope(actor.key, actor.scope, artefact);
    }

    /// @dev Refuses an actor with none of the roles needed.
    function _requireRole(Actor memory actor, uint16 needed) internal pure {
        if (actor.roles & needed == 0) revert RoleMissing(actor.key, actor.roles, needed);
    }

    /// @dev Whether an account signed: by ECDSA, or else, if it is a contract, by EIP-1271.
    function _signed(address signer, bytes32 message, bytes calldata signature) private view returns (bool) {
        bytes32 digest = MessageHashUtils.toTypedDataHash(domainSeparator(), message);
        (address recovered, ECDSA.RecoverError failure,) = ECDSA.tryRecover(digest, signature);
        if (failure == ECDSA.RecoverError.NoError && recovered == signer) return true;
        return signer.code.length != 0 && SignatureChecker.isValidERC1271SignatureNow(signer, digest, signature);
    }
}
