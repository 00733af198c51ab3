//! What service accounts may have issued, and the ways around it that there are not.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Client, P256, Server, World, merge, new_csr, on_both_databases};

on_both_databases! {
    account_without_a_policy_has_nothing_issued,
    first_rule_that_does_not_allow_is_named,
    names_of_the_subject_count_wherever_they_come_from,
    default_san_is_allowed_with_the_common_name,
    wildcards_need_a_literal_star,
    addresses_are_always_held_against_the_networks,
    addresses_of_clients_are_held_against_the_domains,
    default_validity_counts,
    renewal_is_held_against_todays_policy,
    policy_comes_after_the_right_to_issue,
    users_are_subject_to_no_policy,
    policy_is_set_shown_and_removed,
    malformed_policies_are_422,
    empty_lists_allow_nothing,
    type_ca_needs_the_right_to_create_cas,
    names_count_in_every_form_in_which_they_are_read,
    policy_with_names_outside_of_ascii_allows_them,
    names_that_take_too_long_to_check_are_refused,
}

struct Runner {
    world: World,
    client: Client,
    ca: Value,
}

/// A service account that may have `*.svc.example.com` issued as servers under CA 1, for 30 days.
async fn runner(server: &Server, more: Value) -> Runner {
    let world = server.world().await;
    let ca = world.red_admin.create_ca("Red", json!({})).await;
    let (_, client) =
        server.service_account(&world.red_admin, "runner", json!({"can_create_cert": true})).await;
    let mut rules = json!({
        "cn_patterns": ["*.svc.example.com"],
        "allowed_ca_ids": [1],
        "allowed_certificate_types": ["server"],
        "max_validity_days": 30,
    });
    merge(&mut rules, more);
    world.red_admin.put("/api/v1/service-accounts/1/policy", rules).await.expect(StatusCode::OK);
    Runner { world, client, ca }
}

impl Runner {
    async fn issue(&self, name: &str, more: Value) -> Result<Value, Value> {
        let mut body = json!({"valid_days": 30});
        merge(&mut body, more);
        let answer = self.client.try_create_certificate(&self.ca, name, body).await;
        match answer.status {
            StatusCode::CREATED => Ok(answer.json()),
            _ => Err(answer.expect(StatusCode::BAD_REQUEST)["detail"].clone()),
        }
    }

    async fn violates(&self, field: &str, value: &str, name: &str, more: Value) {
        let detail = self.issue(name, more).await.expect_err(field);
        assert_eq!(
            (&detail["code"], &detail["field"], &detail["value"]),
            (&json!("policy_violation"), &json!(field), &json!(value)),
            "{detail}"
        );
    }
}

async fn account_without_a_policy_has_nothing_issued(server: Server) {
    let runner = runner(&server, json!({})).await;
    runner.world.red_admin.delete("/api/v1/service-accounts/1/policy").await.expect(StatusCode::NO_CONTENT);
    let answer = runner.client.try_create_certificate(&runner.ca, "a.svc.example.com", json!({})).await;
    assert_eq!(answer.expect(StatusCode::FORBIDDEN)["detail"]["code"], "service_account_has_no_policy");
    let csr = new_csr(&P256, "/CN=a.svc.example.com", &[]);
    let body = json!({"csr": csr, "ca_id": 1, "certificate_type": "server"});
    let answer =
        runner.client.post("/api/v1/certificates/sign-csr", body).await.expect(StatusCode::FORBIDDEN);
    assert_eq!(answer["detail"]["code"], "service_account_has_no_policy");
}

async fn first_rule_that_does_not_allow_is_named(server: Server) {
    let runner = runner(&server, json!({"allowed_ca_ids": [2]})).await;
    let all_wrong =
        json!({"certificate_type": "client", "valid_days": 31, "san_email_addresses": ["a@evil.net"]});
    runner.violates("allowed_certificate_types", "client", "www.evil.net", all_wrong).await;
    let more = json!({"valid_days": 31, "san_dns_names": ["x.evil.net"], "san_ip_addresses": ["192.0.2.1"]});
    runner.violates("allowed_ca_ids", "1", "www.evil.net", more.clone()).await;
    let rules = |more: Value| {
        let mut rules = json!({"cn_patterns": ["*.svc.example.com"], "allowed_ca_ids": [1], "allowed_certificate_types": ["server"], "max_validity_days": 30});
        merge(&mut rules, more);
        rules
    };
    let policy = "/api/v1/service-accounts/1/policy";
    for (so_far, field, value) in [
        (json!({}), "cn_patterns", "www.evil.net"),
        (json!({"cn_patterns": ["*"]}), "san_dns_patterns", "x.evil.net"),
        (json!({"cn_patterns": ["*"], "san_dns_patterns": ["*"]}), "san_ip_cidrs", "192.0.2.1"),
        (
            json!({"cn_patterns": ["*"], "san_dns_patterns": ["*"], "san_ip_cidrs": ["192.0.2.0/24"]}),
            "max_validity_days",
            "31",
        ),
    ] {
        runner.world.red_admin.put(policy, rules(so_far)).await.expect(StatusCode::OK);
        runner.violates(field, value, "www.evil.net", more.clone()).await;
    }
    assert_eq!(server.database.peek("SELECT count(*) FROM certificates").await, ["0"]);
}

