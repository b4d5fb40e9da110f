//! `leukd lab trial`: a whole laboratory in a temporary folder, with a death of each part.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use leukd_fleet::local::{OWNER, Server, programs};
use leukd_fleet::{Address, Lab, TlsFiles};

use super::{failed, password, write};
use crate::cell::synthetic::{self, Kind};
use crate::cli::error::CliError;
use crate::cli::output::{Output, remark};
use crate::clock::Clock;
use crate::journal::{Journal, JournalError, Options};
use crate::result::RESEARCH_USE_ONLY;

/// Longest wait for any step: the model loads first, and the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(120);

const SITES: [&str; 2] = ["east", "west"];

/// Runs it.
///
/// # Errors
/// PostgreSQL is not installed, a step takes too long, or the store differs from the journals.
pub(super) async fn run(captures: u32, keep: bool, as_json: bool) -> Result<(), CliError> {
    let Some(programs) = programs() else {
        return Err(CliError::Unavailable(
            "the trial needs PostgreSQL 15 or newer on this machine: apt install postgresql (its own \
             server need not run: systemctl disable --now postgresql)"
                .to_owned(),
        ));
    };
    remark(RESEARCH_USE_ONLY);
    let began = Instant::now();
    let folder = tempfile::Builder::new().prefix("leukd-trial-").tempdir().map_err(io)?;
    let server = tokio::task::spawn_blocking(move || Server::start(programs)).await;
    let mut server = server.map_err(|error| CliError::Software(error.to_string()))?.map_err(io)?;
    let mut lab = connect(&server).await?;
    lab.init().await.map_err(failed)?;
    let mut sites = Vec::new();
    for name in SITES {
        let site = Site::new(name, folder.path(), &server)?;
        lab.add_site(name, &site.password).await.map_err(failed)?;
        sites.push(site);
    }
    for site in &mut sites {
        site.start()?;
    }
    say(began, "a store and two sites run; cells are drawn, not real");
    let half = captures / 2;
    for (site, seed) in sites.iter().zip([1, 5_000]) {
        site.draw(seed, 0..half)?;
    }
    wait(&server, |held| held.iter().all(|held| *held > 0), "a first event of both sites").await?;

    sites[0].kill()?;
    say(began, "killed the site east with SIGKILL");
    server.kill().map_err(io)?;
    say(began, "killed the store with SIGKILL");
    for (site, seed) in sites.iter().zip([1, 5_000]) {
        site.draw(seed, half..captures)?;
    }
    sites[0].start()?;
    server.resume().map_err(io)?;
    let resumed = Instant::now();
    say(began, "started both again");
    let all = u64::from(captures);
    wait(&server, |held| held.iter().all(|held| *held >= all), "all captures in the store").await?;
    let caught_up = resumed.elapsed();

    for site in &mut sites {
        site.stop().await?;
    }
    let lab = connect(&server).await?;
    let mut events = 0;
    for site in &sites {
        events += compare(&lab, site).await?;
    }
    say(began, "the store equals the union of the journals, byte for byte; both chains verify");
    let figures = json!({
        "sites": SITES.len(),
        "captures": all * SITES.len() as u64,
        "events": events,
        "seconds": rounded(began.elapsed()),
        "caught_up_seconds": rounded(caught_up),
    });
    let out = Output::new();
    out.line(&if as_json {
        figures.to_string()
    } else {
        format!(
            "{} captures of {} sites, {events} events in the store, each once; all in {} s, of which {} s from the \
             restart to the last event",
            all * SITES.len() as u64,
            SITES.len(),
            rounded(began.elapsed()),
            rounded(caught_up)
        )
    })?;
    if keep {
        for site in &mut sites {
            site.start()?;
        }
        let url = server.url(OWNER);
        remark(&format!("leukd lab status --verify --store {url}"));
        remark(&format!("psql {url} -c 'SELECT * FROM leukd.results'"));
        remark(&format!(
            "everything runs, with its files in {}, until Ctrl-C",
            folder.path().display()
        ));
        tokio::signal::ctrl_c().await.map_err(io)?;
        for site in &mut sites {
            site.stop().await?;
        }
    }
    Ok(())
}

async fn connect(server: &Server) -> Result<Lab, CliError> {
    let address = Address::new(&server.url(OWNER), None, TlsFiles::default());
    Lab::connect(address.map_err(CliError::Software)?).await.map_err(failed)
}

