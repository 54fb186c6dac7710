//! A web page that somebody opens on the machine can reach the listener's port, and gets nothing into it, even
//! where it knows the token.
//!
//! A failure: a point that any page has written, however; a way that the browser didn't take to the port, since
//! it would show nothing. Not a failure: that the browser itself keeps a request back.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use undertone_tests::{
    browser::Browser, http, ports, process::Signal, proxy::Proxy, tor_network::TorNetwork, wait,
};

use super::{
    machine::{Machine, schema},
    now,
};
use crate::{fixtures::ARRIVAL, page::elsewhere};

const TOKEN: &str = "0123456789-token-0123456789";
/// A name that leads to this machine, in the browser.
const NAME: &str = "elsewhere.example";
/// How long the browser may take to tell what was answered.
const ANSWERS: Duration = Duration::from_secs(60);
/// What each way gets back, as far as the page may see it.
const WAYS: [(&str, &[&str]); 11] = [
    ("fetch", &["TypeError"]),
    ("fetch with a token", &["TypeError"]),
    ("fetch without looking", &["TypeError", "opaque 0"]),
    ("fetch kept alive", &["TypeError", "opaque 0"]),
    ("fetch by a worker", &["TypeError", "opaque 0"]),
    ("XMLHttpRequest", &["error"]),
    ("form", &["loaded"]),
    ("form of a file", &["loaded"]),
    ("sandboxed frame", &["TypeError", "opaque 0"]),
    ("WebSocket", &["error"]),
    ("beacon", &["true"]),
];
/// Of these the browser tells what was answered; frames and workers may have a process of their own.
const SEEN: [&str; 5] =
    ["fetch", "fetch without looking", "fetch kept alive", "XMLHttpRequest", "beacon"];

#[test]
fn a_web_page_writes_nothing_even_with_the_token() -> Result<()> {
    let tor = TorNetwork::shared()?;
    let arti = tor.arti_toml()?;
    let mut proxy = Proxy::on(&arti)?.start(&[&schema()?])?;
    let mut machine = Machine::new(&arti, proxy.ingest())?;
    let port = ports::free()?;
    machine.put("listener-token", TOKEN)?;
    machine.configure(&format!(
        "host.collect = []\n[[listener]]\ntcp = \"127.0.0.1:{port}\"\ntoken_file = \"listener-token\"\n"
    ))?;
    machine.start()?;
    machine.wait_for(&format!("listening on http://127.0.0.1:{port}"))?;

    let mut browser = Browser::start()?;
    let other = elsewhere()?;
    for (page, target) in [
        (format!("http://127.0.0.1:{other}/"), format!("http://127.0.0.1:{port}/")),
        (format!("http://localhost:{other}/"), format!("http://localhost:{port}/")),
        (format!("http://{NAME}:{other}/"), format!("http://127.0.0.1:{port}/")),
        // Its name was made to lead here, so that the port is its own origin.
        (format!("http://{NAME}:{port}/"), format!("http://{NAME}:{port}/")),
    ] {
        let got = attack(&mut browser, &page, &target);
        let got = got.with_context(|| format!("{page} writes to {target}"))?;
        let own = page == target;
        for (way, results) in WAYS {
            let result = got[way].as_str().unwrap_or_default();
            // A page may see what its own origin answers.
            let expected = results.contains(&result) || own && result.ends_with(" 403");
            ensure!(expected, "{way} from {page} to {target}: {result:?} of {got}");
        }
    }

    // Whatever was taken from a page before would be there before this.
    let body = line("control", now()?);
    let written = http::request(port, "POST", &write_path("control"), &[], body.as_bytes())?;
    ensure!(written.status == 204, "the same bytes from a program: {written:?}");
    let found = wait::until("what a program wrote", ARRIVAL, || {
        let found = proxy.sqlite3("SELECT DISTINCT tags ->> 'by' FROM point ORDER BY 1")?.concat();
        Ok(found.iter().any(|by| by == "control").then_some(found))
    })?;
    assert_eq!(found, ["control"], "a page wrote");
    machine.stop(Signal::INT)?;
    assert_eq!(proxy.metric("undertone_points_admitted_total")?, 1, "a page wrote");
    proxy.stop()
}

