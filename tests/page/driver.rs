//! A real browser by the W3C's WebDriver protocol: chromium and its driver, where both are there.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};

use crate::http::Client;
use crate::support::until;

/// The key under which WebDriver names an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with a profile of its own.
pub(crate) struct Browser {
    driver: Child,
    client: Client,
    session: String,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// None where no browser is installed.
    pub(crate) async fn start() -> Option<Self> {
        let found = |name: &str| {
            let folders = std::env::var_os("PATH").unwrap_or_default();
            std::env::split_paths(&folders).any(|folder| folder.join(name).exists())
        };
        if !found("chromedriver") || !found("chromium") {
            println!("skipped: chromium and chromedriver are not installed");
            return None;
        }
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let driver = Command::new("chromedriver")
            .arg(format!("--port={}", address.port()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let profile = tempfile::tempdir().unwrap();
        let mut browser = Self {
            driver,
            client: Client::new(address),
            session: String::new(),
            _profile: profile,
        };
        until("the driver", async || {
            tokio::net::TcpStream::connect(address).await.is_ok().then_some(())
        })
        .await;
        let folder = format!("--user-data-dir={}", browser._profile.path().display());
        let args = [
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-gpu",
            "--force-color-profile=srgb",
            "--window-size=1280,720",
            &folder,
        ];
        let options = json!({"args": args});
        let wanted = json!({"browserName": "chrome", "goog:chromeOptions": options,
                            "goog:loggingPrefs": {"browser": "ALL"}});
        let capabilities = json!({"capabilities": {"alwaysMatch": wanted}});
        let session = browser.call("POST", "", &capabilities).await;
        browser.session = session["sessionId"].as_str().unwrap().to_owned();
        Some(browser)
    }

    async fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let address = match self.session.as_str() {
            "" => "/session".to_owned(),
            session => format!("/session/{session}{path}"),
        };
        let body = if method == "GET" { String::new() } else { body.to_string() };
        let kind = [("Content-Type", "application/json")];
        let answer = self.client.send(method, &address, &kind, body.as_bytes()).await;
        let value = answer.json()["value"].clone();
        assert_eq!(answer.status, 200, "{method} {path}: {value}");
        value
    }

    pub(crate) async fn open(&self, url: &str) {
        self.call("POST", "/url", &json!({"url": url})).await;
    }

    /// What a script returns.
    pub(crate) async fn run(&self, script: &str) -> Value {
        self.call("POST", "/execute/sync", &json!({"script": script, "args": []})).await
    }

    /// Waits until a script returns something true.
    pub(crate) async fn wait(&self, script: &str) -> Value {
        until(script, async || {
            let value = self.run(script).await;
            let is_true = !(value.is_null() || value == false || value == "" || value == 0);
            is_true.then_some(value)
        })
        .await
    }

    /// Presses keys, one after another, as a person does: down and up.
    pub(crate) async fn press(&self, keys: &str) {
        let mut actions = Vec::new();
        for key in keys.chars() {
            actions.push(json!({"type": "keyDown", "value": key.to_string()}));
            actions.push(json!({"type": "keyUp", "value": key.to_string()}));
        }
        let keyboard = json!({"type": "key", "id": "keyboard", "actions": actions});
        self.call("POST", "/actions", &json!({"actions": [keyboard]})).await;
    }

    /// Gives a file to an input.
    pub(crate) async fn choose(&self, selector: &str, file: &std::path::Path) {
        let found = json!({"using": "css selector", "value": selector});
        let element = self.call("POST", "/element", &found).await;
        let id = element[ELEMENT].as_str().unwrap();
        let text = json!({"text": file.to_str().unwrap()});
        self.call("POST", &format!("/element/{id}/value"), &text).await;
    }

    pub(crate) async fn click(&self, selector: &str) {
        let found = json!({"using": "css selector", "value": selector});
        let element = self.call("POST", "/element", &found).await;
        let id = element[ELEMENT].as_str().unwrap();
        self.call("POST", &format!("/element/{id}/click"), &json!({})).await;
    }

    /// Writes what the window shows into the folder that LEUKD_SCREENSHOTS names, if it does.
    pub(crate) async fn shoot(&self, name: &str) {
        let Some(folder) = std::env::var_os("LEUKD_SCREENSHOTS") else { return };
        // Pictures that are still on their way.
        tokio::time::sleep(Duration::from_millis(400)).await;
        let shot = self.call("GET", "/screenshot", &Value::Null).await;
        let file = std::path::Path::new(&folder).join(format!("{name}.png"));
        std::fs::write(file, decoded(&shot)).unwrap();
    }

    /// What the window shows, as WebP.
    pub(crate) async fn webp(&self) -> Vec<u8> {
        let parameters = json!({"format": "webp", "quality": 80});
        let command = json!({"cmd": "Page.captureScreenshot", "params": parameters});
        decoded(&self.call("POST", "/goog/cdp/execute", &command).await["data"])
    }

    /// Errors in the browser's console, refusals of the policy among them.
    pub(crate) async fn errors(&self) -> Vec<String> {
        let log = self.call("POST", "/se/log", &json!({"type": "browser"})).await;
        let entries = log.as_array().unwrap().iter();
        let severe = entries.filter(|entry| entry["level"] == "SEVERE");
        severe.map(|entry| entry["message"].to_string()).collect()
    }
}

fn decoded(base64: &Value) -> Vec<u8> {
    base64::engine::general_purpose::STANDARD.decode(base64.as_str().unwrap()).unwrap()
}

impl Drop for Browser {
    /// The driver would leave its browser behind: it is asked to end it first.
    fn drop(&mut self) {
        use std::io::{Read as _, Write as _};
        if let Ok(mut stream) = std::net::TcpStream::connect(self.client.address) {
            let (session, host) = (&self.session, self.client.address);
            let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
            let _ = write!(stream, "DELETE /session/{session} HTTP/1.1\r\nHost: {host}\r\n\r\n");
            let _ = stream.read(&mut [0; 1024]);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
