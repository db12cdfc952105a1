//! Signing in and staying signed in, keys and links: what is refused, and that everything wrong answers alike.

use super::machine::{CountedIds, HandClock, machine};
use countersign::{
    app::{
        App, Call, Failed, Fault, NotSignedIn, OPERATOR_EMAIL, PLATFORM, PLATFORM_SLUG, Passwords, SignIn, SignedIn,
        Verdict,
        fixture::{Administrator, Makers, Organisation, standard_founding},
        founder,
        identity::{self, AskedKey, UserFilter},
    },
    domain::{
        access::{Denied, Principal, Viewer},
        id::{ApiKeyId, Ids, TenantId, UserId},
        identity::{GroupChange, KeyOwner, NewGroup, NewSourceNode, NewUser, Scope, Standing, User, UserChange},
        receipt::Idempotency,
        refusal::Refusal,
        session::Password,
        tenant::SettingsChange,
        text::{Name, Slug},
        time::Clock,
    },
    limits::{
        ACCESS_TOKEN_LIFETIME_SECONDS, PASSWORD_LINK_LIFETIME_SECONDS, REFRESH_GRACE_SECONDS, SESSION_LIFETIME_SECONDS,
    },
    store::Store,
};
use std::{collections::BTreeSet, sync::Arc};

const PASSWORD: &str = "correct horse battery staple";
const NEVER: Failed = Failed::Denied(Denied::Unauthenticated);

/// One organisation, `acme`, with one administrator who has a password.
struct Office {
    app: App,
    clock: Arc<HandClock>,
    ids: Arc<CountedIds>,
    tenant: TenantId,
    admin: UserId,
    _directory: tempfile::TempDir,
}

impl Office {
    async fn new() -> Self {
        let (clock, ids) = (HandClock::new(), CountedIds::from(1));
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path(), &machine(&clock, Arc::clone(&ids))).unwrap();
        let app = App::open(store).await.unwrap();
        let mut office = Self {
            app,
            clock,
            ids,
            tenant: PLATFORM,
            admin: UserId::from_uuid(PLATFORM.uuid()),
            _directory: directory,
        };
        (office.tenant, office.admin) = office.found("acme").await.unwrap();
        let token = office.link(office.admin).await;
        office.app.set_password(&token, PASSWORD).await.unwrap();
        office
    }

    async fn found(&self, slug: &str) -> Result<(TenantId, UserId), Failed> {
        let organisation = Organisation { slug: Slug::new(slug), name: name(slug) };
        let administrator = Administrator { name: name("Ada"), email: "ada@example.org".to_owned() };
        let makers = Makers { ids: &*self.ids, secret: &|| [7; 32], now: self.clock.now() };
        let founding = standard_founding(organisation, administrator, makers).unwrap().founding;
        let (tenant, admin) = (founding.tenant.id, founding.users[0].id);
        self.app.create_tenant(&server(PLATFORM), founding).await.map(|_| (tenant, admin))
    }

    async fn link(&self, user: UserId) -> String {
        self.app.create_password_link(&server(self.tenant), user).await.unwrap().outcome.token.unwrap()
    }

    async fn sign_in(&self, organisation: &str, email: &str, password: &str) -> Result<SignedIn, Failed> {
        let (organisation, email) = (organisation.to_owned(), email.to_owned());
        let asked = SignIn { organisation, email, password: password.to_owned() };
        match self.app.sign_in(asked, None).await {
            Ok(committed) => Ok(committed.outcome),
            Err(NotSignedIn::Failed(failed)) => Err(failed),
            Err(NotSignedIn::Throttled { wait }) => panic!("throttled for {wait:?}"),
        }
    }

    async fn signed_in(&self) -> SignedIn {
        self.sign_in("acme", "Ada@Example.org ", PASSWORD).await.unwrap()
    }

    /// A call of the administrator within a session of her own.
    async fn admin(&self) -> Call {
        call(self.app.authenticate(&self.signed_in().await.access_token).await.unwrap())
    }

    async fn user(&self, email: &str, standing: Standing) -> UserId {
        let new = NewUser { name: name("Ben"), email: email.to_owned(), standing };
        self.app.create_user(&self.admin().await, new).await.unwrap().outcome.id
    }

    async fn refreshed(&self, token: &str) -> Result<SignedIn, Failed> {
        self.app.refresh_session(token).await.map(|committed| committed.outcome)
    }

    async fn is_accepted(&self, credential: &str) -> bool {
        self.app.authenticate(credential).await.is_ok()
    }
}

