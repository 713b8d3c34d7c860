//! Once through every page, as an admin, with months of traffic to look at.

use std::fmt::Write;

use fantoccini::Client;

use super::checks::{check, is_on_the_first_screen_of_a_phone, is_refused};
use super::hands::{all, appears, choose, download, log_in, one, place, press, says, write};
use super::in_browser;
use crate::support::{Server, TOKEN, on_each_framework};

on_each_framework!(an_admin_goes_through_every_page);

fn an_admin_goes_through_every_page(framework: &str) {
    let server = Server::start_with(framework, &[("TRACKING_DEMO", "true"), ("TRACKING_ADMIN_TOKEN", TOKEN)]);
    in_browser(async |browser| {
        logs_in(browser, &server).await;
        changes_a_status(browser).await;
        looks_around(browser).await;
        asks_for_reports(browser).await;
        runs_a_campaign(browser).await;
        explains_a_postback(browser).await;
        builds_a_link(browser).await;
        imports(browser, &server).await;
        shares(browser, &server).await;

        press(browser, "[data-test=log-out]", "[data-test=login]").await;
        browser.goto(&format!("{}/dashboard/settings", server.url)).await.unwrap();
        appears(browser, "[data-test=login]").await;
    });
}

async fn logs_in(browser: &Client, server: &Server) {
    browser.goto(&format!("{}/dashboard/conversions?status=pending", server.url)).await.unwrap();
    appears(browser, "[data-test=login]").await;
    check(browser, "login").await;
    log_in(browser, "a-wrong-one", "[data-test=login-problem]").await;
    is_refused(browser, 401).await;
    check(browser, "login that failed").await;
    log_in(browser, TOKEN, "[data-test=conversions]").await;
    assert_eq!(place(browser).await, "/dashboard/conversions?status=pending", "it is where one wanted to go");
}

async fn changes_a_status(browser: &Client) {
    press(browser, ".quick a:first-child", ".quick a:first-child[aria-current]").await;
    let downloaded = download(browser, "[data-test=csv]").await;
    assert!(downloaded.len() > 100 && downloaded[0].starts_with("id,click_id,"), "{:?}", &downloaded[0]);
    check(browser, "conversions").await;
    is_on_the_first_screen_of_a_phone(browser, "[data-test=conversion]", "conversions").await;

    press(browser, "[data-test=quick-pending]", "[data-test=quick-pending][aria-current]").await;
    for row in all(browser, "[data-test=conversion] .flag").await {
        assert_eq!(row.text().await.unwrap(), "pending");
    }
    let row = one(browser, "[data-test=conversion]:has([data-test=approve])").await;
    let id = row.attr("id").await.unwrap().unwrap();
    assert_eq!(all(browser, &format!("#{id}")).await.len(), 1);
    one(browser, &format!("#{id} [data-test=approve]")).await.click().await.unwrap();
    let same_list = browser.current_url().await.unwrap().join(&format!("conversions?status=pending#{id}")).unwrap();
    browser.wait().for_url(&same_list).await.unwrap();
    appears(browser, "[data-test=quick-pending][aria-current]").await;
    assert!(all(browser, &format!("#{id}")).await.is_empty(), "{id} is pending no more");

    let number = id.strip_prefix("conversion-").unwrap();
    let url = browser.current_url().await.unwrap().join(&format!("conversions/{number}")).unwrap();
    browser.goto(url.as_str()).await.unwrap();
    assert_eq!(says(browser, "[data-test=status]").await, "approved");
    check(browser, "a conversion").await;
}

