// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {hashOf} from "./Assembly.sol";
import {IWorkspace} from "./IWorkspace.sol";
import {TypedData} from "./TypedData.sol";
import {AccountWord, ActorWord, packActor, packSession, packSessionActor, packSigned} from "./Words.sol";

/// @title  Who may act: members, their session keys, and the messages they sign for others to send.
abstract contract Accounts is IWorkspace {
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

    /// @dev Lets a key act for the member, if the key consents and belongs to nobody else.
    function _grantSession(address key, Session calldata session, bytes calldata consent) internal {
        ActorWord actor = _actor(key);
        if (actor.ofMember() != key) revert MembersOnly(key);
        AccountWord known = _accounts[session.key];
        if (
            // slither-disable-next-line timestamp  a session ends at a time, for validators no finer than a block's
            session.key == address(0) || known.isMember() || session.roles == 0
                || session.roles & ~actor.withRoles() != 0 || session.expires <= block.timestamp
        ) revert SessionRefused(session.key, session.roles, session.expires);
        if (!known.isNobody() && known.memberOf() != key) revert SessionTaken(session.key, known.memberOf());
        bytes32 message = keccak256(abi.encode(TypedData.SESSION_CONSENT, key, session));
        if (!_signed(session.key, message, consent)) revert ConsentInvalid(session.key);
        _accounts[session.key] = packSession(key, session.roles, session.expires, session.artefact != 0);
        _scopes[session.key] = session.artefact;
        emit SessionGranted(key, session.key, session.roles, session.artefact, session.expires);
    }

    /// @dev Revokes a session key of the actor's member. A session key revokes none but itself: a stolen one must not
    ///      be able to stop its member's other jobs.
    function _revokeSessionBy(address key, address session) internal {
        address member = _actor(key).ofMember();
        if (key != member && key != session) revert MembersOnly(key);
        _revokeSession(session, member);
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

    /// @dev Continues the anchor chain of the member that acts.
    function _anchor(address key, Anchor calldata root) internal {
        AccountWord account = _accounts[key];
        address member = key;
        if (!account.isMember()) {
            ActorWord actor = _actor(key);
            if (actor.withScope()) revert SessionScope(key, _scopes[key], 0);
            if (actor.withRoles() == 0) revert RoleMissing(key, 0, type(uint16).max);
            member = actor.ofMember();
            account = _accounts[member];
        } else if (account.rolesOf() == 0) {
            revert NotAMember(key);
        }
        bytes32 merkle = root.root;
        uint256 leaves = root.leaves;
        if (merkle == 0) revert EmptyAnchor();
        if (leaves == 0) revert EmptyAnchor();
        uint256 head = uint256(account.anchorOf());
        if (uint256(root.expectedHead) != head) revert AnchorMismatch(member, root.expectedHead, bytes32(head));
        uint256 signer = uint160(key);
        AccountWord next = account.anchored(hashOf(head, merkle, leaves, signer));
        _accounts[member] = next;
        emit Anchored(member, merkle, packSigned(signer, leaves), next.anchorOf());
    }

    // ------------------------------------------------------------------------------------ what operations use

    /// @dev Who acts by an account that signed: a member, or the member that a session key acts for.
    function _actor(address key) internal view returns (ActorWord) {
        AccountWord word = _accounts[key];
        if (word.isMember()) {
            if (word.rolesOf() == 0) revert NotAMember(key);
            return packActor(key, word);
        }
        if (word.isNobody()) revert NotAMember(key);
        // slither-disable-next-line timestamp  a session ends at a time, for validators no finer than a block's
        if (word.expiresOf() <= block.timestamp) revert SessionEnded(key, word.expiresOf());
        address member = word.memberOf();
        AccountWord account = _accounts[member];
        if (account.rolesOf() == 0) revert NotAMember(member);
        return packSessionActor(member, account, word);
    }

    /// @dev Refuses a relayed message that is late, used, out of order or not signed, and uses its nonce up; `message` is
    ///      the hash of its typed data.
    function _accept(Relay calldata relay, bytes32 message) internal {
        // slither-disable-next-line timestamp  a deadline is a time, for validators no finer than a block's
        if (block.timestamp > relay.deadline) revert DeadlinePassed(relay.deadline);
        uint256 next = _nonces[relay.signer];
        if (relay.nonce != next) revert NonceMismatch(relay.signer, relay.nonce, next);
        _nonces[relay.signer] = next + 1;
        if (!_signed(relay.signer, message, relay.signature)) revert SignatureInvalid(relay.signer);
    }

    /// @dev Refuses a session key, which has a scope, at another artefact.
    function _requireScope(address key, bytes32 artefact) internal view {
        if (_scopes[key] != artefact) revert SessionScope(key, _scopes[key], artefact);
    }

    /// @dev Refuses an actor with none of the roles needed.
    function _requireRole(ActorWord actor, address key, uint16 needed) internal pure {
        if (actor.withRoles() & needed == 0) revert RoleMissing(key, actor.withRoles(), needed);
    }

    /// @dev Whether an account signed: by ECDSA, or else, if it is a contract, by EIP-1271.
    function _signed(address signer, bytes32 message, bytes calldata signature) private view returns (bool) {
        bytes32 digest = MessageHashUtils.toTypedDataHash(domainSeparator(), message);
        // slither-disable-next-line unused-return  the third value only says what is wrong with a signature
        (address recovered, ECDSA.RecoverError failure,) = ECDSA.tryRecover(digest, signature);
        if (failure == ECDSA.RecoverError.NoError && recovered == signer) return true;
        return signer.code.length != 0 && SignatureChecker.isValidERC1271SignatureNow(signer, digest, signature);
    }
}
