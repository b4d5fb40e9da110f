//! Adds to the access file and takes away. Whatever else stands there, remarks too, stays as it is.

use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::process::Uid;
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, value};

use super::Scope;
use super::kept;
use super::rules::{Rules, check_name};
use super::token::TokenHash;
use crate::journal::atomic_file;
use crate::result::Timestamp;

/// Mode of a file that is made anew: its owner writes, its group (leukd's) reads.
const MODE: u32 = 0o640;

/// A new token's entry.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its scopes.
    pub scopes: &'a [Scope],
    /// The stored hash.
    pub hash: TokenHash,
    /// Now.
    pub created: Timestamp,
    /// From when on it is refused.
    pub expires: Option<Timestamp>,
}

/// Why the file was not changed.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The file cannot be read or written.
    #[error("{0}")]
    Io(String),
    /// The file is no access file, or would be none afterwards.
    #[error("{0}")]
    Content(String),
    /// No token has this name.
    #[error("{file} has no token {name:?}; `leukd token list` shows what it has")]
    NoToken {
        /// The file.
        file: String,
        /// The name.
        name: String,
    },
}

/// Adds a token. A file that is not there yet is made; `group` is then whose members may read it,
/// where the caller has the right to give it to them.
///
/// # Errors
/// See [`EditError`]; the file is as it was then.
pub fn add(file: &Path, entry: &Entry<'_>, group: Option<u32>) -> Result<(), EditError> {
    check_name(entry.name).map_err(EditError::Content)?;
    edit(file, Missing::Make { group }, |document| {
        let tokens = document.entry("token").or_insert(Item::ArrayOfTables(ArrayOfTables::new()));
        let tokens = tokens.as_array_of_tables_mut().ok_or_else(|| {
            EditError::Content("`token` is written as a list: write [[token]] sections".to_owned())
        })?;
        tokens.push(table(entry)?);
        Ok(())
    })
}

/// The entry as it stands in the file.
///
/// # Errors
/// A time that no calendar has.
pub fn text(entry: &Entry<'_>) -> Result<String, EditError> {
    let mut document = DocumentMut::new();
    let mut tokens = ArrayOfTables::new();
    tokens.push(table(entry)?);
    document.insert("token", Item::ArrayOfTables(tokens));
    Ok(document.to_string())
}

/// Takes a token away.
///
/// # Errors
/// See [`EditError`]; the file is as it was then.
pub fn revoke(file: &Path, name: &str) -> Result<(), EditError> {
    edit(file, Missing::Refuse, |document| {
        let tokens = document.get_mut("token").and_then(Item::as_array_of_tables_mut);
        let named = |table: &Table| table.get("name").and_then(Item::as_str) == Some(name);
        let none =
            || EditError::NoToken { file: file.display().to_string(), name: name.to_owned() };
        let tokens = tokens.ok_or_else(none)?;
        let before = tokens.len();
        tokens.retain(|table| !named(table));
        if tokens.len() == before { Err(none()) } else { Ok(()) }
    })
}

fn table(entry: &Entry<'_>) -> Result<Table, EditError> {
    let time = |at: Timestamp| {
        // Whole seconds are precise enough for a token.
        let seconds = Timestamp(at.0.div_euclid(1000) * 1000).to_rfc3339();
        seconds
            .parse::<toml_edit::Datetime>()
            .map(value)
            .map_err(|_| EditError::Content(format!("{seconds} is no time that TOML can hold")))
    };
    let mut table = Table::new();
    table.insert("name", value(entry.name));
    let scopes: toml_edit::Array = entry.scopes.iter().map(|scope| scope.as_str()).collect();
    table.insert("scopes", value(scopes));
    table.insert("sha256", value(entry.hash.to_hex()));
    table.insert("created", time(entry.created)?);
    if let Some(expires) = entry.expires {
        table.insert("expires", time(expires)?);
    }
    Ok(table)
}

