//! Garbage in every byte and cursor that apid can write, while two phones talk: no frame late or
//! lost beyond a control run beside it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command as Program;
use std::time::{Duration, Instant};
use tipring_shm_proto::command::{Command, Hook, HookSource, Law, Outcome, RtpMedia};
use tipring_shm_proto::units::{Endpoint, LineId};
use tipring_tests::peer::Peer;
use tipring_tests::process::{Folder, Process};
use tipring_tests::rtp::{Leg, Legs};
use tipring_tests::signal::{Random, chirps, follow};
use tipring_tests::system::program;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// An engine with one call between two phones.
struct Call {
    engine: Process,
    socket: PathBuf,
    peer: Option<Peer>,
    legs: Option<Legs>,
    says: [Vec<i16>; 2],
    _folder: Folder,
}

impl Call {
    fn new(seed: u64, rtp_port: u16) -> Self {
        let folder = Folder::new("engine");
        let socket = folder.file("engine.sock");
        let yaml = format!(
            "simulated_lines: 1\nrtp_lines: 8\nrtp_ports: {{min: {rtp_port}, max: {}}}\n",
            rtp_port + 98
        );
        std::fs::write(folder.file("engine.yml"), yaml).expect("written");
        let mut command = Program::new(program("tipring-engine"));
        command.arg("--config").arg(folder.file("engine.yml")).arg("--socket").arg(&socket);
        let engine = Process::start(&mut command, &folder.file("engine.log"));
        let mut peer = Peer::attach(&socket);
        let lines: Vec<LineId> = (0..peer.map.dimensions().lines)
            .map(LineId)
            .filter(|&line| {
                peer.loop_of(line);
                peer.map.line(line).is_some_and(|row| row.label.as_str().starts_with("rtp/"))
            })
            .take(2)
            .collect();
        let says = [chirps(seed, 30_000), chirps(seed + 1, 30_000)];
        let mut legs = says.clone().map(|says| Leg::new(HERE, says));
        let media = |leg: &Leg| RtpMedia {
            remote: Some(Endpoint::from(SocketAddr::new(HERE, leg.port()))),
            law: Law::Mu,
            telephone_event: Some(101),
            send: true,
            receive: true,
            rtcp_mux: false,
            srtp: None,
        };
        let local_ip = Endpoint::from(SocketAddr::new(HERE, 0)).ip;
        let off = Command::ReportHook { hook: Hook::Off, source: HookSource::Signalling };
        let outcomes = peer.ask(&[
            (lines[0], Command::OpenRtp { media: media(&legs[0]), local_ip }),
            (lines[1], Command::OpenRtp { media: media(&legs[1]), local_ip }),
            (lines[0], off),
            (lines[1], off),
            (lines[0], Command::Bridge { peer: lines[1] }),
        ]);
        for (leg, outcome) in legs.iter_mut().zip(&outcomes) {
            let Outcome::RtpOpened { port } = outcome else { panic!("{outcomes:?}") };
            leg.remote = Some(SocketAddr::new(HERE, *port));
        }
        assert!(outcomes[2..].iter().all(|o| *o == Outcome::Done), "{outcomes:?}");
        let legs = Some(Legs::start(legs.into()));
        Self { engine, socket, peer: Some(peer), legs, says, _folder: folder }
    }

    /// Stops the phones: packets lost on the way to them, stretches of 100 ms they did not
    /// recognise, the worst arrival, frames that the engine counted as late.
    fn finish(&mut self) -> Result {
        let legs = self.legs.take().expect("once").finish();
        let counters = self.peer.as_ref().expect("attached").counters();
        let mut result = Result {
            lost: legs.iter().map(Leg::lost).sum(),
            frames_late: counters.iter().map(|c| c.frames_late_total).sum(),
            ticks_late: counters.iter().map(|c| c.ticks_late_total).sum(),
            peer_faults: counters.iter().map(|c| c.peer_faults_total).sum(),
            ..Result::default()
        };
        for (leg, said) in legs.iter().zip(self.says.iter().rev()) {
            let heard = leg.heard();
            let said: Vec<i16> = said.repeat(heard.len() / said.len() + 2);
            // Past the beginning, where the phones find each other; then a piece of each second.
            let points = follow(&said[..said.len().min(heard.len() + 8000)], &heard, 100, 500);
            result.stretches += points.len();
            result.unrecognised += points[2..].iter().filter(|p| p.score < 0.7).count();
            result.packets += leg.packets.len();
            let (first, last) = (&leg.packets[0], &leg.packets[leg.packets.len() - 1]);
            let span = last.at.duration_since(first.at).as_secs_f64();
            result.left_out += (span / 0.020 + 1.0 - leg.packets.len() as f64).max(0.0);
            let worst = leg.deviations_ms().into_iter().fold(0.0, f64::max);
            result.worst_ms = worst.max(result.worst_ms);
        }
        result
    }
}

#[derive(Debug, Default)]
struct Result {
    packets: usize,
    /// Packets that a stream should have had in the time it ran, and was not sent.
    left_out: f64,
    lost: u64,
    frames_late: u64,
    #[expect(dead_code, reason = "printed")]
    ticks_late: u64,
    peer_faults: u64,
    stretches: usize,
    unrecognised: usize,
    worst_ms: f64,
}

#[test]
fn hurts_no_call() {
    let duration = Duration::from_secs(if tipring_tests::soak() { 600 } else { 20 });
    let mut control = Call::new(201, 32_400);
    let mut hostile = Call::new(203, 32_500);
    let begin = Instant::now();
    let mut random = Random::new(99);
    let (mut writes, mut attachments) = (0, 1);
    while begin.elapsed() < duration {
        // Some time with each attachment, whether or not the engine still listens to it.
        let part = Duration::from_millis(random.between(20.0, 900.0) as u64);
        writes += hostile.peer.as_ref().expect("attached").rave(&mut random, part);
        hostile.peer = None;
        hostile.peer = Some(Peer::attach(&hostile.socket));
        attachments += 1;
        assert!(hostile.engine.runs(), "the engine died:\n{}", hostile.engine.log());
    }
    let (attacked, calm) = (hostile.finish(), control.finish());
    println!(
        "{writes} writes over {attachments} attachments\nattacked {attacked:?}\ncontrol  {calm:?}"
    );
    assert!(calm.packets > duration.as_millis() as usize / 20, "the control call did not run");
    assert!(attacked.peer_faults > 0, "the engine never noticed");
    assert!(attacked.left_out <= calm.left_out + 2.0, "frames were left out");
    assert!(attacked.lost <= calm.lost, "frames were lost");
    // Where the control is late too, the machine had something else to do, and luck differs.
    let luck = calm.frames_late * 3 + 5;
    assert!(attacked.frames_late <= luck, "frames were late");
    let luck = calm.unrecognised * 3 + attacked.stretches / 200;
    assert!(attacked.unrecognised <= luck, "the phones did not hear each other");
    drop(control.engine);
}
