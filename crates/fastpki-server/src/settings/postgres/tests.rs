use super::super::tests::{SECRET_KEY, load, problems};
use super::*;

/// The URL, what is asked of TLS, the root certificates and the notes about the database.
struct Connection {
    url: String,
    tls: TlsMode,
    root_cert: Option<String>,
    notes: Vec<String>,
}

#[track_caller]
fn connection(variables: &[(&str, &str)]) -> Connection {
    let variables = [variables, &[("SECRET_KEY", SECRET_KEY), ("PUBLIC_URL", "http://pki")]].concat();
    let settings = load(&variables);
    let DatabaseUrl::Postgres { url, tls, root_cert } = settings.database else { panic!("not PostgreSQL") };
    let root_cert = root_cert.map(|path| path.to_str().expect("UTF-8").to_owned());
    Connection { url: url.expose().to_owned(), tls, root_cert, notes: settings.notes }
}

#[track_caller]
fn url(text: &str) -> String {
    connection(&[("DATABASE_URL", text)]).url
}

#[track_caller]
fn with_arguments(arguments: &str) -> Connection {
    connection(&[("DATABASE_URL", "postgresql://u:p@h/d"), ("DATABASE_CONNECT_ARGS", arguments)])
}

#[track_caller]
fn url_problem(text: &str) -> String {
    let problems = problems(&[("DATABASE_URL", text), ("SECRET_KEY", SECRET_KEY)]);
    let [problem] = problems.as_slice() else { panic!("{problems:?}") };
    assert_eq!(problem.setting, "DATABASE_URL");
    problem.message.clone()
}

#[track_caller]
fn arguments_problem(arguments: &str) -> String {
    let database = ("DATABASE_URL", "postgresql://u:p@h/d");
    let problems = problems(&[database, ("DATABASE_CONNECT_ARGS", arguments), ("SECRET_KEY", SECRET_KEY)]);
    let [problem] = problems.as_slice() else { panic!("{problems:?}") };
    assert_eq!(problem.setting, "DATABASE_CONNECT_ARGS");
    problem.message.clone()
}

#[test]
fn every_scheme_of_postgresql_is_normalised() {
    for scheme in ["postgresql", "postgres", "postgresql+asyncpg", "postgresql+psycopg2", "POSTGRESQL"] {
        assert_eq!(url(&format!(" {scheme}://u:p@h:6432/d ")), "postgresql://u:p@h:6432/d?sslmode=prefer");
    }
}

#[test]
fn parts_may_be_missing() {
    assert_eq!(url("postgresql://h"), "postgresql://h:5432/?sslmode=prefer");
    assert_eq!(url("postgresql://u@h/d"), "postgresql://u@h:5432/d?sslmode=prefer");
    let default =
        "postgresql://%2Frun%2Fpostgresql:5432,%2Fvar%2Frun%2Fpostgresql:5432,%2Ftmp:5432,localhost:5432";
    assert_eq!(url("postgresql:///d"), format!("{default}/d?sslmode=prefer"));
}

#[test]
fn special_characters_are_encoded_however_they_were_written() {
    assert_eq!(
        url("postgresql://u:p%40%2F%3F%25@h/d"),
        "postgresql://u:p%40%2F%3F%25@h:5432/d?sslmode=prefer"
    );
    assert_eq!(
        url("postgresql://u:a/b?c#d:e@h/d"),
        "postgresql://u:a%2Fb%3Fc%23d%3Ae@h:5432/d?sslmode=prefer"
    );
    assert_eq!(url("postgresql://u:100%+$x@h/d"), "postgresql://u:100%25%2B%24x@h:5432/d?sslmode=prefer");
    assert_eq!(url("postgresql://u@server:p@h/d"), "postgresql://u%40server:p@h:5432/d?sslmode=prefer");
    assert_eq!(url("postgresql://ü:p@h/my%20db"), "postgresql://%C3%BC:p@h:5432/my%20db?sslmode=prefer");
}

