"""What a board can be asked, and what it may say to it: arduino/src/tfodl/serial_protocol.h."""

from __future__ import annotations

from enum import IntEnum

from tflm_export.machines.host_store import STATUS as FLASH_STATUS

VERSION = 2


class Command(IntEnum):
    """What a board can be asked; docs/protocol.md has payloads and answers."""

    INFO = 1
    PREDICT = 2
    TRAIN = 3
    READ_WEIGHTS = 4
    WRITE_WEIGHTS = 5
    RESET = 6
    LEARNING_RATE = 7
    PARAMETER = 8
    ABOUT = 9
    BEGIN_WEIGHTS = 10
    END_WEIGHTS = 11
    EVALUATE = 12
    CONFUSION = 13
    REMEMBER = 14
    REST = 15
    NEW_CLASS = 16
    CLASS_NAME = 17
    JUDGE = 18
    NEW_EPOCH = 19
    SAVE = 20
    RESTORE = 21
    FACTORY_RESET = 22
    READ_FLASH = 23
    CONSTANTS = 24
    CONSTANTS_PAGE = 25
    BEGIN_CONSTANTS = 26
    WRITE_CONSTANTS = 27
    END_CONSTANTS = 28


ONCE = frozenset(
    {
        Command.TRAIN,
        Command.RESET,
        Command.BEGIN_WEIGHTS,
        Command.EVALUATE,
        Command.REMEMBER,
        Command.REST,
        Command.NEW_CLASS,
        Command.JUDGE,
        Command.NEW_EPOCH,
        Command.SAVE,
        Command.RESTORE,
        Command.FACTORY_RESET,
        Command.BEGIN_CONSTANTS,
        Command.WRITE_CONSTANTS,
        Command.END_CONSTANTS,
    }
)  # they change something: the same frame twice in a row is carried out once

OK, NO_PART, WORKING, FLASH = 0, 6, 255, 16
TRANSIENT = (3, 4)  # damaged or cut on the way: worth another try
UNFINISHED = 7

STATUS = {
    1: "it does not know this command; is the sketch of this version?",
    2: "the payload has a wrong length; was the sketch made for this model?",
    3: "the frame arrived damaged; try again, or slow the line down.",
    4: "the frame stopped half way; try again.",
    5: "a value or index is out of range.",
    6: "its engine has no part for this (memory, store, guard, spare classes, pool); compile it with one.",
    7: "its weights are written half way; write them again, or reset it.",
    8: "the constants in its flash are missing, damaged or of another engine, so that nothing runs; "
    "tfodl board constants writes them.",
    9: "these are the constants of another engine, or of another place.",
    10: "something else lies where its constants belong: is the core of this version? --over writes over it.",
}


def reason(status: int, command: Command | None = None) -> str:
    """A refusal, of `command`, in words.

    >>> reason(FLASH + 4)
    'the state does not fit; give the plan more store_bytes.'
    """
    if FLASH <= status < FLASH + len(FLASH_STATUS):
        return f"{FLASH_STATUS[status - FLASH]}."
    if (status, command) == (NO_PART, Command.CONSTANTS):
        return "its constants are part of its sketch; there are none to write."
    return STATUS.get(status, f"status {status}.")
