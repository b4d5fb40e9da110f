//! The `Control` service.

use std::path::{Component as Part, Path, PathBuf};
use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::guard::Caller;
use super::proto::control_server::Control;
use super::{Context, convert, proto, status};
use crate::condition::Component;
use crate::journal::{AuditEvent, JournalError};
use crate::result::RESEARCH_USE_ONLY;
use crate::telemetry;

/// Model and daemon, for administrators.
#[derive(Debug, Clone)]
pub(super) struct ControlService(pub(super) Arc<Context>);

#[tonic::async_trait]
impl Control for ControlService {
    async fn get_model(
        &self,
        _: Request<proto::GetModelRequest>,
    ) -> Result<Response<proto::GetModelResponse>, Status> {
        let model = self.0.model_card().ok_or_else(status::no_model)?;
        Ok(Response::new(proto::GetModelResponse { model: Some(model) }))
    }

    async fn reload_model(
        &self,
        request: Request<proto::ReloadModelRequest>,
    ) -> Result<Response<proto::ReloadModelResponse>, Status> {
        let by = Caller::of(&request).name();
        let file = request.into_inner().file;
        let source = if file.is_empty() {
            None
        } else {
            Some(bundle_path(self.0.limits.model_folder.as_deref(), &file)?)
        };
        let context = Arc::clone(&self.0);
        let started = std::time::Instant::now();
        let swapped =
            tokio::task::spawn_blocking(move || context.reloader.reload(source, &by)).await;
        let swapped = swapped.map_err(|error| status::internal(&error))?;
        let previous = swapped.map_err(|error| status::reload(&error))?;
        Ok(Response::new(proto::ReloadModelResponse {
            model: self.0.model_card(),
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
        let before = telemetry::level().map_err(|error| status::log_level(&error))?;
        let level = telemetry::set_level(&request.filter, lasts, &who, &self.0.clock)
            .map_err(|error| status::log_level(&error))?;
        let until = level.until.map(|until| until.to_rfc3339());
        let (from, to) = (before.filter, level.filter.clone());
        let told = self.0.journal.audit(AuditEvent::LogLevel { by: who, from, to, until }).await;
        if let Err(error) = told {
            tracing::error!(%error, "the audit chain has no record yet of a changed log level");
        }
        let level = Some(convert::log_level(level));
        Ok(Response::new(proto::SetLogLevelResponse { level }))
    }

    async fn get_status(
        &self,
        _: Request<proto::GetStatusRequest>,
    ) -> Result<Response<proto::GetStatusResponse>, Status> {
        let context = Arc::clone(&self.0);
        let read = tokio::task::spawn_blocking(move || {
            // Unreadable parts are reported as such: this call matters most when things are bad.
            let mut trouble = None;
            let mut note = |error: JournalError| trouble = Some(error.to_string());
            let journal = context.journal.status().map_err(&mut note).ok();
            let folders: Vec<_> = context
                .ingest
                .status()
                .into_iter()
                .map(|folder| {
                    let counts = context.journal.folder_counts(&folder.folder);
                    (counts.map_err(&mut note).unwrap_or_default(), folder)
                })
                .collect();
            (journal, folders, trouble)
        });
        let (journal, folders, trouble) = read.await.map_err(|error| status::internal(&error))?;
        let mut degraded = degradations(&self.0);
        degraded.extend(trouble.map(|message| proto::Degradation {
            component: Component::Journal.as_str().to_owned(),
            message,
            since: Some(convert::time(self.0.clock.wall())),
        }));
        let context = &self.0;
        let pool = context.pipeline.pool().status();
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Ok(Response::new(proto::GetStatusResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: Some(convert::time(context.started_at)),
            degraded,
            folders: folders
                .into_iter()
                .map(|(counts, folder)| proto::FolderStatus {
                    folder: folder.folder,
                    file_system: folder.file_system,
                    mode: folder.mode.to_owned(),
                    reachable: folder.reachable,
                    settling: folder.settling,
                    queued: folder.queued + folder.waiting_on_disk,
                    oldest_waiting: folder.oldest_waiting.map(convert::time),
                    done: counts.done,
                    duplicates: counts.duplicates,
                    rejected: counts.rejected,
                    ignored: folder.ignored + folder.refused,
                    last_scan_at: folder.last_scan_at.map(convert::time),
                    last_scan_took: folder.last_scan_took.map(convert::span),
                })
                .collect(),
            queues: Some(proto::QueueStatus {
                workers: count(pool.workers),
                busy: count(pool.busy),
                interactive: count(pool.interactive),
                interactive_capacity: count(pool.interactive_capacity),
                backlog: count(pool.backlog),
                backlog_capacity: count(pool.backlog_capacity),
            }),
            journal: journal.map(|journal| proto::JournalStatus {
                epoch: journal.epoch,
                oldest: journal.bounds.oldest,
                newest: journal.bounds.newest,
                size_bytes: journal.size_bytes,
                disk_free_bytes: journal.free_bytes,
                disk_floor_bytes: journal.floor_bytes,
                audit_head: Some(proto::AuditHead {
                    number: journal.audit.number,
                    hash: journal.audit.hash.to_string(),
                }),
            }),
            subscribers: context.subscribers(),
            max_image_bytes: context.limits.max_image_bytes,
            model: context.model_card(),
            time_to_serving: context.time_to_serving().map(convert::span),
            notice: RESEARCH_USE_ONLY.to_owned(),
            drift: Some(super::drift::drift(context)),
        }))
    }
}

fn degradations(context: &Context) -> Vec<proto::Degradation> {
    context
        .conditions
        .list()
        .into_iter()
        .map(|degradation| proto::Degradation {
            component: degradation.component.as_str().to_owned(),
            message: degradation.message,
            since: Some(convert::time(degradation.since)),
        })
        .collect()
}

/// A file of the model folder, and nothing outside it.
fn bundle_path(folder: Option<&Path>, file: &str) -> Result<PathBuf, Status> {
    let folder = folder.ok_or_else(|| {
        status::field("file", "no model folder is configured (model.folder, or model.bundle's own)")
    })?;
    let mut parts = Path::new(file).components();
    match (parts.next(), parts.next()) {
        (Some(Part::Normal(name)), None) if !file.contains('\0') => Ok(folder.join(name)),
        _ => Err(status::field("file", "give a file name without any folder")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_outside_the_model_folder_is_refused() {
        let folder = Some(Path::new("/models"));
        assert_eq!(bundle_path(folder, "b3.onnx").unwrap(), Path::new("/models/b3.onnx"));
        for bad in ["../b3.onnx", "/etc/passwd", "a/b.onnx", ".", "..", "", "a\0"] {
            assert!(bundle_path(folder, bad).is_err(), "{bad:?}");
        }
        assert!(bundle_path(None, "b3.onnx").is_err());
    }
}