#[test]
fn hosts_may_be_several_addresses_and_sockets() {
    assert_eq!(url("postgresql://u@a:1,b,c:3/d"), "postgresql://u@a:1,b:5432,c:3/d?sslmode=prefer");
    assert_eq!(url("postgresql://u@/d?host=a:1&host=b:2"), "postgresql://u@a:1,b:2/d?sslmode=prefer");
    assert_eq!(url("postgresql://u@/d?host=a,b&port=1,2"), "postgresql://u@a:1,b:2/d?sslmode=prefer");
    assert_eq!(url("postgresql://u@/d?host=a,b&port=9"), "postgresql://u@a:9,b:9/d?sslmode=prefer");
    assert_eq!(url("postgresql://u@[::1]:6000/d"), "postgresql://u@%3A%3A1:6000/d?sslmode=prefer");
    assert_eq!(
        url("postgresql://[fe80::1%25eth0]/d"),
        "postgresql://fe80%3A%3A1%25eth0:5432/d?sslmode=prefer"
    );
    assert_eq!(url("postgresql://u@/d?host=::1"), "postgresql://u@%3A%3A1:5432/d?sslmode=prefer");
    assert_eq!(url("postgresql://:6000/d?host=h"), "postgresql://h:6000/d?sslmode=prefer");
    assert_eq!(url("postgresql://[fd00::1]/d"), "postgresql://fd00%3A%3A1:5432/d?sslmode=prefer");
    assert_eq!(url("postgresql://u@/d?hostaddr=10.0.0.1"), "postgresql://u@10.0.0.1:5432/d?sslmode=prefer");
    let both = "postgresql://u@db:5432/d?sslmode=prefer&hostaddr=10.0.0.1";
    assert_eq!(url("postgresql://u@db/d?hostaddr=10.0.0.1"), both);
}

#[test]
fn unix_socket_is_a_directory_without_tls() {
    let socket = "postgresql://u@%2Fvar%2Frun%2Fpostgresql:5433/d?sslmode=disable";
    assert_eq!(url("postgresql://u@%2Fvar%2Frun%2Fpostgresql:5433/d"), socket);
    assert_eq!(url("postgresql://u@/d?host=/var/run/postgresql&port=5433"), socket);
    assert_eq!(url("postgresql://u@/d?host=/var/run/postgresql/.s.PGSQL.5433"), socket);
    let cloud = "postgresql://u@%2Fcloudsql%2Fp%3Ar%3Ai:5432/d?sslmode=disable";
    assert_eq!(url("postgresql+asyncpg://u@/d?host=/cloudsql/p:r:i"), cloud);

    let asked = connection(&[("DATABASE_URL", "postgresql://u@/d?host=/tmp&sslmode=require")]);
    assert_eq!(asked.tls, TlsMode::Disable);
    assert_eq!(asked.notes.len(), 1, "{:?}", asked.notes);
}

