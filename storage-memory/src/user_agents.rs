use std::collections::HashSet;

use tracking_core::UserAgent;

/// Texts that many clicks have in common, and that are longer than all else that is known of them.
#[derive(Default)]
pub(crate) struct UserAgents(HashSet<UserAgent>);

impl UserAgents {
    /// How many are known. All are forgotten beyond that, and the next clicks share anew.
    const CAPACITY: usize = 10_000;

    /// The same text, shared with the clicks before that have it.
    pub(crate) fn share(&mut self, text: UserAgent) -> UserAgent {
        if let Some(known) = self.0.get(&text) {
            return known.clone();
        }
        if self.0.len() >= Self::CAPACITY {
            self.0.clear();
        }
        self.0.insert(text.clone());
        text
    }
}
