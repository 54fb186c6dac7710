//! The operator page in a real browser, while three file servers report through Tor.
//!
//! A failure: a session without its line or a line too many, a number that isn't the database's, a
//! page that must be loaded again to show what is new, or anything that a page of somebody else gets
//! out of it. Not a failure: how long a number takes, or which colour a session has.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    thread,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use undertone_tests::{
    browser::{Answered, Browser},
    file_server::FileServer,
    http::{self, Response},
    proxy::Proxy,
    tor_network::TorNetwork,
    wait,
};

use crate::fixtures::{ARRIVAL, Load, file_servers};

const COUNTER: &str = "fileserver.connections.count";

#[test]
fn an_operator_sees_what_is_stored_and_nobody_else_does() -> Result<()> {
    let tor = TorNetwork::shared()?;
    let mut proxy = Proxy::on(&tor.arti_toml()?)?.start(&[&FileServer::schema()?])?;
    let servers = file_servers(3, tor, &proxy)?;
    let mut load = Load::default();
    load.until("all three sessions in the store", &servers, || {
        let sessions = proxy.sqlite3("SELECT DISTINCT session FROM point")?;
        Ok((sessions.len() == 3).then_some(()))
    })?;

    let mut browser = Browser::start()?;
    browser.open(&proxy.page_url()?)?;
    let place = browser.evaluate("location.pathname + location.search + document.cookie")?;
    ensure!(place == "/", "the token stays out of the address and of the script's reach: {place}");
    let styled = browser.evaluate("getComputedStyle(document.querySelector('.tiles')).display")?;
    assert_eq!(styled, "grid", "the policy lets our own style sheet in");
    every_measurement_is_charted(&proxy, &mut browser)?;

    // Whole numbers, as they are: a total has no intervals to be read between.
    browser.open(&format!("{}?range=1h&{COUNTER}=count", home(&proxy)?))?;
    browser.evaluate("window.notLoadedAgain = true")?;
    load.times(10, &servers)?;
    shows_what_is_stored(&proxy, &mut browser, &load)?;
    load.times(10, &servers)?;
    shows_what_is_stored(&proxy, &mut browser, &load)?;
    assert_eq!(browser.evaluate("window.notLoadedAgain")?, true);

    for host in ["127.0.0.1", "localhost"] {
        a_page_from_elsewhere_gets_nothing(host, &proxy, &mut browser)?;
    }
    browser.open(&home(&proxy)?)?;
    let own = browser.evaluate("document.querySelectorAll('svg').length")?;
    assert_ne!(own, 0, "the operator's own way in is still open");
    servers.into_iter().try_for_each(FileServer::stop)?;
    proxy.stop()
}

