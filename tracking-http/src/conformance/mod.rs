//! How an adapter proves itself, over real sockets.
//!
//! An adapter's tests write one small application of its framework, as [`App`] describes it, and emit the cases with
//! the macro `adapter_conformance!`. Its arguments are the path of an `async fn(App) -> SocketAddr` that starts the
//! application on a free port of the loopback interface, on the runtime that it is called on; and an expression for an
//! empty store:
//!
//! ```text
//! tracking_http::adapter_conformance!(serve, storage_memory::MemoryStore::new());
//! ```
//!
//! **Exempt from SemVer.** Cases are added in any release.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a case that can't go on has failed, and panics")]

mod broken;
mod client;
mod counters;
mod harness;
mod signer;

use std::net::SocketAddr;
use std::sync::Arc;

use crate::Api;

pub use self::harness::run;

/// An application that a tracker is mounted into.
///
/// Besides the trackers it has routes of its own, registered **before** them:
///
/// - `GET /host/before` answers `200` with the text `before`;
///
/// and **after** them:
///
/// - `GET /` answers `200` with the text `home`,
/// - `GET /host/after` answers `200` with the text `after`,
/// - `POST /host/echo` answers `200` with the request's body,
/// - `GET /tracking/inside` answers `200` with the text `inside`.
///
/// Whatever no route answers gets its own page, status 404 with the text `host 404`; whatever else its framework lets
/// an application replace by a page of its own (errors, panics, refused methods) has the text `host error`.
#[derive(Debug)]
pub struct App {
    /// The trackers and the paths that they are mounted at: `""` for the root, or one or more segments as in
    /// `/tracking` and `/partners/tracking`.
    pub trackers: Vec<(&'static str, Arc<Api>)>,
}

/// The one list of cases. What is written but not listed is dead code, of which the compiler warns.
macro_rules! cases {
    ($d:tt $($subject:ident { $($case:ident)+ })+) => {
        $(mod $subject;)+

        #[doc(hidden)]
        pub mod cases {
            $($(
                pub async fn $case(site: super::harness::Site) {
                    super::$subject::$case(site).await;
                }
            )+)+
        }

        /// Emits one `#[test]` for each case of the conformance suite of adapters.
        ///
        /// The arguments are the path of an `async fn(App) -> SocketAddr` and an expression for an empty store.
        #[macro_export]
        macro_rules! adapter_conformance {
            ($d serve:path, $d store:expr) => {
                $($(
                    #[test]
                    fn $case() {
                        $d crate::conformance::run($d serve, || Box::new($d store), $d crate::conformance::cases::$case);
                    }
                )+)+
            };
        }
    };
}

cases! { $
    go {
        link_sends_visitors_on
        link_takes_a_click_id
        every_mark_fits_into_a_link
        head_records_nothing
        link_leads_nowhere_else
        dead_link_is_told_on_a_page
        visitors_are_judged
        addresses_come_from_the_socket_or_a_trusted_proxy
        forged_click_ids_are_refused
        lost_click_is_recovered_by_its_postback
        link_works_where_it_is_mounted
    }
    tracking {
        click_is_answered_as_the_brief_says
        postback_is_answered_as_the_brief_says
        lists_are_answered_as_the_brief_says
        repeated_click_is_recorded_once
        retried_postback_is_recorded_once
        changed_postback_is_a_conflict
        parallel_identical_postbacks_are_one_conversion
        click_id_is_minted
        amounts_are_exact
        transaction_ids_tell_sales_apart
        postback_key_is_demanded
        last_click_wins
        every_bad_input_gets_its_own_answer
    }
    outcomes {
        every_outcome_is_answered_logged_and_counted
        explanations_foretell_and_write_nothing
        explanation_tells_all_rules
    }
    postbacks {
        query_form_and_json_are_one
        numbers_in_json_are_exact
        bodies_that_are_no_postback_are_refused
        query_and_body_are_taken_together
        postback_log_is_filtered_and_paged
        status_changes_and_figures_follow
        affiliates_are_not_told_what_advertisers_mark
    }
    credentials {
        tokens_are_taken_from_header_query_and_body
        signed_queries_are_checked
        signed_bodies_are_checked
        keys_are_rotated_and_revoked
        addresses_are_checked_behind_a_proxy
        right_key_passes_whatever_has_failed
        secrets_are_never_told
    }
    administration {
        affiliates_are_changed
        campaigns_are_changed
        rules_are_shown_as_they_were_given
        bad_changes_are_refused
        times_that_do_not_fit_are_in_nobodys_way
        payouts_are_exact
        affiliates_see_payouts_and_no_more
    }
    builder {
        link_is_built_and_works
        link_starts_with_the_public_url
        link_that_would_not_work_is_refused
        qr_code_is_an_image
        link_too_long_for_a_qr_code_is_a_link_all_the_same
        test_click_shows_each_step
        test_click_tells_what_is_left_out
        test_click_ends_where_it_fails
        test_click_tells_what_its_caller_is_taken_for
        test_click_needs_json_or_a_form
        affiliate_has_links_of_his_own_only
        link_page_shows_link_and_test
        where_there_are_many_they_are_chosen_by_id
    }
    pages {
        postback_log_is_shown_with_problem_and_remedy
        postback_log_is_filtered_by_its_url
        postback_log_is_paged
        explanation_shows_each_rule_and_writes_nothing
        conversions_are_approved_and_rejected_by_forms
        affiliates_see_status_and_payout_and_no_more
        overview_compares_periods_and_names_the_best
        overview_goes_without_sources_that_take_too_long
        affiliates_see_their_own_figures_of_a_period
        reports_are_asked_for_by_a_form
        links_of_pages_lead_somewhere
    }
    pages_of_lists {
        conversions_are_listed_by_filter
        conversions_are_paged_by_filter
        status_changes_lead_back_to_the_list
        clicks_are_listed_with_what_they_are
        lists_are_shown_in_a_zone
        campaigns_are_made_on_a_page
        campaigns_are_changed_on_a_page
        changes_of_a_campaign_keep_the_period
        campaigns_are_shown_with_their_rules
        keys_are_shown_once
        affiliates_are_made_and_paused_on_a_page
        pasted_lines_are_imported
        settings_are_shown_without_secrets
        affiliates_have_lists_of_their_own
        pages_of_admins_are_closed_to_affiliates
        readers_are_offered_no_changes
        links_of_lists_lead_somewhere
    }
    visitors {
        clicks_tell_what_is_known_of_them
        affiliates_are_not_told_who_visited
        erased_clicks_are_anonymous
        bad_erasures_are_refused
    }
    resources {
        affiliates_are_created_and_listed
        campaigns_are_created_and_listed
        bad_bodies_are_refused
        large_body_is_refused
        lists_are_paged
        summary_adds_up
        every_affiliate_report_answers_for_unknown_ones
    }
    reports {
        report_is_answered_whole
        days_and_hours_are_those_of_the_zone
        totals_are_the_same_however_grouped
        rows_say_what_they_are_about
        rows_are_sorted_and_paged
        bad_report_parameters_are_refused_by_name
        report_that_is_too_much_says_what_to_do
        list_that_takes_too_long_says_what_to_do
        affiliates_get_reports_of_their_own
        lists_are_filtered
        table_of_a_report_can_be_summed_up
        table_of_a_report_has_all_rows
    }
    exports {
        export_is_whole_and_in_order
        table_has_what_json_has
        affiliates_have_no_more_columns_than_json
        table_is_safe_to_open
        table_is_asked_for_as_a_whole
        export_that_fails_at_once_is_refused
        export_that_breaks_off_is_no_whole_one
    }
    imports {
        each_line_is_told_what_has_become_of_it
        import_is_safe_to_repeat
        refund_follows_its_sale_in_a_file
        file_that_is_none_is_refused
        cell_that_is_no_text_fails_its_line_only
        file_may_be_longer_than_other_bodies
        store_that_fails_fails_its_lines
        only_admins_import
        file_of_a_stranger_is_not_awaited
    }
    protocol {
        head_answers_like_get_and_records_nothing
        trailing_slash_makes_no_difference
        unknown_methods_are_refused
        query_is_decoded
        malformed_query_is_refused
        unknown_parameters_are_ignored
        repeated_parameters_are_refused
        huge_query_is_refused
        answers_have_safe_headers
        body_that_ends_early_is_refused
        broken_store_is_not_blamed_on_the_caller
        health_and_readiness_are_told_apart
        openapi_document_is_whole
    }
    hosting {
        routes_of_the_host_are_reached
        unknown_paths_are_the_hosts
        refusals_enter_no_catcher
        body_of_a_host_route_is_untouched
        every_mount_point_works
        two_trackers_stand_side_by_side
        mount_points_may_nest
        openapi_document_names_the_mount_point
        public_url_is_shown_and_trusted
        links_are_right_under_every_mount_point
    }
    access {
        token_opens_everything
        affiliate_sees_his_own_only
        stranger_is_sent_to_log_in
        pages_of_other_sites_can_not_write
    }
    sessions {
        token_logs_in_and_out
        problems_have_a_way_out
        login_leads_to_what_was_asked_for
        login_leads_nowhere_else
        wrong_tokens_are_kept_waiting
        session_ends_with_its_token
        session_expires
        secret_is_changed_without_ending_sessions
        cookie_is_for_the_mount_point
        forged_cookies_are_nobodys
        affiliate_logs_in_with_his_pass
        affiliate_opens_a_shared_link
        shared_link_ends_no_other_session
        passes_expire_and_are_revoked
        links_are_shared_and_revoked_on_the_page
        bad_lifetimes_are_refused
        header_goes_before_the_session
        browsers_are_not_made_to_ask_for_a_password
        sessions_stand_on_any_guard
        other_sites_log_nobody_in_or_out
        affiliate_has_nothing_of_others_on_any_route
        reader_writes_on_no_route
        reader_sees_what_an_admin_sees
    }
}

/// Starts an [`App`].
type Serve = Box<dyn Fn(App) -> std::pin::Pin<Box<dyn Future<Output = SocketAddr> + Send>> + Send + Sync>;
