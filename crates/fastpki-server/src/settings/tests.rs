use super::*;

pub(super) const SECRET_KEY: &str = "0123456789abcdef0123456789abcdef";

/// Fernet keys whose octets are all 0xfb and all 0x00.
const KEY: &str = "-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_s=";
const ZERO_KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

fn read(variables: &[(&str, &str)], dotenv: &str) -> Result<Settings, Vec<Problem>> {
    Settings::load(variables.iter().map(|(name, value)| (name.to_string(), value.to_string())), Some(dotenv))
}

#[track_caller]
pub(super) fn load(variables: &[(&str, &str)]) -> Settings {
    read(variables, "").unwrap_or_else(|problems| panic!("{problems:?}"))
}

#[track_caller]
pub(super) fn problems(variables: &[(&str, &str)]) -> Vec<Problem> {
    read(variables, "").err().expect("there are problems")
}

/// The one problem with a setting.
#[track_caller]
fn problem(setting: &str, value: &str) -> String {
    let problems = problems(&[(setting, value)]);
    let [problem] = problems.as_slice() else { panic!("{setting}={value}: {problems:?}") };
    assert_eq!(problem.setting, setting);
    problem.message.clone()
}

fn exposed(secrets: &[Secret]) -> Vec<&str> {
    secrets.iter().map(Secret::expose).collect()
}

fn sqlite_path(settings: &Settings) -> &str {
    let DatabaseUrl::Sqlite { path } = &settings.database else { panic!("not SQLite") };
    path.to_str().expect("UTF-8")
}

fn networks(list: &[&str]) -> Vec<IpNet> {
    list.iter().map(|network| network.parse().unwrap()).collect()
}

#[test]
fn nothing_set_gives_the_defaults() {
    let settings = Settings::load(std::iter::empty(), None).unwrap_or_else(|problems| panic!("{problems:?}"));

    assert_eq!(settings.api_prefix, "/api/v1");
    assert_eq!(settings.project_name, "FastPKI");
    assert_eq!(sqlite_path(&settings), "./fastpki.db");
    assert_eq!((settings.ca_key_size, settings.cert_key_size), (4096, 2048));
    assert_eq!((settings.ca_cert_days, settings.cert_days), (3650, 365));
    assert!(settings.secret_key.is_none());
    assert_eq!((settings.access_token_minutes, settings.refresh_token_minutes), (15, 1440));
    assert_eq!(settings.algorithm, JwtAlgorithm::Hs256);
    assert_eq!(settings.auth_rate_limit, [RateLimit { count: 5, window_seconds: 60 }]);
    assert!(settings.service_account_pepper.is_none());
    assert!(settings.encryption_keys.is_empty());
    assert_eq!(settings.log_level, LogLevel::Info);
    assert_eq!(settings.log_format, LogFormat::Auto);
    assert!(settings.cors_origins.is_empty());
    assert!(!settings.allow_unauthenticated_registration);
    assert!(!settings.enable_docs);
    assert_eq!(settings.listen.to_string(), "127.0.0.1:8000");
    assert!(settings.trusted_proxies.is_empty());
    assert_eq!(settings.public_url, None);
    assert_eq!(settings.notes.len(), 1, "{:?}", settings.notes);
    assert!(settings.notes[0].starts_with("PUBLIC_URL"));
}

