//! The `Control` service.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::guard::Caller;
use super::proto::control_server::Control;
use super::{convert, drift, proto, status};
use crate::condition::Degradation;
use crate::result::RESEARCH_USE_ONLY;
use crate::service::{FolderStatus, Service};
use crate::telemetry;

/// Model and daemon, for administrators.
#[derive(Debug, Clone)]
pub(super) struct ControlService(pub(super) Arc<Service>);

#[tonic::async_trait]
impl Control for ControlService {
    async fn get_model(
        &self,
        _: Request<proto::GetModelRequest>,
    ) -> Result<Response<proto::GetModelResponse>, Status> {
        let model = self.0.served().ok_or_else(status::no_model)?;
        Ok(Response::new(proto::GetModelResponse { model: Some(convert::served(&model)) }))
    }

    async fn reload_model(
        &self,
        request: Request<proto::ReloadModelRequest>,
    ) -> Result<Response<proto::ReloadModelResponse>, Status> {
        let by = Caller::of(&request).name();
        let started = std::time::Instant::now();
        let reloaded = self.0.reload(&request.into_inner().file, by).await;
        let previous = reloaded.map_err(|error| status::service(&error))?;
        Ok(Response::new(proto::ReloadModelResponse {
            model: self.0.served().map(|served| convert::served(&served)),
            previous_digest: previous.map(|digest| digest.to_string()).unwrap_or_default(),
            took: Some(convert::span(started.elapsed())),
        }))
    }

    async fn get_log_level(
        &self,
        _: Request<proto::GetLogLevelRequest>,
    ) -> Result<Response<proto::GetLogLevelResponse>, Status> {
        let level = telemetry::level().map_err(|error| status::log_level(&error))?;
        let level = Some(convert::log_level(level));
        Ok(Response::new(proto::GetLogLevelResponse { level }))
    }

    async fn set_log_level(
        &self,
        request: Request<proto::SetLogLevelRequest>,
    ) -> Result<Response<proto::SetLogLevelResponse>, Status> {
        let who = Caller::of(&request).name();
        let request = request.into_inner();
        let lasts = request.lasts.map(std::time::Duration::try_from).transpose();
        let lasts = lasts.map_err(|_| status::field("lasts", "is no length of time"))?;
        let level = self.0.set_log_level(&request.filter, lasts, who).await;
        let level = level.map_err(|error| status::service(&error))?;
        let level = Some(convert::log_level(level));
        Ok(Response::new(proto::SetLogLevelResponse { level }))
    }

    async fn get_status(
        &self,
        _: Request<proto::GetStatusRequest>,
    ) -> Result<Response<proto::GetStatusResponse>, Status> {
        let service = &self.0;
        let found = service.status().await.map_err(|error| status::service(&error))?;
        let pool = service.pipeline.pool().status();
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Ok(Response::new(proto::GetStatusResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: Some(convert::time(service.started_at)),
            degraded: found.degraded.into_iter().map(degradation).collect(),
            folders: found.folders.into_iter().map(folder).collect(),
            queues: Some(proto::QueueStatus {
                workers: count(pool.workers),
                busy: count(pool.busy),
                interactive: count(pool.interactive),
                interactive_capacity: count(pool.interactive_capacity),
                backlog: count(pool.backlog),
                backlog_capacity: count(pool.backlog_capacity),
            }),
            journal: found.journal.map(|journal| proto::JournalStatus {
                epoch: journal.epoch,
                oldest: journal.bounds.oldest,
                newest: journal.bounds.newest,
                size_bytes: journal.sizes.total(),
                wal_bytes: journal.sizes.write_ahead_log,
                disk_free_bytes: journal.free_bytes,
                disk_floor_bytes: journal.floor_bytes,
                audit_head: Some(proto::AuditHead {
                    number: journal.audit.number,
                    hash: journal.audit.hash.to_string(),
                }),
                epoch_origin: Some(proto::EpochOrigin {
                    reason: journal.origin.reason.as_str().to_owned(),
                    at: Some(convert::time(journal.origin.at)),
                    previous_epoch: journal.origin.before.unwrap_or_default(),
                }),
            }),
            subscribers: service.subscribers(),
            max_image_bytes: service.limits.max_image_bytes,
            model: service.served().map(|served| convert::served(&served)),
            time_to_serving: service.time_to_serving().map(convert::span),
            notice: RESEARCH_USE_ONLY.to_owned(),
            drift: Some(drift::drift(service)),
        }))
    }
}

fn folder(folder: FolderStatus) -> proto::FolderStatus {
    let FolderStatus { state, counts } = folder;
    let counts = counts.unwrap_or_default();
    proto::FolderStatus {
        folder: state.folder,
        file_system: state.file_system,
        mode: state.mode.to_owned(),
        reachable: state.reachable,
        settling: state.settling,
        queued: state.queued + state.waiting_on_disk,
        oldest_waiting: state.oldest_waiting.map(convert::time),
        done: counts.done,
        duplicates: counts.duplicates,
        rejected: counts.rejected,
        ignored: state.ignored + state.refused,
        last_scan_at: state.last_scan_at.map(convert::time),
        last_scan_took: state.last_scan_took.map(convert::span),
    }
}

fn degradation(degradation: Degradation) -> proto::Degradation {
    proto::Degradation {
        component: degradation.component.as_str().to_owned(),
        message: degradation.message,
        since: Some(convert::time(degradation.since)),
    }
}
