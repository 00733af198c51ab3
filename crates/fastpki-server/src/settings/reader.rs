//! The reader: takes settings one by one and gathers what is wrong with them.

use super::Problem;
use super::source::Source;

/// Reads settings from a source; a bad one becomes a problem, not the end.
pub(super) struct Reader<'a> {
    source: &'a Source,
    problems: Vec<Problem>,
    notes: Vec<String>,
}

/// What is wrong with a value and how to mend it, both without the value.
pub(super) struct Fault {
    wrong: String,
    mend: String,
}

impl<'a> Reader<'a> {
    pub(super) fn new(source: &'a Source) -> Self {
        let notes = source.malformed_lines().map(|line| {
            format!(
                ".env, line {line}: neither NAME=value nor a comment, or a quote that is not closed; skipped"
            )
        });
        Self { source, problems: Vec::new(), notes: notes.collect() }
    }

    /// The setting, or `default` where it is not set; a bad value is a problem and yields `default` too.
    pub(super) fn or<T>(
        &mut self,
        setting: &'static str,
        default: T,
        parse: impl FnOnce(&str) -> Result<T, Fault>,
    ) -> T {
        let Some(text) = self.source.get(setting) else { return default };
        parse(text).unwrap_or_else(|fault| {
            self.problem(setting, fault.or_empty(text));
            default
        })
    }

    /// The setting where it is set to something; empty and blank count as not set.
    pub(super) fn optional<T>(
        &mut self,
        setting: &'static str,
        parse: impl FnOnce(&str) -> Result<T, Fault>,
    ) -> Option<T> {
        let text = self.source.get(setting).filter(|text| !text.trim().is_empty())?;
        parse(text).map_err(|fault| self.problem(setting, fault)).ok()
    }

    /// The setting as it stands.
    pub(super) fn text(&self, setting: &str) -> Option<&'a str> {
        self.source.get(setting)
    }

    /// A variable of the process's own environment, `.env` left aside.
    pub(super) fn environment(&self, name: &str) -> Option<&'a str> {
        self.source.environment(name)
    }

    pub(super) fn problem(&mut self, setting: &'static str, fault: Fault) {
        self.problems.push(fault.of(setting));
    }

    pub(super) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// The notes, where there are no problems.
    pub(super) fn finish(self) -> Result<Vec<String>, Vec<Problem>> {
        if self.problems.is_empty() { Ok(self.notes) } else { Err(self.problems) }
    }
}

impl Fault {
    pub(super) fn new(wrong: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { wrong: wrong.into(), mend: mend.into() }
    }

    pub(super) fn of(self, setting: &'static str) -> Problem {
        Problem { setting, message: format!("{}; {}", self.wrong, self.mend) }
    }

    fn or_empty(self, text: &str) -> Self {
        if !text.trim().is_empty() {
            return self;
        }
        Self { wrong: "set but empty".into(), mend: format!("{}, or remove the setting", self.mend) }
    }
}
