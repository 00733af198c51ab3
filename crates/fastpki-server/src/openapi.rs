//! The OpenAPI 3.1 description of the API, made from the routes themselves.

use axum::http::Method;
use schemars::{
    JsonSchema, SchemaGenerator,
    generate::{Contract, SchemaSettings},
};
use serde_json::{Map, Value, json};

use crate::fields::{Described, Field, Fields, FromFields};

/// What routes say of themselves.
pub(crate) struct Description {
    /// Path, then method in lower case, then operation.
    paths: Map<String, Value>,
    requests: SchemaGenerator,
    answers: SchemaGenerator,
    /// Schemas of bodies, by name, with the bounds that the server checks.
    bodies: Map<String, Value>,
}

impl Default for Description {
    fn default() -> Self {
        let generator = |contract: Contract| {
            SchemaSettings::draft2020_12()
                .with(|settings| {
                    settings.definitions_path = "/components/schemas".into();
                    settings.meta_schema = None;
                    settings.contract = contract.clone();
                })
                .into_generator()
        };
        Self {
            paths: Map::new(),
            requests: generator(Contract::Deserialize),
            answers: generator(Contract::Serialize),
            bodies: Map::new(),
        }
    }
}

impl Description {
    pub(crate) fn merge(mut self, mut other: Self) -> Self {
        for (path, methods) in other.paths {
            match (self.paths.get_mut(&path), methods) {
                (Some(Value::Object(there)), Value::Object(more)) => there.extend(more),
                (_, methods) => {
                    self.paths.insert(path, methods);
                }
            }
        }
        self.requests.definitions_mut().append(other.requests.definitions_mut());
        self.answers.definitions_mut().append(other.answers.definitions_mut());
        self.bodies.extend(other.bodies);
        self
    }

    pub(crate) fn under(mut self, prefix: &str) -> Self {
        self.paths =
            self.paths.into_iter().map(|(path, methods)| (format!("{prefix}{path}"), methods)).collect();
        self
    }

    /// The whole document, for an API that stands under this prefix.
    pub(crate) fn document(mut self, title: &str, prefix: &str) -> Value {
        let mut schemas = self.requests.take_definitions(true);
        schemas.extend(self.answers.take_definitions(true));
        schemas.extend(self.bodies);
        schemas.insert("Refusal".into(), refusal());
        schemas.insert("ValidationRefusal".into(), validation_refusal());
        json!({
            "openapi": "3.1.0",
            "info": {
                "title": title,
                "version": env!("CARGO_PKG_VERSION"),
                "description": "A private certificate authority: organizations, users and service accounts create CAs, issue, renew and revoke certificates. Times are UTC; ids are positive integers.",
                "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
            },
            "paths": self.paths,
            "components": {
                "schemas": schemas,
                "securitySchemes": {
                    BEARER: {
                        "type": "oauth2",
                        "description": "An access token of a user, or a token of a service account, as Authorization: Bearer",
                        "flows": { "password": { "scopes": {}, "tokenUrl": format!("{prefix}/auth/token") } },
                    },
                },
            },
        })
    }
}

/// One method of one path, being described.
pub(crate) struct Operation<'d> {
    description: &'d mut Description,
    method: Method,
    path: &'static str,
    parameters: Vec<Value>,
    body: Option<Value>,
    answers: Map<String, Value>,
    security: Option<Value>,
    head: Map<String, Value>,
}

impl<'d> Operation<'d> {
    pub(crate) fn new(
        description: &'d mut Description,
        tag: &str,
        method: Method,
        path: &'static str,
        summary: &str,
    ) -> Self {
        let mut head = Map::new();
        head.insert("tags".into(), json!([tag]));
        head.insert("summary".into(), json!(summary));
        head.insert("operationId".into(), json!(operation_id(&method, path)));
        let mut operation = Self {
            description,
            method,
            path,
            parameters: Vec::new(),
            body: None,
            answers: Map::new(),
            security: None,
            head,
        };
        operation.refuses(503);
        operation
    }

