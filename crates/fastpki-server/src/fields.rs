//! Reading bodies and query strings field by field, so that an answer can name every problem at once.
//!
//! Values are taken as leniently as the old system takes them: a number or a boolean may come as its text.

use fastpki_types::{Flags, FlagsUpdate, Location, Named, SanRequest, Timestamp, ValidationProblem};
use serde_json::{Map, Value, json};

/// An object being read. What does not fit is noted; a stand-in is returned, and never used, since
/// [`Fields::finish`] fails where anything was noted.
pub(crate) struct Fields {
    place: &'static str,
    /// Where in it, while an object within is read.
    within: Vec<Location>,
    object: Map<String, Value>,
    problems: Vec<ValidationProblem>,
    /// What was read, while it is only asked what there is to read.
    described: Option<Described>,
}

/// What can be read from an object, as JSON Schema has it.
#[derive(Default)]
pub(crate) struct Described {
    pub(crate) fields: Vec<Field>,
    /// Which fields go together: one of these must hold.
    pub(crate) any_of: Vec<Value>,
}

/// A field that can be read, as JSON Schema has it.
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) schema: Value,
    pub(crate) required: bool,
}

/// What can be read from the fields of an object.
pub(crate) trait FromFields {
    fn from_fields(fields: &mut Fields) -> Self;
}

/// What a new name is taken as, or what is wrong with it.
pub(crate) type NameRule = fn(&str) -> Result<String, String>;

/// Which texts a field takes.
#[derive(Clone, Copy)]
pub(crate) struct Text {
    /// Fewest and most characters.
    length: (usize, usize),
    /// Whether it may have more than one line.
    multiline: bool,
}

impl Text {
    /// One line, not blank.
    pub(crate) const fn line(most: usize) -> Self {
        Self { length: (1, most), multiline: false }
    }

    /// Any number of lines, also none.
    pub(crate) const fn lines(most: usize) -> Self {
        Self { length: (0, most), multiline: true }
    }

    fn schema(self) -> Value {
        let mut schema = json!({ "type": "string", "maxLength": self.length.1 });
        if self.length.0 > 0 {
            schema["minLength"] = self.length.0.into();
        }
        // Control characters are refused, and so is what is nothing but blanks.
        schema["pattern"] = if self.multiline {
            r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]*$".into()
        } else {
            r"^[^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f][^\u0000-\u001f\u007f-\u009f]*$"
                .into()
        };
        schema
    }
}

impl Fields {
    /// Fields of `body` or `query`.
    pub(crate) fn new(place: &'static str, object: Map<String, Value>) -> Self {
        Self { place, within: Vec::new(), object, problems: Vec::new(), described: None }
    }

    /// What would be read of an object.
    pub(crate) fn described_by<T: FromFields>() -> Described {
        let mut fields = Self::new("body", Map::new());
        fields.described = Some(Described::default());
        T::from_fields(&mut fields);
        fields.described.unwrap_or_default()
    }

    /// Reads the whole, or lists every problem.
    pub(crate) fn finish<T: FromFields>(mut self) -> Result<T, Vec<ValidationProblem>> {
        let value = T::from_fields(&mut self);
        if self.problems.is_empty() { Ok(value) } else { Err(self.problems) }
    }

    /// A text that must be there.
    pub(crate) fn text(&mut self, name: &'static str, rule: Text) -> String {
        self.optional_text(name, rule).unwrap_or_else(|| self.missing(name))
    }

    /// A text that may be null or missing.
    pub(crate) fn optional_text(&mut self, name: &'static str, rule: Text) -> Option<String> {
        self.describe(name, || rule.schema());
        let value = self.take(name)?;
        Some(self.checked_text(&[Location::Field(name.into())], value, rule))
    }

    /// The name of something new that must be there.
    pub(crate) fn name(&mut self, name: &'static str, rule: NameRule) -> String {
        self.optional_name(name, rule).unwrap_or_else(|| self.missing(name))
    }

    /// The name of something new that may be null or missing.
    pub(crate) fn optional_name(&mut self, name: &'static str, rule: NameRule) -> Option<String> {
        let problems = self.problems.len();
        let text = self.optional_text(name, Text::line(crate::api::MAX_NAME))?;
        if self.problems.len() > problems {
            return Some(text);
        }
        let checked = rule(&text);
        if let Err(problem) = &checked {
            self.note(name, "value_error", problem.clone());
        }
        Some(checked.unwrap_or(text))
    }

