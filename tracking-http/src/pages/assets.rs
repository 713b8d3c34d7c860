//! Style sheet, script and icon, under names that change with their content.

use std::sync::LazyLock;

use sha2::{Digest, Sha256};

/// A file that pages link to. What its name stands for never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asset {
    pub(crate) content_type: &'static str,
    pub(crate) bytes: &'static [u8],
}

/// The asset with this file name, hash included: only what the pages of this build link to.
pub(crate) fn asset(name: &str) -> Option<Asset> {
    [&STYLESHEET, &SCRIPT, &IMPORT_SCRIPT, &ICON].into_iter().find(|named| named.name == name).map(|named| named.asset)
}

/// The file name of the style sheet.
pub(super) fn stylesheet() -> &'static str {
    &STYLESHEET.name
}

/// The file name of the script.
pub(super) fn script() -> &'static str {
    &SCRIPT.name
}

/// The file name of the script of the page that imports.
pub(super) fn import_script() -> &'static str {
    &IMPORT_SCRIPT.name
}

/// The file name of the icon.
pub(super) fn icon() -> &'static str {
    &ICON.name
}

static STYLESHEET: LazyLock<Named> =
    LazyLock::new(|| Named::new("app", "css", "text/css; charset=utf-8", include_bytes!("../../assets/app.css")));
static SCRIPT: LazyLock<Named> =
    LazyLock::new(|| Named::new("app", "js", "text/javascript; charset=utf-8", include_bytes!("../../assets/app.js")));
static IMPORT_SCRIPT: LazyLock<Named> = LazyLock::new(|| {
    Named::new("import", "js", "text/javascript; charset=utf-8", include_bytes!("../../assets/import.js"))
});
static ICON: LazyLock<Named> =
    LazyLock::new(|| Named::new("icon", "svg", "image/svg+xml", include_bytes!("../../assets/icon.svg")));

struct Named {
    name: String,
    asset: Asset,
}

impl Named {
    fn new(stem: &str, extension: &str, content_type: &'static str, bytes: &'static [u8]) -> Self {
        // 64 bits tell one build from the next; nobody is kept out by them.
        let hash: String = Sha256::digest(bytes).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Self { name: format!("{stem}-{hash}.{extension}"), asset: Asset { content_type, bytes } }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]
mod tests {
    use super::*;

    #[test]
    fn an_asset_is_known_by_its_hashed_name_alone() {
        let css = asset(stylesheet()).unwrap();
        assert_eq!(css.content_type, "text/css; charset=utf-8");
        assert_eq!(css.bytes, include_bytes!("../../assets/app.css"));
        assert!([script(), import_script(), icon()].into_iter().all(|name| asset(name).is_some()));
        for name in ["", "app.css", "app-0000000000000000.css", "../app.css"] {
            assert_eq!(asset(name), None, "{name}");
        }
    }
}
