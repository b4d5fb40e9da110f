//! `leukd tail`: results, reviews and signatures as they come, across broken connections.

use std::time::Duration;

use prost_types::Duration as ProtoDuration;
use tonic::Code;

use super::error::CliError;
use super::filter::FilterArgs;
use super::output::{Output, remark};
use super::remote::{self, Connection, ServerArgs};
use super::{json, show, sign};
use crate::config::units::Span;
use crate::grpc::proto::event::Kind;
use crate::grpc::proto::results_client::ResultsClient;
use crate::grpc::proto::subscribe_request::Start;
use crate::grpc::proto::{Cursor, Event, Hello, SubscribeRequest};

/// The wait before the first attempt to connect again; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// Limit on the wait for the first message.
const HELLO: Duration = Duration::from_secs(30);

/// Follow results, reviews and signatures as they are stored
///
/// After a broken connection tail continues where it was: nothing is lost or shown twice. With
/// --json each line is one Event: `hello` (again after every reconnection), `result`, `review`,
/// `specimen`, `signature`, `gap` or `heartbeat`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct TailArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Start after this sequence; 0 means from the beginning
    #[arg(long, value_name = "SEQUENCE", conflicts_with = "earliest")]
    after: Option<u64>,
    /// The epoch that --after counts in, from Hello or any result [default: the daemon's own]
    #[arg(long, requires = "after")]
    epoch: Option<String>,
    /// Start with the oldest stored result
    #[arg(long)]
    earliest: bool,
    /// End after everything that is stored now; starts with the oldest unless --after is given
    #[arg(long)]
    once: bool,
    /// End after this many results
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// How long to try to reconnect after a broken connection
    #[arg(long, value_name = "TIME", default_value = "10m")]
    reconnect_for: Span,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    filter: FilterArgs,
}

/// The end of one connection.
enum End {
    /// Everything requested was shown.
    Done,
    /// The connection broke, with the reason.
    Broken(String),
}

/// Progress of the tail.
struct Tail<'a> {
    args: &'a TailArgs,
    out: Output,
    /// Cursor; none until the first message.
    cursor: Option<Cursor>,
    /// Last sequence of `--once`: the newest one at the first Hello.
    until: Option<u64>,
    shown: u64,
    /// The present connection began with Hello.
    heard: bool,
    /// It brought something after that.
    progressed: bool,
}

/// Runs it.
///
/// # Errors
/// The daemon cannot be reached at first, or not again in time; it refuses the cursor or the
/// filter.
pub(super) fn run(args: &TailArgs) -> Result<(), CliError> {
    remote::runtime()?.block_on(follow(args))
}