    /// Who calls it must, or may, be signed in.
    pub(crate) fn signed(&mut self, required: bool) {
        let bearer = json!({ BEARER: [] });
        self.security = Some(if required { json!([bearer]) } else { json!([bearer, {}]) });
        self.refuses(401);
    }

    /// The ids in the path.
    pub(crate) fn path_ids(&mut self) {
        for name in names_in(self.path) {
            self.parameters.push(json!({
                "name": name, "in": "path", "required": true, "schema": { "type": "integer" }
            }));
        }
        self.refuses(422);
    }

    /// The slug in the path of a public file.
    pub(crate) fn slug_parameter(&mut self) {
        for name in names_in(self.path) {
            self.parameters.push(json!({
                "name": name, "in": "path", "required": true, "schema": { "type": "string" },
                "description": "The CA's name in lower case, without punctuation, and its id: issuing-ca-2",
            }));
        }
    }

    /// The fields of the query string.
    pub(crate) fn query<T: FromFields>(&mut self) {
        for Field { name, schema, required, .. } in Fields::described_by::<T>().fields {
            self.parameters
                .push(json!({ "name": name, "in": "query", "required": required, "schema": schema }));
        }
        self.refuses(422);
    }

    /// The body, of this media type.
    pub(crate) fn body<T: FromFields + JsonSchema>(&mut self, media_type: &str) {
        let root = self.description.requests.subschema_for::<T>();
        let name = T::schema_name().into_owned();
        let definitions = self.description.requests.definitions();
        let documented = definitions.get(&name).cloned().unwrap_or_else(|| root.into());
        self.description.bodies.insert(name.clone(), bounded::<T>(documented));
        let schema = json!({ "$ref": format!("#/components/schemas/{name}") });
        self.body = Some(json!({ "required": true, "content": { media_type: { "schema": schema } } }));
        for status in [408, 413, 422] {
            self.refuses(status);
        }
    }

    /// Answers with JSON.
    pub(crate) fn answers<T: JsonSchema>(&mut self, status: u16) {
        let schema = self.description.answers.subschema_for::<T>();
        self.answer(status, meaning(status), Some(("application/json", schema.into())));
    }

    /// Answers with a list of JSON that can be read in pages.
    pub(crate) fn answers_page_of<T: JsonSchema>(&mut self) {
        self.answers::<Vec<T>>(200);
        self.answers["200"]["headers"] = json!({
            "X-Total-Count": { "description": "How many there are in all pages", "schema": { "type": "integer" } },
            "Link": { "description": "Where the next page is: rel=\"next\"", "schema": { "type": "string" } },
        });
    }

    /// Answers with a file.
    pub(crate) fn answers_file(&mut self, media_type: &str) {
        self.answer(200, meaning(200), Some((media_type, json!({ "type": "string" }))));
    }

    /// Answers without a body.
    pub(crate) fn answers_nothing(&mut self, status: u16, what: &str) {
        self.answer(status, what, None);
    }

    /// Refuses with this status.
    pub(crate) fn refuses(&mut self, status: u16) {
        let name = if status == 422 { "ValidationRefusal" } else { "Refusal" };
        let schema = json!({ "$ref": format!("#/components/schemas/{name}") });
        self.answer(status, meaning(status), Some(("application/json", schema)));
    }

    fn answer(&mut self, status: u16, what: &str, content: Option<(&str, Value)>) {
        let mut answer = json!({ "description": what });
        if let Some((media_type, schema)) = content {
            answer["content"] = json!({ media_type: { "schema": schema } });
        }
        self.answers.insert(status.to_string(), answer);
    }

