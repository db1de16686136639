# SPDX-License-Identifier: MIT
"""The index of this suite: what may go wrong, and the test that says what then happens.

A place is `file::test`, relative to tests/. Deadlines: a lost peer 1 s, a silent one the timeout
and 1 s, setup 10 s. On a machine that is busy with something else the tests add 2 s.
"""

USE = "faults/test_bad_use.py::"
RANK = "faults/test_rank_faults.py::"
START = "faults/test_started_faults.py::"
PARTY = "faults/test_party_faults.py::"
MESSAGE = "faults/test_message_faults.py::"
WIRE = "faults/test_wire_faults.py::"
SETUP = "faults/test_setup_faults.py::"
DEADLINES = "faults/test_setup_deadlines.py::"
LINKS = "faults/test_encrypted_links.py::"
STANDING = "faults/test_standing_dealer_faults.py::"
SERVICE = "python/test_dealer_service.py::"
DATA = "python/test_front_end_data.py::"
FILES = "python/test_io_files.py::"
SAVING = "python/test_io_refusals.py::"
SESSION = "python/test_session.py::"
HOSTS = "python/test_hosts.py::"
PARTIES = "python/test_party_command.py::"
FRAMES = "csrc/net/hostile_frames_test.cpp::"
DECORATORS = "csrc/net/decorators_test.cpp::"
SHARED = "csrc/net/shared_memory_transport_test.cpp::"
RING = "csrc/net/shared_memory_ring_test.cpp::"
OFFLINE = "python/test_offline.py::"
STORE = "csrc/correlation/store_test.cpp::"
GLOO = "csrc/net/gloo_transport_test.cpp::"

_VALUES = (USE + "test_bad_values", DATA + "test_refused_with_a_precise_error")
_ACCEPTED = (USE + "test_unusual_values_are_right", DATA + "test_accepted")
_RANGE = (*_VALUES, PARTY + "test_a_value_that_cannot_be_encoded_is_an_error_at_every_party")
_LOST = (RANK + "test_a_party_that_ends_is_lost_at_once", START + "test_launch")
_MESSAGE = (MESSAGE + "test_over_a_link", MESSAGE + "test_in_memory", DECORATORS + "Fault.IsNamed")
_ON_THE_WIRE = WIRE + "test_bytes_altered_on_the_wire"