#[test]
fn without_the_token_every_request_gets_one_answer() -> Result<()> {
    let tor = TorNetwork::shared()?;
    let mut proxy = Proxy::on(&tor.arti_toml()?)?.start(&[])?;
    let url = proxy.page_url()?;
    let (home, token) = url.split_once("?token=").context("a token in the address")?;
    let port = home.trim_end_matches('/').rsplit(':').next().context("a port")?.parse()?;

    let welcome = http::request(port, "GET", &format!("/?token={token}"), &[], b"")?;
    let header = |name: &str| {
        let line = welcome.head.lines().find_map(|line| line.strip_prefix(name));
        line.with_context(|| format!("no {name} in {}", welcome.head))
    };
    assert_eq!((welcome.status, header("location: ")?), (303, "/"));
    let (cookie, attributes) = header("set-cookie: ")?.split_once("; ").context("attributes")?;
    assert_eq!(attributes, "HttpOnly; SameSite=Strict; Path=/");
    let cookie = ("Cookie", cookie);

    let page = http::request(port, "GET", "/", &[cookie], b"")?;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("Nothing was reported"), "{}", page.body);
    assert!(page.body.contains(proxy.ingest()) && !page.body.contains(token));
    let refusal = http::request(port, "GET", "/", &[], b"")?;
    for (method, path, headers, status) in [
        ("GET", "/fragment", &[cookie][..], 200),
        ("GET", "/page.css", &[cookie], 200),
        ("GET", "/page.js", &[cookie, ("Sec-Fetch-Site", "same-origin")], 200),
        ("HEAD", "/", &[cookie], 200),
        ("GET", "/nothing", &[cookie], 404),
        ("GET", "/nothing", &[], 403),
        ("GET", "/page.js", &[], 403),
        ("GET", "/?token=0", &[], 403),
        ("POST", "/", &[cookie], 403),
        ("GET", "/", &[cookie, ("Host", "evil.example")], 403),
        ("GET", "/", &[cookie, ("Origin", "http://evil.example")], 403),
        ("GET", "/", &[cookie, ("Sec-Fetch-Site", "same-site")], 403),
    ] {
        let answer = http::request(port, method, path, headers, b"")?;
        assert_eq!(answer.status, status, "{method} {path} {headers:?}");
        if status == 403 {
            assert_eq!(undated(&answer), undated(&refusal), "{method} {path} {headers:?}");
        }
        for expected in [
            "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self';",
            "x-frame-options: DENY",
            "referrer-policy: same-origin",
            "x-content-type-options: nosniff",
            "cache-control: no-store",
        ] {
            assert!(answer.head.contains(expected), "{method} {path}: {}", answer.head);
        }
    }
    // What monitoring asks for stays as it is.
    assert_eq!(proxy.local("/metrics")?.status, 200);
    assert!(proxy.local("/health")?.body.contains("onion service: "));
    proxy.stop()
}

fn every_measurement_is_charted(proxy: &Proxy, browser: &mut Browser) -> Result<()> {
    let charted = browser.evaluate(
        "[...new Set([...document.querySelectorAll('figure')].map(f => f.dataset.measurement))].sort()",
    )?;
    let stored: Vec<String> = proxy.sqlite3("SELECT name FROM measurement ORDER BY name")?.concat();
    assert_eq!(charted, Value::from(stored));
    let lines = browser.evaluate(&format!("({IN_CHART}).map(chart => chart.lines)"))?;
    assert_eq!(lines, Value::from(vec![3]), "one chart of the counter, a line for each session");
    Ok(())
}

/// Waits until the labels at the lines' ends are what was asked for, which `sqlite3` must confirm.
fn shows_what_is_stored(proxy: &Proxy, browser: &mut Browser, load: &Load) -> Result<()> {
    let expected: BTreeMap<String, String> = load
        .connections
        .iter()
        .map(|(session, connections)| (session.clone(), connections.to_string()))
        .collect();
    let mut shown = BTreeMap::new();
    wait::until("the page to show what was counted", ARRIVAL, || {
        let charts = browser.evaluate(IN_CHART)?;
        shown = serde_json::from_value(charts[0]["last"].clone()).unwrap_or_default();
        Ok((shown == expected).then_some(()))
    })
    .with_context(|| format!("expected {expected:?}, the page has {shown:?}"))?;
    let rows = proxy.sqlite3(&format!(
        "SELECT session, value, max(time) FROM point WHERE measurement = '{COUNTER}' AND field = 'count' \
         GROUP BY session"
    ))?;
    let stored = rows.into_iter().map(|row| (row[0].clone(), row[1].clone())).collect();
    assert_eq!(shown, stored, "left: the page, right: sqlite3");
    Ok(())
}

/// The charts of the counter: how many lines, and the label at each line's end by session.
const IN_CHART: &str = "(() => {
    const colours = {};
    for (const row of document.querySelectorAll('.sessions tbody tr'))
        colours[row.querySelector('i').className] = row.querySelector('code').textContent;
    const charts = document.querySelectorAll('figure[data-measurement=\"fileserver.connections.count\"]');
    return [...charts].map(chart => ({
        lines: chart.querySelectorAll('path').length,
        last: Object.fromEntries([...chart.querySelectorAll('.last')].map(
            text => [colours[text.getAttribute('class').split(' ')[1]], text.textContent])),
    }));
})()";

