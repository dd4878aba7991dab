//! A registration of ours at a provider (RFC 3261 §10.2): which of its servers is asked when, and
//! what the answers mean. Knows neither messages nor sockets; time is an input.

use super::super::message::Peer;

/// RFC 5626 §4.5: no server answers. The time doubles with each round that fails, up to the most,
/// and half of it is by chance, so that a provider's customers do not come back all at once.
const BACK_OFF_BASE_MS: u64 = 30_000;
const BACK_OFF_MOST_MS: u64 = 1_800_000;
/// Addresses of a trunk that is not registered at are looked up anew this often.
const LOOK_UP_MS: u64 = 300_000;
/// A wish of the server for a later try is heard up to here.
const RETRY_AFTER_MOST_S: u32 = 3600;
/// Longest time that we ask for because a server wants it.
const EXPIRES_MOST_S: u32 = 86_400;

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sip) enum Step {
    /// Nothing before [`Registration::next_ms`].
    Wait,
    /// Find out the servers' addresses; [`Registration::handle_addresses`] follows.
    LookUp,
    /// Send a REGISTER there; [`Registration::handle_answer`] follows.
    Register(Peer),
}

/// What a final response means; who reads it has tried to answer a challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sip) enum Answer {
    /// 2xx, with the time granted.
    Granted {
        /// In seconds.
        expires_s: u32,
    },
    /// 401 or 407 that can be answered; once.
    Challenged,
    /// 423 with the shortest time that it takes (RFC 3261 §10.2.8).
    TooBrief {
        /// In seconds.
        min_s: u32,
    },
    /// This server does not serve now: no answer, 503 (RFC 3263 §4.3). Another one may.
    Unavailable {
        /// Not before, in seconds.
        retry_after_s: Option<u32>,
    },
    /// Anything else: the provider does not want us.
    Refused,
}

/// What others should learn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sip) enum News {
    /// Calls can go both ways.
    Up,
    /// They cannot any more.
    Down,
    /// The attempt has failed; the next one is later.
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Until the next attempt.
    Rests {
        until_ms: u64,
    },
    LooksUp,
    Asks {
        challenged: bool,
        lengthened: bool,
    },
    /// Registered, or known where to call.
    Stands {
        refresh_ms: u64,
    },
    /// Going: REGISTER with `Expires: 0`.
    Leaves {
        challenged: bool,
    },
    Left,
}

/// One trunk's registration, or, where it does not register, knowledge of its servers.
#[derive(Debug)]
pub(in crate::sip) struct Registration {
    registers: bool,
    expires_s: u32,
    state: State,
    /// In the order in which they are tried.
    servers: Vec<Peer>,
    at: usize,
    /// Servers that failed in this round.
    failed: usize,
    /// Rounds in a row in which all failed.
    rounds: u32,
    /// What the registrar has granted lasts so long.
    valid_until_ms: u64,
    up: bool,
}

impl Registration {
    /// `expires_s` is what to ask for; `None` registers nowhere.
    pub(in crate::sip) fn new(expires_s: Option<u32>) -> Self {
        Self {
            registers: expires_s.is_some(),
            expires_s: expires_s.unwrap_or_default(),
            state: State::Rests { until_ms: 0 },
            servers: Vec::new(),
            at: 0,
            failed: 0,
            rounds: 0,
            valid_until_ms: 0,
            up: false,
        }
    }

    /// Whether calls can go out, and come in.
    pub(in crate::sip) const fn is_up(&self) -> bool {
        self.up
    }

    /// An attempt is under way.
    pub(in crate::sip) const fn is_trying(&self) -> bool {
        matches!(self.state, State::LooksUp | State::Asks { .. })
    }

    /// The end of what was granted, ms since 1970.
    pub(in crate::sip) fn valid_until_ms(&self) -> Option<u64> {
        (self.up && self.registers).then_some(self.valid_until_ms)
    }

    /// The server that is talked with.
    pub(in crate::sip) fn server(&self) -> Option<Peer> {
        self.servers.get(self.at).copied()
    }

    /// All servers, those to be tried after `server` first.
    pub(in crate::sip) fn others(&self, server: Peer) -> impl Iterator<Item = Peer> {
        let next = self.servers.iter().position(|one| *one == server).map_or(0, |at| at + 1);
        self.servers[next..]
            .iter()
            .chain(&self.servers[..next])
            .copied()
            .filter(move |s| *s != server)
    }

