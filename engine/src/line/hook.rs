//! The hook switch: what the opening and closing of a loop means.
//!
//! A contact bounces; a rotary dial opens it for 60 ms ten times a second; a recall key opens it
//! for some hundred ms; and a person who hangs up opens it for good. They are told apart by how
//! long the loop stays open, so a hang-up is known only after the longest flash
//! (dahdi/user.h rxflashtime does the same in the kernel).

use tipring_shm_proto::units::Nanos;

/// Shortest time between two changes of the handset that a kernel reports, ms: a mad driver
/// can make a line change ten times a second, no more.
pub const MIN_JUDGED_CHANGE_MS: u32 = 100;
/// Pulses of the longest digit, `#` (DAHDI counts 11 as `*` and 12 as `#`).
const MAX_PULSES: u8 = 12;

/// Times by which a loop is understood, ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HookTiming {
    /// Changes shorter than this are bounce.
    pub debounce_ms: u32,
    /// Closed for this long: lifted.
    pub lift_ms: u32,
    /// Count dial pulses. Where this is off, short breaks are recalls: British and European
    /// telephones have a timed-break recall of 50 to 130 ms.
    pub pulse_dialling: bool,
    /// Longest break of a dial pulse.
    pub pulse_max_ms: u32,
    /// A digit ends this long after its last pulse.
    pub digit_end_ms: u32,
    /// Shortest flash, where pulses are not counted; else it is what a pulse is not.
    pub flash_min_ms: u32,
    /// Longest flash; open for longer is a hang-up.
    pub flash_max_ms: u32,
}

impl Default for HookTiming {
    fn default() -> Self {
        Self {
            debounce_ms: 15,
            lift_ms: 40,
            pulse_dialling: true,
            pulse_max_ms: 200,
            digit_end_ms: 250,
            flash_min_ms: 50,
            flash_max_ms: 1000,
        }
    }
}

/// What is wrong with a [`HookTiming`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimingFault {
    /// `debounce_ms` is not 5 to 30, or `lift_ms` is below it or above 500.
    Debounce,
    /// `pulse_max_ms` is not above `debounce_ms`, or not below `flash_max_ms`.
    Pulse,
    /// `digit_end_ms` is not 100 to 1000: shorter than the make of a pulse, or endless.
    DigitEnd,
    /// `flash_max_ms` is not 100 to 2000, or `flash_min_ms` is not below it.
    Flash,
}

impl HookTiming {
    /// As telephones of a country are made: where a recall is a timed break of 50 to 130 ms (ETSI
    /// ES 201 187, BS 6305), a hang-up need not wait for the second that North American flashes
    /// may take (TIA-470).
    pub fn of_country(code: &str) -> Self {
        let long_flashes = matches!(code, "us" | "ca" | "mx" | "tw" | "jp" | "ph");
        let flash_max_ms = if long_flashes { 1000 } else { 300 };
        Self { flash_max_ms, ..Self::default() }
    }

    /// Whether the times can tell things apart.
    ///
    /// # Errors
    /// The first pair of times that contradict each other.
    pub fn check(&self) -> Result<(), TimingFault> {
        if !(5..=30).contains(&self.debounce_ms)
            || !(self.debounce_ms..=500).contains(&self.lift_ms)
        {
            return Err(TimingFault::Debounce);
        }
        if !(100..=2000).contains(&self.flash_max_ms) || self.flash_min_ms >= self.flash_max_ms {
            return Err(TimingFault::Flash);
        }
        if self.pulse_max_ms <= self.debounce_ms || self.pulse_max_ms >= self.flash_max_ms {
            return Err(TimingFault::Pulse);
        }
        if !(100..=1000).contains(&self.digit_end_ms) {
            return Err(TimingFault::DigitEnd);
        }
        Ok(())
    }
}

/// What a loop has said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    Lifted,
    Down,
    Flash {
        ms: u16,
    },
    /// The first pulse of a digit.
    PulseBegan,
    Digit {
        digit: u8,
        ms: u16,
    },
}

/// The raw contact since its last change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Level {
    closed: bool,
    since: Nanos,
}

/// Pulses of a digit that has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Train {
    pulses: u8,
    began: Nanos,
    last: Nanos,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Contact {
    /// Nothing was heard of it.
    Unknown,
    Down,
    /// Closed, perhaps not for long.
    Lifting {
        since: Nanos,
    },
    Lifted {
        train: Option<Train>,
    },
    /// Open, perhaps not for long.
    Break {
        since: Nanos,
        train: Option<Train>,
    },
}