fn name(text: &str) -> Name {
    Name::parse("name", text).unwrap()
}

fn call(viewer: Arc<Viewer>) -> Call {
    Call { viewer, idempotency: None }
}

fn server(tenant: TenantId) -> Call {
    call(founder(tenant))
}

fn code(failed: &Failed) -> &'static str {
    match failed {
        Failed::Denied(Denied::Unauthenticated) => "UNAUTHENTICATED",
        Failed::Denied(Denied::NotFound) => "NOT_FOUND",
        Failed::Denied(Denied::Forbidden(_)) => "FORBIDDEN",
        Failed::Refused(refusal) => refusal.code().as_str(),
        Failed::Fault(_) => "fault",
    }
}

#[track_caller]
fn refused<T>(outcome: Result<T, Failed>) -> &'static str {
    match outcome {
        Ok(_) => panic!("it was done"),
        Err(failed) => code(&failed),
    }
}

#[tokio::test]
async fn whatever_is_wrong_with_a_sign_in_answers_alike() {
    let office = Office::new().await;
    office.user("ben@example.org", Standing::Member).await;
    assert_eq!(office.signed_in().await.user, office.admin);
    for (organisation, email, password) in [
        ("nowhere", "ada@example.org", PASSWORD),
        ("acme", "nobody@example.org", PASSWORD),
        ("acme", "ada@example.org", "wrong horse battery staple"),
        ("acme", "ada@example.org", ""),
        ("acme", "ben@example.org", PASSWORD),
        (PLATFORM_SLUG, OPERATOR_EMAIL, PASSWORD),
    ] {
        let failed = office.sign_in(organisation, email, password).await.err();
        assert_eq!(failed, Some(NEVER), "{organisation} {email} {password}");
    }
}

/// As many passwords are verified for nobody as for somebody: the pool's line fills with either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_sign_ins_is_answered_with_an_overload() {
    for organisation in ["acme", "nowhere"] {
        let office = Arc::new(Office::new().await);
        // More than the line holds, fewer than one account may try at once.
        let tries: Vec<_> = (0..48)
            .map(|_| {
                let office = Arc::clone(&office);
                tokio::spawn(
                    async move { office.sign_in(organisation, "ada@example.org", "not her password").await.err() },
                )
            })
            .collect();
        let mut overloaded = 0;
        for attempt in tries {
            match attempt.await.unwrap() {
                Some(Failed::Fault(Fault::Overloaded)) => overloaded += 1,
                Some(NEVER) => {}
                other => panic!("{other:?}"),
            }
        }
        assert!(overloaded > 0, "{organisation}");
        assert!(overloaded < 48, "{organisation}");
    }
}

#[tokio::test]
async fn a_disabled_user_is_out_at_once_and_stays_out() {
    let office = Office::new().await;
    let ben = office.user("ben@example.org", Standing::Administrator).await;
    let link = office.link(ben).await;
    office.app.set_password(&link, PASSWORD).await.unwrap();
    let signed_in = office.sign_in("acme", "ben@example.org", PASSWORD).await.unwrap();
    let admin = office.admin().await;
    let change =
        |revision, active| UserChange { expected_revision: revision, active: Some(active), ..UserChange::default() };
    office.app.update_user(&admin, ben, change(2, false)).await.unwrap();
    assert_eq!(refused(office.app.authenticate(&signed_in.access_token).await), "UNAUTHENTICATED");
    assert_eq!(refused(office.refreshed(&signed_in.refresh_token).await), "UNAUTHENTICATED");
    assert_eq!(office.sign_in("acme", "ben@example.org", PASSWORD).await.err(), Some(NEVER));
    // Enabled again he signs in again: what he had before stays ended.
    office.app.update_user(&admin, ben, change(3, true)).await.unwrap();
    assert!(!office.is_accepted(&signed_in.access_token).await);
    office.sign_in("acme", "ben@example.org", PASSWORD).await.unwrap();
}