    /// Whether one of the servers has this address.
    pub(in crate::sip) fn has(&self, address: std::net::IpAddr) -> bool {
        self.servers.iter().any(|server| server.address.ip() == address)
    }

    /// What to ask for, s; 0 takes the registration back.
    pub(in crate::sip) const fn expires_s(&self) -> u32 {
        if matches!(self.state, State::Leaves { .. }) { 0 } else { self.expires_s }
    }

    /// When [`handle_time`](Self::handle_time) has something to do, ms since 1970.
    pub(in crate::sip) fn next_ms(&self) -> Option<u64> {
        let next = match self.state {
            State::Rests { until_ms } => Some(until_ms),
            State::Stands { refresh_ms } => Some(refresh_ms),
            _ => None,
        };
        let end = (self.up && self.registers).then_some(self.valid_until_ms);
        next.into_iter().chain(end).min()
    }

    /// What time brings.
    pub(in crate::sip) fn handle_time(&mut self, now_ms: u64) -> (Step, Option<News>) {
        let ended = self.up && self.registers && self.valid_until_ms <= now_ms;
        let news = ended.then(|| {
            self.up = false;
            News::Down
        });
        let step = match self.state {
            State::Rests { until_ms } if until_ms <= now_ms => self.look_up(),
            State::Stands { refresh_ms } if refresh_ms <= now_ms && !self.registers => {
                self.look_up()
            }
            State::Stands { refresh_ms } if refresh_ms <= now_ms => {
                self.failed = 0;
                self.ask()
            }
            _ => Step::Wait,
        };
        (step, news)
    }

    fn look_up(&mut self) -> Step {
        self.state = State::LooksUp;
        Step::LookUp
    }

    fn ask(&mut self) -> Step {
        match self.server() {
            Some(server) => {
                self.state = State::Asks { challenged: false, lengthened: false };
                Step::Register(server)
            }
            None => self.look_up(),
        }
    }

    /// Where the servers are, best first; empty where nobody knows.
    pub(in crate::sip) fn handle_addresses(
        &mut self,
        servers: Vec<Peer>,
        now_ms: u64,
        chance: u64,
    ) -> (Step, Option<News>) {
        if self.state != State::LooksUp {
            return (Step::Wait, None);
        }
        if servers.is_empty() {
            if self.registers || self.servers.is_empty() {
                return (Step::Wait, Some(self.rest(None, now_ms, chance)));
            }
            // A name server that fails is no reason to forget what was known.
            self.state = State::Stands { refresh_ms: now_ms + LOOK_UP_MS };
            return (Step::Wait, None);
        }
        (self.servers, self.at, self.failed) = (servers, 0, 0);
        if self.registers {
            return (self.ask(), None);
        }
        self.rounds = 0;
        self.state = State::Stands { refresh_ms: now_ms + LOOK_UP_MS };
        (Step::Wait, self.rise())
    }

    fn rise(&mut self) -> Option<News> {
        (!std::mem::replace(&mut self.up, true)).then_some(News::Up)
    }

    /// The final response to the REGISTER that was asked for. `chance` is any number.
    pub(in crate::sip) fn handle_answer(
        &mut self,
        answer: Answer,
        now_ms: u64,
        chance: u64,
    ) -> (Step, Option<News>) {
        let Some(server) = self.server() else { return (Step::Wait, None) };
        match &mut self.state {
            State::Asks { challenged, lengthened } => match answer {
                Answer::Granted { expires_s } => {
                    let expires_s = expires_s.clamp(10, EXPIRES_MOST_S);
                    self.rounds = 0;
                    self.valid_until_ms = now_ms + u64::from(expires_s) * 1000;
                    self.state = State::Stands { refresh_ms: now_ms + refresh_after_ms(expires_s) };
                    (Step::Wait, self.rise())
                }
                Answer::Challenged if !std::mem::replace(challenged, true) => {
                    (Step::Register(server), None)
                }
                Answer::TooBrief { min_s }
                    if min_s > self.expires_s
                        && min_s <= EXPIRES_MOST_S
                        && !std::mem::replace(lengthened, true) =>
                {
                    self.expires_s = min_s;
                    *challenged = false;
                    (Step::Register(server), None)
                }
                Answer::Unavailable { retry_after_s } => {
                    self.failed += 1;
                    if self.failed < self.servers.len() {
                        self.at = (self.at + 1) % self.servers.len();
                        return (self.ask(), None);
                    }
                    (Step::Wait, Some(self.rest(retry_after_s, now_ms, chance)))
                }
                _ => (Step::Wait, Some(self.rest(None, now_ms, chance))),
            },
            State::Leaves { challenged } => match answer {
                Answer::Challenged if !std::mem::replace(challenged, true) => {
                    (Step::Register(server), None)
                }
                _ => {
                    self.state = State::Left;
                    self.up = false;
                    (Step::Wait, Some(News::Down))
                }
            },
            _ => (Step::Wait, None),
        }
    }