/// A hook switch and its past.
#[derive(Clone, Copy, Debug)]
pub(super) struct HookSwitch {
    timing: HookTiming,
    /// The last raw change.
    raw: Option<Level>,
    /// The level that outlasted the bounce, and which `contact` knows of.
    settled: Option<bool>,
    contact: Contact,
    /// The line itself interrupts the loop until then.
    masked_until: Option<Nanos>,
    /// A handset position judged elsewhere (a kernel), not told yet.
    judged: Option<bool>,
    judged_at: Option<Nanos>,
}

impl HookSwitch {
    pub(super) fn new(timing: HookTiming) -> Self {
        Self {
            timing,
            raw: None,
            settled: None,
            contact: Contact::Unknown,
            masked_until: None,
            judged: None,
            judged_at: None,
        }
    }

    /// The raw contact changed. Call [`HookSwitch::next`] up to `at` first.
    pub(super) fn edge(&mut self, closed: bool, at: Nanos) {
        if self.raw.is_none_or(|raw| raw.closed != closed) {
            self.raw = Some(Level { closed, since: at });
        }
    }

    /// A kernel judged the handset.
    pub(super) fn judge(&mut self, lifted: bool) {
        self.judged = Some(lifted);
    }

    /// The line interrupts the loop itself: its silence until then is no hook.
    pub(super) fn mask(&mut self, until: Nanos) {
        self.masked_until = Some(self.masked_until.map_or(until, |was| was.max(until)));
    }

    /// Judges anew what the contact says now.
    pub(super) fn forget(&mut self) {
        self.settled = None;
        self.contact = Contact::Unknown;
        self.masked_until = None;
    }

    /// Nothing is known any more: the device is gone.
    pub(super) fn lose(&mut self) {
        *self = Self::new(self.timing);
    }

    /// The next thing said up to `now`; each call moves on, `None` is the end.
    pub(super) fn next(&mut self, now: Nanos) -> Option<Judgement> {
        if let Some(judgement) = self.next_judged(now) {
            return Some(judgement);
        }
        let raw = self.raw?;
        if let Some(until) = self.masked_until {
            if now < until {
                return None;
            }
            self.masked_until = None;
            self.unmask(raw, until);
        }
        loop {
            // While a change may still be bounce, nothing is decided beyond its beginning.
            let unsettled = self.settled != Some(raw.closed);
            let horizon = if unsettled { raw.since.min(now) } else { now };
            if let Some(judgement) = self.pass_time(horizon) {
                return Some(judgement);
            }
            if !unsettled || now < raw.since.after_ms(self.timing.debounce_ms) {
                return None;
            }
            self.settled = Some(raw.closed);
            if let Some(judgement) = self.settle(raw) {
                return Some(judgement);
            }
        }
    }

    fn next_judged(&mut self, now: Nanos) -> Option<Judgement> {
        let lifted = self.judged?;
        if self.judged_at.is_some_and(|at| now < at.after_ms(MIN_JUDGED_CHANGE_MS)) {
            return None;
        }
        self.judged = None;
        self.judged_at = Some(now);
        Some(if lifted { Judgement::Lifted } else { Judgement::Down })
    }

    /// The line feeds the loop again.
    fn unmask(&mut self, raw: Level, at: Nanos) {
        if matches!(self.contact, Contact::Lifted { .. } | Contact::Break { .. }) {
            self.settled = Some(raw.closed);
            self.contact = if raw.closed {
                Contact::Lifted { train: None }
            } else {
                Contact::Break { since: at, train: None }
            };
        }
    }

    /// What time alone decides.
    fn pass_time(&mut self, now: Nanos) -> Option<Judgement> {
        let timing = self.timing;
        match &mut self.contact {
            Contact::Lifting { since } if now >= since.after_ms(timing.lift_ms) => {
                self.contact = Contact::Lifted { train: None };
                Some(Judgement::Lifted)
            }
            Contact::Lifted { train } => {
                let ended = train.take_if(|train| now >= train.last.after_ms(timing.digit_end_ms));
                ended.and_then(Train::digit)
            }
            Contact::Break { since, train } => {
                if train.is_some() && now > since.after_ms(timing.pulse_max_ms) {
                    return train.take().and_then(Train::digit);
                }
                if now > since.after_ms(timing.flash_max_ms) {
                    self.contact = Contact::Down;
                    return Some(Judgement::Down);
                }
                None
            }
            _ => None,
        }
    }

