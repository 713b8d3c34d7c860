//! Whether a click is a person's.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use regex::bytes::{Regex, RegexBuilder};
use serde::{Serialize, Serializer};

use crate::{ParseError, Problem};

/// Why a click is not taken for a person's. Such a click is recorded like any other, and reports count it apart.
///
/// On the wire and in a store it is its [`code`](Self::code).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BotReason {
    /// The user agent is a program that no person looks through: a crawler, a link preview, a monitor, an HTTP library
    /// or tool, a headless browser.
    Crawler,
    /// No user agent was sent, or an empty one.
    NoUserAgent,
    /// A browser fetched the link in advance; nobody may ever follow it.
    Prefetch,
    /// Somebody tried the link out while making it.
    Test,
}

impl BotReason {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Crawler, Self::NoUserAgent, Self::Prefetch, Self::Test];

    /// A stable name for machines.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Crawler => "crawler",
            Self::NoUserAgent => "no_user_agent",
            Self::Prefetch => "prefetch",
            Self::Test => "test",
        }
    }

    /// The verdict on the value of a `User-Agent` header; `None` takes it for a person's. An empty or blank value counts
    /// as none. Only the first 512 bytes are looked at.
    ///
    /// It can only be [`Crawler`](Self::Crawler) or [`NoUserAgent`](Self::NoUserAgent). Crawlers are told by the patterns
    /// of [isbot](https://www.npmjs.com/package/isbot) and a few of our own; a program that sends the header of a browser
    /// can't be told by it.
    ///
    /// ```
    /// use tracking_core::BotReason;
    ///
    /// assert_eq!(BotReason::of_user_agent(Some("curl/8.14.1")), Some(BotReason::Crawler));
    /// assert_eq!(BotReason::of_user_agent(Some(" ")), Some(BotReason::NoUserAgent));
    /// let firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0";
    /// assert_eq!(BotReason::of_user_agent(Some(firefox)), None);
    /// ```
    #[must_use]
    pub fn of_user_agent(user_agent: Option<&str>) -> Option<Self> {
        let bytes = user_agent.unwrap_or_default().as_bytes();
        let bytes = bytes[..bytes.len().min(LIMIT)].trim_ascii();
        if bytes.is_empty() {
            Some(Self::NoUserAgent)
        } else if is_crawler(bytes) {
            Some(Self::Crawler)
        } else {
            None
        }
    }
}

impl FromStr for BotReason {
    type Err = ParseError;

    fn from_str(code: &str) -> Result<Self, ParseError> {
        const EXPECTED: &str = "crawler, no_user_agent, prefetch or test";
        let known = Self::ALL.iter().copied().find(|reason| reason.code() == code);
        known.ok_or(ParseError::new("a bot reason", Problem::Form { expected: EXPECTED }))
    }
}

impl fmt::Display for BotReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

impl Serialize for BotReason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

/// How many bytes of a header are looked at. Those of browsers seldom have 300.
const LIMIT: usize = 512;

/// What crawlers are told by; `data/isbot/README.md` says where it comes from.
const ISBOT: &str = include_str!("../data/isbot/patterns.txt");
/// What is none of a crawler's, though one of those patterns matches it.
const ISBOT_EXCEPTIONS: &str = include_str!("../data/isbot/exceptions.txt");

/// Crawlers that isbot does not know, by what they do rather than by name where that is possible.
const CRAWLERS: &[&str] = &[
    // "(compatible; NAME": the form that crawlers have in common; the browsers that have it too are exceptions.
    r"\(compatible; ?\w",
    // Mail and office programs fetch what a link leads to before the browser opens it.
    r"microsoft (?:office|outlook)|\) (?:word|excel|powerpoint|outlook)/\d",
    // What takes pictures of pages, watches, measures or translates them.
    r"screen-?shot|screenie|web-?thumb|websnapr|wkhtmlto",
    r"\bfetch\b|extractor|preload|monitoring|uptime|\bprobe\b",
    r"debugbear|gtmetrix|\bylt\b|observatory/|miniature\.io|assetnote|\bsiege/|zombie\.js|\bcriteo\b|yandex\.translate",
];

