//! Fifty SIPp phones register with digest and hold calls to 600. Their media is this test's own:
//! an independent receiver that counts what is lost or late.

use nix::sys::time::TimeSpec;
use nix::time::{ClockId, ClockNanosleepFlags, clock_gettime, clock_nanosleep};
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::time::Duration;
use tipring_tests::process::{Folder, Process};
use tipring_tests::rtp::{Leg, Legs};
use tipring_tests::signal::{chirps, hearing};
use tipring_tests::sipp::{Scenario, Sipp};
use tipring_tests::system::{Setup, System, free_port};
use tipring_tests::wait;

const PHONES: usize = 50;
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

#[test]
fn hold_calls_to_600_without_a_lost_or_late_frame() {
    let hold = Duration::from_secs(if tipring_tests::soak() { 60 } else { 10 });
    let mut accounts = String::from("sip:\n  accounts:\n");
    for i in 0..PHONES {
        writeln!(accounts, "    - {{user: p{i}, password: \"pw-of-{i}\", algorithms: [md5]}}")
            .expect("in memory");
    }
    accounts += "numbers: {echo: \"600\"}\napi: {rate_limit_per_minute: 0}\n";
    let setup = Setup {
        apid_yaml: Some(accounts),
        engine_yaml: Some("rtp_lines: 64\n".into()),
        ..Setup::default()
    };
    let system = System::start(setup);
    let rest = system.rest();
    let sip = system.sip_address();

    let legs: Vec<Leg> =
        (0..PHONES).map(|i| Leg::new(HERE, chirps(100 + i as u64, 5000))).collect();
    let ports: Vec<u16> = legs.iter().map(Leg::port).collect();
    let legs = Legs::start(legs);
    let phones: Vec<Sipp> = (0..PHONES)
        .map(|i| {
            let (user, password) = (format!("p{i}"), format!("pw-of-{i}"));
            let keys = [("number", "600".to_owned()), ("rtp_port", ports[i].to_string())];
            Sipp::start(&Scenario {
                name: "hold_call",
                remote: &sip,
                host: HERE,
                port: free_port(HERE),
                user: &user,
                password: &password,
                keys: &keys,
                pause: hold,
                tcp: false,
            })
        })
        .collect();
    rest.calls_become(PHONES);
    let before = Counters::read(&rest);
    let bare = Bare::start();
    // The first call ends a second or two before the last one.
    wait::for_duration(hold.saturating_sub(Duration::from_secs(4)));
    let after = Counters::read(&rest);
    let stalls = bare.stop();
    for phone in phones {
        phone.succeeds(hold + Duration::from_mins(1));
    }
    rest.calls_become(0);
    let legs = legs.finish();

    let packets: usize = legs.iter().map(|l| l.packets.len()).sum();
    let lost: u64 = legs.iter().map(Leg::lost).sum();
    let expected = hold.as_millis() as usize / 20;
    let shortest = legs.iter().map(|l| l.packets.len()).min().unwrap_or_default();
    let mut deviations: Vec<f64> = legs.iter().flat_map(Leg::deviations_ms).collect();
    deviations.sort_by(f64::total_cmp);
    let at = |share: f64| deviations[(deviations.len() as f64 * share) as usize];
    println!(
        "{PHONES} calls, {packets} packets: {lost} lost; arrival against each stream's own grid: \
         p50 {:.2} ms, p99 {:.2} ms, worst {:.2} ms; engine {before:?} to {after:?}",
        at(0.5),
        at(0.99),
        at(0.999_99),
    );
    assert!(shortest + 25 >= expected, "a call got {shortest} of {expected} packets");
    assert_eq!(lost, 0, "packets lost on the way to the receiver");
    assert_eq!(after.lost, before.lost, "packets that the engine never got");
    // A stall of the machine makes late whatever is due in it: about seven of fifty frames at each
    // wake-up. Where a bare thread beside the engine was never late, no frame may be.
    let late = after.frames_late - before.frames_late;
    println!("frames late {late}; wake-ups late of a bare thread {stalls}");
    assert!(late <= stalls * 14, "frames that the engine sent late");
    for (i, leg) in legs.iter().enumerate().step_by(7) {
        let said: Vec<i16> = chirps(100 + i as u64, 5000).repeat(2);
        let hearing = hearing(&said, &leg.heard()[..8000 * 4]);
        assert!(hearing.as_ref().is_some_and(|h| h.is_convincing(20)), "phone {i}: {hearing:?}");
    }
}

/// The engine's clock without the engine: this very program as a process of its own, a thread
/// that wakes every 2.5 ms on the same processor with the same priority and counts how often it
/// was more than 2.5 ms late.
struct Bare(Process, Folder);

impl Bare {
    fn start() -> Self {
        let folder = Folder::new("bare");
        let processor = std::thread::available_parallelism().map_or(1, usize::from) - 1;
        let mut command = Command::new("taskset");
        command.args(["-c", &processor.to_string()]);
        if nix::unistd::geteuid().is_root() {
            command.args(["chrt", "-f", "50"]);
        }
        command
            .arg(std::env::current_exe().expect("own path"))
            .args(["--exact", "a_bare_thread_wakes", "--nocapture"])
            .env("TIPRING_BARE_FILE", folder.file("late"));
        let process = Process::start(&mut command, &folder.file("log"));
        wait::until_true("the bare thread", wait::GENEROUS, || folder.file("late").exists());
        Self(process, folder)
    }

    fn stop(mut self) -> u64 {
        let text = std::fs::read_to_string(self.1.file("late")).expect("its count");
        self.0.kill();
        text.trim().parse().expect("a number")
    }
}

/// Only a process of its own when [`Bare`] starts it; otherwise it has nothing to do.
#[test]
fn a_bare_thread_wakes() {
    let Some(file) = std::env::var_os("TIPRING_BARE_FILE") else { return };
    let period = TimeSpec::from_duration(Duration::from_micros(2500));
    let mut due = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("a clock");
    let mut late = 0u64;
    let note = |late: u64| std::fs::write(&file, late.to_string()).expect("written");
    note(late);
    // Bounded, in case nobody stops it.
    for _ in 0..400 * 300 {
        due = due + period;
        let _ = clock_nanosleep(ClockId::CLOCK_MONOTONIC, ClockNanosleepFlags::TIMER_ABSTIME, &due);
        let now = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("a clock");
        if now > due + period {
            late += 1;
            note(late);
        }
    }
}

#[derive(Debug)]
struct Counters {
    frames_late: u64,
    lost: u64,
    #[expect(dead_code, reason = "printed")]
    ticks_late: u64,
}

impl Counters {
    fn read(rest: &tipring_tests::rest::Rest) -> Self {
        Self {
            frames_late: rest.counter("frames_late_total"),
            lost: rest.counter("rtp_lost_total"),
            ticks_late: rest.counter("ticks_late_total"),
        }
    }
}
