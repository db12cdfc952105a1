//! The naive server's rows in sled, and its durable write: one transaction, one flush, one sync of the file.
//! Never fast on purpose, and never slow on purpose: it is what sled's documentation leads to, made durable.

use crate::{
    data::World,
    machine::{Fault, fault},
};
use async_graphql::{Enum, ID, SimpleObject};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sled::{Transactional, transaction::ConflictableTransactionError};
use std::{fs::File, path::Path, sync::Arc};

/// The trees of the naive store.
#[derive(Clone)]
pub(crate) struct Rows {
    database: sled::Db,
    file: Arc<File>,
    pub(crate) items: sled::Tree,
    pub(crate) children: sled::Tree,
    pub(crate) bundles: sled::Tree,
    pub(crate) sources: sled::Tree,
    pub(crate) users: sled::Tree,
    pub(crate) sign_offs: sled::Tree,
    pub(crate) events: sled::Tree,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Item {
    pub(crate) id: String,
    pub(crate) revision: u64,
    pub(crate) kind: ItemType,
    pub(crate) name: String,
    pub(crate) created_at: String,
    pub(crate) changed_at: String,
    pub(crate) parent: Option<String>,
    pub(crate) steps: Vec<Step>,
    pub(crate) reviewers: Vec<String>,
    pub(crate) source: String,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Step {
    pub(crate) key: String,
    pub(crate) status: String,
    pub(crate) sign_off: Option<String>,
}

#[derive(Clone, Serialize, Deserialize, SimpleObject)]
pub(crate) struct SignOff {
    pub(crate) id: ID,
    pub(crate) status: String,
    pub(crate) requesters: Vec<String>,
}

#[derive(Clone, Serialize, Deserialize, SimpleObject)]
pub(crate) struct SourceObject {
    pub(crate) id: ID,
    pub(crate) kind: String,
    pub(crate) key: String,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) validation_status: String,
}

#[derive(Clone, Serialize, Deserialize, SimpleObject)]
pub(crate) struct User {
    pub(crate) id: ID,
    pub(crate) name: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Enum)]
pub(crate) enum ItemType {
    GovernedProject,
    GovernedBundle,
}

#[derive(Serialize, Deserialize)]
struct Event {
    sign_off: String,
    notified: Vec<String>,
}

const BUNDLES: usize = 25;

impl Rows {
    pub(crate) fn open(path: &Path) -> Result<Self, Fault> {
        let database = sled::Config::new().path(path).flush_every_ms(None).open()?;
        let tree = |name: &str| database.open_tree(name);
        Ok(Self {
            file: Arc::new(File::open(path.join("db"))?),
            items: tree("items")?,
            children: tree("children")?,
            bundles: tree("bundles")?,
            sources: tree("sources")?,
            users: tree("users")?,
            sign_offs: tree("sign_offs")?,
            events: tree("events")?,
            database,
        })
    }

    /// As many projects and bundles as the world has, with the same sign-offs to ask feedback for.
    pub(crate) fn build(path: &Path, world: &World) -> Result<(), Fault> {
        let rows = Self::open(path)?;
        for project in world.tenants.iter().flat_map(|tenant| &tenant.projects) {
            for reviewer in &project.reviewers {
                let user = User { id: ID(reviewer.clone()), name: "Person 1 of organisation 1".to_owned() };
                rows.users.insert(reviewer, rmp_serde::to_vec_named(&user)?)?;
            }
            let steps = ["exploration", "qualification", "progress", "validation", "rollout", "delivery"];
            let steps = steps.map(|key| Step { key: key.to_owned(), status: "NOT_STARTED".to_owned(), sign_off: None });
            rows.enter(&project.id, None, ItemType::GovernedProject, &project.reviewers, steps.to_vec())?;
            for n in 0..BUNDLES {
                let id = format!("{}-{n:03}", project.id);
                let sign_off = project.untouched.get(n).cloned().unwrap_or_else(|| format!("{id}-s"));
                let stage = SignOff { id: ID(sign_off.clone()), status: "NOT_STARTED".to_owned(), requesters: vec![] };
                rows.sign_offs.insert(&sign_off, rmp_serde::to_vec_named(&stage)?)?;
                let review = Step { key: "review".to_owned(), status: "ONGOING".to_owned(), sign_off: Some(sign_off) };
                rows.enter(&id, Some(&project.id), ItemType::GovernedBundle, &[], vec![review])?;
            }
        }
        rows.database.flush()?;
        Ok(())
    }

    fn enter(
        &self,
        id: &str,
        parent: Option<&str>,
        kind: ItemType,
        reviewers: &[String],
        steps: Vec<Step>,
    ) -> Result<(), Fault> {
        let source = format!("{id}-o");
        let at = "2026-11-22T20:00:00.000Z".to_owned();
        let item = Item {
            id: id.to_owned(),
            revision: 2,
            kind,
            name: "Churn model 00001 v001".to_owned(),
            created_at: at.clone(),
            changed_at: at,
            parent: parent.map(str::to_owned),
            steps,
            reviewers: reviewers.to_vec(),
            source: source.clone(),
        };
        let reported = SourceObject {
            id: ID(source.clone()),
            kind: "PROJECT".to_owned(),
            key: "project-00001".to_owned(),
            name: "Churn model 00001".to_owned(),
            description: "Who is about to leave, and why.".to_owned(),
            validation_status: "NOT_VALIDATED".to_owned(),
        };
        self.items.insert(id, rmp_serde::to_vec_named(&item)?)?;
        self.sources.insert(&source, rmp_serde::to_vec_named(&reported)?)?;
        if let Some(parent) = parent {
            self.children.insert(format!("{parent}/{id}"), id)?;
            self.bundles.insert(id, id)?;
        }
        Ok(())
    }

    /// Asks for feedback in a transaction, and waits until it is on the disk.
    pub(crate) fn request_feedback(&self, id: &str, by: &str, notified: &[String]) -> Result<SignOff, Fault> {
        let number = self.database.generate_id()?;
        let asked = (&self.sign_offs, &self.events).transaction(|(sign_offs, events)| {
            let abort = |what: &str| ConflictableTransactionError::Abort(what.to_owned());
            let row = sign_offs.get(id)?.ok_or_else(|| abort("no such sign-off"))?;
            let mut sign_off: SignOff = rmp_serde::from_slice(&row).map_err(|error| abort(&error.to_string()))?;
            if sign_off.status != "NOT_STARTED" {
                return Err(abort("already requested"));
            }
            "WAITING_FOR_FEEDBACK".clone_into(&mut sign_off.status);
            sign_off.requesters.push(by.to_owned());
            let event = Event { sign_off: id.to_owned(), notified: notified.to_vec() };
            let encode = |error: rmp_serde::encode::Error| abort(&error.to_string());
            sign_offs.insert(id, rmp_serde::to_vec_named(&sign_off).map_err(encode)?)?;
            events.insert(&number.to_be_bytes(), rmp_serde::to_vec_named(&event).map_err(encode)?)?;
            Ok(sign_off)
        });
        let sign_off = asked.map_err(fault)?;
        self.database.flush()?;
        // sled's flush writes pages back without waiting for the disk.
        self.file.sync_data()?;
        Ok(sign_off)
    }
}

/// The row under an id.
pub(crate) fn row<T: DeserializeOwned>(tree: &sled::Tree, id: &str) -> async_graphql::Result<Option<T>> {
    let Some(bytes) = tree.get(id)? else { return Ok(None) };
    Ok(Some(rmp_serde::from_slice(&bytes)?))
}
