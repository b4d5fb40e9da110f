//! Starting weights: files of the exact layout of each program, made here, applied whole or
//! refused.

mod command;
mod files;
mod folding;
mod names;
mod refusals;
mod round_trips;
mod writers;