/// The attack: a common name that is allowed, and another in the subject, or in the CSR.
async fn names_of_the_subject_count_wherever_they_come_from(server: Server) {
    let runner = runner(&server, json!({})).await;
    let good = "a.svc.example.com";
    for subject in [format!("CN={good},CN=www.evil.net"), format!("CN=www.evil.net,CN={good}")] {
        runner.violates("cn_patterns", "www.evil.net", good, json!({"subject_dn": subject})).await;
    }
    // The second is the attribute `mail`.
    for attribute in ["emailAddress", "0.9.2342.19200300.100.1.3"] {
        let more = json!({"subject_dn": format!("CN={good},{attribute}=boss@evil.net")});
        runner.violates("san_email_domains", "boss@evil.net", good, more).await;
    }
    let sign = async |csr: &str, more: Value| {
        let mut body = json!({"csr": csr, "ca_id": 1, "certificate_type": "server", "valid_days": 30});
        merge(&mut body, more);
        runner.client.post("/api/v1/certificates/sign-csr", body).await
    };
    let evil = new_csr(&P256, "/CN=www.evil.net", &[]);
    sign(&evil, json!({})).await.expect(StatusCode::BAD_REQUEST);
    // Both names given, and the CSR's is not used at all.
    let given = json!({"common_name": good, "subject_dn": format!("CN={good}")});
    sign(&evil, given).await.expect(StatusCode::CREATED);
    let two = new_csr(&P256, &format!("/CN={good}/CN=www.evil.net"), &[]);
    sign(&two, json!({"common_name": good})).await.expect(StatusCode::CREATED);
    let signed = runner.client.get("/api/v1/certificates/2").await.expect(StatusCode::OK);
    assert!(!signed["subject_dn"].as_str().unwrap().contains("evil"), "{signed}");
    let sans = new_csr(&P256, &format!("/CN={good}"), &["subjectAltName=DNS:www.evil.net"]);
    let detail = sign(&sans, json!({})).await.expect(StatusCode::BAD_REQUEST)["detail"].clone();
    assert_eq!((&detail["field"], &detail["value"]), (&json!("san_dns_patterns"), &json!("www.evil.net")));
    sign(&sans, json!({"san_dns_names": [good]})).await.expect(StatusCode::CREATED);
}

async fn default_san_is_allowed_with_the_common_name(server: Server) {
    let runner = runner(&server, json!({})).await;
    let made = runner.issue("a.svc.example.com", json!({})).await.unwrap();
    assert_eq!(made["created_by_service_account_id"], 1);
    runner.issue("A.SVC.example.com", json!({"san_dns_names": ["a.svc.EXAMPLE.com"]})).await.unwrap();
    runner
        .violates(
            "san_dns_patterns",
            "b.svc.example.com",
            "a.svc.example.com",
            json!({"san_dns_names": ["a.svc.example.com", "b.svc.example.com"]}),
        )
        .await;
}

async fn wildcards_need_a_literal_star(server: Server) {
    let runner = runner(&server, json!({"san_dns_patterns": ["*.svc.example.com"]})).await;
    runner.violates("cn_patterns", "*.svc.example.com", "*.svc.example.com", json!({})).await;
    runner
        .violates(
            "san_dns_patterns",
            "*.svc.example.com",
            "a.svc.example.com",
            json!({"san_dns_names": ["*.svc.example.com"]}),
        )
        .await;
    let rules = json!({"cn_patterns": ["[*].svc.example.com"], "allowed_ca_ids": [1], "allowed_certificate_types": ["server"], "max_validity_days": 30});
    runner.world.red_admin.put("/api/v1/service-accounts/1/policy", rules).await.expect(StatusCode::OK);
    runner.issue("*.svc.example.com", json!({})).await.unwrap();
}

