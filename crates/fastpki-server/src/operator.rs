//! What an operator's commands take, by the API's own rules.

use fastpki_types::{Location, Password, UserCreate, UserRole, UserUpdate, ValidationProblem};
use serde_json::{Map, Value, json};

use crate::fields::{Fields, FromFields};

/// A user as `POST /users/` takes one.
///
/// # Errors
///
/// Every problem, as a text.
pub fn new_user(
    username: &str,
    email: &str,
    password: &Password,
    role: UserRole,
    organization_id: Option<i32>,
) -> Result<UserCreate, Vec<String>> {
    read(json!({
        "username": username,
        "email": email,
        "password": password,
        "role": role,
        "organization_id": organization_id,
    }))
}

/// A password as `PATCH /users/{id}` takes one.
///
/// # Errors
///
/// Every problem, as a text.
pub fn new_password(password: &Password) -> Result<Password, Vec<String>> {
    let change: UserUpdate = read(json!({ "password": password }))?;
    change.password.ok_or_else(|| vec!["password: is required".into()])
}

fn read<T: FromFields>(body: Value) -> Result<T, Vec<String>> {
    let fields: Map<String, Value> = match body {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    Fields::new("body", fields).finish().map_err(|problems| problems.iter().map(text).collect())
}

fn text(problem: &ValidationProblem) -> String {
    match problem.loc.last() {
        Some(Location::Field(name)) => format!("{name}: {}", problem.msg),
        Some(Location::Index(_)) | None => problem.msg.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_told_and_no_password() {
        let problems =
            new_user("", "nobody", &"hunter2".to_owned().into(), UserRole::User, None).unwrap_err();
        let expected = [
            "username: should not be blank",
            "email: should be an e-mail address",
            "password: should have at least 8 characters",
        ];
        assert_eq!(problems, expected);
    }

    #[test]
    fn password_is_taken_as_it_is() {
        let password = new_password(&"  eight bytes ".to_owned().into()).unwrap();
        assert_eq!(password.expose(), "  eight bytes ");
    }
}
