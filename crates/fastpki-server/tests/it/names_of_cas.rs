//! Names and subjects that only one CA has, and what `ca_name` finds.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Client, P256, Server, new_csr, on_both_databases};

on_both_databases! {
    name_is_taken_within_an_organization_alone,
    of_many_who_want_a_name_one_gets_it,
    subject_is_taken_below_a_parent_and_among_roots,
    no_certificate_has_its_issuers_subject,
    taken_names_are_not_given_by_renaming_moving_or_importing,
    cas_of_one_name_from_before_keep_working,
    ca_name_finds_ones_own,
}

async fn sign(client: &Client, ca_name: &str) -> crate::harness::Answer {
    let csr = new_csr(&P256, "/CN=www.example.com", &[]);
    let body = json!({"csr": csr, "ca_name": ca_name, "certificate_type": "server"});
    client.post("/api/v1/certificates/sign-csr", body).await
}

fn says(answer: &Value, words: &str) {
    assert!(answer["detail"].as_str().unwrap().contains(words), "{answer}");
}

async fn name_is_taken_within_an_organization_alone(server: Server) {
    let world = server.world().await;
    let ca = world.red_admin.create_ca("Issuing", json!({})).await;
    let again = json!({"subject_dn": "CN=Other"});
    let refused =
        world.red_admin.try_create_ca("Issuing", again.clone()).await.expect(StatusCode::BAD_REQUEST);
    says(&refused, "a CA with this name");
    world.red_admin.create_ca("issuing", again).await;
    // Nobody takes it from others: Blue and superusers have theirs.
    world.blue_admin.create_ca("Issuing", json!({})).await;
    world.root.create_ca("Issuing", json!({})).await;
    let signed = sign(&world.red_admin, "Issuing").await.expect(StatusCode::CREATED);
    assert_eq!(signed["issuer_id"], ca["id"]);
    world.red_admin.delete(&format!("/api/v1/cas/{}", ca["id"])).await.expect(StatusCode::NO_CONTENT);
    world.red_admin.create_ca("Issuing", json!({})).await;
}

async fn of_many_who_want_a_name_one_gets_it(server: Server) {
    let world = server.world().await;
    let attempts = (0..6).map(|number| {
        let more = json!({"subject_dn": format!("CN={number}")});
        world.red_admin.try_create_ca("Issuing", more)
    });
    let answers = futures_util::future::join_all(attempts).await;
    let count = |status| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((count(StatusCode::CREATED), count(StatusCode::BAD_REQUEST)), (1, 5));
}

async fn subject_is_taken_below_a_parent_and_among_roots(server: Server) {
    let world = server.world().await;
    let admin = &world.red_admin;
    let top = admin.create_ca("Top", json!({"subject_dn": "CN=Top,O=Example"})).await;
    let taken = async |name: &str, parent: &Value, subject: &str| {
        let more = json!({"parent_ca_id": parent, "subject_dn": subject});
        admin.try_create_ca(name, more).await.expect(StatusCode::BAD_REQUEST)
    };
    admin.create_ca("Sub", json!({"parent_ca_id": top["id"], "subject_dn": "CN=Sub,O=Example"})).await;
    for subject in ["CN=Sub,O=Example", "CN=SUB, O=example", "CN=sub ,O=Example"] {
        says(&taken("Other", &top["id"], subject).await, "with this subject");
    }
    says(&taken("Other", &top["id"], "CN=top,O=EXAMPLE").await, "the subject of the CA that is to sign");
    says(&taken("Other", &Value::Null, "CN=TOP,O=Example").await, "with this subject");
    // Elsewhere it is another CA.
    let other = admin.create_ca("Other", json!({"subject_dn": "CN=Sub,O=Example"})).await;
    admin.create_ca("Low", json!({"parent_ca_id": other["id"], "subject_dn": "CN=Top,O=Example"})).await;
    world.blue_admin.create_ca("Top", json!({"subject_dn": "CN=Top,O=Example"})).await;
}

async fn no_certificate_has_its_issuers_subject(server: Server) {
    let root = server.superuser().await;
    let ca = root.create_ca("Root", json!({"subject_dn": "CN=www.example.com"})).await;
    let refused = root.try_create_certificate(&ca, "www.example.com", json!({})).await;
    says(&refused.expect(StatusCode::BAD_REQUEST), "choose another subject");
    let csr = new_csr(&P256, "/CN=WWW.example.com", &[]);
    let body = json!({"csr": csr, "ca_id": ca["id"], "certificate_type": "server"});
    root.post("/api/v1/certificates/sign-csr", body).await.expect(StatusCode::BAD_REQUEST);
    root.create_certificate(&ca, "www.example.com", json!({"subject_dn": "CN=www.example.com,O=x"})).await;
}

