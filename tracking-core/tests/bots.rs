//! The verdict by user agent, against public lists of user agents; `user_agents/README.md` says where they come from.

#![allow(clippy::print_stdout, reason = "the rates are what one wants to know")]

use std::collections::HashSet;

use proptest::prelude::*;
use proptest::sample::select;
use tracking_core::{BotReason, Problem};

/// How many of a list are flagged as crawlers, from 0 to 1.
fn share(list: &str, text: &str) -> f64 {
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), lines.iter().collect::<HashSet<_>>().len(), "{list} has a line twice");
    let flagged: u32 = lines.iter().map(|line| u32::from(verdict(line) == Some(BotReason::Crawler))).sum();
    let all: u32 = lines.iter().map(|_| 1).sum();
    let share = f64::from(flagged) / f64::from(all);
    println!("{list}: {flagged} of {all} flagged, {:.3} %", 100.0 * share);
    share
}

fn verdict(user_agent: &str) -> Option<BotReason> {
    BotReason::of_user_agent(Some(user_agent))
}

#[test]
fn crawlers_are_flagged() {
    for (list, text) in [
        ("crawlers", include_str!("user_agents/crawlers.txt")),
        ("crawlers, second list", include_str!("user_agents/crawlers_second.txt")),
    ] {
        assert!(share(list, text) >= 0.99, "{list}");
    }
}

#[test]
fn people_are_not_flagged() {
    for (list, text) in [
        ("browsers", include_str!("user_agents/browsers.txt")),
        ("browsers, second list", include_str!("user_agents/browsers_second.txt")),
        ("in-app browsers", include_str!("user_agents/in_app.txt")),
    ] {
        assert!(share(list, text) <= 0.001, "{list}");
    }
}

/// One header of each kind, written by the form that the app has today: the lists have few of some.
#[test]
fn in_app_browsers_are_people() {
    const IOS: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)";
    const ANDROID: &str = "Mozilla/5.0 (Linux; Android 15; SM-S921B Build/AP3A.240905.015.A2; wv) \
        AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/140.0.7339.51 Mobile Safari/537.36";
    for (platform, app) in [
        (
            IOS,
            "Mobile/22G86 [FBAN/FBIOS;FBAV/528.0.0.42.72;FBBV/1;FBDV/iPhone15,2;FBSN/iOS;FBSV/18.6;FBLC/en_GB;FBOP/80]",
        ),
        (ANDROID, "[FB_IAB/FB4A;FBAV/528.0.0.42.72;IABMV/1;]"),
        (ANDROID, "[FB_IAB/Orca-Android;FBAV/482.0.0.71.108;]"),
        (IOS, "Mobile/22G86 Instagram 398.0.0.24.76 (iPhone15,2; iOS 18_6; en_GB; en-GB; scale=3.00; 1179x2556; 781)"),
        (ANDROID, "Instagram 398.0.0.44.77 Android (35/15; 480dpi; 1080x2131; samsung; SM-S921B; e1s; s5e9945; de_DE)"),
        (
            IOS,
            "Mobile/22G86 musical_ly_41.2.0 JsSdk/2.0 NetType/WIFI Channel/App Store ByteLocale/en BytedanceWebview/d8a21c6",
        ),
        (
            ANDROID,
            "trill_410203 BytedanceWebview/d8a21c6 JsSdk/1.0 NetType/4G Channel/googleplay AppName/trill app_version/41.2.3",
        ),
        (IOS, "Mobile/22G86 Snapchat/13.56.0.41 (like Safari/8621.3.11.10.3, panda)"),
        (ANDROID, "Snapchat/13.56.0.41 (SM-S921B; Android 15#S921BXXS7; 35)"),
        (IOS, "Mobile/22G86 [Pinterest/iOS]"),
        (ANDROID, "[Pinterest/Android]"),
        (IOS, "Mobile/22G86 [LinkedInApp]/9.31.2540"),
        (IOS, "Mobile/22G86 MicroMessenger/8.0.62(0x18003e2f) NetType/WIFI Language/en"),
        (
            ANDROID,
            "XWEB/1380215 MMWEBSDK/20250503 MMWEBID/1 MicroMessenger/8.0.62.2900(0x28003E3B) WeChat/arm64 Weixin Process/toolsmp",
        ),
        (IOS, "Mobile/22G86 Safari Line/15.13.0"),
        (ANDROID, "Line/15.13.0/IAB"),
        (IOS, "GSA/381.0.798261210 Mobile/15E148 Safari/604.1"),
        (ANDROID, "GSA/16.33.21.sa.arm64"),
        (IOS, "Mobile/22G86 Twitter for iPhone/11.18"),
        (ANDROID, "TwitterAndroid"),
        (IOS, "Mobile/22G86 KAKAOTALK/25.7.1 (INAPP)"),
        (ANDROID, "NAVER(inapp; search; 2000; 12.13.3)"),
        (IOS, "Version/18.6 Mobile/15E148 DuckDuckGo/7 Safari/605.1.15"),
        (ANDROID, "DuckDuckGo/5"),
        (IOS, "Version/18.6 YaBrowser/25.8.0.2124.10 SA/3 Mobile/15E148 Safari/604.1"),
        (ANDROID, "YandexSearch/25.82 YandexSearchBrowser/25.82"),
        (ANDROID, "T7/15.32 SP-engine/3.53.0 baiduboxapp/15.32.0.10 (Baidu; P1 15) NABar/1.0"),
        (ANDROID, "SamsungBrowser/28.0"),
        (ANDROID, "UCBrowser/13.9.2.1318"),
        (IOS, "Mobile/22G86 Reddit/Version 2025.33.0/Build 614982/iOS Version 18.6"),
        (ANDROID, "Viber/26.4.2.0"),
        (ANDROID, "Telegram-Android/11.13.2 (Samsung SM-S921B; Android 15; SDK 35; HIGH)"),
    ] {
        let header = format!("{platform} {app}");
        assert_eq!(verdict(&header), None, "{header}");
    }
    assert_eq!(
        verdict("Opera/9.80 (Android; Opera Mini/36.2.2254/191.308; U; en) Presto/2.12.423 Version/12.16"),
        None
    );
    assert_eq!(verdict("Mozilla/5.0 (Linux; Android 14; CUBOT KINGKONG 9) AppleWebKit/537.36 Safari/537.36"), None);
}

