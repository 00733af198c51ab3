use fastpki_types::Flags;

use super::*;

const OWN: Option<OrganizationId> = Some(OrganizationId(1));
const OTHER: Option<OrganizationId> = Some(OrganizationId(2));
const ACTIONS: [Action; 6] = [
    Action::Read,
    Action::CreateCa,
    Action::CreateCert,
    Action::RevokeCert,
    Action::ExportPrivateKey,
    Action::DeleteCa,
];

fn user(role: UserRole, organization_id: Option<OrganizationId>) -> Caller {
    Caller {
        id: PrincipalId::User(UserId(7)),
        name: "somebody".into(),
        role,
        organization_id,
        flags: Flags::default(),
        access_token: None,
        tokens_invalidated_at: None,
        token_generation: 0,
        account_token: None,
    }
}

fn account(organization_id: Option<OrganizationId>) -> Caller {
    Caller { id: PrincipalId::ServiceAccount(ServiceAccountId(7)), ..user(UserRole::User, organization_id) }
}

/// A resource of an organization, created by somebody else.
fn of(organization_id: Option<OrganizationId>) -> Ownership {
    Ownership { organization_id, created_by_user_id: Some(UserId(99)), created_by_service_account_id: None }
}

fn by_user(id: i32, organization_id: Option<OrganizationId>) -> Ownership {
    Ownership { created_by_user_id: Some(UserId(id)), ..of(organization_id) }
}

fn all(caller: &Caller, resource: Ownership) -> bool {
    ACTIONS.iter().all(|action| allows(caller, *action, resource))
}

fn none(caller: &Caller, resource: Ownership) -> bool {
    ACTIONS.iter().all(|action| !allows(caller, *action, resource))
}

#[test]
fn rule_1_superuser_may_everything() {
    for organization in [None, OWN, OTHER] {
        assert!(all(&user(UserRole::Superuser, None), of(organization)));
    }
}

#[test]
fn rule_2_creator_may_everything_in_the_organization_they_are_in() {
    assert!(all(&user(UserRole::User, OWN), by_user(7, OWN)));
    assert!(all(&user(UserRole::User, None), by_user(7, None)));
}

#[test]
fn rule_2_creator_who_left_the_organization_may_nothing() {
    assert!(none(&user(UserRole::User, OTHER), by_user(7, OWN)));
    assert!(none(&user(UserRole::User, None), by_user(7, OWN)));
    assert!(none(&user(UserRole::User, OWN), by_user(7, None)));
}

#[test]
fn rule_2_account_with_the_creators_number_is_not_the_creator() {
    assert!(!allows(&account(OWN), Action::DeleteCa, by_user(7, OWN)));
    assert!(none(&account(None), by_user(7, None)));
}

#[test]
fn rule_3_resource_without_organization_is_nobodys() {
    for role in [UserRole::Admin, UserRole::User] {
        for organization in [None, OWN] {
            assert!(none(&user(role, organization), of(None)));
        }
    }
}

#[test]
fn rule_4_other_organizations_resources_are_out_of_reach() {
    let mut caller = user(UserRole::Admin, OWN);
    caller.flags = Flags { can_create_ca: true, can_create_cert: true, ..caller.flags };
    assert!(none(&caller, of(OTHER)));
    assert!(none(&user(UserRole::Admin, None), of(OTHER)));
}

#[test]
fn rule_5_admin_may_everything_in_their_organization() {
    assert!(all(&user(UserRole::Admin, OWN), of(OWN)));
}

#[test]
fn rule_6_everybody_reads_in_their_organization() {
    for caller in [user(UserRole::User, OWN), account(OWN)] {
        assert!(allows(&caller, Action::Read, of(OWN)));
    }
}