#[test]
fn everything_can_be_set() {
    let settings = load(&[
        ("API_V1_STR", "/pki/v1/"),
        ("PROJECT_NAME", "Ours"),
        ("DATABASE_URL", "sqlite:////var/lib/fastpki/fastpki.db"),
        ("CA_KEY_SIZE", "8192"),
        ("CERT_KEY_SIZE", "3072"),
        ("CA_CERT_DAYS", "1"),
        ("CERT_DAYS", "30"),
        ("SECRET_KEY", SECRET_KEY),
        ("ACCESS_TOKEN_EXPIRE_MINUTES", "5"),
        ("REFRESH_TOKEN_EXPIRE_MINUTES", "60"),
        ("ALGORITHM", "HS512"),
        ("AUTH_RATE_LIMIT", "1/second"),
        ("SERVICE_ACCOUNT_TOKEN_PEPPER", " pepper "),
        ("PRIVATE_KEY_ENCRYPTION_KEY", KEY),
        ("LOG_LEVEL", "warning"),
        ("LOG_FORMAT", "json"),
        ("BACKEND_CORS_ORIGINS", r#"["https://ui.example.com"]"#),
        ("ALLOW_UNAUTHENTICATED_REGISTRATION", "true"),
        ("ENABLE_DOCS", "1"),
        ("FASTPKI_LISTEN", "[::]:80"),
        ("TRUSTED_PROXIES", "127.0.0.1"),
        ("PUBLIC_URL", "http://pki.example.com/"),
        ("FASTPKI_STOP_SECONDS", "0"),
        ("UNKNOWN", "is ignored"),
    ]);

    assert_eq!(settings.api_prefix, "/pki/v1");
    assert_eq!(settings.project_name, "Ours");
    assert_eq!(sqlite_path(&settings), "/var/lib/fastpki/fastpki.db");
    assert_eq!((settings.ca_key_size, settings.cert_key_size), (8192, 3072));
    assert_eq!((settings.ca_cert_days, settings.cert_days), (1, 30));
    assert_eq!(settings.secret_key.as_ref().map(Secret::expose), Some(SECRET_KEY));
    assert_eq!((settings.access_token_minutes, settings.refresh_token_minutes), (5, 60));
    assert_eq!(settings.algorithm, JwtAlgorithm::Hs512);
    assert_eq!(settings.auth_rate_limit, [RateLimit { count: 1, window_seconds: 1 }]);
    assert_eq!(settings.service_account_pepper.as_ref().map(Secret::expose), Some(" pepper "));
    assert_eq!(exposed(&settings.encryption_keys), [KEY]);
    assert_eq!(settings.log_level, LogLevel::Warning);
    assert_eq!(settings.log_format, LogFormat::Json);
    assert_eq!(settings.cors_origins, ["https://ui.example.com"]);
    assert!(settings.allow_unauthenticated_registration);
    assert!(settings.enable_docs);
    assert_eq!(settings.listen.to_string(), "[::]:80");
    assert_eq!(settings.trusted_proxies, networks(&["127.0.0.1/32"]));
    assert_eq!(settings.public_url.as_deref(), Some("http://pki.example.com"));
    assert_eq!(settings.stop_seconds, 0);
    assert_eq!(settings.notes, [""; 0]);
}

#[test]
fn encryption_key_file_is_refused_rather_than_passed_over() {
    let problems = problems(&[("PRIVATE_KEY_ENCRYPTION_KEY_FILE", "/etc/fastpki/keys")]);
    assert_eq!(problems[0].setting, "PRIVATE_KEY_ENCRYPTION_KEY_FILE");
}

#[test]
fn environment_wins_over_dotenv() {
    let settings = read(
        &[("CERT_DAYS", "1")],
        "CERT_DAYS=2\nCA_CERT_DAYS=3\nSECRET_KEY='$a # b$c${X:-}0123456789abcdef0123456789'",
    );
    let settings = settings.unwrap_or_else(|problems| panic!("{problems:?}"));

    assert_eq!((settings.cert_days, settings.ca_cert_days), (1, 3));
    assert_eq!(settings.secret_key.as_ref().map(Secret::expose), Some("$a # b$c0123456789abcdef0123456789"));
}

#[test]
fn empty_variable_hides_the_one_in_dotenv() {
    let problems = read(&[("CERT_DAYS", "")], "CERT_DAYS=2").err().expect("empty is wrong");
    assert_eq!(problems[0].setting, "CERT_DAYS");
}

#[test]
fn names_are_matched_in_any_case_and_the_exact_one_wins() {
    assert_eq!(load(&[("cert_days", "7")]).cert_days, 7);
    assert_eq!(load(&[("CERT_DAYS", "8"), ("cert_days", "7")]).cert_days, 8);
    assert_eq!(load(&[("cert_days", "7"), ("Cert_Days", "9")]).cert_days, 9);
    let settings =
        read(&[("cert_days", "7")], "CERT_DAYS=8").unwrap_or_else(|problems| panic!("{problems:?}"));
    assert_eq!(settings.cert_days, 7);
}

#[test]
fn name_without_value_in_dotenv_is_not_set() {
    let settings = read(&[], "CERT_DAYS=1\nCERT_DAYS\n").unwrap_or_else(|problems| panic!("{problems:?}"));
    assert_eq!(settings.cert_days, 365);
}

#[test]
fn malformed_line_of_dotenv_is_noted_by_its_number_alone() {
    let settings = read(&[("PUBLIC_URL", "http://pki")], "A=1\nSECRET_KEY='hush\n");
    let notes = settings.unwrap_or_else(|problems| panic!("{problems:?}")).notes;

    assert_eq!(notes.len(), 1);
    assert!(notes[0].starts_with(".env, line 2: "), "{notes:?}");
    assert!(!notes[0].contains("hush"), "{notes:?}");
}

#[test]
fn every_problem_is_reported_in_one_run_without_values() {
    let variables = [
        ("API_V1_STR", "hush-1"),
        ("PROJECT_NAME", " "),
        ("DATABASE_URL", "postgresql+asyncpg://hush:hush@hush:hush/hush?sslcrl=hush"),
        ("DATABASE_CONNECT_ARGS", "{\"hush\""),
        ("CA_KEY_SIZE", "1024"),
        ("CERT_KEY_SIZE", "hush"),
        ("CA_CERT_DAYS", "0"),
        ("CERT_DAYS", "-1"),
        ("SECRET_KEY", "hush"),
        ("ACCESS_TOKEN_EXPIRE_MINUTES", "hush"),
        ("REFRESH_TOKEN_EXPIRE_MINUTES", "0"),
        ("ALGORITHM", "hush"),
        ("AUTH_RATE_LIMIT", "hush"),
        ("PRIVATE_KEY_ENCRYPTION_KEY", "hush,hush"),
        ("LOG_LEVEL", "hush"),
        ("LOG_FORMAT", "hush"),
        ("BACKEND_CORS_ORIGINS", "hush"),
        ("ALLOW_UNAUTHENTICATED_REGISTRATION", "hush"),
        ("ENABLE_DOCS", "hush"),
        ("FASTPKI_LISTEN", "hush"),
        ("TRUSTED_PROXIES", "hush"),
        ("FORWARDED_ALLOW_IPS", "hush"),
        ("PUBLIC_URL", "hush"),
        ("FASTPKI_STOP_SECONDS", "hush"),
    ];
    let problems = problems(&variables);

    for (setting, _) in variables {
        assert!(problems.iter().any(|problem| problem.setting == setting), "{setting} in {problems:?}");
    }
    // The URL alone has two: its port and a TLS option.
    assert_eq!(problems.len(), variables.len() + 1, "{problems:?}");
    for problem in problems {
        let line = problem.to_string();
        assert!(!line.contains("hush"), "{line}");
        assert!(!line.contains('\n'), "{line}");
        assert!(line.starts_with(&format!("{}: ", problem.setting)) && line.contains("; "), "{line}");
    }
}

#[test]
fn empty_is_a_problem_that_says_what_to_write() {
    for setting in [
        "API_V1_STR",
        "PROJECT_NAME",
        "DATABASE_URL",
        "DATABASE_CONNECT_ARGS",
        "CA_KEY_SIZE",
        "CERT_KEY_SIZE",
        "CA_CERT_DAYS",
        "CERT_DAYS",
        "SECRET_KEY",
        "ACCESS_TOKEN_EXPIRE_MINUTES",
        "REFRESH_TOKEN_EXPIRE_MINUTES",
        "ALGORITHM",
        "AUTH_RATE_LIMIT",
        "PRIVATE_KEY_ENCRYPTION_KEY",
        "LOG_LEVEL",
        "LOG_FORMAT",
        "BACKEND_CORS_ORIGINS",
        "ALLOW_UNAUTHENTICATED_REGISTRATION",
        "ENABLE_DOCS",
        "FASTPKI_LISTEN",
        "FASTPKI_STOP_SECONDS",
    ] {
        for blank in ["", "  "] {
            let message = problem(setting, blank);
            assert!(message.starts_with("set but empty; write "), "{setting}: {message}");
            assert!(message.ends_with(", or remove the setting"), "{setting}: {message}");
        }
    }
}

#[test]
fn optional_settings_may_be_empty() {
    let settings = load(&[
        ("PUBLIC_URL", ""),
        ("TRUSTED_PROXIES", " "),
        ("FORWARDED_ALLOW_IPS", ""),
        ("SERVICE_ACCOUNT_TOKEN_PEPPER", ""),
    ]);
    assert_eq!(settings.public_url, None);
    assert!(settings.trusted_proxies.is_empty());
    assert!(settings.service_account_pepper.is_none());
    assert_eq!(settings.notes.len(), 1, "{:?}", settings.notes);
}

#[test]
fn secrets_are_not_printed() {
    assert_eq!(format!("{:?}", Secret::new("hush")), "Secret(..)");
}

#[test]
fn secret_key_is_counted_in_characters() {
    assert!(load(&[("SECRET_KEY", &"é".repeat(32))]).secret_key.is_some());
    assert!(problem("SECRET_KEY", &"é".repeat(31)).starts_with("shorter than 32"));
}

#[test]
fn postgresql_needs_a_secret_key() {
    let problems = problems(&[("DATABASE_URL", "postgresql://u:p@h/d")]);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0].setting, "SECRET_KEY");
    assert!(problems[0].message.starts_with("required with PostgreSQL; "));
}