#[tokio::test]
async fn an_access_token_is_good_for_minutes() {
    let office = Office::new().await;
    let signed_in = office.signed_in().await;
    assert!(office.is_accepted(&signed_in.access_token).await);
    assert_eq!(signed_in.expires_at, office.clock.now().plus_seconds(ACCESS_TOKEN_LIFETIME_SECONDS));
    office.clock.advance(ACCESS_TOKEN_LIFETIME_SECONDS + 29);
    assert!(office.is_accepted(&signed_in.access_token).await);
    office.clock.advance(1);
    assert_eq!(refused(office.app.authenticate(&signed_in.access_token).await), "UNAUTHENTICATED");
    let next = office.refreshed(&signed_in.refresh_token).await.unwrap();
    assert!(office.is_accepted(&next.access_token).await);
    // A clock that was set back does not make tomorrow's token good today.
    office.clock.advance(-3_600);
    assert!(!office.is_accepted(&next.access_token).await);
}

#[tokio::test]
async fn a_token_that_was_tampered_with_or_signed_by_another_server_is_none() {
    let office = Office::new().await;
    let token = office.signed_in().await.access_token;
    let elsewhere = Office::new().await.signed_in().await.access_token;
    assert!(!office.is_accepted(&elsewhere).await);
    let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    let swap = |text: &str| text.replacen(&text[5..6], if &text[5..6] == "A" { "B" } else { "A" }, 1);
    for n in 0..3 {
        let whole = parts[n].clone();
        parts[n] = swap(&whole);
        assert!(!office.is_accepted(&parts.join(".")).await, "part {n}");
        parts[n] = whole;
    }
    assert!(office.is_accepted(&parts.join(".")).await);
    // "alg": "none", without a signature.
    assert!(!office.is_accepted(&format!("eyJhbGciOiJub25lIn0.{}.", parts[1])).await);
    for junk in ["", "csk_", "csk_AAAA.BBBB", "x.y.z", &"a".repeat(100_000)] {
        assert_eq!(refused(office.app.authenticate(junk).await), "UNAUTHENTICATED");
    }
}

#[tokio::test]
async fn a_refresh_token_is_good_once_and_coming_again_ends_the_session() {
    let office = Office::new().await;
    let other = office.signed_in().await;
    let first = office.signed_in().await;
    let second = office.refreshed(&first.refresh_token).await.unwrap();
    let third = office.refreshed(&second.refresh_token).await.unwrap();
    assert!(office.is_accepted(&third.access_token).await);
    // Whoever has the first one stole it, or was stolen from.
    assert_eq!(refused(office.refreshed(&first.refresh_token).await), "UNAUTHENTICATED");
    assert_eq!(refused(office.refreshed(&third.refresh_token).await), "UNAUTHENTICATED");
    for tokens in [&first, &second, &third] {
        assert!(!office.is_accepted(&tokens.access_token).await);
    }
    assert!(office.is_accepted(&other.access_token).await);
}

#[tokio::test]
async fn an_invented_refresh_token_ends_nobodys_session() {
    let office = Office::new().await;
    let signed_in = office.signed_in().await;
    let (named, secret) = signed_in.refresh_token.split_once('.').unwrap();
    let invented = format!("{named}.{}", "A".repeat(secret.len()));
    assert_eq!(refused(office.refreshed(&invented).await), "UNAUTHENTICATED");
    assert!(office.refreshed(&signed_in.refresh_token).await.is_ok());
}

#[tokio::test]
async fn a_session_ends_by_itself() {
    let office = Office::new().await;
    let signed_in = office.signed_in().await;
    office.clock.advance(SESSION_LIFETIME_SECONDS - 1);
    let next = office.refreshed(&signed_in.refresh_token).await.unwrap();
    office.clock.advance(1);
    assert_eq!(refused(office.refreshed(&next.refresh_token).await), "UNAUTHENTICATED");
}

