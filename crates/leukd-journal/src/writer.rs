//! The one thread that writes: it owns the write connection and decides what each entry becomes.

use std::sync::{Arc, PoisonError};
use std::time::Instant;

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::mpsc;

use super::audit::{AuditEvent, AuditHead, Backlog, Chain, Room};
use super::batching::Batching;
use super::error::{ApplyError, JournalError};
use super::identity::{self, Outcome};
use super::kinds::{self, Event, review, signature, specimen};
use super::lock::WaterMark;
use super::retention::{self, Keep, Pruned};
use super::retention_clock::RetentionClock;
use super::schema;
use super::shared::Shared;
use super::types::{Committed, Entry};
use super::work::{Reply, Work};
use crate::clock::Clock;
use crate::result::{Source, Timestamp};

/// The most entries that wait for the writer.
pub(super) const QUEUE: usize = 256;

pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) shared: Arc<Shared>,
    pub(super) clock: Clock,
    pub(super) keep: Keep,
    pub(super) retention_clock: RetentionClock,
    /// The sequence that the next event gets.
    pub(super) next: u64,
    /// The end of the audit chain.
    pub(super) chain: Chain,
    /// Records that could not be written yet.
    pub(super) backlog: Backlog,
    pub(super) water_mark: WaterMark,
    /// A transaction ended in an error, and the disk may know better than this struct how.
    pub(super) is_unsure: bool,
    /// Transactions that failed since the last one that did not.
    pub(super) failures: u64,
    /// The record of the stop was given: it is the last.
    pub(super) is_stopped: bool,
}

