//! What components are to each other.
//!
//! In: checked apps. Out: who can reach what, directly and through links. Nothing here runs a guest or reads a file.

pub mod audit;
