// How schema.graphql is linted: the recommended and the Relay rules of @graphql-eslint, and what is excepted from them.
// A type of its own without an id, or a new breach of any rule, fails until it is mended or excepted here with a reason.
import graphql from "@graphql-eslint/eslint-plugin";

// Parts of other objects, and views made for one answer: nothing that a client could fetch again by an id of its own.
// (Whatever has an identity implements Node; tests/it/schema.rs sees to that.)
const WITHOUT_IDENTITY = {
  suffixes: ["Connection", "Edge", "PageInfo", "Payload", "Result", "Value"],
  types: [
    "AccessExplanation", "AccessGround", "Actor", "Allowance", "Authorization", "BytesAllowance", "Confirmation",
    "EffectiveRule", "FeedbackGroup", "FeedbackRequest", "Field", "FieldDefinition", "FieldException", "FinalReview",
    "InfrastructureGrants", "InstanceRule", "InstanceRules", "ItemDeletionPreview", "ItemTypeAuthorization", "NeededRight",
    "NotifyWarning", "Permissions", "Publication", "ReviewRequest", "ReviewTask", "RuleActor", "RuleCriterion",
    "SourceOriginal", "Step", "StepDefinition", "TenantEntry", "TenantQuota", "TimelineEvent", "TotalCount", "UserError",
    "Viewer",
  ],
};

/// Single places where a rule is wrong. One that no longer applies fails, too.
export const exceptions = [
  {
    rule: "@graphql-eslint/relay-arguments",
    at: "Query.events",
    why: "The log is read forwards only, as its twin, the subscription, is; backwards is the timeline.",
  },
  {
    rule: "@graphql-eslint/relay-connection-types",
    at: "EventConnection.pageInfo",
    why: "Its cursors are positions in the log, which the subscription takes, too: a type of their own keeps them apart from those of pages.",
  },
  {
    rule: "@graphql-eslint/no-typename-prefix",
    at: "Group.groups",
    why: "The groups that are in the group: the word is not a prefix here.",
  },
  {
    rule: "@graphql-eslint/no-typename-prefix",
    at: "Permissions.permissions",
    why: "What a role may do, beside whose permissions they are: the word is not a prefix here.",
  },
  {
    rule: "@graphql-eslint/relay-edge-types",
    at: "AuthorizationEdge",
    why: "Its node is a row of the authorization matrix: a person or group, both of which have ids, and what is computed for them.",
  },
  {
    rule: "@graphql-eslint/relay-edge-types",
    at: "EventEdge",
    why: "An event is found by its position, the edge's cursor; what happened never changes, so nobody fetches it again.",
  },
  {
    rule: "@graphql-eslint/relay-edge-types",
    at: "TenantEntryEdge",
    why: "Ids are an organisation's own; the operator's directory stands outside of them, and knows organisations by their short names.",
  },
];

export default [
  {
    files: ["**/*.graphql"],
    languageOptions: { parser: graphql.parser, parserOptions: { graphQLConfig: { schema: "schema.graphql" } } },
    plugins: { "@graphql-eslint": graphql },
    rules: {
      ...graphql.configs["flat/schema-recommended"].rules,
      ...graphql.configs["flat/schema-relay"].rules,
      "@graphql-eslint/strict-id-in-types": ["error", { exceptions: WITHOUT_IDENTITY }],
      // Lists that stay short (an item's steps, the rules that a request breaks) are lists, and every connection has the
      // shortcut `nodes` beside its edges.
      "@graphql-eslint/relay-edge-types": ["error", { listTypeCanWrapOnlyEdgeType: false }],
    },
  },
];