#[test]
fn tls_is_honoured_in_query_and_arguments() {
    let modes = [
        ("disable", TlsMode::Disable, "disable"),
        ("allow", TlsMode::Prefer, "prefer"),
        ("prefer", TlsMode::Prefer, "prefer"),
        ("require", TlsMode::Require, "require"),
        ("verify-ca", TlsMode::VerifyCa, "require"),
        ("verify-full", TlsMode::VerifyFull, "require"),
        ("verify_full", TlsMode::VerifyFull, "require"),
        ("true", TlsMode::VerifyFull, "require"),
        ("false", TlsMode::Disable, "disable"),
    ];
    for (text, tls, sslmode) in modes {
        for name in ["ssl", "sslmode"] {
            let query = connection(&[("DATABASE_URL", &format!("postgresql://u:p@h/d?{name}={text}"))]);
            assert_eq!(query.tls, tls, "?{name}={text}");
            assert_eq!(query.url, format!("postgresql://u:p@h:5432/d?sslmode={sslmode}"));
            assert_eq!(with_arguments(&format!(r#"{{"{name}": "{text}"}}"#)).tls, tls, "{name}: {text}");
        }
    }
    assert_eq!(with_arguments(r#"{"ssl": true}"#).tls, TlsMode::VerifyFull);
    assert_eq!(with_arguments(r#"{"ssl": false}"#).tls, TlsMode::Disable);
    assert_eq!(with_arguments(r#"{"ssl": null}"#).tls, TlsMode::Prefer);
}

#[test]
fn arguments_win_over_the_url() {
    let connection = connection(&[
        ("DATABASE_URL", "postgresql://u:p@h:1/d?sslmode=disable&connect_timeout=5"),
        ("DATABASE_CONNECT_ARGS", r#"{"ssl": "verify-full", "timeout": 2.5, "port": 2, "password": "q"}"#),
    ]);
    assert_eq!(connection.tls, TlsMode::VerifyFull);
    assert_eq!(connection.url, "postgresql://u:q@h:2/d?sslmode=require&connect_timeout=3");
    assert_eq!(connection.notes, [""; 0]);
}

#[test]
fn time_limit_of_asyncpg_is_passed_on() {
    let connection = with_arguments(r#"{"command_timeout": 7.5}"#);
    assert!(connection.url.ends_with("?sslmode=prefer&command_timeout=7.5"), "{}", connection.url);
    assert_eq!(connection.notes, [""; 0]);
    assert!(arguments_problem(r#"{"command_timeout": 0}"#).contains("command_timeout"));
}

#[test]
fn variables_of_libpq_fill_what_is_open() {
    let libpq = [
        ("PGHOST", "env-host"),
        ("PGPORT", "7"),
        ("PGUSER", "env-user"),
        ("PGPASSWORD", "env-password"),
        ("PGDATABASE", "env-db"),
        ("PGSSLMODE", "verify-ca"),
        ("PGSSLROOTCERT", "/ca.pem"),
        ("PGSSLKEY", "/key.pem"),
    ];
    let open = connection(&[&libpq[..], &[("DATABASE_URL", "postgresql://")]].concat());
    assert_eq!(open.url, "postgresql://env-user:env-password@env-host:7/env-db?sslmode=require");
    assert_eq!(open.tls, TlsMode::VerifyCa);
    assert_eq!(open.root_cert.as_deref(), Some("/ca.pem"));
    assert_eq!(open.notes, ["set but not read here: PGSSLKEY"]);

    let closed = connection(&[&libpq[..], &[("DATABASE_URL", "postgresql://u:p@h:1/d?ssl=true")]].concat());
    assert_eq!(closed.url, "postgresql://u:p@h:1/d?sslmode=require");
    assert_eq!(closed.tls, TlsMode::VerifyFull);
}

#[test]
fn password_without_user_is_kept() {
    let connection = connection(&[("DATABASE_URL", "postgresql://h/d"), ("PGPASSWORD", "p&q")]);
    assert_eq!(connection.url, "postgresql://h:5432/d?sslmode=prefer&password=p%26q");
}

#[test]
fn root_certificates_strengthen_require() {
    let ca = connection(&[("DATABASE_URL", "postgresql://h/d?sslmode=require&sslrootcert=/ca%20s.pem")]);
    assert_eq!((ca.tls, ca.root_cert.as_deref()), (TlsMode::VerifyCa, Some("/ca s.pem")));

    let system = connection(&[("DATABASE_URL", "postgresql://h/d?sslrootcert=system")]);
    assert_eq!((system.tls, system.root_cert), (TlsMode::VerifyFull, None));

    let idle = connection(&[("DATABASE_URL", "postgresql://h/d?sslrootcert=/ca.pem")]);
    assert_eq!(idle.tls, TlsMode::Prefer);
    assert_eq!(idle.notes.len(), 1, "{:?}", idle.notes);

    assert!(url_problem("postgresql://h/d?sslrootcert=system&sslmode=require").contains("no weaker"));
}

#[test]
fn known_options_are_passed_on() {
    let query = "application_name=pki+one&keepalives=0&keepalives_idle=30&target_session_attrs=primary";
    let expected =
        "application_name=pki%20one&keepalives=0&keepalives_idle=30&target_session_attrs=read-write";
    let given = format!("postgresql://h/d?{query}");
    assert_eq!(url(&given), format!("postgresql://h:5432/d?sslmode=prefer&{expected}"));
}

#[test]
fn session_parameters_become_options() {
    let arguments =
        r#"{"server_settings": {"application_name": "pki", "jit": "off", "search_path": "a b\\c"}}"#;
    let expected = "application_name=pki&options=-c%20jit%3Doff%20-c%20search_path%3Da%5C%20b%5C%5Cc";
    assert_eq!(with_arguments(arguments).url, format!("postgresql://u:p@h:5432/d?sslmode=prefer&{expected}"));
}

#[test]
fn options_without_meaning_are_noted_once() {
    let connection = connection(&[
        ("DATABASE_URL", "postgresql://u:p@h/d?prepared_statement_cache_size=0&x-y=1"),
        (
            "DATABASE_CONNECT_ARGS",
            r#"{"max_cached_statement_lifetime": 5, "statement_cache_size": 0, "direct_tls": null}"#,
        ),
    ]);
    let expected = [
        "DATABASE_CONNECT_ARGS: these options have no meaning here: max_cached_statement_lifetime, statement_cache_size",
        "DATABASE_URL: these options have no meaning here: (not a name), prepared_statement_cache_size",
    ];
    assert_eq!(connection.notes, expected);
}

#[test]
fn tls_options_that_cannot_be_honoured_are_refused() {
    assert!(url_problem("postgresql://h/d?sslcrl=/crl.pem").contains("sslcrl"));
    assert!(arguments_problem(r#"{"sslcert": "/cert.pem"}"#).contains("sslcert"));
    assert!(arguments_problem(r#"{"ssl": {"ca": "x"}}"#).contains("ssl"));
    assert!(arguments_problem(r#"{"ssl": "strict"}"#).contains("verify-full"));
    assert!(url_problem("postgresql://h/d?ssl=require&sslmode=disable").contains("contradict"));
}

#[test]
fn bad_options_are_refused() {
    assert!(url_problem("postgresql://h:port/d").contains("port"));
    assert!(url_problem("postgresql://h:0/d").contains("port"));
    assert!(url_problem("postgresql://h:65536/d").contains("port"));
    assert!(url_problem("postgresql://a:1,b:2/d?port=1,2,3").contains("number"));
    assert!(url_problem("postgresql://a,,b/d").contains("host"));
    assert!(url_problem("postgresql://a b/d").contains("host"));
    assert!(url_problem("postgresql://a:1:2/d").contains("host"));
    assert!(url_problem("postgresql://a,b/d?hostaddr=10.0.0.1").contains("hostaddr"));
    assert!(url_problem("postgresql:///d?host=/tmp&hostaddr=10.0.0.1").contains("hostaddr"));
    assert!(url_problem("postgresql://a/d?hostaddr=b").contains("hostaddr"));
    assert!(url_problem("postgresql://a/d?connect_timeout=soon").contains("connect_timeout"));
    assert!(url_problem("postgresql://a/d?target_session_attrs=standby").contains("read-write"));
    assert!(url_problem("postgresql://u:%ff@h/d").contains("UTF-8"));
    assert!(arguments_problem(r#"{"port": {}}"#).contains("port"));
    assert!(arguments_problem(r#"{"server_settings": {"a b": "c"}}"#).contains("server_settings"));
    assert!(arguments_problem(r#"{"server_settings": {"jit": []}}"#).contains("server_settings"));
    assert!(arguments_problem("[]").contains("JSON"));
}

#[test]
fn unclear_end_of_the_password_is_refused() {
    for text in [
        "postgresql://u:hush@hush@h/d",
        "postgresql://u:hush@hush?hush=@h/d",
        "postgresql://host:5432/d?application_name=hush@h",
        "postgresql://[::1]:5432/d?application_name=hush@h",
    ] {
        let message = url_problem(text);
        assert!(message.contains("%40"), "{message}");
        assert!(!message.contains("hush"), "{message}");
    }
}