impl Writer {
    /// Writes the record of the start, now or later.
    ///
    /// # Errors
    /// The file is damaged.
    pub(super) fn begin(&mut self) -> Result<(), JournalError> {
        let written = self.write_backlog();
        self.backlog.publish();
        match written {
            Ok(_) => Ok(()),
            Err(error) if error.is_transient() => {
                tracing::error!(%error, "nothing can be stored now; what is stored can be read");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Works until every sender is gone.
    pub(super) fn run(mut self, queue: mpsc::Receiver<Work>) {
        let mut batching = Batching::new(queue);
        while let Some(work) = batching.next() {
            // What was cut off at the stop may come to an end after it.
            let work = if self.is_stopped { work.refuse() } else { Some(work) };
            let Some(work) = work else { continue };
            match work {
                Work::Prune(reply) => {
                    let pruned = self.prune();
                    // The asker may have stopped waiting.
                    let _ = reply.send(pruned);
                }
                Work::Audit(event, reply) => {
                    self.is_stopped = matches!(*event, AuditEvent::Stop { .. });
                    let head = self.audit(*event);
                    let _ = reply.send(head);
                }
                Work::Retry(reply) => {
                    let head = self.write_backlog();
                    let _ = reply.send(head);
                }
                Work::Summarize(ask, reply) => {
                    let answer = self.append(|transaction, next, now| {
                        specimen::apply(transaction, next, now, *ask)
                    });
                    let _ = reply.send(answer);
                }
                Work::Review(review, reply) => {
                    let answer = self.append(|transaction, next, now| {
                        review::apply(transaction, next, now, *review)
                    });
                    let _ = reply.send(answer);
                }
                Work::Sign(new, reply) => {
                    let answer = self.append(|transaction, next, now| {
                        signature::apply(transaction, next, now, *new)
                    });
                    let _ = reply.send(answer);
                }
                Work::Commit(entry, reply) => {
                    let (entries, replies) = batching.gather(*entry, reply);
                    self.commit(entries, replies);
                }
            }
        }
        // Nobody is left to be told; what a moved file needs is done.
        let _ = self.check_file();
    }

    fn commit(&mut self, entries: Vec<Entry>, replies: Vec<Reply<Committed>>) {
        let began = Instant::now();
        let outcomes = self.ready().and_then(|()| self.transact(entries));
        self.shared.measured.transacted(outcomes.is_ok(), began.elapsed());
        match outcomes {
            Ok(outcomes) => {
                let (mut answers, mut newest) = (Vec::with_capacity(outcomes.len()), Vec::new());
                for outcome in outcomes {
                    answers.push(outcome.map(|outcome| match outcome {
                        Outcome::Stored(stored, events) => {
                            newest.extend(events.into_iter().map(|(event, _)| event));
                            Committed::Stored(stored)
                        }
                        Outcome::Known(stored) => Committed::Known(stored),
                    }));
                }
                self.publish(&newest);
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

    /// The journal's names lead to the open files. Where they do not, the log is brought into the
    /// open file: left behind, it would be applied to whatever has the name at the next start.
    fn check_file(&self) -> Result<(), JournalError> {
        self.shared.file_id.check().inspect_err(|_| {
            let fold = "PRAGMA wal_checkpoint(TRUNCATE)";
            if let Err(error) = self.connection.query_row(fold, [], |_| Ok(())) {
                tracing::debug!(%error, "the log of a journal that was moved stays");
            }
        })
    }

    /// What must hold before a transaction begins.
    fn ready(&mut self) -> Result<(), JournalError> {
        self.check_file()?;
        if self.is_unsure {
            self.learn()?;
        }
        self.shared.check_floor()
    }

    /// All entries in one transaction; an entry that is refused takes nothing with it.
    fn transact(
        &mut self,
        entries: Vec<Entry>,
    ) -> Result<Vec<Result<Outcome, JournalError>>, JournalError> {
        let now = self.clock.wall();
        let (mut next, mut chain) = (self.next, self.chain);
        let mut outcomes = Vec::with_capacity(entries.len());
        let work = || -> rusqlite::Result<()> {
            let transaction =
                self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let step = |sql| transaction.prepare_cached(sql)?.execute([]).map(drop);
            self.backlog.write(&transaction, &mut chain, Room::Enough, now)?;
            for entry in entries {
                let subject = subject(&entry);
                step("SAVEPOINT entry")?;
                let outcome = match identity::apply(&transaction, entry, next, now) {
                    Ok(outcome) => {
                        if let Outcome::Stored(_, events) = &outcome {
                            next += events.len() as u64;
                            for (event, content) in events {
                                chain.stored(&transaction, now, event, *content)?;
                            }
                        }
                        Ok(outcome)
                    }
                    Err(ApplyError::Sqlite(error)) if error.sqlite_error_code().is_some() => {
                        return Err(error);
                    }
                    Err(error) => {
                        step("ROLLBACK TO entry")?;
                        Err(match error {
                            ApplyError::Refused(reason) => {
                                JournalError::Refused { subject, reason }
                            }
                            ApplyError::Stale(sequence) => {
                                JournalError::Stale { subject, sequence }
                            }
                            ApplyError::Sqlite(error) => self.shared.sqlite(&error),
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
            if chain.head != self.chain.head {
                chain.store(&transaction)?;
            }
            transaction.commit()
        };
        match work() {
            Ok(()) => {
                // Nobody is told of what went into a file that no name leads to any more.
                self.shared.file_id.check().inspect_err(|_| self.is_unsure = true)?;
                self.succeeded();
                self.next = next;
                self.backlog.written(true);
                self.advance(chain);
                Ok(outcomes)
            }
            Err(error) => {
                self.is_unsure = true;
                Err(self.failed(&error))
            }
        }
    }

    /// What is rare: at most one event, in a transaction of its own with its record.
    fn append<T>(
        &mut self,
        apply: impl FnOnce(&Connection, u64, Timestamp) -> rusqlite::Result<(T, Option<Event>)>,
    ) -> Result<T, JournalError> {
        self.ready()?;
        let began = Instant::now();
        let (now, next, mut chain) = (self.clock.wall(), self.next, self.chain);
        let work = || -> rusqlite::Result<(T, Option<Event>)> {
            let transaction =
                self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let (answer, event) = apply(&transaction, next, now)?;
            if let Some(event) = &event {
                let content = kinds::store(&transaction, event)?;
                chain.stored(&transaction, now, event, content)?;
                transaction
                    .prepare_cached("UPDATE meta SET next_sequence = ?1")?
                    .execute([(next + 1).cast_signed()])?;
                chain.store(&transaction)?;
            }
            transaction.commit()?;
            Ok((answer, event))
        };
        let done = work();
        self.shared.measured.transacted(done.is_ok(), began.elapsed());
        match done {
            Ok((answer, event)) => {
                self.shared.file_id.check().inspect_err(|_| self.is_unsure = true)?;
                self.succeeded();
                if let Some(event) = event {
                    self.next = next + 1;
                    self.advance(chain);
                    self.publish(&[event]);
                }
                Ok(answer)
            }
            Err(error) => {
                self.is_unsure = true;
                Err(self.failed(&error))
            }
        }
    }

    /// The error of a transaction. Only the first of several in a row is logged as an error.
    fn failed(&mut self, error: &rusqlite::Error) -> JournalError {
        let error = self.shared.sqlite(error);
        if self.failures == 0 {
            tracing::error!(%error, "a transaction failed");
        } else {
            tracing::debug!(%error, failures = self.failures, "a transaction failed again");
        }
        self.failures = self.failures.saturating_add(1);
        error
    }

    fn succeeded(&mut self) {
        let failures = std::mem::take(&mut self.failures);
        if failures > 0 {
            tracing::info!(failures, "transactions succeed again");
        }
    }

    /// The chain as it is on the disk now.
    fn advance(&mut self, chain: Chain) {
        self.chain = chain;
        self.water_mark.note(&self.shared.epoch, self.next);
        *self.shared.audit.lock().unwrap_or_else(PoisonError::into_inner) = chain.head;
    }

    /// Also below the disk floor: what is told here is short and rare, but for what strangers
    /// cause. What cannot be written waits.
    fn audit(&mut self, event: AuditEvent) -> Result<AuditHead, JournalError> {
        let waits = if event.is_login_failure() { self.shared.check_floor() } else { Ok(()) };
        self.backlog.push(self.clock.wall(), event);
        let head = waits.and_then(|()| self.write_backlog());
        self.backlog.publish();
        head
    }

    fn write_backlog(&mut self) -> Result<AuditHead, JournalError> {
        self.check_file()?;
        if self.is_unsure {
            self.learn()?;
        }
        let room = if self.shared.check_floor().is_ok() { Room::Enough } else { Room::Little };
        if !self.backlog.is_writable(room) {
            return Ok(self.chain.head);
        }
        let (now, mut chain) = (self.clock.wall(), self.chain);
        let mut work = || -> rusqlite::Result<()> {
            let transaction =
                self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            self.backlog.write(&transaction, &mut chain, room, now)?;
            chain.store(&transaction)?;
            transaction.commit()
        };
        match work() {
            Ok(()) => {
                self.backlog.written(true);
                self.advance(chain);
                Ok(chain.head)
            }
            Err(error) => {
                self.is_unsure = true;
                Err(self.shared.sqlite(&error))
            }
        }
    }

    fn publish(&self, events: &[Event]) {
        self.shared.change_tail(|tail| tail.publish(events.iter().cloned()));
        let newest = self.shared.tail(|tail| tail.bounds().newest);
        self.shared.newest.send_if_modified(|seen| std::mem::replace(seen, newest) != newest);
        self.shared.waiters.wake(events);
        self.shared.measured.stored(events);
    }

    /// A COMMIT that reported an error may still have reached the disk: takes what is there for
    /// true, so that no sequence is given twice and none stays unpublished.
    fn learn(&mut self) -> Result<(), JournalError> {
        let read = || -> rusqlite::Result<(u64, Chain, Vec<Event>)> {
            let meta = schema::read_meta(&self.connection)?;
            let published = self.next.saturating_sub(1);
            let events = kinds::read(&self.connection, published, meta.next_sequence, usize::MAX)?;
            Ok((meta.next_sequence, meta.chain, events))
        };
        let (next, chain, events) = read().map_err(|error| self.shared.sqlite(&error))?;
        self.publish(&events);
        self.next = next;
        // Whatever the transaction wrote, it wrote all of it or nothing.
        self.backlog.written(chain.head != self.chain.head);
        self.advance(chain);
        self.is_unsure = false;
        Ok(())
    }

    fn prune(&mut self) -> Result<Pruned, JournalError> {
        self.check_file()?;
        // What waits goes first, and where it cannot be written: this may make the room for it.
        let _ = self.write_backlog();
        if self.is_unsure {
            self.learn()?;
        }
        // Also below the disk floor: it is the cure.
        let (wall, mut chain) = (self.clock.wall(), self.chain);
        let now = self.retention_clock.look(wall, self.clock.monotonic());
        *self.shared.doubt.lock().unwrap_or_else(PoisonError::into_inner) =
            self.retention_clock.doubt(wall);
        let held = self.held_from();
        let keep = Keep { held, ..self.keep };
        let pruned = retention::prune(&mut self.connection, &mut chain, keep, now, wall)
            .and_then(|pruned| self.retention_clock.store(&self.connection).map(|()| pruned));
        let pruned = pruned.map_err(|error| {
            self.is_unsure = true;
            self.shared.sqlite(&error)
        })?;
        self.advance(chain);
        self.shared.change_tail(|tail| tail.forget_below(pruned.oldest));
        if let (None, Some(lost)) = (held, self.shared.holds.oldest())
            && pruned.removed > 0
            && lost < pruned.oldest
        {
            tracing::error!(
                "the disk is at its floor: retention removed events from {lost} on that were not \
                 forwarded yet. They are lost to the laboratory's store"
            );
        }
        Ok(pruned)
    }

    /// The oldest event that retention must leave. Below the disk floor there is none: a journal
    /// that takes no results any more would serve nobody.
    fn held_from(&self) -> Option<u64> {
        self.shared.check_floor().ok().and_then(|()| self.shared.holds.oldest())
    }
}

/// The name of an entry in messages.
fn subject(entry: &Entry) -> String {
    match entry {
        Entry::Alias { path, .. } => path.to_string(),
        Entry::Capture { found, .. } | Entry::Request { found } => match &found.capture.source {
            Source::Folder(path) => path.to_string(),
            Source::Rpc { request_id, .. } if !request_id.is_empty() => request_id.clone(),
            Source::Rpc { .. } => {
                found.cells.first().map(|cell| cell.result_id.clone()).unwrap_or_default()
            }
        },
    }
}
