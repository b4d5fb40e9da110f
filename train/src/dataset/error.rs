//! Why cells cannot be read or parted.

use std::path::PathBuf;

use super::split::Side;

/// Why there is nothing to train on.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// The folder cannot be listed.
    #[error("cannot read the folder {path}: {source}")]
    Folder {
        /// Which one.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A CSV cannot be opened, read or written.
    #[error("cannot {action} {path}: {source}")]
    File {
        /// `read` or `write`.
        action: &'static str,
        /// Which one.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A journal cannot be read.
    #[error("cannot read the journal {path}: {message}")]
    Journal {
        /// Which one.
        path: PathBuf,
        /// What is wrong, and what to do.
        message: String,
    },
    /// The first line of a CSV does not name the columns that are needed.
    #[error("{path}, line {line}: {problem}")]
    Header {
        /// The CSV.
        path: PathBuf,
        /// Where its header stands: 1 for the first line.
        line: u64,
        /// What is wrong, and what it takes.
        problem: String,
    },
    /// A pack is damaged, or no pack at all.
    #[error("{path} is no pack of cells, or damaged: {problem}")]
    Pack {
        /// Which one.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A pack was made for another input of the network.
    #[error(
        "{path} holds cells as {packed}, and the recipe asks for {asked}: pack them again with the \
         recipe's own --size and --window, or give those of the pack"
    )]
    PackedOtherwise {
        /// Which one.
        path: PathBuf,
        /// How they were packed.
        packed: String,
        /// What is asked for.
        asked: String,
    },
    /// Not one readable cell.
    #[error(
        "no cells under {path}: it needs folders all/ and hem/ with images, at any depth, or a CSV \
         with the columns path, label and subject{broken}"
    )]
    Empty {
        /// Where they were looked for.
        path: PathBuf,
        /// Of the files that were left out: how many, and one with its reason. Empty where there
        /// are none.
        broken: String,
    },
    /// The subject protocol, and a cell that nobody is named for.
    #[error(
        "{path}: no subject is known for {count} of the cells, and a split by subject needs one for \
         each: name the files as C-NMC does (UID_<subject>_<image>_<cell>_<label>), put each \
         subject's into a folder of its own, give a CSV with a column subject, or take --protocol \
         image, which says nothing about new subjects"
    )]
    NoSubject {
        /// One such file.
        path: PathBuf,
        /// How many there are.
        count: usize,
    },
    /// The subject protocol, and a class that fewer than two subjects have.
    #[error(
        "a split by subject needs cells of at least 2 subjects in each class, and {label} has \
         {found}: add other subjects' cells, or take --protocol image, which says nothing about new \
         subjects"
    )]
    FewSubjects {
        /// The class.
        label: &'static str,
        /// `none`, or `1 (its name)`.
        found: String,
    },
    /// More folds than a class has subjects, or fewer than two.
    #[error(
        "{folds} folds cannot be made: each needs a subject of each class, and {label} has \
         {subjects}; give --folds 2 to {subjects}"
    )]
    Folds {
        /// As many as were asked for.
        folds: usize,
        /// The class with the fewest subjects.
        label: &'static str,
        /// How many it has.
        subjects: usize,
    },
    /// A fold beyond the last one.
    #[error("there is no fold {fold}: the folds are 1 to {folds}")]
    NoFold {
        /// The fold that was asked for.
        fold: usize,
        /// How many there are.
        folds: usize,
    },
    /// A subject that the table of folds does not assign.
    #[error("{table} assigns no fold to the subject {subject:?}")]
    Unassigned {
        /// Who.
        subject: String,
        /// The table, in words.
        table: String,
    },
    /// A table of folds is not what it should be.
    #[error("{path}: {problem}")]
    FoldTable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A named subject has no cells.
    #[error("no cell of the subject {subject:?}, which {flag} names; the subjects are {known}")]
    UnknownSubject {
        /// The name that was asked for.
        subject: String,
        /// The flag that named it.
        flag: &'static str,
        /// Those that exist.
        known: String,
    },
    /// One subject on two sides.
    #[error(
        "the subject {subject:?} stands on the test side: it cannot be validated on; name another \
         for --validate-on"
    )]
    TwoSides {
        /// The subject.
        subject: String,
    },
    /// The data name no folds, or not this one.
    #[error(
        "no cell of the fold {fold:?}: the folds are {known} (folders fold_*, or the column fold of a \
         CSV)"
    )]
    UnknownFold {
        /// The name that was asked for.
        fold: String,
        /// Those that exist, or `none`.
        known: String,
    },
    /// The data say of no cell which side it stands on.
    #[error(
        "the data give no split: name the test fold with --test-fold, add a column side (training, \
         validation or test) to the CSV, or take --protocol subject"
    )]
    NothingGiven,
    /// One side of the split lacks a class.
    #[error("the {side} side has no {label} cells: {hint}")]
    OneClass {
        /// Which side.
        side: Side,
        /// The class that is missing.
        label: &'static str,
        /// What to do, and the subjects that there are.
        hint: String,
    },
    /// A line of a split's CSV that does not fit the data.
    #[error("{path}, line {line}: {problem}")]
    SplitLine {
        /// The CSV.
        path: PathBuf,
        /// 1 for its header.
        line: u64,
        /// What does not fit, and what to do.
        problem: String,
    },
    /// A line of a teacher's targets that is none.
    #[error("{path}, line {line}: {problem}")]
    TargetLine {
        /// The CSV.
        path: PathBuf,
        /// 1 for its header.
        line: u64,
        /// What is wrong with it.
        problem: String,
    },
    /// A teacher's targets do not fit the training cells.
    #[error("{path}: {problem}")]
    Targets {
        /// The CSV.
        path: PathBuf,
        /// What does not fit.
        problem: String,
    },
    /// The pattern for file names does not compile: a defect of the library.
    #[error("the pattern of C-NMC's file names is wrong: {0}")]
    Pattern(String),
}
