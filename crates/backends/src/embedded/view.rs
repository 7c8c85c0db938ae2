//! What readers see: the database as the last acknowledged commit left it.
//!
//! In: a commit. Out: a snapshot that any number of readers share, so that a read begins no transaction of its own. Only the
//! newest is kept: an old one would keep redb from using its pages again.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use redb::{
    CommitError, Database, ReadOnlyTable, ReadTransaction, ReadableDatabase, StorageError,
    TableDefinition, TableError, TransactionError,
};

/// How every bucket is laid out: keys and values as bytes.
pub(crate) fn layout(table: &str) -> TableDefinition<'_, &'static [u8], &'static [u8]> {
    TableDefinition::new(table)
}

/// A bucket as readers see it.
pub(crate) type Table = ReadOnlyTable<&'static [u8], &'static [u8]>;

/// A snapshot.
pub(crate) struct View {
    transaction: ReadTransaction,
    tables: RwLock<HashMap<Arc<str>, Arc<Table>>>,
}

impl View {
    pub(crate) fn of(database: &Database) -> Result<Self, StorageError> {
        let transaction = database.begin_read().map_err(transaction_error)?;
        let tables = RwLock::default();
        Ok(Self {
            transaction,
            tables,
        })
    }

    /// `None` when nothing was ever written to it.
    pub(crate) fn table(&self, name: &Arc<str>) -> Result<Option<Arc<Table>>, StorageError> {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = tables.get(name) {
            return Ok(Some(table.clone()));
        }
        drop(tables);
        match self.transaction.open_table(layout(name)) {
            Ok(table) => Ok(Some(self.keep(name, Arc::new(table)))),
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            Err(error) => Err(storage_error(error)),
        }
    }

    fn keep(&self, name: &Arc<str>, table: Arc<Table>) -> Arc<Table> {
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        tables.insert(name.clone(), table.clone());
        table
    }
}

/// The newest snapshot.
pub(crate) struct Current(RwLock<Arc<View>>);

impl Current {
    pub(crate) fn new(view: View) -> Self {
        Self(RwLock::new(Arc::new(view)))
    }

    pub(crate) fn view(&self) -> Arc<View> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// To be called before the writes in it are acknowledged.
    pub(crate) fn replace(&self, view: View) {
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *current, Arc::new(view));
        // Ending a transaction takes locks of redb; readers need not wait for that.
        drop(current);
        drop(old);
    }
}

/// A table that is not as this backend made it is damage.
pub(crate) fn storage_error(error: TableError) -> StorageError {
    match error {
        TableError::Storage(error) => error,
        other => StorageError::Corrupted(other.to_string()),
    }
}

pub(crate) fn transaction_error(error: TransactionError) -> StorageError {
    match error {
        TransactionError::Storage(error) => error,
        other => StorageError::Corrupted(other.to_string()),
    }
}

pub(crate) fn commit_error(error: CommitError) -> StorageError {
    match error {
        CommitError::Storage(error) => error,
        other => StorageError::Corrupted(other.to_string()),
    }
}