    pub(crate) fn finish(mut self, refusals: &[u16]) {
        for status in refusals {
            self.refuses(*status);
        }
        let mut operation = self.head;
        if !self.parameters.is_empty() {
            operation.insert("parameters".into(), self.parameters.into());
        }
        operation.extend(self.body.map(|body| ("requestBody".into(), body)));
        operation.insert("responses".into(), self.answers.into());
        operation.extend(self.security.map(|security| ("security".into(), security)));
        let methods = self.description.paths.entry(self.path).or_insert_with(|| json!({}));
        methods[self.method.as_str().to_ascii_lowercase()] = operation.into();
    }
}

/// The schema of a body, with each field as the server reads it and as its type's documentation has it.
pub(crate) fn bounded<T: FromFields>(mut schema: Value) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    let Described { fields, any_of } = Fields::described_by::<T>();
    for Field { name, schema: mut field, required: is_required, .. } in fields {
        let said = &schema["properties"][name]["description"];
        if said.is_string() {
            field["description"] = said.clone();
        }
        if is_required {
            required.push(name);
        } else {
            nullable(&mut field);
        }
        properties.insert(name.to_owned(), field);
    }
    let mut object = json!({ "type": "object", "properties": properties });
    if schema["description"].is_string() {
        object["description"] = schema["description"].take();
    }
    if !required.is_empty() {
        object["required"] = json!(required);
    }
    if !any_of.is_empty() {
        object["anyOf"] = any_of.into();
    }
    object
}

/// Null is the same as not given.
fn nullable(field: &mut Value) {
    field["type"] = json!([field["type"], "null"]);
    if let Value::Array(values) = &mut field["enum"] {
        values.push(Value::Null);
    } else if let Value::Object(keywords) = field {
        keywords.remove("enum");
    }
}

fn refusal() -> Value {
    json!({
        "type": "object",
        "description": "Why a request was refused",
        "required": ["detail"],
        "properties": { "detail": { "anyOf": [
            { "type": "string", "description": "For people" },
            {
                "type": "object",
                "description": "For programs",
                "required": ["code"],
                "properties": {
                    "code": { "type": "string" },
                    "message": { "type": "string" },
                    "field": { "type": "string" },
                    "value": { "type": "string" },
                },
            },
        ] } },
    })
}

fn validation_refusal() -> Value {
    json!({
        "type": "object",
        "description": "Everything in a request that does not validate",
        "required": ["detail"],
        "properties": { "detail": { "type": "array", "items": {
            "type": "object",
            "required": ["type", "loc", "msg"],
            "properties": {
                "type": { "type": "string", "description": "What kind of problem it is, for programs" },
                "loc": {
                    "type": "array",
                    "description": "Where it is: body, query or path, then the field, then the position in a list",
                    "items": { "anyOf": [{ "type": "string" }, { "type": "integer" }] },
                },
                "msg": { "type": "string", "description": "What is wrong, for people" },
            },
        } } },
    })
}

fn names_in(path: &str) -> impl Iterator<Item = &str> {
    path.split('{').skip(1).filter_map(|rest| rest.split_once('}').map(|(name, _)| name))
}

/// `get_users_user_id` for `GET /users/{user_id}`.
fn operation_id(method: &Method, path: &str) -> String {
    let words = path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let mut id = method.as_str().to_ascii_lowercase();
    for word in words {
        id.push('_');
        id.push_str(word);
    }
    id
}

fn meaning(status: u16) -> &'static str {
    match status {
        200 => "Done",
        201 => "Created",
        204 => "Done; there is nothing to say",
        400 => "What is asked cannot be",
        401 => "Not signed in, or not any more",
        403 => "The caller may not",
        404 => "There is no such thing, or none that the caller may know of",
        408 => "The body did not arrive in time",
        409 => "It is not in the state for it",
        413 => "The body is too large",
        422 => "The request does not validate",
        429 => "Too many attempts: try again later",
        503 => "Busy, or the database cannot be used: detail says whether the change may have been made",
        _ => "Refused",
    }
}

/// The name of the security scheme, as FastPKI 0.4 had it.
const BEARER: &str = "OAuth2PasswordBearer";
