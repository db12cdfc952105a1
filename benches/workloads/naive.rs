//! What one would write without much thought: default resolvers that read and decode a row from sled for each
//! object, and a mutation that is one transaction, one flush and one sync of the file. It answers the benchmark's
//! documents in the same shape, authenticates as the floor does, and checks no permission at all.

use crate::{
    floor::authenticated,
    machine::Fault,
    rows::{Item, ItemType, Rows, SignOff, SourceObject, Step, User, row},
};
use async_graphql::{Context, EmptySubscription, Error, ID, InputObject, Object, Result, Schema, SimpleObject, Union};
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use countersign::app::App;
use tokio::net::TcpListener;

fn rows<'c>(ctx: &Context<'c>) -> &'c Rows {
    ctx.data_unchecked::<Rows>()
}

struct GovernedItem(Item);

struct ShownStep(Step);

#[derive(SimpleObject)]
struct PersonValue {
    user: Option<User>,
}

#[derive(SimpleObject)]
struct ListValue {
    values: Vec<FieldValue>,
}

#[derive(Union)]
enum FieldValue {
    Person(PersonValue),
    List(ListValue),
}

#[Object(name = "Step")]
impl ShownStep {
    async fn key(&self) -> &str {
        &self.0.key
    }

    async fn status(&self) -> &str {
        &self.0.status
    }

    async fn sign_off(&self, ctx: &Context<'_>) -> Result<Option<SignOff>> {
        self.0.sign_off.as_ref().map_or(Ok(None), |id| row(&rows(ctx).sign_offs, id))
    }
}

#[Object]
impl GovernedItem {
    async fn id(&self) -> ID {
        ID(self.0.id.clone())
    }

    async fn revision(&self) -> u64 {
        self.0.revision
    }

    async fn item_type(&self) -> ItemType {
        self.0.kind
    }

    async fn name(&self) -> &str {
        &self.0.name
    }

    async fn created_at(&self) -> &str {
        &self.0.created_at
    }

    async fn changed_at(&self) -> &str {
        &self.0.changed_at
    }

    async fn parent(&self, ctx: &Context<'_>) -> Result<Option<Self>> {
        let parent = self.0.parent.as_ref().map_or(Ok(None), |id| row(&rows(ctx).items, id));
        Ok(parent?.map(Self))
    }

    async fn children(&self, ctx: &Context<'_>, item_type: Option<ItemType>) -> Result<Vec<Self>> {
        let mut children = vec![];
        for entry in rows(ctx).children.scan_prefix(format!("{}/", self.0.id)) {
            let (_, id) = entry?;
            let child: Option<Item> = row(&rows(ctx).items, std::str::from_utf8(&id)?)?;
            children.extend(child.filter(|child| item_type.is_none_or(|of| child.kind == of)).map(Self));
        }
        Ok(children)
    }

    async fn steps(&self) -> Vec<ShownStep> {
        self.0.steps.iter().cloned().map(ShownStep).collect()
    }

    async fn step(&self, key: String) -> Option<ShownStep> {
        self.0.steps.iter().find(|step| step.key == key).cloned().map(ShownStep)
    }

    async fn ongoing_step(&self) -> Option<ShownStep> {
        self.0.steps.iter().find(|step| step.status == "ONGOING").cloned().map(ShownStep)
    }

    async fn source_objects(&self, ctx: &Context<'_>) -> Result<Vec<SourceObject>> {
        let source: Option<SourceObject> = row(&rows(ctx).sources, &self.0.source)?;
        Ok(source.into_iter().collect())
    }

    async fn field(&self, ctx: &Context<'_>, key: String) -> Result<Option<FieldValue>> {
        if key.is_empty() {
            return Ok(None);
        }
        let users = self.0.reviewers.iter().map(|id| row(&rows(ctx).users, id));
        let users = users.map(|user| user.map(|user| FieldValue::Person(PersonValue { user })));
        Ok(Some(FieldValue::List(ListValue { values: users.collect::<Result<_>>()? })))
    }
}

