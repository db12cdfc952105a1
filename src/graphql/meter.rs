//! What stands before every operation: what it costs, whether whoever asks may spend that, and whether he may have the
//! schema described to him. It takes from quota and budgets once, and says in the answer what is left.
//! Never executes anything, and never looks at an answer's data.

use super::{
    cost::{Cost, OPERATION, Prices, UnknownField},
    document::Admitted,
    error::{over_budget, schema_is_hidden, too_costly, too_many_requests},
    types::Types,
};
use crate::{
    app::{App, Budget, Budgets, Failed, Left},
    domain::access::Viewer,
    limits::OPERATION_COST_MAX,
};
use async_graphql::{Name, Response, Value};
use std::{
    net::IpAddr,
    str::FromStr,
    sync::{Arc, OnceLock},
};

/// To whom the schema is described.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Introspection {
    /// To those who are signed in.
    #[default]
    SignedIn,
    /// To everyone.
    Everyone,
    /// To nobody.
    Nobody,
}

/// A word that names nobody to whom the schema could be described.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it must be signed-in, everyone or nobody")]
pub struct UnknownIntrospection;

impl FromStr for Introspection {
    type Err = UnknownIntrospection;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "signed-in" => Ok(Self::SignedIn),
            "everyone" => Ok(Self::Everyone),
            "nobody" => Ok(Self::Nobody),
            _ => Err(UnknownIntrospection),
        }
    }
}

/// What stands before the operations of one API.
pub(super) struct Meter {
    prices: &'static Prices,
    budget: Budget,
    introspection: Introspection,
}

/// An operation that was counted.
#[derive(Debug, Default)]
pub(super) struct Metered {
    /// In points; none where the request never became an operation.
    pub(super) cost: Option<u64>,
    /// What is left of the caller's budgets.
    pub(super) left: Vec<Left>,
    /// What is answered instead of executing it.
    pub(super) refused: Option<Response>,
}

/// What is said of an operation's cost, once.
pub(super) struct Saying {
    cost: u64,
    /// Points and seconds of the budget that is nearest to its end.
    left: Option<(u32, u64)>,
}

/// What the schema's fields cost: as constant as the schema.
fn prices(types: &Types) -> Result<&'static Prices, UnknownField> {
    static PRICES: OnceLock<Prices> = OnceLock::new();
    if let Some(known) = PRICES.get() {
        return Ok(known);
    }
    let prices = Prices::of(types)?;
    Ok(PRICES.get_or_init(|| prices))
}

impl Meter {
    /// # Errors
    /// Where the table of costs does not fit the schema.
    pub(super) fn new(
        app: &App,
        types: &Types,
        budgets: Budgets,
        introspection: Introspection,
    ) -> Result<Self, UnknownField> {
        Ok(Self { prices: prices(types)?, budget: app.budget(budgets), introspection })
    }

    /// Counts a request of whoever asks, from wherever.
    pub(super) fn meter(
        &self,
        app: &App,
        viewer: &Result<Arc<Viewer>, Failed>,
        address: Option<IpAddr>,
        admitted: &Admitted,
    ) -> Metered {
        let cost = self.cost(admitted);
        let known = viewer.as_ref().ok().map(Arc::as_ref);
        if let Some(wait) = known.and_then(|viewer| app.count_request(viewer).err()) {
            return Metered { refused: Some(too_many_requests(wait)), ..Metered::default() };
        }
        // What is not executed takes no more than to look at it.
        let too_costly = (cost.points > OPERATION_COST_MAX).then(|| too_costly(&cost));
        let spent = if too_costly.is_some() { OPERATION } else { cost.points };
        let (left, overdrawn) = match self.budget.spend(known, address, spent) {
            Ok(left) => (left, None),
            Err(overdrawn) => (vec![overdrawn.left()], Some(over_budget(&overdrawn, cost.points))),
        };
        let hidden =
            || cost.describes_schema.then(|| schema_is_hidden(self.introspection, viewer.as_ref().err())).flatten();
        Metered { cost: Some(cost.points), left, refused: overdrawn.or(too_costly).or_else(hidden) }
    }

    /// Counts a request that was refused before it was an operation.
    pub(super) fn meter_refused(&self, viewer: &Result<Arc<Viewer>, Failed>, address: Option<IpAddr>) -> Metered {
        match self.budget.spend(viewer.as_ref().ok().map(Arc::as_ref), address, OPERATION) {
            Ok(left) => Metered { left, ..Metered::default() },
            Err(overdrawn) => {
                Metered { left: vec![overdrawn.left()], refused: Some(over_budget(&overdrawn, OPERATION)), cost: None }
            }
        }
    }

    /// What the operation costs; one that the document does not have is the engine's to refuse.
    fn cost(&self, admitted: &Admitted) -> Cost {
        let of = |operation| self.prices.cost(admitted.document().parsed(), operation, admitted.variables());
        admitted.operation().map(of).unwrap_or_default()
    }
}

impl Metered {
    /// The answer, with what its operation costs.
    pub(super) fn said_in(&self, response: Response) -> Response {
        match self.saying() {
            Some(saying) => saying.beside(response),
            None => response,
        }
    }

    /// What an answer says of its operation's cost.
    pub(super) fn saying(&self) -> Option<Saying> {
        let tightest = self.left.iter().min_by_key(|left| left.points);
        let left = tightest.map(|left| (left.points, left.seconds));
        self.cost.map(|cost| Saying { cost, left })
    }
}

impl Saying {
    fn beside(&self, response: Response) -> Response {
        let budget = self.left.map(|(points, seconds)| [("remaining", u64::from(points)), ("resetSeconds", seconds)]);
        let said = [("requested", self.cost), ("limit", OPERATION_COST_MAX)].into_iter();
        let said = said.chain(budget.into_iter().flatten());
        let said = said.map(|(name, value)| (Name::new(name), Value::from(value))).collect();
        response.extension("cost", Value::Object(said))
    }

    /// The extensions of an answer that says nothing else.
    pub(super) fn extensions(&self) -> impl serde::Serialize {
        self.beside(Response::new(Value::Null)).extensions
    }
}
