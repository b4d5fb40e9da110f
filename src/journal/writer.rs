//! The one thread that writes: it owns the write connection and decides what each entry becomes.

use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot, watch};

use super::audit::{AuditEvent, AuditHead, Chain};
use super::believed::{Believed, ClockDoubt};
use super::error::JournalError;
use super::event::{self, Event};
use super::follow::Followers;
use super::intake::Intake;
use super::lock::WaterMark;
use super::measured::Measured;
use super::owed::{Owed, Room};
use super::retention::{self, Keep, Pruned};
use super::reviews::{self, NewReview};
use super::row;
use super::settle::{Outcome, Trouble, settle};
use super::specimens::{self, Marked};
use super::tail::Tail;
use super::types::{Committed, Entry};
use crate::clock::Clock;
use crate::result::{Source, Timestamp};

/// How many entries may wait for the writer.
pub(super) const QUEUE: usize = 256;

pub(super) type Reply<T> = oneshot::Sender<Result<T, JournalError>>;

/// What the thread is asked.
pub(super) enum Work {
    /// Make this durable.
    Commit(Box<Entry>, Reply<Committed>),
    /// Make this review durable.
    Review(Box<NewReview>, Reply<reviews::Answer>),
    /// Tell a specimen, where it is to be told.
    Specimen(Box<specimens::Ask>, Reply<Marked>),
    /// Remove one batch of what is past its time.
    Prune(Reply<Pruned>),
    /// Add a record to the audit chain.
    Audit(Box<AuditEvent>, Reply<AuditHead>),
    /// Try to write the records that wait.
    Settle(Reply<AuditHead>),
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
    /// The newest record of the audit chain that is on the disk.
    pub(super) audit: Mutex<AuditHead>,
    /// How many records of the chain wait to be written.
    pub(super) owed: Arc<AtomicUsize>,
    /// The wall clock leapt ahead, and retention does not go by it yet.
    pub(super) doubt: Mutex<Option<ClockDoubt>>,
    pub(super) measured: Measured,
}

