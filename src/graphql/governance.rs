//! Governing what nodes report, hiding it, and the rules for what they report later.
//! Never decides over a sign-off.

use super::{
    call::{Payload, mutate, payload, snapshot},
    error::{UserError, denied},
    id::{EventCursor, of_kind},
    item::GovernedItem,
    source::{SourceKind, SourceObject},
    sync::SourceObjectPayload,
    template::Template,
};
use crate::{
    app::{self, Committed, Seen},
    domain::{
        governance::{self, Govern, NewRules, RuleOrigin},
        id::{SourceObjectId, TemplateId},
        item::Item,
        record::Kind,
        refusal::Refusal,
        source,
        text::Name,
    },
    store::Snapshot,
};
use async_graphql::{Context, Enum, ID, InputObject, Object, Result, SimpleObject};
use std::{collections::BTreeMap, sync::Arc};

/// What happens to a newly reported object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(super) enum InstanceRuleAction {
    /// It is governed at once, with the rule's template.
    Govern,
    /// Governing it with the rule's template is proposed.
    Recommend,
    /// It is hidden at once.
    Hide,
    /// It waits in the inbox.
    Nothing,
}

/// Where the rule that holds for an object comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(super) enum RuleOriginKind {
    /// The rules for the children of an item above it.
    Item,
    /// The organisation's instance rules.
    Organisation,
    /// No rule speaks of such objects, so nothing happens.
    None,
}

/// The rule that holds for an object, and whose rule that is.
#[derive(SimpleObject)]
pub(super) struct EffectiveRule {
    /// What happens.
    action: InstanceRuleAction,
    /// The template of the action, where it has one and you may see it.
    template: Option<Template>,
    /// Where the rule comes from.
    origin: RuleOriginKind,
    /// The item whose rule it is, where it is an item's and you may read that.
    origin_item: Option<GovernedItem>,
}

impl EffectiveRule {
    /// A rule as the viewer of the snapshot may see it.
    pub(super) fn shown(snapshot: &Snapshot, rule: governance::EffectiveRule) -> Self {
        let (action, template) = parts(snapshot, rule.rule);
        let (origin, origin_item) = match rule.origin {
            RuleOrigin::Item(item) => (RuleOriginKind::Item, Seen::find(snapshot, item).ok().map(GovernedItem)),
            RuleOrigin::Tenant => (RuleOriginKind::Organisation, None),
            RuleOrigin::None => (RuleOriginKind::None, None),
        };
        Self { action, template, origin, origin_item }
    }
}

fn parts(snapshot: &Snapshot, rule: governance::InstanceRule) -> (InstanceRuleAction, Option<Template>) {
    use governance::InstanceRule as R;
    let seen = |template: TemplateId| Seen::find(snapshot, template).ok().map(Template);
    match rule {
        R::Govern(template) => (InstanceRuleAction::Govern, seen(template)),
        R::Recommend(template) => (InstanceRuleAction::Recommend, seen(template)),
        R::Hide => (InstanceRuleAction::Hide, None),
        R::Nothing => (InstanceRuleAction::Nothing, None),
    }
}

/// What happens to newly reported objects of one kind.
#[derive(SimpleObject)]
pub(super) struct InstanceRule {
    /// The kind of object.
    kind: SourceKind,
    /// What happens.
    action: InstanceRuleAction,
    /// The template of the action, where it has one and you may see it.
    template: Option<Template>,
}

/// The rules for newly reported objects: the organisation's, or those for the children of one item.
pub(super) struct InstanceRules {
    snapshot: Snapshot,
    rules: Arc<governance::InstanceRules>,
}

impl InstanceRules {
    /// Rules that the viewer of the snapshot may read.
    pub(super) fn shown(snapshot: &Snapshot, rules: Arc<governance::InstanceRules>) -> Self {
        Self { snapshot: snapshot.clone(), rules }
    }
}

/// The rules for newly reported objects: the organisation's, or those for the children of one item.
#[Object]
impl InstanceRules {
    /// Counts changes; 0 while nobody has set any. Name it when you change the rules.
    async fn revision(&self) -> u64 {
        self.rules.revision
    }

    /// The rules, parents' kinds before children's; for kinds that are not listed, rules further up hold.
    async fn rules(&self) -> Vec<InstanceRule> {
        let rules = self.rules.rules.iter().map(|(kind, rule)| {
            let (action, template) = parts(&self.snapshot, *rule);
            InstanceRule { kind: (*kind).into(), action, template }
        });
        rules.collect()
    }
}

/// Queries of instance rules.
#[derive(Default)]
pub(super) struct GovernanceQuery;

#[Object]
impl GovernanceQuery {
    /// The organisation's rules for newly reported objects.
    async fn instance_rules(&self, ctx: &Context<'_>) -> Result<InstanceRules> {
        let snapshot = snapshot(ctx).await?;
        Ok(InstanceRules::shown(snapshot, app::instance_rules(snapshot).map_err(denied)?))
    }
}

/// With which template children of one kind that are there already are governed.
#[derive(InputObject)]
pub(super) struct ExistingChildrenInput {
    /// The kind of the children.
    kind: SourceKind,
    /// The template: active, and of the type that governs this kind.
    template_id: ID,
}

