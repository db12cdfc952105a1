//! What a record that was read back has in common with the records that were read before it, kept once.
//! In the making it is shared by itself: an item has its keys, and its sign-offs their configuration, from the template.
//! Never changes what a record says: only what is equal is shared.

use super::{
    field::Fields, item::Item, record::Record, sign_off::SignOff, source::SourceObject, state::State,
    template::Template,
};
use std::sync::Arc;

impl State {
    /// The same record with everything taken from this state that it already holds; as read, where nobody shares it.
    pub(in crate::domain) fn shared(&self, record: Record) -> Record {
        match record {
            Record::Item(mut item) => {
                if let Some(template) = self.template(item.template) {
                    share_keys(Arc::make_mut(&mut item), template);
                }
                Record::Item(item)
            }
            Record::SignOff(mut sign_off) => {
                let item = self.item(sign_off.item);
                if let Some(template) = item.and_then(|item| self.template(item.template)) {
                    share_configuration(Arc::make_mut(&mut sign_off), template);
                }
                Record::SignOff(sign_off)
            }
            Record::SourceObject(mut source) => {
                if let Some(item) = source.item().and_then(|item| self.item(item)) {
                    share_name(Arc::make_mut(&mut source), item);
                }
                Record::SourceObject(source)
            }
            Record::Tenant(_)
            | Record::TenantEntry(_)
            | Record::User(_)
            | Record::Group(_)
            | Record::Role(_)
            | Record::AssignmentRule(_)
            | Record::Grants(_)
            | Record::SourceNode(_)
            | Record::ApiKey(_)
            | Record::Session(_)
            | Record::PasswordLink(_)
            | Record::Receipt(_)
            | Record::Template(_)
            | Record::InstanceRules(_)
            | Record::Infrastructure(_)
            | Record::Deployment(_) => record,
        }
    }
}

fn share_keys(item: &mut Item, template: &Template) {
    item.workflow.share_keys(&template.steps);
    let fields = std::mem::take(&mut item.fields).into_iter().map(|(key, value)| {
        let defined = template.field(key.as_str()).map(|field| field.key.clone());
        (defined.unwrap_or(key), value)
    });
    item.fields = fields.collect::<Fields>();
}

fn share_configuration(sign_off: &mut SignOff, template: &Template) {
    let Some(step) = template.step(&sign_off.step) else { return };
    sign_off.step = step.key.clone();
    // A sign-off keeps the configuration that it began with: the template may say something else by now.
    if let Some(configuration) = step.sign_off.as_ref().filter(|defined| **defined == sign_off.configuration) {
        sign_off.configuration = Arc::clone(configuration);
    }
}

fn share_name(source: &mut SourceObject, item: &Item) {
    if source.name == item.name {
        source.name = item.name.clone();
    }
}