async fn looks_around(browser: &Client) {
    press(browser, ".pages a", "[data-test=period]").await;
    assert_ne!(says(browser, "[data-test=period-clicks]").await, "0");
    check(browser, "overview").await;
    is_on_the_first_screen_of_a_phone(browser, "[data-test=period-clicks]", "overview").await;

    choose(browser, "[data-test=chooser]", "1").await;
    press(browser, ".chooser button", "[data-test=affiliate-name]").await;
    assert!(all(browser, "[data-test=conversions] tbody tr").await.len() > 3);
    check(browser, "an affiliate").await;
    is_on_the_first_screen_of_a_phone(browser, "[data-test=clicks-total]", "an affiliate").await;

    for (page, row) in [("clicks", "click"), ("affiliates", "affiliate"), ("campaigns", "campaign")] {
        press(browser, &format!("[data-test=nav-{page}]"), &format!("[data-test={page}]")).await;
        let rows = all(browser, &format!("[data-test={row}]")).await.len();
        assert!(rows > 3, "{rows} {page}");
        assert!(download(browser, "[data-test=csv]").await.len() > 3, "{page}");
        check(browser, page).await;
        if page == "clicks" {
            is_on_the_first_screen_of_a_phone(browser, "[data-test=click]", page).await;
        }
    }
    press(browser, "[data-test=nav-settings]", "[data-test=openapi]").await;
    check(browser, "settings").await;
    // The row of pages is longer than a phone is wide, and begins with others.
    is_on_the_first_screen_of_a_phone(browser, ".pages [aria-current]", "settings").await;
}

async fn asks_for_reports(browser: &Client) {
    press(browser, "[data-test=nav-reports]", "[data-test=report]").await;
    check(browser, "a report by day").await;
    is_on_the_first_screen_of_a_phone(browser, "[data-test=asked]", "a report by day").await;
    is_on_the_first_screen_of_a_phone(browser, ".chart", "a report by day").await;

    press(browser, "#presets a[href*=last_90_days]", "#presets a[href*=last_90_days][aria-current]").await;
    write(browser, "#time-zone", "Asia/Kolkata").await;
    choose(browser, "#group-by", "campaign").await;
    press(browser, "[data-test=report-form] .submit button", "[data-test=report] a[href*='dashboard/campaigns/']")
        .await;
    let asked = place(browser).await;
    assert!(asked.contains("time_zone=Asia%2FKolkata") && asked.contains("group_by=campaign"), "{asked}");

    let header = |order: &str| format!("[data-test=report] thead th:nth-child(2)[aria-sort={order}]");
    press(browser, "[data-test=report] thead th:nth-child(2) a", &header("descending")).await;
    let mut clicks = Vec::new();
    for cell in all(browser, "[data-test=report] tbody tr td:nth-child(2)").await {
        clicks.push(cell.text().await.unwrap().replace(',', "").parse::<u64>().unwrap());
    }
    assert!(clicks.len() > 3 && clicks.is_sorted_by(|a, b| a >= b), "{clicks:?}");
    press(browser, "[data-test=report] thead th:nth-child(2) a", &header("ascending")).await;
    let csv = download(browser, "[data-test=csv]").await;
    assert_eq!(csv.len(), all(browser, "[data-test=report] tbody tr").await.len() + 1);
    check(browser, "a report by campaign").await;

    choose(browser, "#group-by", "hour").await;
    one(browser, "#sort option").await.click().await.unwrap();
    press(browser, "[data-test=report-form] .submit button", "[data-test=next]").await;
    let first = says(browser, "[data-test=report] tbody tr").await;
    press(browser, "[data-test=next]", "[data-test=previous]").await;
    assert_ne!(says(browser, "[data-test=report] tbody tr").await, first);
    check(browser, "a report by hour").await;
}

async fn runs_a_campaign(browser: &Client) {
    press(browser, "[data-test=nav-campaigns]", "[data-test=campaigns]").await;
    press(browser, "[data-test=campaign] a", "[data-test=campaign-name]").await;
    press(browser, "[data-test=pause]", "[data-test=resume]").await;
    check(browser, "a campaign that is paused").await;
    press(browser, "[data-test=resume]", "[data-test=pause]").await;

    press(browser, "[data-test=edit] > summary", "[data-test=edit][open]").await;
    check(browser, "the form of a campaign").await;
    write(browser, "#daily_cap", "many").await;
    press(browser, "[data-test=save]", "[data-test=wrong-daily_cap]").await;
    is_refused(browser, 400).await;
    assert_eq!(one(browser, "#daily_cap").await.prop("value").await.unwrap().unwrap(), "many");
    check(browser, "a form of a campaign that is refused").await;
    write(browser, "#daily_cap", "1,000").await;
    write(browser, "#attribution_window_seconds", "36 hours").await;
    choose(browser, "#while_paused", "nothing").await;
    press(browser, "[data-test=save]", "[data-test=edit]:not([open])").await;
    let rules = says(browser, "[data-test=rules]").await;
    for rule in ["1,000 conversions a day", "36 hours after the click", "No conversion is taken"] {
        assert!(rules.contains(rule), "{rules}");
    }

    press(browser, "[data-test=issue] button", "[data-test=new-key]").await;
    let key = says(browser, "#new-key").await;
    assert!(key.len() > 20, "{key}");
    check(browser, "a new key").await;
    press(browser, "[data-test=new-key] .paging a", "[data-test=campaign-name]").await;
    assert!(!browser.source().await.unwrap().contains(&key), "it is shown once");
}