#[derive(SimpleObject)]
struct Page {
    nodes: Vec<GovernedItem>,
    page_info: PageInfo,
}

#[derive(SimpleObject)]
struct PageInfo {
    has_next_page: bool,
    end_cursor: Option<String>,
}

#[derive(SimpleObject)]
struct Viewer {
    user: Option<User>,
}

struct Query;

#[Object]
impl Query {
    async fn node(&self, ctx: &Context<'_>, id: ID) -> Result<Option<GovernedItem>> {
        Ok(row(&rows(ctx).items, &id)?.map(GovernedItem))
    }

    async fn bundle_registry(&self, ctx: &Context<'_>, first: usize, after: Option<String>) -> Result<Page> {
        let mut nodes = vec![];
        let mut has_next_page = false;
        let begin = after.map_or_else(Vec::new, |after| [after.into_bytes(), vec![0]].concat());
        for entry in rows(ctx).bundles.range(begin..) {
            if nodes.len() == first {
                has_next_page = true;
                break;
            }
            let (_, id) = entry?;
            let item: Option<Item> = row(&rows(ctx).items, std::str::from_utf8(&id)?)?;
            nodes.extend(item.map(GovernedItem));
        }
        let end_cursor = nodes.last().map(|last| last.0.id.clone());
        Ok(Page { nodes, page_info: PageInfo { has_next_page, end_cursor } })
    }

    async fn viewer(&self, ctx: &Context<'_>) -> Result<Viewer> {
        let user = rows(ctx).users.first()?;
        Ok(Viewer { user: user.map(|(_, row)| rmp_serde::from_slice(&row)).transpose()? })
    }
}

#[derive(InputObject)]
struct NotifyGroupInput {
    group: String,
    users: Vec<ID>,
}

#[derive(InputObject)]
struct RequestFeedbackInput {
    sign_off_id: ID,
    notify: Vec<NotifyGroupInput>,
}

#[derive(SimpleObject)]
struct UserError {
    code: String,
}

#[derive(SimpleObject)]
struct SignOffPayload {
    sign_off: SignOff,
    user_errors: Vec<UserError>,
    cursor: String,
}

struct Mutation;

#[Object]
impl Mutation {
    async fn request_feedback(&self, ctx: &Context<'_>, input: RequestFeedbackInput) -> Result<SignOffPayload> {
        let this = rows(ctx).clone();
        let told = input.notify.into_iter().flat_map(|notify| {
            let group = notify.group;
            notify.users.into_iter().map(move |user| format!("{group}/{}", user.0))
        });
        let told: Vec<String> = told.collect();
        let id = input.sign_off_id.0;
        // Blocking work stands beside the runtime, or one sync would stop every other request.
        let asked = tokio::task::spawn_blocking(move || this.request_feedback(&id, "somebody", &told)).await?;
        let sign_off = asked.map_err(|error| Error::new(error.to_string()))?;
        Ok(SignOffPayload { cursor: sign_off.id.0.clone(), sign_off, user_errors: vec![] })
    }
}

#[derive(Clone)]
struct Naive {
    app: App,
    schema: Schema<Query, Mutation, EmptySubscription>,
}

/// Serves `POST /graphql` over the naive rows.
pub(crate) async fn serve(listener: TcpListener, app: App, rows: Rows) -> Result<(), Fault> {
    let schema = Schema::build(Query, Mutation, EmptySubscription).data(rows).finish();
    let router = Router::new().route("/graphql", post(answer)).with_state(Naive { app, schema });
    Ok(axum::serve(listener, router).await?)
}

async fn answer(State(naive): State<Naive>, headers: HeaderMap, body: Bytes) -> Response {
    if let Err(status) = authenticated(&naive.app, &headers).await {
        return status.into_response();
    }
    let Ok(request) = serde_json::from_slice::<async_graphql::Request>(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    match serde_json::to_string(&naive.schema.execute(request).await) {
        Ok(answer) => ([(header::CONTENT_TYPE, "application/json")], answer).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
