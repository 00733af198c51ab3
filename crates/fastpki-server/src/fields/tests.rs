use fastpki_types::UserRole;

use super::*;

struct Everything;

impl FromFields for Everything {
    fn from_fields(fields: &mut Fields) -> Self {
        fields.text("name", Text::line(5));
        fields.optional_choice::<UserRole>("role");
        fields.optional_count("days", 100);
        fields.optional_flag("flag");
        fields.optional_texts("list", 2, Text::line(3));
        fields.optional_time("at");
        Self
    }
}

fn problems(value: Value) -> Vec<(String, String)> {
    let Value::Object(object) = value else { panic!("an object") };
    match Fields::new("body", object).finish::<Everything>() {
        Ok(_) => Vec::new(),
        Err(problems) => {
            let place = |problem: &ValidationProblem| serde_json::to_string(&problem.loc).unwrap();
            problems.iter().map(|problem| (problem.kind.clone(), place(problem))).collect()
        }
    }
}

#[test]
fn every_problem_is_listed() {
    let body = json!({"role": "king", "days": 0, "flag": "maybe", "list": ["ok", 3], "at": "now"});
    let expected = [
        ("missing", r#"["body","name"]"#),
        ("enum", r#"["body","role"]"#),
        ("greater_than_equal", r#"["body","days"]"#),
        ("bool_parsing", r#"["body","flag"]"#),
        ("string_type", r#"["body","list",1]"#),
        ("datetime_parsing", r#"["body","at"]"#),
    ];
    assert_eq!(problems(body), expected.map(|(kind, place)| (kind.to_owned(), place.to_owned())));
}

#[test]
fn null_is_the_same_as_missing() {
    assert_eq!(problems(json!({"name": "x", "role": null, "days": null, "list": null})), []);
    assert_eq!(problems(json!({"name": null}))[0].0, "missing");
}

#[test]
fn numbers_and_booleans_may_come_as_texts() {
    assert_eq!(problems(json!({"name": "x", "days": "7", "flag": "yes"})), []);
    assert_eq!(problems(json!({"name": "x", "days": 7.0, "flag": 1})), []);
    assert_eq!(problems(json!({"name": "x", "days": 7.5}))[0].0, "int_parsing");
    assert_eq!(problems(json!({"name": "x", "days": 101}))[0].0, "less_than_equal");
}

#[test]
fn texts_are_bounded_and_without_control_characters() {
    for (name, kind) in [
        ("", "string_too_short"),
        ("  ", "string_too_short"),
        ("abcdef", "string_too_long"),
        ("a\0b", "string_pattern_mismatch"),
        ("a\nb", "string_pattern_mismatch"),
    ] {
        assert_eq!(problems(json!({"name": name}))[0].0, kind, "{name:?}");
    }
}

#[test]
fn lists_are_bounded() {
    assert_eq!(problems(json!({"name": "x", "list": ["a", "b", "c"]}))[0].0, "too_long");
    assert_eq!(problems(json!({"name": "x", "list": "a"}))[0].0, "list_type");
}
