//! A proxy that hurts connections: it delays, cuts, goes silent, or drops what comes after N bytes.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What a proxy does to its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// Each piece waits so long.
    Delay(Duration),
    /// Connections end, and new ones end at once.
    Cut,
    /// Bytes are taken and go nowhere; nobody is told.
    HalfOpen,
    /// After so many more bytes from the store the connection ends: answers are lost.
    DropAnswersAfter(u64),
}

/// A proxy before a port. It ends with its last clone.
#[derive(Clone)]
pub(crate) struct Proxy {
    pub(crate) port: u16,
    fault: watch::Sender<Fault>,
    _tasks: Arc<Tasks>,
}

struct Tasks(Mutex<tokio::task::JoinSet<()>>);

impl Proxy {
    pub(crate) async fn start(to: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let fault = watch::Sender::new(Fault::None);
        let (faults, tasks) = (fault.subscribe(), Arc::new(Tasks(Mutex::default())));
        let serve = async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let faults = faults.clone();
                connections.spawn(async move { carry(client, to, faults).await });
                while connections.try_join_next().is_some() {}
            }
        };
        tasks.0.lock().unwrap().spawn(serve);
        Self { port, fault, _tasks: tasks }
    }

    pub(crate) fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }
}

async fn carry(client: TcpStream, to: u16, faults: watch::Receiver<Fault>) {
    if *faults.borrow() == Fault::Cut {
        return;
    }
    let Ok(store) = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, to))).await else {
        return;
    };
    let (from_client, to_client) = client.into_split();
    let (from_store, to_store) = store.into_split();
    let mut cut = faults.clone();
    tokio::select! {
        () = pass(from_client, to_store, faults.clone(), false) => {}
        () = pass(from_store, to_client, faults, true) => {}
        _ = cut.wait_for(|fault| *fault == Fault::Cut) => {}
    }
}

async fn pass(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    faults: watch::Receiver<Fault>,
    is_answer: bool,
) {
    let (mut buffer, mut passed) = (vec![0; 16 * 1024], 0);
    loop {
        let Ok(length @ 1..) = from.read(&mut buffer).await else { return };
        let fault = *faults.borrow();
        match fault {
            Fault::HalfOpen => continue,
            Fault::Delay(time) => tokio::time::sleep(time).await,
            Fault::DropAnswersAfter(most) if is_answer => {
                passed += length as u64;
                if passed > most {
                    return;
                }
            }
            _ => {}
        }
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
