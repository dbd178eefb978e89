// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title  One joint provenance record of several organisations.
/// @notice Every artefact (dataset, model, evaluation…) is a state machine: it has an owner, a lifecycle, a state, a
///         sequence number and the head of a hash chain. It changes by a transition that its lifecycle allows, and by
///         nothing else. A transition names the head it builds on, so a signer approves exactly the history it saw.
/// @dev    Digests are SHA-256 unless said otherwise; heads, ids and commitments are Keccak-256 of `abi.encode`.
///         Zero means "none" for content digests, input workspaces ("this one") and session scopes ("all artefacts").
interface IWorkspace {
    // ------------------------------------------------------------------------------------------------- structs

    /// @notice A member: an account of one organisation with a set of role bits.
    /// @param account      The member's account (an EOA, or a contract that answers EIP-1271).
    /// @param organisation Number of its organisation, from 1; its name is kept off chain.
    /// @param roles        Role bits: 1 admin, 2 contributor, 4 reviewer, 8 verifier, 16 operator, 32 auditor, others free.
    struct Member {
        address account;
        uint16 organisation;
        uint16 roles;
    }

    /// @notice One allowed step of a lifecycle.
    /// @param from      State it starts in; 255 is any state that is not terminal.
    /// @param to        State it leads to.
    /// @param roles     Whoever performs it needs one of these role bits.
    /// @param guards    Guard bits: 1 owner only, 2 four eyes (not the owner's organisation), 4 needs new content,
    ///                  8 forbids new content, 16 all inputs usable, 32 needs an input, 64 held inputs not revoked.
    /// @param quorum    Number of distinct organisations that must have endorsed; 0 is none.
    /// @param voteRoles Whoever endorses needs one of these role bits.
    /// @param minDelay  Seconds that must have passed since the artefact's last transition.
    /// @param evidence  Lifecycle of which an input, usable and owned by another organisation, is demanded; 0 is none.
    struct Rule {
        uint8 from;
        uint8 to;
        uint16 roles;
        uint16 guards;
        uint8 quorum;
        uint16 voteRoles;
        uint32 minDelay;
        uint16 evidence;
    }

    /// @notice An immutable state machine.
    /// @param definition    SHA-256 of the canonical JSON definition, which names the states and transitions.
    /// @param registerRoles Whoever registers an artefact of this lifecycle needs one of these role bits.
    /// @param initial       State of a newly registered artefact.
    /// @param stateFlags    For each state: 1 usable as an input, 2 terminal, 4 revoked.
    /// @param rules         The transitions; a transition's number is its position here.
    struct Lifecycle {
        bytes32 definition;
        uint16 registerRoles;
        uint8 initial;
        uint8[] stateFlags;
        Rule[] rules;
    }

    /// @notice A new artefact.
    /// @param artefact  keccak256(name key, name): see PROTOCOL §1.
    /// @param lifecycle Number of its lifecycle, from 1.
    /// @param record    SHA-256 of the registration record.
    struct Registration {
        bytes32 artefact;
        uint16 lifecycle;
        bytes32 record;
    }

    /// @notice A version of an artefact that was used to make another.
    /// @param workspace Contract it lives in; zero is this one.
    /// @param artefact  Its id.
    /// @param head      The head of the version used.
    struct Input {
        address workspace;
        bytes32 artefact;
        bytes32 head;
    }

    /// @notice A change of state.
    /// @param artefact     The artefact that changes.
    /// @param expectedHead The head it builds on.
    /// @param rule         Number of the transition in the artefact's lifecycle.
    /// @param content      SHA-256 of the content manifest; zero when the content stays.
    /// @param record       SHA-256 of the record.
    /// @param inputs       What was used; committed to by the new head.
    /// @param held         Inputs of the current version, repeated where guard 64 demands it, otherwise empty.
    struct Transition {
        bytes32 artefact;
        bytes32 expectedHead;
        uint8 rule;
        bytes32 content;
        bytes32 record;
        Input[] inputs;
        Input[] held;
    }

    /// @notice A vote on a quorum transition: for exactly this head, rule, content and inputs.
    /// @param artefact     The artefact.
    /// @param expectedHead The head that the transition will build on.
    /// @param rule         Number of the transition.
    /// @param content      Content digest that the transition will carry.
    /// @param inputs       Commitment of the inputs that the transition will carry; zero is none.
    /// @param record       SHA-256 of the vote's own record.
    /// @param approve      True endorses; false rejects, which is recorded and never counts.
    struct Endorsement {
        bytes32 artefact;
        bytes32 expectedHead;
        uint8 rule;
        bytes32 content;
        bytes32 inputs;
        bytes32 record;
        bool approve;
    }

