use std::borrow::Cow;
use std::str::FromStr;

use http::request::Parts;
use tracking_core::{ParameterError, ParameterProblem, ParseError};

use crate::endpoint::Match;

/// Where a request stands: the mount point, and the path below it.
#[derive(Debug)]
pub(crate) struct Location<'a> {
    /// The path of the mount point, without a slash at its end; empty at the root.
    pub(crate) mount: &'a str,
    /// The path below the mount point, without slashes at its ends.
    path: &'a str,
    /// The relative path from here to the mount point. Links that start with it are right under every mount point,
    /// and behind a proxy that strips or adds a prefix.
    pub(crate) root: Cow<'static, str>,
}

impl<'a> Location<'a> {
    pub(crate) fn new(matched: Match, request: &'a Parts) -> Self {
        let whole = request.uri.path();
        let (mount, below) = whole.split_at_checked(whole.len().saturating_sub(matched.below)).unwrap_or(("", whole));
        let path = below.strip_prefix('/').unwrap_or(below);
        let depth = path.bytes().filter(|byte| *byte == b'/').count();
        let root = if depth == 0 { "./".into() } else { "../".repeat(depth).into() };
        let path = path.strip_suffix('/').unwrap_or(path);
        Self { mount, path, root }
    }

    pub(crate) fn last_segment(&self) -> &'a str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// A part of the path between slashes, by its place.
    pub(crate) fn segment(&self, index: usize) -> &'a str {
        self.path.split('/').nth(index).unwrap_or_default()
    }

    /// The id in a path such as `affiliates/1/clicks`, or in that of a page such as `dashboard/conversions/42`.
    pub(crate) fn id<T>(&self, name: &'static str) -> Result<T, ParameterError>
    where
        T: FromStr<Err = ParseError>,
    {
        let index = if self.segment(0) == "dashboard" { 2 } else { 1 };
        let id = self.segment(index).parse();
        id.map_err(|error| ParameterError { name, problem: ParameterProblem::Invalid(error) })
    }
}
