//! Programs and channels that are waited for in bounded time.

#![allow(dead_code, clippy::unwrap_used, clippy::panic, unreachable_pub)]

use std::io::{self, Read};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

/// No test waits longer for a program.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What the standard library waits for without a bound.
pub trait InTime {
    type Ended;

    /// The same within `most`; whatever takes longer is killed, and the test fails.
    fn within(&mut self, most: Duration) -> Self::Ended;

    /// Within [`PATIENCE`].
    fn in_time(&mut self) -> Self::Ended {
        self.within(PATIENCE)
    }
}

/// As `wait`.
impl InTime for Child {
    type Ended = ExitStatus;

    fn within(&mut self, most: Duration) -> ExitStatus {
        let deadline = Instant::now() + most;
        loop {
            if let Some(status) = self.try_wait().unwrap() {
                return status;
            }
            if Instant::now() > deadline {
                let _ = self.kill();
                let _ = self.wait();
                panic!("process {} took longer than {most:?}", self.id());
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }
}

/// As `output`, without anything on standard input. A program that is not there is an error.
impl InTime for Command {
    type Ended = io::Result<Output>;

    fn within(&mut self, most: Duration) -> io::Result<Output> {
        let spawned = self.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = spawned.spawn()?;
        let (out, err) = (child.stdout.take().map(read), child.stderr.take().map(read));
        let status = child.within(most);
        // Whoever inherited them may keep them open.
        let all = |bytes: Option<Receiver<Vec<u8>>>| {
            bytes.map(|bytes| bytes.recv_timeout(PATIENCE).unwrap()).unwrap_or_default()
        };
        Ok(Output { status, stdout: all(out), stderr: all(err) })
    }
}

/// As `recv`.
impl<T> InTime for Receiver<T> {
    type Ended = T;

    fn within(&mut self, most: Duration) -> T {
        self.recv_timeout(most).unwrap()
    }
}

fn read(mut from: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.read_to_end(&mut bytes);
        let _ = tell.send(bytes);
    });
    told
}

/// The lines of something, each of which comes in bounded time; none at its end.
pub fn lines(from: impl Read + Send + 'static) -> impl Iterator<Item = String> {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for line in io::BufRead::lines(io::BufReader::new(from)).map_while(Result::ok) {
            if tell.send(line).is_err() {
                return;
            }
        }
    });
    std::iter::from_fn(move || match told.recv_timeout(PATIENCE) {
        Ok(line) => Some(line),
        Err(mpsc::RecvTimeoutError::Disconnected) => None,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("no line within {PATIENCE:?}"),
    })
}
