use crate::support::{Server, TOKEN, on_each_framework};

on_each_framework!(counters_move, the_token_guards_the_metrics);

fn counters_move(framework: &str) {
    let server = Server::start(framework);
    let metrics = || server.get("/metrics");
    let clicks = r#"tracking_clicks_total{result="new"}"#;
    let requests = r#"tracking_http_requests_total{endpoint="click",status="2xx"}"#;
    let fastest = r#"tracking_http_request_duration_seconds_bucket{endpoint="click",le="+Inf"}"#;
    assert_eq!(value(metrics().text(), clicks), Some("0"));

    for click_id in ["a", "b", "b"] {
        server.get(&format!("/click?affiliate_id=1&campaign_id=10&click_id={click_id}"));
    }
    server.get("/postback?affiliate_id=1&click_id=unknown&amount=1&currency=USD");

    let metrics = metrics();
    assert_eq!(metrics.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    assert_eq!(value(metrics.text(), clicks), Some("2"));
    assert_eq!(value(metrics.text(), requests), Some("3"));
    assert_eq!(value(metrics.text(), fastest), Some("3"));
    assert_eq!(value(metrics.text(), r#"tracking_postbacks_total{outcome="unknown_click"}"#), Some("1"));
}

fn the_token_guards_the_metrics(framework: &str) {
    let server = Server::start_with(framework, &[("TRACKING_ADMIN_TOKEN", TOKEN)]);
    for wrong in [None, Some("wrong-horse-battery-staple")] {
        let refused = server.get_with("/metrics", wrong);
        assert_eq!(refused.status(), 401);
        assert!(refused.header("www-authenticate").starts_with("Basic "));
        assert!(!refused.text().contains("tracking_clicks_total"));
    }
    assert_eq!(server.get_with("/metrics", Some(TOKEN)).status(), 200);
    // Whoever tries many is kept waiting, whether one more is right or not.
    for _ in 1..10 {
        assert_eq!(server.get_with("/metrics", Some("wrong-horse-battery-staple")).status(), 401);
    }
    let waiting = server.get_with("/metrics", Some(TOKEN));
    assert_eq!(waiting.status(), 429);
    assert!(waiting.text().contains("too_many_logins") && !waiting.header("retry-after").is_empty());
}

fn value<'a>(metrics: &'a str, name: &str) -> Option<&'a str> {
    metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
}
