//! A subscription's steps as the contract's events.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio_stream::Stream;
use tonic::Status;

use super::proto::{self, Event, event};
use super::{convert, sign_off, status};
use crate::clock::Clock;
use crate::journal::{self, Step};
use crate::service::Feed;

/// The stream that tonic polls.
#[derive(Debug)]
pub(super) struct Events(pub(super) Feed<Event>);

impl Stream for Events {
    type Item = Result<Event, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = Pin::new(&mut self.0).poll_next(context);
        next.map(|next| {
            next.map(|next| next.map_err(|end| status::end(&end, "resume from your cursor")))
        })
    }
}

/// Encodes steps for one subscriber.
#[derive(Debug)]
pub(super) struct Encoder {
    /// The journal's epoch.
    pub(super) epoch: String,
    pub(super) clock: Clock,
    /// The subscriber, for the log.
    pub(super) peer: String,
}

impl Encoder {
    /// The message of a step.
    pub(super) fn encode(&self, step: Step) -> Event {
        let kind = match step {
            Step::Event(event) => self.event(event),
            Step::Gap { from, to } => event::Kind::Gap(proto::Gap { from, to }),
            Step::CaughtUp(sequence) | Step::Idle(sequence) => {
                let at = Some(convert::time(self.clock.wall()));
                event::Kind::Heartbeat(proto::Heartbeat { sequence, at })
            }
        };
        Event { kind: Some(kind) }
    }

    fn event(&self, event: journal::Event) -> event::Kind {
        let epoch = &self.epoch;
        match event {
            journal::Event::Result(record) => {
                let (sequence, subscriber) = (record.sequence, &self.peer);
                let result_id = &record.finding.result_id;
                tracing::debug!(result_id, sequence, subscriber, "given to a subscriber");
                let record = std::sync::Arc::unwrap_or_clone(record);
                event::Kind::Result(convert::own_result(record, epoch))
            }
            journal::Event::Field(field) => event::Kind::Field(convert::field(&field, epoch)),
            journal::Event::Review(review) => event::Kind::Review(convert::review(&review, epoch)),
            journal::Event::Specimen(summary) => {
                event::Kind::Specimen(convert::specimen(&summary, epoch))
            }
            journal::Event::Signature(own) => {
                event::Kind::Signature(sign_off::signature(&own, epoch))
            }
        }
    }
}
