// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IWorkspace} from "./IWorkspace.sol";
import {RuleWord, packRule} from "./Words.sol";

// Flags of a state.
uint8 constant USABLE = 1;
uint8 constant TERMINAL = 2;
uint8 constant REVOKED = 4;

// `from` of a rule that starts in any state that is not terminal.
uint8 constant ANY_STATE = 255;

// Guards of a rule.
uint16 constant OWNER_ONLY = 1;
uint16 constant FOUR_EYES = 2;
uint16 constant CONTENT_NEEDED = 4;
uint16 constant CONTENT_FORBIDDEN = 8;
uint16 constant INPUTS_USABLE = 16;
uint16 constant INPUT_NEEDED = 32;
uint16 constant INPUTS_HELD = 64;

/// @title  The immutable state machines that artefacts follow.
abstract contract Lifecycles is IWorkspace {
    /// @dev What registration needs, in one word; then the flags of all states, four bits each; then the definition.
    struct Header {
        uint16 registerRoles;
        uint8 initial;
        uint8 initialFlags;
        uint8 states;
        uint8 rules;
        uint256 flags;
        bytes32 definition;
    }

    uint8 private constant MAX_STATES = 64;
    uint8 private constant MAX_RULES = 255;
    uint8 private constant HEADER = 255;

    uint16 private _lifecycleCount;
    mapping(uint16 lifecycle => Header) internal _headers;
    mapping(uint256 lifecycleAndRule => RuleWord) internal _rules;

    /// @inheritdoc IWorkspace
    function lifecycleCount() external view returns (uint16) {
        return _lifecycleCount;
    }

    /// @inheritdoc IWorkspace
    function lifecycleOf(uint16 lifecycle) external view returns (Lifecycle memory found) {
        Header memory header = _headers[lifecycle];
        if (header.registerRoles == 0) revert UnknownLifecycle(lifecycle);
        (found.definition, found.registerRoles, found.initial) =
            (header.definition, header.registerRoles, header.initial);
        found.stateFlags = new uint8[](header.states);
        for (uint256 i; i < header.states; ++i) {
            found.stateFlags[i] = _flags(header.flags, i);
        }
        found.rules = new Rule[](header.rules);
        for (uint256 i; i < header.rules; ++i) {
            found.rules[i] = _rules[uint256(lifecycle) << 8 | i].unpacked();
        }
    }

    /// @dev Adds a lifecycle for good, after checking that it is well formed: nothing leaves a terminal state, every
    ///      state exists, every role set names somebody, and a quorum has voters.
    function _addLifecycle(Lifecycle memory added) internal {
        uint256 states = added.stateFlags.length;
        if (
            added.definition == 0 || added.registerRoles == 0 || states > MAX_STATES || added.initial >= states
                || added.rules.length > MAX_RULES
        ) revert LifecycleInvalid(HEADER);
        // slither-disable-next-line uninitialized-local  the flags are put into a word of zeros
        uint256 flags;
        for (uint256 i; i < states; ++i) {
            if (added.stateFlags[i] > (USABLE | TERMINAL | REVOKED)) revert LifecycleInvalid(HEADER);
            flags |= uint256(added.stateFlags[i]) << (i << 2);
        }
        // slither-disable-next-line uninitialized-local  false until a rule keeps them
        bool keepsInputs;
        for (uint256 i; i < added.rules.length; ++i) {
            if (added.rules[i].guards & INPUTS_HELD != 0) keepsInputs = true;
        }
        uint16 number = ++_lifecycleCount;
        for (uint256 i; i < added.rules.length; ++i) {
            Rule memory rule = added.rules[i];
            uint16 both = CONTENT_NEEDED | CONTENT_FORBIDDEN;
            if (
                rule.to >= states || rule.roles == 0 || rule.guards > 127 || rule.guards & both == both
                    || (rule.quorum == 0) != (rule.voteRoles == 0)
                    || (rule.from != ANY_STATE && (rule.from >= states || _flags(flags, rule.from) & TERMINAL != 0))
            ) revert LifecycleInvalid(uint8(i));
            _rules[uint256(number) << 8 | i] = packRule(rule, _flags(flags, rule.to), keepsInputs);
        }
        _headers[number] = Header({
            registerRoles: added.registerRoles,
            initial: added.initial,
            initialFlags: _flags(flags, added.initial),
            states: uint8(states),
            rules: uint8(added.rules.length),
            flags: flags,
            definition: added.definition
        });
        emit LifecycleAdded(number, added.definition);
    }

    function _flags(uint256 flags, uint256 state) private pure returns (uint8) {
        return uint8(flags >> (state << 2)) & 15;
    }
}
