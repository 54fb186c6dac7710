//! How many lines a second a listener takes on one core: `throughput [SECONDS [ADDRESS]]`.
//!
//! Bodies of 5,000 lines go over one TCP connection to a listener in a thread of its own, which counts and drops
//! the points. What is said is lines a second of that thread's CPU time, and of the clock. With
//! an address, the same goes to what listens there (`/write`), for comparison.

use std::{
    error::Error,
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;
use undertone_collectors::listener::{Listener, ListenerConfig, Token};

const LINES_A_BODY: u64 = 5_000;
const TOKEN: &str = "not-a-secret-at-all";

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let seconds = arguments.next().map_or(Ok(5), |seconds| seconds.parse())?;
    let elsewhere: Option<SocketAddr> = arguments.next().map(|a| a.parse()).transpose()?;
    for (name, line) in [
        ("1 tag, 1 field", "weather,location=us-midwest temperature=82.5"),
        (
            "2 tags, 3 fields",
            "net,host=web1,interface=eth0 bytes_sent=18446744i,bytes_recv=44073709i,drop_in=0i",
        ),
        (
            "2 tags, 10 fields",
            "cpu,cpu=cpu-total,host=web1 usage_guest=0,usage_guest_nice=0,usage_idle=95.23809523809524,\
             usage_iowait=0.12531328320802004,usage_irq=0,usage_nice=0,usage_softirq=0.25062656641604,\
             usage_steal=0,usage_system=1.3784461152882206,usage_user=3.007518796992481",
        ),
    ] {
        let duration = Duration::from_secs(seconds);
        match elsewhere {
            Some(address) => {
                let (lines, clock) = send(address, line, duration)?;
                println!("{name}: {:.2} M lines/s", rate(lines, clock));
            }
            None => own(name, line, duration)?,
        }
    }
    Ok(())
}

fn own(name: &str, line: &str, duration: Duration) -> Result<(), Box<dyn Error>> {
    let received = Arc::new(AtomicU64::new(0));
    let (bound, address) = mpsc::channel();
    let (stop, stopped) = oneshot::channel::<()>();
    let count = Arc::clone(&received);
    let server = thread::spawn(move || -> Result<Duration, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(|error| error.to_string())?.block_on(async {
            let listener = Listener::bind(ListenerConfig {
                tcp: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
                token: Some(Token::new(TOKEN).map_err(|error| error.to_string())?),
                ..ListenerConfig::default()
            })
            .map_err(|error| error.to_string())?;
            bound.send(listener.address()).map_err(|error| error.to_string())?;
            let accept = move |points: Vec<_>| {
                count.fetch_add(points.len() as u64, Relaxed);
                Ok(())
            };
            listener.serve(accept, async { drop(stopped.await) }).await;
            cpu_time().ok_or_else(|| "no /proc/thread-self/schedstat".to_owned())
        })
    });
    let (lines, clock) = send(address.recv()?.ok_or("no address")?, line, duration)?;
    let _ = stop.send(());
    let cpu = server.join().map_err(|_| "the listener panicked")??;
    assert_eq!(received.load(Relaxed), lines, "every line is handed over");
    println!(
        "{name}: {:.2} M lines/s of CPU time, {:.2} M lines/s by the clock",
        rate(lines, cpu),
        rate(lines, clock)
    );
    Ok(())
}

/// Writes bodies one after another, each after the answer to the one before.
fn send(
    address: SocketAddr,
    line: &str,
    duration: Duration,
) -> Result<(u64, Duration), Box<dyn Error>> {
    let body: String =
        (0..LINES_A_BODY).map(|n| format!("{line} {}\n", 1_700_000_000_000_000_000 + n)).collect();
    let request = format!(
        "POST /write?db=test HTTP/1.1\r\nHost: {address}\r\nAuthorization: Token {TOKEN}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let stream = TcpStream::connect(address)?;
    let mut answers = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    let begun = Instant::now();
    let mut lines = 0;
    while begun.elapsed() < duration {
        stream.write_all(request.as_bytes())?;
        lines += LINES_A_BODY;
        let mut status = String::new();
        answers.read_line(&mut status)?;
        if !status.contains(" 204 ") {
            answers.read_to_string(&mut status)?;
            return Err(status.into());
        }
        let mut header = String::new();
        while answers.read_line(&mut header)? > 2 {
            header.clear();
        }
    }
    Ok((lines, begun.elapsed()))
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn rate(lines: u64, time: Duration) -> f64 {
    lines as f64 / time.as_secs_f64() / 1e6
}

/// What this thread has used.
fn cpu_time() -> Option<Duration> {
    let text = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(text.split_whitespace().next()?.parse().ok()?))
}
