//! The operations of the main job, as a client writes them: one function each, so that a test reads as a story.

use super::client::{Answer, Caller};
use serde_json::{Value, json};

/// What every test asks of an item.
const ITEM: &str = "id revision name archived deleted followed
    steps { key status signOff { id status } }
    parent { id name }
    sourceObjects { id key kind validationStatus }
    fields { key value { __typename
        ... on TextValue { text } ... on CategoryValue { category } ... on IntegerValue { integer }
        ... on ListValue { values { ... on PersonValue { user { name } group { name } } } } } }";

const ERRORS: &str = "userErrors { code message path } cursor";

impl Caller {
    async fn item_mutation(&self, name: &str, input_type: &str, input: Value) -> Answer {
        let query =
            format!("mutation($input: {input_type}!) {{ {name}(input: $input) {{ item {{ {ITEM} }} {ERRORS} }} }}");
        self.ask(&query, json!({ "input": input })).await
    }

    async fn sign_off_mutation(&self, name: &str, input_type: &str, input: Value) -> Answer {
        let warnings = if name.starts_with("request") { "warnings { userId group message }" } else { "" };
        let query = format!(
            "mutation($input: {input_type}!) {{ {name}(input: $input) {{ signOff {{ id status cycle
                feedback {{ id author {{ name }} group status comment }}
                finalReview {{ author {{ name }} decision comment contentDigest }} }} {warnings} {ERRORS} }} }}"
        );
        self.ask(&query, json!({ "input": input })).await
    }

    pub async fn item(&self, id: &str) -> Answer {
        self.ask(
            &format!("query($id: ID!) {{ node(id: $id) {{ ... on GovernedItem {{ {ITEM} }} }} }}"),
            json!({ "id": id }),
        )
        .await
    }

    /// The whole of an item as this caller sees it, for "nothing changed".
    pub async fn whole(&self, id: &str) -> Value {
        self.item(id).await.body
    }

    pub async fn sign_off(&self, id: &str) -> Answer {
        let query = "query($id: ID!) { node(id: $id) { ... on SignOff { id status cycle mandatory
            feedbackGroups { key reviewers { id name } } approvers { id name }
            feedback { id author { name } group status comment } finalReview { decision comment } } } }";
        self.ask(query, json!({ "id": id })).await
    }

    pub async fn templates(&self, item_type: &str) -> Answer {
        let query = "query($type: ItemType) { templates(itemType: $type) { nodes { id name status } } }";
        self.ask(query, json!({ "type": item_type })).await
    }

    pub async fn create_project(&self, template: &str, name: &str) -> Answer {
        let input = json!({ "templateId": template, "name": name });
        self.item_mutation("createGovernedProject", "CreateGovernedProjectInput", input).await
    }

    pub async fn update_item(&self, input: Value) -> Answer {
        self.item_mutation("updateItem", "UpdateItemInput", input).await
    }

    /// One move of one step, against the revision that the item has now.
    pub async fn step(&self, mutation: &str, item: &str, step: &str) -> Answer {
        let seen = self.item(item).await;
        let revision = seen.body.pointer("/data/node/revision").and_then(Value::as_i64).unwrap_or(1);
        let input = json!({ "itemId": item, "step": step, "expectedRevision": revision });
        self.item_mutation(mutation, "StepInput", input).await
    }

    pub async fn delete_item(&self, item: &str, mode: &str, revision: i64) -> Answer {
        let input = json!({ "itemId": item, "mode": mode, "expectedRevision": revision });
        self.item_mutation("deleteItem", "DeleteItemInput", input).await
    }

    pub async fn request_feedback(&self, sign_off: &str, notify: Value) -> Answer {
        let input = json!({ "signOffId": sign_off, "notify": notify });
        self.sign_off_mutation("requestFeedback", "RequestFeedbackInput", input).await
    }

    pub async fn submit_feedback(&self, sign_off: &str, group: &str, status: &str, comment: &str) -> Answer {
        let input = json!({ "signOffId": sign_off, "group": group, "status": status, "comment": comment });
        self.sign_off_mutation("submitFeedback", "SubmitFeedbackInput", input).await
    }

    pub async fn request_final_approval(&self, sign_off: &str) -> Answer {
        self.sign_off_mutation("requestFinalApproval", "RequestFinalApprovalInput", json!({ "signOffId": sign_off }))
            .await
    }

    pub async fn return_to_feedback(&self, sign_off: &str) -> Answer {
        self.sign_off_mutation("returnToFeedback", "SignOffInput", json!({ "signOffId": sign_off })).await
    }

    pub async fn decide(&self, sign_off: &str, decision: &str, comment: &str) -> Answer {
        let input = json!({ "signOffId": sign_off, "decision": decision, "comment": comment });
        self.sign_off_mutation("decide", "DecideInput", input).await
    }

    pub async fn my_review_tasks(&self) -> Vec<Value> {
        let answer = self.ask("{ myReviewTasks { kind group signOff { id } } }", json!({})).await;
        answer.at("/myReviewTasks").as_array().unwrap().clone()
    }

    pub async fn sync(&self, objects: Value) -> Answer {
        let query = "mutation($input: SyncSourceObjectsInput!) { syncSourceObjects(input: $input) {
            results { kind key sourceObject { id governanceStatus validationStatus item { id name } } userErrors { code path } }
            userErrors { code message path } cursor } }";
        self.ask(query, json!({ "input": { "objects": objects } })).await
    }

    pub async fn delete_sources(&self, objects: Value) -> Answer {
        let query = "mutation($input: DeleteSourceObjectsInput!) { deleteSourceObjects(input: $input) {
            results { kind key sourceObject { id archivedAt } userErrors { code } } userErrors { code } } }";
        self.ask(query, json!({ "input": { "objects": objects } })).await
    }

    /// What a node sees of one of its own objects.
    pub async fn status(&self, kind: &str, key: &str) -> Value {
        let query = "query($kind: SourceKind!, $key: String!) { sourceObject(kind: $kind, key: $key) {
            id governanceStatus validationStatus currentStep published archivedAt deployments { id status } } }";
        self.ask(query, json!({ "kind": kind, "key": key })).await.at("/sourceObject")
    }

    pub async fn govern(&self, input: Value) -> Answer {
        self.item_mutation("governSourceObject", "GovernSourceObjectInput", input).await
    }

    pub async fn publish(&self, source: &str) -> Answer {
        let query = "mutation($input: PublishSourceObjectInput!) { publishSourceObject(input: $input) {
            sourceObject { id published deployments { id } } userErrors { code } } }";
        self.ask(query, json!({ "input": { "sourceObjectId": source } })).await
    }

    async fn deployment_mutation(&self, name: &str, input_type: &str, input: Value) -> Answer {
        let query = format!(
            "mutation($input: {input_type}!) {{ {name}(input: $input) {{ deployment {{ id status health governanceHealth
                confirmation {{ by {{ name }} reason }} infrastructure {{ slug policy }} }} {ERRORS} }} }}"
        );
        self.ask(&query, json!({ "input": input })).await
    }

    pub async fn create_deployment(&self, infrastructure: &str, source: &str, confirmation: Option<&str>) -> Answer {
        let confirmation = confirmation.map(|reason| json!({ "reason": reason }));
        let input = json!({ "infrastructureId": infrastructure, "sourceObjectId": source, "name": "govlife", "confirmation": confirmation });
        self.deployment_mutation("createDeployment", "CreateDeploymentInput", input).await
    }

    pub async fn deploy(&self, deployment: &str, confirmation: Option<&str>) -> Answer {
        let confirmation = confirmation.map(|reason| json!({ "reason": reason }));
        let input = json!({ "deploymentId": deployment, "confirmation": confirmation });
        self.deployment_mutation("deploy", "DeployInput", input).await
    }

    pub async fn disable_deployment(&self, deployment: &str) -> Answer {
        let input = json!({ "deploymentId": deployment });
        self.deployment_mutation("disableDeployment", "DisableDeploymentInput", input).await
    }

    pub async fn delete_deployment(&self, deployment: &str) -> Answer {
        let query = "mutation($input: DeleteDeploymentInput!) { deleteDeployment(input: $input) {
            deletedDeploymentId userErrors { code } } }";
        self.ask(query, json!({ "input": { "deploymentId": deployment } })).await
    }

    pub async fn deployments(&self) -> Vec<Value> {
        let query = "{ deployments { nodes { id status health governanceHealth infrastructure { slug } sourceObject { key } } } }";
        self.ask(query, json!({})).await.at("/deployments/nodes").as_array().unwrap().clone()
    }

    pub async fn infrastructures(&self) -> Vec<Value> {
        let query = "{ infrastructures { nodes { id slug policy stage revision } } }";
        self.ask(query, json!({})).await.at("/infrastructures/nodes").as_array().unwrap().clone()
    }

    /// The registry of bundles or models, with where each is deployed.
    pub async fn registry(&self, name: &str, filter: Value) -> Vec<Value> {
        let query = format!(
            "query($filter: GovernedItemFilter) {{ {name}(filter: $filter, first: 100) {{ nodes {{ id name
                deployments {{ infrastructure {{ slug policy }} }} }} }} }}"
        );
        let answer = self.ask(&query, json!({ "filter": filter })).await;
        answer.at(&format!("/{name}/nodes")).as_array().unwrap().clone()
    }

    /// The item that a project's bundle or version of this name became.
    pub async fn child(&self, parent: &str, name: &str) -> Option<String> {
        let query = "query($id: ID!) { node(id: $id) { ... on GovernedItem { children { id name } } } }";
        let answer = self.ask(query, json!({ "id": parent })).await;
        let children = answer.at("/node/children").as_array().unwrap().clone();
        children.iter().find(|child| child["name"] == name).map(|child| child["id"].as_str().unwrap().to_owned())
    }

    /// The id of the sign-off of the step Review of an item.
    pub async fn review_of(&self, item: &str) -> String {
        let query =
            "query($id: ID!) { node(id: $id) { ... on GovernedItem { step(key: \"review\") { signOff { id } } } } }";
        self.ask(query, json!({ "id": item })).await.text("/node/step/signOff/id")
    }
}

/// The status of each step, in order.
pub fn steps(answer: &Answer, at: &str) -> Vec<(String, String)> {
    let steps = answer.at(at);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    steps.as_array().unwrap().iter().map(|step| (text(&step["key"]), text(&step["status"]))).collect()
}

/// A digest of content that says which content it is.
pub fn digest(of: &str) -> String {
    use sha2::Digest;
    let digest = sha2::Sha256::digest(of.as_bytes());
    format!("sha256:{}", digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}
