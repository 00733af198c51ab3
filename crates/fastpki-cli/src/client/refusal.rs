//! The words of a server that refuses.

use fastpki_types::{Location, ValidationProblem};
use reqwest::{StatusCode, blocking::Response};
use serde_json::Value;

use crate::error::Error;

/// Makes an error of an answer that is no success.
pub(super) fn read(response: Response, server: &str, advice: &str) -> Error {
    let status = response.status();
    let header =
        |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (retry_after, request_id) = (header("retry-after"), header("x-request-id"));
    let text = response.text().unwrap_or_default();
    let Some(detail) =
        serde_json::from_str::<Value>(&text).ok().and_then(|mut body| detail(body.get_mut("detail")?.take()))
    else {
        return foreign(status, server);
    };
    let advice = match (status, retry_after, request_id) {
        (StatusCode::TOO_MANY_REQUESTS, Some(seconds), _) => format!("try again in {seconds} seconds"),
        (StatusCode::TOO_MANY_REQUESTS, None, _) => "try again later".into(),
        (status, _, Some(id)) if status.is_server_error() => {
            format!("the server's log has more under request id {id}")
        }
        _ => advice.to_owned(),
    };
    Error::Refused { status, detail, advice }
}

/// What is in `detail`: a text, an object with a code, or a list of problems.
fn detail(detail: Value) -> Option<String> {
    match detail {
        Value::String(text) => Some(text),
        Value::Array(problems) => {
            let lines: Vec<String> = problems.into_iter().map(problem).collect();
            Some(lines.join("\n"))
        }
        Value::Object(fields) => {
            let part = |(name, value): (&String, &Value)| match value {
                Value::String(text) if name == "code" || name == "message" => text.clone(),
                Value::String(text) => format!("{name}: {text}"),
                other => format!("{name}: {other}"),
            };
            let code = fields.get_key_value("code").into_iter();
            let rest = fields.iter().filter(|(name, _)| *name != "code");
            let parts: Vec<String> = code.chain(rest).map(part).collect();
            Some(parts.join(", "))
        }
        _ => None,
    }
}

/// `  common_name: should be text`; the option of the same name is what the reader gave.
fn problem(problem: Value) -> String {
    let text = problem.to_string();
    let Ok(problem) = serde_json::from_value::<ValidationProblem>(problem) else {
        return format!("  {text}");
    };
    let steps = problem.loc.iter().skip(usize::from(problem.loc.len() > 1)).map(|step| match step {
        Location::Field(name) => name.clone(),
        Location::Index(index) => index.to_string(),
    });
    let place: Vec<String> = steps.collect();
    format!("  {}: {}", place.join("."), problem.msg)
}

/// Whoever answered is no FastPKI server, or stands before one.
fn foreign(status: StatusCode, server: &str) -> Error {
    Error::Nonsense { server: server.to_owned(), cause: format!("HTTP status {status}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::detail;

    #[test]
    fn every_problem_has_a_line() {
        let problems = json!([
            {"type": "missing", "loc": ["body", "name"], "msg": "is missing"},
            {"type": "value_error", "loc": ["body", "san_dns_names", 3], "msg": "is no name", "input": "*"},
            "something else",
        ]);
        let expected = "  name: is missing\n  san_dns_names.3: is no name\n  \"something else\"";
        assert_eq!(detail(problems).unwrap(), expected);
    }

    #[test]
    fn object_begins_with_its_code() {
        let object = json!({"field": "cn_patterns", "code": "policy_violation", "value": "a.example"});
        assert_eq!(detail(object).unwrap(), "policy_violation, field: cn_patterns, value: a.example");
    }
}
