use super::*;

/// Variables as `(name, value)`, in order.
fn variables(text: &str) -> Vec<(String, Option<String>)> {
    let plain =
        |variable: &Variable| (variable.name.clone(), variable.value.as_ref().map(|value| value.to_string()));
    read(text, &environment()).variables.iter().map(plain).collect()
}

fn environment() -> [Variable; 1] {
    [Variable { name: "OUTSIDE".into(), value: Some(Zeroizing::new("environment".into())) }]
}

#[track_caller]
fn assert_value(text: &str, expected: &str) {
    let variables = variables(text);
    let (_, value) = variables.last().expect("there is a variable");
    assert_eq!(value.as_deref(), Some(expected), "{text:?}");
}

#[test]
fn bare_value_ends_at_comment_or_line() {
    assert_value("A=b", "b");
    assert_value("A = b c \t", "b c");
    assert_value("A=b # comment", "b");
    assert_value("A=b#no-comment", "b#no-comment");
    assert_value("A=#no-comment", "#no-comment");
    assert_value("A= # comment", "");
    assert_value("A=", "");
    assert_value("A=b'c\"d", "b'c\"d");
    assert_value("A=b\\n", "b\\n");
    assert_value("A=b=c==", "b=c==");
}

#[test]
fn single_quoted_value_knows_two_escapes() {
    assert_value("A='b # c'", "b # c");
    assert_value(r"A='it\'s'", "it's");
    assert_value(r"A='b\\c\n'", r"b\c\n");
    assert_value("A='b' # comment", "b");
    assert_value("A='one\ntwo'", "one\ntwo");
    assert_value("A='$b'", "$b");
}

#[test]
fn double_quoted_value_knows_the_escapes_of_c() {
    assert_value(r#"A="b # c""#, "b # c");
    assert_value(r#"A="say \"b\" and \'c\'""#, "say \"b\" and 'c'");
    assert_value(r#"A="\a\b\f\n\r\t\v""#, "\x07\x08\x0c\n\r\t\x0b");
    assert_value(r#"A="b\\""#, r"b\");
    assert_value(r#"A="\q\$\x""#, r"\q\$\x");
}

#[test]
fn double_quoted_value_may_span_lines() {
    let text = "KEY=\"-----BEGIN\nmiddle = # no comment\n-----END\"\nNEXT=1";
    let expected = [
        ("KEY".into(), Some("-----BEGIN\nmiddle = # no comment\n-----END".into())),
        ("NEXT".into(), Some("1".into())),
    ];
    assert_eq!(variables(text), expected);
}

#[test]
fn name_may_be_exported_and_quoted() {
    assert_eq!(variables("export A=b"), [("A".into(), Some("b".into()))]);
    assert_eq!(variables("  export\tA=b"), [("A".into(), Some("b".into()))]);
    assert_eq!(variables("exportA=b"), [("exportA".into(), Some("b".into()))]);
    assert_eq!(variables("export=b"), [("export".into(), Some("b".into()))]);
    assert_eq!(variables("'A B'=b"), [("A B".into(), Some("b".into()))]);
}

#[test]
fn name_without_equals_sign_has_no_value() {
    assert_eq!(variables("A\nexport B # comment"), [("A".into(), None), ("B".into(), None)]);
}

#[test]
fn comments_blank_lines_and_byte_order_mark_are_skipped() {
    assert_eq!(variables("\u{feff}# A=b\n\n  # c\n\tA=b\n#"), [("A".into(), Some("b".into()))]);
    assert_eq!(variables(""), []);
}

#[test]
fn every_kind_of_line_ending_is_a_newline() {
    let expected =
        [("A".into(), Some("b".into())), ("C".into(), Some("d\ne".into())), ("F".into(), Some("g".into()))];
    assert_eq!(variables("A=b\r\nC=\"d\r\ne\"\rF=g\r\n"), expected);
}

#[test]
fn name_in_braces_stands_for_a_variable() {
    assert_value("A=b\nC=<${A}>", "<b>");
    assert_value("A=b\nC='${A}' ", "b");
    assert_value("A=b\nC=\"${A}${A}\"", "bb");
    assert_value("C=${OUTSIDE}", "environment");
    assert_value("C=${MISSING}", "");
    assert_value("C=${MISSING:-else}", "else");
    assert_value("C=${MISSING:-}", "");
    assert_value("C=${OUTSIDE:-else}", "environment");
    assert_value("A=\nC=${A:-else}", "");
    assert_value("A\nC=${A:-else}", "");
    assert_value("C=${D}\nD=later\nC=${C}", "");
}

#[test]
fn value_further_up_wins_inside_braces() {
    assert_value("OUTSIDE=file\nC=${OUTSIDE}", "file");
}

#[test]
fn dollar_without_braces_stands_for_itself() {
    assert_value("A=b\nC=$A$$ $1 5$", "$A$$ $1 5$");
    assert_value("C=${MISSING:else}", "${MISSING:else}");
    assert_value("C=${open", "${open");
    assert_value("C=$${OUTSIDE}", "$environment");
}

#[test]
fn malformed_statement_is_skipped_and_named_by_its_line() {
    let dotenv = read("A=1\n\n=nameless\nB=\"never closed\nC='done' trailing\n\nD=4\n'=\n", &[]);

    let names: Vec<&str> = dotenv.variables.iter().map(|variable| variable.name.as_str()).collect();
    assert_eq!(names, ["A", "D"]);
    assert_eq!(dotenv.malformed_lines, [3, 4, 5, 8]);
}

#[test]
fn line_numbers_count_lines_inside_quotes() {
    assert_eq!(read("A=\"1\n2\n3\"\n=\n", &[]).malformed_lines, [4]);
}