/// Waits until the numbers of held events satisfy `is_enough`.
async fn wait(
    server: &Server,
    is_enough: impl Fn(&[u64]) -> bool,
    what: &str,
) -> Result<(), CliError> {
    let until = Instant::now() + PATIENCE;
    let lab = connect(server).await?;
    loop {
        let sites = lab.sites().await.map_err(failed)?;
        let held: Vec<u64> = sites.iter().map(|site| site.held).collect();
        if is_enough(&held) {
            return Ok(());
        }
        if Instant::now() > until {
            let seconds = PATIENCE.as_secs();
            return Err(CliError::Unavailable(format!(
                "{what}: not within {seconds} s; the store holds {held:?}"
            )));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The number of a site's events, where the store holds the same.
async fn compare(lab: &Lab, site: &Site) -> Result<u64, CliError> {
    let broken = |error: JournalError| CliError::Data(error.to_string());
    let journal = Journal::open(&site.state, Options::new(Clock::system())).map_err(broken)?;
    let mut after = 0;
    loop {
        let own = journal.stored_after(after, 1000).map_err(broken)?.events;
        let held =
            lab.texts_after(site.name, journal.epoch(), after, 1000).await.map_err(failed)?;
        let same = own.len() == held.len()
            && own
                .iter()
                .zip(&held)
                .all(|(own, (sequence, text))| own.sequence == *sequence && own.payload == *text);
        if !same {
            return Err(CliError::Data(format!(
                "{}: the store differs from the journal after event {after}",
                site.name
            )));
        }
        let Some(last) = own.last() else { break };
        after = last.sequence;
    }
    let verified = lab.verify(site.name, journal.epoch()).await.map_err(failed)?;
    match verified.fault {
        Some(fault) => Err(CliError::Data(format!("{}: {fault}", site.name))),
        None => Ok(after),
    }
}

/// One workstation: a daemon of its own in folders of its own.
struct Site {
    name: &'static str,
    export: PathBuf,
    state: PathBuf,
    settings: PathBuf,
    log: PathBuf,
    password: String,
    process: Option<Child>,
}

impl Site {
    fn new(name: &'static str, root: &Path, server: &Server) -> Result<Self, CliError> {
        let folder = root.join(name);
        let [export, state] = ["export", "state"].map(|part| folder.join(part));
        for part in [&export, &state] {
            fs_err::create_dir_all(part).map_err(io)?;
        }
        let (settings, file) = (folder.join("leukd.toml"), folder.join("password"));
        let password = password()?;
        write(&file, &password)?;
        let url = server.url(&format!("leukd_{name}"));
        let text = format!(
            "[journal]\ndisk_floor = 0\n[forward]\nsite = {name:?}\nurl = {url:?}\npassword_file = {file:?}\n"
        );
        fs_err::write(&settings, text).map_err(io)?;
        let log = folder.join("log");
        Ok(Self { name, export, state, settings, log, password, process: None })
    }

    fn start(&mut self) -> Result<(), CliError> {
        let log = File::options().create(true).append(true).open(&self.log).map_err(io)?;
        let mut serve = Command::new("/proc/self/exe");
        serve.args(["serve", "--listen", "127.0.0.1:0", "--metrics", "off", "--page", "off"]);
        serve.arg("--config").arg(&self.settings);
        serve.arg("--watch").arg(&self.export).arg("--state").arg(&self.state);
        serve.env_remove("NOTIFY_SOCKET").env_remove("STATE_DIRECTORY");
        serve.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.process = Some(serve.spawn().map_err(io)?);
        Ok(())
    }

    fn kill(&mut self) -> Result<(), CliError> {
        let Some(mut process) = self.process.take() else { return Ok(()) };
        process.kill().and_then(|()| process.wait()).map(drop).map_err(io)
    }

    /// Stops it as systemd does.
    async fn stop(&mut self) -> Result<(), CliError> {
        use rustix::process::{Pid, Signal, kill_process};
        let Some(process) = &mut self.process else { return Ok(()) };
        let pid = i32::try_from(process.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            kill_process(pid, Signal::TERM).map_err(|error| io(error.into()))?;
        }
        let until = Instant::now() + PATIENCE;
        while process.try_wait().map_err(io)?.is_none() {
            if Instant::now() > until {
                return Err(CliError::Unavailable(format!(
                    "the site {} does not stop; its log is {}",
                    self.name,
                    self.log.display()
                )));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.process = None;
        Ok(())
    }

    /// Puts drawn cells into its export folder.
    fn draw(&self, seed: u64, which: std::ops::Range<u32>) -> Result<(), CliError> {
        for index in which {
            let kind = if index.is_multiple_of(2) { Kind::Blast } else { Kind::Normal };
            let cell = synthetic::cell(seed + u64::from(index), kind);
            let name = format!("UID_{}_1_{}_drawn.bmp", 900 + index % 3, index + 1);
            fs_err::write(self.export.join(name), synthetic::bmp(&cell)).map_err(io)?;
        }
        Ok(())
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // Whatever ended the trial, no daemon outlives it.
        let _ = self.kill();
    }
}

fn say(began: Instant, what: &str) {
    remark(&format!("{:>5} s  {what}", rounded(began.elapsed())));
}

fn rounded(time: Duration) -> f64 {
    (time.as_secs_f64() * 10.0).round() / 10.0
}

fn io(error: std::io::Error) -> CliError {
    CliError::Io(error.to_string())
}
