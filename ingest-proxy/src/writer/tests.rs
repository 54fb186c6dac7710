use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::SystemTime;

use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::*;
use crate::queue::{Admission, QueueLimits};
use crate::sink::SinkFuture;

/// What a sink does with one call.
enum Act {
    Take,
    Fail(SinkErrorKind),
    Hang,
}

/// A sink that follows a script, then takes everything.
#[derive(Default)]
struct Scripted {
    acts: Mutex<VecDeque<Act>>,
    calls: Mutex<Vec<(Instant, Vec<i64>)>>,
}

impl Scripted {
    fn new(acts: impl IntoIterator<Item = Act>) -> Arc<Self> {
        Arc::new(Self { acts: Mutex::new(acts.into_iter().collect()), calls: Mutex::default() })
    }

    fn calls(&self) -> Vec<Vec<i64>> {
        self.calls.lock().unwrap().iter().map(|(_, times)| times.clone()).collect()
    }

    fn pauses(&self) -> Vec<Duration> {
        let calls = self.calls.lock().unwrap();
        calls.windows(2).map(|pair| pair[1].0 - pair[0].0).collect()
    }
}

impl Sink for Scripted {
    fn write<'a>(&'a self, points: &'a [Point]) -> SinkFuture<'a> {
        let times = points.iter().filter_map(|point| point.timestamp).collect();
        self.calls.lock().unwrap().push((Instant::now(), times));
        let act = self.acts.lock().unwrap().pop_front();
        Box::pin(async move {
            match act {
                None | Some(Act::Take) => Ok(()),
                Some(Act::Fail(kind)) => Err(SinkError::new(kind, "scripted")),
                Some(Act::Hang) => std::future::pending().await,
            }
        })
    }
}

struct Scene {
    queue: Queue,
    stop: watch::Sender<bool>,
    _folder: TempDir,
}

impl Scene {
    async fn new(sinks: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let queue = Queue::open(folder.path(), QueueLimits::default()).unwrap();
        queue.register_sinks(sinks).await.unwrap();
        Self { queue, stop: watch::Sender::new(false), _folder: folder }
    }

    async fn admit(&self, number: u8) {
        let point = |n: i64| Point::new("m").field("n", n).at(i64::from(number) * 10 + n);
        let parcel = Admission {
            parcel_id: [number; 16],
            points: vec![point(0), point(1)],
            ..Admission::default()
        };
        self.queue.admit(parcel).await.unwrap();
    }

    fn write(
        &self,
        name: &str,
        sink: &Arc<Scripted>,
        limits: WriterLimits,
    ) -> (watch::Receiver<SinkState>, JoinHandle<()>) {
        let sink: Arc<dyn Sink> = sink.clone();
        let writer = Writer::new(name, sink, self.queue.clone(), limits);
        let state = writer.state();
        (state, tokio::spawn(writer.run(self.stop.subscribe())))
    }

    async fn stop(&self, task: JoinHandle<()>) {
        self.stop.send_replace(true);
        task.await.unwrap();
    }
}

async fn written(state: &mut watch::Receiver<SinkState>, points: u64) -> SinkState {
    state
        .wait_for(|state| {
            state.written_points + state.refused_points == points && state.lag_parcels == 0
        })
        .await
        .unwrap()
        .clone()
}

fn retry() -> Act {
    Act::Fail(SinkErrorKind::RetryAfter(None))
}

#[tokio::test(start_paused = true)]
async fn oldest_first_merged_and_new_ones_as_they_come() {
    let scene = Scene::new(&["a"]).await;
    scene.admit(1).await;
    scene.admit(2).await;
    let sink = Scripted::new([]);
    let (mut state, task) = scene.write("a", &sink, WriterLimits::default());
    written(&mut state, 4).await;
    scene.admit(3).await;
    let after = written(&mut state, 6).await;
    assert_eq!(sink.calls(), [vec![10, 11, 20, 21], vec![30, 31]]);
    assert_eq!((after.name.as_str(), after.ok, after.last_error), ("a", true, None));
    scene.stop(task).await;
    assert_eq!(scene.queue.stats().waiting_parcels, 0);
}