/// Opens the page, has it try everything, and waits until the port has answered.
fn attack(browser: &mut Browser, page: &str, target: &str) -> Result<Value> {
    browser.open(page)?;
    browser.answered();
    let arguments = json!([target, TOKEN, now()?.to_string()]);
    let got = browser.evaluate(&format!("({ATTACK})(...{arguments})"))?;
    let mut refused = BTreeSet::new();
    wait::until("the port's answers", ANSWERS, || {
        // Anything that makes the browser tell what happened meanwhile.
        browser.evaluate("0")?;
        for answered in browser.answered() {
            let Some((_, way)) = answered.url.split_once("&by=") else { continue };
            ensure!(answered.url.starts_with(target) && answered.status == 403, "{answered:?}");
            refused.insert(way.replace("%20", " "));
        }
        Ok(SEEN.iter().all(|way| refused.contains(*way)).then_some(()))
    })
    .with_context(|| format!("only {refused:?} of {got}"))?;
    Ok(got)
}

/// What a page writes, for a program.
fn line(by: &str, time: i64) -> String {
    format!("page,by={by} value=1 {time}\n")
}

/// Where a page writes to, for a program.
fn write_path(by: &str) -> String {
    format!("/write?p={TOKEN}&by={by}")
}

/// Everything that a page can try. Versions 1 and 2 take the token at different places; a file in a form, unlike
/// its other fields, has the line breaks that it should have.
const ATTACK: &str = r#"async (target, token, time) => {
    const line = by => `page,by=${by.replaceAll(' ', '\\ ')} value=1 ${time}\n`;
    const write = by => `${target}write?p=${token}&by=${encodeURIComponent(by)}`;
    const seen = promise => promise.then(r => `${r.type} ${r.status}`, error => error.name);
    const post = (by, options) => seen(fetch(write(by), { method: 'POST', body: line(by), ...options }));
    const frame = () => {
        const frame = document.createElement('iframe');
        frame.name = `frame${document.querySelectorAll('iframe').length}`;
        return document.body.appendChild(frame);
    };
    const submitted = (by, enctype, field) => new Promise(done => {
        const into = frame();
        const form = document.createElement('form');
        Object.assign(form, { method: 'post', action: write(by), enctype, target: into.name });
        form.append(field(line(by)));
        document.body.append(form);
        into.onload = () => done('loaded');
        form.submit();
    });
    const got = {};
    got['fetch'] = await post('fetch');
    got['fetch with a token'] = await seen(fetch(`${target}api/v2/write`, {
        method: 'POST', body: line('fetch with a token'), headers: { Authorization: `Token ${token}` },
    }));
    got['fetch without looking'] = await post('fetch without looking', { mode: 'no-cors' });
    got['fetch kept alive'] = await post('fetch kept alive', { mode: 'no-cors', keepalive: true });
    got['XMLHttpRequest'] = await new Promise(done => {
        const request = new XMLHttpRequest();
        request.open('POST', write('XMLHttpRequest'));
        request.onload = () => done(`basic ${request.status}`);
        request.onerror = () => done('error');
        request.send(line('XMLHttpRequest'));
    });
    got['form'] = await submitted('form', 'text/plain', line => {
        const field = document.createElement('textarea');
        [field.name, field.value] = [line, line];
        return field;
    });
    got['form of a file'] = await submitted('form of a file', 'multipart/form-data', line => {
        const files = new DataTransfer();
        files.items.add(new File([`\n${line}`], 'file'));
        const field = document.createElement('input');
        Object.assign(field, { type: 'file', name: 'file', files: files.files });
        return field;
    });
    const without = by =>
        `fetch(${JSON.stringify(write(by))}, { method: 'POST', mode: 'no-cors', body: ${JSON.stringify(line(by))} })
         .then(r => r.type + ' ' + r.status, error => error.name)`;
    got['fetch by a worker'] = await new Promise(done => {
        const script = new Blob([`${without('fetch by a worker')}.then(got => postMessage(got))`]);
        new Worker(URL.createObjectURL(script)).onmessage = message => done(message.data);
    });
    got['sandboxed frame'] = await new Promise(done => {
        onmessage = message => done(message.data);
        const script = `${without('sandboxed frame')}.then(got => parent.postMessage(got, '*'))`;
        const sandbox = document.createElement('iframe');
        sandbox.setAttribute('sandbox', 'allow-scripts');
        sandbox.srcdoc = `<script>${script}</` + 'script>';
        document.body.append(sandbox);
    });
    got['WebSocket'] = await new Promise(done => {
        const socket = new WebSocket(write('WebSocket').replace('http', 'ws'));
        socket.onopen = () => { socket.send(line('WebSocket')); done('open'); };
        socket.onerror = () => done('error');
    });
    got['beacon'] = `${navigator.sendBeacon(write('beacon'), line('beacon'))}`;
    return got;
}"#;
