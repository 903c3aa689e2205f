//! The suite that every backend runs, from one line, each case a named test. It knows the contract
//! only: nothing in it depends on how a backend stores anything, and nothing in it sleeps.
//!
//! ```ignore
//! durable_store::conformance!(memory, || async { MemoryStore::new() });
//! ```
//!
//! A failing case says what it did by its name and its steps; the cases are plain functions, to
//! be read next to [`Store`](crate::Store).

pub mod commits;
pub mod ending;
pub mod leases;
pub mod messages;
pub mod offers;
pub mod queries;
pub mod reopening;
pub mod sending;
pub mod waking;
pub mod world;

pub use world::Fixture;

/// Runs the suite: `conformance!(name, open)` makes a module `name` with a `#[tokio::test]` for
/// each case, every one with a hub of its own.
///
/// `open` is a closure that returns a future of a store, or of a [`Fixture`] for one that
/// must be kept alive with something else (its directory). The hub must be empty and have at
/// least two partitions. The caller needs `tokio` with the features `macros` and `rt`.
///
/// A backend that keeps its data adds a third argument: a closure that makes a place and returns
/// a closure that opens the hub at that place, again and again.
///
/// ```ignore
/// durable_store::conformance!(memory, || async { MemoryStore::new() });
/// durable_store::conformance!(mine, || async { mine().await }, || {
///     let place = Arc::new(make_place());
///     move || {
///         let place = place.clone();
///         async move { open_at(&place).await }
///     }
/// });
/// ```
///
/// [`Fixture`]: crate::conformance::Fixture
#[macro_export]
macro_rules! conformance {
    ($name:ident, $open:expr) => {
        mod $name {
            #[allow(unused_imports)]
            use super::*;
            $crate::conformance!(@cases $open, leases:
                workers_that_checked_in_are_alive
                a_worker_whose_time_is_over_is_not_alive
                a_worker_that_ends_says_so
                many_workers_check_in_at_once
                every_partition_is_acquired_once
                a_held_partition_is_not_acquired
                the_limit_of_partitions_is_kept
                what_an_owner_holds_is_not_taken_from_it
                takeover_after_expiry_raises_the_epoch
                takeover_after_release_is_immediate
                the_same_owner_takes_over_at_once
                a_renewed_lease_does_not_expire
                only_current_leases_are_renewed
                a_stale_owner_cannot_commit
                a_stale_owner_cannot_read
                a_stale_release_changes_nothing
                a_released_lease_is_stale
                an_expired_lease_is_good_until_it_is_taken
                a_partition_that_does_not_exist_is_lost
                numbers_are_never_reserved_twice
            );
            $crate::conformance!(@cases $open, commits:
                an_empty_batch_is_fine
                a_created_instance_is_pending_first
                a_start_can_be_fused_with_its_first_turn
                a_change_is_read_back
                what_is_not_given_stays
                a_custom_status_can_be_cleared
                an_end_is_kept_and_can_be_taken_back
                an_instance_can_begin_anew
                texts_come_back_unchanged
                a_large_payload_comes_back
                creating_an_id_that_exists_conflicts
                creating_a_number_that_exists_conflicts
                changing_an_unknown_instance_conflicts
                changing_an_instance_of_another_partition_conflicts
                consuming_a_missing_message_conflicts
                consuming_a_message_of_another_partition_conflicts
                consuming_a_message_twice_conflicts
                a_message_received_directly_is_recognised
                a_message_that_was_sent_is_not_received_directly_too
                only_receipts_say_what_was_received
                naming_an_instance_twice_conflicts
                a_batch_that_conflicts_changes_nothing
                a_stale_batch_changes_nothing
                busy_instances_are_listed
                side_rows_are_put_replaced_and_deleted
                side_rows_can_be_cleared
                side_rows_come_in_the_order_of_their_keys
                history_is_appended_and_paged
                history_may_come_with_the_instance
                a_turn_of_history_is_never_replaced
                a_turn_that_came_with_the_instance_is_never_replaced
                many_instances_in_one_batch
                partitions_commit_at_the_same_time
                what_is_too_large_is_refused
            );
            $crate::conformance!(@cases $open, ending:
                what_has_ended_is_purged_with_all_that_hangs_on_it
                what_is_under_way_is_not_purged
                many_are_purged_at_once_up_to_the_limit
                an_owner_cannot_bring_back_what_was_purged
                a_start_replaces_what_has_ended
                a_start_that_replaces_may_find_nothing
                a_start_does_not_replace_what_is_under_way
                a_start_may_name_the_one_that_it_replaces
                a_replacement_raced_by_many_happens_once
                replacements_see_the_envelopes_before_them
                a_commit_replaces_what_has_ended
                what_has_failed_is_set_running_again
                late_news_of_a_failure_does_not_undo_that
                a_commit_sets_running_again_what_has_failed
                old_history_can_be_forgotten
                history_that_came_with_the_instance_can_be_forgotten
                turns_of_one_batch_may_forget_and_keep
                history_that_came_with_the_instance_outlives_a_failure
            );
            $crate::conformance!(@cases $open, messages:
                a_message_stays_until_it_is_consumed
                a_poll_returns_the_oldest_up_to_its_limit
                a_poll_sees_its_partition_only
                messages_to_another_partition_arrive
                messages_come_in_the_order_they_were_sent
                a_message_is_not_due_before_its_time
                the_horizon_includes_its_own_time
                due_messages_come_earliest_first
                a_sent_message_can_have_a_due_time
                a_scheduled_message_can_be_cancelled
                cancelling_a_missing_message_is_ignored
                a_message_can_be_cancelled_and_scheduled_anew
                a_consumed_message_is_not_cancelled_by_its_id
                a_message_that_is_stored_is_not_stored_again
                a_commit_can_start_an_instance_elsewhere
                a_commit_that_starts_what_exists_sends_only
                scheduling_for_another_partition_is_refused
            );
            $crate::conformance!(@cases $open, waking:
                a_send_hints_at_its_partition
                a_commit_hints_at_the_partitions_it_sends_to
                an_offer_is_hinted_at
                news_of_a_commit_is_told
            );
            $crate::conformance!(@cases $open, sending:
                a_message_without_condition_is_accepted
                a_running_target_takes_messages
                an_unknown_target_refuses
                an_ended_target_refuses
                a_start_creates_the_instance
                a_start_of_an_id_that_exists_is_refused
                a_start_resent_is_a_duplicate
                a_message_resent_is_a_duplicate
                a_message_resent_after_it_was_consumed_is_a_duplicate
                whether_a_message_is_known_can_be_asked
                a_refused_message_may_be_sent_again
                a_refusal_does_not_stop_the_others
                envelopes_see_those_before_them
                a_cleaned_receipt_is_forgotten
                what_is_too_large_is_refused
                a_partition_beyond_the_hub_is_refused
                concurrent_senders_lose_nothing
                a_start_raced_by_many_happens_once
            );
            $crate::conformance!(@cases $open, offers:
                an_offer_is_claimed_once_as_it_was_made
                claims_come_oldest_first_up_to_the_limit
                only_what_a_worker_names_is_claimed
                an_offer_made_again_stays_as_it_is
                only_an_owner_offers_withdraws_and_hears_of_losses
                what_is_withdrawn_is_gone_claimed_or_not
                all_offers_of_a_partition_can_be_withdrawn
                a_claim_that_runs_out_is_lost_and_nobody_elses
                only_who_claimed_renews_and_gives_back
                many_who_claim_at_once_share
                renewing_and_withdrawing_at_once_wait_for_nobody
                what_is_too_large_is_refused
            );
            $crate::conformance!(@cases $open, queries:
                unknown_ids_are_left_out
                an_id_asked_for_twice_comes_once
                instances_load_with_their_side_rows
                each_filter_narrows
                filters_combine
                a_prefix_is_taken_literally
                pages_cover_everything_once
                a_page_has_a_limit
                pages_stay_as_they_are_while_instances_are_made
                a_start_keeps_its_labels_and_its_time
                history_of_an_unknown_instance_is_empty
                replies_are_kept_until_cleaned
                a_later_reply_replaces_the_earlier
            );
        }
    };
    ($name:ident, $open:expr, $place:expr) => {
        $crate::conformance!($name, $open);
        $crate::conformance!(@reopening $name, $place);
    };
    (@reopening $name:ident, $place:expr) => {
        mod reopened {
            #[allow(unused_imports)]
            use super::*;
            mod $name {
                #[allow(unused_imports)]
                use super::*;
                $crate::conformance!(@places $place, reopening:
                    everything_committed_is_there
                    epochs_and_numbers_go_on
                    receipts_are_remembered
                    the_number_of_partitions_stays
                what_was_purged_stays_away
                );
                $crate::conformance!(@places $place, waking:
                    another_store_hears_of_it
                );
                $crate::conformance!(@places $place, offers:
                    offers_and_claims_are_there_when_the_hub_is_opened_again
                );
            }
        }
    };
    (@cases $open:expr, $topic:ident: $($case:ident)*) => {
        mod $topic {
            #[allow(unused_imports)]
            use super::*;
            $(
                #[tokio::test]
                async fn $case() {
                    let hub = $crate::conformance::Fixture::from(($open)().await);
                    $crate::conformance::$topic::$case(hub).await;
                }
            )*
        }
    };
    (@places $place:expr, $topic:ident: $($case:ident)*) => {
        $(
            #[tokio::test]
            async fn $case() {
                let open = ($place)();
                let open = || async { $crate::conformance::Fixture::from(open().await) };
                $crate::conformance::$topic::$case(open).await;
            }
        )*
    };
}
