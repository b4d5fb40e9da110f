//! Files that are read again when they change. The last good content counts until a better one is
//! there.

use std::fmt;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::condition::{Component, Conditions};
use crate::result::Digest;

/// The largest file that is read, in bytes: far above any certificate chain or list of tokens.
const LARGEST: u64 = 1 << 20;

/// Takes the files' contents, and what counts now.
type Parse<T> = Box<dyn Fn(&[Vec<u8>], Option<&T>) -> Result<T, String> + Send + Sync>;

/// The content of some files, reloaded when they change.
pub struct Kept<T> {
    current: ArcSwap<T>,
    files: Vec<PathBuf>,
    parse: Parse<T>,
    component: Component,
    conditions: Conditions,
    seen: Mutex<Seen>,
    changed: watch::Sender<u64>,
}

/// Findings of the last check.
#[derive(Debug)]
struct Seen {
    /// The content in force.
    good: Digest,
    /// The last content that failed.
    bad: Option<Digest>,
    /// True once the failure was reported.
    told: bool,
}

/// Kind of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// In passing: files that are just being replaced one after the other are given until the next
    /// look.
    Passing,
    /// On request: a failure is reported at once.
    Asked,
}

impl<T> fmt::Debug for Kept<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").field("files", &self.files).finish_non_exhaustive()
    }
}

impl<T> Kept<T> {
    /// Reads `files` for the first time. Blocks. `parse` takes their contents and, later, what
    /// counts until then.
    ///
    /// # Errors
    /// They cannot be read, or `parse` does not take them: one sentence.
    pub fn read(
        files: Vec<PathBuf>,
        component: Component,
        conditions: Conditions,
        parse: impl Fn(&[Vec<u8>], Option<&T>) -> Result<T, String> + Send + Sync + 'static,
    ) -> Result<Self, String> {
        let contents = contents(&files)?;
        let value = parse(&contents, None)?;
        let seen = Seen { good: digest(&Ok(contents)), bad: None, told: false };
        Ok(Self {
            current: ArcSwap::from_pointee(value),
            files,
            parse: Box::new(parse),
            component,
            conditions,
            seen: Mutex::new(seen),
            changed: watch::Sender::new(0),
        })
    }

    /// The content in force.
    #[must_use]
    pub fn current(&self) -> Arc<T> {
        self.current.load_full()
    }

    /// Tells of each new content that counts.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Reads the files again. Blocks. True when something new counts from now on.
    pub fn look(&self, look: Look) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let found = contents(&self.files);
        let now = digest(&found);
        if now == seen.good {
            if seen.bad.take().is_some() {
                seen.told = false;
                self.conditions.clear(&self.component);
            }
            return false;
        }
        let error = match found.and_then(|contents| (self.parse)(&contents, Some(&*self.current())))
        {
            Ok(value) => {
                self.current.store(Arc::new(value));
                *seen = Seen { good: now, bad: None, told: false };
                self.conditions.clear(&self.component);
                self.changed.send_modify(|count| *count += 1);
                tracing::info!(files = ?self.files, "reloaded");
                return true;
            }
            Err(error) => error,
        };
        let stands = seen.bad == Some(now);
        seen.told &= stands;
        seen.bad = Some(now);
        if (stands || look == Look::Asked) && !seen.told {
            seen.told = true;
            tracing::error!("{error}; the previous one stays in force");
            self.conditions.raise(
                self.component.clone(),
                format!("{error}; the previous one stays in force until this is fixed"),
            );
        }
        false
    }
}

/// Contents of all files.
fn contents(files: &[PathBuf]) -> Result<Vec<Vec<u8>>, String> {
    files.iter().map(|file| content(file)).collect()
}

/// Content of one file, bounded.
///
/// # Errors
/// It cannot be read, or is too large: one sentence that names it.
pub fn content(path: &Path) -> Result<Vec<u8>, String> {
    let shown = path.display();
    let mut bytes = Vec::new();
    let opened = rustix::fs::open(
        path,
        // A pipe in a key's place must not hold anybody up.
        rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    );
    let read = opened.map_err(std::io::Error::from).and_then(|file| {
        let file = std::fs::File::from(file);
        if !file.metadata()?.is_file() {
            return Err(std::io::Error::other("it is no regular file"));
        }
        file.take(LARGEST + 1).read_to_end(&mut bytes)
    });
    match read {
        Ok(_) if bytes.len() as u64 > LARGEST => Err(format!("{shown} is larger than 1 MiB")),
        Ok(_) => Ok(bytes),
        Err(error) => Err(format!("{shown} cannot be read: {error}")),
    }
}

fn digest(found: &Result<Vec<Vec<u8>>, String>) -> Digest {
    let parts: Vec<u8> = match found {
        Ok(contents) => contents.iter().flat_map(|content| Digest::of(content).0).collect(),
        Err(error) => error.as_bytes().to_vec(),
    };
    Digest::of(&parts)
}

/// True when every user of this machine may read the file, which no private key or token should
/// allow.
#[must_use]
pub fn is_open_to_others(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::result::Timestamp;

    fn kept(file: &Path) -> (Kept<u32>, Conditions) {
        let conditions = Conditions::new(Clock::manual(Timestamp(0)));
        let parse = |contents: &[Vec<u8>], _: Option<&u32>| {
            let text = String::from_utf8(contents[0].clone()).map_err(|e| e.to_string())?;
            text.parse::<u32>().map_err(|error| format!("{text:?}: {error}"))
        };
        let files = vec![file.to_owned()];
        (Kept::read(files, Component::Access, conditions.clone(), parse).unwrap(), conditions)
    }

    #[test]
    fn a_bad_content_leaves_the_good_one_in_force_and_is_told_once_it_stands() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("number");
        std::fs::write(&file, "1").unwrap();
        let (kept, conditions) = kept(&file);
        let changes = kept.changes();
        assert!(!kept.look(Look::Passing));
        std::fs::write(&file, "2").unwrap();
        assert!(kept.look(Look::Passing));
        assert_eq!((*kept.current(), *changes.borrow()), (2, 1));
        std::fs::write(&file, "x").unwrap();
        assert!(!kept.look(Look::Passing));
        assert!(conditions.list().is_empty(), "it may be half written");
        assert!(!kept.look(Look::Passing));
        assert_eq!(conditions.list().len(), 1);
        assert_eq!(*kept.current(), 2);
        std::fs::write(&file, "2").unwrap();
        assert!(!kept.look(Look::Passing));
        assert!(conditions.list().is_empty(), "the good one is back");
        std::fs::remove_file(&file).unwrap();
        assert!(!kept.look(Look::Asked));
        assert!(conditions.list()[0].message.contains("cannot be read"), "{:?}", conditions.list());
        std::fs::write(&file, "3").unwrap();
        assert!(kept.look(Look::Passing) && conditions.list().is_empty());
        assert_eq!((*kept.current(), *changes.borrow()), (3, 2));
    }

    #[test]
    fn a_pipe_a_folder_or_a_huge_file_holds_nobody_up() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::from_raw_mode(0o600))
            .unwrap();
        let huge = folder.path().join("huge");
        std::fs::File::create(&huge).unwrap().set_len(LARGEST + 1).unwrap();
        for path in [&pipe, &huge, &folder.path().to_owned(), &folder.path().join("none")] {
            let error = content(path).unwrap_err();
            assert!(error.contains(path.to_str().unwrap()), "{error}");
        }
    }
}
