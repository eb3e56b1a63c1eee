//! Faults in an apply: a step fails, the process dies, the disk takes nothing, the power goes. The end is the state that was
//! asked for or the confirmed one, never between.
//!
//! The daemon, the reconciler and the files are the real ones; the kernel is the system in memory, which outlives the process.

mod disk;
mod every;
mod first;
mod machine;
mod plans;
mod several;
mod steps;
mod writes;

#[path = "../../../tests/fixture/mod.rs"]
mod fixture;
