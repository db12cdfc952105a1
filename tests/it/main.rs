//! The integration tests: one binary, one module for each noun.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "a test that meets something unexpected is to fail there and then, and modules share what they need"
)]

mod access;
mod audit;
mod backup;
mod broken;
mod budget;
mod client;
mod command;
mod compact;
mod config;
mod cost;
mod credential;
mod demo;
mod deployment;
mod described;
mod desk;
mod dictionary;
mod doctor;
mod document;
mod erasure;
mod event;
mod explanation;
mod field_matrix;
mod fixture;
mod formats;
mod founding;
mod frames;
mod golden;
mod governance;
mod index;
mod index_damage;
mod input;
mod introspection;
mod isolation;
mod journal;
mod journal_damage;
mod keys;
mod last_use;
mod lifecycle;
mod listener;
mod logs;
mod machine;
mod memory_disk;
mod metrics;
mod operations;
mod origin;
mod overload;
mod page;
mod past;
mod people;
mod permission;
mod permission_model;
mod quota;
mod released;
mod requests;
mod revocation;
mod schema;
mod session;
mod sharing;
mod sign_in;
mod simulation;
mod situation;
mod slow_reader;
mod store;
mod subscribers;
mod tenancy;
mod tenant;
mod tidy;
mod tls;
mod token;
mod transfer;
mod transitions;
mod walkthrough;
mod way;
mod world;
