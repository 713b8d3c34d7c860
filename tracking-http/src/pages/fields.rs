use crate::refusal::Refusal;

/// What is wrong with a form, to be told beside the field that it is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wrong<'a> {
    refusal: Option<&'a Refusal>,
    /// The names of those that are there.
    fields: &'static [&'static str],
}

impl<'a> Wrong<'a> {
    /// What is wrong, if something is, with a form of these fields.
    pub(crate) const fn new(refusal: Option<&'a Refusal>, fields: &'static [&'static str]) -> Self {
        Self { refusal, fields }
    }

    /// What is wrong with the field with this name.
    pub(super) fn about(self, name: &str) -> Option<&'a str> {
        self.refusal.filter(|refusal| refusal.parameter == Some(name)).map(|refusal| &*refusal.message)
    }

    /// The field with which something is wrong.
    pub(super) fn field(self) -> Option<&'static str> {
        self.refusal.and_then(|refusal| refusal.parameter).filter(|name| self.fields.contains(name))
    }

    /// What is wrong beyond the fields.
    pub(super) fn beyond(self) -> Option<&'a str> {
        self.refusal.filter(|_| self.field().is_none()).map(|refusal| &*refusal.message)
    }
}
