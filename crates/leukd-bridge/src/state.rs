//! What a bridge keeps: its cursor, the message under way, and what was set aside.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use leukd_journal::atomic_file;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::message::Message;

/// Patients' specimens are named in these files.
const MODE: u32 = 0o600;

const CURSOR: &str = "cursor.json";
const PENDING: &str = "pending.json";
const ASIDE: &str = "dead-letters";

/// A place in the journal: everything up to it was taken or set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The journal.
    pub epoch: String,
    /// The last sequence.
    pub sequence: u64,
}

/// The file of a cursor.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    /// The kind of bridge: a message under way is of that kind.
    bridge: String,
    #[serde(flatten)]
    cursor: Cursor,
}

/// A message that the other side refused, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The other side's words.
    pub reason: String,
    /// Attempts that were made.
    pub attempts: u32,
    /// When it was set aside, RFC 3339.
    pub at: String,
    /// The message.
    pub message: Message,
}

/// State that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// A file cannot be read or written.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A file is damaged.
    #[error("{0} is damaged ({1}): restore it, or move it away to begin anew")]
    Damaged(PathBuf, serde_json::Error),
    /// Another process has it.
    #[error("{0} is in use by another bridge: give each a folder of its own")]
    InUse(PathBuf),
    /// It is another kind of bridge's.
    #[error("{0} belongs to a bridge of the kind {1}: give each a folder of its own")]
    Kind(PathBuf, String),
}

/// A bridge's folder.
#[derive(Debug)]
pub struct State {
    folder: PathBuf,
    bridge: &'static str,
    cursor: Option<Cursor>,
    pending: Option<Message>,
    dead: u64,
    _lock: std::fs::File,
}

impl State {
    /// Opens the folder, makes it if need be, and keeps others out of it.
    ///
    /// # Errors
    /// It cannot be used, is another bridge's, or holds a damaged file.
    pub fn open(folder: &Path, bridge: &'static str) -> Result<Self, StateError> {
        fs_err::create_dir_all(folder.join(ASIDE))?;
        let lock = fs_err::File::options().create(true).append(true).open(folder.join("lock"))?;
        let lock = lock.into_parts().0;
        match lock.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => {
                return Err(StateError::InUse(folder.to_owned()));
            }
            Err(std::fs::TryLockError::Error(error)) => return Err(error.into()),
        }
        let kept: Option<Kept> = read(&folder.join(CURSOR))?;
        if let Some(kept) = kept.as_ref().filter(|kept| kept.bridge != bridge) {
            return Err(StateError::Kind(folder.to_owned(), kept.bridge.clone()));
        }
        let cursor = kept.map(|kept| kept.cursor);
        let pending: Option<Message> = read(&folder.join(PENDING))?;
        // A death between the cursor and the removal leaves one that was taken.
        let taken = |message: &Message| {
            cursor.as_ref().is_some_and(|cursor| {
                cursor.epoch == message.epoch && message.sequence <= cursor.sequence
            })
        };
        let pending = pending.filter(|message| !taken(message));
        let dead = names(&folder.join(ASIDE))?.len() as u64;
        Ok(Self { folder: folder.to_owned(), bridge, cursor, pending, dead, _lock: lock })
    }

    /// The cursor; none before the first message.
    #[must_use]
    pub const fn cursor(&self) -> Option<&Cursor> {
        self.cursor.as_ref()
    }

    /// The message under way.
    #[must_use]
    pub const fn pending(&self) -> Option<&Message> {
        self.pending.as_ref()
    }

    /// Messages that were set aside.
    #[must_use]
    pub const fn dead_letters(&self) -> u64 {
        self.dead
    }

    /// Keeps a message before it is sent for the first time.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn begin(&mut self, message: Message) -> Result<(), StateError> {
        write(&self.folder.join(PENDING), &message)?;
        self.pending = Some(message);
        Ok(())
    }

    /// Moves the cursor past the message under way: it was taken.
    ///
    /// # Errors
    /// It cannot be written; then the message stays under way.
    pub fn taken(&mut self) -> Result<(), StateError> {
        let Some(message) = &self.pending else { return Ok(()) };
        let cursor = Cursor { epoch: message.epoch.clone(), sequence: message.sequence };
        self.advance(cursor)?;
        self.pending = None;
        match fs_err::remove_file(self.folder.join(PENDING)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Moves the cursor past events that lead to no message.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn advance(&mut self, cursor: Cursor) -> Result<(), StateError> {
        let kept = Kept { bridge: self.bridge.to_owned(), cursor };
        write(&self.folder.join(CURSOR), &kept)?;
        self.cursor = Some(kept.cursor);
        Ok(())
    }

    /// Sets the message under way aside, then moves the cursor past it.
    ///
    /// # Errors
    /// It cannot be written; then the message stays under way.
    pub fn set_aside(
        &mut self,
        reason: &str,
        attempts: u32,
        at: String,
    ) -> Result<PathBuf, StateError> {
        let Some(message) = self.pending.clone() else { return Ok(self.folder.join(ASIDE)) };
        let name = format!("{}_{:012}.json", message.epoch, message.sequence);
        let file = self.folder.join(ASIDE).join(name);
        write(&file, &DeadLetter { reason: reason.to_owned(), attempts, at, message })?;
        self.taken()?;
        self.dead = names(&self.folder.join(ASIDE))?.len() as u64;
        Ok(file)
    }

    /// The messages that were set aside, the oldest first.
    ///
    /// # Errors
    /// One cannot be read.
    pub fn set_aside_before(&self) -> Result<Vec<(PathBuf, DeadLetter)>, StateError> {
        let mut letters = Vec::new();
        for file in names(&self.folder.join(ASIDE))? {
            if let Some(letter) = read::<DeadLetter>(&file)? {
                letters.push((file, letter));
            }
        }
        letters
            .sort_by(|a, b| (&a.1.at, a.1.message.sequence).cmp(&(&b.1.at, b.1.message.sequence)));
        Ok(letters)
    }

    /// Removes a message that was set aside and has been taken since.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn sent_after_all(&mut self, file: &Path) -> Result<(), StateError> {
        fs_err::remove_file(file)?;
        self.dead = names(&self.folder.join(ASIDE))?.len() as u64;
        Ok(())
    }
}