    /// @notice A Merkle root of observations or run records, put on chain by itself.
    /// @param expectedHead Head of the member's anchor chain that this one builds on; zero for the first.
    /// @param root         RFC 9162 Merkle root.
    /// @param leaves       Number of leaves.
    struct Anchor {
        bytes32 expectedHead;
        bytes32 root;
        uint64 leaves;
    }

    /// @notice Leave for a key to act for the member that grants it.
    /// @param key      The session key's account, which consents by a signature over the same struct and the member.
    /// @param roles    Subset of the member's roles that the key may use.
    /// @param artefact The only artefact it may touch; zero is all.
    /// @param expires  Unix time, in seconds, from which it is void.
    struct Session {
        address key;
        uint16 roles;
        bytes32 artefact;
        uint40 expires;
    }

    /// @notice A change that needs admins of M distinct organisations over the same bytes.
    /// @param action 1 set member (Member) · 2 set governance quorum (uint8) · 3 add lifecycle (Lifecycle) ·
    ///               4 recover artefacts (address from, address to, bytes32[] artefacts) · 5 revoke session (address).
    /// @param salt   Tells equal changes apart.
    /// @param data   `abi.encode` of what the action takes.
    struct Proposal {
        uint8 action;
        bytes32 salt;
        bytes data;
    }

    /// @notice What lets anybody send a member's operation: its EIP-712 signature.
    /// @param signer    Member or session key that signed.
    /// @param nonce     The signer's next nonce.
    /// @param deadline  Unix time, in seconds, after which the message is void.
    /// @param signature ECDSA (65 bytes) or whatever the signer's EIP-1271 check takes.
    struct Relay {
        address signer;
        uint256 nonce;
        uint256 deadline;
        bytes signature;
    }

    // -------------------------------------------------------------------------------------------------- events

    /// @notice A member was added, changed, or (roles = 0) removed.
    event MemberSet(address indexed account, uint16 indexed organisation, uint16 roles);
    /// @notice Governance now needs admins of this many organisations.
    event GovernanceQuorumSet(uint8 quorum);
    /// @notice A lifecycle was added; its rules are read with `lifecycle`.
    event LifecycleAdded(uint16 indexed lifecycle, bytes32 indexed definition);
    /// @notice An admin approved a change.
    event ProposalApproved(bytes32 indexed proposal, address indexed admin, uint16 organisation, Proposal change);
    /// @notice A change was carried out.
    event ProposalExecuted(bytes32 indexed proposal);
    /// @notice Governance gave an artefact a new owner.
    event ArtefactRecovered(bytes32 indexed artefact, address indexed from, address indexed to);
    /// @notice A member let a key act for it.
    event SessionGranted(address indexed member, address indexed key, uint16 roles, bytes32 artefact, uint40 expires);
    /// @notice A session key was revoked.
    event SessionRevoked(address indexed member, address indexed key);
    /// @notice An artefact came into being.
    /// @param key The account that signed: the owner itself or its session key.
    event Registered(
        bytes32 indexed artefact, uint16 indexed lifecycle, address indexed owner, address key, bytes32 record, bytes32 head
    );
    /// @notice An artefact changed.
    /// @param actor The member that acted.
    /// @param step  One word, for its price: from the lowest bit, the account that signed 160 (the member itself or its
    ///              session key) · the rule's number 8 · the state it led to 8 · the artefact's sequence number 32.
    event Transitioned(
        bytes32 indexed artefact,
        bytes32 indexed content,
        address indexed actor,
        uint256 step,
        bytes32 record,
        bytes32 head
    );
    /// @notice A transition used an input; one event per input, right after its `Transitioned`, in order.
    /// @param use One word, for its price: from the lowest bit, the input's workspace 160 (zero is this one) · the
    ///            sequence number of the transition 32.
    event InputUsed(bytes32 indexed artefact, bytes32 indexed input, bytes32 indexed inputHead, uint256 use);
    /// @notice A member voted; the ballot's id follows from what is voted on.
    /// @param actor        The member that voted.
    /// @param cast         One word, for its price: from the lowest bit, the account that signed 160 · the rule's number 8 ·
    ///                     the member's organisation 16 · 1 if it endorses, 0 if it rejects, 1.
    /// @param expectedHead The head, content and inputs' commitment of the transition that is voted on.
    /// @param record       The vote's own record.
    /// @param commitment   The ballot's vote chain after this vote.
    event Endorsed(
        bytes32 indexed artefact,
        address indexed actor,
        uint256 cast,
        bytes32 expectedHead,
        bytes32 content,
        bytes32 inputs,
        bytes32 record,
        bytes32 commitment
    );
    /// @notice A member anchored a root.
    /// @param signed One word, for its price: from the lowest bit, the account that signed 160 · the number of leaves 64.
    /// @param head   The member's anchor chain after this anchor: the lowest 224 bits of
    ///               keccak256(abi.encode(head before, root, leaves, key)), so that it shares the member's word.
    event Anchored(address indexed actor, bytes32 indexed root, uint256 signed, bytes32 head);