async fn addresses_are_always_held_against_the_networks(server: Server) {
    let rules = json!({"cn_patterns": ["*"], "san_ip_cidrs": ["192.0.2.7/24", "2001:db8::1"]});
    let runner = runner(&server, rules).await;
    for (name, allowed) in
        [("192.0.2.200", true), ("192.0.3.1", false), ("2001:db8::1", true), ("2001:db8::2", false)]
    {
        match allowed {
            true => drop(runner.issue(name, json!({})).await.unwrap()),
            false => runner.violates("san_ip_cidrs", name, name, json!({})).await,
        }
    }
}

async fn addresses_of_clients_are_held_against_the_domains(server: Server) {
    let rules = json!({"cn_patterns": ["*"], "allowed_certificate_types": ["client"], "san_email_domains": ["Example.com"]});
    let runner = runner(&server, rules).await;
    let client = |addresses: Value| json!({"certificate_type": "client", "san_email_addresses": addresses});
    runner.issue("Bob", client(json!(["bob@example.com"]))).await.unwrap();
    for address in ["bob@sub.example.com", "bob@evil-example.com"] {
        runner.violates("san_email_domains", address, "Bob", client(json!([address]))).await;
    }
    // The common name, as an address, was allowed by cn_patterns.
    runner.issue("eve@elsewhere.net", json!({"certificate_type": "client"})).await.unwrap();
}

async fn default_validity_counts(server: Server) {
    let runner = runner(&server, json!({})).await;
    runner.violates("max_validity_days", "365", "a.svc.example.com", json!({"valid_days": null})).await;
    let zero = json!({"valid_days": 0});
    let answer = runner.client.try_create_certificate(&runner.ca, "a.svc.example.com", zero).await;
    answer.expect(StatusCode::UNPROCESSABLE_ENTITY);
}

async fn renewal_is_held_against_todays_policy(server: Server) {
    let runner = runner(&server, json!({})).await;
    runner.issue("a.svc.example.com", json!({})).await.unwrap();
    let renewed =
        runner.client.post("/api/v1/certificates/1/renew", json!({})).await.expect(StatusCode::CREATED);
    assert_eq!(renewed["renewed_from_id"], 1);
    let rules = json!({"cn_patterns": ["b.svc.example.com"], "allowed_ca_ids": [1], "allowed_certificate_types": ["server"], "max_validity_days": 30});
    runner.world.red_admin.put("/api/v1/service-accounts/1/policy", rules).await.expect(StatusCode::OK);
    let refused =
        runner.client.post("/api/v1/certificates/1/renew", json!({})).await.expect(StatusCode::BAD_REQUEST);
    assert_eq!(refused["detail"]["field"], "cn_patterns");
}

async fn policy_comes_after_the_right_to_issue(server: Server) {
    let runner = runner(&server, json!({"allowed_ca_ids": [1, 2]})).await;
    runner.world.blue_admin.create_ca("Blue", json!({})).await;
    let foreign =
        runner.client.try_create_certificate(&json!({"id": 2}), "a.svc.example.com", json!({})).await;
    foreign.expect(StatusCode::FORBIDDEN);
    let change = json!({"can_create_cert": false});
    runner.world.red_admin.patch("/api/v1/service-accounts/1", change).await.expect(StatusCode::OK);
    let answer = runner.client.try_create_certificate(&runner.ca, "a.svc.example.com", json!({})).await;
    answer.expect(StatusCode::FORBIDDEN);
}

async fn users_are_subject_to_no_policy(server: Server) {
    let runner = runner(&server, json!({})).await;
    runner.world.red_admin.create_certificate(&runner.ca, "www.example.org", json!({})).await;
}

