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
    /// @param account The account.
    /// @param organisation Number of the organisation.
    /// @param roles Its role bits from now on.
    event MemberSet(address indexed account, uint16 indexed organisation, uint16 roles);
    /// @notice Governance now needs admins of this many organisations.
    /// @param quorum M from now on.
    event GovernanceQuorumSet(uint8 quorum);
    /// @notice A lifecycle was added; its rules are read with `lifecycle`.
    /// @param lifecycle Number of the lifecycle.
    /// @param definition SHA-256 of the lifecycle's definition.
    event LifecycleAdded(uint16 indexed lifecycle, bytes32 indexed definition);
    /// @notice An admin approved a change.
    /// @param proposal The proposal's id: keccak256 of epoch, action, salt and the hash of its data.
    /// @param admin The member that approved.
    /// @param organisation The organisation it approved for.
    /// @param change What is proposed.
    event ProposalApproved(bytes32 indexed proposal, address indexed admin, uint16 organisation, Proposal change);
    /// @notice A change was carried out.
    /// @param proposal The proposal's id: keccak256 of epoch, action, salt and the hash of its data.
    event ProposalExecuted(bytes32 indexed proposal);
    /// @notice Governance gave an artefact a new owner.
    /// @param artefact Id of the artefact.
    /// @param from The owner before.
    /// @param to The owner from now on.
    event ArtefactRecovered(bytes32 indexed artefact, address indexed from, address indexed to);
    /// @notice A member let a key act for it.
    /// @param member The member.
    /// @param key The session key's account.
    /// @param roles Role bits.
    /// @param artefact Id of the artefact.
    /// @param expires Unix time, in seconds, from which the session is void.
    event SessionGranted(address indexed member, address indexed key, uint16 roles, bytes32 artefact, uint40 expires);
    /// @notice A session key was revoked.
    /// @param member The member.
    /// @param key The session key's account.
    event SessionRevoked(address indexed member, address indexed key);
    /// @notice An artefact came into being.
    /// @param key The account that signed: the owner itself or its session key.
    /// @param artefact Id of the artefact.
    /// @param lifecycle Number of the lifecycle.
    /// @param owner The member that owns the artefact.
    /// @param record SHA-256 of the record.
    /// @param head The artefact's first head.
    event Registered(
        bytes32 indexed artefact, uint16 indexed lifecycle, address indexed owner, address key, bytes32 record, bytes32 head
    );
    /// @notice An artefact changed.
    /// @param actor The member that acted.
    /// @param step  One word, for its price: from the lowest bit, the account that signed 160 (the member itself or its
    ///              session key) · the rule's number 8 · the state it led to 8 · the artefact's sequence number 32.
    /// @param artefact Id of the artefact.
    /// @param content SHA-256 of the content manifest; zero if the content stays.
    /// @param record SHA-256 of the record.
    /// @param head The artefact's head after it.
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
    /// @param artefact Id of the artefact.
    /// @param input Id of the input.
    /// @param inputHead Head of the version that was used.
    event InputUsed(bytes32 indexed artefact, bytes32 indexed input, bytes32 indexed inputHead, uint256 use);
    /// @notice A member voted; the ballot's id follows from what is voted on.
    /// @param actor        The member that voted.
    /// @param cast         One word, for its price: from the lowest bit, the account that signed 160 · the rule's number 8 ·
    ///                     the member's organisation 16 · 1 if it endorses, 0 if it rejects, 1.
    /// @param expectedHead The head, content and inputs' commitment of the transition that is voted on.
    /// @param record       The vote's own record.
    /// @param commitment   The ballot's vote chain after this vote.
    /// @param artefact Id of the artefact.
    /// @param content SHA-256 of the content manifest; zero if the content stays.
    /// @param inputs Commitment of the transition's inputs.
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
    /// @param actor The member that acted.
    /// @param root The Merkle root.
    event Anchored(address indexed actor, bytes32 indexed root, uint256 signed, bytes32 head);

    // -------------------------------------------------------------------------------------------------- errors

    /// @notice The account is neither a member nor a session key.
    /// @param account The account.
    error NotAMember(address account);
    /// @notice The account has `has`, and needs one of `needed`.
    /// @param account The account that signed.
    /// @param has Role bits that the account has now.
    /// @param needed Role bits of which one is needed.
    error RoleMissing(address account, uint16 has, uint16 needed);
    /// @notice The session key has expired or was revoked.
    /// @param key The session key's account.
    /// @param expires When it ended; 0 if it was revoked.
    error SessionEnded(address key, uint40 expires);
    /// @notice The session key may only touch another artefact.
    /// @param key The session key's account.
    /// @param scope The only artefact that the key may touch.
    /// @param artefact Id of the artefact.
    error SessionScope(address key, bytes32 scope, bytes32 artefact);
    /// @notice The session's key, roles or time cannot be granted.
    /// @param key The session key's account.
    /// @param roles Role bits.
    /// @param expires Unix time, in seconds, from which the session is void.
    error SessionRefused(address key, uint16 roles, uint40 expires);
    /// @notice The session key did not consent by a valid signature.
    /// @param key The session key's account.
    error ConsentInvalid(address key);
    /// @notice The key belongs to another member.
    /// @param key The session key's account.
    /// @param member The member that the key belongs to.
    error SessionTaken(address key, address member);
    /// @notice A session key tried what only a member may do: grant sessions, revoke others, or govern.
    /// @param key The session key's account.
    error MembersOnly(address key);
    /// @notice No artefact has this id.
    /// @param artefact Id of the artefact.
    error UnknownArtefact(bytes32 artefact);
    /// @notice An artefact with this id exists.
    /// @param artefact Id of the artefact.
    error AlreadyRegistered(bytes32 artefact);
    /// @notice No lifecycle has this number.
    /// @param lifecycle The number that was named.
    error UnknownLifecycle(uint16 lifecycle);
    /// @notice The lifecycle has no transition with this number.
    /// @param lifecycle Number of the lifecycle.
    /// @param rule Number of the rule.
    error UnknownRule(uint16 lifecycle, uint8 rule);
    /// @notice The artefact moved on.
    /// @param artefact Id of the artefact.
    /// @param expected What was named.
    /// @param actual The artefact's head.
    error HeadMismatch(bytes32 artefact, bytes32 expected, bytes32 actual);
    /// @notice The transition does not start in the artefact's state.
    /// @param artefact Id of the artefact.
    /// @param state The artefact's state.
    /// @param from The state that the rule starts in.
    error WrongState(bytes32 artefact, uint8 state, uint8 from);
    /// @notice The artefact is in a terminal state.
    /// @param artefact Id of the artefact.
    /// @param state The artefact's state.
    error Terminal(bytes32 artefact, uint8 state);
    /// @notice Only the owner may do this.
    /// @param artefact Id of the artefact.
    /// @param owner The member that owns the artefact.
    /// @param actor The member that tried.
    error OwnerOnly(bytes32 artefact, address owner, address actor);
    /// @notice Nobody of the owner's organisation may do this.
    /// @param artefact Id of the artefact.
    /// @param organisation Number of the organisation.
    error FourEyes(bytes32 artefact, uint16 organisation);
    /// @notice The transition needs new content.
    /// @param artefact Id of the artefact.
    error ContentNeeded(bytes32 artefact);
    /// @notice The transition must not bring new content.
    /// @param artefact Id of the artefact.
    error ContentForbidden(bytes32 artefact);
    /// @notice The transition needs at least one input.
    /// @param artefact Id of the artefact.
    error InputNeeded(bytes32 artefact);
    /// @notice The input does not exist, is not at that head, or its state is not usable.
    /// @param workspace The input's workspace; zero is this one.
    /// @param input Id of the input.
    /// @param head The head that was named.
    error InputNotUsable(address workspace, bytes32 input, bytes32 head);
    /// @notice The held inputs are not those of the current version.
    /// @param artefact Id of the artefact.
    /// @param expected Commitment of the current version's inputs.
    /// @param actual Commitment of the inputs that were repeated.
    error HeldMismatch(bytes32 artefact, bytes32 expected, bytes32 actual);
    /// @notice An input of the current version was revoked.
    /// @param workspace The input's workspace; zero is this one.
    /// @param input Id of the input.
    error InputRevoked(address workspace, bytes32 input);
    /// @notice No usable input of lifecycle `evidence` owned by another organisation was given.
    /// @param artefact Id of the artefact.
    /// @param evidence Number of the lifecycle of which an input is demanded.
    error EvidenceMissing(bytes32 artefact, uint16 evidence);
    /// @notice Fewer organisations have endorsed than are needed.
    /// @param artefact Id of the artefact.
    /// @param endorsed Organisations that have endorsed.
    /// @param needed Organisations that are needed.
    error QuorumMissing(bytes32 artefact, uint8 endorsed, uint8 needed);
    /// @notice The transition takes no votes.
    /// @param artefact Id of the artefact.
    /// @param rule Number of the rule.
    error NoQuorum(bytes32 artefact, uint8 rule);
    /// @notice The organisation has voted on this.
    /// @param ballot The ballot's id.
    /// @param organisation Number of the organisation.
    error AlreadyVoted(bytes32 ballot, uint16 organisation);
    /// @notice The transition may happen from `earliest` (Unix seconds).
    /// @param artefact Id of the artefact.
    /// @param earliest Unix time, in seconds.
    error TooEarly(bytes32 artefact, uint256 earliest);
    /// @notice The member's anchor chain moved on.
    /// @param member The member whose chain it is.
    /// @param expected What was named.
    /// @param actual The head of the member's anchor chain.
    error AnchorMismatch(address member, bytes32 expected, bytes32 actual);
    /// @notice The root is zero or has no leaves.
    error EmptyAnchor();
    /// @notice The relayed message's deadline has passed.
    /// @param deadline Unix time, in seconds, after which the message is void.
    error DeadlinePassed(uint256 deadline);
    /// @notice The relayed message's nonce is not the signer's next.
    /// @param signer The account that signed.
    /// @param given Nonce of the message.
    /// @param next The signer's next nonce.
    error NonceMismatch(address signer, uint256 given, uint256 next);
    /// @notice The signature is not the signer's over this message.
    /// @param signer The account that signed.
    error SignatureInvalid(address signer);
    /// @notice The organisation has approved this proposal.
    /// @param proposal The proposal's id: keccak256 of epoch, action, salt and the hash of its data.
    /// @param organisation Number of the organisation.
    error AlreadyApproved(bytes32 proposal, uint16 organisation);
    /// @notice The proposal was carried out.
    /// @param proposal The proposal's id: keccak256 of epoch, action, salt and the hash of its data.
    error AlreadyExecuted(bytes32 proposal);
    /// @notice No governance action has this number.
    /// @param action Number of the action.
    error UnknownAction(uint8 action);
    /// @notice The account, organisation or roles cannot be set: an account never changes its organisation.
    /// @param account The account.
    /// @param organisation Number of the organisation.
    error MemberInvalid(address account, uint16 organisation);
    /// @notice Governance would need more admin organisations than there are, or none.
    /// @param quorum M as it would be.
    /// @param adminOrganisations Organisations with an admin.
    error GovernanceLocked(uint8 quorum, uint256 adminOrganisations);
    /// @notice The lifecycle is malformed at rule `rule` (255: its states or header).
    /// @param rule Number of the malformed rule; 255 for its states or header.
    error LifecycleInvalid(uint8 rule);
    /// @notice The artefact is not owned by the account it is to be recovered from.
    /// @param artefact Id of the artefact.
    /// @param owner The member that owns it.
    error NotOwnedBy(bytes32 artefact, address owner);

    // --------------------------------------------------------------------------------------------- operations

    /// @notice Registers an artefact; the sender's member owns it.
    /// @param registration What to register.
    function register(Registration calldata registration) external;
    /// @notice Registers an artefact and performs its first transition.
    /// @param registration What to register.
    /// @param first Its first transition.
    function registerWith(Registration calldata registration, Transition calldata first) external;
    /// @notice Performs one transition.
    /// @param change The transition.
    function transition(Transition calldata change) external;
    /// @notice Performs many transitions, all or none.
    /// @param changes The transitions, in their order.
    function transitions(Transition[] calldata changes) external;
    /// @notice Votes on a quorum transition.
    /// @param vote The vote.
    function endorse(Endorsement calldata vote) external;
    /// @notice Puts a Merkle root on chain.
    /// @param root The root, and the chain that it continues.
    function anchor(Anchor calldata root) external;
    /// @notice Lets a key act for the sender. `consent` is the key's EIP-712 signature over `SessionConsent`.
    /// @param session_ The leave to act.
    /// @param consent The key's EIP-712 signature over `SessionConsent`.
    function grantSession(Session calldata session_, bytes calldata consent) external;
    /// @notice Revokes a session key of the sender; a session key revokes only itself.
    /// @param key The session key's account.
    function revokeSession(address key) external;
    /// @notice Approves a proposal, and carries it out with the last approval needed.
    /// @param change The proposal.
    function govern(Proposal calldata change) external;

    /// @notice `register` by a relayed message.
    /// @param registration What to register.
    /// @param relay Who signed it, with which nonce, deadline and signature.
    function registerFor(Registration calldata registration, Relay calldata relay) external;
    /// @notice `registerWith` by a relayed message.
    /// @param registration What to register.
    /// @param first Its first transition.
    /// @param relay Who signed it, with which nonce, deadline and signature.
    function registerWithFor(Registration calldata registration, Transition calldata first, Relay calldata relay) external;
    /// @notice `transition` by a relayed message.
    /// @param change The transition.
    /// @param relay Who signed it, with which nonce, deadline and signature.
    function transitionFor(Transition calldata change, Relay calldata relay) external;
    /// @notice `transitions` by a relayed message.
    /// @param changes The transitions, in their order.
    /// @param relay Who signed it, with which nonce, deadline and signature.
    function transitionsFor(Transition[] calldata changes, Relay calldata relay) external;
    /// @notice `endorse` by a relayed message.
    /// @param vote The vote.
    /// @param relay Who signed it, with which nonce, deadline and signature.
    function endorseFor(Endorsement calldata vote, Relay calldata relay) external;
    /// @notice `anchor` by a relayed message.
    /// @param root The root, and the chain that it continues.
    /// @param relay Who signed it, with which nonce, deadline and signature.
    function anchorFor(Anchor calldata root, Relay calldata relay) external;
    /// @notice `grantSession` by a relayed message.
    /// @param session_ The leave to act.
    /// @param consent The key's EIP-712 signature over `SessionConsent`.
    /// @param relay Who signed it, with which nonce, deadline and signature.
    function grantSessionFor(Session calldata session_, bytes calldata consent, Relay calldata relay) external;
    /// @notice `revokeSession` by a relayed message.
    /// @param key The session key's account.
    /// @param relay Who signed it, with which nonce, deadline and signature.
    function revokeSessionFor(address key, Relay calldata relay) external;
    /// @notice `govern` by a relayed message.
    /// @param change The proposal.
    /// @param relay Who signed it, with which nonce, deadline and signature.
    function governFor(Proposal calldata change, Relay calldata relay) external;

    // -------------------------------------------------------------------------------------------------- views

    /// @notice An account's organisation (0: never a member) and roles (0: not one now).
    /// @param account The account.
    /// @return organisation Number of the organisation.
    /// @return roles Role bits.
    function memberOf(address account) external view returns (uint16 organisation, uint16 roles);
    /// @notice A session key's member, roles, scope and end (`expires` is 0 once revoked).
    /// @param key The session key's account.
    /// @return member The member.
    /// @return roles Role bits.
    /// @return artefact Id of the artefact.
    /// @return expires Unix time, in seconds, from which the session is void.
    function sessionOf(address key) external view returns (address member, uint16 roles, bytes32 artefact, uint40 expires);
    /// @notice An artefact's whole state; reverts with `UnknownArtefact`. `flags` are those of its state.
    /// @param artefact Id of the artefact.
    /// @return owner The member that owns the artefact.
    /// @return lifecycle Number of the lifecycle.
    /// @return state The artefact's state.
    /// @return flags Flags of its state.
    /// @return seq Number of its transitions so far.
    /// @return changedAt Unix time, in seconds, of its last transition.
    /// @return head The artefact's head.
    /// @return heldInputs Commitment of the current version's inputs, where its lifecycle keeps them.
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
    /// @param artefact Id of the artefact.
    /// @return The head.
    function headOf(bytes32 artefact) external view returns (bytes32);
    /// @notice Whether the artefact is at this head, in a state usable as an input.
    /// @param artefact Id of the artefact.
    /// @param head The head it has to be at.
    /// @return Whether it is.
    function usableAt(bytes32 artefact, bytes32 head) external view returns (bool);
    /// @notice Whether the artefact exists and its state is flagged revoked.
    /// @param artefact Id of the artefact.
    /// @return Whether it is.
    function revoked(bytes32 artefact) external view returns (bool);
    /// @notice A ballot's number of endorsing organisations and its vote chain.
    /// @param ballot The ballot's id.
    /// @return endorsed Organisations that have endorsed.
    /// @return commitment The ballot's vote chain.
    function ballotOf(bytes32 ballot) external view returns (uint8 endorsed, bytes32 commitment);
    /// @notice A lifecycle as it was added.
    /// @param lifecycle Number of the lifecycle.
    /// @return The lifecycle.
    function lifecycleOf(uint16 lifecycle) external view returns (Lifecycle memory);
    /// @notice Number of lifecycles; their numbers are 1 to this.
    /// @return How many there are.
    function lifecycleCount() external view returns (uint16);
    /// @notice Head of a member's anchor chain.
    /// @param member The member.
    /// @return The head; zero before the first anchor.
    function anchorHeadOf(address member) external view returns (bytes32);
    /// @notice The account's next nonce for relayed messages.
    /// @param account The account.
    /// @return The nonce.
    function nonceOf(address account) external view returns (uint256);
    /// @notice Governance: organisations needed, organisations with an admin, and the epoch that open approvals belong to.
    /// @return quorum Organisations needed.
    /// @return adminOrganisations Organisations with an admin.
    /// @return epoch The epoch that open approvals belong to.
    function governance() external view returns (uint8 quorum, uint16 adminOrganisations, uint64 epoch);
    /// @notice A proposal's approvals and whether it was carried out, in the current epoch.
    /// @param change The proposal.
    /// @return proposal The proposal's id: keccak256 of epoch, action, salt and the hash of its data.
    /// @return approvals Organisations that have approved.
    /// @return executed Whether it was carried out.
    function proposalOf(Proposal calldata change) external view returns (bytes32 proposal, uint8 approvals, bool executed);
    /// @notice EIP-712 domain separator: name "ProML Workspace", version "1", chain id, this contract.
    /// @return The separator.
    function domainSeparator() external view returns (bytes32);
}