#[tokio::test]
async fn signing_out_ends_this_session_only() {
    let office = Office::new().await;
    let (here, there) = (office.signed_in().await, office.signed_in().await);
    let viewer = office.app.authenticate(&here.access_token).await.unwrap();
    office.app.sign_out(&viewer).await.unwrap();
    assert!(!office.is_accepted(&here.access_token).await);
    assert_eq!(refused(office.refreshed(&here.refresh_token).await), "UNAUTHENTICATED");
    assert_eq!(refused(office.app.sign_out(&viewer).await), "UNAUTHENTICATED");
    // A viewer that was verified before no longer reads either: a socket's next event asks again.
    assert_eq!(refused(office.app.snapshot(&viewer).await), "UNAUTHENTICATED");
    assert!(office.is_accepted(&there.access_token).await);
}

#[tokio::test]
async fn a_password_link_works_once_for_an_hour_and_ends_every_session() {
    let office = Office::new().await;
    let before = office.signed_in().await;
    let (older, newer) = (office.link(office.admin).await, office.link(office.admin).await);
    let set = async |token: &str, password: &str| office.app.set_password(token, password).await.map(drop);
    assert_eq!(refused(set(&older, PASSWORD).await), "LINK_NOT_VALID");
    assert_eq!(refused(set(&newer, "too short").await), "PASSWORD_NOT_ALLOWED");
    set(&newer, "another password, long enough").await.unwrap();
    assert_eq!(refused(set(&newer, PASSWORD).await), "LINK_NOT_VALID");
    assert!(!office.is_accepted(&before.access_token).await);
    assert_eq!(office.sign_in("acme", "ada@example.org", PASSWORD).await.err(), Some(NEVER));
    office.sign_in("acme", "ada@example.org", "another password, long enough").await.unwrap();

    let late = office.link(office.admin).await;
    office.clock.advance(PASSWORD_LINK_LIFETIME_SECONDS);
    assert_eq!(refused(set(&late, PASSWORD).await), "LINK_NOT_VALID");
    for junk in ["", "csl_x.y", &late.replace("csl_", "csr_")] {
        assert_eq!(refused(set(junk, PASSWORD).await), "LINK_NOT_VALID");
    }
}

#[tokio::test]
async fn the_same_letters_are_the_same_password() {
    let office = Office::new().await;
    let link = office.link(office.admin).await;
    office.app.set_password(&link, "caf\u{e9} caf\u{e9} caf\u{e9}").await.unwrap();
    office.sign_in("acme", "ada@example.org", "cafe\u{301} cafe\u{301} cafe\u{301}").await.unwrap();
}

#[tokio::test]
async fn a_password_is_kept_as_argon2id_and_no_secret_reaches_the_disk() {
    let office = Office::new().await;
    let signed_in = office.signed_in().await;
    let admin = office.admin().await;
    let snapshot = office.app.snapshot(&admin.viewer).await.unwrap();
    let user = identity::me(&snapshot).unwrap().user.unwrap();
    let hash = user.password_hash.clone().unwrap();
    assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
    let (_, secret) = signed_in.refresh_token.split_once('.').unwrap();
    assert!(
        !format!("{:?}", office.app.store().of(&admin.viewer).history().before(None, 100).await.unwrap())
            .contains(secret)
    );
}

