//! How a [`Store`] proves itself.
//!
//! Each case proves one sentence of [the contract](Store#contract). The macro `store_conformance!` makes one `#[test]`
//! of each; its argument is the path of an `async fn() -> (S, Guard)` that gives an empty store, and whatever must
//! outlive the test, such as a temporary database. Every test calls it once, on a runtime of its own, which is made
//! here: a test module needs no attribute, and a connection pool never meets a second runtime. Where there may be no
//! store to be had, because a server is not installed, the factory gives an `Option` of one, and says why it is `None`:
//! the test is skipped then.
//!
//! ```
//! # mod readable {
//! #[cfg(test)]
//! mod conformance {
//!     use storage_memory::MemoryStore;
//!
//!     async fn empty_store() -> (MemoryStore, ()) {
//!         (MemoryStore::new(), ())
//!     }
//!
//!     tracking_core::store_conformance!(empty_store);
//! }
//! # }
//! ```
//!
//! Where `#[test]` does not fit, the same cases stand in [`CASES`].
//!
//! A case starts up to 64 calls at once, and the whole suite inserts some thousands of records. No case waits for time
//! to pass, and none depends on another.
//!
//! **Exempt from SemVer.** Cases are added in any release: a store that passes today may be found wrong tomorrow.

#![allow(clippy::expect_used, reason = "a case that can't go on has failed, and a failed case panics")]

mod given;
mod terms;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use crate::Store;

/// The one list of cases. What is written but not listed is dead code, of which the compiler warns.
macro_rules! cases {
    ($d:tt $($subject:ident { $($case:ident)+ })+) => {
        $(mod $subject;)+

        /// All cases.
        pub const CASES: &[Case] = &[
            $($(Case { name: stringify!($case), run: |store| Box::pin($subject::$case(store)) },)+)+
        ];

        /// Emits one `#[test]` for each case of the [conformance](crate::conformance) suite, named after it.
        ///
        /// The argument is the path of an `async fn() -> (S, Guard)`: an empty [`Store`](crate::Store), and whatever
        /// must outlive the test.
        #[macro_export]
        macro_rules! store_conformance {
            ($d factory:path) => {
                $($(
                    #[test]
                    fn $case() {
                        $d crate::conformance::test(stringify!($case), $d factory);
                    }
                )+)+
            };
        }
    };
}

