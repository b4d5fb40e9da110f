//! The pages of docs/reference/, from the sources of the manual pages and the table of metrics.

use std::fmt::Write as _;

use super::{ENVIRONMENT, EXIT_STATUS, FILES, SETTINGS};
use crate::metrics::METRICS;

/// Markdown lines are as long as those of the source.
const MAX_COLUMNS: usize = 100;

/// Stands below each heading: edits here would be lost.
const GENERATED: &str = "Written by `leukd man --markdown`; do not edit.";

/// Every page: its file's name and its text.
pub(super) fn pages(grammar: &clap::Command) -> Vec<(String, String)> {
    let page = |name: &str, text: String| (name.to_owned(), text.trim_end().to_owned() + "\n");
    vec![
        page("commands.md", commands(grammar)),
        page("exit-codes.md", exit_codes()),
        page("metrics.md", metrics()),
        page("settings.md", settings(SETTINGS)),
    ]
}

/// A page's heading and what it is about.
fn head(title: &str, about: &str) -> String {
    let mut page = format!("# {title}\n\n{GENERATED}\n\n");
    paragraph(&mut page, about);
    page
}

fn paragraph(page: &mut String, text: &str) {
    wrap(page, "", text);
    page.push('\n');
}

fn item(page: &mut String, text: &str) {
    wrap(page, "- ", text);
}

/// Text in lines of at most [`MAX_COLUMNS`], the first after `mark`, the others indented as far. A
/// longer word has a line of its own.
fn wrap(page: &mut String, mark: &str, text: &str) {
    let mut line = mark.to_owned();
    let mut is_empty = true;
    for word in text.split_whitespace() {
        if !is_empty && line.chars().count() + 1 + word.chars().count() > MAX_COLUMNS {
            page.push_str(&line);
            page.push('\n');
            line = " ".repeat(mark.chars().count());
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(word);
        is_empty = false;
    }
    page.push_str(&line);
    page.push('\n');
}

/// Each command with its usage and arguments.
fn commands(grammar: &clap::Command) -> String {
    let about = "`leukd help COMMAND` and `man leukd-COMMAND` say the same. Each command that prints data \
                 takes `--json`. Exit codes have [a page of their own](exit-codes.md).";
    let mut page = head("Commands", about);
    for command in grammar.get_subcommands() {
        command_section(command, "leukd", &mut page);
    }
    for (heading, entries) in [("Environment", ENVIRONMENT), ("Files", FILES)] {
        let _ = writeln!(page, "## {heading}\n");
        for (name, meaning) in entries {
            item(&mut page, &format!("`{name}`: {meaning}"));
        }
        page.push('\n');
    }
    page
}

fn command_section(command: &clap::Command, above: &str, page: &mut String) {
    if command.is_hide_set() || command.get_name() == "help" {
        return;
    }
    let name = format!("{above} {}", command.get_name());
    let _ = writeln!(page, "## `{name}`\n");
    let about = command.get_long_about().or_else(|| command.get_about());
    for part in about.map(ToString::to_string).unwrap_or_default().split("\n\n") {
        paragraph(page, part);
    }
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage:").trim();
    let _ = writeln!(page, "```text\n{usage}\n```\n");
    let is_own = |argument: &&clap::Arg| {
        !argument.is_hide_set() && !["help", "version"].contains(&argument.get_id().as_str())
    };
    let arguments: Vec<&clap::Arg> = command.get_arguments().filter(is_own).collect();
    for argument in &arguments {
        item(page, &argument_text(argument));
    }
    if !arguments.is_empty() {
        page.push('\n');
    }
    for subcommand in command.get_subcommands() {
        command_section(subcommand, &name, page);
    }
}

fn argument_text(argument: &clap::Arg) -> String {
    let help = argument.get_long_help().or_else(|| argument.get_help());
    let help = help.map(ToString::to_string).unwrap_or_default();
    let mut text = format!("`{argument}`: {help}");
    let words = |values: Vec<String>| format!("`{}`", values.join("`, `"));
    let takes_value = argument.get_action().takes_values();
    let possible: Vec<String> = argument
        .get_possible_values()
        .iter()
        .filter(|value| !value.is_hide_set())
        .map(|value| value.get_name().to_owned())
        .collect();
    if takes_value && !possible.is_empty() {
        let _ = write!(text, " [{}]", words(possible));
    }
    let default: Vec<String> = argument
        .get_default_values()
        .iter()
        .map(|value| value.to_string_lossy().into_owned())
        .collect();
    if takes_value && !default.is_empty() {
        let _ = write!(text, " [default: {}]", words(default));
    }
    text
}

fn exit_codes() -> String {
    let about = "Every command of `leukd` ends with one of these, as sysexits(3) defines them. `leukd train` also \
                 ends with 75 when it was stopped and can be resumed.";
    let mut page = head("Exit codes", about);
    page.push_str("| code | meaning |\n|---|---|\n");
    for (code, meaning) in EXIT_STATUS {
        let _ = writeln!(page, "| {code} | {meaning} |");
    }
    page
}

/// Each metric with its kind and labels.
fn metrics() -> String {
    let about = "`http://127.0.0.1:9464/metrics` serves them; [operate](../guide/operate.md#metrics-and-alerts) \
                 says how to scrape it. Times are in seconds, sizes in bytes.";
    let mut page = head("Metrics", about);
    for metric in METRICS {
        let labels: String = metric.labels.iter().map(|label| format!(", `{label}`")).collect();
        let kind = metric.kind.as_str();
        item(&mut page, &format!("`{}` ({kind}{labels}): {}.", metric.full_name(), metric.help));
    }
    page
}

/// Every setting, from the commented example: "# " begins the text of the settings below it, any
/// other line is a setting or a section's name.
fn settings(example: &str) -> String {
    let about = "[Configure](../guide/configure.md) explains the layers. Each setting stands here with its default; \
                 one that is absent by default stands with an example.";
    let mut page = head("Settings", about);
    let mut text: Vec<&str> = Vec::new();
    let mut has_section = false;
    for line in example.lines() {
        let bare = line.strip_prefix('#').unwrap_or(line);
        if line.starts_with('#') && bare.starts_with(' ') {
            text.push(bare.trim());
        } else if line.starts_with('[') {
            if has_section {
                page.push('\n');
            }
            has_section = true;
            let _ = writeln!(page, "## `{line}`\n");
            text.clear();
        } else if line.starts_with('#') && !bare.is_empty() && has_section {
            item(&mut page, &format!("`{bare}`: {}", text.join(" ")));
            text.clear();
        } else if has_section && !text.is_empty() {
            paragraph(&mut page, &text.join(" "));
            text.clear();
        } else {
            text.clear();
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_stands_with_its_text_below_its_section() {
        let page = settings("# About.\n\n[rpc]\n# The address.\n# Any.\n#listen = \"a\"\n");
        assert!(page.ends_with("## `[rpc]`\n\n- `listen = \"a\"`: The address. Any.\n"), "{page}");
    }

    #[test]
    fn lines_end_before_the_limit() {
        let mut page = String::new();
        item(&mut page, &"word ".repeat(60));
        assert!(page.lines().all(|line| line.chars().count() <= MAX_COLUMNS), "{page}");
        assert_eq!(page.split_whitespace().count(), 61);
    }
}
