//! What the store should hold: plain maps, kept from its answers alone, and the rules on which the commands rest.
//! Never asks the store what it decided: it decides the same command again, and compares.

use super::command::{Asked, Command, Told};
use countersign::{
    domain::{
        identity::Group, refusal::RefusalCode, source::SourceObject, tenant::Tenant as TenantRecord, time::Timestamp,
    },
    limits::RECEIPT_LIFETIME_SECONDS,
    store::{Failed, Fault, Snapshot},
};
use std::collections::BTreeMap;
use uuid::Uuid;

/// What a command comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Committed,
    /// Answered, and nothing was written.
    Unchanged,
    Refused(RefusalCode),
    Denied,
    Panicked,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KnownGroup {
    pub(crate) revision: u64,
    /// None as long as nobody was told.
    pub(crate) id: Option<Uuid>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct KnownSource {
    name: String,
    description: String,
    archived: bool,
}

/// One tenant.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tenant {
    /// The number of its newest commit.
    pub(crate) number: u64,
    /// A digest of every commit that was seen, from number 1.
    pub(crate) commits: Vec<u64>,
    /// Whether its settings are on, and their revision; 0 before it is founded.
    pub(crate) settings: (bool, u64),
    pub(crate) groups: BTreeMap<String, KnownGroup>,
    sources: BTreeMap<String, KnownSource>,
    receipts: BTreeMap<String, (Command, Timestamp)>,
}

impl Tenant {
    /// Takes an answer for what it says, and says what is wrong with it.
    pub(crate) fn hear(&mut self, asked: &Asked, answer: &Result<Told, Failed>, now: Timestamp) -> Result<(), String> {
        let verdict = self.decide(asked, now);
        let same = match (answer, verdict) {
            (Ok(told), Verdict::Committed | Verdict::Unchanged) => {
                if told.number != self.number {
                    return Err(format!("{asked:?} has number {}, where {} belongs", told.number, self.number));
                }
                return self.learn(told).map_err(|wrong| format!("{asked:?}: {wrong}"));
            }
            (Err(Failed::Refused(refusal)), Verdict::Refused(code)) => refusal.code() == code,
            (Err(Failed::Denied(_)), Verdict::Denied) => true,
            (Err(Failed::Fault(Fault::Panicked)), Verdict::Panicked) => true,
            _ => false,
        };
        if same { Ok(()) } else { Err(format!("{asked:?} should be {verdict:?} and was answered {answer:?}")) }
    }

    /// Takes a command whose outcome is unknown for done.
    pub(crate) fn suppose(&mut self, asked: &Asked, now: Timestamp) {
        self.decide(asked, now);
    }

    /// Compares what was answered with what is known, and keeps the ids.
    fn learn(&mut self, told: &Told) -> Result<(), String> {
        if let Some((name, revision, id)) = &told.group {
            let known = self.groups.get_mut(name).ok_or_else(|| format!("nobody made the group {name}"))?;
            let id = *known.id.get_or_insert(*id) == *id;
            if !id || known.revision != *revision {
                return Err(format!("the group {name} is {known:?}, and was answered {told:?}"));
            }
        }
        if told.settings.is_some_and(|settings| settings != self.settings) {
            return Err(format!("the settings are {:?}, and were answered {told:?}", self.settings));
        }
        Ok(())
    }

    fn decide(&mut self, asked: &Asked, now: Timestamp) -> Verdict {
        let founds = asked.command == Command::Found;
        if asked.command == Command::Stranger || (self.settings.1 == 0 && !founds) {
            return Verdict::Denied;
        }
        if let Some(key) = &asked.key
            && let Some((command, at)) = self.receipts.get(key)
            && at.plus_seconds(RECEIPT_LIFETIME_SECONDS) > now
        {
            let same = *command == asked.command;
            return if same { Verdict::Unchanged } else { Verdict::Refused(RefusalCode::IdempotencyKeyReused) };
        }
        let verdict = self.apply(&asked.command);
        if verdict == Verdict::Committed {
            self.number += 1;
            if let Some(key) = &asked.key {
                self.receipts.insert(key.clone(), (asked.command.clone(), now));
            }
        }
        verdict
    }

