//! Names and permissions of files in settings.

use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Prefix of a name that systemd's `LoadCredential=` provides.
const CREDENTIAL: &str = "credential:";

/// A file with a key, a certificate or tokens: an absolute path, or `credential:NAME` for the file
/// NAME that systemd hands over (`LoadCredential=NAME:…`, below `$CREDENTIALS_DIRECTORY`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyFile {
    /// Where it lies.
    Path(PathBuf),
    /// The credential's name in the unit.
    Credential(String),
}

impl KeyFile {
    /// Where it lies, for this process.
    ///
    /// # Errors
    /// It is a credential and systemd has handed none over: one sentence that says so.
    pub fn locate(&self) -> Result<PathBuf, String> {
        self.locate_in(std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from).as_deref())
    }

    fn locate_in(&self, credentials: Option<&Path>) -> Result<PathBuf, String> {
        match (self, credentials) {
            (Self::Path(path), _) => Ok(path.clone()),
            (Self::Credential(name), Some(folder)) => Ok(folder.join(name)),
            (Self::Credential(name), None) => Err(format!(
                "{self} is named, but CREDENTIALS_DIRECTORY is not set: give the unit \
                 LoadCredential={name}:/path/of/the/file, or write an absolute path"
            )),
        }
    }

    /// True for an absolute path without `..`, or one plain name.
    ///
    /// # Errors
    /// Hint for the message of an error.
    pub(super) fn check(&self) -> Result<(), String> {
        let plain = match self {
            Self::Path(path) => {
                let fits = |part| matches!(part, Component::RootDir | Component::Normal(_));
                path.is_absolute() && path.components().all(fits)
            }
            Self::Credential(name) => {
                let mut parts = Path::new(name).components();
                matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None))
                    && !name.contains('/')
            }
        };
        let wanted = "write an absolute path without \"..\", or credential:NAME for a file that the unit's \
                      LoadCredential= hands over";
        if plain {
            Ok(())
        } else {
            Err(format!("{:?} cannot be found: {wanted}", self.to_string()))
        }
    }
}

impl From<PathBuf> for KeyFile {
    fn from(path: PathBuf) -> Self {
        match path.to_str().and_then(|text| text.strip_prefix(CREDENTIAL)) {
            Some(name) => Self::Credential(name.to_owned()),
            None => Self::Path(path),
        }
    }
}

impl fmt::Display for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Credential(name) => write!(f, "{CREDENTIAL}{name}"),
        }
    }
}

impl Serialize for KeyFile {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for KeyFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| PathBuf::from(text).into())
    }
}

/// A file's permissions, as chmod's octal digits: `"0660"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileMode(pub u32);

impl FromStr for FileMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
        match u32::from_str_radix(text, 8) {
            Ok(mode) if digits && (3..=4).contains(&text.len()) && mode <= 0o777 => Ok(Self(mode)),
            _ => Err(format!("{text:?} is no mode: write chmod's octal digits, such as \"0660\"")),
        }
    }
}

impl fmt::Display for FileMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl Serialize for FileMode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FileMode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_lies_where_systemd_puts_it() {
        let folder = Some(Path::new("/run/credentials/leukd.service"));
        let key = KeyFile::from(PathBuf::from("credential:tls.key"));
        let at = key.locate_in(folder).unwrap();
        assert_eq!(at, Path::new("/run/credentials/leukd.service/tls.key"));
        let error = key.locate_in(None).unwrap_err();
        assert!(error.contains("LoadCredential=tls.key:"), "{error}");
        assert_eq!(key.to_string(), "credential:tls.key");
        let path = KeyFile::from(PathBuf::from("/etc/leukd/tls.key"));
        assert_eq!(path.locate_in(None).unwrap(), Path::new("/etc/leukd/tls.key"));
    }

    #[test]
    fn a_key_file_is_an_absolute_path_or_one_name() {
        for (text, good) in [
            ("/etc/leukd/tls.key", true),
            ("credential:tls.key", true),
            ("tls.key", false),
            ("/etc/../tls.key", false),
            ("credential:", false),
            ("credential:..", false),
            ("credential:a/b", false),
            ("credential:/etc/passwd", false),
            ("", false),
        ] {
            let checked = KeyFile::from(PathBuf::from(text)).check();
            assert_eq!(checked.is_ok(), good, "{text}: {checked:?}");
        }
    }

    #[test]
    fn modes_are_octal() {
        assert_eq!("0660".parse(), Ok(FileMode(0o660)));
        assert_eq!("600".parse::<FileMode>().unwrap().to_string(), "0600");
        for bad in ["", "660x", "0888", "u=rw", "04755", "-660", "+660", "6"] {
            assert!(bad.parse::<FileMode>().is_err(), "{bad}");
        }
    }
}