    fn rest(&mut self, retry_after_s: Option<u32>, now_ms: u64, chance: u64) -> News {
        self.rounds = self.rounds.saturating_add(1);
        let most_ms = (BACK_OFF_BASE_MS << self.rounds.min(16)).min(BACK_OFF_MOST_MS);
        let wait_ms = most_ms / 2 + chance % (most_ms / 2 + 1);
        let wished_ms = u64::from(retry_after_s.unwrap_or(0).min(RETRY_AFTER_MOST_S)) * 1000;
        self.state = State::Rests { until_ms: now_ms + wait_ms.max(wished_ms) };
        News::Failed
    }

    /// The server that we are registered at may not be there any more.
    pub(in crate::sip) fn handle_silence(&mut self) -> Step {
        if !self.registers || !matches!(self.state, State::Stands { .. }) {
            return Step::Wait;
        }
        self.failed = 0;
        self.ask()
    }

    /// We go. `Wait`: nobody has to be told.
    pub(in crate::sip) fn leave(&mut self) -> Step {
        let step = match self.server() {
            Some(server) if self.registers && self.up => Step::Register(server),
            _ => Step::Wait,
        };
        self.state =
            if step == Step::Wait { State::Left } else { State::Leaves { challenged: false } };
        step
    }

    /// Nothing is under way any more after [`leave`](Self::leave).
    pub(in crate::sip) fn has_left(&self) -> bool {
        self.state == State::Left
    }
}