/// What people's browsers have in common with crawlers.
const EXCEPTIONS: &[&str] = &[
    // An Android device may be called anything: "M bot 51", "GM Discovery II", "Spider 8". 1024x720 is a display.
    r"android [\d.]+; (?:[a-z]{2}[-_][a-z]{2}; )?[^;()]+|\b\d+x\d+\b",
    // Browsers that call themselves compatible, and platforms where their name could stand.
    r"\(compatible; ?(?:msie|konqueror|icab|opera|windows|linux|u;)",
    // What was installed beside Internet Explorer.
    r"chromeframe|gwx:downloaded|msn optimized|hbtools|qqdownload|http://bsalsa\.com/?",
    // Sogou, UC in its mode for slow networks, WeChat, Roblox.
    r"sogoumse|sogoumobilebrowser|sogousearch android|speedmode; proxy|process/tools|hybrid\(\)",
    // Apps that show news: Opera, Apple, UC, Toutiao, TopBuzz, BuzzFeed.
    r"opera news|applenews/|\) news/\d|ucnewsapp|newsarticle/|newsmaster/|buzzfeed/",
    // Devices and apps of Google's, and its proxy for slow networks.
    r"google (?:nexus|earth)|googletoolbar|googleplay\w*|com\.google\.[\w.]+|googleweblight|mobile safari/[\d.]+ google$",
    // A developer's extension of Firefox, phones of Samsung and Nokia, television sets.
    r"firephp/|bada/1\.0;|java_runtime_version|ce-html/1\.0;",
];

/// How headers of browsers look that begin neither with Mozilla/ nor with Opera/: phones from before smartphones, the
/// small browsers made for them, and apps on Android.
const OTHER_BROWSERS: &[&str] = &[
    r"^(?:dalvik/|ucweb|docomo/|kddi|softbank|j-phone|vodafone|nokia|samsung|blackberry|sonyericsson|lge?[-/]|sec-)",
    r"profile/midp|configuration/cldc|\bmidp\b|\bwap\b|up\.browser|obigo|netfront|\bmaui\b|\bmre/|teleca",
    r"mozilla/\d|applewebkit|ucbrowser",
];

static CRAWLER: LazyLock<Regex> = LazyLock::new(|| any_of(ISBOT.lines().chain(CRAWLERS.iter().copied())));
static EXCEPTION: LazyLock<Regex> =
    LazyLock::new(|| any_of(ISBOT_EXCEPTIONS.lines().chain(EXCEPTIONS.iter().copied())));
static OTHER_BROWSER: LazyLock<Regex> = LazyLock::new(|| any_of(OTHER_BROWSERS.iter().copied()));

fn is_crawler(user_agent: &[u8]) -> bool {
    if !has_prefix(user_agent, b"mozilla/") && !has_prefix(user_agent, b"opera/") && !OTHER_BROWSER.is_match(user_agent)
    {
        return true;
    }
    // Most are people: what is an exception is asked only where a pattern matches.
    CRAWLER.is_match(user_agent) && CRAWLER.is_match(Blanked::new(user_agent).as_bytes())
}

/// A header in which what is an exception is blanked out.
struct Blanked {
    bytes: [u8; LIMIT],
    len: usize,
}

impl Blanked {
    fn new(user_agent: &[u8]) -> Self {
        let mut bytes = [0; LIMIT];
        let len = user_agent.len();
        bytes[..len].copy_from_slice(user_agent);
        for exception in EXCEPTION.find_iter(user_agent) {
            bytes[exception.range()].fill(b'_');
        }
        Self { bytes, len }
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

fn has_prefix(text: &[u8], prefix: &[u8]) -> bool {
    text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

#[allow(clippy::expect_used, reason = "the patterns are constants, and a test compiles them")]
fn any_of<'a>(patterns: impl Iterator<Item = &'a str>) -> Regex {
    let pattern = patterns.collect::<Vec<_>>().join("|");
    RegexBuilder::new(&pattern).case_insensitive(true).unicode(false).build().expect("a regular expression")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_whole() {
        assert!(ISBOT.lines().count() > 200);
        for line in ISBOT.lines().chain(ISBOT_EXCEPTIONS.lines()) {
            assert!(!any_of([line].into_iter()).is_match(b""), "{line:?} matches nothing at all");
        }
        assert!([&CRAWLER, &EXCEPTION, &OTHER_BROWSER].iter().all(|regex| !regex.is_match(b"")));
    }

    #[test]
    fn what_is_an_exception_does_not_hide_the_rest() {
        assert!(!is_crawler(b"Mozilla/5.0 (Linux; Android 7.0; M bot 51) AppleWebKit/537.36 Safari/537.36"));
        assert!(is_crawler(b"Mozilla/5.0 (Linux; Android 7.0; M bot 51) AppleWebKit/537.36 Safari/537.36 Examplebot"));
        assert!(!is_crawler(b"Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1; GWX:DOWNLOADED)"));
        assert!(is_crawler(b"Mozilla/4.0 (compatible; Example 1.0; GWX:DOWNLOADED)"));
    }
}