    /// An enumeration's value that must be there.
    pub(crate) fn choice<T: Named>(&mut self, name: &'static str) -> T {
        match self.optional_choice(name) {
            Some(value) => value,
            None => {
                self.missing::<()>(name);
                T::ALL[0]
            }
        }
    }

    /// An enumeration's value that may be null or missing.
    pub(crate) fn optional_choice<T: Named>(&mut self, name: &'static str) -> Option<T> {
        self.describe(name, || {
            let names: Vec<&str> = T::ALL.iter().map(|value| value.name()).collect();
            json!({ "type": "string", "enum": names })
        });
        let value = self.take(name)?;
        let chosen = value.as_str().and_then(T::from_name);
        if chosen.is_none() {
            let names: Vec<String> = T::ALL.iter().map(|value| format!("'{}'", value.name())).collect();
            self.note(name, "enum", format!("should be one of {}", names.join(", ")));
        }
        Some(chosen.unwrap_or(T::ALL[0]))
    }

    /// A whole number that may be null or missing.
    pub(crate) fn optional_number(&mut self, name: &'static str, least: i64, most: i64) -> Option<i64> {
        self.describe(name, || json!({ "type": "integer", "minimum": least, "maximum": most }));
        let value = self.take(name)?;
        let Some(number) = whole_number(&value) else {
            self.note(name, "int_parsing", "should be a whole number".into());
            return None;
        };
        if number < least {
            self.note(name, "greater_than_equal", format!("should be at least {least}"));
        } else if number > most {
            self.note(name, "less_than_equal", format!("should be at most {most}"));
        }
        (least..=most).contains(&number).then_some(number)
    }

    /// An id that may be null or missing.
    pub(crate) fn optional_id<T>(&mut self, name: &'static str, make: fn(i32) -> T) -> Option<T> {
        let number = self.optional_number(name, i32::MIN.into(), i32::MAX.into())?;
        i32::try_from(number).ok().map(make)
    }

    /// An id that must be there.
    pub(crate) fn id<T>(&mut self, name: &'static str, make: fn(i32) -> T) -> T {
        let problems = self.problems.len();
        let id = self.optional_number(name, i32::MIN.into(), i32::MAX.into());
        if id.is_none() && self.problems.len() == problems {
            self.missing::<()>(name);
        }
        // The stand-in is used nowhere.
        make(id.and_then(|id| i32::try_from(id).ok()).unwrap_or_default())
    }

    /// A number of at least one that may be null or missing.
    pub(crate) fn optional_count(&mut self, name: &'static str, most: u32) -> Option<u32> {
        self.optional_number(name, 1, most.into()).and_then(|number| u32::try_from(number).ok())
    }

    /// A boolean that may be null or missing.
    pub(crate) fn optional_flag(&mut self, name: &'static str) -> Option<bool> {
        self.describe(name, || json!({ "type": "boolean" }));
        let value = self.take(name)?;
        let flag = boolean(&value);
        if flag.is_none() {
            self.note(name, "bool_parsing", "should be true or false".into());
        }
        Some(flag.unwrap_or_default())
    }

    /// A number of at least one that must be there.
    pub(crate) fn count(&mut self, name: &'static str, most: u32) -> u32 {
        let problems = self.problems.len();
        let count = self.optional_count(name, most);
        if count.is_none() && self.problems.len() == problems {
            self.missing::<()>(name);
        }
        count.unwrap_or(1)
    }

    /// A date and time that must be there.
    pub(crate) fn time(&mut self, name: &'static str) -> Timestamp {
        let problems = self.problems.len();
        let time = self.optional_time(name);
        if time.is_none() && self.problems.len() == problems {
            self.missing::<()>(name);
        }
        // The stand-in is used nowhere.
        time.unwrap_or_else(Timestamp::epoch)
    }

    /// A date and time that may be null or missing.
    pub(crate) fn optional_time(&mut self, name: &'static str) -> Option<Timestamp> {
        self.describe(name, || json!({ "type": "string", "format": "date-time", "pattern": DATE_TIME }));
        let value = self.take(name)?;
        // In a query string, an unescaped "+" of an offset arrives as a blank.
        let time =
            value.as_str().and_then(|text| text.parse().or_else(|_| text.replace(' ', "+").parse()).ok());
        if time.is_none() {
            self.note(
                name,
                "datetime_parsing",
                "should be a date and time such as 2030-01-31T12:00:00Z".into(),
            );
        }
        time
    }