/// Treatment of a missing file.
#[derive(Clone, Copy)]
enum Missing {
    Refuse,
    Make { group: Option<u32> },
}

fn edit(
    file: &Path,
    missing: Missing,
    change: impl FnOnce(&mut DocumentMut) -> Result<(), EditError>,
) -> Result<(), EditError> {
    let shown = file.display();
    let io = |error: std::io::Error| EditError::Io(format!("{shown} cannot be changed: {error}"));
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| Path::new("."));
    if matches!(missing, Missing::Refuse) {
        std::fs::symlink_metadata(file).map_err(io)?;
    }
    let _turn = Turn::take(file, folder)?;
    let before = match std::fs::symlink_metadata(file) {
        Ok(_) => {
            let metadata = std::fs::metadata(file).map_err(io)?;
            Some((kept::content(file).map_err(EditError::Io)?, metadata))
        }
        Err(error)
            if error.kind() == std::io::ErrorKind::NotFound
                && matches!(missing, Missing::Make { .. }) =>
        {
            None
        }
        Err(error) => return Err(io(error)),
    };
    let content = |what: String| EditError::Content(format!("{shown}: {what}"));
    let bytes = before.as_ref().map_or(&[][..], |(bytes, _)| bytes);
    Rules::parse(bytes).map_err(content)?;
    let text = std::str::from_utf8(bytes).map_err(|error| content(error.to_string()))?;
    let mut document = text.parse::<DocumentMut>().map_err(|error| content(error.to_string()))?;
    change(&mut document)?;
    let after = document.to_string();
    Rules::parse(after.as_bytes()).map_err(content)?;
    // Through links, so that the file that is meant is replaced and not the link to it.
    let target = if before.is_some() { file.canonicalize().map_err(io)? } else { file.to_owned() };
    let mode = before.as_ref().map_or(MODE, |(_, metadata)| metadata.mode() & 0o7777);
    atomic_file::write(&target, mode, |new| {
        new.write_all(after.as_bytes())?;
        if let Some((_, metadata)) = &before {
            std::os::unix::fs::fchown(&*new, Some(metadata.uid()), Some(metadata.gid()))
        } else {
            if let Missing::Make { group } = missing {
                // Without the right to it the file stays the caller's own, who is told that leukd
                // must be able to read it.
                let _ = std::os::unix::fs::fchown(&*new, None, group);
            }
            Ok(())
        }
    })
    .map_err(io)
}

/// Longest wait for another editor of the same file.
const PATIENCE: Duration = Duration::from_secs(5);

