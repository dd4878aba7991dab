//! A telephone at a port of the card: lifted, put down, spoken into, listened to.
//!
//! The program `telephone` in the guest holds the FXO channel that is wired to the port; what it
//! hears and notices comes over the wire with the guest's own time.

use crate::{Card, Machine};
use std::io::{BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};
use tipring_tests::signal;
use tipring_tests::system::program;
use tipring_tests::wait::GENEROUS;

/// Where the guest's program listens.
pub const PORT: u16 = 2400;

/// Starts the program in the guest.
#[track_caller]
pub(crate) fn serve(machine: &Machine) {
    machine.lend(&program("telephone"), "telephone");
    // A telephone is made of wires: it is not late because others are busy.
    machine.run(
        "systemctl is-active -q telephone || systemd-run -q --unit telephone --collect \
         -p CPUSchedulingPolicy=fifo -p CPUSchedulingPriority=40 /host/telephone serve",
    );
    machine.wait_for("the telephones", GENEROUS, &format!("ss -ltn | grep -q :{PORT}"));
}

/// What a telephone notices on its line (`dahdi/user.h`, `DAHDI_EVENT_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noticed {
    /// Ringing current begins.
    RingBegins,
    /// Ringing current ends.
    RingEnds,
    /// No battery: the exchange disconnects.
    NoBattery,
    /// The battery's polarity is reversed.
    Polarity,
    /// What was dialled is sent.
    Dialled,
    /// Any other event, by number.
    Other(i32),
}

impl Noticed {
    fn of(event: i32) -> Self {
        match event {
            1 => Self::NoBattery,
            2 => Self::RingEnds,
            9 => Self::Dialled,
            17 => Self::Polarity,
            18 => Self::RingBegins,
            other => Self::Other(other),
        }
    }
}

#[derive(Debug, Default)]
struct Life {
    noticed: Vec<(Duration, Noticed)>,
    heard: Vec<i16>,
    answers: Vec<i32>,
    closed: bool,
}

/// See the module. Put down and gone when dropped.
#[derive(Debug)]
pub struct Telephone {
    stream: TcpStream,
    life: Arc<(Mutex<Life>, Condvar)>,
    cursor: usize,
}

impl Telephone {
    /// The telephone at `port` of the card.
    ///
    /// # Panics
    /// If its channel cannot be opened.
    #[track_caller]
    pub fn on(machine: &Machine, card: &Card, port: u16) -> Self {
        let stream = TcpStream::connect(machine.address(PORT)).expect("the guest's telephones");
        stream.set_nodelay(true).expect("a socket option");
        let life = Arc::new((Mutex::new(Life::default()), Condvar::new()));
        let theirs = Arc::clone(&life);
        let reader = BufReader::new(stream.try_clone().expect("a second handle"));
        std::thread::spawn(move || keep(reader, &theirs));
        let mut telephone = Self { stream, life, cursor: 0 };
        telephone.command(&format!("channel {}", card.telephone_channel(port)), &[]);
        telephone
    }

    #[track_caller]
    fn command(&mut self, wish: &str, payload: &[u8]) {
        let (mutex, changed) = &*self.life;
        let mut life = mutex.lock().expect("the reader does not panic");
        let before = life.answers.len();
        let mut message = format!("{wish}\n").into_bytes();
        message.extend_from_slice(payload);
        self.stream.write_all(&message).expect("the telephone is there");
        let begin = Instant::now();
        while life.answers.len() == before {
            assert!(!life.closed, "the telephone is gone; {wish} was not answered");
            assert!(begin.elapsed() < GENEROUS, "{wish} was not answered");
            life = changed.wait_timeout(life, GENEROUS).expect("the reader does not panic").0;
        }
        let errno = life.answers[before];
        drop(life);
        assert!(errno == 0, "{wish}: {}", std::io::Error::from_raw_os_error(errno));
    }

    /// Lifts the handset.
    #[track_caller]
    pub fn lift(&mut self) {
        self.command("offhook", &[]);
    }

    /// Puts it down.
    #[track_caller]
    pub fn put_down(&mut self) {
        self.command("onhook", &[]);
    }

    /// Presses the recall button: the loop is open for 750 ms.
    #[track_caller]
    pub fn flash(&mut self) {
        self.command("flash", &[]);
    }

    /// Turns the dial, pulses of 50 ms at 10 a second, until all of it is sent.
    #[track_caller]
    pub fn dial_pulses(&mut self, digits: &str) {
        self.command(&format!("dial P{digits}"), &[]);
        self.expect(Noticed::Dialled);
    }

    /// Presses keys, DTMF of 100 ms with pauses of 100 ms, until all of it is sent.
    #[track_caller]
    pub fn press(&mut self, digits: &str) {
        self.command(&format!("dial T{digits}"), &[]);
        self.expect(Noticed::Dialled);
    }

