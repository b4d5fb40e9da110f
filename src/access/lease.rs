//! The time that a right lasts: an open stream ends with its caller's right.

use std::time::Duration;

use tokio::sync::watch;

use super::Scope;
use super::gate::{Credential, Denied, Gate};

/// Interval of the check of a right that expires: the wall clock may jump.
const JUDGE_AGAIN: Duration = Duration::from_secs(30);

/// Resolves when the caller loses its right to `need`, with the reason.
pub async fn lost(gate: &Gate, credential: &Credential, need: Option<Scope>) -> Denied {
    let mut changes = gate.changes();
    loop {
        let until = match gate.judge(credential, need) {
            Ok(granted) => granted.until,
            Err(denied) => return denied,
        };
        let left = until.map(|until| {
            let left = until.0.saturating_sub(gate.clock().wall().0).saturating_add(1);
            Duration::from_millis(left.max(1).unsigned_abs()).min(JUDGE_AGAIN)
        });
        tokio::select! {
            () = changed(&mut changes) => {}
            () = passed(left) => {}
        }
    }
}

async fn changed(changes: &mut Option<watch::Receiver<u64>>) {
    if let Some(changes) = changes
        && changes.changed().await.is_ok()
    {
        return;
    }
    std::future::pending::<()>().await;
}

async fn passed(left: Option<Duration>) {
    match left {
        Some(left) => tokio::time::sleep(left).await,
        None => std::future::pending().await,
    }
}