#[tokio::test]
async fn a_key_stands_until_it_is_revoked_or_expires() {
    let office = Office::new().await;
    let admin = office.admin().await;
    let node = NewSourceNode { slug: Slug::new("design-1"), name: name("Design") };
    let node = office.app.create_source_node(&admin, node).await.unwrap().outcome.id;
    let asked = |owner, scopes: &[Scope], seconds: Option<i64>| AskedKey {
        name: name("key"),
        owner,
        scopes: scopes.iter().copied().collect::<BTreeSet<_>>(),
        expires_at: seconds.map(|seconds| office.clock.now().plus_seconds(seconds)),
    };
    let ask = async |asked: AskedKey| office.app.create_api_key(&admin, asked).await.map(|made| made.outcome);
    let owner = KeyOwner::Node(node);

    let lasting = ask(asked(owner, &[Scope::Sync], None)).await.unwrap();
    let passing = ask(asked(owner, &[Scope::Sync], Some(60))).await.unwrap();
    let (lasting_id, lasting, passing) = (lasting.key.id, lasting.credential.unwrap(), passing.credential.unwrap());
    let viewer = office.app.authenticate(&lasting).await.unwrap();
    assert_eq!(viewer.principal(), Principal::Key(lasting_id));
    assert!(office.is_accepted(&passing).await);
    office.clock.advance(60);
    assert_eq!(refused(office.app.authenticate(&passing).await), "UNAUTHENTICATED");

    let (named, secret) = lasting.split_once('.').unwrap();
    let (_, other) = passing.split_once('.').unwrap();
    assert!(!office.is_accepted(&format!("{named}.{other}")).await);
    assert!(!office.is_accepted(&format!("{named}.{}", &secret[1..])).await);

    office.app.revoke_api_key(&admin, lasting_id).await.unwrap();
    office.app.revoke_api_key(&admin, lasting_id).await.unwrap();
    assert_eq!(refused(office.app.authenticate(&lasting).await), "UNAUTHENTICATED");
    assert_eq!(refused(office.app.snapshot(&viewer).await), "UNAUTHENTICATED");

    let (user, nobody) = (KeyOwner::User(office.admin), KeyOwner::User(UserId::from_uuid(node.uuid())));
    assert_eq!(refused(ask(asked(user, &[Scope::Sync], None)).await), "SCOPE_NEEDS_NODE");
    assert_eq!(refused(ask(asked(owner, &[Scope::UserRights], None)).await), "SCOPE_NEEDS_USER");
    assert_eq!(refused(ask(asked(owner, &[], None)).await), "SCOPE_MISSING");
    assert_eq!(refused(ask(asked(owner, &[Scope::Sync], Some(0))).await), "EXPIRY_PAST");
    assert_eq!(refused(ask(asked(nobody, &[Scope::Deploy], None)).await), "UNKNOWN_PERSON");
    assert_eq!(refused(office.app.revoke_api_key(&admin, ApiKeyId::from_uuid(node.uuid())).await), "NOT_FOUND");
}

#[tokio::test]
async fn an_administrators_key_makes_neither_keys_nor_links() {
    let office = Office::new().await;
    let admin = office.admin().await;
    let asked = || AskedKey {
        name: name("script"),
        owner: KeyOwner::User(office.admin),
        scopes: BTreeSet::from([Scope::UserRights]),
        expires_at: None,
    };
    let made = office.app.create_api_key(&admin, asked()).await.unwrap().outcome;
    let script = call(office.app.authenticate(&made.credential.unwrap()).await.unwrap());
    let new = NewUser { name: name("Ben"), email: "ben@example.org".to_owned(), standing: Standing::Member };
    let ben = office.app.create_user(&script, new).await.unwrap().outcome.id;
    assert_eq!(refused(office.app.create_api_key(&script, asked()).await), "FORBIDDEN");
    assert_eq!(refused(office.app.create_password_link(&script, ben).await), "FORBIDDEN");
    assert_eq!(refused(office.app.sign_out(&script.viewer).await), "FORBIDDEN");
}

#[tokio::test]
async fn a_repeated_command_shows_no_secret_twice() {
    let office = Office::new().await;
    let idempotency = Some(Idempotency { key: "once".to_owned(), input_digest: [1; 32] });
    let again = Call { idempotency, ..office.admin().await };
    let asked = || AskedKey {
        name: name("script"),
        owner: KeyOwner::User(office.admin),
        scopes: BTreeSet::from([Scope::UserRights]),
        expires_at: None,
    };
    let first = office.app.create_api_key(&again, asked()).await.unwrap().outcome;
    let second = office.app.create_api_key(&again, asked()).await.unwrap().outcome;
    assert_eq!(first.key.id, second.key.id);
    assert!(first.credential.is_some());
    assert_eq!(second.credential, None);
}