async fn policy_is_set_shown_and_removed(server: Server) {
    let runner = runner(&server, json!({"san_ip_cidrs": ["192.0.2.0/24"], "allowed_ca_ids": [1, 77]})).await;
    let path = "/api/v1/service-accounts/1/policy";
    let admin = &runner.world.red_admin;
    let policy = admin.get(path).await.expect(StatusCode::OK);
    for (field, expected) in [
        ("service_account_id", json!(1)),
        ("cn_patterns", json!(["*.svc.example.com"])),
        ("san_dns_patterns", json!([])),
        ("san_ip_cidrs", json!(["192.0.2.0/24"])),
        ("san_email_domains", json!([])),
        ("allowed_ca_ids", json!([1, 77])),
        ("allowed_certificate_types", json!(["server"])),
        ("max_validity_days", json!(30)),
    ] {
        assert_eq!(policy[field], expected, "{field}");
    }
    server.clock.advance(1);
    let changed = admin.put(path, json!({"max_validity_days": 7})).await.expect(StatusCode::OK);
    assert_eq!(
        (&changed["id"], &changed["created_at"], &changed["cn_patterns"]),
        (&policy["id"], &policy["created_at"], &json!([]))
    );
    for _ in 0..2 {
        admin.delete(path).await.expect(StatusCode::NO_CONTENT);
    }
    admin.get(path).await.expect(StatusCode::NOT_FOUND);
    let log = admin.get("/api/v1/audit-logs/?action=service_account_update").await.expect(StatusCode::OK);
    assert_eq!(log.as_array().unwrap().len(), 3, "set twice, removed once: {log}");
}