/// What happens to newly reported objects of one kind.
#[derive(InputObject)]
pub(super) struct InstanceRuleInput {
    /// The kind of object.
    kind: SourceKind,
    /// What happens.
    action: InstanceRuleAction,
    /// The template, active and of the type that governs this kind: for GOVERN and RECOMMEND, and only there.
    template_id: Option<ID>,
}

/// How a source object comes under governance.
#[derive(InputObject)]
pub(super) struct GovernSourceObjectInput {
    /// The source object.
    source_object_id: ID,
    /// The template of the new item; where none is named, the one that the effective rule names.
    template_id: Option<ID>,
    /// The existing item that becomes its governance side, instead of a new one.
    item_id: Option<ID>,
    /// The name of the new item: 1 to 200 characters; the source object's own where none is named.
    name: Option<String>,
    /// The business initiative that a project belongs to.
    business_initiative_id: Option<ID>,
    /// Which children that are there already are governed as well, each kind once.
    #[graphql(default)]
    existing_children: Vec<ExistingChildrenInput>,
    /// What happens to children that are reported later, each kind once; for other kinds, rules further up hold.
    #[graphql(default)]
    future_children: Vec<InstanceRuleInput>,
    /// Repeats of the command under this key answer the same and do nothing.
    idempotency_key: Option<String>,
}

/// A source object to hide.
#[derive(InputObject)]
pub(super) struct HideSourceObjectInput {
    /// The source object.
    source_object_id: ID,
    /// Repeats of the command under this key answer the same and do nothing.
    idempotency_key: Option<String>,
}

/// A hidden source object to show again.
#[derive(InputObject)]
pub(super) struct UnhideSourceObjectInput {
    /// The source object.
    source_object_id: ID,
    /// Repeats of the command under this key answer the same and do nothing.
    idempotency_key: Option<String>,
}

/// The organisation's rules, anew.
#[derive(InputObject)]
pub(super) struct SetInstanceRulesInput {
    /// The revision that you have read; 0 while nobody has set any.
    expected_revision: u64,
    /// All rules from now on, each kind once.
    rules: Vec<InstanceRuleInput>,
    /// Repeats of the command under this key answer the same and do nothing.
    idempotency_key: Option<String>,
}

/// The rules for the children of an item, anew.
#[derive(InputObject)]
pub(super) struct SetChildRulesInput {
    /// The item.
    item_id: ID,
    /// The revision that you have read; 0 while nobody has set any.
    expected_revision: u64,
    /// All rules from now on, each kind once.
    rules: Vec<InstanceRuleInput>,
    /// Repeats of the command under this key answer the same and do nothing.
    idempotency_key: Option<String>,
}

/// What governing answers.
#[derive(SimpleObject)]
pub(super) struct GovernSourceObjectPayload {
    /// The item that governs the source object; null when governing was refused.
    item: Option<GovernedItem>,
    /// The source object as it is now; null when governing was refused.
    source_object: Option<SourceObject>,
    /// The rules that the request breaks; empty when it was done.
    user_errors: Vec<UserError>,
    /// The position of the change in the event log: subscribe after it to read your own write.
    cursor: Option<EventCursor>,
}

/// The item that an operation answers, and the source object that the request named.
pub(super) struct Governed {
    item: Arc<Item>,
    source: SourceObjectId,
}

impl Payload for GovernSourceObjectPayload {
    type Outcome = Governed;

    fn done(committed: Committed<Governed>, cursor: EventCursor) -> Self {
        let Committed { outcome: Governed { item, source }, snapshot, .. } = committed;
        let item = Seen::find(&snapshot, item.id).ok().map(GovernedItem);
        let source_object = Seen::find(&snapshot, source).ok().map(SourceObject);
        Self { item, source_object, user_errors: vec![], cursor: Some(cursor) }
    }

    fn refused(user_errors: Vec<UserError>) -> Self {
        Self { item: None, source_object: None, user_errors, cursor: None }
    }
}

payload! {
    /// What setting rules answers.
    InstanceRulesPayload {
        /// The rules as they are now; null when the change was refused.
        instance_rules: InstanceRules
    } from Arc<governance::InstanceRules>,
    |committed| Some(InstanceRules::shown(&committed.snapshot, Arc::clone(&committed.outcome)))
}

type ByKind<T> = BTreeMap<source::SourceKind, T>;

/// Values by kind, each kind named once.
fn by_kind<T>(path: &str, named: impl Iterator<Item = Result<(SourceKind, T), Refusal>>) -> Result<ByKind<T>, Refusal> {
    let mut all = BTreeMap::new();
    for (n, row) in named.enumerate() {
        let (kind, value) = row?;
        if all.insert(kind.into(), value).is_some() {
            let (path, wanted) = (format!("{path}.{n}.kind"), "another kind than those before it".to_owned());
            return Err(Refusal::ValueOfWrongShape { path, wanted, found: "one of them" });
        }
    }
    Ok(all)
}

