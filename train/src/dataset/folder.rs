//! A tree of folders → images with their labels, subjects, folds and sides.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobSet};
use leukd_cell::extensions::{LEFTOVERS, has_extension};

use super::found::{Found, Names};
use super::split::Side;
use super::{Broken, DatasetError, LABELS};

/// Endings of pictures that leukd cannot read: to pass them over in silence would lose cells.
const FOREIGN: [&str; 10] =
    ["webp", "gif", "jp2", "heic", "heif", "avif", "svs", "ndpi", "czi", "dcm"];

/// Names of folders that tell no subject: they only gather.
const GATHERING: [&str; 4] = ["data", "images", "image", "raw"];

/// True for a file that is read as an image, by the ending of its name.
pub(crate) fn is_image(path: &Path) -> bool {
    has_extension(path)
}

/// Every image below `root`, and what cannot be one.
///
/// # Errors
///
/// Where `root` itself cannot be listed.
pub(super) fn find(root: &Path, names: &Names) -> Result<(Vec<Found>, Vec<Broken>), DatasetError> {
    let folder = |source| DatasetError::Folder { path: root.to_owned(), source };
    let (found, broken, been) = Default::default();
    let mut walk = Walk { names, leftovers: leftovers(), found, broken, been };
    walk.been.insert(root.canonicalize().map_err(folder)?);
    let mut waiting = vec![(root.to_owned(), Vec::new())];
    let mut first = true;
    while let Some((path, above)) = waiting.pop() {
        match list(&path) {
            Ok(entries) => waiting.extend(walk.folder(entries, &above)),
            Err(error) if first => return Err(folder(error)),
            Err(error) => walk.leave_out(path, format!("the folder cannot be listed: {error}")),
        }
        first = false;
    }
    Ok((walk.found, walk.broken))
}

/// [`LEFTOVERS`], as the daemon's `watch.ignore` reads them by default.
#[expect(clippy::expect_used, reason = "constants")]
fn leftovers() -> GlobSet {
    let glob = |pattern: &str| GlobBuilder::new(pattern).case_insensitive(true).build();
    let globs = LEFTOVERS.iter().map(|pattern| glob(pattern).expect("a valid glob"));
    let mut set = GlobSet::builder();
    for glob in globs {
        set.add(glob);
    }
    set.build().expect("a set of valid globs")
}

struct Walk<'a> {
    names: &'a Names,
    /// Names of what other programs leave in a folder.
    leftovers: GlobSet,
    found: Vec<Found>,
    broken: Vec<Broken>,
    /// Folders by their real paths, so that a link that leads back ends there.
    been: HashSet<PathBuf>,
}

impl Walk<'_> {
    /// Sorts out one folder's entries, `above` being the folders' names from the root to it; the
    /// folders among them, with theirs.
    fn folder(&mut self, entries: Vec<PathBuf>, above: &[String]) -> Vec<(PathBuf, Vec<String>)> {
        let mut folders = Vec::new();
        for entry in entries {
            let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if self.leftovers.is_match(&name) {
                continue;
            }
            if entry.is_dir() {
                match entry.canonicalize() {
                    Ok(real) => {
                        if self.been.insert(real) {
                            folders.push((entry, [above, &[name]].concat()));
                        }
                    }
                    Err(error) => self.leave_out(entry, error.to_string()),
                }
                continue;
            }
            let ending = entry.extension().unwrap_or_default().to_string_lossy().to_lowercase();
            if is_image(&entry) {
                self.image(entry, &name, above);
            } else if FOREIGN.contains(&ending.as_str()) {
                let reason = format!(
                    "leukd reads no .{ending}: convert it without loss to BMP, PNG or TIFF"
                );
                self.leave_out(entry, reason);
            }
        }
        folders
    }

    fn image(&mut self, path: PathBuf, name: &str, above: &[String]) {
        let place = match Place::of(above) {
            Ok(place) => place,
            Err(reason) => return self.leave_out(path, reason),
        };
        let subject = self.names.subject(name).or(place.subject).unwrap_or_default();
        let Place { label, fold, side, .. } = place;
        self.found.push(Found {
            path,
            label,
            subject,
            fold,
            side,
            reviewed: None,
            place: None,
            line: None,
        });
    }

    fn leave_out(&mut self, path: PathBuf, reason: String) {
        self.broken.push(Broken { path, reason });
    }
}

/// What the folders above an image say of it.
struct Place {
    label: usize,
    subject: Option<String>,
    fold: Option<String>,
    side: Option<Side>,
}

impl Place {
    fn of(above: &[String]) -> Result<Self, String> {
        let class =
            |name: &String| LABELS.iter().position(|label| name.eq_ignore_ascii_case(label));
        let mut classes =
            above.iter().enumerate().filter_map(|(at, name)| Some((at, class(name)?)));
        let (at, label) =
            classes.next().ok_or("it stands in no folder all or hem, so its class is not known")?;
        if classes.any(|(_, other)| other != label) {
            return Err("it stands below a folder all and below a folder hem".to_owned());
        }
        let subject = |name: &&String| class(name).is_none() && may_be_a_subject(name);
        let (outer, inner) = (&above[..at], &above[at + 1..]);
        Ok(Self {
            label,
            subject: inner
                .iter()
                .find(subject)
                .or_else(|| outer.iter().rev().find(subject))
                .cloned(),
            fold: above.iter().find(|name| is_fold(name)).cloned(),
            side: above.iter().find_map(|name| side(name)),
        })
    }
}

fn is_fold(name: &str) -> bool {
    name.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("fold_"))
}

/// The side that a folder's name tells, in the spellings of the usual trees.
fn side(name: &str) -> Option<Side> {
    match name.to_lowercase().as_str() {
        "train" | "training" => Some(Side::Training),
        "val" | "valid" | "validation" => Some(Side::Validation),
        "test" => Some(Side::Test),
        _ => None,
    }
}

fn may_be_a_subject(name: &str) -> bool {
    !is_fold(name) && side(name).is_none() && !GATHERING.contains(&name.to_lowercase().as_str())
}

fn list(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut entries = std::fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<Vec<_>>>()?;
    // The order decides through which of two links a folder is entered.
    entries.sort();
    Ok(entries)
}