/// Early enough for a server that does not answer (Timer F is 32 s) and the next one; a short
/// registration is renewed at half of it.
fn refresh_after_ms(expires_s: u32) -> u64 {
    u64::from((expires_s / 2).max(expires_s.saturating_sub(300))) * 1000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::message::Transport;

    const T0: u64 = 1_800_000_000_000;

    fn peer(last: u8) -> Peer {
        let address = format!("203.0.113.{last}:5060").parse().unwrap();
        Peer { transport: Transport::Udp, address }
    }

    fn asking(servers: &[u8]) -> Registration {
        let mut r = Registration::new(Some(3600));
        assert_eq!(r.handle_time(T0), (Step::LookUp, None));
        let servers: Vec<Peer> = servers.iter().map(|last| peer(*last)).collect();
        assert_eq!(r.handle_addresses(servers.clone(), T0, 0), (Step::Register(servers[0]), None));
        r
    }

    #[test]
    fn it_is_renewed_before_it_ends() {
        let mut r = asking(&[1]);
        assert_eq!(r.handle_answer(Answer::Challenged, T0, 0), (Step::Register(peer(1)), None));
        let granted = Answer::Granted { expires_s: 3600 };
        assert_eq!(r.handle_answer(granted, T0, 0), (Step::Wait, Some(News::Up)));
        assert_eq!(r.next_ms(), Some(T0 + 3_300_000));
        assert_eq!(r.handle_time(T0 + 3_299_999), (Step::Wait, None));
        assert_eq!(r.handle_time(T0 + 3_300_000), (Step::Register(peer(1)), None));
        let brief = Answer::Granted { expires_s: 60 };
        assert_eq!(r.handle_answer(brief, T0 + 3_300_000, 0), (Step::Wait, None), "up already");
        assert_eq!(r.next_ms(), Some(T0 + 3_330_000));
        // A refresh that nobody answers: the end comes all the same.
        assert_eq!(r.handle_time(T0 + 3_330_000), (Step::Register(peer(1)), None));
        let silent = Answer::Unavailable { retry_after_s: None };
        assert_eq!(r.handle_answer(silent, T0 + 3_350_000, 0).1, Some(News::Failed));
        assert!(r.is_up());
        assert_eq!(r.handle_time(T0 + 3_360_000), (Step::Wait, Some(News::Down)));
        assert_eq!(r.next_ms(), Some(T0 + 3_380_000), "30 s of 60 s after the first failure");
    }

    #[test]
    fn a_second_challenge_is_a_refusal_and_a_longer_time_is_asked_for_once() {
        let mut r = asking(&[1, 2]);
        r.handle_answer(Answer::Challenged, T0, 0);
        assert_eq!(r.handle_answer(Answer::Challenged, T0, 0), (Step::Wait, Some(News::Failed)));
        assert!(!r.is_up() && !r.is_trying());

        let mut r = asking(&[1]);
        let brief = Answer::TooBrief { min_s: 7200 };
        assert_eq!(r.handle_answer(brief, T0, 0), (Step::Register(peer(1)), None));
        assert_eq!(r.expires_s(), 7200);
        let again = Answer::TooBrief { min_s: 9000 };
        assert_eq!(r.handle_answer(again, T0, 0), (Step::Wait, Some(News::Failed)));
        // One that means nothing is no reason to ask again for the same.
        let mut r = asking(&[1]);
        let brief = Answer::TooBrief { min_s: 60 };
        assert_eq!(r.handle_answer(brief, T0, 0), (Step::Wait, Some(News::Failed)));
    }

    #[test]
    fn the_next_server_is_asked_when_one_does_not_serve() {
        let mut r = asking(&[1, 2, 3]);
        let busy = Answer::Unavailable { retry_after_s: Some(90) };
        assert_eq!(r.handle_answer(busy, T0, 0), (Step::Register(peer(2)), None));
        let granted = Answer::Granted { expires_s: 600 };
        assert_eq!(r.handle_answer(granted, T0, 0).1, Some(News::Up));
        assert_eq!(r.server(), Some(peer(2)));
        assert_eq!(r.others(peer(2)).collect::<Vec<_>>(), [peer(3), peer(1)]);
        assert!(r.has(peer(3).address.ip()) && !r.has(peer(9).address.ip()));
        // It goes silent: it is asked, then the next ones.
        assert_eq!(r.handle_silence(), Step::Register(peer(2)));
        assert_eq!(r.handle_answer(busy, T0, 0), (Step::Register(peer(3)), None));
        assert_eq!(r.handle_answer(busy, T0, 0), (Step::Register(peer(1)), None));
        // All of them: a rest, no shorter than what was wished, and the names are asked again.
        assert_eq!(r.handle_answer(busy, T0, 0), (Step::Wait, Some(News::Failed)));
        assert_eq!(r.next_ms(), Some(T0 + 90_000));
        assert_eq!(r.handle_time(T0 + 90_000), (Step::LookUp, None));
    }

    #[test]
    fn rests_double_up_to_half_an_hour_and_half_of_each_is_chance() {
        for (chance, share) in [(0, 2), (u64::MAX, 1)] {
            let mut r = Registration::new(Some(600));
            let mut now_ms = T0;
            for most_s in [60, 120, 240, 480, 960, 1800, 1800] {
                r.handle_time(now_ms);
                assert_eq!(r.handle_addresses(vec![], now_ms, chance).1, Some(News::Failed));
                let rest_ms = r.next_ms().unwrap() - now_ms;
                assert!(rest_ms >= most_s * 500 && rest_ms <= most_s * 1000, "{rest_ms}");
                assert!(share == 1 || rest_ms == most_s * 500);
                now_ms += rest_ms;
            }
        }
    }

    #[test]
    fn one_that_does_not_register_knows_where_to_call() {
        let mut r = Registration::new(None);
        assert_eq!(r.handle_time(T0), (Step::LookUp, None));
        assert_eq!(r.handle_addresses(vec![peer(1)], T0, 0), (Step::Wait, Some(News::Up)));
        assert_eq!(r.handle_time(T0 + 300_000), (Step::LookUp, None));
        assert_eq!(r.handle_addresses(vec![], T0 + 300_000, 0), (Step::Wait, None));
        assert_eq!((r.server(), r.is_up(), r.valid_until_ms()), (Some(peer(1)), true, None));
        assert_eq!(r.leave(), Step::Wait);
    }

    #[test]
    fn it_is_taken_back_at_the_end() {
        let mut r = asking(&[1]);
        r.handle_answer(Answer::Granted { expires_s: 600 }, T0, 0);
        assert_eq!(r.leave(), Step::Register(peer(1)));
        assert_eq!(r.expires_s(), 0);
        assert_eq!(r.handle_answer(Answer::Challenged, T0, 0), (Step::Register(peer(1)), None));
        let gone = Answer::Granted { expires_s: 0 };
        assert_eq!(r.handle_answer(gone, T0, 0), (Step::Wait, Some(News::Down)));
        assert!(r.has_left() && r.next_ms().is_none());
        // What was never registered needs no word.
        let mut never = asking(&[1]);
        assert_eq!(never.leave(), Step::Wait);
        assert!(never.has_left());
    }
}
