//! What the processor can do with nothing around it: the network, and bytes → judgement.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use leukd::cell::{self, Limits};
use leukd::model::bundle::Bundle;
use leukd::model::serving::Model;
use leukd::pipeline::examine;
use leukd::result::Digest;

use crate::captures::Captures;
use crate::daemon::cpu;

/// How long one measurement lasts.
const SPAN: Duration = Duration::from_secs(2);

/// Cells a second of all threads together, and the processor time of one cell.
#[derive(Debug, Clone, Copy)]
pub struct Speed {
    pub cells_per_s: f64,
    pub cpu_us: f64,
}

/// The embedded model, and as many threads as the daemon has workers.
pub struct Alone {
    model: Arc<Model>,
    captures: Arc<Captures>,
    workers: usize,
}

impl Alone {
    pub fn new(captures: &Arc<Captures>, workers: usize) -> Self {
        let model = Arc::new(Model::load(Bundle::embedded().unwrap()).unwrap());
        Self { model, captures: Arc::clone(captures), workers }
    }

    /// The network and nothing else.
    pub fn network(&self) -> Speed {
        let bytes = self.captures.next();
        let picture = cell::decode(&bytes, &Limits::default()).unwrap();
        let tensor = self.model.manifest().preprocessing.tensor(&picture).unwrap();
        self.measure(|| drop(self.model.run(&tensor).unwrap()))
    }

    /// What a worker does with bytes that it has read: hash, decode, preprocess, network.
    pub fn examination(&self) -> Speed {
        let bytes = self.captures.next();
        self.measure(|| {
            std::hint::black_box(Digest::of(&bytes));
            drop(examine(&bytes, &self.model, &Limits::default()).unwrap());
        })
    }

    fn measure(&self, cell: impl Fn() + Sync) -> Speed {
        let (stop, cells) = (AtomicBool::new(false), AtomicU64::new(0));
        let before = cpu("self");
        let began = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..self.workers {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        cell();
                        cells.fetch_add(1, Ordering::Relaxed);
                        if began.elapsed() >= SPAN {
                            stop.store(true, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        let cells = cells.load(Ordering::Relaxed) as f64;
        Speed {
            cells_per_s: cells / began.elapsed().as_secs_f64(),
            cpu_us: (cpu("self") - before).as_secs_f64() * 1e6 / cells,
        }
    }
}
