//! The kinds of record that a tenant's state holds: one line for each, and nothing else to keep in step.
//! Never changes a number in the table: they are in every journal.

use super::{
    deployment::Deployment,
    governance::InstanceRules,
    id::{
        ApiKeyId, AssignmentRuleId, DeploymentId, GrantsId, GroupId, InfrastructureId, InstanceRulesId, ItemId,
        PasswordLinkId, ReceiptId, RoleId, SessionId, SignOffId, SourceNodeId, SourceObjectId, TemplateId, TenantId,
        UserId,
    },
    identity::{ApiKey, Group, PasswordLink, Receipt, Session, SourceNode, User},
    infrastructure::Infrastructure,
    item::Item,
    policy::{AssignmentRule, Grants, Role},
    sign_off::SignOff,
    source::SourceObject,
    state::State,
    template::Template,
    tenant::{Tenant, TenantEntry},
};
use imbl::OrdMap;
use serde::{Serialize, de::DeserializeOwned};
use std::sync::Arc;
use uuid::Uuid;

/// A record that a state keeps by its id.
pub trait Entity: Clone + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The type of its id.
    type Id: Copy + Ord + From<Uuid> + Send + Sync + 'static;
    /// The number of its kind in the journal and the index.
    const KIND: Kind;

    /// Its id.
    fn id(&self) -> Self::Id;
    /// Its id's bytes.
    fn uuid(&self) -> Uuid;
    /// All records of the kind.
    fn table(state: &State) -> &OrdMap<Self::Id, Arc<Self>>;
    /// The record as one of all kinds.
    fn record(self: Arc<Self>) -> Record;
}

macro_rules! records {
    ($($number:literal $kind:ident $table:ident: $id:ident;)+) => {
        /// One record of any kind.
        #[derive(Clone, Debug)]
        pub enum Record {
            $(
                #[doc = concat!("See [`", stringify!($kind), "`].")]
                $kind(Arc<$kind>),
            )+
        }

        /// The kinds of record.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $(
                #[doc = concat!("See [`", stringify!($kind), "`].")]
                $kind,
            )+
        }

        impl Kind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$kind,)+];

            /// The kind's number in the journal and the index.
            pub const fn number(self) -> u8 {
                match self { $(Self::$kind => $number,)+ }
            }

            /// The kind with this number.
            pub const fn of_number(number: u8) -> Option<Self> {
                match number { $($number => Some(Self::$kind),)+ _ => None }
            }
        }

        /// Every record of a state, by kind and id.
        #[derive(Clone, Default)]
        pub struct Tables {
            $(pub(in crate::domain) $table: OrdMap<$id, Arc<$kind>>,)+
        }

        impl Record {
            /// What kind it is.
            pub const fn kind(&self) -> Kind {
                match self { $(Self::$kind(_) => Kind::$kind,)+ }
            }

            /// Its id's bytes.
            pub fn uuid(&self) -> Uuid {
                match self { $(Self::$kind(record) => Entity::uuid(&**record),)+ }
            }

            /// Encodes the record with an encoder for any serialisable value.
            ///
            /// # Errors
            /// Whatever the encoder answers.
            pub fn encode<E: Encode>(&self, encoder: E) -> Result<Vec<u8>, E::Error> {
                match self { $(Self::$kind(record) => encoder.encode(&**record),)+ }
            }

            /// Decodes a record of a kind.
            ///
            /// # Errors
            /// Whatever the decoder answers.
            pub fn decode<D: Decode>(kind: Kind, decoder: D) -> Result<Self, D::Error> {
                match kind { $(Kind::$kind => Ok(Self::$kind(Arc::new(decoder.decode::<$kind>()?))),)+ }
            }
        }

        impl State {
            /// How many records of each kind there are.
            pub fn counts(&self) -> Vec<(Kind, usize)> {
                vec![$((Kind::$kind, self.tables.$table.len()),)+]
            }

            /// Every record, for those who must see all: the index and the invariants' check.
            pub fn records(&self) -> impl Iterator<Item = Record> + '_ {
                let records = std::iter::empty();
                $(let records = records.chain(self.tables.$table.values().cloned().map(Record::$kind));)+
                records
            }

            pub(in crate::domain) fn insert(&mut self, record: Record) -> Option<Record> {
                match record {
                    $(Record::$kind(record) => {
                        let id = record.id();
                        self.tables.$table.insert(id, record).map(Record::$kind)
                    })+
                }
            }

            pub(in crate::domain) fn take(&mut self, kind: Kind, uuid: Uuid) -> Option<Record> {
                match kind {
                    $(Kind::$kind => self.tables.$table.remove(&$id::from_uuid(uuid)).map(Record::$kind),)+
                }
            }
        }

        $(
            impl Entity for $kind {
                type Id = $id;
                const KIND: Kind = Kind::$kind;

                fn id(&self) -> $id {
                    self.id
                }

                fn uuid(&self) -> Uuid {
                    self.id.uuid()
                }

                fn table(state: &State) -> &OrdMap<$id, Arc<Self>> {
                    &state.tables.$table
                }

                fn record(self: Arc<Self>) -> Record {
                    Record::$kind(self)
                }
            }
        )+
    };
}

records! {
    1 Tenant tenants: TenantId;
    2 TenantEntry tenant_entries: TenantId;
    3 User users: UserId;
    4 Group groups: GroupId;
    5 Role roles: RoleId;
    6 AssignmentRule assignment_rules: AssignmentRuleId;
    7 Grants grants: GrantsId;
    8 SourceNode source_nodes: SourceNodeId;
    9 ApiKey api_keys: ApiKeyId;
    10 Session sessions: SessionId;
    11 PasswordLink password_links: PasswordLinkId;
    12 Receipt receipts: ReceiptId;
    13 Template templates: TemplateId;
    14 Item items: ItemId;
    15 SignOff sign_offs: SignOffId;
    16 SourceObject source_objects: SourceObjectId;
    17 InstanceRules instance_rules: InstanceRulesId;
    18 Infrastructure infrastructures: InfrastructureId;
    19 Deployment deployments: DeploymentId;
}

/// Turns a record into bytes; the store has the one implementation.
pub trait Encode {
    /// What can go wrong.
    type Error;

    /// The bytes of `value`.
    ///
    /// # Errors
    /// When the value cannot be encoded.
    fn encode<T: Serialize>(self, value: &T) -> Result<Vec<u8>, Self::Error>;
}

/// Turns bytes into a record; the store has the one implementation.
pub trait Decode {
    /// What can go wrong.
    type Error;

    /// The value of the bytes.
    ///
    /// # Errors
    /// When the bytes are not such a value.
    fn decode<T: DeserializeOwned>(self) -> Result<T, Self::Error>;
}
