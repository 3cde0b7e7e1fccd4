"""Faults that other tools for real-time collaboration have, and the tests that show that we don't.

``pytest -k D5`` runs the tests of one. Each test is named by its file and its name.

S: security; D: lost, doubled or torn text; F: hazards of Yjs; M: growth and speed; A: edits by AI.
"""

from __future__ import annotations

from typing import NamedTuple


class Failure(NamedTuple):
    """A fault of others."""

    what: str
    tests: tuple[str, ...]


FAILURES: dict[str, Failure] = {
    "S1": Failure(
        "What somebody with read access sends over the WebSocket is applied, shown and saved.",
        (
            "blackbox/test_live.py::test_a_viewers_edit_is_refused",
            "rooms/test_gate.py::test_a_viewers_edit_is_refused_and_barred",
            "rooms/test_engine.py::test_a_viewer_changes_nothing_and_hears_so",
        ),
    ),
    "S1b": Failure(
        "Nobody can be a viewer, because opening a document needs the right to write.",
        ("rooms/test_sockets.py::test_how_a_document_is_opened",),
    ),
    "S2": Failure(
        "Clients publish any name, and overwrite what others show of themselves.",
        (
            "blackbox/test_live.py::test_nobody_speaks_for_another",
            "rooms/test_awareness.py::test_others_see_the_account_whatever_the_client_says",
            "rooms/test_awareness.py::test_a_viewer_does_not_decide_whether_the_file_is_saved",
        ),
    ),
    "S3": Failure(
        "Rooms are built for handshakes that are refused.",
        (
            "access/test_gate.py::test_nothing_is_built_for_a_handshake_that_is_refused",
            "rooms/test_sockets.py::"
            "test_a_refused_handshake_is_closed_before_anything_is_built_or_sent",
        ),
    ),
    "S4": Failure(
        "Pages of other sites may open a room.",
        (
            "blackbox/test_roles.py::test_a_page_of_another_site_opens_no_room",
            "access/test_gate.py::test_a_page_of_another_site_opens_no_websocket",
        ),
    ),
    "S5": Failure(
        "Whoever is signed in may install packages, build, and change the settings of all.",
        (
            "access/test_matrix.py::test_the_server_itself",
            "blackbox/test_roles.py::test_what_is_for_admins",
            "access/test_lab.py::test_settings_are_ones_own",
        ),
    ),
    "S6": Failure(
        "Roles leak by other routes: contents, checkpoints, conversion, files, kernels, forks.",
        (
            "access/test_matrix.py::test_writing",
            "access/test_contents.py::test_nobody_copies_what_they_may_not_read",
            "blackbox/test_roles.py::test_forks_and_timelines_go_by_role",
            "blackbox/test_roles.py::test_a_checkpoint_is_not_brought_back_by_who_may_not_write",
        ),
    ),
    "S7": Failure(
        "Rights are looked at once, when the connection is made.",
        (
            "blackbox/test_live.py::test_a_demotion_bites_at_once_and_keeps_the_socket",
            "blackbox/test_live.py::test_a_removal_closes",
            "blackbox/test_live.py::test_an_open_socket_ends_with_its_login",
        ),
    ),
    "S8": Failure(
        "One person's right counts for the room; a refused write is told as saved.",
        (
            "rooms/test_engine.py::test_demotion_keeps_the_socket_and_bites_at_once",
            "rooms/test_engine.py::test_a_viewer_changes_nothing_and_hears_so",
        ),
    ),
    "S9": Failure(
        "Throttles count by a header that the client chooses.",
        (
            "identity/test_throttle.py::test_a_host_counts_as_one_address",
            "identity/test_pages.py::test_a_proxys_own_credential_is_not_ours",
        ),
    ),
    "D1": Failure(
        "A client comes back to a room that was freed, and its text doubles.",
        ("rooms/test_reconnecting.py::test_a_client_comes_back_to_a_room_that_was_freed",),
    ),
    "D2": Failure(
        "The same, while the file was changed on disk.",
        (
            "rooms/test_reconnecting.py::test_a_file_changed_while_a_client_was_away_with_edits",
            "plans/test_plans.py::test_a_short_plan",
        ),
    ),
    "D3": Failure(
        "The server starts again, with its store.",
        (
            "rooms/test_engine.py::test_a_crash_loses_nothing_that_was_acknowledged",
            "rooms/test_reopening.py::test_text_is_whole_at_each_of_five_openings",
        ),
    ),
    "D4": Failure(
        "The server starts again without its store, and cells double.",
        ("rooms/test_gate.py::test_a_copy_of_a_lost_log_is_not_merged_as_a_second_copy",),
    ),
    "D5": Failure(
        "The file changes on disk while somebody types, and what was typed is gone.",
        (
            "rooms/test_disk.py::"
            "test_a_change_on_disk_reaches_everybody_and_keeps_what_people_write",
            "rooms/test_disk.py::test_many_changes_on_disk_while_somebody_types",
        ),
    ),
    "D6": Failure(
        "One file has two live copies that overwrite each other.",
        (
            "blackbox/test_live.py::test_one_file_is_one_document",
            "access/test_contents.py::test_a_path_has_one_spelling",
        ),
    ),
    "D7": Failure(
        "A client of another past makes one empty cell of a notebook.",
        ("rooms/test_reconnecting.py::test_a_notebook_survives_a_client_of_another_past",),
    ),
    "D8": Failure(
        "Nothing is saved while somebody types, nor when the server stops.",
        (
            "rooms/test_engine.py::test_the_file_follows_while_people_type",
            "rooms/test_engine.py::test_a_room_is_freed_when_it_is_empty_and_saved",
        ),
    ),
    "D9": Failure(
        "Places in a text are counted otherwise than the text is stored.",
        (
            "rooms/test_textdiff.py::test_byte_offsets",
            "rooms/test_shared.py::test_offsets_are_characters",
            "rooms/test_gate.py::test_characters_are_not_cut_in_two",
        ),
    ),
    "D10": Failure(
        "Line ends change with a save; a rename or a deletion loses edits.",
        (
            "rooms/test_engine.py::test_the_file_follows_while_people_type",
            "rooms/test_engine.py::test_rename_and_delete",
            "rooms/test_disk.py::test_a_file_that_is_gone_ends_the_room_and_keeps_its_history",
            "blackbox/test_live.py::test_a_rename_keeps_the_document",
        ),
    ),
    "D11": Failure(
        "The server is killed, and the old file wins over what people wrote.",
        (
            "rooms/test_kill.py::test_three_people_type_while_the_server_is_killed",
            "rooms/test_disk.py::test_a_file_that_was_not_touched_never_wins_over_the_log",
        ),
    ),
    "D12": Failure(
        "What makes the store smaller destroys the document.",
        (
            "rooms/test_history_compaction.py::"
            "test_a_compacted_log_is_the_same_document_at_the_end_of_each_span",
            "rooms/test_history_compaction.py::"
            "test_a_thinned_log_is_the_same_document_at_the_end_of_each_day",
            "rooms/test_history_compaction.py::test_people_write_while_the_log_is_compacted",
            "rooms/test_history_compaction.py::test_a_server_that_dies_on_the_way_has_done_nothing",
        ),
    ),
    "F1": Failure(
        "One dropped insert poisons what its author writes after it.",
        ("rooms/test_gate.py::test_a_dropped_insert_does_not_poison_the_log",),
    ),
    "F2": Failure(
        "A dropped deletion goes unnoticed, as state vectors know nothing of it.",
        (
            "rooms/test_gate_plans.py::test_log_and_documents_stay_the_same",
            "rooms/test_engine.py::test_a_deletion_that_was_refused_does_not_slip_in_after_a_crash",
        ),
    ),
    "F3": Failure(
        "What a viewer typed slips in when they are made editor, or connect again.",
        (
            "rooms/test_gate.py::test_what_was_refused_does_not_slip_in_on_promotion",
            "rooms/test_gate.py::test_what_was_refused_does_not_slip_in_on_reconnection",
            "blackbox/test_live.py::test_a_promotion_resets_who_was_refused",
        ),
    ),
    "F4": Failure(
        "Somebody writes under the id of a colleague, whose next edit is then ignored.",
        (
            "rooms/test_gate.py::test_nobody_writes_under_the_id_of_another",
            "blackbox/test_live.py::test_nobody_writes_under_anothers_client_id",
        ),
    ),
    "F5": Failure(
        "A panic of the library passes by every handler of errors.",
        (
            "rooms/test_engine.py::test_a_panic_ends_an_edit_and_nothing_else",
            "rooms/test_shared.py::test_an_offset_beyond_the_text_is_an_error",
        ),
    ),
    "F6": Failure(
        "Thousands of tiny inserts blow a document up.",
        (
            "rooms/test_textdiff.py::test_no_more_edits_than_wanted",
            "rooms/test_textdiff.py::test_lines_that_have_little_in_common_are_replaced_in_one_piece",
        ),
    ),
    "M1": Failure(
        "The store of a document grows for ever.",
        (
            "rooms/test_history_compaction.py::"
            "test_a_typed_document_takes_a_small_multiple_of_its_size",
            "rooms/test_history_compaction.py::test_what_came_and_went_takes_no_room",
            "rooms/test_history_compaction.py::"
            "test_a_room_compacts_its_log_as_it_goes_and_at_its_end",
        ),
    ),
    "M2": Failure(
        "Each look at the timeline leaves a copy behind.",
        (
            "rooms/test_timelines.py::test_many_looks_leave_a_few_copies_and_then_none",
            "attack/test_timelines.py::test_sixty_looks_leave_memory_where_it_was",
        ),
    ),
    "M3": Failure(
        "One message may be as large as the memory.",
        ("blackbox/test_live.py::test_a_message_over_the_limit_is_closed_with_1009",),
    ),
    "M4": Failure(
        "Rooms are never freed.",
        (
            "rooms/test_engine.py::test_a_room_is_freed_when_it_is_empty_and_saved",
            "rooms/test_forks.py::test_its_room_is_freed_and_it_stays",
            "rooms/test_sockets.py::test_the_lobby_holds_nobody_who_has_gone",
        ),
    ),
    "M5": Failure(
        "What is kept for a client that does not read grows for ever.",
        ("rooms/test_sockets.py::test_a_slow_reader_is_let_go_and_slows_nobody",),
    ),
    "M6": Failure(
        "A change is encoded again for each who gets it.",
        ("rooms/test_reconnecting.py::test_a_change_is_encoded_once_for_all_who_get_it",),
    ),
    "A1": Failure(
        "All is cleared and written again, and what somebody typed meanwhile is gone.",
        ("ai/test_upstream_failures.py::test_a1_what_is_typed_while_all_is_rewritten_stays",),
    ),
    "A2": Failure(
        "Text is written piece by piece at fixed places, and an insert meanwhile garbles it.",
        ("ai/test_upstream_failures.py::test_a2_an_insert_meanwhile_garbles_nothing",),
    ),
    "A3": Failure(
        "A cell is deleted and a new one made: its id, outputs and cursors are lost.",
        ("ai/test_upstream_failures.py::test_a3_a_cell_that_is_rewritten_is_the_same_cell",),
    ),
    "A4": Failure(
        "Cells are found by their index, and the wrong one is edited.",
        ("ai/test_upstream_failures.py::test_a4_a_cell_is_found_by_its_id",),
    ),
    "A5": Failure(
        "The file is written behind the open document.",
        ("ai/test_upstream_failures.py::test_a5_nothing_is_written_to_the_file_behind_the_room",),
    ),
    "A6": Failure(
        "All that an AI does is shown as one presence.",
        ("ai/test_upstream_failures.py::test_a6_each_operation_is_shown_for_itself",),
    ),
    "A7": Failure(
        "A model's line numbers are believed, and fixes offered that can't be read.",
        ("ai/test_upstream_failures.py::test_a7_lines_and_fixes_of_a_model_are_not_believed",),
    ),
}