/// Two who edit at once take turns, so that neither's change is lost. The lock is on a file of its
/// own beside the access file, which only who may write that one can open: on the folder, or the
/// access file itself, whoever may read it could hold everybody up. It stays there: removed, it
/// could be another's by then.
struct Turn(#[expect(dead_code, reason = "held, not read")] std::fs::File);

impl Turn {
    fn take(file: &Path, folder: &Path) -> Result<Self, EditError> {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let path = folder.join(format!(".{name}.lock"));
        let shown = path.display();
        let io = |error: rustix::io::Errno| {
            EditError::Io(format!("{shown} cannot be locked: {}", std::io::Error::from(error)))
        };
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let lock = rustix::fs::open(&path, flags, Mode::RUSR | Mode::WUSR).map_err(io)?;
        let own = rustix::process::geteuid().as_raw();
        let stat = rustix::fs::fstat(&lock).map_err(io)?;
        let owner = std::fs::metadata(file).ok().map(|metadata| metadata.uid());
        if stat.st_uid != own && stat.st_uid != 0 && Some(stat.st_uid) != owner {
            let what = format!("{shown} is the user {}'s: remove it, whoever that is", stat.st_uid);
            return Err(EditError::Io(what));
        }
        // Whatever made it: nobody else is to open it from now on, and its file's owner is.
        rustix::fs::fchmod(&lock, Mode::RUSR | Mode::WUSR).map_err(io)?;
        if let Some(owner) = owner.filter(|owner| own == 0 && *owner != stat.st_uid) {
            rustix::fs::fchown(&lock, Some(Uid::from_raw(owner)), None).map_err(io)?;
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Self(lock.into())),
                Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < deadline => {
                    std::thread::park_timeout(Duration::from_millis(20));
                }
                Err(rustix::io::Errno::WOULDBLOCK) => {
                    return Err(EditError::Io(format!(
                        "{} is being changed by another leukd for {} s now, which has {shown} locked (`fuser` names \
                         it): try again when that has ended",
                        file.display(),
                        PATIENCE.as_secs()
                    )));
                }
                Err(error) => return Err(io(error)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::access::token::Token;

    fn entry<'a>(name: &'a str, hash: TokenHash) -> Entry<'a> {
        Entry {
            name,
            scopes: &[Scope::Read, Scope::Admin],
            hash,
            created: Timestamp(1_764_169_200_123),
            expires: Some(Timestamp(1_795_705_200_000)),
        }
    }

    #[test]
    fn tokens_come_and_go_and_the_rest_of_the_file_stays() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("access.toml");
        let (one, two) = (Token::new().unwrap(), Token::new().unwrap());
        add(&file, &entry("one", one.hash()), None).unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o777, MODE);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let remark =
            "# the microscope in room 3\n[[user]]\nuid = 7\nscopes = [\"read\"] # reads\n\n";
        let text = format!("{remark}{}", std::fs::read_to_string(&file).unwrap());
        std::fs::write(&file, &text).unwrap();
        add(&file, &entry("two", two.hash()), None).unwrap();
        let both = std::fs::read_to_string(&file).unwrap();
        assert!(both.starts_with(&text), "{both}");
        assert!(!both.contains(one.reveal()) && !both.contains(two.reveal()), "{both}");
        let rules = Rules::parse(both.as_bytes()).unwrap();
        assert_eq!(rules.token(&two.hash()).unwrap().name, "two");
        assert_eq!(rules.token(&one.hash()).unwrap().created, Timestamp(1_764_169_200_000));
        assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        let again = add(&file, &entry("two", Token::new().unwrap().hash()), None).unwrap_err();
        assert!(again.to_string().contains("two tokens named \"two\""), "{again}");
        revoke(&file, "two").unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap().trim_end(), text.trim_end());
        assert!(matches!(revoke(&file, "two"), Err(EditError::NoToken { .. })));
        assert!(matches!(revoke(&folder.path().join("none"), "x"), Err(EditError::Io(_))));
        let mut left: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        left.sort();
        let lock = folder.path().join(".access.toml.lock");
        assert_eq!(left, [lock.clone(), file], "nothing is left over but the lock");
        assert_eq!(std::fs::metadata(lock).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn nobody_is_waited_for_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("access.toml");
        add(&file, &entry("one", Token::new().unwrap().hash()), None).unwrap();
        let lock = std::fs::File::open(folder.path().join(".access.toml.lock")).unwrap();
        rustix::fs::flock(&lock, FlockOperation::LockExclusive).unwrap();
        let began = Instant::now();
        let error = revoke(&file, "one").unwrap_err();
        assert!((PATIENCE..3 * PATIENCE).contains(&began.elapsed()), "{:?}", began.elapsed());
        assert!(error.to_string().contains("by another leukd for 5 s now"), "{error}");
        drop(lock);
        revoke(&file, "one").unwrap();
    }

    #[test]
    fn a_file_that_is_no_access_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("leukd.toml");
        std::fs::write(&file, "[rpc]\n").unwrap();
        let error = add(&file, &entry("one", Token::new().unwrap().hash()), None).unwrap_err();
        assert!(error.to_string().contains("leukd.toml: line 1"), "{error}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "[rpc]\n");
    }
}
