//! The commands of a simulation: how each is drawn, and how it is given to the real store, as an operation would.
//! Never compares anything: what it was told goes to the model.

use super::{model::Tenant, random::Random};
use countersign::{
    app::founder,
    domain::{
        access::{Principal, Viewer},
        founding::{self, Founding},
        id::{ApiKeyId, GroupId, SourceNodeId, TenantId, UserId},
        identity::{ApiKey, Group, GroupChange, KeyOwner, NewGroup, Scope, SourceNode, Standing, User},
        receipt::{Idempotency, Outcome},
        source::{Reported, SourceKey, SourceKind},
        tenant::{Settings, SettingsChange, Tenant as TenantRecord},
        text::{Name, Slug},
    },
    store::{Committed, Data, Failed, Store, Turn},
};
use std::{collections::BTreeSet, panic::resume_unwind, pin::Pin, sync::Arc};
use uuid::Uuid;

/// What is asked of a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Found,
    CreateGroup {
        name: String,
    },
    RenameGroup {
        id: Uuid,
        name: String,
        revision: u64,
    },
    ChangeSettings {
        on: bool,
        revision: u64,
    },
    /// Key, name and description of each source object.
    Report {
        rows: Vec<(String, String, String)>,
    },
    Archive {
        key: String,
    },
    /// Makes a group, and breaks down.
    Panic,
    /// Makes a group, and may not.
    Stranger,
}

/// A command, of whom, and how it is recognised when it comes again.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) tenant: usize,
    pub(crate) command: Command,
    pub(crate) key: Option<String>,
}

/// What the store answered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    pub(crate) number: u64,
    pub(crate) group: Option<(String, u64, Uuid)>,
    pub(crate) settings: Option<(bool, u64)>,
}

pub(crate) type Answering = Pin<Box<dyn Future<Output = Result<Told, Failed>>>>;

/// A tenant of the simulation.
pub(crate) fn tenant_id(tenant: usize) -> TenantId {
    TenantId::from_uuid(id(tenant, 0))
}

/// The ids that a tenant begins with; the counted ones begin elsewhere.
fn id(tenant: usize, what: u128) -> Uuid {
    Uuid::from_u128((tenant as u128 + 2) << 8 | what)
}

impl Command {
    /// A command that fits what is known of a tenant, or that must be refused for it.
    pub(crate) fn draw(known: &Tenant, chance: &mut Random) -> Self {
        if known.settings.1 == 0 {
            return Self::Found;
        }
        let name = |chance: &mut Random| format!("group {}", chance.below(40));
        let told: Vec<_> = known.groups.values().filter_map(|group| Some((group.id?, group.revision))).collect();
        match chance.below(40) {
            0 => Self::Found,
            1..=11 => Self::CreateGroup { name: name(chance) },
            12..=21 if !told.is_empty() => {
                let (id, revision) = told[chance.index(told.len())];
                Self::RenameGroup { id, name: name(chance), revision: revision - u64::from(chance.one_in(8)) }
            }
            22..=26 => Self::ChangeSettings { on: chance.one_in(2), revision: known.settings.1 },
            27..=29 => Self::Archive { key: format!("s{}", chance.below(12)) },
            30 => Self::Panic,
            31 => Self::Stranger,
            _ => Self::Report { rows: (0..=chance.below(3)).map(|_| row(chance)).collect() },
        }
    }

    /// Whether its answer is remembered under a key. Reporting again needs none.
    pub(crate) const fn may_repeat(&self) -> bool {
        match self {
            Self::Found | Self::CreateGroup { .. } | Self::RenameGroup { .. } | Self::ChangeSettings { .. } => true,
            Self::Report { .. } | Self::Archive { .. } | Self::Panic | Self::Stranger => false,
        }
    }

    /// Who asks.
    fn viewer(&self, tenant: usize) -> Arc<Viewer> {
        let principal = match self {
            Self::Found => return founder(tenant_id(tenant)),
            Self::CreateGroup { .. } | Self::RenameGroup { .. } | Self::ChangeSettings { .. } | Self::Panic => {
                Principal::User(UserId::from_uuid(id(tenant, 1)))
            }
            Self::Report { .. } | Self::Archive { .. } => Principal::Key(ApiKeyId::from_uuid(id(tenant, 3))),
            Self::Stranger => Principal::User(UserId::from_uuid(id(tenant, 9))),
        };
        Arc::new(Viewer::verified(tenant_id(tenant), principal))
    }
}

/// A source object as it is reported: mostly small, some larger than several sectors.
fn row(chance: &mut Random) -> (String, String, String) {
    let length = if chance.one_in(12) { chance.index(6_000) } else { chance.index(80) };
    let letter = char::from(b'a' + chance.below(26) as u8);
    let description = std::iter::repeat_n(letter, length).collect();
    (format!("s{}", chance.below(12)), format!("source {}", chance.below(4)), description)
}

impl Asked {
    /// Asks the store; the answer comes once the writer has taken its turns.
    pub(crate) fn ask(&self, store: &Store) -> Answering {
        let data = store.of(&self.command.viewer(self.tenant));
        let mut input_digest = [0; 32];
        let input = format!("{:?}", self.command);
        for (n, byte) in input.bytes().enumerate() {
            input_digest[n % 32] = u8::wrapping_add(u8::wrapping_mul(input_digest[n % 32], 31), byte);
        }
        let asked = self.key.clone().map(|key| Idempotency { key, input_digest });
        let (tenant, command) = (self.tenant, self.command.clone());
        Box::pin(async move { give(&data, asked, tenant, command).await })
    }
}