    /// Says this after what is being said. Returns at once.
    #[track_caller]
    pub fn say(&mut self, audio: &[i16]) {
        let octets = signal::to_bytes(audio);
        self.command(&format!("say {}", octets.len()), &octets);
    }

    /// Stops speaking.
    #[track_caller]
    pub fn hush(&mut self) {
        self.command("hush", &[]);
    }

    /// Waits until something is noticed that was not waited for before, and that fits; the guest's
    /// time of it.
    ///
    /// # Panics
    /// If it does not come within [`GENEROUS`]; shows what came instead.
    #[track_caller]
    pub fn expect(&mut self, wanted: Noticed) -> Duration {
        let (mutex, changed) = &*self.life;
        let begin = Instant::now();
        let mut life = mutex.lock().expect("the reader does not panic");
        loop {
            let found = life.noticed[self.cursor..].iter().position(|(_, n)| *n == wanted);
            if let Some(found) = found {
                let at = self.cursor + found;
                self.cursor = at + 1;
                return life.noticed[at].0;
            }
            let Some(left) = GENEROUS.checked_sub(begin.elapsed()) else {
                let came = format!("{:?}", &life.noticed[self.cursor..]);
                drop(life);
                panic!("the telephone did not notice {wanted:?}, but {came}");
            };
            life = changed.wait_timeout(life, left).expect("the reader does not panic").0;
        }
    }

    /// All that was noticed so far, with the guest's time.
    ///
    /// # Panics
    /// If the reader did.
    pub fn noticed(&self) -> Vec<(Duration, Noticed)> {
        self.life.0.lock().expect("the reader does not panic").noticed.clone()
    }

    /// All that was heard so far.
    ///
    /// # Panics
    /// If the reader did.
    pub fn heard(&self) -> Vec<i16> {
        self.life.0.lock().expect("the reader does not panic").heard.clone()
    }

    /// Waits until so much more has been heard, and returns it.
    ///
    /// # Panics
    /// If it does not come within [`GENEROUS`] beyond its own duration.
    #[track_caller]
    pub fn listen(&self, ms: usize) -> Vec<i16> {
        let from = self.heard().len();
        self.heard_of((from * 1000).div_ceil(signal::RATE) + ms).split_off(from)
    }

    /// Waits until so much has been heard since the beginning, and returns all of it.
    ///
    /// # Panics
    /// If it does not come within [`GENEROUS`] beyond its own duration.
    #[track_caller]
    pub fn heard_of(&self, ms: usize) -> Vec<i16> {
        let limit = GENEROUS + Duration::from_millis(ms as u64);
        tipring_tests::wait::until("what the telephone hears", limit, || {
            let heard = self.heard();
            (heard.len() >= signal::samples(ms)).then_some(heard)
        })
    }

    /// Listens until a second of what is said over and over was heard in one piece: the machine may stand
    /// still in the middle of anything.
    ///
    /// # Panics
    /// If there was none in half a minute.
    #[track_caller]
    pub fn hears(&self, said: &[i16]) {
        let from_ms = self.heard().len() * 1000 / signal::RATE;
        signal::hear_a_second("the telephone", said, (from_ms, 30_000), |ms| self.heard_of(ms));
    }
}

impl Drop for Telephone {
    /// The guest closes the channel when the connection ends, which the thread that reads would keep,
    /// and has closed it when it ends its side.
    fn drop(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
        let (mutex, changed) = &*self.life;
        if let Ok(life) = mutex.lock() {
            drop(changed.wait_timeout_while(life, GENEROUS, |life| !life.closed));
        }
    }
}

/// Keeps what the guest sends: kind, time in ns (u64), length (u32), payload; little-endian.
fn keep(mut reader: impl Read, life: &(Mutex<Life>, Condvar)) {
    let (mutex, changed) = life;
    let mut head = [0; 13];
    while reader.read_exact(&mut head).is_ok() {
        let [kind, time @ .., l0, l1, l2, l3] = head;
        let time = Duration::from_nanos(u64::from_le_bytes(time));
        let mut payload = vec![0; u32::from_le_bytes([l0, l1, l2, l3]) as usize];
        if reader.read_exact(&mut payload).is_err() {
            break;
        }
        let number = payload.first_chunk().map_or(0, |&octets| i32::from_le_bytes(octets));
        let mut life = mutex.lock().expect("nobody panics with it");
        match kind {
            b'a' => life.heard.extend(signal::from_bytes(&payload)),
            b'e' => life.noticed.push((time, Noticed::of(number))),
            _ => life.answers.push(number),
        }
        changed.notify_all();
    }
    mutex.lock().expect("nobody panics with it").closed = true;
    changed.notify_all();
}