fn rules(path: &str, rules: Vec<InstanceRuleInput>) -> Result<ByKind<governance::InstanceRule>, Refusal> {
    let rules = rules.into_iter().enumerate().map(|(n, rule)| Ok((rule.kind, rule.rule(&format!("{path}.{n}"))?)));
    by_kind(path, rules)
}

impl InstanceRuleInput {
    fn rule(self, path: &str) -> Result<governance::InstanceRule, Refusal> {
        use governance::InstanceRule as R;
        let template = self.template_id.map(|id| of_kind(Kind::Template, &id));
        let refused = |wanted: &str, found| {
            let (path, wanted) = (format!("{path}.templateId"), wanted.to_owned());
            Err(Refusal::ValueOfWrongShape { path, wanted, found })
        };
        match (self.action, template) {
            (InstanceRuleAction::Govern, Some(template)) => Ok(R::Govern(template)),
            (InstanceRuleAction::Recommend, Some(template)) => Ok(R::Recommend(template)),
            (InstanceRuleAction::Hide, None) => Ok(R::Hide),
            (InstanceRuleAction::Nothing, None) => Ok(R::Nothing),
            (InstanceRuleAction::Govern | InstanceRuleAction::Recommend, None) => refused("a template", "left out"),
            (InstanceRuleAction::Hide | InstanceRuleAction::Nothing, Some(_)) => refused("left out", "a template"),
        }
    }
}

impl GovernSourceObjectInput {
    fn govern(self) -> Result<Govern, Refusal> {
        let existing = self.existing_children.into_iter();
        let existing = existing.map(|children| Ok((children.kind, of_kind(Kind::Template, &children.template_id))));
        Ok(Govern {
            template: self.template_id.map(|id| of_kind(Kind::Template, &id)),
            into: self.item_id.map(|id| of_kind(Kind::Item, &id)),
            name: self.name.map(|name| Name::parse("name", &name)).transpose()?,
            initiative: self.business_initiative_id.map(|id| of_kind(Kind::Item, &id)),
            existing_children: by_kind("existingChildren", existing)?,
            future_children: rules("futureChildren", self.future_children)?,
        })
    }
}

/// Mutations of governance.
#[derive(Default)]
pub(super) struct GovernanceMutation;

#[Object]
impl GovernanceMutation {
    /// Governs a source object, into a new or an existing item, and its children where asked: everything lands,
    /// or nothing. Its parent must be governed. Needs CREATE on the type of the item, and WRITE on an existing
    /// one; you follow the item. A refusal about children names their kind in its path.
    async fn govern_source_object(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The source object, and how to govern it.")] input: GovernSourceObjectInput,
    ) -> Option<Result<GovernSourceObjectPayload>> {
        let (id, key) = (of_kind(Kind::SourceObject, &input.source_object_id), input.idempotency_key.clone());
        let operation = mutate(ctx, key, async |app, call| {
            let governed = app.govern_source_object(&call, id, input.govern()?).await?;
            Ok(governed.map(|item| Governed { item, source: id }))
        });
        Some(operation.await)
    }

    /// Hides a source object and everything ungoverned below it: it leaves the inbox. Needs CREATE on the type
    /// of item that would govern it.
    async fn hide_source_object(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The source object.")] input: HideSourceObjectInput,
    ) -> Option<Result<SourceObjectPayload>> {
        let id = of_kind(Kind::SourceObject, &input.source_object_id);
        let operation = mutate(ctx, input.idempotency_key, async |app, call| app.hide_source_object(&call, id).await);
        Some(operation.await)
    }

    /// Shows a hidden source object and everything hidden below it again. Needs CREATE on the type of item that
    /// would govern it.
    async fn unhide_source_object(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The source object.")] input: UnhideSourceObjectInput,
    ) -> Option<Result<SourceObjectPayload>> {
        let id = of_kind(Kind::SourceObject, &input.source_object_id);
        let operation = mutate(ctx, input.idempotency_key, async |app, call| app.unhide_source_object(&call, id).await);
        Some(operation.await)
    }

    /// Replaces the organisation's rules for newly reported objects; what was reported before stays as it is.
    /// For governance managers.
    async fn set_instance_rules(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The rules.")] input: SetInstanceRulesInput,
    ) -> Option<Result<InstanceRulesPayload>> {
        let expected_revision = input.expected_revision;
        let operation = mutate(ctx, input.idempotency_key, async |app, call| {
            app.set_instance_rules(&call, NewRules { expected_revision, rules: rules("rules", input.rules)? }).await
        });
        Some(operation.await)
    }

    /// Replaces the rules for what is reported below the source objects of an item. Needs WRITE.
    async fn set_child_rules(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The item, and the rules for its children.")] input: SetChildRulesInput,
    ) -> Option<Result<InstanceRulesPayload>> {
        let (id, expected_revision) = (of_kind(Kind::Item, &input.item_id), input.expected_revision);
        let operation = mutate(ctx, input.idempotency_key, async |app, call| {
            app.set_child_rules(&call, id, NewRules { expected_revision, rules: rules("rules", input.rules)? }).await
        });
        Some(operation.await)
    }
}