#[test]
fn postgresql_with_a_bad_secret_key_is_one_problem() {
    for key in ["", "short"] {
        assert_eq!(problems(&[("DATABASE_URL", "postgresql://u:p@h/d"), ("SECRET_KEY", key)]).len(), 1);
    }
}

#[test]
fn sqlite_paths_are_relative_or_absolute() {
    let cases = [
        ("sqlite:///./fastpki.db", "./fastpki.db"),
        ("sqlite:///data/pki.db", "data/pki.db"),
        ("sqlite:////data/pki.db", "/data/pki.db"),
        ("sqlite+aiosqlite:///pki.db", "pki.db"),
        ("sqlite+aiosqlite:////srv/my%20pki.db", "/srv/my%20pki.db"),
        (" SQLite:///pki.db ", "pki.db"),
    ];
    for (url, path) in cases {
        assert_eq!(sqlite_path(&load(&[("DATABASE_URL", url)])), path);
    }
}

#[test]
fn bad_database_urls_say_what_to_write() {
    for url in [
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite+aiosqlite://",
        "sqlite:///file::memory:?uri=true",
    ] {
        let message = problem("DATABASE_URL", url);
        assert!(message.contains("in memory") && message.contains("sqlite:///"), "{url}: {message}");
    }
    for url in [
        "sqlite://relative.db",
        "sqlite:///file:pki.db?uri=true",
        "sqlite:///directory/",
        "sqlite:pki.db",
        "pki.db",
    ] {
        assert!(problem("DATABASE_URL", url).contains("; write sqlite:///relative"), "{url}");
    }
    assert!(problem("DATABASE_URL", "mysql://u:hush@h/d").starts_with("neither SQLite nor PostgreSQL"));
}

