//! A client of AMI that keeps everything it is told, in order.

use crate::system::System;
use crate::wait::GENEROUS;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

/// One message: its headers in order, and lines that are none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Name and value.
    pub headers: Vec<(String, String)>,
    /// Lines without a colon.
    pub text: Vec<String>,
}

impl Told {
    /// The value of a header; empty where there is none.
    pub fn get(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    }
}

#[derive(Debug, Default)]
struct Heard {
    banner: String,
    messages: Vec<Told>,
    over: bool,
}

/// A connection.
#[derive(Debug)]
pub struct Ami {
    stream: TcpStream,
    heard: Arc<(Mutex<Heard>, Condvar)>,
    actions: usize,
}

impl Ami {
    /// Connects, and waits for the banner.
    ///
    /// # Panics
    /// If nobody answers within a minute.
    #[track_caller]
    pub fn connect(system: &System) -> Self {
        Self::connect_to(&format!("127.0.0.1:{}", system.ports.ami))
    }

    /// The same, at an address.
    ///
    /// # Panics
    /// As there.
    #[track_caller]
    pub fn connect_to(address: &str) -> Self {
        let stream = TcpStream::connect(address).expect("AMI listens");
        let heard = Arc::new((Mutex::new(Heard::default()), Condvar::new()));
        let (theirs, reader) = (heard.clone(), stream.try_clone().expect("socket"));
        std::thread::spawn(move || read(reader, &theirs));
        let ami = Self { stream, heard, actions: 0 };
        ami.wait("the banner", |heard| (!heard.banner.is_empty()).then_some(()));
        ami
    }

    /// Connects as the demonstration's user.
    #[track_caller]
    pub fn login(system: &System) -> Self {
        let mut ami = Self::connect(system);
        ami.log_in("manager", "secret");
        ami
    }

    /// Logs in, and waits until it is told what happens.
    ///
    /// # Panics
    /// If it is refused.
    #[track_caller]
    pub fn log_in(&mut self, user: &str, secret: &str) {
        let answer = self.ask("Login", &[("Username", user), ("Secret", secret)]);
        assert_eq!(answer.get("Message"), "Authentication accepted", "{answer:?}");
        self.event("FullyBooted", |_| true);
    }

    /// What it was greeted with.
    pub fn banner(&self) -> String {
        self.heard.0.lock().expect("nobody panics with it").banner.clone()
    }

    /// Sends octets as they are.
    pub fn send(&self, octets: &[u8]) {
        // Who closes in between says so by its end.
        let _ = (&self.stream).write_all(octets);
    }

    /// Sends an action, and gives its id.
    pub fn act(&mut self, action: &str, headers: &[(&str, &str)]) -> String {
        self.actions += 1;
        let id = format!("test-{}", self.actions);
        let mut text = format!("ActionID: {id}\r\nAction: {action}\r\n");
        for (name, value) in headers {
            let _ = write!(text, "{name}: {value}\r\n");
        }
        self.send(format!("{text}\r\n").as_bytes());
        id
    }

    /// Sends an action and waits for its answer.
    #[track_caller]
    pub fn ask(&mut self, action: &str, headers: &[(&str, &str)]) -> Told {
        let id = self.act(action, headers);
        self.answer(&id)
    }

    /// Waits for the answer to an action.
    #[track_caller]
    pub fn answer(&self, id: &str) -> Told {
        self.find(&format!("the answer to {id}"), |told| {
            told.get("ActionID") == id
                && !told.get("Response").is_empty()
                && told.get("Event").is_empty()
        })
    }

    /// Waits for an event, whenever it came.
    #[track_caller]
    pub fn event(&self, name: &str, fits: impl Fn(&Told) -> bool) -> Told {
        self.find(name, |told| told.get("Event") == name && fits(told))
    }

    /// Waits for a message, whenever it came.
    #[track_caller]
    pub fn find(&self, what: &str, fits: impl Fn(&Told) -> bool) -> Told {
        self.wait(what, |heard| heard.messages.iter().find(|told| fits(told)).cloned())
    }

    /// Everything so far.
    pub fn told(&self) -> Vec<Told> {
        self.heard.0.lock().expect("nobody panics with it").messages.clone()
    }

    /// Waits until the other side closes.
    #[track_caller]
    pub fn ends(&self) {
        self.wait("the end of the connection", |heard| heard.over.then_some(()));
    }

    #[track_caller]
    fn wait<T>(&self, what: &str, look: impl Fn(&Heard) -> Option<T>) -> T {
        let begin = Instant::now();
        let (mutex, changed) = &*self.heard;
        let mut heard = mutex.lock().expect("the reader does not panic");
        loop {
            if let Some(found) = look(&heard) {
                return found;
            }
            let Some(left) = GENEROUS.checked_sub(begin.elapsed()) else {
                let messages = heard.messages.clone();
                drop(heard);
                panic!("waited in vain for {what}; told:\n{messages:#?}");
            };
            heard = changed.wait_timeout(heard, left).expect("the reader does not panic").0;
        }
    }
}

fn read(mut stream: TcpStream, heard: &(Mutex<Heard>, Condvar)) {
    let (mut text, mut block) = (String::new(), vec![0; 65_536]);
    while let Ok(count @ 1..) = stream.read(&mut block) {
        text.push_str(&String::from_utf8_lossy(&block[..count]));
        let mut heard_now = heard.0.lock().expect("nobody panics with it");
        if heard_now.banner.is_empty()
            && let Some((banner, rest)) = text.split_once("\r\n")
        {
            banner.clone_into(&mut heard_now.banner);
            text = rest.to_owned();
        }
        while let Some((message, rest)) = text.split_once("\r\n\r\n") {
            let mut told = Told::default();
            for line in message.lines() {
                match line
                    .split_once(": ")
                    .or_else(|| line.strip_suffix(':').map(|name| (name, "")))
                {
                    Some((name, value)) => told.headers.push((name.to_owned(), value.to_owned())),
                    None => told.text.push(line.to_owned()),
                }
            }
            heard_now.messages.push(told);
            text = rest.to_owned();
        }
        drop(heard_now);
        heard.1.notify_all();
    }
    heard.0.lock().expect("nobody panics with it").over = true;
    heard.1.notify_all();
}
