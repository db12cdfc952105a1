//! Whether and how reported objects come under governance: by hand, or by instance rules.
//! Never decides over a sign-off.

mod automatic;
mod hiding;
mod instance_rules;
mod rules;

use super::{
    id::{InstanceRulesId, TemplateId},
    source::SourceKind,
};
pub(in crate::domain) use automatic::govern_by_rule;
use instance_rules::add_child_rules;
pub(in crate::domain) use instance_rules::effective_rule;
pub use instance_rules::{EffectiveRule, NewRules, RuleOrigin};
pub use rules::Govern;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The instance rules of the tenant (under the tenant's id) or of the children of one item (under the item's id).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InstanceRules {
    /// The tenant's or the item's id: each has one set of rules.
    pub id: InstanceRulesId,
    /// Counts changes, from 1.
    pub revision: u64,
    /// What happens to newly reported objects of each kind; nothing for kinds that are not listed.
    pub rules: BTreeMap<SourceKind, InstanceRule>,
}

/// What happens to a newly reported object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstanceRule {
    /// It is governed at once, with this template.
    Govern(TemplateId),
    /// Governing it with this template is proposed.
    Recommend(TemplateId),
    /// It is hidden at once.
    Hide,
    /// It waits in the inbox.
    Nothing,
}