#[tokio::test(start_paused = true)]
async fn d3_a_flaky_sink_gets_everything_in_order() {
    let scene = Scene::new(&["a"]).await;
    for number in 1..=3 {
        scene.admit(number).await;
    }
    let sink = Scripted::new([retry(), retry(), Act::Take, retry()]);
    let limits = WriterLimits { points: 2, ..WriterLimits::default() };
    let (mut state, task) = scene.write("a", &sink, limits);
    let after = written(&mut state, 6).await;
    assert_eq!(after.written_points, 6);
    let (one, two, three) = (vec![10, 11], vec![20, 21], vec![30, 31]);
    assert_eq!(sink.calls(), [one.clone(), one.clone(), one, two.clone(), two, three]);
    scene.stop(task).await;
}

#[tokio::test(start_paused = true)]
async fn pauses_double_up_to_a_minute_and_honour_what_the_sink_asks() {
    let scene = Scene::new(&["a"]).await;
    scene.admit(1).await;
    let ask = |seconds| Act::Fail(SinkErrorKind::RetryAfter(Some(Duration::from_secs(seconds))));
    let acts = (0..9).map(|_| retry()).chain([ask(300), ask(1_000_000)]);
    let sink = Scripted::new(acts);
    let (mut state, task) = scene.write("a", &sink, WriterLimits::default());
    written(&mut state, 2).await;
    let pauses: Vec<f64> = sink.pauses().iter().map(Duration::as_secs_f64).collect();
    let longest = [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0];
    for (pause, longest) in pauses.iter().zip(longest) {
        assert!((longest / 2.0..=longest + 0.01).contains(pause), "{pause} of {longest}");
    }
    assert!((300.0..=330.1).contains(&pauses[9]), "{}", pauses[9]);
    assert!((900.0..=930.1).contains(&pauses[10]), "{}", pauses[10]);
    scene.stop(task).await;
}

