// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {VoteWord} from "./Words.sol";

/// @title  Votes counted once for each organisation.
/// @dev    Organisations 1 to 63 fit the word of what is voted on; those from 64 have words of their own.
abstract contract Votes {
    uint16 private constant IN_WORD = 64;

    mapping(bytes32 subject => mapping(uint256 page => uint256 bitmap)) private _voters;

    /// @dev The word with the organisation marked as having voted on `subject`; `fresh` is false if it was already.
    function _mark(VoteWord word, bytes32 subject, uint16 organisation) internal returns (VoteWord, bool fresh) {
        if (organisation < IN_WORD) {
            uint256 bit = 1 << organisation;
            fresh = VoteWord.unwrap(word) & bit == 0;
            return (VoteWord.wrap(VoteWord.unwrap(word) | bit), fresh);
        }
        uint256 page = organisation >> 8;
        uint256 bitmap = _voters[subject][page];
        uint256 mark = 1 << (organisation & 255);
        _voters[subject][page] = bitmap | mark;
        return (word, bitmap & mark == 0);
    }
}
