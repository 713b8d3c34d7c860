use askama::Template;

use super::assets;

/// What this tracker is set to.
#[derive(Debug, Template)]
#[template(path = "settings.html", whitespace = "minimize")]
pub(crate) struct SettingsPage<'a> {
    /// The relative path from the page to the mount point, with a slash at its end. Every link starts so.
    pub(crate) root: &'a str,
    /// Its settings, by what they are about.
    pub(crate) groups: Vec<(&'static str, Vec<Setting>)>,
}

/// A setting.
#[derive(Debug)]
pub(crate) struct Setting {
    pub(crate) name: &'static str,
    pub(crate) says: Says,
}

/// What a setting is.
#[derive(Debug)]
pub(crate) enum Says {
    /// In words.
    Words(String),
    /// What can be copied.
    Code(String),
}

impl Setting {
    pub(crate) fn words(name: &'static str, words: impl Into<String>) -> Self {
        Self { name, says: Says::Words(words.into()) }
    }

    pub(crate) fn code(name: &'static str, code: impl Into<String>) -> Self {
        Self { name, says: Says::Code(code.into()) }
    }
}

impl SettingsPage<'_> {
    /// The HTML document.
    pub(crate) fn render(&self) -> Result<String, askama::Error> {
        Template::render(self)
    }
}