async fn explains_a_postback(browser: &Client) {
    press(browser, "[data-test=nav-postbacks]", "[data-test=postbacks]").await;
    check(browser, "postback log").await;
    is_on_the_first_screen_of_a_phone(browser, "[data-test=postback]", "postback log").await;
    press(browser, "[data-test=nav-explain]", "[data-test=explain-form]").await;
    write(browser, "#call", "affiliate_id=1&click_id=unknown&amount=1&currency=USD").await;
    press(browser, "[data-test=explain-form] .button.main", "[data-test=rules]").await;
    assert!(says(browser, "[data-test=rule-click]").await.contains("Failed"));
    check(browser, "an explanation").await;
}

async fn builds_a_link(browser: &Client) {
    press(browser, ".pages a[href$='dashboard/link']", "[data-test=link-form]").await;
    press(browser, "[data-test=link-form] .button.main", "[data-test=tracking-link]").await;
    check(browser, "a link").await;
    press(browser, "[data-test=test-click]", "[data-test=tested]").await;
    check(browser, "a test click").await;
}

async fn imports(browser: &Client, server: &Server) {
    let mut file = "affiliate_id,click_id,amount,currency\n".to_owned();
    for number in 0..40 {
        let click = format!("/click?affiliate_id=1&campaign_id=10&click_id=imported-{number}");
        assert_eq!(server.get(&click).status(), 200);
        writeln!(file, "1,imported-{number},10.50,USD").unwrap();
    }
    file.push_str("1,of-nobody,1,USD\n");
    press(browser, "[data-test=nav-import]", "[data-test=file-form]:not([hidden])").await;
    check(browser, "import").await;

    write(browser, "#text", &file.lines().take(3).collect::<Vec<_>>().join("\n")).await;
    press(browser, "[data-test=paste-form] button", "[data-test=result]").await;
    assert_eq!(all(browser, "[data-test=lines] [data-test=line]").await.len(), 2);
    assert_eq!(says(browser, "[data-test=counts]").await, "✓ accepted 2");
    check(browser, "what was imported").await;

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("late.csv");
    std::fs::write(&path, &file).unwrap();
    one(browser, "#file").await.send_keys(path.to_str().unwrap()).await.unwrap();
    press(browser, "[data-test=file-form] button", "[data-test=file-result] #file-result[href]").await;
    assert_eq!(says(browser, "#progress-words").await, "Done: 41 lines");
    assert_eq!(all(browser, "[data-test=file-lines] [data-test=line]").await.len(), 41);
    let counts = says(browser, "[data-test=file-counts]").await;
    for told in ["accepted 38", "duplicate 2", "unknown_click 1"] {
        assert!(counts.contains(told), "{counts}");
    }
    check(browser, "a file that was imported").await;
}

async fn shares(browser: &Client, server: &Server) {
    browser.goto(&format!("{}/dashboard?affiliate_id=1", server.url)).await.unwrap();
    choose(browser, "#lifetime", "30").await;
    press(browser, "[data-test=share] button", "[data-test=share-link]").await;
    let link = says(browser, "[data-test=share-link]").await;
    assert!(link.starts_with(&format!("{}/dashboard/share?token=afpass_", server.url)), "{link}");
    check(browser, "a share link").await;
    assert_eq!(server.get(link.strip_prefix(&server.url).unwrap()).status(), 303);

    press(browser, "[data-test=shared] a.button", "[data-test=affiliate-name]").await;
    assert!(!browser.source().await.unwrap().contains("afpass_"), "it is shown once");
    one(browser, "[data-test=revoke-shares]").await.click().await.unwrap();
    press(browser, "[data-test=revoke-shares-for-good]", "#share time").await;
    assert_eq!(server.get(link.strip_prefix(&server.url).unwrap()).status(), 403);
}