#[tokio::test]
async fn users_and_groups_change_within_the_rules() {
    let office = Office::new().await;
    let admin = office.admin().await;
    let new = |email: &str, standing| NewUser { name: name("Ben"), email: email.to_owned(), standing };
    let create = async |new: NewUser| office.app.create_user(&admin, new).await.map(|committed| committed.outcome);
    let ben = create(new(" Ben@Example.org", Standing::Member)).await.unwrap();
    assert_eq!(ben.email, "ben@example.org");
    assert_eq!(refused(create(new("BEN@example.org", Standing::Member)).await), "ALREADY_EXISTS");
    assert_eq!(refused(create(new("not an address", Standing::Member)).await), "EMAIL_NOT_ALLOWED");
    assert_eq!(refused(create(new("op@example.org", Standing::PlatformOperator)).await), "FORBIDDEN");

    let update =
        async |user, change| office.app.update_user(&admin, user, change).await.map(|committed| committed.outcome);
    let revision = |expected_revision| UserChange { expected_revision, ..UserChange::default() };
    assert_eq!(refused(update(ben.id, revision(1)).await), "NOTHING_TO_SAVE");
    assert_eq!(refused(update(ben.id, UserChange { name: Some(name("B")), ..revision(2) }).await), "REVISION_CONFLICT");
    let off = |revision_read| UserChange { active: Some(false), ..revision(revision_read) };
    assert_eq!(refused(update(office.admin, off(2)).await), "NOT_YOURSELF");
    let lesser = UserChange { standing: Some(Standing::Member), ..revision(2) };
    assert_eq!(refused(update(office.admin, lesser.clone()).await), "LAST_ADMINISTRATOR");
    update(ben.id, UserChange { standing: Some(Standing::Administrator), ..revision(1) }).await.unwrap();
    // With another administrator there, nobody demotes himself all the same: the other one does.
    assert_eq!(refused(update(office.admin, lesser.clone()).await), "NOT_YOURSELF");
    let issued = office.app.issue_access_token(office.tenant, ben.id, 60).await.unwrap().outcome;
    let by_ben = call(office.app.authenticate(&issued.access_token).await.unwrap());
    office.app.update_user(&by_ben, office.admin, lesser).await.unwrap();
    assert_eq!(refused(update(ben.id, off(2)).await), "FORBIDDEN");

    let admin = server(office.tenant);
    let group = |members: Vec<UserId>| NewGroup { name: name("Builders"), members, groups: vec![] };
    let stranger = UserId::from_uuid(office.ids.next());
    assert_eq!(refused(office.app.create_group(&admin, group(vec![stranger])).await), "UNKNOWN_PERSON");
    let builders = office.app.create_group(&admin, group(vec![ben.id])).await.unwrap().outcome;
    assert_eq!(refused(office.app.create_group(&admin, group(vec![])).await), "ALREADY_EXISTS");
    let change =
        GroupChange { expected_revision: 1, add: vec![office.admin], remove: vec![ben.id], ..GroupChange::default() };
    let changed = office.app.update_group(&admin, builders.id, change.clone()).await.unwrap().outcome;
    assert_eq!((changed.revision, &changed.members), (2, &BTreeSet::from([office.admin])));
    assert_eq!(refused(office.app.update_group(&admin, builders.id, change).await), "REVISION_CONFLICT");
}

#[tokio::test]
async fn settings_change_at_the_revision_that_was_read() {
    let office = Office::new().await;
    let admin = office.admin().await;
    let change = SettingsChange { expected_revision: 1, requester_may_not_approve: Some(true) };
    let tenant = office.app.update_tenant_settings(&admin, change).await.unwrap().outcome;
    assert_eq!((tenant.revision, tenant.settings.requester_may_not_approve), (2, true));
    assert_eq!(refused(office.app.update_tenant_settings(&admin, change).await), "REVISION_CONFLICT");
}