cases! { $
    affiliates_and_campaigns {
        ping_succeeds
        affiliate_comes_back_as_it_went_in
        campaign_comes_back_as_it_went_in
        ids_are_chosen_where_none_is_given
        greatest_ids_can_be_given
        taken_affiliate_id_returns_the_first
        taken_campaign_id_returns_the_first
        parallel_affiliates_with_one_id_are_one
        parallel_campaigns_with_one_id_are_one
        parallel_affiliates_without_id_are_many
        unknown_affiliate_is_refused
        unknown_campaign_is_refused
        unknown_affiliate_is_named_before_unknown_campaign
    }
    updates {
        affiliate_update_replaces_all_but_id_and_time
        campaign_update_replaces_all_but_id_and_time
        any_rules_and_access_come_back_as_they_went_in
        update_of_another_version_changes_nothing
        parallel_updates_from_one_version_happen_once
        parallel_updates_that_look_again_all_happen
        update_changes_nothing_else
        update_of_what_is_not_there_is_refused
    }
    clicks {
        click_comes_back_as_it_went_in
        click_details_come_back_as_they_went_in
        repeated_click_returns_the_first
        click_id_belongs_to_affiliate_and_campaign
        click_ids_compare_byte_by_byte
        every_click_id_can_be_kept
        click_times_are_exact
        parallel_identical_clicks_are_one
        last_click_wins
        last_of_simultaneous_clicks_has_the_greatest_number
        all_clicks_of_one_id_are_found
        click_of_a_campaign_is_found
        click_that_is_not_there_is_none
    }
    visitors {
        visitor_is_known_again_for_a_day
        visitor_is_the_same_everywhere
        clicks_without_a_visitor_are_no_repeats
        claimed_repeat_is_not_believed
        click_that_is_not_recorded_leaves_no_visitor
        repeated_record_is_no_repeated_visit
        parallel_visits_have_one_first
        bots_are_counted_apart
        forgotten_visitor_is_a_new_one
        forgetting_visitors_changes_no_figures
    }
    conversions {
        conversion_comes_back_as_it_went_in
        repeated_conversion_returns_the_first
        conversion_is_identified_by_click_event_and_transaction
        conversion_of_an_alternative_is_a_duplicate
        alternative_that_is_not_there_makes_no_difference
        parallel_conversions_of_alternatives_are_one
        conversion_texts_compare_byte_by_byte
        every_conversion_text_can_be_kept
        amounts_are_exact
        payouts_are_exact
        currencies_are_kept
        conversion_times_are_exact
        parallel_identical_conversions_are_one
        parallel_conflicting_conversions_are_one
        conversion_without_its_click_is_refused
    }
    demands {
        only_one_is_of_its_click_and_event
        only_one_is_demanded_of_new_conversions_alone
        only_one_is_not_of_alternatives
        parallel_conversions_have_only_one
        daily_cap_is_of_its_campaign
        daily_cap_is_of_a_day_in_utc
        daily_cap_counts_every_conversion
        only_one_is_asked_before_the_daily_cap
        parallel_conversions_keep_the_daily_cap
        parallel_duplicates_are_one_of_the_daily_cap
    }
    lookups {
        conversion_is_found_by_its_number
        conversion_is_found_by_its_identity
        conversion_is_found_as_an_insert_would
        first_conversion_is_the_earliest
        days_are_counted_by_campaign
        nothing_is_found_of_what_is_not_there
    }
    statuses {
        status_change_moves_what_is_counted
        status_change_from_another_status_changes_nothing
        status_changes_come_back_in_order
        status_of_an_unknown_conversion_is_refused
        parallel_changes_from_one_status_happen_once
        parallel_changes_are_all_counted
        any_changes_are_counted_exactly
    }
    lists {
        empty_list_is_one_empty_page
        list_is_newest_first
        simultaneous_records_have_a_total_order
        paging_visits_each_record_once
        full_last_page_has_no_next
        inserts_between_pages_disturb_nothing
        parallel_inserts_between_pages_disturb_nothing
        list_starts_at_any_place
        lists_show_what_was_recorded
        lists_are_of_one_affiliate
    }
    counters {
        fresh_affiliate_has_nothing
        each_record_is_counted_once
        sums_are_exact
        currencies_are_summed_apart
        statuses_are_counted_apart
        affiliates_are_counted_apart
        parallel_records_are_all_counted
        abandoned_calls_happen_whole_or_not_at_all
        any_interleaving_is_counted_exactly
    }
    reports {
        totals_are_of_their_times
        totals_are_of_their_scope
        groups_are_bounded
        groups_are_in_order
        breakdown_is_of_what_is_left
        breakdown_ends_in_time
        purged_clicks_stay_in_totals
        lists_are_filtered
        any_report_equals_a_recount
    }
    retention {
        purge_deletes_old_clicks
        purge_takes_the_oldest_first
        purge_of_simultaneous_clicks_misses_none
        purge_starts_at_any_place
        purge_forgets_no_visitors
        purge_keeps_clicks_with_conversions_anonymous
        purge_during_conversions_loses_none
        erased_click_is_anonymous
        erased_click_has_no_conversion_under_its_old_id
        conversions_of_an_erased_click_are_found_under_its_new_id
        erased_visitor_is_forgotten
        maintenance_of_an_unknown_affiliate_is_refused
    }
    postback_log {
        postback_comes_back_as_it_went_in
        repeated_postbacks_are_left_as_they_are
        parallel_calls_log_each_postback_once
        many_postbacks_are_logged_at_once
        postbacks_are_filtered
        old_postbacks_are_purged
        the_oldest_postbacks_are_purged_beyond_a_number
        erased_click_is_anonymous_in_the_log
    }
}

/// One case of the suite.
#[derive(Clone, Copy)]
pub struct Case {
    name: &'static str,
    run: fn(Arc<dyn Store>) -> Run,
}

type Run = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Case {
    /// What the case proves, as the name of a function.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Runs the case on an empty store, within a Tokio runtime.
    ///
    /// # Panics
    /// If the store does not keep the contract.
    pub async fn run(&self, store: impl Store) {
        (self.run)(Arc::new(store)).await;
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Case").field(&self.name).finish()
    }
}

/// What a factory may give: a store, or an `Option` of one.
#[doc(hidden)]
pub trait Subject {
    type Store: Store;

    fn into_store(self) -> Option<Self::Store>;
}

impl<S: Store> Subject for S {
    type Store = S;

    fn into_store(self) -> Option<S> {
        Some(self)
    }
}

impl<S: Store> Subject for Option<S> {
    type Store = S;

    fn into_store(self) -> Self {
        self
    }
}

/// The body of a test that `store_conformance!` emits.
#[doc(hidden)]
pub fn test<S, G, F>(name: &str, factory: impl FnOnce() -> F)
where
    S: Subject,
    F: Future<Output = (S, G)>,
{
    let case = CASES.iter().find(|case| case.name == name).expect("the tests come from the same list as CASES");
    // Workers enough to have calls run at the same time on any machine.
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(4).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (subject, guard) = factory().await;
        if let Some(store) = subject.into_store() {
            case.run(store).await;
        }
        drop(guard);
    });
}
