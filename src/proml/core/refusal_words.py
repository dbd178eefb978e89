"""The words of every custom error of ``IWorkspace.sol``; a test proves that the table is complete."""

from __future__ import annotations

from typing import NamedTuple


class Words(NamedTuple):
    """An error's message and what to do next, with arguments in braces."""

    message: str
    hint: str = ""


_LOOK = "Look again with `proml status`, check that you still want it, and try again."
_ASK_ADMINS = "Ask the admins of the workspace: `proml workspace propose`."

# {doing} is what was tried; {NAME} is the error's argument of that name, in words.
WORDS = {
    "NotAMember": Words(
        "{account} is not a member of this workspace, nor a session key of one.",
        f"Is it the right identity? {_ASK_ADMINS}",
    ),
    "RoleMissing": Words(
        "{doing} needs the role {needed}; {account} has {has}.",
        "Have somebody with that role do it, or ask the admins for the role. A session key has only the roles it was "
        "granted.",
    ),
    "SessionEnded": Words(
        "The session of {key} {expires}.", "Have its member grant a new session: `proml id session`."
    ),
    "SessionScope": Words(
        "The session of {key} may only touch {scope}, not {artefact}.",
        "Use a session key for this artefact, or one for all.",
    ),
    "SessionRefused": Words(
        "{key} cannot become a session key with {roles} until {expires}: it is a member itself, the roles are none or "
        "not all its member's, or the time is past.",
        "Make a new key and ask for a subset of your own roles and a time to come.",
    ),
    "ConsentInvalid": Words(
        "{key} did not consent to this session: its signature is not over this member, roles, artefact and time.",
        "Make the session key anew: `proml id session`.",
    ),
    "SessionTaken": Words(
        "{key} is a session key of {member}.", "Only that member, or governance, changes or revokes it."
    ),
    "MembersOnly": Words(
        "{key} is a session key; only a member itself grants sessions, revokes other keys and "
        "takes part in governance.",
        "Use the member's own identity.",
    ),
    "UnknownArtefact": Words(
        "{artefact} is not registered in this workspace.", "Register it first: `proml register NAME --kind KIND`."
    ),
    "AlreadyRegistered": Words(
        "{artefact} is registered already.", "Choose another name, or go on with it: `proml status NAME`."
    ),
    "UnknownLifecycle": Words(
        "This workspace has no {lifecycle}.",
        "See `proml lifecycle list`; the admins add one with `proml lifecycle add`.",
    ),
    "UnknownRule": Words(
        "{lifecycle} has no transition number {rule}.", "See `proml lifecycle show` for the actions that there are."
    ),
    "HeadMismatch": Words(
        "{artefact} has moved on: it was expected at version {expected}, and is at {actual}. Nothing was changed.",
        _LOOK,
    ),
    "WrongState": Words(
        "{doing} starts in state {from}; {artefact} is in state {state}.",
        "See `proml status NAME` for the actions that are possible now.",
    ),
    "Terminal": Words(
        "{artefact} is in state {state}, which is final: it never changes again.", "Register a new artefact instead."
    ),
    "OwnerOnly": Words("Only the owner of {artefact}, {owner}, may do this; {actor} is not.", "Have the owner do it."),
    "FourEyes": Words(
        "{doing} needs another organisation than the owner's (four eyes); {organisation} owns {artefact}.",
        "Have a member of another organisation do it.",
    ),
    "ContentNeeded": Words("{doing} needs new content; none was given.", "Name the file or folder."),
    "ContentForbidden": Words("{doing} must not bring new content; some was given.", "Leave the file or folder away."),
    "InputNeeded": Words("{doing} needs at least one input; none was given.", "Name what was used: `--use ARTEFACT`."),
    "InputNotUsable": Words(
        "The input {input}{workspace} cannot be used at version {head}: it does not exist, has moved on, or is in a "
        "state that does not allow it.",
        "See `proml status` of the input, and use its current version once its state allows it.",
    ),
    "HeldMismatch": Words(
        "The inputs named for the current version of {artefact} are not those that it was made of ({expected} "
        "expected, {actual} given).",
        "Run `proml sync` and try again; if it stays, delete .proml/index.sqlite, which is then rebuilt.",
    ),
    "InputRevoked": Words(
        "The input {input}{workspace}, of which the current version was made, has been revoked.",
        "Make a new version without it: `proml lineage NAME` shows where it came in.",
    ),
    "EvidenceMissing": Words(
        "{doing} needs as an input a usable {evidence} that another organisation owns; none was given.",
        "Have another organisation make it, and name it with `--use`.",
    ),
    "QuorumMissing": Words(
        "{doing} needs endorsements of {needed} distinct organisations; {endorsed} endorsed. Endorsements count only "
        "for exactly this version, content and inputs.",
        "Ask the others to vote: `proml endorse NAME ACTION`. Votes given before the artefact or the content changed "
        "are void.",
    ),
    "NoQuorum": Words(
        "The transition {rule} of {artefact} takes no votes.", "Perform it without: `proml act NAME ACTION`."
    ),
    "AlreadyVoted": Words(
        "{organisation} has voted on this already; each organisation has one vote.",
        "See `proml status NAME` for the votes.",
    ),
    "TooEarly": Words("{doing} is possible from {earliest} on, not before.", "Try again then."),
    "AnchorMismatch": Words(
        "The anchor chain of {member} has moved on: expected at {expected}, found at {actual}. Nothing was anchored.",
        "Another process anchored for the same member: run `proml sync` again.",
    ),
    "EmptyAnchor": Words("An anchor needs a root and at least one leaf; it has none.", "Record something first."),
    "DeadlinePassed": Words("The signed message was void after {deadline}.", "Sign it again with a later deadline."),
    "NonceMismatch": Words(
        "The signed message of {signer} has number {given}; the next one must have number {next}. It was sent already, "
        "or out of order.",
        "If it was sent already, nothing is left to do; otherwise sign it again.",
    ),
    "SignatureInvalid": Words(
        "The signature is not by {signer} over this message for this workspace and chain.",
        "Check the workspace file, and sign again with the right identity.",
    ),
    "AlreadyApproved": Words(
        "{organisation} has approved this proposal already; each organisation counts once.",
        "Ask an admin of another organisation.",
    ),
    "AlreadyExecuted": Words("This proposal was carried out already.", "To do it again, propose it anew."),
    "UnknownAction": Words("Governance has no action number {action}.", "Use `proml workspace propose`."),
    "MemberInvalid": Words(
        "{account} cannot be set as a member of {organisation}: an account never changes its organisation, a session "
        "key never becomes a member, and the account and the organisation's number must not be zero.",
        "Use a new account.",
    ),
    "GovernanceLocked": Words(
        "Governance would need admins of {quorum} organisations and {adminOrganisations} would have one; there must be "
        "at least one and enough for the quorum.",
        "Add admins first, or lower the quorum first.",
    ),
    "LifecycleInvalid": Words("The lifecycle is malformed in {rule}.", "Check it with `proml lifecycle check FILE`."),
    "NotOwnedBy": Words(
        "{artefact} is owned by {owner}, not by the account it was to be recovered from.",
        "Propose again with its owner.",
    ),
}