#[test]
fn options_without_meaning_for_sqlite_are_noted() {
    let settings = load(&[
        ("DATABASE_URL", "sqlite:///pki.db?timeout=5"),
        ("DATABASE_CONNECT_ARGS", r#"{"check_same_thread": false}"#),
        ("PUBLIC_URL", "http://pki"),
    ]);
    assert_eq!(sqlite_path(&settings), "pki.db");
    assert_eq!(settings.notes.len(), 2, "{:?}", settings.notes);
}

#[test]
fn numbers_are_read_as_pydantic_reads_them() {
    for (text, days) in
        [(" 30 ", 30), ("+5", 5), ("007", 7), ("1_000", 1000), ("365.0", 365), ("4294967295", u32::MAX)]
    {
        assert_eq!(load(&[("CERT_DAYS", text)]).cert_days, days, "{text}");
    }
    for text in
        ["5.", "5.5", "1e3", "0x10", "_5", "5_", "5__0", "+ 5", "--5", "-5", "٥", "4294967296", "five"]
    {
        assert!(problem("CERT_DAYS", text).starts_with("not a whole number"), "{text}");
    }
    assert!(problem("CERT_DAYS", "0").starts_with("less than 1"));
}

#[test]
fn key_sizes_are_the_four_that_are_used() {
    for bits in [2048, 3072, 4096, 8192] {
        assert_eq!(load(&[("CERT_KEY_SIZE", &bits.to_string())]).cert_key_size, bits);
    }
    for bits in ["1024", "2047", "6144", "16384"] {
        assert!(problem("CA_KEY_SIZE", bits).contains("2048, 3072, 4096 or 8192"));
    }
}

#[test]
fn switches_are_read_in_any_case() {
    for text in ["true", "1", "yes", "on", "t", "y", "TRUE", "On"] {
        assert!(load(&[("ENABLE_DOCS", text)]).enable_docs, "{text}");
    }
    for text in ["false", "0", "no", "off", "f", "n", "False"] {
        assert!(!load(&[("ENABLE_DOCS", text)]).enable_docs, "{text}");
    }
    assert!(problem("ENABLE_DOCS", "2").contains("write true or false"));
}

#[test]
fn algorithms_are_the_three_of_hmac() {
    for (text, algorithm) in
        [("HS256", JwtAlgorithm::Hs256), ("HS384", JwtAlgorithm::Hs384), ("HS512", JwtAlgorithm::Hs512)]
    {
        assert_eq!(load(&[("ALGORITHM", text)]).algorithm, algorithm);
    }
    for text in ["RS256", "none", "hs256"] {
        assert!(problem("ALGORITHM", text).contains("HS256, HS384 or HS512"), "{text}");
    }
}

#[test]
fn log_levels_and_formats_are_read_in_any_case() {
    let levels = [
        ("debug", LogLevel::Debug),
        ("Info", LogLevel::Info),
        ("WARNING", LogLevel::Warning),
        ("error", LogLevel::Error),
        ("critical", LogLevel::Critical),
    ];
    for (text, level) in levels {
        assert_eq!(load(&[("LOG_LEVEL", text)]).log_level, level);
    }
    assert!(problem("LOG_LEVEL", "verbose").contains("CRITICAL"));
    assert_eq!(load(&[("LOG_FORMAT", "text")]).log_format, LogFormat::Auto);
    assert_eq!(load(&[("LOG_FORMAT", "JSON")]).log_format, LogFormat::Json);
}

#[test]
fn rate_limits_have_many_forms() {
    let limit = |count, window_seconds| RateLimit { count, window_seconds };
    let cases: [(&str, &[RateLimit]); 10] = [
        ("5/minute", &[limit(5, 60)]),
        ("5 per minute", &[limit(5, 60)]),
        ("5perminute", &[limit(5, 60)]),
        (" 5 / Minutes ", &[limit(5, 60)]),
        ("10/5minutes", &[limit(10, 300)]),
        ("10 PER 5 minutes", &[limit(10, 300)]),
        ("1/second; 20/hour;100/day", &[limit(1, 1), limit(20, 3600), limit(100, 86_400)]),
        ("1/second,20/hour", &[limit(1, 1), limit(20, 3600)]),
        ("1 per month|2 per year", &[limit(1, 2_592_000), limit(2, 31_104_000)]),
        ("3/1day", &[limit(3, 86_400)]),
    ];
    for (text, limits) in cases {
        assert_eq!(load(&[("AUTH_RATE_LIMIT", text)]).auth_rate_limit, limits, "{text}");
    }
    let bad = [
        "5",
        "5/",
        "/minute",
        "minute",
        "0/minute",
        "5/0minutes",
        "5/fortnight",
        "5 minute",
        "-5/minute",
        "5/minute;",
        "5/minute/hour",
        "5000000000/minute",
        "1/99999999999999999999days",
        "5 pé minute",
    ];
    for text in bad {
        assert!(problem("AUTH_RATE_LIMIT", text).starts_with("not a rate limit; "), "{text}");
    }
}

#[test]
fn encryption_keys_are_read_as_python_reads_them() {
    let unpadded = KEY.trim_end_matches('=');
    let standard = KEY.replace('-', "+").replace('_', "/");
    let quoted = format!("'{KEY}'");
    let blank = format!(" \t{KEY}\n");
    // The last digit may carry two bits that belong to no octet.
    let stray_bits = KEY.replace("s=", "v=");
    let doubled_equals = format!("={KEY}=");
    for text in [KEY, unpadded, &standard, &quoted, &blank, &stray_bits, &doubled_equals] {
        assert_eq!(exposed(&load(&[("PRIVATE_KEY_ENCRYPTION_KEY", text)]).encryption_keys), [KEY], "{text}");
    }
}

#[test]
fn several_encryption_keys_keep_their_order() {
    let settings = load(&[("PRIVATE_KEY_ENCRYPTION_KEY", &format!("{ZERO_KEY} , {KEY}"))]);
    assert_eq!(exposed(&settings.encryption_keys), [ZERO_KEY, KEY]);
}

#[test]
fn bad_encryption_key_is_named_by_its_position() {
    let setting = "PRIVATE_KEY_ENCRYPTION_KEY";
    assert!(problem(setting, "hush").starts_with("the key is not the base64 of 32 bytes; "));
    assert!(problem(setting, &KEY[1..]).starts_with("the key is not"));
    assert!(problem(setting, &format!("A{KEY}")).starts_with("the key is not"));
    assert!(problem(setting, &format!("{KEY},hush")).starts_with("key 2 of 2 is not"));
    assert!(problem(setting, &format!("{KEY}, ,{KEY}")).starts_with("key 2 of 3 is empty"));
    assert!(problem(setting, &format!("{KEY},")).contains("fastpki keys generate"));
    assert!(problem(setting, "").contains("empty does not mean \"off\""));
}

#[test]
fn origins_are_brought_into_the_form_browsers_send() {
    let text = r#"["https://A.example.com/", "http://localhost:3000", "https://b:443", "http://[::1]:80", "tauri://app"]"#;
    let expected =
        ["https://a.example.com", "http://localhost:3000", "https://b", "http://[::1]", "tauri://app"];
    assert_eq!(load(&[("BACKEND_CORS_ORIGINS", text)]).cors_origins, expected);
    assert!(load(&[("BACKEND_CORS_ORIGINS", "[]")]).cors_origins.is_empty());
}

#[test]
fn bad_origins_are_named_by_their_position() {
    for origin in [
        "",
        "null",
        "a.example.com",
        "https://a/path",
        "https://u@a",
        "https://a:x",
        "https://",
        "https://a b",
    ] {
        let message = problem("BACKEND_CORS_ORIGINS", &format!(r#"["https://a", "{origin}"]"#));
        assert!(message.starts_with("entry 2 of the list is not an origin"), "{origin}: {message}");
    }
    for list in ["https://a", r#"{"a": 1}"#, r#"[1]"#, r#""https://a""#] {
        assert!(problem("BACKEND_CORS_ORIGINS", list).starts_with("not a JSON list of strings"), "{list}");
    }
}

#[test]
fn any_origin_is_warned_about() {
    let settings = load(&[("BACKEND_CORS_ORIGINS", r#"["*"]"#), ("PUBLIC_URL", "http://pki")]);
    assert_eq!(settings.cors_origins, ["*"]);
    assert!(settings.notes[0].starts_with("BACKEND_CORS_ORIGINS"), "{:?}", settings.notes);
}

#[test]
fn listening_takes_an_address_and_a_port() {
    assert_eq!(load(&[("FASTPKI_LISTEN", " 0.0.0.0:80 ")]).listen.to_string(), "0.0.0.0:80");
    for text in ["localhost:8000", "8000", "127.0.0.1", "127.0.0.1:99999"] {
        assert!(problem("FASTPKI_LISTEN", text).contains("127.0.0.1:8000"), "{text}");
    }
}

#[test]
fn proxies_are_addresses_and_networks() {
    let settings = load(&[("TRUSTED_PROXIES", "127.0.0.1, 10.1.2.3/8 ,::1,fd00::/8,")]);
    let expected = networks(&["127.0.0.1/32", "10.0.0.0/8", "::1/128", "fd00::/8"]);
    assert_eq!(settings.trusted_proxies, expected);
    assert!(problem("TRUSTED_PROXIES", "10.0.0.1,proxy").starts_with("entry 2 is neither"));
    assert!(problem("FORWARDED_ALLOW_IPS", "10.0.0.0/33").starts_with("entry 1 is neither"));
}

#[test]
fn forwarded_allow_ips_is_another_name() {
    assert_eq!(load(&[("FORWARDED_ALLOW_IPS", "10.0.0.1")]).trusted_proxies, networks(&["10.0.0.1/32"]));

    let both = load(&[
        ("TRUSTED_PROXIES", "10.0.0.1"),
        ("FORWARDED_ALLOW_IPS", "10.0.0.2"),
        ("PUBLIC_URL", "http://p"),
    ]);
    assert_eq!(both.trusted_proxies, networks(&["10.0.0.1/32"]));
    assert_eq!(both.notes.len(), 1, "{:?}", both.notes);

    let everyone = load(&[("FORWARDED_ALLOW_IPS", "*"), ("PUBLIC_URL", "http://p")]);
    assert_eq!(everyone.trusted_proxies, networks(&["0.0.0.0/0", "::/0"]));
    assert_eq!(everyone.notes.len(), 1, "{:?}", everyone.notes);
}

#[test]
fn public_url_is_a_base() {
    let cases = [
        ("http://pki.example.com", "http://pki.example.com"),
        (" HTTPS://pki.example.com:8443// ", "https://pki.example.com:8443"),
        ("http://pki.example.com/ca/", "http://pki.example.com/ca"),
        ("http://[fd00::1]:80/a%20b", "http://[fd00::1]:80/a%20b"),
    ];
    for (text, url) in cases {
        assert_eq!(load(&[("PUBLIC_URL", text)]).public_url.as_deref(), Some(url));
    }
    let bad = [
        "pki.example.com",
        "ftp://pki",
        "http://",
        "http:///path",
        "http://pki/?a=b",
        "http://pki?a",
        "http://pki/#a",
        "http://user@pki",
        "http://pki:0",
        "http://pki:port",
        "http://[::1",
        "http://pki/a b",
        "http://pki/é",
    ];
    for text in bad {
        assert!(problem("PUBLIC_URL", text).starts_with("not an http or https URL"), "{text}");
    }
}

#[test]
fn api_prefix_begins_with_a_slash_and_ends_without() {
    for (text, prefix) in [("/api/v1", "/api/v1"), ("/api/v1/", "/api/v1"), (" /a-b/c.d_e~ ", "/a-b/c.d_e~")]
    {
        assert_eq!(load(&[("API_V1_STR", text)]).api_prefix, prefix);
    }
    for text in ["api", "/", "//", "/a//b", "/a/../b", "/{id}", "/a b", "/é", "/a?b"] {
        assert!(problem("API_V1_STR", text).starts_with("not a path"), "{text}");
    }
}