#[test]
fn rule_7_each_flag_allows_its_action_and_no_other() {
    let flags = [
        (Action::CreateCa, Flags { can_create_ca: true, ..Flags::default() }),
        (Action::CreateCert, Flags { can_create_cert: true, ..Flags::default() }),
        (Action::RevokeCert, Flags { can_revoke_cert: true, ..Flags::default() }),
        (Action::ExportPrivateKey, Flags { can_export_private_key: true, ..Flags::default() }),
        (Action::DeleteCa, Flags { can_delete_ca: true, ..Flags::default() }),
    ];
    for (allowed, flags) in flags {
        for mut caller in [user(UserRole::User, OWN), account(OWN)] {
            caller.flags = flags;
            for action in ACTIONS {
                assert_eq!(allows(&caller, action, of(OWN)), action == allowed || action == Action::Read);
            }
        }
    }
}

#[test]
fn creating_a_ca_asks_about_ones_own_organization() {
    assert!(user(UserRole::Superuser, None).permit_create_ca().is_ok());
    assert!(user(UserRole::Admin, OWN).permit_create_ca().is_ok());
    assert!(user(UserRole::Admin, None).permit_create_ca().is_err());
    assert!(user(UserRole::User, OWN).permit_create_ca().is_err());
    let mut caller = user(UserRole::User, OWN);
    caller.flags.can_create_ca = true;
    assert!(caller.permit_create_ca().is_ok());
    caller.organization_id = None;
    assert!(caller.permit_create_ca().is_err());
}

#[test]
fn admins_create_plain_users_in_their_own_organization() {
    let new = |role, organization_id| UserCreate {
        username: "new".into(),
        email: "new@example.com".into(),
        password: "password".to_owned().into(),
        role,
        is_active: None,
        organization_id,
        flags: Flags::default(),
    };
    let admin = user(UserRole::Admin, OWN);
    let permit = admin.permit_create_user(new(None, None)).ok().unwrap();
    assert_eq!(permit.resource.organization_id, OWN);
    assert!(admin.permit_create_user(new(Some(UserRole::User), OWN)).is_ok());
    assert!(admin.permit_create_user(new(None, OTHER)).is_err());
    assert!(admin.permit_create_user(new(Some(UserRole::Admin), OWN)).is_err());
    assert!(user(UserRole::Admin, None).permit_create_user(new(None, None)).is_err());
    assert!(user(UserRole::User, OWN).permit_create_user(new(None, None)).is_err());
    assert!(
        user(UserRole::Superuser, None).permit_create_user(new(Some(UserRole::Superuser), OTHER)).is_ok()
    );
}

#[test]
fn users_are_seen_by_themselves_their_admins_and_superusers() {
    let somebody = |id, organization_id| User {
        username: "u".into(),
        email: "u@example.com".into(),
        role: UserRole::User,
        is_active: true,
        organization_id,
        flags: Flags::default(),
        id: UserId(id),
        created_at: Timestamp::from_micros(0).unwrap(),
        updated_at: Timestamp::from_micros(0).unwrap(),
    };
    let sees = |caller: &Caller, id, organization| caller.check_see_user(&somebody(id, organization)).is_ok();
    assert!(sees(&user(UserRole::User, None), 7, None));
    assert!(!sees(&user(UserRole::User, OWN), 8, OWN));
    assert!(sees(&user(UserRole::Admin, OWN), 8, OWN));
    assert!(!sees(&user(UserRole::Admin, OWN), 8, OTHER));
    assert!(!sees(&user(UserRole::Admin, None), 8, None));
    assert!(sees(&user(UserRole::Superuser, None), 8, OTHER));
}

#[test]
fn lists_of_principals_without_organization_are_what_they_created() {
    assert_eq!(user(UserRole::Superuser, OWN).visible(), Visible::All);
    assert_eq!(user(UserRole::Admin, OWN).visible(), Visible::Organization(OrganizationId(1)));
    assert_eq!(user(UserRole::Admin, None).visible(), Visible::CreatedByUser(UserId(7)));
    assert_eq!(account(None).visible(), Visible::CreatedByServiceAccount(ServiceAccountId(7)));
}