async fn taken_names_are_not_given_by_renaming_moving_or_importing(server: Server) {
    let world = server.world().await;
    world.red_admin.create_ca("One", json!({})).await;
    let two = world.red_admin.create_ca("Two", json!({})).await;
    let path = format!("/api/v1/cas/{}", two["id"]);
    let refused = world.red_admin.patch(&path, json!({"name": "One"})).await.expect(StatusCode::BAD_REQUEST);
    says(&refused, "a CA with this name");
    // Moved.
    let more = json!({"subject_dn": "CN=Elsewhere"});
    let one = world.blue_admin.create_ca("One", more).await;
    let path = format!("/api/v1/cas/{}", one["id"]);
    let to_red = json!({"organization_id": world.red});
    says(&world.root.patch(&path, to_red).await.expect(StatusCode::BAD_REQUEST), "a CA with this name");
    assert_eq!(world.root.get(&path).await.expect(StatusCode::OK)["organization_id"], world.blue);
    let renamed = json!({"organization_id": world.red, "name": "One of Blue"});
    world.root.patch(&path, renamed).await.expect(StatusCode::OK);
    // Moved with the CA above it, and a root whose subject is taken.
    let tops = world.root.create_ca("Top", json!({})).await;
    world.root.create_ca("Two", json!({"parent_ca_id": tops["id"], "subject_dn": "CN=Below"})).await;
    let path = format!("/api/v1/cas/{}", tops["id"]);
    let all = json!({"organization_id": world.red, "cascade": true});
    world.root.patch(&path, all).await.expect(StatusCode::BAD_REQUEST);
    let same = world.blue_admin.create_ca("Three", json!({"subject_dn": "CN=two,O=Example"})).await;
    let path = format!("/api/v1/cas/{}", same["id"]);
    let refused =
        world.root.patch(&path, json!({"organization_id": world.red})).await.expect(StatusCode::BAD_REQUEST);
    says(&refused, "with this subject");
    // Imported.
    let import = |ca: &Value, name: &str| json!({"name": name, "certificate": ca["certificate"], "private_key": ca["private_key"]});
    let gone = world.root.create_ca("Gone", json!({"subject_dn": "CN=TWO,O=Example"})).await;
    world.root.delete(&format!("/api/v1/cas/{}", gone["id"])).await.expect(StatusCode::NO_CONTENT);
    let post = async |client: &Client, body: Value, status| {
        client.post("/api/v1/cas/import", body).await.expect(status)
    };
    says(&post(&world.red_admin, import(&gone, "Two"), StatusCode::BAD_REQUEST).await, "this name");
    says(&post(&world.red_admin, import(&gone, "Gone"), StatusCode::BAD_REQUEST).await, "this subject");
    let blues = post(&world.blue_admin, import(&same, "Three"), StatusCode::OK).await;
    assert_eq!(blues["created"], false);
}

async fn cas_of_one_name_from_before_keep_working(server: Server) {
    let world = server.world().await;
    for name in ["One", "Two"] {
        world.red_admin.create_ca(name, json!({})).await;
    }
    // As FastPKI 0.4 left them.
    let before = "UPDATE certificate_authorities SET name = 'Same', subject_key = NULL";
    server.database.script(before).await;
    let refused = sign(&world.red_admin, "Same").await.expect(StatusCode::CONFLICT);
    says(&refused, "give ca_id, one of 1, 2");
    for id in [1, 2] {
        world.red_admin.create_certificate(&json!({"id": id}), "www.example.com", json!({})).await;
    }
    let same = json!({"description": "old"});
    world.red_admin.patch("/api/v1/cas/1", same).await.expect(StatusCode::OK);
    // Their subjects count too.
    let more = json!({"subject_dn": "CN=one,O=Example"});
    world.red_admin.try_create_ca("Three", more).await.expect(StatusCode::BAD_REQUEST);
    world.red_admin.patch("/api/v1/cas/2", json!({"name": "Other"})).await.expect(StatusCode::OK);
    let signed = sign(&world.red_admin, "Same").await.expect(StatusCode::CREATED);
    assert_eq!(signed["issuer_id"], 1);
}

async fn ca_name_finds_ones_own(server: Server) {
    let world = server.world().await;
    let reds = world.red_admin.create_ca("Issuing", json!({})).await;
    assert_eq!(sign(&world.root, "Issuing").await.expect(StatusCode::CREATED)["issuer_id"], reds["id"]);
    // Another tenant's does not stand in for it.
    world.blue_admin.create_ca("Issuing", json!({})).await;
    sign(&world.root, "Issuing").await.expect(StatusCode::CONFLICT);
    let own = world.root.create_ca("Issuing", json!({})).await;
    assert_eq!(sign(&world.root, "Issuing").await.expect(StatusCode::CREATED)["issuer_id"], own["id"]);
    assert_eq!(sign(&world.red_admin, "Issuing").await.expect(StatusCode::CREATED)["issuer_id"], reds["id"]);
}
