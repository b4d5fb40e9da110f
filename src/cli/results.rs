//! `leukd results`: what is stored.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::CliError;
use super::filter::FilterArgs;
use super::output::{Output, Table, clean, remark};
use super::remote::{self, Connection, ServerArgs};
use super::{json, show, specimen, status};
use crate::grpc::proto::get_result_request::By;
use crate::grpc::proto::results_client::ResultsClient;
use crate::grpc::proto::standing::State;
use crate::grpc::proto::{
    self, FolderSource, GetResultRequest, GetSpecimenRequest, ListResultsRequest,
};
use crate::result::RESEARCH_USE_ONLY;

/// Limit on the wait for one page.
const LIMIT: Duration = Duration::from_secs(60);
/// Results a page.
const PAGE: u32 = 200;

/// List stored results, or look one up
#[derive(Debug, Clone, clap::Args)]
pub(super) struct ResultsArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Limit on the number of results; 0 means all
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: u64,
    /// Newest first
    #[arg(long)]
    newest: bool,
    /// The latest result of this file, by its absolute path in a watched folder
    #[arg(long, value_name = "FILE", group = "one")]
    path: Option<PathBuf>,
    /// The result with this sequence
    #[arg(long, value_name = "N", group = "one")]
    sequence: Option<u64>,
    /// The result with this id
    #[arg(long, value_name = "UUID", group = "one")]
    id: Option<String>,
    /// Counts and blast fraction of the specimen, as `leukd specimen` shows them
    #[arg(long, group = "one", requires = "specimen")]
    counts: bool,
    /// Only results whose latest review corrects leukd's suggestion
    #[arg(long, conflicts_with = "one")]
    corrected: bool,
    /// One JSON object a line (Result; with --counts, GetSpecimenResponse)
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    filter: FilterArgs,
}

/// Runs it.
///
/// # Errors
/// The daemon cannot be reached, or refuses; the result does not exist.
pub(super) fn run(args: &ResultsArgs) -> Result<(), CliError> {
    remote::runtime()?.block_on(answer(args))
}

async fn answer(args: &ResultsArgs) -> Result<(), CliError> {
    let out = Output::new();
    // Not among the lines: those are data.
    remark(RESEARCH_USE_ONLY);
    let mut client = ResultsClient::new(args.server.connect().await?);
    if args.counts {
        let specimen = args.filter.specimen.clone().unwrap_or_default();
        let request = GetSpecimenRequest { specimen, slide: args.filter.slide.clone() };
        return specimen::print(&mut client, &args.server, request, args.json, &out).await;
    }
    let by = if let Some(path) = &args.path {
        Some(By::Path(folder_source(&args.server, path).await?))
    } else {
        args.sequence.map(By::Sequence).or_else(|| args.id.clone().map(By::ResultId))
    };
    match by {
        Some(by) => {
            let request = remote::request(GetResultRequest { by: Some(by) }, LIMIT);
            let response = client.get_result(request).await;
            let response = response.map_err(|s| args.server.refused(s.code(), s.message()))?;
            let results: Vec<_> = response.into_inner().result.into_iter().collect();
            print(&results, args, &out)
        }
        None => list(args, &mut client, &out).await,
    }
}

async fn list(
    args: &ResultsArgs,
    client: &mut ResultsClient<Connection>,
    out: &Output,
) -> Result<(), CliError> {
    let mut left = if args.limit == 0 { u64::MAX } else { args.limit };
    let mut page_token = String::new();
    let mut found = false;
    loop {
        let page = ListResultsRequest {
            filter: args.filter.to_proto(),
            page_size: u32::try_from(left).unwrap_or(PAGE).min(PAGE),
            page_token,
            newest_first: args.newest,
            standing: if args.corrected { State::Corrected } else { State::Unspecified }.into(),
        };
        let response = client.list_results(remote::request(page, LIMIT)).await;
        let response =
            response.map_err(|s| args.server.refused(s.code(), s.message()))?.into_inner();
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(response.results.len());
        let last = response.next_page_token.is_empty();
        found |= count > 0;
        // A page may be empty though others follow; that there is nothing at all is said once.
        if count > 0 || (last && !found) {
            print(&response.results[..count], args, out)?;
        }
        left -= count as u64;
        if left == 0 && !last {
            remark(&format!(
                "leukd: these are the first {}; more follow: --limit 0 shows all of them",
                args.limit
            ));
        }
        if left == 0 || last {
            return Ok(());
        }
        page_token = response.next_page_token;
    }
}

fn print(results: &[proto::Result], args: &ResultsArgs, out: &Output) -> Result<(), CliError> {
    if args.json {
        return results.iter().try_for_each(|result| out.line(&json::line(result)?));
    }
    let mut header = show::RESULT_HEADER.to_vec();
    header.push("STANDING");
    let mut table = Table::new(&header);
    for result in results {
        let mut cells = show::result_cells(result);
        cells.push(show::standing(result.standing.as_ref()));
        table.row(cells, show::decision(result.decision()).1);
    }
    if table.is_empty() {
        remark("no results");
        return Ok(());
    }
    table.print(out)
}

/// The watched folder of a file, and its path below that folder.
async fn folder_source(server: &ServerArgs, file: &Path) -> Result<FolderSource, CliError> {
    let status = status::ask(server).await?;
    let folders = status.folders.iter().map(|folder| folder.folder.as_str());
    split(folders.clone(), file).ok_or_else(|| {
        let folders: Vec<String> = folders.map(clean).collect();
        let file = file.display();
        CliError::Usage(format!(
            "{file} lies in none of the watched folders: {}",
            folders.join(", ")
        ))
    })
}

fn split<'a>(mut folders: impl Iterator<Item = &'a str>, file: &Path) -> Option<FolderSource> {
    folders.find_map(|folder| {
        let path = file.strip_prefix(folder).ok()?.to_str()?;
        (!path.is_empty())
            .then(|| FolderSource { folder: folder.to_owned(), path: path.to_owned() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_found_in_its_watched_folder() {
        let folders = ["/a", "/export"];
        let found = split(folders.into_iter(), Path::new("/export/s/1.bmp")).unwrap();
        assert_eq!((found.folder.as_str(), found.path.as_str()), ("/export", "s/1.bmp"));
        assert!(split(folders.into_iter(), Path::new("/exports/1.bmp")).is_none());
        assert!(split(folders.into_iter(), Path::new("/export")).is_none());
    }
}