impl Shared {
    /// Runs `look` on the tail. A panic elsewhere leaves it whole: every change is a push or a pop.
    pub(super) fn tail<T>(&self, look: impl FnOnce(&Tail) -> T) -> T {
        look(&self.tail.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn audit_head(&self) -> AuditHead {
        *self.audit.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Whether there is space to store results.
    pub(super) fn check_floor(&self) -> Result<(), JournalError> {
        let (free, floor) = (self.free_bytes()?, self.disk_floor);
        if free < floor { Err(JournalError::DiskFloor { free, floor }) } else { Ok(()) }
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
    pub(super) believed: Believed,
    /// The sequence that the next event gets.
    pub(super) next: u64,
    /// The end of the audit chain.
    pub(super) chain: Chain,
    /// Records that could not be written yet.
    pub(super) owed: Owed,
    pub(super) water_mark: WaterMark,
    /// A transaction ended in an error, and the disk may know better than this struct how.
    pub(super) unsure: bool,
}

impl Writer {
    /// Tells the chain of the start, now or later.
    ///
    /// # Errors
    /// The file is damaged.
    pub(super) fn begin(&mut self) -> Result<(), JournalError> {
        let told = self.settle_owed();
        self.owed.tell();
        match told {
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
        let mut intake = Intake::new(queue);
        while let Some(work) = intake.next() {
            match work {
                Work::Prune(reply) => {
                    let pruned = self.prune();
                    // The asker may have stopped waiting.
                    let _ = reply.send(pruned);
                }
                Work::Audit(event, reply) => {
                    let head = self.audit(*event);
                    let _ = reply.send(head);
                }
                Work::Settle(reply) => {
                    let head = self.settle_owed();
                    let _ = reply.send(head);
                }
                Work::Specimen(ask, reply) => {
                    let answer = self.append(|transaction, chain, next, now| {
                        specimens::settle(transaction, chain, next, now, *ask)
                    });
                    let _ = reply.send(answer);
                }
                Work::Review(review, reply) => {
                    let answer = self.append(|transaction, chain, next, now| {
                        reviews::settle(transaction, chain, next, now, *review)
                    });
                    let _ = reply.send(answer);
                }
                Work::Commit(entry, reply) => {
                    let (entries, replies) = intake.gather(*entry, reply);
                    self.commit(entries, replies);
                }
            }
        }
    }

    fn commit(&mut self, entries: Vec<Entry>, replies: Vec<Reply<Committed>>) {
        let began = Instant::now();
        let outcomes = self.ready().and_then(|()| self.transact(entries));
        self.shared.measured.transacted(outcomes.is_ok(), began.elapsed());
        match outcomes {
            Ok(outcomes) => {
                let answers: Vec<_> = outcomes
                    .into_iter()
                    .map(|outcome| {
                        outcome.map(|outcome| match outcome {
                            Outcome::Stored(record, _) => Committed::Stored(Arc::new(record)),
                            Outcome::Known(record) => Committed::Known(Arc::new(record)),
                        })
                    })
                    .collect();
                let stored = answers.iter().filter_map(|answer| match answer {
                    Ok(Committed::Stored(record)) => Some(Event::Result(Arc::clone(record))),
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
            self.owed.pay(&transaction, &mut chain, Room::Enough, now)?;
            for entry in entries {
                let subject = subject(&entry);
                step("SAVEPOINT entry")?;
                let outcome = match settle(&transaction, entry, next, now) {
                    Ok(outcome) => {
                        if let Outcome::Stored(record, content) = &outcome {
                            next += 1;
                            chain.result(&transaction, now, record, *content)?;
                        }
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
            if chain.head != self.chain.head {
                chain.store(&transaction)?;
            }
            transaction.commit()
        };
        match work() {
            Ok(()) => {
                self.next = next;
                self.owed.paid(true);
                self.advance(chain);
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

    /// What is rare: at most one event, in a transaction of its own with its record.
    fn append<T>(
        &mut self,
        settle: impl FnOnce(
            &Connection,
            &mut Chain,
            u64,
            Timestamp,
        ) -> rusqlite::Result<(T, Option<Event>)>,
    ) -> Result<T, JournalError> {
        self.ready()?;
        let began = Instant::now();
        let (now, next, mut chain) = (self.clock.wall(), self.next, self.chain);
        let work = || -> rusqlite::Result<(T, Option<Event>)> {
            let transaction =
                self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let (answer, event) = settle(&transaction, &mut chain, next, now)?;
            if event.is_some() {
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
                if let Some(event) = event {
                    self.next = next + 1;
                    self.advance(chain);
                    self.publish(&[event]);
                }
                Ok(answer)
            }
            Err(error) => {
                self.unsure = true;
                let error = self.shared.trouble(&error);
                tracing::error!(%error, "an event could not be stored");
                Err(error)
            }
        }
    }

    /// The chain as it is on the disk now.
    fn advance(&mut self, chain: Chain) {
        self.chain = chain;
        self.water_mark.note(&self.shared.epoch, self.next);
        *self.shared.audit.lock().unwrap_or_else(PoisonError::into_inner) = chain.head;
    }

    /// Also below the disk floor: what is told here is short and rare, but for what strangers cause. What cannot be
    /// written waits.
    fn audit(&mut self, event: AuditEvent) -> Result<AuditHead, JournalError> {
        let waits = if event.is_login_failure() { self.shared.check_floor() } else { Ok(()) };
        self.owed.push(self.clock.wall(), event);
        let head = waits.and_then(|()| self.settle_owed());
        self.owed.tell();
        head
    }

    fn settle_owed(&mut self) -> Result<AuditHead, JournalError> {
        if self.unsure {
            self.learn()?;
        }
        let room = if self.shared.check_floor().is_ok() { Room::Enough } else { Room::Little };
        if !self.owed.is_payable(room) {
            return Ok(self.chain.head);
        }
        let (now, mut chain) = (self.clock.wall(), self.chain);
        let mut work = || -> rusqlite::Result<()> {
            let transaction =
                self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            self.owed.pay(&transaction, &mut chain, room, now)?;
            chain.store(&transaction)?;
            transaction.commit()
        };
        match work() {
            Ok(()) => {
                self.owed.paid(true);
                self.advance(chain);
                Ok(chain.head)
            }
            Err(error) => {
                self.unsure = true;
                Err(self.shared.trouble(&error))
            }
        }
    }

    fn publish(&self, events: &[Event]) {
        self.shared.change_tail(|tail| tail.publish(events.iter().cloned()));
        let newest = self.shared.tail(|tail| tail.bounds().newest);
        self.shared.newest.send_if_modified(|seen| std::mem::replace(seen, newest) != newest);
        self.shared.followers.tell(events);
        self.shared.measured.stored(events);
    }

    /// A COMMIT that reported an error may still have reached the disk: takes what is there for true, so
    /// that no sequence is given twice and none stays unpublished.
    fn learn(&mut self) -> Result<(), JournalError> {
        let read = || -> rusqlite::Result<(u64, Chain, Vec<Event>)> {
            let (next, chain) = self.connection.query_row(
                "SELECT next_sequence, audit_number, audit_hash FROM meta",
                [],
                |row| Ok((row::unsigned(row, 0)?, Chain { head: row::head(row, 1)? })),
            )?;
            let published = self.next.saturating_sub(1);
            let events = event::read(&self.connection, published, next, usize::MAX)?;
            Ok((next, chain, events))
        };
        let (next, chain, events) = read().map_err(|error| self.shared.trouble(&error))?;
        self.publish(&events);
        self.next = next;
        // Whatever the transaction wrote, it wrote all of it or nothing.
        self.owed.paid(chain.head != self.chain.head);
        self.advance(chain);
        self.unsure = false;
        Ok(())
    }

    fn prune(&mut self) -> Result<Pruned, JournalError> {
        // What waits goes first, and where it cannot be written: this may make the room for it.
        let _ = self.settle_owed();
        if self.unsure {
            self.learn()?;
        }
        // Also below the disk floor: it is the cure.
        let (wall, mut chain) = (self.clock.wall(), self.chain);
        let now = self.believed.look(wall, self.clock.monotonic());
        *self.shared.doubt.lock().unwrap_or_else(PoisonError::into_inner) =
            self.believed.doubt(wall);
        let pruned = retention::prune(&mut self.connection, &mut chain, self.keep, now, wall)
            .and_then(|pruned| self.believed.store(&self.connection).map(|()| pruned));
        let pruned = pruned.map_err(|error| {
            self.unsure = true;
            self.shared.trouble(&error)
        })?;
        self.advance(chain);
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
