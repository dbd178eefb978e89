// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Accounts} from "./Accounts.sol";
import {IWorkspace} from "./IWorkspace.sol";
import {Lifecycles} from "./Lifecycles.sol";
import {Votes} from "./Votes.sol";
import {AccountWord, ActorWord, VoteWord, packMember} from "./Words.sol";

/// @title  What needs admins of M distinct organisations: members, quorum, lifecycles, recovery.
abstract contract Governance is Accounts, Lifecycles, Votes {
    uint16 private constant ADMIN = 1;
    uint8 private constant SET_MEMBER = 1;
    uint8 private constant SET_QUORUM = 2;
    uint8 private constant ADD_LIFECYCLE = 3;
    uint8 private constant RECOVER_ARTEFACTS = 4;
    uint8 private constant REVOKE_SESSION = 5;

    uint64 private _epoch;
    uint8 private _quorum;
    uint16 private _adminOrganisations;
    mapping(uint16 organisation => uint256) private _admins;
    mapping(bytes32 proposal => VoteWord) private _proposals;

    /// @dev See Workspace.
    constructor(Member[] memory founders, uint8 quorum, Lifecycle[] memory lifecycles) {
        for (uint256 i; i < founders.length; ++i) {
            _putMember(founders[i]);
        }
        _putQuorum(quorum);
        for (uint256 i; i < lifecycles.length; ++i) {
            _addLifecycle(lifecycles[i]);
        }
    }

    /// @inheritdoc IWorkspace
    function governance() external view returns (uint8 quorum, uint16 adminOrganisations, uint64 epoch) {
        return (_quorum, _adminOrganisations, _epoch);
    }

    /// @inheritdoc IWorkspace
    function proposalOf(Proposal calldata change)
        external
        view
        returns (bytes32 proposal, uint8 approvals, bool executed)
    {
        proposal = _proposalId(change);
        VoteWord word = _proposals[proposal];
        return (proposal, word.countOf(), word.chainOf() != 0);
    }

    /// @dev Approves a change, and carries it out if that was the last approval needed.
    function _govern(address key, Proposal calldata change) internal {
        ActorWord actor = _actor(key);
        if (actor.ofMember() != key) revert MembersOnly(key);
        _requireRole(actor, key, ADMIN);
        if (change.action == 0 || change.action > REVOKE_SESSION) revert UnknownAction(change.action);
        bytes32 proposal = _proposalId(change);
        VoteWord word = _proposals[proposal];
        if (word.chainOf() != 0) revert AlreadyExecuted(proposal);
        uint16 organisation = actor.ofOrganisation();
        (VoteWord marked, bool fresh) = _mark(word, proposal, organisation);
        if (!fresh) revert AlreadyApproved(proposal, organisation);
        word = marked.counted();
        emit ProposalApproved(proposal, key, organisation, change);
        bool enough = word.countOf() >= _quorum;
        _proposals[proposal] = enough ? word.chained(1) : word;
        if (enough) {
            _execute(change);
            emit ProposalExecuted(proposal);
        }
    }

    /// @dev Gives an artefact a new owner; see Artefacts.
    function _recover(bytes32 artefact, address from, address to) internal virtual;

    /// @dev Carries out a change whose action is known to exist.
    function _execute(Proposal calldata change) private {
        uint8 action = change.action;
        if (action == SET_MEMBER) {
            ++_epoch;
            _putMember(abi.decode(change.data, (Member)));
            _requireUnlocked(_quorum);
        } else if (action == SET_QUORUM) {
            ++_epoch;
            _putQuorum(abi.decode(change.data, (uint8)));
        } else if (action == ADD_LIFECYCLE) {
            _addLifecycle(abi.decode(change.data, (Lifecycle)));
        } else if (action == RECOVER_ARTEFACTS) {
            (address from, address to, bytes32[] memory artefacts) =
                abi.decode(change.data, (address, address, bytes32[]));
            AccountWord heir = _accounts[to];
            if (!heir.isMember() || heir.rolesOf() == 0) revert NotAMember(to);
            for (uint256 i; i < artefacts.length; ++i) {
                _recover(artefacts[i], from, to);
            }
        } else {
            _revokeSession(abi.decode(change.data, (address)), address(0));
        }
    }

    /// @dev Adds or changes a member and keeps count of the organisations that have an admin.
    function _putMember(Member memory member) private {
        AccountWord word = _accounts[member.account];
        bool known = word.isMember();
        if (
            member.account == address(0) || member.organisation == 0
                || (known ? word.organisationOf() != member.organisation : !word.isNobody() || member.roles == 0)
        ) revert MemberInvalid(member.account, member.organisation);
        bool was = word.rolesOf() & ADMIN != 0;
        bool becomes = member.roles & ADMIN != 0;
        if (becomes && !was && ++_admins[member.organisation] == 1) ++_adminOrganisations;
        if (was && !becomes && --_admins[member.organisation] == 0) --_adminOrganisations;
        _accounts[member.account] = packMember(member.organisation, member.roles, uint256(word.anchorOf()));
        emit MemberSet(member.account, member.organisation, member.roles);
    }

    /// @dev Sets M.
    function _putQuorum(uint8 quorum) private {
        _requireUnlocked(quorum);
        _quorum = quorum;
        emit GovernanceQuorumSet(quorum);
    }

    /// @dev Refuses an M that the organisations with an admin cannot reach.
    function _requireUnlocked(uint8 quorum) private view {
        if (quorum == 0 || quorum > _adminOrganisations) revert GovernanceLocked(quorum, _adminOrganisations);
    }

    /// @dev A proposal's id in the current epoch.
    function _proposalId(Proposal calldata change) private view returns (bytes32) {
        return keccak256(abi.encode(_epoch, change.action, change.salt, keccak256(change.data)));
    }
}