/// Everything that a page of another server on this machine can try, in the browser that has the cookie.
fn a_page_from_elsewhere_gets_nothing(
    host: &str,
    proxy: &Proxy,
    browser: &mut Browser,
) -> Result<()> {
    browser.open(&format!("http://{host}:{}/", elsewhere()?))?;
    browser.answered();
    let got = browser.evaluate(&format!("({ATTACK})({})", Value::from(home(proxy)?)))?;
    assert_eq!(
        got,
        serde_json::json!({
            "fetched": "TypeError",
            "fetched the fragment": "TypeError",
            "posted with a header": "TypeError",
            "fetched without looking": "TypeError",
            "posted without looking": "TypeError",
            "image": "error",
            "script": "error",
            "frame": "SecurityError",
            "form": "SecurityError",
        }),
        "from {host}"
    );
    let home = home(proxy)?;
    let ours = |answered: &Answered| answered.url.starts_with(&home);
    let answers: Vec<Answered> = browser.answered().into_iter().filter(ours).collect();
    // A browser may keep a request back; frames and forms of another site have a process of their own.
    ensure!(answers.len() >= 7, "few requests were seen: {answers:?}");
    assert!(answers.iter().all(|answer| answer.status == 403), "from {host}: {answers:?}");
    Ok(())
}

const ATTACK: &str = "async (home) => {
    const tried = async promise => promise.then(r => `${r.type} ${r.status}`, error => error.name);
    const loaded = (kind, source) => new Promise(done => {
        const element = document.createElement(kind);
        element.onload = () => done('load');
        element.onerror = () => done('error');
        element.src = source;
        document.body.append(element);
    });
    const frame = document.createElement('iframe');
    frame.name = 'frame';
    document.body.append(frame);
    const content = () => {
        try { return frame.contentWindow.document.body.innerText; } catch (error) { return error.name; }
    };
    const inFrame = begin => new Promise(done => {
        frame.onload = () => done(content());
        begin();
    });
    const got = {
        'fetched': await tried(fetch(home, { credentials: 'include' })),
        'fetched the fragment': await tried(fetch(home + 'fragment', { credentials: 'include' })),
        'posted with a header': await tried(
            fetch(home, { method: 'POST', credentials: 'include', headers: { 'x-a': 'b' }, body: 'c' })),
        'fetched without looking': await tried(fetch(home, { mode: 'no-cors', credentials: 'include' })),
        'posted without looking': await tried(
            fetch(home, { method: 'POST', mode: 'no-cors', credentials: 'include', body: 'c' })),
        'image': await loaded('img', home),
        'script': await loaded('script', home + 'page.js'),
        'frame': await inFrame(() => { frame.src = home; }),
        'form': await inFrame(() => {
            const form = document.createElement('form');
            Object.assign(form, { method: 'post', action: home, target: 'frame' });
            document.body.append(form);
            form.submit();
        }),
    };
    return got;
}";

/// An answer without the line that says when it was given.
fn undated(answer: &Response) -> (u16, Vec<&str>, &str) {
    let lines = answer.head.lines().filter(|line| !line.starts_with("date: "));
    (answer.status, lines.collect(), &answer.body)
}

/// The page's address without the token.
fn home(proxy: &Proxy) -> Result<String> {
    let url = proxy.page_url()?;
    Ok(url.split('?').next().unwrap_or_default().to_owned())
}

/// A web server of somebody else, on this machine, with one empty page; its port. It answers as long
/// as this process lives.
pub(crate) fn elsewhere() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        // A browser opens connections beforehand, which say nothing and must hold up no other.
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut lines = BufReader::new(&stream).lines();
                while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
                let _ = (&stream).write_all(
                    b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n<!doctype html><body>elsewhere",
                );
            });
        }
    });
    Ok(port)
}