#[test]
fn link_previews_and_tools_are_crawlers() {
    for header in [
        "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
        "meta-externalagent/1.1 (+https://developers.facebook.com/docs/sharing/webmasters/crawler)",
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko; compatible; Googlebot/2.1; +http://www.google.com/bot.html) Chrome/141.0.0.0 Safari/537.36",
        "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
        "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/140.0.0.0 Safari/537.36",
        "WhatsApp/2.25.20.76 A",
        "TelegramBot (like TwitterBot)",
        "Twitterbot/1.0",
        "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
        "LinkedInBot/1.0 (compatible; Mozilla/5.0; Apache-HttpClient +http://www.linkedin.com)",
        "Pinterest/0.2 (+http://www.pinterest.com/bot.html)",
        "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)",
        "curl/8.14.1",
        "Wget/1.25.0",
        "python-requests/2.32.4",
        "Go-http-client/2.0",
        "okhttp/5.1.0",
        "axios/1.11.0",
        "Apache-HttpClient/5.5 (Java/21.0.8)",
        "Java/21.0.8",
        "PostmanRuntime/7.45.0",
        "Dart/3.9 (dart:io)",
        "ureq/3.1.0",
        "kube-probe/1.33",
        "Amazon CloudFront",
        "Mozilla/5.0 (compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)",
        "Pingdom.com_bot_version_1.4_(http://www.pingdom.com/)",
        "Microsoft Office/16.0 (Microsoft Outlook 16.0.18925; Pro)",
    ] {
        assert_eq!(verdict(header), Some(BotReason::Crawler), "{header}");
    }
}

#[test]
fn without_a_user_agent() {
    for header in [None, Some(""), Some(" "), Some(" \t ")] {
        assert_eq!(BotReason::of_user_agent(header), Some(BotReason::NoUserAgent), "{header:?}");
    }
}

#[test]
fn only_the_first_512_bytes_are_looked_at() {
    let browser = format!("Mozilla/5.0 (X11; Linux x86_64) {}", "é ".repeat(200));
    assert!(browser.len() > 512);
    assert_eq!(verdict(&browser), None);
    assert_eq!(verdict(&format!("{browser} Googlebot/2.1")), None);
    assert_eq!(verdict(&format!("Googlebot/2.1 {browser}")), Some(BotReason::Crawler));
}

#[test]
fn codes() {
    let codes: Vec<_> = BotReason::ALL.iter().map(|reason| reason.code()).collect();
    assert_eq!(codes, ["crawler", "no_user_agent", "prefetch", "test"]);
    for &reason in BotReason::ALL {
        assert_eq!(reason.code().parse(), Ok(reason));
        assert_eq!(reason.to_string(), reason.code());
        assert_eq!(serde_json::to_value(reason).unwrap(), reason.code());
    }
    let error = "Crawler".parse::<BotReason>().unwrap_err();
    assert!(matches!(error.problem(), Problem::Form { .. }));
    assert_eq!(error.to_string(), "a bot reason must be crawler, no_user_agent, prefetch or test");
}

proptest! {
    #[test]
    fn anything_gets_a_verdict(
        start in select(vec!["", "Mozilla/5.0 ", "Mozilla/5.0 (compatible; MSIE", "Android 5; bot"]),
        text in prop_oneof![any::<String>(), "[ -~]{0,700}", "\\PC{0,300}", "[\\s\\x00-\\x1f]{0,20}"],
    ) {
        let header = format!("{start}{text}");
        let found = verdict(&header);
        prop_assert!(matches!(found, None | Some(BotReason::Crawler | BotReason::NoUserAgent)));
        let blank = header.bytes().take(512).all(|byte| byte.is_ascii_whitespace());
        prop_assert_eq!(found == Some(BotReason::NoUserAgent), blank);
    }

    #[test]
    fn only_codes_are_codes(text in "[a-z_]{0,14}") {
        let known = BotReason::ALL.iter().any(|reason| reason.code() == text);
        prop_assert_eq!(text.parse::<BotReason>().is_ok(), known);
    }
}
