use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use super::Person;

/// As FastPKI 0.4's client leaves it, with something that it does not know.
const OLD_FILE: &str = r#"{
  "server": {"url": "http://pki.example.com:8000"},
  "auth": {"token": "eyJhbGciOiJIUzI1NiJ9.e30.abcdefgh"},
  "defaults": {"output_format": "table", "ca_key_size": 4096, "ca_valid_days": 3650, "theirs": true}
}"#;

fn person_with(file: &str) -> Person {
    let person = Person::new("");
    let path = person.config_file();
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, file).unwrap();
    person
}

#[test]
fn file_of_the_old_client_is_read_and_kept() {
    let person = person_with(OLD_FILE);
    assert_eq!(person.prints(&["config", "get", "server.url"]), "http://pki.example.com:8000\n");
    assert_eq!(person.prints(&["config", "get", "defaults.ca_key_size"]), "4096\n");

    person.run(&["config", "set", "defaults.cert_valid_days", "90"]).succeeded();
    person.run(&["config", "unset", "defaults.ca_key_size"]).succeeded();
    let after: Value = serde_json::from_str(&person.read(".config/fastpki/config.json")).unwrap();
    let mut expected: Value = serde_json::from_str(OLD_FILE).unwrap();
    expected["defaults"] =
        json!({"output_format": "table", "ca_valid_days": 3650, "theirs": true, "cert_valid_days": 90});
    assert_eq!(after, expected);
}

#[test]
fn file_and_folder_are_for_their_owner_alone() {
    let person = person_with("{}");
    let folder = person.config_file().parent().unwrap().to_owned();
    for (path, mode) in [(&person.config_file(), 0o644), (&folder, 0o755)] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    person.run(&["config", "set", "defaults.output_format", "json"]).succeeded();
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&person.config_file()), mode(&folder)), (0o600, 0o700));
}

#[test]
fn tokens_are_masked_in_show_alone() {
    let person = person_with(OLD_FILE);
    for output in ["table", "json"] {
        let shown = person.prints(&["config", "show", "-o", output]);
        assert!(shown.contains("********efgh") && !shown.contains("eyJ"), "{shown}");
        assert!(shown.contains("http://pki.example.com:8000"), "{shown}");
    }
    assert_eq!(person.prints(&["config", "get", "auth.token"]), "eyJhbGciOiJIUzI1NiJ9.e30.abcdefgh\n");
}

#[test]
fn path_is_under_xdg_config_home_or_home() {
    let person = Person::new("");
    assert_eq!(person.prints(&["config", "path"]).trim_end(), person.config_file().to_str().unwrap());
    let ran = super::ran(person.command(&["config", "path"]).env("XDG_CONFIG_HOME", "/xdg"));
    assert_eq!(ran.stdout, "/xdg/fastpki/config.json\n");
}

#[test]
fn unknown_keys_and_unfit_values_are_usage_errors() {
    let person = Person::new("");
    for arguments in [
        ["config", "set", "defaults.colour", "blue"],
        ["config", "set", "defaults.output_format", "yaml"],
        ["config", "set", "defaults.ca_key_size", "0"],
        ["config", "set", "server.url", "pki.example.com"],
    ] {
        let ran = person.run(&arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{arguments:?}: {ran:?}");
    }
    assert!(!person.config_file().exists() || person.read(".config/fastpki/config.json") == "{}\n");
    let words = person.refused(&["config", "get", "server.url"]);
    assert_eq!(words, "error: server.url is not set\n");
}

#[test]
fn damaged_file_is_named() {
    let person = person_with("{\"server\":");
    let words = person.refused(&["ca", "list"]);
    assert!(words.contains("config.json") && words.contains("mend or remove"), "{words}");
}
