//! What the body of an error carries.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A step on the way to the value that does not validate: a field's name or an index in a list.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Location {
    /// A place in the request (`body`, `query`, `path`) or a field's name.
    Field(String),
    /// A position in a list, from zero.
    Index(usize),
}

/// One problem of a request that does not validate; a 422 answer lists them all in `detail`.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct ValidationProblem {
    /// What kind of problem it is, for programs: `missing`, `string_type`, `int_parsing`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// Where it is: `["body", "san_dns_names", 3]`.
    pub loc: Vec<Location>,
    /// What is wrong and what would be right, for people.
    pub msg: String,
}
