//! `leukd man`: manual pages and the reference documents, from the command line's grammar and the
//! commented example of the settings.

mod markdown;

use std::path::PathBuf;

use clap::builder::Resettable;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::error::CliError;
use crate::result::RESEARCH_USE_ONLY;

/// Every setting with its meaning and default; tests/commands/config.rs compares it with the
/// settings.
const SETTINGS: &str = include_str!("../../../systemd/leukd.toml");

/// Stands in each page's foot instead of a date: the same program writes the same pages.
const VERSION: &str = concat!("leukd ", env!("CARGO_PKG_VERSION"));

/// Entries of every command's page: exit code and meaning.
const EXIT_STATUS: &[(&str, &str)] = &[
    ("0", "Done."),
    ("64", "The command line is wrong."),
    ("65", "The input is wrong: a bundle, an image, a cursor, a damaged journal."),
    ("66", "The file or result does not exist."),
    ("69", "The daemon is unreachable or too busy, or another one holds the journal."),
    ("70", "A defect in leukd."),
    ("74", "Reading or writing failed."),
    ("77", "The daemon refuses us (token, certificate, scope), or would not serve the bundle."),
    ("78", "The configuration is wrong; the message names file, line and key."),
];
const FILES: &[(&str, &str)] = &[
    ("/etc/leukd/leukd.toml", "The settings; see leukd.toml(5)."),
    ("/etc/leukd/models/", "Model bundles."),
    ("/var/lib/leukd/", "The journal: every result, and the state of each capture."),
];
const ENVIRONMENT: &[(&str, &str)] = &[
    ("LEUKD__SECTION__KEY", "A setting, over those of the files."),
    ("LEUKD_SERVER", "The daemon that commands ask, instead of --server."),
    ("LEUKD_TOKEN, LEUKD_TOKEN_FILE", "Our token, or a file that holds it."),
    ("LEUKD_CA, LEUKD_CERT, LEUKD_KEY", "Instead of --ca, --cert and --key."),
    ("CREDENTIALS_DIRECTORY", "From systemd: the folder of \"credential:NAME\" in a setting."),
    ("NO_COLOR", "No colour, where it is set and not empty."),
    ("NOTIFY_SOCKET, WATCHDOG_USEC, JOURNAL_STREAM", "From systemd; see sd_notify(3)."),
];

/// Write the manual pages into a folder: leukd(1), one for each command, and leukd.toml(5)
#[derive(Debug, Clone, clap::Args)]
pub(super) struct ManArgs {
    /// The folder; created if it is missing
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Write the reference documents (commands, settings, metrics, exit codes) as Markdown instead
    #[arg(long)]
    markdown: bool,
}

/// Runs it.
///
/// # Errors
/// The folder cannot be written to.
pub(super) fn run(args: &ManArgs, grammar: clap::Command) -> Result<(), CliError> {
    let io = |error: std::io::Error| CliError::Io(error.to_string());
    fs_err::create_dir_all(&args.out).map_err(io)?;
    let mut grammar = grammar.disable_help_subcommand(true);
    grammar.build();
    if args.markdown {
        for (name, page) in markdown::pages(&grammar) {
            fs_err::write(args.out.join(name), page).map_err(io)?;
        }
        return Ok(());
    }
    let mut pages = vec![("leukd.toml.5".to_owned(), settings_page(SETTINGS).into_bytes())];
    command_pages(&grammar, &mut pages).map_err(io)?;
    for (name, page) in pages {
        fs_err::write(args.out.join(name), page).map_err(io)?;
    }
    Ok(())
}

/// The page of a command, and those of its subcommands.
fn command_pages(
    command: &clap::Command,
    pages: &mut Vec<(String, Vec<u8>)>,
) -> Result<(), std::io::Error> {
    for subcommand in command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set()) {
        command_pages(subcommand, pages)?;
    }
    let bare = command.clone().after_help(Resettable::Reset);
    let man = Man::new(bare).date(VERSION).source("Research use only").manual("leukd");
    let mut page = Vec::new();
    man.render(&mut page)?;
    let mut rest = Roff::new();
    entries(&mut rest, "EXIT STATUS", EXIT_STATUS);
    entries(&mut rest, "ENVIRONMENT", ENVIRONMENT);
    entries(&mut rest, "FILES", FILES);
    rest.control("SH", ["NOTICE"]).text([roman(RESEARCH_USE_ONLY)]);
    rest.control("SH", ["SEE ALSO"]);
    rest.text([bold("leukd"), roman("(1), "), bold("leukd.toml"), roman("(5)")]);
    rest.to_writer(&mut page)?;
    pages.push((man.get_filename(), page));
    Ok(())
}

fn entries(page: &mut Roff, heading: &str, entries: &[(&str, &str)]) {
    page.control("SH", [heading]);
    for (name, meaning) in entries {
        page.control("TP", []).text([bold(*name)]).text([roman(*meaning)]);
    }
}

/// leukd.toml(5), from the commented example: "# " begins the text of the settings below it, "#"
/// alone and an empty line end a paragraph, and any other line is a setting or a section's name.
fn settings_page(example: &str) -> String {
    let mut page = Roff::new();
    page.control("TH", ["leukd.toml", "5", VERSION, "Research use only", "leukd"]);
    page.control("SH", ["NAME"]).text([roman("leukd.toml - settings of leukd")]);
    page.control("SH", ["DESCRIPTION"]);
    let mut paragraph = Vec::new();
    let mut tagged = false;
    for line in example.lines().chain([""]) {
        let bare = line.strip_prefix('#').unwrap_or(line);
        let told = line.starts_with('#') && (bare.is_empty() || bare.starts_with(' '));
        if told && !bare.trim().is_empty() {
            // An indented line of the example stays a line of its own.
            if bare.starts_with("   ") {
                paragraph.push(format!("\n{}\n", bare.trim()));
            } else {
                paragraph.push(bare.trim().to_owned());
            }
        } else if !told && bare.starts_with('[') && line == bare {
            flush(&mut page, &mut paragraph);
            page.control("SH", [bare]);
        } else if !told && !bare.is_empty() {
            page.control(if tagged { "TQ" } else { "TP" }, []).text([bold(bare)]);
            tagged = paragraph.is_empty();
            flush(&mut page, &mut paragraph);
            continue;
        } else {
            if !paragraph.is_empty() {
                page.control("PP", []);
            }
            flush(&mut page, &mut paragraph);
        }
        tagged = false;
    }
    page.control("SH", ["SEE ALSO"]);
    page.text([
        bold("leukd"),
        roman("(1), "),
        bold("leukd-serve"),
        roman("(1), "),
        bold("leukd-check"),
        roman("(1)"),
    ]);
    page.to_roff()
}

fn flush(page: &mut Roff, paragraph: &mut Vec<String>) {
    let text = paragraph.join(" ");
    let lines = text.split('\n').map(str::trim).filter(|line| !line.is_empty());
    for (index, line) in lines.enumerate() {
        if index > 0 {
            page.control("br", []);
        }
        page.text([roman(line)]);
    }
    paragraph.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_settings_page_has_each_setting_with_its_text() {
        let page = settings_page(
            "# About.\n\n[rpc]\n# The address.\n# Any.\n#listen = \"a\"\n\n#port = 1\n",
        );
        assert!(
            page.contains(".SH [rpc]\n.TP\n\\fBlisten = \"a\"\\fR\nThe address. Any.\n"),
            "{page}"
        );
        assert!(page.contains(".TP\n\\fBport = 1\\fR\n"), "{page}");
        assert!(page.contains("About."), "{page}");
    }
}
