//! Follows the daemon's stream, and turns specimen events into messages.

use std::time::Duration;

use leukd_bridge::Cursor;
use prost_types::Duration as ProtoDuration;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::deliver::Delivery;
use super::figures::Figures;
use super::{CommonArgs, Encode, round};
use crate::cli::error::CliError;
use crate::grpc::proto::event::Kind;
use crate::grpc::proto::results_client::ResultsClient;
use crate::grpc::proto::subscribe_request::Start;
use crate::grpc::proto::{self, Decision, Filter, SubscribeRequest};

/// The wait before the first attempt to connect again; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// Limit on the wait for the first message.
const HELLO: Duration = Duration::from_secs(30);

/// The end of one connection.
enum End {
    /// Everything that `--once` asks for was sent.
    Done,
    /// It broke, for this reason.
    Broken(String),
    /// The journal was replaced.
    NewJournal,
}

/// Follows until `--once` is done, or the daemon refuses for good.
pub(super) async fn follow(
    args: &CommonArgs,
    encode: &Encode,
    delivery: &mut Delivery,
    figures: &Figures,
) -> Result<(), CliError> {
    let mut follower = Follower { args, encode, delivery, figures, anew: false, progressed: false };
    let mut pause = FIRST_PAUSE;
    loop {
        follower.progressed = false;
        let ended = follower.connection().await;
        figures.connected(false);
        let why = match ended {
            Ok(End::Done) => return Ok(()),
            Ok(End::Broken(why)) => why,
            Ok(End::NewJournal) => {
                tracing::warn!(
                    "the journal was replaced: everything that the new one keeps is sent, each \
                     round under its new identifier"
                );
                follower.anew = true;
                continue;
            }
            Err(CliError::Unavailable(why)) if !args.once => why,
            Err(error) => return Err(error),
        };
        if follower.progressed {
            pause = FIRST_PAUSE;
        }
        tracing::warn!(seconds = pause.as_secs_f32(), "{why}; trying again");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

struct Follower<'a> {
    args: &'a CommonArgs,
    encode: &'a Encode,
    delivery: &'a mut Delivery,
    figures: &'a Figures,
    /// The kept cursor is of another journal.
    anew: bool,
    /// The present connection brought something after its Hello.
    progressed: bool,
}

/// Lets no result through, and so no review: what follows a specimen comes whatever the results'
/// filter says. No rejected result has a probability.
fn specimens_alone() -> Filter {
    Filter {
        decisions: vec![Decision::Rejected.into()],
        minimum_probability: 1.0,
        ..Filter::default()
    }
}

impl Follower<'_> {
    fn start(&self) -> Start {
        match self.delivery.cursor() {
            Some(cursor) if !self.anew => Start::After(proto::Cursor {
                epoch: cursor.epoch.clone(),
                sequence: cursor.sequence,
            }),
            None if self.args.from_now => Start::Latest(()),
            _ => Start::Earliest(()),
        }
    }

    /// One connection, from its Hello to its end.
    async fn connection(&mut self) -> Result<End, CliError> {
        let mut client = ResultsClient::new(self.args.server.connect().await?);
        let start = self.start();
        let from_now = matches!(start, Start::Latest(()));
        let request = SubscribeRequest { start: Some(start), filter: Some(specimens_alone()) };
        let silent =
            |limit: Duration| End::Broken(format!("the daemon was silent for {limit:.0?}"));
        let mut events = match tokio::time::timeout(HELLO, client.subscribe(request)).await {
            Ok(Ok(response)) => response.into_inner(),
            Ok(Err(status)) => return self.ended(&status),
            Err(_) => return Ok(silent(HELLO)),
        };
        let mut limit = HELLO;
        let mut epoch = None;
        loop {
            let event = match tokio::time::timeout(limit, events.message()).await {
                Ok(Ok(Some(event))) => event,
                Ok(Ok(None)) => return Ok(End::Broken("the daemon ended the stream".to_owned())),
                Ok(Err(status)) => return self.ended(&status),
                Err(_) => return Ok(silent(limit)),
            };
            let Some(kind) = event.kind else { continue };
            let Some(epoch) = &epoch else {
                let Kind::Hello(hello) = kind else { return Err(self.no_hello()) };
                limit = heartbeat(hello.heartbeat_interval.as_ref()) * 3;
                self.figures.connected(true);
                self.figures.newest(hello.newest);
                if from_now {
                    let (epoch, sequence) = (hello.epoch.clone(), hello.newest);
                    self.delivery.advance(Cursor { epoch, sequence })?;
                }
                epoch = Some(hello.epoch);
                continue;
            };
            let caught_up = matches!(kind, Kind::Heartbeat(_));
            if let Err(status) = self.take(epoch, kind, &mut client).await? {
                return self.ended(&status);
            }
            (self.progressed, self.anew) = (true, false);
            if caught_up && self.args.once {
                return Ok(End::Done);
            }
        }
    }

    /// Deals with one event, and moves the cursor past it.
    async fn take(
        &mut self,
        epoch: &str,
        kind: Kind,
        client: &mut ResultsClient<super::super::remote::Connection>,
    ) -> Result<Result<(), Status>, CliError> {
        let sequence = match kind {
            Kind::Specimen(event) => {
                let round = match round::of(event, client).await {
                    Ok(round) => round,
                    Err(status) => return Ok(Err(status)),
                };
                self.delivery.send((self.encode)(&round)).await?;
                return Ok(Ok(()));
            }
            Kind::Gap(gap) => {
                tracing::warn!(
                    from = gap.from,
                    to = gap.to,
                    "retention removed events before the bridge read them: rounds among them were not sent"
                );
                gap.to
            }
            Kind::Heartbeat(heartbeat) => heartbeat.sequence,
            Kind::Result(result) => result.sequence,
            Kind::Review(review) => review.sequence,
            Kind::Field(field) => field.sequence,
            Kind::Signature(signature) => signature.sequence,
            Kind::Hello(_) => return Ok(Ok(())),
        };
        self.figures.newest(sequence);
        self.delivery.advance(Cursor { epoch: epoch.to_owned(), sequence })?;
        Ok(Ok(()))
    }

    fn no_hello(&self) -> CliError {
        let server = &self.args.server.server;
        CliError::Software(format!(
            "{server} did not begin with Hello: it is no leukd of this version"
        ))
    }

    /// A refusal, a replaced journal or a broken stream: which of them.
    fn ended(&self, status: &Status) -> Result<End, CliError> {
        let reason = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
        if status.code() == Code::OutOfRange && reason == "WRONG_EPOCH" {
            return Ok(End::NewJournal);
        }
        let passing = matches!(
            status.code(),
            Code::Unavailable
                | Code::ResourceExhausted
                | Code::Aborted
                | Code::Cancelled
                | Code::DeadlineExceeded
                | Code::Unknown
                | Code::Internal
        );
        if passing {
            let (code, message) = (status.code(), status.message());
            return Ok(End::Broken(format!("the connection broke ({code:?}: {message})")));
        }
        Err(self.args.server.refused(status.code(), status.message()))
    }
}

/// The heartbeat's interval, kept between a second and an hour whatever the server says.
fn heartbeat(interval: Option<&ProtoDuration>) -> Duration {
    interval
        .and_then(|interval| Duration::try_from(*interval).ok())
        .unwrap_or(Duration::from_secs(60))
        .clamp(Duration::from_secs(1), Duration::from_secs(3600))
}
