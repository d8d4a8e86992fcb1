//! Chromium without a window, driven through its debugging pipe: commands go in as JSON that ends with a zero byte,
//! answers and events come out the same way. The pipe's ends are named pipes that a shell gives to it.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use base64::Engine as _;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::bench::PATIENCE;

/// Names under which systems know the browser.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];
/// Set to install it with apt where it is missing.
const INSTALL: &str = "THROUGHLINE_INSTALL_BROWSER";

/// A browser with one page.
pub struct Browser {
    child: Child,
    to: RefCell<File>,
    from: RefCell<BufReader<File>>,
    session: RefCell<String>,
    last: Cell<u64>,
    _dir: TempDir,
}

/// The program, or `None` where there is none; whoever asks says that it skips.
pub fn program() -> Option<&'static str> {
    let there = |name: &&str| {
        let look = Command::new("sh")
            .args(["-c", &format!("command -v {name}")])
            .stdout(Stdio::null())
            .status();
        look.is_ok_and(|s| s.success())
    };
    if let Some(name) = NAMES.into_iter().find(|n| there(n)) {
        return Some(name);
    }
    if std::env::var(INSTALL).is_ok() {
        let done = Command::new("apt-get")
            .args(["install", "-y", "-qq", "chromium"])
            .stdout(Stdio::null())
            .status();
        assert!(done.is_ok_and(|s| s.success()), "apt-get installs chromium");
        return Some(NAMES[0]);
    }
    tl_trial::lacks(
        "BROWSER",
        &format!(
            "the console in a browser: Chromium is not installed; {INSTALL}=1 installs it with apt"
        ),
    );
    None
}

