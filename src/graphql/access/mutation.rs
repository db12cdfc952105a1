//! How those who manage change roles, the rules that give them, and what they grant.
//! Never holds a rule: it words inputs for the operations and their outcomes for the client.

use super::{
    AssignmentRule, Grants, Role,
    input::{
        CreateAssignmentRuleInput, CreateRoleInput, DeleteAssignmentRuleInput, DeleteGrantsInput, DeleteRoleInput,
        RuleScopeInput, SetGrantsInput, UpdateAssignmentRuleInput, UpdateRoleInput, actors, criteria,
    },
};
use crate::{
    app::Seen,
    domain::{
        policy::{self, NewRole, NewRule, RoleChange, RuleChange, RuleScope},
        receipt::Gone,
        record::Kind,
        text::{Name, Slug},
    },
    graphql::{
        call::{mutate, payload},
        id::{global, of_kind},
    },
};
use async_graphql::{Context, ID, Object, Result};
use std::sync::Arc;

payload! {
    /// What a change of a role answers.
    RolePayload {
        /// The role as it is now; null when the change was refused.
        role: Role
    } from Arc<policy::Role>, |committed| Seen::after(committed).ok().map(Role)
}

payload! {
    /// What the deletion of a role answers.
    DeleteRolePayload {
        /// The id of the role that is gone; null when the deletion was refused.
        deleted_role_id: ID
    } from Gone, |committed| Some(global(Kind::Role, committed.outcome.0))
}

payload! {
    /// What a change of an assignment rule answers.
    AssignmentRulePayload {
        /// The rule as it is now; null when the change was refused.
        assignment_rule: AssignmentRule
    } from Arc<policy::AssignmentRule>, |committed| Seen::after(committed).ok().map(AssignmentRule)
}

payload! {
    /// What the deletion of an assignment rule answers.
    DeleteAssignmentRulePayload {
        /// The id of the rule that is gone; null when the deletion was refused.
        deleted_assignment_rule_id: ID
    } from Gone, |committed| Some(global(Kind::AssignmentRule, committed.outcome.0))
}

payload! {
    /// What a change of grants answers.
    GrantsPayload {
        /// The grants as they are now; null when the change was refused.
        grants: Grants
    } from Arc<policy::Grants>, |committed| Seen::after(committed).ok().map(Grants)
}

payload! {
    /// What the deletion of grants answers.
    DeleteGrantsPayload {
        /// The id of the grants that are gone; null when the deletion was refused.
        deleted_grants_id: ID
    } from Gone, |committed| Some(global(Kind::Grants, committed.outcome.0))
}

/// Mutations of roles, assignment rules and grants.
#[derive(Default)]
pub(in crate::graphql) struct AccessMutation;

#[Object]
impl AccessMutation {
    /// Makes a role, which nobody has yet and which grants nothing yet. Needs a governance manager.
    async fn create_role(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The new role.")] input: CreateRoleInput,
    ) -> Option<Result<RolePayload>> {
        let operation = mutate(ctx, input.idempotency_key, async |app, call| {
            let (slug, name) = (Slug::parse("slug", &input.slug)?, Name::parse("name", &input.name)?);
            app.create_role(&call, NewRole { slug, name, audits: input.audits }).await
        });
        Some(operation.await)
    }

    /// Changes a role; whoever has it keeps it. Needs a governance manager.
    async fn update_role(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The change.")] input: UpdateRoleInput,
    ) -> Option<Result<RolePayload>> {
        let operation = mutate(ctx, input.idempotency_key, async |app, call| {
            let name = input.name.map(|name| Name::parse("name", &name)).transpose()?;
            let change = RoleChange { expected_revision: input.expected_revision, name, audits: input.audits };
            app.update_role(&call, of_kind(Kind::Role, &input.role_id), change).await
        });
        Some(operation.await)
    }

    /// Deletes a role that nothing gives, grants or asks for any more. Needs a governance manager.
    async fn delete_role(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The role.")] input: DeleteRoleInput,
    ) -> Option<Result<DeleteRolePayload>> {
        let id = of_kind(Kind::Role, &input.role_id);
        let operation = mutate(ctx, input.idempotency_key, async |app, call| {
            app.delete_role(&call, id, input.expected_revision).await
        });
        Some(operation.await)
    }

    /// Makes a rule that gives a role, on a type or on one item. Needs a governance manager.
    async fn create_assignment_rule(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The new rule.")] input: CreateAssignmentRuleInput,
    ) -> Option<Result<AssignmentRulePayload>> {
        let operation = mutate(ctx, input.idempotency_key, async |app, call| {
            let scope = match input.scope {
                RuleScopeInput::ItemType(item_type) => RuleScope::Type(item_type.into()),
                RuleScopeInput::Item(id) => RuleScope::Item(of_kind(Kind::Item, &id)),
            };
            let (actors, criteria) = (actors(input.actors)?, criteria(input.criteria)?);
            let new = NewRule { role: of_kind(Kind::Role, &input.role_id), scope, actors, criteria };
            app.create_assignment_rule(&call, new).await
        });
        Some(operation.await)
    }

    /// Changes what a rule gives, to whom and when; where it holds stays. Needs a governance manager.
    async fn update_assignment_rule(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The change.")] input: UpdateAssignmentRuleInput,
    ) -> Option<Result<AssignmentRulePayload>> {
        let id = of_kind(Kind::AssignmentRule, &input.assignment_rule_id);
        let operation = mutate(ctx, input.idempotency_key, async |app, call| {
            let change = RuleChange {
                expected_revision: input.expected_revision,
                role: input.role_id.map(|id| of_kind(Kind::Role, &id)),
                actors: input.actors.map(actors).transpose()?,
                criteria: input.criteria.map(criteria).transpose()?,
            };
            app.update_assignment_rule(&call, id, change).await
        });
        Some(operation.await)
    }

    /// Deletes a rule: whoever had the role by it alone has it no longer, in the same commit. Needs a governance
    /// manager.
    async fn delete_assignment_rule(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The rule.")] input: DeleteAssignmentRuleInput,
    ) -> Option<Result<DeleteAssignmentRulePayload>> {
        let id = of_kind(Kind::AssignmentRule, &input.assignment_rule_id);
        let operation = mutate(ctx, input.idempotency_key, async |app, call| {
            app.delete_assignment_rule(&call, id, input.expected_revision).await
        });
        Some(operation.await)
    }

    /// Sets what everyone and each role may do on items of a type, or where a type has no grants of its own. Needs a
    /// governance manager.
    async fn set_grants(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The grants.")] input: SetGrantsInput,
    ) -> Option<Result<GrantsPayload>> {
        let key = input.idempotency_key.clone();
        let operation = mutate(ctx, key, async |app, call| app.set_grants(&call, input.change()?).await);
        Some(operation.await)
    }

    /// Deletes the grants of a type: from now on the defaults hold for it. Needs a governance manager.
    async fn delete_grants(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The grants.")] input: DeleteGrantsInput,
    ) -> Option<Result<DeleteGrantsPayload>> {
        let id = of_kind(Kind::Grants, &input.grants_id);
        let operation = mutate(ctx, input.idempotency_key, async |app, call| {
            app.delete_grants(&call, id, input.expected_revision).await
        });
        Some(operation.await)
    }
}