ROWS = {
    # Values
    "NaN": _RANGE,
    "±Inf": _RANGE,
    "too large": _RANGE,
    "complex": _VALUES,
    "bool": _ACCEPTED,
    "uint8": _ACCEPTED,
    "object arrays": _VALUES,
    "ragged lists": _VALUES,
    "None": (*_VALUES, PARTY + "test_a_wrong_type_is_an_error_at_every_party"),
    "strings": (*_VALUES, PARTY + "test_a_wrong_type_is_an_error_at_every_party"),
    "empty": _ACCEPTED,
    "sparse": _VALUES,
    "meta": _VALUES,
    "int64 min": (USE + "test_bad_values",),
    "non-native byte order": _ACCEPTED,
    # Shapes and use
    "different shapes at two parties": (
        PARTY + "test_shapes_that_differ_are_an_error_at_every_party",
    ),
    "bad broadcast": (USE + "test_shapes_that_do_not_fit",),
    "src out of range": (USE + "test_bad_calls", DATA + "test_src_out_of_range"),
    "src differing": (
        USE + "test_src_that_differs",
        PARTY + "test_sources_that_differ_are_an_error_at_every_party",
    ),
    "op before init": (
        USE + "test_before_init",
        SESSION + "test_without_a_session_the_error_tells_how_to_get_one",
    ),
    "op after shutdown": (USE + "test_a_call_after_shutdown", USE + "test_a_secret_after_shutdown"),
    "two precisions mixed": (
        USE + "test_two_precisions_do_not_meet",
        SESSION + "test_settings_that_differ_are_named_at_every_rank",
    ),
    "reveal to nobody": (USE + "test_bad_calls",),
    "one party skipping a step": (
        RANK + "test_parties_that_do_different_things_are_told",
        START + "test_launch",
        START + "test_torchrun",
    ),
    "different order of ops": (
        RANK + "test_parties_that_do_different_things_are_told",
        START + "test_launch",
    ),
    "share file truncated": (FILES + "test_every_byte_counts",),
    "share file flipped": (FILES + "test_every_byte_counts",),
    "share file of another version": (FILES + "test_a_version_to_come_is_named",),
    "share file of another party": (FILES + "test_a_wrong_file_at_one_party_is_refused_at_all",),
    # Faults
    "party killed mid-op": (
        *_LOST,
        START + "test_torchrun",
        PARTY + "test_a_killed_party_is_named_with_the_signal",
    ),
    "party exits early": (*_LOST, PARTY + "test_a_party_that_leaves_early_is_noticed"),
    "party raises": (
        RANK + "test_a_party_that_ends_is_lost_at_once",
        START + "test_torchrun",
        PARTY + "test_the_party_that_raised_is_named_and_not_its_echo",
        LINKS + "test_a_party_that_ends_is_lost_within_a_second",
    ),
    "party stopped": (
        RANK + "test_a_stopped_party_is_a_timeout",
        START + "test_launch",
        START + "test_torchrun",
    ),
    "link down in a network namespace": (SETUP + "test_a_link_that_goes_down_is_a_timeout",),
    "message short": (*_MESSAGE, _ON_THE_WIRE),
    "message long": (*_MESSAGE, FRAMES + "EncryptedLink.AFrameThatIsTooLongIsRefused"),
    "message of wrong type": _MESSAGE,
    "message out of order": (*_MESSAGE, _ON_THE_WIRE),
    "message replayed": (*_MESSAGE, _ON_THE_WIRE),
    "message bit-flipped": (*_MESSAGE, _ON_THE_WIRE),
    "dealer dead": (
        RANK + "test_a_dealer_that_ends_is_lost_at_once",
        START + "test_launch",
        START + "test_torchrun",
    ),
    "dealer slow": (
        RANK + "test_a_stopped_dealer_is_a_timeout",
        START + "test_launch",
        STANDING + "test_a_slow_session_process_is_a_timeout",
    ),
    "dealer restarted": (
        RANK + "test_a_dealer_that_comes_back_is_not_let_in",
        STANDING + "test_a_killed_service_takes_its_sessions_and_a_new_one_serves",
    ),
    "one of two sessions of a dealer fails": (
        STANDING + "test_a_party_that_fails_ends_its_session_only",
        STANDING + "test_a_killed_session_process_is_lost_alone",
    ),
    "garbage at a dealer's port": (
        STANDING + "test_garbage_at_the_port_disturbs_nobody",
        SERVICE + "test_what_is_no_announcement_is_refused",
    ),
    "a dealer asked for too much": (
        SERVICE + "test_what_never_fits_is_refused_and_named",
        SERVICE + "test_a_party_that_asks_and_never_reads_fills_no_memory",
    ),
    "port taken": (
        SETUP + "test_a_taken_port_is_an_error_at_rank_0",
        SETUP + "test_a_taken_port_of_an_encrypted_link_is_named",
        DEADLINES + "test_a_port_that_accepts_and_never_answers",
    ),
    "rank missing": (
        SETUP + "test_an_absent_rank_is_named",
        LINKS + "test_a_rank_that_does_not_come_is_named",
        DEADLINES + "test_a_rank_that_does_not_begin_to_connect_is_named",
        DEADLINES + "test_ranks_that_are_gone_while_they_connect",
    ),
    "rank started again too early": (
        HOSTS + "test_a_rank_that_is_started_again_too_early_is_told_at_once",
    ),
    "host killed": (PARTIES + "test_the_recipe_of_three_hosts",),
    "disk full": (
        SETUP + "test_a_full_disk_is_an_error_at_every_party",
        SAVING + "test_a_full_disk_at_one_party_leaves_all_old_files",
    ),
    "Ctrl-C": (
        START + "test_ctrl_c_at_five_moments",
        PARTY + "test_the_parties_end_with_their_parent",
    ),
    # Hostile frames
    "random and mutated frames": (
        FRAMES + "HostileFrames.AreRefusedInMemory",
        FRAMES + "HostileFrames.AreRefusedInSharedMemory",
        FRAMES + "EncryptedLink.RefusesHostileFrames",
        WIRE + "test_a_hostile_peer_with_a_certificate",
    ),
    "a frame that lies about its size": (
        FRAMES + "EncryptedLink.AFalseSizeInFrontOfAFrameIsRefused",
        FRAMES + "HostileFrames.AFalseSizeInSharedMemoryIsRefused",
        GLOO + "GlooTransport.FramesThatLieAboutTheirLengthAreRefused",
    ),
    "shared memory in an impossible state": (RING + "Ring.ImpossibleCountsAreRefused",),
    "a stranger at the meeting of shared memory": (
        SHARED + "SharedMemoryMeeting.StrangersAndUnsoundMemoryAreTurnedAway",
    ),
    "a header that claims 2^60 elements": (
        FRAMES + "HostileFrames.AClaimOfAnyLengthAllocatesLessThanOneMebibyte",
    ),
    # Stores of correlations
    "consumer of a store killed": ("faults/test_stored_faults.py::test_fifty_killed_consumers",),
    "dealer of a store killed": (
        OFFLINE + "test_a_dealer_that_was_killed_goes_on_and_no_process_deals",
        STORE + "Store.GoesOnWhereTheDealerWasStopped",
    ),
    "store used up": (
        OFFLINE + "test_a_program_without_steps_takes_a_lot_a_session",
        STORE + "Store.IsUsedUpOnceAndSaysSo",
    ),
    "store altered or truncated": (
        OFFLINE + "test_an_altered_lot_is_refused_by_name_and_the_next_one_is_used",
        STORE + "Store.EveryAlteredByteOfTheHeaderIsNoticed",
        STORE + "Store.ARefusalIsAtBothParties",
    ),
    "store of another deal or party": (OFFLINE + "test_stores_of_others_are_refused",),
    "position of a store lost": (STORE + "Store.ALostPositionIsNotForgotten",),
    "position of one party put back": (STORE + "Store.FollowsWhoeverHasUsedMore",),
    "program departs from its plan": (OFFLINE + "test_a_program_that_departs_is_told_where",),
}

# What no test can show, because it does not hold.
LIMITS = (
    "Plain Gloo: a bit of a payload that is flipped on the wire is not noticed (TCP's checksum is "
    "all there is), nor is a forged frame with the right header.",
    "Plain Gloo: who speaks Gloo's own protocol and sends more bytes than a receive has room for "
    "ends the process; frames of this library never are longer.",
    "Any link: a party that sends another payload with the right header changes the result.",
    "Any link: a party that leaves out a step in which nothing is sent is not noticed.",
    "A store that all parties put back, file and position, from copies made before it was used is "
    "used again: nobody can tell. One that is truncated while a session reads it ends the process.",
)
