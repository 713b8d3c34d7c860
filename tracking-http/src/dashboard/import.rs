//! The page that imports conversions.

use http::Response;
use tracking_core::Parameters;

use super::{Desk, rendered};
use crate::import::{self, Done, Turns};
use crate::pages::{ImportPage, Wrong};
use crate::refusal::Refusal;
use crate::{Body, answer};

/// The form.
pub(crate) fn show(desk: Desk<'_>) -> Result<Response<Body>, Refusal> {
    page(desk, "", None, None)
}

/// What has become of each line that was pasted. What is no such file comes back.
pub(crate) async fn run(desk: Desk<'_>, turns: &Turns, form: &Parameters<'_>) -> Result<Response<Body>, Refusal> {
    let text = form.text("file")?.unwrap_or_default();
    match import::all(desk.tracker, turns, text).await {
        Ok(done) => page(desk, "", Some(&done), None),
        Err(refusal) => page(desk, text, None, Some(&refusal.parameter("file"))),
    }
}

fn page(
    desk: Desk<'_>,
    text: &str,
    done: Option<&[Done]>,
    refusal: Option<&Refusal>,
) -> Result<Response<Body>, Refusal> {
    let page =
        ImportPage { root: &desk.at.root, viewer: desk.viewer, text, wrong: Wrong::new(refusal, &["file"]), done };
    Ok(answer::page(rendered(page.render())?, refusal))
}
