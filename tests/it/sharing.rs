//! What was read back shares what it shared before: sign-offs have their configuration from the template, no copy of it.
//! Never looks at bytes of memory: it asks whether two records hold the same thing, or two equal ones.

use crate::{deployment::two_bundles, desk::Desk};
use countersign::{
    domain::{
        record::Record,
        sign_off::SignOff,
        state::{State, Write},
        template::SignOffConfiguration,
    },
    store::codec::{self, EncodedWrite},
};
use std::sync::Arc;

fn encoded(record: &Record) -> EncodedWrite {
    EncodedWrite::of(&Write::Put(record.clone())).unwrap()
}

/// The records of Acme with two governed bundles, one of whose sign-offs was configured otherwise.
fn records() -> (State, Vec<Record>) {
    let mut desk = Desk::acme();
    two_bundles(&mut desk);
    let mut records: Vec<Record> = desk.records();
    let mut sign_offs = records
        .iter_mut()
        .filter_map(|record| if let Record::SignOff(sign_off) = record { Some(Arc::make_mut(sign_off)) } else { None });
    let other = sign_offs.next().expect("a sign-off");
    let mandatory = !other.configuration.mandatory;
    other.configuration = Arc::new(SignOffConfiguration { mandatory, ..(*other.configuration).clone() });
    (State::empty(desk.tenant()), records)
}

fn sign_offs(state: &State) -> Vec<Arc<SignOff>> {
    let sign_off = |record| if let Record::SignOff(sign_off) = record { Some(sign_off) } else { None };
    state.records().filter_map(sign_off).collect()
}

#[test]
fn what_is_read_back_is_the_same_and_shares_its_configuration_with_the_template() {
    let (mut state, records) = records();
    let before: Vec<_> = records.iter().map(encoded).collect();
    for write in &before {
        state.restore(Write::Put(codec::record(write.kind, write.bytes.as_ref().unwrap()).unwrap()));
    }
    let bytes = |writes: &[EncodedWrite]| writes.iter().map(|write| write.bytes.clone()).collect::<Vec<_>>();
    let after: Vec<_> = state.records().map(|record| encoded(&record)).collect();
    assert_eq!(bytes(&after), bytes(&before), "sharing changed what a record says");

    let steps = |record| if let Record::Template(template) = record { Some(template.steps.clone()) } else { None };
    let steps = state.records().filter_map(steps);
    let defined: Vec<Arc<SignOffConfiguration>> = steps.flatten().filter_map(|step| step.sign_off).collect();
    let shared = |sign_off: &SignOff| defined.iter().any(|defined| Arc::ptr_eq(defined, &sign_off.configuration));
    let shared: Vec<bool> = sign_offs(&state).iter().map(|sign_off| shared(sign_off)).collect();
    assert_eq!(shared, [false, true], "only the sign-off that was configured otherwise keeps its own");
}