async fn give(data: &Data, asked: Option<Idempotency>, tenant: usize, command: Command) -> Result<Told, Failed> {
    match command {
        Command::Found => {
            let found = move |turn: &mut Turn<'_>| turn.stage(founding::found(turn.view(), founding(tenant))?);
            Ok(of_tenant(&data.write(asked, found).await?))
        }
        Command::ChangeSettings { on, revision: expected_revision } => {
            let change = SettingsChange { expected_revision, requester_may_not_approve: Some(on) };
            let update = move |turn: &mut Turn<'_>| {
                let tenant = turn.view().tenant()?.authorize()?;
                turn.stage(tenant.update_settings(change)?)
            };
            Ok(of_tenant(&data.write(asked, update).await?))
        }
        Command::CreateGroup { name } => Ok(of_group(&data.write(asked, move |turn| create_group(turn, &name)).await?)),
        Command::Stranger => Ok(of_group(&data.write(asked, |turn| create_group(turn, "never")).await?)),
        Command::Panic => {
            let broken = |turn: &mut Turn<'_>| -> Result<Arc<Group>, Failed> {
                create_group(turn, "never")?;
                // Past the panic hook, which would print it.
                resume_unwind(Box::new("on purpose"))
            };
            Ok(of_group(&data.write(asked, broken).await?))
        }
        Command::RenameGroup { id, name, revision: expected_revision } => {
            let name = Some(Name::parse("name", &name)?);
            let change = GroupChange { expected_revision, name, ..GroupChange::default() };
            let rename = move |turn: &mut Turn<'_>| {
                let group = turn.view().group(GroupId::from_uuid(id))?.authorize()?;
                turn.stage(group.update_group(change)?)
            };
            Ok(of_group(&data.write(asked, rename).await?))
        }
        Command::Report { rows } => {
            let reported = rows.into_iter().map(|(key, name, description)| {
                let (parent_key, original, content_digest) = (None, None, None);
                let description = Some(description);
                Reported { kind: SourceKind::Project, key, name, description, parent_key, original, content_digest }
            });
            let batch: Vec<_> = reported.collect();
            let sync = move |turn: &mut Turn<'_>| {
                let tenant = turn.view().tenant()?.authorize()?;
                turn.stage(tenant.sync(batch, turn.ids(), turn.now())?)
            };
            Ok(of(&data.write(asked, sync).await?))
        }
        Command::Archive { key } => {
            let delete = move |turn: &mut Turn<'_>| {
                let tenant = turn.view().tenant()?.authorize()?;
                turn.stage(tenant.delete_sources(vec![SourceKey { kind: SourceKind::Project, key }], turn.now())?)
            };
            Ok(of(&data.write(asked, delete).await?))
        }
    }
}

fn create_group(turn: &mut Turn<'_>, name: &str) -> Result<Arc<Group>, Failed> {
    let tenant = turn.view().tenant()?.authorize()?;
    let new = NewGroup { name: Name::parse("name", name)?, members: vec![], groups: vec![] };
    turn.stage(tenant.create_group(new, turn.ids())?)
}

fn of<R: Outcome>(committed: &Committed<R>) -> Told {
    Told { number: committed.number, ..Told::default() }
}

fn of_group(committed: &Committed<Arc<Group>>) -> Told {
    let group = &committed.outcome;
    Told { group: Some((group.name.to_string(), group.revision, group.id.uuid())), ..of(committed) }
}

fn of_tenant(committed: &Committed<Arc<TenantRecord>>) -> Told {
    let tenant = &committed.outcome;
    Told { settings: Some((tenant.settings.requester_may_not_approve, tenant.revision)), ..of(committed) }
}

/// A tenant with an administrator, and a node with a key that reports.
fn founding(tenant: usize) -> Founding {
    let created_at = crate::machine::BEGINNING;
    let name = |what: &str| Name::parse("name", what).unwrap();
    let slug = Slug::new(&format!("tenant-{tenant}"));
    let (settings, revision) = (Settings::default(), 1);
    let record =
        TenantRecord { revision, ..TenantRecord::new(tenant_id(tenant), slug, name("Tenant"), settings, created_at) };
    let admin = User {
        id: UserId::from_uuid(id(tenant, 1)),
        revision,
        name: name("Admin"),
        email: "admin@example.test".to_owned(),
        password_hash: None,
        standing: Standing::Administrator,
        active: true,
        created_at,
        deleted_at: None,
    };
    let node = SourceNodeId::from_uuid(id(tenant, 2));
    let key = ApiKey {
        id: ApiKeyId::from_uuid(id(tenant, 3)),
        name: name("Key"),
        secret_hash: [tenant as u8; 32],
        owner: KeyOwner::Node(node),
        scopes: BTreeSet::from([Scope::Sync]),
        previous: None,
        expires_at: None,
        revoked_at: None,
        created_by: None,
        created_at,
    };
    let node = SourceNode { id: node, slug: Slug::new("node"), name: name("Node"), created_at };
    Founding { users: vec![admin], source_nodes: vec![node], api_keys: vec![key], ..Founding::new(record) }
}