#[tokio::test]
async fn only_the_platform_makes_organisations_and_each_short_name_is_one() {
    let office = Office::new().await;
    assert!(office.found("globex").await.is_ok());
    assert_eq!(
        office.found("globex").await,
        Err(Failed::Refused(Refusal::AlreadyExists { what: "tenant", name: "globex".to_owned() }))
    );
    assert_eq!(refused(office.found(PLATFORM_SLUG).await), "ALREADY_EXISTS");
    let organisation = Organisation { slug: Slug::new("mine"), name: name("Mine") };
    let administrator = Administrator { name: name("Ada"), email: "ada@example.org".to_owned() };
    let makers = Makers { ids: &*office.ids, secret: &|| [7; 32], now: office.clock.now() };
    let founding = standard_founding(organisation, administrator, makers).unwrap().founding;
    assert_eq!(refused(office.app.create_tenant(&office.admin().await, founding.clone()).await), "FORBIDDEN");
    // What an interrupted command began, the same command finishes; and a third time it changes nothing.
    for _ in 0..2 {
        office.app.create_tenant(&server(PLATFORM), founding.clone()).await.unwrap();
    }
    // A viewer of one organisation is nobody in another, whose people have the same addresses.
    let globex = office.sign_in("globex", "ada@example.org", PASSWORD).await;
    assert_eq!(globex.err(), Some(NEVER));
}

#[tokio::test]
async fn an_address_is_shown_to_its_owner_and_to_administrators() {
    let office = Office::new().await;
    let ben = office.user("ben@example.org", Standing::Member).await;
    let issued = office.app.issue_access_token(office.tenant, ben, 60).await.unwrap().outcome;
    let emails = async |viewer: Arc<Viewer>| {
        let snapshot = office.app.snapshot(&viewer).await.unwrap();
        let page = identity::users(&snapshot, &UserFilter::default(), &Default::default()).unwrap();
        let shown = page.rows.iter().map(|(_, user)| user.readable_email().map(str::to_owned));
        shown.collect::<Vec<_>>()
    };
    let (ada, own) = (Some("ada@example.org".to_owned()), Some("ben@example.org".to_owned()));
    assert_eq!(emails(office.admin().await.viewer).await, [ada, own.clone()]);
    assert_eq!(emails(office.app.authenticate(&issued.access_token).await.unwrap()).await, [None, own]);
}

/// What makes timing equal: a sign-in that cannot succeed verifies a password all the same.
#[tokio::test]
async fn an_unknown_user_costs_as_much_work_as_a_wrong_password() {
    let office = Office::new().await;
    let mut took = [std::time::Duration::MAX; 3];
    // The least of several: what else the machine does makes no work less, and work that is left out is never made up for.
    let is_alike = |took: &[_; 3]| *took.iter().max().unwrap() < *took.iter().min().unwrap() * 4;
    for round in 0..50 {
        if round >= 4 && is_alike(&took) {
            break;
        }
        for (n, (organisation, email)) in
            [("acme", "ada@example.org"), ("acme", "nobody@example.org"), ("nowhere", "ada@example.org")]
                .iter()
                .enumerate()
        {
            let begun = tokio::time::Instant::now();
            assert_eq!(office.sign_in(organisation, email, "not the password").await.err(), Some(NEVER));
            took[n] = took[n].min(begun.elapsed());
        }
    }
    assert!(is_alike(&took), "{took:?}");
}

#[tokio::test]
async fn a_refresh_token_whose_answer_was_lost_answers_the_same_for_ten_seconds() {
    let office = Office::new().await;
    let first = office.signed_in().await;
    let second = office.refreshed(&first.refresh_token).await.unwrap();
    office.clock.advance(REFRESH_GRACE_SECONDS - 1);
    let again = office.refreshed(&first.refresh_token).await.unwrap();
    assert_eq!(again.refresh_token, second.refresh_token);
    assert!(office.is_accepted(&again.access_token).await && office.is_accepted(&second.access_token).await);
    // Coming again does not make it last longer.
    office.clock.advance(1);
    assert_eq!(refused(office.refreshed(&first.refresh_token).await), "UNAUTHENTICATED");
    assert_eq!(refused(office.refreshed(&second.refresh_token).await), "UNAUTHENTICATED");
    assert!(!office.is_accepted(&second.access_token).await);

    // Once its successor was used, a token is old, however little time has gone by.
    let first = office.signed_in().await;
    let second = office.refreshed(&first.refresh_token).await.unwrap();
    office.refreshed(&second.refresh_token).await.unwrap();
    assert_eq!(refused(office.refreshed(&first.refresh_token).await), "UNAUTHENTICATED");
    assert_eq!(refused(office.refreshed(&second.refresh_token).await), "UNAUTHENTICATED");
}