#[tokio::test(start_paused = true)]
async fn after_a_fatal_error_the_data_is_kept_and_the_state_says_why() {
    let scene = Scene::new(&["a"]).await;
    scene.admit(1).await;
    let sink = Scripted::new([Act::Fail(SinkErrorKind::Fatal)]);
    let (mut state, task) = scene.write("a", &sink, WriterLimits::default());
    let failing = state.wait_for(|state| !state.ok).await.unwrap().clone();
    assert_eq!(failing.last_error.as_deref(), Some("scripted"));
    assert_eq!(scene.queue.stats().waiting_parcels, 1);
    let healed = written(&mut state, 2).await;
    assert_eq!((healed.ok, healed.last_error), (true, None));
    assert!(sink.pauses()[0] >= Duration::from_secs(30));
    scene.stop(task).await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_line_is_quarantined_and_the_rest_goes_on() {
    let scene = Scene::new(&["a"]).await;
    scene.admit(1).await;
    let refused = |index, reason: &str| RefusedPoint { index, reason: reason.to_owned() };
    let kind = SinkErrorKind::LinesRefused(vec![
        refused(1, "type conflict"),
        refused(1, "again"),
        refused(77, "not there"),
    ]);
    let sink = Scripted::new([Act::Fail(kind)]);
    let (mut state, task) = scene.write("a", &sink, WriterLimits::default());
    let after = written(&mut state, 2).await;
    assert_eq!((after.written_points, after.refused_points, after.ok), (1, 1, true));
    let line = Quarantined {
        sink: "a".to_owned(),
        reason: "type conflict".to_owned(),
        line: "m n=1i 11".to_owned(),
    };
    assert_eq!(scene.queue.quarantined(9).await.unwrap(), [line]);
    assert_eq!(scene.queue.stats().waiting_parcels, 0);
    scene.stop(task).await;
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_is_down_does_not_hold_up_another() {
    let scene = Scene::new(&["up", "down"]).await;
    scene.admit(1).await;
    let (up, down) = (Scripted::new([]), Scripted::new((0..1000).map(|_| Act::Hang)));
    let (mut up_state, up_task) = scene.write("up", &up, WriterLimits::default());
    let (down_state, down_task) = scene.write("down", &down, WriterLimits::default());
    written(&mut up_state, 2).await;
    assert_eq!(down_state.borrow().written_points, 0);
    assert_eq!(scene.queue.stats().waiting_parcels, 1, "kept for the one that is down");
    scene.stop(up_task).await;
    down_task.await.unwrap();
}

#[tokio::test]
async fn a_sink_gets_its_namespaces_alone_and_is_not_behind_for_the_others() {
    let scene = Scene::new(&["all", "some", "none"]).await;
    for (number, namespace) in [(1, "a"), (2, "b"), (3, "a"), (4, "ab")] {
        let point = Point::new(format!("{namespace}.x.count")).field("n", 1.0).at(number.into());
        let points = vec![point];
        let parcel = Admission { parcel_id: [number; 16], points, ..Admission::default() };
        scene.queue.admit(parcel).await.unwrap();
    }
    let route = |namespaces: &[&str]| {
        let namespaces = namespaces.iter().map(|&namespace| namespace.to_owned()).collect();
        Route::new(Some(namespaces), crate::schemas::CurrentSchemas::default())
    };
    let mut tasks = Vec::new();
    for (name, route, taken) in [
        ("all", Route::default(), &[1, 2, 3, 4][..]),
        ("some", route(&["a"]), &[1, 3]),
        ("none", route(&["c"]), &[]),
    ] {
        let sink = Scripted::new([]);
        let shared: Arc<dyn Sink> = sink.clone();
        let writer = Writer::new(name, shared, scene.queue.clone(), WriterLimits::default());
        let mut state = writer.state();
        tasks.push(tokio::spawn(writer.with_route(route).run(scene.stop.subscribe())));
        let points = taken.len() as u64;
        let done =
            |state: &SinkState| (state.written_points, state.passed_points) == (points, 4 - points);
        state.wait_for(done).await.unwrap();
        assert_eq!(sink.calls().concat(), taken, "{name}");
    }
    for task in tasks {
        scene.stop(task).await;
    }
    assert_eq!(scene.queue.stats().waiting_parcels, 0, "nobody is behind");
}

#[tokio::test(start_paused = true)]
async fn after_a_write_that_took_too_long_fewer_points_are_tried() {
    let scene = Scene::new(&["a"]).await;
    for number in 1..=4 {
        scene.admit(number).await;
    }
    let sink = Scripted::new([Act::Hang, Act::Hang]);
    let limits = WriterLimits { points: 8, ..WriterLimits::default() };
    let (mut state, task) = scene.write("a", &sink, limits);
    written(&mut state, 8).await;
    let sizes: Vec<usize> = sink.calls().iter().map(Vec::len).collect();
    assert_eq!(sizes, [8, 4, 2, 4, 2]);
    scene.stop(task).await;
}

#[tokio::test(start_paused = true)]
async fn after_an_answer_that_did_not_come_in_time_fewer_points_are_tried() {
    let scene = Scene::new(&["a"]).await;
    for number in 1..=4 {
        scene.admit(number).await;
    }
    let late = || Act::Fail(SinkErrorKind::TookTooLong);
    let sink = Scripted::new([late(), late()]);
    let limits = WriterLimits { points: 8, ..WriterLimits::default() };
    let (mut state, task) = scene.write("a", &sink, limits);
    written(&mut state, 8).await;
    let sizes: Vec<usize> = sink.calls().iter().map(Vec::len).collect();
    assert_eq!(sizes, [8, 4, 2, 4, 2]);
    scene.stop(task).await;
}

#[tokio::test]
async fn what_waits_is_drained_at_the_end() {
    let scene = Scene::new(&["a"]).await;
    for number in 1..=20 {
        scene.admit(number).await;
    }
    let sink = Scripted::new([]);
    scene.stop.send_replace(true);
    let limits =
        WriterLimits { points: 2, drain: Duration::from_secs(60), ..WriterLimits::default() };
    let (state, task) = scene.write("a", &sink, limits);
    task.await.unwrap();
    assert_eq!(state.borrow().written_points, 40);
}

#[tokio::test(start_paused = true)]
async fn draining_has_a_bound_and_what_is_left_is_kept() {
    let scene = Scene::new(&["a"]).await;
    scene.admit(1).await;
    let sink = Scripted::new([Act::Hang]);
    let (_state, task) = scene.write("a", &sink, WriterLimits::default());
    let started = Instant::now();
    scene.stop(task).await;
    assert!(started.elapsed() < Duration::from_secs(6));
    assert_eq!(scene.queue.stats().waiting_parcels, 1);
}

/// A database that is down until a moment, and what it was given afterwards.
struct Down {
    until: Instant,
    asked: Mutex<usize>,
    given: Mutex<Vec<i64>>,
}

impl Sink for Down {
    fn write<'a>(&'a self, points: &'a [Point]) -> SinkFuture<'a> {
        Box::pin(async move {
            *self.asked.lock().unwrap() += 1;
            if Instant::now() < self.until {
                return Err(SinkError::new(SinkErrorKind::RetryAfter(None), "down"));
            }
            self.given.lock().unwrap().extend(points.iter().filter_map(|point| point.timestamp));
            Ok(())
        })
    }
}

#[tokio::test(start_paused = true)]
async fn d3_a_database_that_is_down_for_a_day_gets_everything_once_and_the_oldest_first() {
    const DAY: Duration = Duration::from_secs(24 * 3_600);
    const BETWEEN_PARCELS: Duration = Duration::from_secs(600);
    let folder = TempDir::new().unwrap();
    let (began, begun) = (SystemTime::now(), Instant::now());
    let wall = Arc::new(Mutex::new(began));
    let clock = Arc::clone(&wall);
    let limits = QueueLimits::default();
    let clock = Arc::new(move || *clock.lock().unwrap());
    let queue = Queue::open_with_clock(folder.path(), limits, clock).unwrap();
    queue.register_sinks(&["a"]).await.unwrap();
    let scene = Scene { queue, stop: watch::Sender::new(false), _folder: folder };
    let sink =
        Arc::new(Down { until: begun + DAY, asked: Mutex::default(), given: Mutex::default() });
    let writer = Writer::new("a", sink.clone(), scene.queue.clone(), WriterLimits::default());
    let mut state = writer.state();
    let task = tokio::spawn(writer.run(scene.stop.subscribe()));

    let parcels = u8::try_from(DAY.as_secs() / BETWEEN_PARCELS.as_secs()).unwrap();
    for number in 0..parcels {
        scene.admit(number).await;
        tokio::time::sleep(BETWEEN_PARCELS).await;
        *wall.lock().unwrap() = began + begun.elapsed();
    }
    let after = written(&mut state, 2 * u64::from(parcels)).await;
    assert_eq!((after.ok, after.refused_points), (true, 0));
    let all: Vec<i64> = (0..i64::from(parcels)).flat_map(|n| [n * 10, n * 10 + 1]).collect();
    assert_eq!(*sink.given.lock().unwrap(), all);
    // Half a minute apart at least, after the first few.
    let asked = *sink.asked.lock().unwrap();
    assert!((1..24 * 60 * 2 + 20).contains(&asked), "{asked} attempts");
    let stats = scene.queue.stats();
    assert_eq!(
        (stats.waiting_parcels, stats.dropped_old().parcels, stats.dropped_full().parcels),
        (0, 0, 0)
    );
    scene.stop(task).await;
}