async fn follow(args: &TailArgs) -> Result<(), CliError> {
    let mut tail = Tail {
        args,
        out: Output::new(),
        cursor: None,
        until: None,
        shown: 0,
        heard: false,
        progressed: false,
    };
    let mut pause = FIRST_PAUSE;
    let mut broken_since: Option<tokio::time::Instant> = None;
    loop {
        (tail.heard, tail.progressed) = (false, false);
        let why = match tail.connection().await {
            Ok(End::Done) => return Ok(()),
            Ok(End::Broken(why)) => why,
            // The first attempt reports a wrong address at once.
            Err(error @ CliError::Unavailable(_)) if tail.cursor.is_none() => return Err(error),
            Err(CliError::Unavailable(why)) => why,
            Err(error) => return Err(error),
        };
        // Hello alone proves nothing: a daemon that fails after it would be asked again without
        // end.
        if tail.progressed {
            pause = FIRST_PAUSE;
            broken_since = None;
        }
        let since = *broken_since.get_or_insert_with(tokio::time::Instant::now);
        if since.elapsed() >= args.reconnect_for.0 {
            return Err(CliError::Unavailable(format!(
                "{why}; gave up after {}{}",
                args.reconnect_for,
                tail.resume_hint()
            )));
        }
        remark(&format!("leukd: {why}; trying again in {pause:.1?}"));
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

impl Tail<'_> {
    /// Where to start this time.
    async fn start(&self, client: &mut ResultsClient<Connection>) -> Result<Start, CliError> {
        if let Some(cursor) = &self.cursor {
            return Ok(Start::After(cursor.clone()));
        }
        match (self.args.after, &self.args.epoch) {
            (Some(sequence), Some(epoch)) => {
                Ok(Start::After(Cursor { epoch: epoch.clone(), sequence }))
            }
            (Some(sequence), None) => {
                // The epoch comes with the Hello of a subscription that is dropped at once.
                let request = SubscribeRequest { start: Some(Start::Latest(())), filter: None };
                let refused =
                    |status: tonic::Code, message: &str| self.args.server.refused(status, message);
                let mut events = client
                    .subscribe(request)
                    .await
                    .map_err(|s| refused(s.code(), s.message()))?
                    .into_inner();
                let first = tokio::time::timeout(HELLO, events.message()).await;
                match first {
                    Ok(Ok(Some(Event { kind: Some(Kind::Hello(hello)) }))) => {
                        Ok(Start::After(Cursor { epoch: hello.epoch, sequence }))
                    }
                    Ok(Err(status)) => Err(refused(status.code(), status.message())),
                    Ok(Ok(_)) => Err(self.no_hello()),
                    Err(_) => Err(self.silent(HELLO)),
                }
            }
            (None, _) if self.args.earliest || self.args.once => Ok(Start::Earliest(())),
            (None, _) => Ok(Start::Latest(())),
        }
    }

    fn no_hello(&self) -> CliError {
        let server = &self.args.server.server;
        CliError::Software(format!(
            "{server} did not begin with Hello: it is no leukd of this version"
        ))
    }

    fn silent(&self, limit: Duration) -> CliError {
        CliError::Unavailable(format!("{} was silent for {limit:.0?}", self.args.server.server))
    }

    /// One connection, from its Hello to its end.
    async fn connection(&mut self) -> Result<End, CliError> {
        let mut client = ResultsClient::new(self.args.server.connect().await?);
        let start = self.start(&mut client).await?;
        let request =
            SubscribeRequest { start: Some(start.clone()), filter: self.args.filter.to_proto() };
        let subscribed = match tokio::time::timeout(HELLO, client.subscribe(request)).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err((status.code(), status.message().to_owned())),
            Err(_) => return Err(self.silent(HELLO)),
        };
        let mut events = match subscribed {
            Ok(events) => events,
            Err((code, message)) => return self.ended(code, &message),
        };
        let mut limit = HELLO;
        loop {
            let event = match tokio::time::timeout(limit, events.message()).await {
                Ok(Ok(Some(event))) => event,
                Ok(Ok(None)) => return Ok(End::Broken("the daemon ended the stream".to_owned())),
                Ok(Err(status)) => return self.ended(status.code(), status.message()),
                Err(_) => return Ok(End::Broken(format!("the daemon was silent for {limit:.0?}"))),
            };
            if let (false, Some(Kind::Hello(hello))) = (self.heard, &event.kind) {
                // Three heartbeats without a message mean that the connection is dead (see Hello).
                limit = heartbeat(hello.heartbeat_interval.as_ref()) * 3;
                self.greeted(hello, &start);
            } else if !self.heard {
                return Err(self.no_hello());
            }
            self.progressed = self.heard;
            self.heard = true;
            self.show(&event)?;
            if self.is_done() {
                return Ok(End::Done);
            }
        }
    }

    fn greeted(&mut self, hello: &Hello, start: &Start) {
        self.until.get_or_insert(hello.newest);
        let sequence = match start {
            Start::Latest(()) => hello.newest,
            // Resuming after 0 would report a gap that `earliest` skips.
            Start::Earliest(()) => hello.oldest.saturating_sub(1),
            Start::After(cursor) => cursor.sequence,
        };
        self.cursor.get_or_insert_with(|| Cursor { epoch: hello.epoch.clone(), sequence });
    }

    /// A refusal or a broken stream: which of the two.
    fn ended(&self, code: Code, message: &str) -> Result<End, CliError> {
        let passing = match code {
            Code::Unavailable
            | Code::ResourceExhausted
            | Code::Cancelled
            | Code::DeadlineExceeded => true,
            // tonic's words for a connection that broke underneath the stream; the cursor makes it
            // safe to try again whatever it was.
            Code::Unknown | Code::Internal => self.heard,
            _ => false,
        };
        if passing && self.cursor.is_some() {
            return Ok(End::Broken(format!("the connection broke ({code:?}: {message})")));
        }
        let mut error = self.args.server.refused(code, message);
        if let (CliError::Data(text), Some(_)) = (&mut error, &self.cursor) {
            text.push_str("; the journal was replaced: begin again with --earliest");
        }
        Err(error)
    }

    fn show(&mut self, event: &Event) -> Result<(), CliError> {
        match &event.kind {
            Some(Kind::Result(result)) => {
                if !self.args.json {
                    self.out.line(&show::result_line(result, &self.out))?;
                }
                self.shown += 1;
                self.at(result.sequence);
            }
            Some(Kind::Review(review)) => {
                if !self.args.json {
                    self.out.line(&show::review_line(review, &self.out))?;
                }
                self.at(review.sequence);
            }
            Some(Kind::Specimen(told)) => {
                if !self.args.json {
                    self.out.line(&show::specimen_line(told))?;
                }
                self.at(told.sequence);
            }
            Some(Kind::Signature(signature)) => {
                if !self.args.json {
                    self.out.line(&sign::stream_line(signature))?;
                }
                self.at(signature.sequence);
            }
            Some(Kind::Field(field)) => {
                if !self.args.json {
                    self.out.line(&show::field_line(field))?;
                }
                self.at(field.sequence);
            }
            Some(Kind::Gap(gap)) => {
                if !self.args.json {
                    remark(&format!(
                        "leukd: results {} to {} are no longer kept: retention removed them",
                        gap.from, gap.to
                    ));
                }
                self.at(gap.to);
            }
            Some(Kind::Heartbeat(heartbeat)) => self.at(heartbeat.sequence),
            Some(Kind::Hello(_)) | None => {}
        }
        if self.args.json { self.out.line(&json::line(event)?) } else { Ok(()) }
    }

    /// Everything up to here has been shown.
    fn at(&mut self, sequence: u64) {
        if let Some(cursor) = &mut self.cursor {
            cursor.sequence = cursor.sequence.max(sequence);
        }
    }

    fn is_done(&self) -> bool {
        let sequence = self.cursor.as_ref().map_or(0, |cursor| cursor.sequence);
        let counted = self.args.count.is_some_and(|count| self.shown >= count);
        counted || (self.args.once && self.until.is_some_and(|until| sequence >= until))
    }

    fn resume_hint(&self) -> String {
        self.cursor.as_ref().map_or_else(String::new, |cursor| {
            format!(
                "; resume with `leukd tail --after {} --epoch {}`",
                cursor.sequence, cursor.epoch
            )
        })
    }
}

/// The heartbeat's interval, kept between a second and an hour whatever the server says.
fn heartbeat(interval: Option<&ProtoDuration>) -> Duration {
    interval
        .and_then(|interval| Duration::try_from(*interval).ok())
        .unwrap_or(Duration::from_secs(60))
        .clamp(Duration::from_secs(1), Duration::from_secs(3600))
}
