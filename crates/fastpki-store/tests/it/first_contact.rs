use fastpki_store::StoreError;

use fastpki_testing::{Database, on_both_databases};

use crate::harness::{audit, now, open};

on_both_databases! {
    new_database_is_made_and_opened_again,
    servers_that_start_at_once_migrate_once,
    newer_database_is_refused,
    old_revision_is_refused_with_what_to_do,
    foreign_database_is_refused_and_left_alone,
    database_of_an_older_version_without_migrations_is_refused,
    new_database_is_its_owners_alone,
}

async fn new_database_is_made_and_opened_again(database: Database) {
    let store = open(&database).await.unwrap();
    store.create_organization("Red".into(), None, now(), audit(None)).await.unwrap();
    store.close().await;
    let store = open(&database).await.unwrap();
    assert_eq!(store.organizations(None).await.unwrap()[0].name, "Red");
    // What FastPKI 0.4.0 looks for when it opens the database; its main branch goes on from there.
    let stamp = "SELECT count(*) FROM alembic_version WHERE version_num = 'c7d99ce53025'";
    assert_eq!(database.peek(stamp).await, ["1"]);
}

async fn servers_that_start_at_once_migrate_once(database: Database) {
    let starts: Vec<_> = (0..4)
        .map(|_| {
            let database = database.clone();
            tokio::spawn(async move { open(&database).await.map(drop) })
        })
        .collect();
    for start in starts {
        start.await.unwrap().unwrap();
    }
    let all = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations")).unwrap().count();
    assert_eq!(database.peek("SELECT count(*) FROM fastpki_migrations").await, [all.to_string()]);
}

async fn refusal(database: &Database) -> String {
    match open(database).await {
        Err(StoreError::Unusable(text)) => text,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was opened"),
    }
}

async fn newer_database_is_refused(database: Database) {
    open(&database).await.unwrap().close().await;
    let sql = "INSERT INTO fastpki_migrations (version, name, applied_at) VALUES (99, 'later', '2030-01-01 00:00:00')";
    database.script(sql).await;
    assert!(refusal(&database).await.contains("newer version"));
}

async fn old_revision_is_refused_with_what_to_do(database: Database) {
    let sql = "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL);
               INSERT INTO alembic_version VALUES ('0123456789ab')";
    database.script(sql).await;
    let text = refusal(&database).await;
    for part in ["0123456789ab", "c7d99ce53025", "d968617a7e2f", "update the old FastPKI to 0.4.0"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // Branches of migrations that were applied in part, whichever row comes first.
    for other in ["0123456789ab", "ffffffffffff"] {
        let both = format!(
            "DELETE FROM alembic_version; INSERT INTO alembic_version VALUES ('{other}'), ('c7d99ce53025'), ('{other}')"
        );
        database.script(&both).await;
        assert!(refusal(&database).await.contains(&format!("at revision {other} of")));
    }
    database.script("DELETE FROM alembic_version").await;
    let text = refusal(&database).await;
    assert!(text.contains("alembic_version is empty") && text.contains("d968617a7e2f"), "{text}");
}

async fn foreign_database_is_refused_and_left_alone(database: Database) {
    database.script("CREATE TABLE users (id INTEGER PRIMARY KEY, nickname VARCHAR)").await;
    assert!(refusal(&database).await.contains("a database of its own"));
    assert_eq!(database.peek("SELECT count(*) FROM users").await, ["0"]);
    database.script("DROP TABLE users; CREATE TABLE recipes (id INTEGER PRIMARY KEY)").await;
    assert!(refusal(&database).await.contains("(recipes)"));
    database.script("CREATE TABLE fastpki_migrations (x INTEGER)").await;
}

async fn database_of_an_older_version_without_migrations_is_refused(database: Database) {
    open(&database).await.unwrap().close().await;
    // An older version had no service accounts' flags, and left no stamp where its migrations were not run.
    let sql = "DROP TABLE fastpki_migrations; DROP TABLE alembic_version;
               ALTER TABLE service_accounts DROP COLUMN can_delete_ca";
    database.script(sql).await;
    let text = refusal(&database).await;
    assert!(text.contains("'can_delete_ca'") && text.contains("bring it to 0.4.0"), "{text}");
}

async fn new_database_is_its_owners_alone(database: Database) {
    use std::os::unix::fs::PermissionsExt;
    let _store = open(&database).await.unwrap();
    if let Some(file) = database.file() {
        for suffix in ["", "-wal", "-shm"] {
            let name = format!("{}{suffix}", file.display());
            assert_eq!(std::fs::metadata(&name).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
        }
    }
}