    // -------------------------------------------------------------------------------------------------- errors

    /// @notice The account is neither a member nor a session key.
    error NotAMember(address account);
    /// @notice The account has `has`, and needs one of `needed`.
    error RoleMissing(address account, uint16 has, uint16 needed);
    /// @notice The session key has expired or was revoked.
    error SessionEnded(address key, uint40 expires);
    /// @notice The session key may only touch another artefact.
    error SessionScope(address key, bytes32 scope, bytes32 artefact);
    /// @notice The session's key, roles or time cannot be granted.
    error SessionRefused(address key, uint16 roles, uint40 expires);
    /// @notice The session key did not consent by a valid signature.
    error ConsentInvalid(address key);
    /// @notice The key belongs to another member.
    error SessionTaken(address key, address member);
    /// @notice A session key tried what only a member may do: grant sessions, revoke others, or govern.
    error MembersOnly(address key);
    /// @notice No artefact has this id.
    error UnknownArtefact(bytes32 artefact);
    /// @notice An artefact with this id exists.
    error AlreadyRegistered(bytes32 artefact);
    /// @notice No lifecycle has this number.
    error UnknownLifecycle(uint16 lifecycle);
    /// @notice The lifecycle has no transition with this number.
    error UnknownRule(uint16 lifecycle, uint8 rule);
    /// @notice The artefact moved on.
    error HeadMismatch(bytes32 artefact, bytes32 expected, bytes32 actual);
    /// @notice The transition does not start in the artefact's state.
    error WrongState(bytes32 artefact, uint8 state, uint8 from);
    /// @notice The artefact is in a terminal state.
    error Terminal(bytes32 artefact, uint8 state);
    /// @notice Only the owner may do this.
    error OwnerOnly(bytes32 artefact, address owner, address actor);
    /// @notice Nobody of the owner's organisation may do this.
    error FourEyes(bytes32 artefact, uint16 organisation);
    /// @notice The transition needs new content.
    error ContentNeeded(bytes32 artefact);
    /// @notice The transition must not bring new content.
    error ContentForbidden(bytes32 artefact);
    /// @notice The transition needs at least one input.
    error InputNeeded(bytes32 artefact);
    /// @notice The input does not exist, is not at that head, or its state is not usable.
    error InputNotUsable(address workspace, bytes32 input, bytes32 head);
    /// @notice The held inputs are not those of the current version.
    error HeldMismatch(bytes32 artefact, bytes32 expected, bytes32 actual);
    /// @notice An input of the current version was revoked.
    error InputRevoked(address workspace, bytes32 input);
    /// @notice No usable input of lifecycle `evidence` owned by another organisation was given.
    error EvidenceMissing(bytes32 artefact, uint16 evidence);
    /// @notice Fewer organisations have endorsed than are needed.
    error QuorumMissing(bytes32 artefact, uint8 endorsed, uint8 needed);
    /// @notice The transition takes no votes.
    error NoQuorum(bytes32 artefact, uint8 rule);
    /// @notice The organisation has voted on this.
    error AlreadyVoted(bytes32 ballot, uint16 organisation);
    /// @notice The transition may happen from `earliest` (Unix seconds).
    error TooEarly(bytes32 artefact, uint256 earliest);
    /// @notice The member's anchor chain moved on.
    error AnchorMismatch(address member, bytes32 expected, bytes32 actual);
    /// @notice The root is zero or has no leaves.
    error EmptyAnchor();
    /// @notice The relayed message's deadline has passed.
    error DeadlinePassed(uint256 deadline);
    /// @notice The relayed message's nonce is not the signer's next.
    error NonceMismatch(address signer, uint256 given, uint256 next);
    /// @notice The signature is not the signer's over this message.
    error SignatureInvalid(address signer);
    /// @notice The organisation has approved this proposal.
    error AlreadyApproved(bytes32 proposal, uint16 organisation);
    /// @notice The proposal was carried out.
    error AlreadyExecuted(bytes32 proposal);
    /// @notice No governance action has this number.
    error UnknownAction(uint8 action);
    /// @notice The account, organisation or roles cannot be set: an account never changes its organisation.
    error MemberInvalid(address account, uint16 organisation);
    /// @notice Governance would need more admin organisations than there are, or none.
    error GovernanceLocked(uint8 quorum, uint256 adminOrganisations);
    /// @notice The lifecycle is malformed at rule `rule` (255: its states or header).
    error LifecycleInvalid(uint8 rule);
    /// @notice The artefact is not owned by the account it is to be recovered from.
    error NotOwnedBy(bytes32 artefact, address owner);