#[tokio::test]
async fn a_password_that_was_kept_cheaply_is_kept_as_today_once_its_user_signs_in() {
    let office = Office::new().await;
    let organisation = Organisation { slug: Slug::new("old"), name: name("Old") };
    let administrator = Administrator { name: name("Ada"), email: "ada@example.org".to_owned() };
    let makers = Makers { ids: &*office.ids, secret: &|| [7; 32], now: office.clock.now() };
    let mut founding = standard_founding(organisation, administrator, makers).unwrap().founding;
    let weak = argon2::Params::new(8 * 1024, 1, 1, None).unwrap();
    let weak = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, weak);
    let weak = argon2::PasswordHasher::hash_password(&weak, PASSWORD.as_bytes()).unwrap().to_string();
    founding.users[0].password_hash = Some(weak.clone());
    let (tenant, admin) = (founding.tenant.id, founding.users[0].id);
    office.app.create_tenant(&server(PLATFORM), founding).await.unwrap();
    let kept = async || {
        let snapshot = office.app.snapshot(&founder(tenant)).await.unwrap();
        let user = snapshot.view().all::<User>().find(|user| user.id == admin).unwrap();
        (user.password_hash.clone().unwrap(), user.revision)
    };
    assert_eq!(office.sign_in("old", "ada@example.org", "not the password").await.err(), Some(NEVER));
    assert_eq!(kept().await, (weak.clone(), 1));
    office.sign_in("old", "ada@example.org", PASSWORD).await.unwrap();
    let (strong, revision) = kept().await;
    assert!(strong.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{strong}");
    assert_eq!(revision, 1);
    // And then it stays.
    office.sign_in("old", "ada@example.org", PASSWORD).await.unwrap();
    assert_eq!(kept().await.0, strong);
}

/// Welch's t of two samples.
fn welch(one: &[f64], other: &[f64]) -> f64 {
    let count = |sample: &[f64]| f64::from(u32::try_from(sample.len()).unwrap());
    let mean = |sample: &[f64]| sample.iter().sum::<f64>() / count(sample);
    let spread = |sample: &[f64]| {
        let mean = mean(sample);
        sample.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count(sample) - 1.0) / count(sample)
    };
    (mean(one) - mean(other)) / (spread(one) + spread(other)).sqrt()
}

/// Who measures sign-ins must not learn which addresses are known.
#[tokio::test]
async fn the_times_of_known_and_unknown_users_do_not_separate() {
    let pairs = std::env::var("COUNTERSIGN_SIGN_IN_PAIRS").map_or(200, |pairs| pairs.parse().unwrap());
    let passwords = Passwords::start().unwrap();
    let known = passwords.hash(Password::parse(PASSWORD).unwrap()).await.unwrap();
    let verify = async |hash: Option<String>| {
        let begun = tokio::time::Instant::now();
        let wrong = Password::parse("not the password").ok();
        assert_eq!(passwords.verify(wrong, hash).await.unwrap(), Verdict::Wrong);
        begun.elapsed().as_secs_f64()
    };
    let (mut with, mut without) = (vec![], vec![]);
    for pair in 0..pairs {
        // Neither always comes first.
        if pair % 2 == 0 {
            with.push(verify(Some(known.clone())).await);
            without.push(verify(None).await);
        } else {
            without.push(verify(None).await);
            with.push(verify(Some(known.clone())).await);
        }
    }
    let t = welch(&with, &without);
    println!("{pairs} pairs: t = {t:.2}");
    assert!(t.abs() < 4.5, "t = {t:.2} over {pairs} pairs");
}
