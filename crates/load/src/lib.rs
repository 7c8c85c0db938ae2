//! Loads an HTTP service and says what it costs: latency, rate, errors, processor time, memory, time to the first answer.
//!
//! In: one service or two, a pace, a time, and which processes to watch. Out: a report as a table, as JSON, as a page. Knows nothing of
//! components, and serves every HTTP service alike: the container that stands there today, and what replaces it.

mod connection;
mod drive;
mod measure;
mod pace;
mod report;
mod rounds;
mod start;
mod stop;
mod subject;
mod tally;
mod target;

pub use drive::{Load, drive};
pub use measure::{MeasureError, Measured, Plan, Round, Side, Watched, measure};
pub use pace::{Pace, PaceError};
pub use report::Report;
pub use rounds::Rounds;
pub use start::{KEEPER, Kept, StartError, keep};
pub use stop::Stop;
pub use subject::{Subject, SubjectError, cgroup::Cgroup, process};
pub use tally::{Failure, Tally};
pub use target::{Expected, ProbeError, Protocol, Target, TargetError};
