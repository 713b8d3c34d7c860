//! The page that asks for a token, and what pages show to somebody who is logged in.

use askama::Template;
use tracking_core::Holder;

use super::assets;
use crate::refusal::Refusal;

/// The page on which somebody logs in.
#[derive(Debug, Template)]
#[template(path = "login.html", whitespace = "minimize")]
pub(crate) struct LogInPage<'a> {
    /// The relative path from the page to the mount point, with a slash at its end.
    pub(crate) root: &'a str,
    /// The place below the mount point to go on to; empty for the dashboard.
    pub(crate) next: &'a str,
    /// Why the last try has failed.
    pub(crate) refusal: Option<&'a Refusal>,
}

impl LogInPage<'_> {
    /// The HTML document.
    pub(crate) fn render(&self) -> Result<String, askama::Error> {
        Template::render(self)
    }
}

/// Where the layout has place for [`session_part`]. Texts of others can't look like it, because they are escaped.
pub(crate) const SESSION_PLACE: &str = "<!--session-->";

/// Who is logged in, and the way to log out.
pub(crate) fn session_part(holder: Holder, root: &str) -> String {
    let who = match holder {
        Holder::Admin => String::new(),
        Holder::ReadOnly => r#"<span class="flag" data-test="read-only">read-only</span> "#.to_owned(),
        Holder::Affiliate(id) => format!(r#"<span class="id" data-test="session-of">Affiliate {id}</span> "#),
    };
    format!(
        r#"<form class="session" method="post" action="{root}dashboard/logout">{who}<button class="button small" data-test="log-out">Log out</button></form>"#
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]
mod tests {
    use super::*;
    use crate::pages::ProblemPage;

    #[test]
    fn every_page_has_a_place_for_the_session() {
        let hostile = "<!--session-->";
        let html = ProblemPage { root: "../", status: 404, title: hostile, message: hostile }.render().unwrap();
        assert_eq!(html.matches(SESSION_PLACE).count(), 1, "{html}");
    }

    #[test]
    fn what_comes_next_is_escaped() {
        let html = LogInPage { root: "../", next: "\"><script>", refusal: None }.render().unwrap();
        assert!(!html.contains("\"><script>"), "{html}");
    }
}