async fn malformed_policies_are_422(server: Server) {
    let runner = runner(&server, json!({})).await;
    for (body, problems) in [
        (json!({}), 1),
        (json!({"max_validity_days": 0}), 1),
        (json!({"max_validity_days": 1, "san_ip_cidrs": ["192.0.2.0/33", "192.0.2.0/24", "x"]}), 2),
        (json!({"max_validity_days": 1, "cn_patterns": "a", "allowed_ca_ids": ["x", 1]}), 2),
        (json!({"max_validity_days": 1, "allowed_certificate_types": ["server", "king"]}), 1),
        (json!({"max_validity_days": 1, "cn_patterns": vec!["a"; 1001]}), 1),
    ] {
        let answer = runner.world.red_admin.put("/api/v1/service-accounts/1/policy", body).await;
        let answer = answer.expect(StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(answer["detail"].as_array().unwrap().len(), problems, "{answer}");
    }
}

async fn empty_lists_allow_nothing(server: Server) {
    let runner = runner(&server, json!({"cn_patterns": []})).await;
    runner.violates("cn_patterns", "a.svc.example.com", "a.svc.example.com", json!({})).await;
    // FastPKI 0.4 may have left a list out.
    server
        .database
        .script("UPDATE issuance_policies SET cn_patterns = NULL, allowed_certificate_types = NULL")
        .await;
    runner.violates("allowed_certificate_types", "server", "a.svc.example.com", json!({})).await;
}

async fn type_ca_needs_the_right_to_create_cas(server: Server) {
    let rules = json!({"cn_patterns": ["*"], "allowed_certificate_types": ["ca"]});
    let runner = runner(&server, rules).await;
    let ca = json!({"certificate_type": "ca", "valid_days": 30});
    let refused = runner.client.try_create_certificate(&runner.ca, "Sub", ca.clone()).await;
    refused.expect(StatusCode::FORBIDDEN);
    let change = json!({"can_create_ca": true});
    runner.world.red_admin.patch("/api/v1/service-accounts/1", change).await.expect(StatusCode::OK);
    runner.client.create_certificate(&runner.ca, "Sub", ca).await;
}

/// The attack: a name that becomes another one on its way into the certificate.
async fn names_count_in_every_form_in_which_they_are_read(server: Server) {
    let rules = json!({
        "cn_patterns": ["[!p]*.svc.example.com"],
        "san_dns_patterns": ["[!p]*.svc.example.com"],
        "san_email_domains": ["example.com"],
        "allowed_certificate_types": ["server", "client"],
    });
    let runner = runner(&server, rules).await;
    let good = "a.svc.example.com";
    let disguised = [
        "ｐrod.svc.example.com",
        "\u{ad}prod.svc.example.com",
        "ⓟrod.svc.example.com",
        "\u{2060}prod.svc.example.com",
    ];
    for name in disguised {
        runner
            .violates(
                "cn_patterns",
                "prod.svc.example.com",
                name,
                json!({"subject_dn": format!("CN={name}")}),
            )
            .await;
        // Also where no alternative name is made of it.
        let more = json!({"subject_dn": format!("CN={name}"), "san_dns_names": [good]});
        runner.violates("cn_patterns", "prod.svc.example.com", name, more).await;
        let client = json!({"subject_dn": format!("CN={name}"), "certificate_type": "client"});
        runner.violates("cn_patterns", "prod.svc.example.com", name, client).await;
        let among_others = json!({"subject_dn": format!("CN={good},CN={name}")});
        runner.violates("cn_patterns", "prod.svc.example.com", good, among_others).await;
        runner
            .violates(
                "san_dns_patterns",
                "prod.svc.example.com",
                good,
                json!({"san_dns_names": [good, name]}),
            )
            .await;
    }
    // An A-label stands for its U-label, "pröd".
    let accented = "xn--prd-tna.svc.example.com";
    runner.violates("cn_patterns", "pröd.svc.example.com", accented, json!({})).await;
    runner
        .violates(
            "san_dns_patterns",
            "pröd.svc.example.com",
            good,
            json!({"san_dns_names": [good, accented]}),
        )
        .await;
    // By a CSR, with its own names and with those beside it.
    let sign = async |csr: String, more: Value| {
        let mut body = json!({"csr": csr, "ca_id": 1, "certificate_type": "server", "valid_days": 30});
        merge(&mut body, more);
        let refused = runner.client.post("/api/v1/certificates/sign-csr", body).await;
        refused.expect(StatusCode::BAD_REQUEST)["detail"].clone()
    };
    let subject = "/CN=ｐrod.svc.example.com";
    let detail = sign(new_csr(&[&["-utf8"][..], &P256].concat(), subject, &[]), json!({})).await;
    assert_eq!((&detail["field"], &detail["value"]), (&json!("cn_patterns"), &json!("prod.svc.example.com")));
    let csr = new_csr(&P256, &format!("/CN={good}"), &[]);
    let detail = sign(csr, json!({"common_name": disguised[1]})).await;
    assert_eq!((&detail["field"], &detail["value"]), (&json!("cn_patterns"), &json!("prod.svc.example.com")));
    // E-mail addresses become others too, and their domains are compared as they will be in the certificate.
    let client = |address: &str| json!({"certificate_type": "client", "san_email_addresses": [address]});
    let more = client("eve@ｅvil.net");
    runner.violates("san_email_domains", "eve@evil.net", good, more).await;
    assert_eq!(server.database.peek("SELECT count(*) FROM certificates").await, ["0"]);
    // By renewal: the certificate is there, and the policy is today's.
    runner.world.red_admin.create_certificate(&runner.ca, disguised[0], json!({})).await;
    let change = json!({"can_create_cert": true});
    runner.world.red_admin.patch("/api/v1/service-accounts/1", change).await.expect(StatusCode::OK);
    let refused =
        runner.client.post("/api/v1/certificates/1/renew", json!({})).await.expect(StatusCode::BAD_REQUEST);
    assert_eq!(refused["detail"]["value"], "prod.svc.example.com", "{refused}");
}

async fn policy_with_names_outside_of_ascii_allows_them(server: Server) {
    let rules = json!({
        "cn_patterns": ["*.bücher.example", "zürich.example"],
        "san_dns_patterns": ["xn--mnchen-3ya.example"],
        "san_email_domains": ["bücher.example"],
        "allowed_certificate_types": ["server", "client"],
    });
    let runner = runner(&server, rules).await;
    for name in ["www.bücher.example", "www.xn--bcher-kva.example", "zürich.example", "ZÜRICH.example"] {
        runner.issue(name, json!({})).await.unwrap();
    }
    runner
        .issue("zürich.example", json!({"san_dns_names": ["zürich.example", "münchen.example"]}))
        .await
        .unwrap();
    for address in ["bob@bücher.example", "bob@xn--bcher-kva.example"] {
        let client = json!({"certificate_type": "client", "san_email_addresses": [address]});
        runner.issue("www.bücher.example", client).await.unwrap();
    }
}

/// The attack: 999 patterns that are as costly as they can be, one that fits, and 1,000 names.
async fn names_that_take_too_long_to_check_are_refused(server: Server) {
    let mut patterns: Vec<String> = (0..999).map(|number| format!("*{}b{number}*", "a".repeat(60))).collect();
    patterns.push("*".to_owned());
    let runner = runner(&server, json!({"cn_patterns": ["*"], "san_dns_patterns": patterns})).await;
    let label = "a".repeat(62);
    let names = |count| -> Vec<String> {
        (0..count).map(|number| format!("{label}.{label}.{label}.a{number}")).collect()
    };
    let name = "a.svc.example.com";
    let detail = runner.issue(name, json!({"san_dns_names": names(1000)})).await.unwrap_err();
    assert!(detail.as_str().unwrap().contains("fewer names at once"), "{detail}");
    runner.issue(name, json!({"san_dns_names": names(2)})).await.unwrap();
}
