//! The one thread that writes: it owns the write connection and decides what each entry becomes.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot, watch};

use super::error::JournalError;
use super::follow::Followers;
use super::intake::Intake;
use super::retention::{self, Keep, Pruned};
use super::row::{self, COLUMNS};
use super::settle::{Outcome, Trouble, settle};
use super::tail::Tail;
use super::types::{Committed, Entry};
use crate::clock::Clock;
use crate::result::{Record, Source};

/// How many entries may wait for the writer.
pub(super) const QUEUE: usize = 256;

pub(super) type Reply<T> = oneshot::Sender<Result<T, JournalError>>;

/// What the thread is asked.
pub(super) enum Work {
    /// Make this durable.
    Commit(Box<Entry>, Reply<Committed>),
    /// Remove one batch of what is past its time.
    Prune(Reply<Pruned>),
}

/// What the writer publishes and every reader sees.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) file: PathBuf,
    pub(super) directory: PathBuf,
    pub(super) epoch: String,
    pub(super) disk_floor: u64,
    pub(super) tail: RwLock<Tail>,
    pub(super) newest: watch::Sender<u64>,
    pub(super) followers: Followers,
}

impl Shared {
    /// Runs `look` on the tail. A panic elsewhere leaves it whole: every change is a push or a pop.
    pub(super) fn tail<T>(&self, look: impl FnOnce(&Tail) -> T) -> T {
        look(&self.tail.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn change_tail(&self, change: impl FnOnce(&mut Tail)) {
        change(&mut self.tail.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// Free bytes for unprivileged users on the journal's file system.
    pub(super) fn free_bytes(&self) -> Result<u64, JournalError> {
        let stat = rustix::fs::statvfs(&self.directory)
            .map_err(|error| JournalError::io(&self.directory, &error.into()))?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    pub(super) fn trouble(&self, error: &rusqlite::Error) -> JournalError {
        JournalError::sqlite(&self.file, error)
    }
}

pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) shared: Arc<Shared>,
    pub(super) clock: Clock,
    pub(super) keep: Keep,
    /// The sequence that the next result gets.
    pub(super) next: u64,
    /// A transaction ended in an error, and the disk may know better than this struct how.
    pub(super) unsure: bool,
}

impl Writer {
    /// Works until every sender is gone.
    pub(super) fn run(mut self, queue: mpsc::Receiver<Work>) {
        let mut intake = Intake::new(queue);
        while let Some(work) = intake.next() {
            match work {
                Work::Prune(reply) => {
                    let pruned = self.prune();
                    // The asker may have stopped waiting.
                    let _ = reply.send(pruned);
                }
                Work::Commit(entry, reply) => {
                    let (entries, replies) = intake.gather(*entry, reply);
                    self.commit(entries, replies);
                }
            }
        }
    }

    fn commit(&mut self, entries: Vec<Entry>, replies: Vec<Reply<Committed>>) {
        match self.ready().and_then(|()| self.transact(entries)) {
            Ok(outcomes) => {
                let answers: Vec<_> = outcomes
                    .into_iter()
                    .map(|outcome| {
                        outcome.map(|outcome| match outcome {
                            Outcome::Stored(record) => Committed::Stored(Arc::new(record)),
                            Outcome::Known(record) => Committed::Known(Arc::new(record)),
                        })
                    })
                    .collect();
                let stored = answers.iter().filter_map(|answer| match answer {
                    Ok(Committed::Stored(record)) => Some(Arc::clone(record)),
                    _ => None,
                });
                self.publish(&stored.collect::<Vec<_>>());
                for (reply, answer) in replies.into_iter().zip(answers) {
                    // A caller that has gone away finds its result in the journal.
                    let _ = reply.send(answer);
                }
            }
            Err(error) => {
                for reply in replies {
                    let _ = reply.send(Err(error.clone()));
                }
            }
        }
    }

    /// What must hold before a transaction begins.
    fn ready(&mut self) -> Result<(), JournalError> {
        if self.unsure {
            self.learn()?;
        }
        let (free, floor) = (self.shared.free_bytes()?, self.shared.disk_floor);
        if free < floor {
            return Err(JournalError::DiskFloor { free, floor });
        }
        Ok(())
    }

    /// All entries in one transaction; an entry that is refused takes nothing with it.
    fn transact(
        &mut self,
        entries: Vec<Entry>,
    ) -> Result<Vec<Result<Outcome, JournalError>>, JournalError> {
        let now = self.clock.wall();
        let mut next = self.next;
        let mut outcomes = Vec::with_capacity(entries.len());
        let work = || -> rusqlite::Result<()> {
            let transaction =
                self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let step = |sql| transaction.prepare_cached(sql)?.execute([]).map(drop);
            for entry in entries {
                let subject = subject(&entry);
                step("SAVEPOINT entry")?;
                let outcome = match settle(&transaction, entry, next, now) {
                    Ok(outcome) => {
                        next += u64::from(matches!(outcome, Outcome::Stored(_)));
                        Ok(outcome)
                    }
                    Err(Trouble::Sqlite(error)) if error.sqlite_error_code().is_some() => {
                        return Err(error);
                    }
                    Err(trouble) => {
                        step("ROLLBACK TO entry")?;
                        Err(match trouble {
                            Trouble::Refused(reason) => JournalError::Refused { subject, reason },
                            Trouble::Stale(sequence) => JournalError::Stale { subject, sequence },
                            Trouble::Sqlite(error) => self.shared.trouble(&error),
                        })
                    }
                };
                step("RELEASE entry")?;
                outcomes.push(outcome);
            }
            if next != self.next {
                transaction
                    .prepare_cached("UPDATE meta SET next_sequence = ?1")?
                    .execute([next.cast_signed()])?;
            }
            transaction.commit()
        };
        match work() {
            Ok(()) => {
                self.next = next;
                Ok(outcomes)
            }
            Err(error) => {
                self.unsure = true;
                let error = self.shared.trouble(&error);
                tracing::error!(%error, "results could not be stored");
                Err(error)
            }
        }
    }

    fn publish(&self, records: &[Arc<Record>]) {
        self.shared.change_tail(|tail| tail.publish(records.iter().cloned()));
        let newest = self.shared.tail(|tail| tail.bounds().newest);
        self.shared.newest.send_if_modified(|seen| std::mem::replace(seen, newest) != newest);
        self.shared.followers.tell(records);
    }

    /// A COMMIT that reported an error may still have reached the disk: takes what is there for true, so
    /// that no sequence is given twice and none stays unpublished.
    fn learn(&mut self) -> Result<(), JournalError> {
        let read = || -> rusqlite::Result<(u64, Vec<Arc<Record>>)> {
            let next = self
                .connection
                .query_row("SELECT next_sequence FROM meta", [], |row| row::unsigned(row, 0))?;
            let sql =
                format!("SELECT {COLUMNS} FROM results WHERE sequence >= ?1 ORDER BY sequence");
            let records = self
                .connection
                .prepare(&sql)?
                .query_map([self.next.cast_signed()], row::record)?
                .map(|record| record.map(Arc::new))
                .collect::<rusqlite::Result<_>>()?;
            Ok((next, records))
        };
        let (next, records) = read().map_err(|error| self.shared.trouble(&error))?;
        self.publish(&records);
        self.next = next;
        self.unsure = false;
        Ok(())
    }

    fn prune(&mut self) -> Result<Pruned, JournalError> {
        if self.unsure {
            self.learn()?;
        }
        // Also below the disk floor: it is the cure.
        let pruned = retention::prune(&mut self.connection, self.keep, self.clock.wall())
            .map_err(|error| self.shared.trouble(&error))?;
        self.shared.change_tail(|tail| tail.forget_below(pruned.oldest));
        Ok(pruned)
    }
}

fn subject(entry: &Entry) -> String {
    match entry {
        Entry::Capture { path, .. } | Entry::Alias { path, .. } => path.to_string(),
        Entry::Request { finding } => match &finding.source {
            Source::Rpc { request_id, .. } if !request_id.is_empty() => request_id.clone(),
            _ => finding.result_id.clone(),
        },
    }
}
