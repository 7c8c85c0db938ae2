//! A log that keeps what it is told: the reference reading of the contract.

use std::sync::{Mutex, PoisonError};

use super::{
    contract::{Error, Logging, Reply},
    line::Line,
};
use crate::contract::{Answer, Backend, Support};

/// Lines in the order in which they came, up to a number of them.
#[derive(Debug)]
pub struct Memory {
    most: usize,
    lines: Mutex<Vec<Line>>,
}

impl Memory {
    /// It can do everything.
    pub const SUPPORT: Support = Support::full("memory");

    /// An empty log with room for so many lines.
    pub fn holding(most: usize) -> Self {
        Self {
            most,
            lines: Mutex::default(),
        }
    }

    /// What it was told.
    pub fn lines(&self) -> Vec<Line> {
        self.lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Backend<Logging> for Memory {
    fn call(&self, line: Line) -> Answer<'_, Logging> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = if lines.len() < self.most {
            lines.push(line);
            Ok(Reply::Taken)
        } else {
            Err(Error::Full)
        };
        Box::pin(async move { taken })
    }
}
