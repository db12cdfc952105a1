//! Operations: one function for each thing that a caller can ask for.
//! Never holds a rule of the domain or a word of the wire.

pub mod fixture;