#[test]
fn audit_log_is_for_admins_and_superusers() {
    assert_eq!(user(UserRole::Superuser, None).audit_scope().unwrap(), Some(None));
    assert_eq!(user(UserRole::Admin, OWN).audit_scope().unwrap(), Some(OWN));
    assert_eq!(user(UserRole::Admin, None).audit_scope().unwrap(), None);
    assert!(user(UserRole::User, OWN).audit_scope().is_err());
}

/// A CA of an organization, created by somebody else.
fn ca(organization_id: Option<OrganizationId>) -> AuthorityRow {
    let at = Timestamp::epoch();
    let ca = fastpki_types::Ca {
        id: fastpki_types::CaId(1),
        name: "CA".into(),
        description: None,
        subject_dn: "CN=CA".into(),
        key_type: fastpki_types::KeyType::Ec,
        key_size: 256,
        valid_days: 1,
        created_at: at,
        updated_at: at,
        certificate: String::new(),
        organization_id,
        created_by_user_id: Some(UserId(99)),
        parent_ca_id: None,
        path_length: None,
        allow_leaf_certs: true,
        crl_base_url: None,
        is_root: true,
        status: fastpki_types::CertificateStatus::Valid,
        revoked_at: None,
        revocation_reason: None,
    };
    AuthorityRow {
        ca,
        serial_number: "1".into(),
        not_after: None,
        published_name: None,
        created_by_service_account_id: None,
    }
}

#[test]
fn ca_is_revoked_by_who_may_revoke_under_its_parent() {
    let may = |caller: &Caller, parent| caller.permit_revoke_authority(ca(OWN), Some(ca(parent))).is_ok();
    let mut flagged = account(OWN);
    flagged.flags.can_revoke_cert = true;
    for caller in [user(UserRole::Superuser, None), user(UserRole::Admin, OWN), flagged.clone()] {
        assert!(may(&caller, OWN), "{caller:?}");
    }
    for caller in [user(UserRole::Admin, OTHER), user(UserRole::User, OWN), account(OWN)] {
        assert!(!may(&caller, OWN), "{caller:?}");
    }
    // That the CA is one's own is not enough.
    for caller in [user(UserRole::Admin, OWN), flagged] {
        assert!(!may(&caller, OTHER) && !may(&caller, None), "{caller:?}");
    }
    let root = user(UserRole::Admin, OWN).permit_revoke_authority(ca(OWN), None);
    assert!(matches!(root, Err(Error::Invalid(_))));
    let root = user(UserRole::Admin, OTHER).permit_revoke_authority(ca(OWN), None);
    assert!(matches!(root, Err(Error::Forbidden(_))));
}

#[test]
fn ca_is_changed_by_admins_of_its_organization_and_moved_by_superusers() {
    let name = fastpki_types::CaUpdate { name: Some("x".into()), ..Default::default() };
    let moved = fastpki_types::CaUpdate { organization_id: OTHER, ..name.clone() };
    let may = |caller: &Caller, of, change| caller.permit_update_authority(ca(of), change).is_ok();
    let superuser = user(UserRole::Superuser, None);
    assert!(may(&superuser, None, &name) && may(&superuser, OWN, &moved));
    let admin = user(UserRole::Admin, OWN);
    assert!(may(&admin, OWN, &name) && !may(&admin, OWN, &moved));
    assert!(!may(&admin, OTHER, &name) && !may(&admin, None, &name));
    assert!(!may(&user(UserRole::Admin, None), None, &name));
    let mut creator = user(UserRole::User, OWN);
    creator.id = PrincipalId::User(UserId(99));
    creator.flags = Flags { can_create_ca: true, can_delete_ca: true, ..creator.flags };
    assert!(!may(&creator, OWN, &name) && !may(&account(OWN), OWN, &name));
}
