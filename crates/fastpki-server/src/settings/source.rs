//! Where settings come from: the environment over `.env`.

use zeroize::Zeroizing;

use super::dotenv::{self, Dotenv};

/// A named value; a name that stands in `.env` without `=` has none.
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) value: Option<Zeroizing<String>>,
}

/// The environment and the variables of `.env`.
pub(super) struct Source {
    environment: Vec<Variable>,
    file: Dotenv,
}

impl Source {
    pub(super) fn new(environment: impl Iterator<Item = (String, String)>, dotenv: Option<&str>) -> Self {
        let environment: Vec<Variable> =
            environment.map(|(name, value)| Variable { name, value: Some(Zeroizing::new(value)) }).collect();
        let file = dotenv::read(dotenv.unwrap_or_default(), &environment);
        Self { environment, file }
    }

    /// Value of a setting, whatever the case of its name; the name as written here wins over others.
    pub(super) fn get(&self, setting: &str) -> Option<&str> {
        in_any_case(&self.environment, setting).or_else(|| in_any_case(&self.file.variables, setting))
    }

    /// A variable of the environment alone, by its exact name.
    pub(super) fn environment(&self, name: &str) -> Option<&str> {
        find(&self.environment, |candidate| candidate == name)?
    }

    /// Numbers, from 1, of the lines of `.env` that could not be read.
    pub(super) fn malformed_lines(&self) -> impl Iterator<Item = usize> {
        self.file.malformed_lines.iter().copied()
    }
}

fn in_any_case<'a>(variables: &'a [Variable], setting: &str) -> Option<&'a str> {
    find(variables, |name| name == setting)
        .or_else(|| find(variables, |name| name.eq_ignore_ascii_case(setting)))?
}

/// Value of the last variable whose name is wanted; the inner `None` is a name without a value.
pub(super) fn find(variables: &[Variable], wanted: impl Fn(&str) -> bool) -> Option<Option<&str>> {
    let found = variables.iter().rev().find(|variable| wanted(&variable.name))?;
    Some(found.value.as_ref().map(|value| value.as_str()))
}