    /// A list of texts that may be null or missing.
    pub(crate) fn optional_texts(
        &mut self,
        name: &'static str,
        most: usize,
        rule: Text,
    ) -> Option<Vec<String>> {
        self.describe(name, || json!({ "type": "array", "maxItems": most, "items": rule.schema() }));
        let items = self.optional_list(name, most)?;
        let mut texts = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            let place = [Location::Field(name.into()), Location::Index(index)];
            texts.push(self.checked_text(&place, item, rule));
        }
        Some(texts)
    }

    /// The alternative names of a request.
    pub(crate) fn sans(&mut self) -> SanRequest {
        SanRequest {
            san_dns_names: self.optional_texts("san_dns_names", MAX_SANS, Text::line(MAX_SAN)),
            san_ip_addresses: self.optional_texts("san_ip_addresses", MAX_SANS, Text::line(MAX_SAN)),
            san_email_addresses: self.optional_texts("san_email_addresses", MAX_SANS, Text::line(MAX_SAN)),
        }
    }

    /// Capability flags to be changed.
    pub(crate) fn flags_update(&mut self) -> FlagsUpdate {
        FlagsUpdate {
            can_create_ca: self.optional_flag("can_create_ca"),
            can_create_cert: self.optional_flag("can_create_cert"),
            can_revoke_cert: self.optional_flag("can_revoke_cert"),
            can_export_private_key: self.optional_flag("can_export_private_key"),
            can_delete_ca: self.optional_flag("can_delete_ca"),
        }
    }

    /// A list of an enumeration's values that may be null or missing.
    pub(crate) fn optional_choices<T: Named>(&mut self, name: &'static str) -> Option<Vec<T>> {
        self.describe(name, || {
            let names: Vec<&str> = T::ALL.iter().map(|value| value.name()).collect();
            json!({ "type": "array", "maxItems": MAX_CHOICES, "items": { "type": "string", "enum": names } })
        });
        let names: Vec<String> = T::ALL.iter().map(|value| format!("'{}'", value.name())).collect();
        let wrong = ("enum", format!("should be one of {}", names.join(", ")));
        self.optional_items(name, MAX_CHOICES, &wrong, |item| item.as_str().and_then(T::from_name))
    }

    /// A list of whole numbers that may be null or missing.
    pub(crate) fn optional_ids(&mut self, name: &'static str, most: usize) -> Option<Vec<i32>> {
        self.describe(name, || {
            json!({ "type": "array", "maxItems": most, "items": {
                "type": "integer", "minimum": i32::MIN, "maximum": i32::MAX,
            } })
        });
        let wrong = ("int_parsing", "should be a whole number, and an id".to_owned());
        self.optional_items(name, most, &wrong, |item| whole_number(item)?.try_into().ok())
    }

    fn optional_items<T>(
        &mut self,
        name: &'static str,
        most: usize,
        wrong: &(&str, String),
        read: impl Fn(&Value) -> Option<T>,
    ) -> Option<Vec<T>> {
        let items = self.optional_list(name, most)?;
        let mut values = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            match read(item) {
                Some(value) => values.push(value),
                None => self.note_item(name, index, wrong.0, wrong.1.clone()),
            }
        }
        Some(values)
    }

    /// A list of objects; empty where it is null or missing.
    pub(crate) fn objects<T: FromFields>(&mut self, name: &'static str, most: usize) -> Vec<T> {
        self.describe(
            name,
            || json!({ "type": "array", "maxItems": most, "items": crate::openapi::bounded::<T>(json!({})) }),
        );
        let items = self.optional_list(name, most).unwrap_or_default();
        let mut objects = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            let Value::Object(object) = item else {
                self.note_item(name, index, "dict_type", "should be a JSON object".into());
                continue;
            };
            let mut inner = Self::new(self.place, object);
            inner.within =
                [&self.within[..], &[Location::Field(name.into()), Location::Index(index)]].concat();
            objects.push(T::from_fields(&mut inner));
            inner.problems.truncate(MAX_PROBLEMS - self.problems.len().min(MAX_PROBLEMS));
            self.problems.append(&mut inner.problems);
        }
        objects
    }

    fn optional_list(&mut self, name: &'static str, most: usize) -> Option<Vec<Value>> {
        let value = self.take(name)?;
        let Value::Array(items) = value else {
            self.note(name, "list_type", "should be a list".into());
            return None;
        };
        if items.len() > most {
            self.note(name, "too_long", format!("should have at most {most} items, not {}", items.len()));
            return None;
        }
        Some(items)
    }

    /// Notes a problem of an item of a list.
    pub(crate) fn note_item(&mut self, name: &'static str, index: usize, kind: &str, msg: String) {
        self.note_at(&[Location::Field(name.into()), Location::Index(index)], kind, msg);
    }

    /// The capability flags of a request.
    pub(crate) fn flags(&mut self) -> Flags {
        let mut flag = |name| self.optional_flag(name).unwrap_or_default();
        Flags {
            can_create_ca: flag("can_create_ca"),
            can_create_cert: flag("can_create_cert"),
            can_revoke_cert: flag("can_revoke_cert"),
            can_export_private_key: flag("can_export_private_key"),
            can_delete_ca: flag("can_delete_ca"),
        }
    }

    /// Says more of a field that was just read than its kind does.
    pub(crate) fn refine(&mut self, keyword: &str, value: impl Into<Value>) {
        if let Some(field) = self.described.as_mut().and_then(|described| described.fields.last_mut()) {
            field.schema[keyword] = value.into();
        }
    }

    /// Says which fields go together, where one alone does not tell.
    pub(crate) fn go_together(&mut self, any_of: impl FnOnce() -> Vec<Value>) {
        if let Some(described) = &mut self.described {
            described.any_of = any_of();
        }
    }

    fn describe(&mut self, name: &'static str, schema: impl FnOnce() -> Value) {
        if let Some(described) = &mut self.described {
            described.fields.push(Field { name, schema: schema(), required: false });
        }
    }

    /// Notes a problem of a field.
    pub(crate) fn note(&mut self, name: &'static str, kind: &str, msg: String) {
        if kind == "missing"
            && let Some(described) = &mut self.described
        {
            let fields = described.fields.iter_mut().filter(|field| field.name == name);
            fields.for_each(|field| field.required = true);
        }
        self.note_at(&[Location::Field(name.into())], kind, msg);
    }

    fn note_at(&mut self, path: &[Location], kind: &str, msg: String) {
        if self.problems.len() >= MAX_PROBLEMS {
            return;
        }
        let mut loc = vec![Location::Field(self.place.into())];
        loc.extend_from_slice(&self.within);
        loc.extend_from_slice(path);
        self.problems.push(ValidationProblem { kind: kind.into(), loc, msg });
    }

    /// Whether anything is wrong with a field.
    pub(crate) fn has_problem(&self, name: &str) -> bool {
        self.problems
            .iter()
            .any(|problem| matches!(problem.loc.last(), Some(Location::Field(field)) if field == name))
    }

    /// Notes that a field is missing; gives a stand-in.
    pub(crate) fn missing<T: Default>(&mut self, name: &'static str) -> T {
        self.note(name, "missing", "is required".into());
        T::default()
    }

    /// The field's value; `None` where it is null or not there.
    fn take(&mut self, name: &str) -> Option<Value> {
        self.object.remove(name).filter(|value| !value.is_null())
    }

    fn checked_text(&mut self, path: &[Location], value: Value, rule: Text) -> String {
        let Value::String(text) = value else {
            self.note_at(path, "string_type", "should be a text".into());
            return String::new();
        };
        let (least, most) = rule.length;
        let length = text.chars().count();
        if length > most {
            self.note_at(
                path,
                "string_too_long",
                format!("should have at most {most} characters, not {length}"),
            );
        } else if length < least || (least > 0 && text.trim().is_empty()) {
            self.note_at(path, "string_too_short", "should not be blank".into());
        } else if text.chars().any(|c| c.is_control() && !(rule.multiline && matches!(c, '\n' | '\r' | '\t')))
        {
            self.note_at(path, "string_pattern_mismatch", "should be without control characters".into());
        }
        text
    }
}

fn whole_number(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| {
            let float = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < 9e15)?;
            format!("{float:.0}").parse().ok()
        }),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::Number(number) => match number.as_i64() {
            Some(0) => Some(false),
            Some(1) => Some(true),
            _ => None,
        },
        Value::String(text) => match text.to_ascii_lowercase().as_str() {
            "true" | "t" | "yes" | "y" | "on" | "1" => Some(true),
            "false" | "f" | "no" | "n" | "off" | "0" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// Problems that one answer names: of each of 1,000 names, one.
const MAX_PROBLEMS: usize = 1000;
/// How a date and time begins.
const DATE_TIME: &str = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}";
/// Values of an enumeration in a list: more than any has.
const MAX_CHOICES: usize = 100;
/// Alternative names of one kind in a request; a certificate has no more.
pub(crate) const MAX_SANS: usize = 1000;
/// Characters of one alternative name: a host name has 253, an e-mail address 254.
const MAX_SAN: usize = 254;

#[cfg(test)]
mod tests;