    /// What a change that is no bounce decides.
    fn settle(&mut self, level: Level) -> Option<Judgement> {
        let at = level.since;
        match self.contact {
            Contact::Unknown | Contact::Down if level.closed => {
                self.contact = Contact::Lifting { since: at };
                None
            }
            Contact::Unknown => {
                self.contact = Contact::Down;
                Some(Judgement::Down)
            }
            Contact::Lifting { .. } if !level.closed => {
                self.contact = Contact::Down;
                None
            }
            Contact::Lifted { train } if !level.closed => {
                self.contact = Contact::Break { since: at, train };
                None
            }
            Contact::Break { since, train } if level.closed => self.end_break(since, at, train),
            _ => None,
        }
    }

    fn end_break(&mut self, since: Nanos, at: Nanos, train: Option<Train>) -> Option<Judgement> {
        let timing = self.timing;
        let ms = at.ms_since(since);
        if timing.pulse_dialling && ms <= timing.pulse_max_ms {
            let began = train.is_none();
            let mut train = train.unwrap_or(Train { pulses: 0, began: since, last: at });
            train.pulses = train.pulses.saturating_add(1);
            train.last = at;
            self.contact = Contact::Lifted { train: Some(train) };
            return began.then_some(Judgement::PulseBegan);
        }
        self.contact = Contact::Lifted { train: None };
        let flash = timing.pulse_dialling || ms >= timing.flash_min_ms;
        flash.then(|| Judgement::Flash { ms: u16::try_from(ms).unwrap_or(u16::MAX) })
    }
}