    // --------------------------------------------------------------------------------------------- operations

    /// @notice Registers an artefact; the sender's member owns it.
    function register(Registration calldata registration) external;
    /// @notice Registers an artefact and performs its first transition.
    function registerWith(Registration calldata registration, Transition calldata first) external;
    /// @notice Performs one transition.
    function transition(Transition calldata change) external;
    /// @notice Performs many transitions, all or none.
    function transitions(Transition[] calldata changes) external;
    /// @notice Votes on a quorum transition.
    function endorse(Endorsement calldata vote) external;
    /// @notice Puts a Merkle root on chain.
    function anchor(Anchor calldata root) external;
    /// @notice Lets a key act for the sender. `consent` is the key's EIP-712 signature over `SessionConsent`.
    function grantSession(Session calldata session_, bytes calldata consent) external;
    /// @notice Revokes a session key of the sender; a session key revokes only itself.
    function revokeSession(address key) external;
    /// @notice Approves a proposal, and carries it out with the last approval needed.
    function govern(Proposal calldata change) external;

    /// @notice `register` by a relayed message.
    function registerFor(Registration calldata registration, Relay calldata relay) external;
    /// @notice `registerWith` by a relayed message.
    function registerWithFor(Registration calldata registration, Transition calldata first, Relay calldata relay) external;
    /// @notice `transition` by a relayed message.
    function transitionFor(Transition calldata change, Relay calldata relay) external;
    /// @notice `transitions` by a relayed message.
    function transitionsFor(Transition[] calldata changes, Relay calldata relay) external;
    /// @notice `endorse` by a relayed message.
    function endorseFor(Endorsement calldata vote, Relay calldata relay) external;
    /// @notice `anchor` by a relayed message.
    function anchorFor(Anchor calldata root, Relay calldata relay) external;
    /// @notice `grantSession` by a relayed message.
    function grantSessionFor(Session calldata session_, bytes calldata consent, Relay calldata relay) external;
    /// @notice `revokeSession` by a relayed message.
    function revokeSessionFor(address key, Relay calldata relay) external;
    /// @notice `govern` by a relayed message.
    function governFor(Proposal calldata change, Relay calldata relay) external;

    // -------------------------------------------------------------------------------------------------- views

    /// @notice An account's organisation (0: never a member) and roles (0: not one now).
    function memberOf(address account) external view returns (uint16 organisation, uint16 roles);
    /// @notice A session key's member, roles, scope and end (`expires` is 0 once revoked).
    function sessionOf(address key) external view returns (address member, uint16 roles, bytes32 artefact, uint40 expires);
    /// @notice An artefact's whole state; reverts with `UnknownArtefact`. `flags` are those of its state.
    function artefactOf(bytes32 artefact)
        external
        view
        returns (
            address owner,
            uint16 lifecycle,
            uint8 state,
            uint8 flags,
            uint32 seq,
            uint40 changedAt,
            bytes32 head,
            bytes32 heldInputs
        );
    /// @notice An artefact's head; zero when there is none.
    function headOf(bytes32 artefact) external view returns (bytes32);
    /// @notice Whether the artefact is at this head, in a state usable as an input.
    function usableAt(bytes32 artefact, bytes32 head) external view returns (bool);
    /// @notice Whether the artefact exists and its state is flagged revoked.
    function revoked(bytes32 artefact) external view returns (bool);
    /// @notice A ballot's number of endorsing organisations and its vote chain.
    function ballotOf(bytes32 ballot) external view returns (uint8 endorsed, bytes32 commitment);
    /// @notice A lifecycle as it was added.
    function lifecycleOf(uint16 lifecycle) external view returns (Lifecycle memory);
    /// @notice Number of lifecycles; their numbers are 1 to this.
    function lifecycleCount() external view returns (uint16);
    /// @notice Head of a member's anchor chain.
    function anchorHeadOf(address member) external view returns (bytes32);
    /// @notice The account's next nonce for relayed messages.
    function nonceOf(address account) external view returns (uint256);
    /// @notice Governance: organisations needed, organisations with an admin, and the epoch that open approvals belong to.
    function governance() external view returns (uint8 quorum, uint16 adminOrganisations, uint64 epoch);
    /// @notice A proposal's approvals and whether it was carried out, in the current epoch.
    function proposalOf(Proposal calldata change) external view returns (bytes32 proposal, uint8 approvals, bool executed);
    /// @notice EIP-712 domain separator: name "ProML Workspace", version "1", chain id, this contract.
    function domainSeparator() external view returns (bytes32);
}