/// The files of the folder that hold a message.
fn names(folder: &Path) -> Result<Vec<PathBuf>, StateError> {
    let mut files = Vec::new();
    for entry in fs_err::read_dir(folder)? {
        let file = entry?.path();
        if file.extension().is_some_and(|extension| extension == "json") {
            files.push(file);
        }
    }
    Ok(files)
}

fn read<T: DeserializeOwned>(file: &Path) -> Result<Option<T>, StateError> {
    let content = match fs_err::read(file) {
        Ok(content) => content,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let value = serde_json::from_slice(&content);
    value.map(Some).map_err(|error| StateError::Damaged(file.to_owned(), error))
}

fn write<T: Serialize>(file: &Path, value: &T) -> Result<(), StateError> {
    let json = serde_json::to_vec(value).map_err(io::Error::from)?;
    atomic_file::write(file, MODE, |new| -> io::Result<()> { new.write_all(&json) }).map_err(
        |error| io::Error::new(error.kind(), format!("cannot write {}: {error}", file.display())),
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::csv;
    use crate::round::tests::round;

    #[test]
    fn a_message_under_way_is_sent_again_after_a_death_and_a_taken_one_is_not() {
        let root = tempfile::tempdir().unwrap();
        let message = csv::encode(&round("11"));
        let mut state = State::open(root.path(), "csv").unwrap();
        state.begin(message.clone()).unwrap();
        assert!(matches!(State::open(root.path(), "csv"), Err(StateError::InUse(_))));
        drop(state);
        let mut state = State::open(root.path(), "csv").unwrap();
        assert_eq!((state.pending(), state.cursor()), (Some(&message), None));
        let pending = fs_err::read(root.path().join(PENDING)).unwrap();
        state.taken().unwrap();
        drop(state);
        // The death that leaves both.
        fs_err::write(root.path().join(PENDING), pending).unwrap();
        let state = State::open(root.path(), "csv").unwrap();
        assert_eq!((state.pending(), state.cursor().unwrap().sequence), (None, 17));
    }

    #[test]
    fn a_refused_message_is_set_aside_with_its_reason_and_can_be_sent_after_all() {
        let root = tempfile::tempdir().unwrap();
        let message = csv::encode(&round("11"));
        let mut state = State::open(root.path(), "csv").unwrap();
        state.begin(message.clone()).unwrap();
        state.set_aside("AE: no such specimen", 3, "2025-12-01T00:00:00Z".to_owned()).unwrap();
        assert_eq!((state.dead_letters(), state.cursor().unwrap().sequence), (1, 17));
        let letters = state.set_aside_before().unwrap();
        assert_eq!(letters[0].1.message, message);
        assert_eq!(
            (letters[0].1.reason.as_str(), letters[0].1.attempts),
            ("AE: no such specimen", 3)
        );
        state.sent_after_all(&letters[0].0).unwrap();
        assert_eq!(state.dead_letters(), 0);
    }

    #[test]
    fn another_kinds_folder_and_a_damaged_file_are_named() {
        let root = tempfile::tempdir().unwrap();
        let cursor = Cursor { epoch: "a".to_owned(), sequence: 3 };
        State::open(root.path(), "csv").unwrap().advance(cursor).unwrap();
        let wrong = State::open(root.path(), "hl7").unwrap_err().to_string();
        assert!(wrong.contains("csv"), "{wrong}");
        fs_err::write(root.path().join(CURSOR), "{\"epoch\"").unwrap();
        let damaged = State::open(root.path(), "csv").unwrap_err().to_string();
        assert!(damaged.contains(CURSOR), "{damaged}");
    }
}