    fn apply(&mut self, command: &Command) -> Verdict {
        let changed = match command {
            Command::Found if self.settings.1 > 0 => return Verdict::Refused(RefusalCode::AlreadyExists),
            Command::Found => {
                self.settings = (false, 1);
                true
            }
            Command::CreateGroup { name } if self.groups.contains_key(name) => {
                return Verdict::Refused(RefusalCode::AlreadyExists);
            }
            Command::CreateGroup { name } => {
                self.groups.insert(name.clone(), KnownGroup { revision: 1, id: None });
                true
            }
            Command::RenameGroup { id, name, revision } => return self.rename(*id, name, *revision),
            Command::ChangeSettings { revision, .. } if *revision != self.settings.1 => {
                return Verdict::Refused(RefusalCode::RevisionConflict);
            }
            Command::ChangeSettings { on, .. } => {
                let changed = self.settings.0 != *on;
                self.settings = (*on, self.settings.1 + u64::from(changed));
                changed
            }
            Command::Report { rows } => {
                let report = rows.iter().map(|(key, name, description)| {
                    let (name, description) = (name.clone(), description.clone());
                    let source = KnownSource { name, description, archived: false };
                    self.sources.insert(key.clone(), source.clone()) != Some(source)
                });
                report.fold(false, |some, changed| some | changed)
            }
            Command::Archive { key } => match self.sources.get_mut(key) {
                Some(source) => !std::mem::replace(&mut source.archived, true),
                None => false,
            },
            Command::Panic => return Verdict::Panicked,
            Command::Stranger => return Verdict::Denied,
        };
        if changed { Verdict::Committed } else { Verdict::Unchanged }
    }

    fn rename(&mut self, id: Uuid, name: &str, revision: u64) -> Verdict {
        let found = self.groups.iter().find(|(_, group)| group.id == Some(id));
        let Some((old, group)) = found.map(|(old, group)| (old.clone(), group.clone())) else { return Verdict::Denied };
        if group.revision != revision {
            return Verdict::Refused(RefusalCode::RevisionConflict);
        }
        if old == name {
            return Verdict::Unchanged;
        }
        if self.groups.contains_key(name) {
            return Verdict::Refused(RefusalCode::AlreadyExists);
        }
        self.groups.remove(&old);
        self.groups.insert(name.to_owned(), KnownGroup { revision: revision + 1, ..group });
        Verdict::Committed
    }

    /// Compares with what the store shows, which is all that it holds, and keeps the ids that nobody was told.
    pub(crate) fn compare(&mut self, shown: &Snapshot) -> Result<(), String> {
        if shown.number() != self.number {
            return Err(format!("the store shows number {}, and {} was acknowledged", shown.number(), self.number));
        }
        let view = shown.view();
        let tenant = view.all::<TenantRecord>().next();
        let settings = tenant.map_or((false, 0), |tenant| (tenant.settings.requester_may_not_approve, tenant.revision));
        if settings != self.settings {
            return Err(format!("the settings are {settings:?} instead of {:?}", self.settings));
        }
        let groups = view.all::<Group>().map(|group| {
            let known = KnownGroup { revision: group.revision, id: Some(group.id.uuid()) };
            (group.name.to_string(), known)
        });
        let groups: BTreeMap<_, _> = groups.collect();
        for (name, known) in &mut self.groups {
            known.id = known.id.or_else(|| groups.get(name).and_then(|group| group.id));
        }
        if groups != self.groups {
            return Err(format!("the groups are {groups:?} instead of {:?}", self.groups));
        }
        let sources = view.all::<SourceObject>().map(|source| {
            let (name, description) = (source.name.to_string(), source.description.as_str().to_owned());
            (source.key.to_string(), KnownSource { name, description, archived: source.archived_at.is_some() })
        });
        let sources: BTreeMap<_, _> = sources.collect();
        if sources != self.sources {
            return Err(format!("the sources are {sources:?} instead of {:?}", self.sources));
        }
        Ok(())
    }
}