impl Train {
    /// The digit; `None` for more pulses than a dial has.
    fn digit(self) -> Option<Judgement> {
        let digit = match self.pulses {
            1..=9 => b'0' + self.pulses,
            10 => b'0',
            11 => b'*',
            MAX_PULSES => b'#',
            _ => return None,
        };
        let ms = u16::try_from(self.last.ms_since(self.began)).unwrap_or(u16::MAX);
        Some(Judgement::Digit { digit, ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Judgement::{Digit, Down, Flash, Lifted, PulseBegan};

    /// Feeds changes at these times (ms), ticks every 20 ms until `until_ms`; what was said and
    /// the tick it was said in.
    fn hear(timing: HookTiming, edges: &[(u32, bool)], until_ms: u32) -> Vec<(u32, Judgement)> {
        let mut switch = HookSwitch::new(timing);
        let mut edges = edges.iter().peekable();
        let mut said = Vec::new();
        for tick in (0..=until_ms).step_by(20) {
            while let Some((at, closed)) = edges.next_if(|(at, _)| *at <= tick) {
                let at = Nanos(0).after_ms(*at);
                while let Some(judgement) = switch.next(at) {
                    said.push((tick, judgement));
                }
                switch.edge(*closed, at);
            }
            while let Some(judgement) = switch.next(Nanos(0).after_ms(tick)) {
                said.push((tick, judgement));
            }
        }
        said
    }

    fn usual(edges: &[(u32, bool)], until_ms: u32) -> Vec<(u32, Judgement)> {
        hear(HookTiming::default(), edges, until_ms)
    }

    const LIFT: [(u32, bool); 2] = [(0, false), (100, true)];

    fn lifted_and(more: &[(u32, bool)]) -> Vec<(u32, bool)> {
        LIFT.iter().chain(more).copied().collect()
    }

    #[test]
    fn closed_for_40_ms_is_lifted_open_for_1000_is_down() {
        assert_eq!(
            usual(&lifted_and(&[(500, false)]), 2000),
            [(20, Down), (140, Lifted), (1520, Down)]
        );
        assert_eq!(usual(&[(0, false), (100, true), (139, false)], 2000), [(20, Down)]);
    }

    #[test]
    fn bounce_is_nothing_and_moves_the_time_by_its_own_length() {
        let bouncing =
            [(0, false), (100, true), (102, false), (103, true), (104, false), (105, true)];
        assert_eq!(usual(&bouncing, 2000), [(20, Down), (160, Lifted)]);
        let chatter: Vec<_> = (0..400).map(|i| (100 + i * 7, i % 2 == 0)).collect();
        assert_eq!(usual(&chatter, 2800), []);
    }

    #[test]
    fn the_edge_of_a_flash_and_a_hang_up() {
        let of =
            |ms: u32| usual(&lifted_and(&[(500, false), (500 + ms, true)]), 4000)[2..].to_vec();
        assert!(matches!(of(200)[..], [(_, PulseBegan), (_, Digit { digit: b'1', ms: 200 })]));
        assert_eq!(of(201), [(720, Flash { ms: 201 })]);
        assert_eq!(of(1000), [(1520, Flash { ms: 1000 })]);
        assert_eq!(of(1001), [(1520, Down), (1560, Lifted)]);
        assert_eq!(of(14), []);
    }

    fn pulses(from_ms: u32, count: u32) -> Vec<(u32, bool)> {
        (0..count)
            .flat_map(|i| [(from_ms + i * 100, false), (from_ms + i * 100 + 60, true)])
            .collect()
    }

    #[test]
    fn pulses_make_digits() {
        for (count, digit) in [(1, b'1'), (5, b'5'), (10, b'0'), (11, b'*'), (12, b'#')] {
            let said = usual(&lifted_and(&pulses(500, count)), 4000);
            let end = 500 + (count - 1) * 100 + 60;
            assert_eq!(said[2].1, PulseBegan);
            let ms = (end - 500) as u16;
            assert_eq!(said[3..], [((end + 250).next_multiple_of(20), Digit { digit, ms })]);
        }
        let said = usual(&lifted_and(&pulses(500, 13)), 4000);
        assert_eq!(said[3..], []);
    }

    #[test]
    fn putting_down_in_the_middle_of_a_digit_tells_the_digit_first() {
        let mut edges = pulses(500, 3);
        edges.push((850, false));
        let said = usual(&lifted_and(&edges), 4000);
        assert!(matches!(said[3..], [(1060, Digit { digit: b'3', .. }), (1860, Down)]), "{said:?}");
    }

    #[test]
    fn without_pulse_dialling_a_short_break_is_a_recall() {
        let timing = HookTiming { pulse_dialling: false, ..HookTiming::default() };
        let of = |ms: u32| {
            hear(timing, &lifted_and(&[(500, false), (500 + ms, true)]), 4000)[2..].to_vec()
        };
        assert_eq!(of(49), []);
        assert_eq!(of(80), [(600, Flash { ms: 80 })]);
    }

    #[test]
    fn a_masked_break_is_nothing_and_a_hang_up_behind_the_mask_is_found() {
        for (edges, found) in [(&[(520, false), (1020, true)][..], false), (&[(520, false)], true)]
        {
            let mut switch = HookSwitch::new(HookTiming::default());
            let mut said = Vec::new();
            for tick in (0..4000).step_by(20) {
                let now = Nanos(0).after_ms(tick);
                for (at, closed) in LIFT.iter().chain(edges).filter(|(at, _)| *at == tick) {
                    switch.edge(*closed, Nanos(0).after_ms(*at));
                }
                if tick == 520 {
                    switch.mask(now.after_ms(600));
                }
                while let Some(judgement) = switch.next(now) {
                    said.push((tick, judgement));
                }
            }
            let expected: &[_] = if found { &[(2140, Down)] } else { &[] };
            assert_eq!(said[2..], *expected);
        }
    }

    #[test]
    fn a_kernel_that_flaps_is_believed_ten_times_a_second() {
        let mut switch = HookSwitch::new(HookTiming::default());
        let mut said = 0;
        for ms in 0..1000 {
            switch.judge(ms % 2 == 0);
            said += u32::from(switch.next(Nanos(0).after_ms(ms)).is_some());
        }
        assert_eq!(said, 10);
    }

    #[test]
    fn every_country_has_times_that_agree() {
        for code in ["us", "gb", "de", "fr", "xx"] {
            assert_eq!(HookTiming::of_country(code).check(), Ok(()), "{code}");
        }
        assert!(HookTiming::of_country("de").flash_max_ms < 500);
    }

    #[test]
    fn contradictory_times_are_refused() {
        let usual = HookTiming::default();
        assert_eq!(usual.check(), Ok(()));
        let fault = |timing: HookTiming| timing.check().unwrap_err();
        assert_eq!(fault(HookTiming { debounce_ms: 50, ..usual }), TimingFault::Debounce);
        assert_eq!(fault(HookTiming { lift_ms: 10, ..usual }), TimingFault::Debounce);
        assert_eq!(fault(HookTiming { pulse_max_ms: 1000, ..usual }), TimingFault::Pulse);
        assert_eq!(fault(HookTiming { digit_end_ms: 20, ..usual }), TimingFault::DigitEnd);
        assert_eq!(fault(HookTiming { flash_max_ms: 5000, ..usual }), TimingFault::Flash);
    }
}