impl Browser {
    /// Starts it; `None` where the machine has no browser.
    pub fn start() -> Option<Browser> {
        let program = program()?;
        let dir = tempfile::tempdir().unwrap();
        let (to, from) = (dir.path().join("in"), dir.path().join("out"));
        let made = Command::new("mkfifo").arg(&to).arg(&from).status();
        assert!(made.unwrap().success());
        let script = "exec \"$1\" --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run \
             --disable-extensions --hide-scrollbars --disable-background-networking --remote-debugging-pipe \
             --user-data-dir=\"$4\" about:blank 3<\"$2\" 4>\"$3\"";
        let child = Command::new("sh")
            .args(["-c", script, "sh", program])
            .args([&to, &from, &dir.path().join("profile")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // In the order in which the shell opens them: each waits for the other end.
        let to = File::options().write(true).open(to).unwrap();
        let from = BufReader::new(File::open(from).unwrap());
        let browser = Browser {
            child,
            to: RefCell::new(to),
            from: RefCell::new(from),
            session: RefCell::default(),
            last: Cell::new(0),
            _dir: dir,
        };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }));
        let id = &target["targetId"];
        let attached = browser.call(
            "Target.attachToTarget",
            json!({ "targetId": id, "flatten": true }),
        );
        browser
            .session
            .replace(attached["sessionId"].as_str().unwrap().to_owned());
        for domain in ["Page.enable", "Runtime.enable"] {
            browser.call(domain, json!({}));
        }
        browser.size(1440, 900);
        Some(browser)
    }

    /// Sends a command and waits for its answer; what happens meanwhile is passed over.
    fn send(&self, method: &str, params: Value) -> Result<Value, String> {
        let id = self.last.get() + 1;
        self.last.set(id);
        let mut message = json!({ "id": id, "method": method, "params": params });
        let session = self.session.borrow();
        if !session.is_empty() {
            message["sessionId"] = json!(*session);
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.to.borrow_mut().write_all(&bytes).unwrap();
        loop {
            let mut bytes = Vec::new();
            let n = self.from.borrow_mut().read_until(0, &mut bytes).unwrap();
            assert!(n > 0, "the browser has gone");
            bytes.pop();
            let answer: Value = serde_json::from_slice(&bytes).unwrap();
            if answer["id"] == id {
                return match answer.get("error") {
                    Some(error) => Err(error.to_string()),
                    None => Ok(answer["result"].clone()),
                };
            }
        }
    }

    fn call(&self, method: &str, params: Value) -> Value {
        self.send(method, params)
            .unwrap_or_else(|e| panic!("{method}: {e}"))
    }

    /// Opens an address and waits until it is there.
    pub fn open(&self, url: &str) {
        self.call("Page.navigate", json!({ "url": url }));
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'");
    }

    /// What an expression gives.
    pub fn eval(&self, expression: &str) -> Value {
        self.try_eval(expression)
            .unwrap_or_else(|e| panic!("{expression}: {e}"))
    }

    fn try_eval(&self, expression: &str) -> Result<Value, String> {
        let params =
            json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let answer = self.send("Runtime.evaluate", params)?;
        match answer.get("exceptionDetails") {
            Some(e) => Err(e.to_string()),
            None => Ok(answer["result"]["value"].clone()),
        }
    }

    /// Waits until an expression is true, across pages.
    pub fn until(&self, condition: &str) {
        let begun = Instant::now();
        // The page itself waits between two looks; a page that goes away while it waits is asked anew.
        let look = format!(
            "new Promise(r => requestAnimationFrame(() => r(Boolean({condition})))).catch(() => false)"
        );
        loop {
            if self.try_eval(&look).is_ok_and(|v| v == true) {
                return;
            }
            if begun.elapsed() > PATIENCE {
                let shown = self.try_eval("location.href + '\\n' + document.body.innerText");
                panic!("`{condition}` did not come about: {shown:?}");
            }
        }
    }

    /// Clicks, where there is something to click on.
    pub fn click(&self, selector: &str) {
        let click = format!("document.querySelector({selector:?}).click()");
        // A page that is going away has nothing to click on.
        let _ = self.try_eval(&click);
    }

    /// What the page shows now; nothing while it goes away.
    pub fn glance(&self) -> String {
        let shown = self.try_eval("document.body.innerText").ok();
        shown
            .and_then(|t| t.as_str().map(str::to_owned))
            .unwrap_or_default()
    }

    /// Waits until the page shows a text; the page itself runs nothing for it.
    pub fn shows(&self, text: &str) {
        let begun = Instant::now();
        loop {
            let shown = self.glance();
            if shown.contains(text) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "`{text}` is not shown: {shown}");
        }
    }

    /// Waits until the page takes keys that decide.
    pub fn awake(&self) {
        self.until("'awake' in document.body.dataset");
    }

    /// The text of the page.
    pub fn text(&self) -> String {
        self.eval("document.body.innerText")
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// Presses a key by name.
    pub fn key(&self, key: &str) {
        self.keys(key, 0);
    }

    /// Presses Ctrl with Enter.
    pub fn ctrl_enter(&self) {
        self.keys("Enter", 2);
    }

    fn keys(&self, key: &str, modifiers: u8) {
        let text = match key {
            "Enter" => "\r",
            one if one.chars().count() == 1 => one,
            _ => "",
        };
        let code = match key {
            "Enter" => 13,
            "Tab" => 9,
            "Escape" => 27,
            other => u32::from(other.to_ascii_uppercase().as_bytes()[0]),
        };
        let kind = if text.is_empty() {
            "rawKeyDown"
        } else {
            "keyDown"
        };
        let mut down = json!({ "type": kind, "key": key, "windowsVirtualKeyCode": code, "modifiers": modifiers });
        if !text.is_empty() {
            down["text"] = json!(text);
        }
        self.call("Input.dispatchKeyEvent", down);
        let up = json!({ "type": "keyUp", "key": key, "windowsVirtualKeyCode": code, "modifiers": modifiers });
        self.call("Input.dispatchKeyEvent", up);
    }

    /// Types text where the focus is.
    pub fn type_text(&self, text: &str) {
        self.call("Input.insertText", json!({ "text": text }));
    }

    /// Puts the focus somewhere and types.
    pub fn fill(&self, selector: &str, text: &str) {
        let focus = format!("document.querySelector({selector:?}).focus()");
        self.eval(&focus);
        self.type_text(text);
    }

    /// The size of the window.
    pub fn size(&self, width: u32, height: u32) {
        let mobile = width < 640;
        let metrics =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile });
        self.call("Emulation.setDeviceMetricsOverride", metrics);
    }

    /// Light or dark.
    pub fn scheme(&self, scheme: &str) {
        let features = json!([
            { "name": "prefers-color-scheme", "value": scheme },
            { "name": "prefers-reduced-motion", "value": "reduce" }
        ]);
        self.call(
            "Emulation.setEmulatedMedia",
            json!({ "features": features }),
        );
    }

    /// A picture of the whole page, up to a height.
    pub fn picture(&self, path: &Path, tallest: u64) {
        let tall = self.eval("document.documentElement.scrollHeight");
        let wide = self.eval("innerWidth");
        let height = tall.as_u64().unwrap_or(900).clamp(300, tallest);
        let params = json!({
            "format": "png",
            "captureBeyondViewport": true,
            "clip": { "x": 0, "y": 0, "width": wide, "height": height, "scale": 1 }
        });
        let shot = self.call("Page.captureScreenshot", params);
        let data = shot["data"].as_str().unwrap();
        let bytes = base64::engine::general_purpose::STANDARD.decode(data);
        std::fs::write(path, bytes.unwrap()).unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have gone by itself; then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
