//! Orders to the device that it was too busy for, and how many changes a second it is spared.

use super::actions::{Action, Actions};
use crate::signal::Drive;
use tipring_shm_proto::units::Nanos;

/// Ticks for which an order is repeated, one each: 1.2 s. After a battery drop a card is busy for
/// 800 ms (dahdi/kernel.h DAHDI_KEWLTIME and DAHDI_AFTERKEWLTIME).
pub const MAX_TRIES: u8 = 60;
/// Pause between tries of an order that must not be given up, ms.
const PATIENT_MS: u32 = 1000;

/// Orders of one kind replace each other.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bell,
    Battery,
    Use,
    Flash,
    Digit,
    Polarity,
    Lamp,
    Transmission,
}

const KINDS: usize = 8;

fn kind(order: Drive) -> Kind {
    match order {
        Drive::RingOn | Drive::Ring(_) | Drive::RingOff => Kind::Bell,
        Drive::Battery(_) => Kind::Battery,
        Drive::OffHook | Drive::OnHook => Kind::Use,
        Drive::Flash => Kind::Flash,
        Drive::Digit { .. } => Kind::Digit,
        Drive::Polarity(_) => Kind::Polarity,
        Drive::MessageWaiting(_) => Kind::Lamp,
        Drive::TransmitOnHook { .. } => Kind::Transmission,
    }
}

/// Orders that bring the device to rest: they are never given up.
fn must_be_done(order: Drive) -> bool {
    matches!(order, Drive::RingOff | Drive::Battery(true) | Drive::OnHook)
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    order: Drive,
    tries: u8,
    due: Nanos,
}

/// What became of a refused order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    Left,
    Spent,
}

/// Orders that wait to be repeated, at most one of each kind.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Orders {
    waiting: [Option<Waiting>; KINDS],
    /// Some may wait; while none does, no tick has to look.
    some: bool,
}

impl Orders {
    /// Gives an order; it replaces one of its kind that waits.
    pub(super) fn give(&mut self, order: Drive, actions: &mut Actions) {
        self.waiting[kind(order) as usize] = None;
        actions.push(Action::Drive(order));
    }

    /// Gives an order with the next tick.
    pub(super) fn give_later(&mut self, order: Drive, now: Nanos) {
        self.waiting[kind(order) as usize] = Some(Waiting { order, tries: 0, due: now });
        self.some = true;
    }

    /// The device has done it.
    pub(super) fn done(&mut self, order: Drive) {
        self.waiting[kind(order) as usize] = None;
    }

    /// The device was too busy for it.
    pub(super) fn busy(&mut self, order: Drive, now: Nanos) -> Patience {
        self.some = true;
        let place = &mut self.waiting[kind(order) as usize];
        let tries = match place {
            Some(waiting) if waiting.order == order => waiting.tries.saturating_add(1),
            _ => 1,
        };
        if tries < MAX_TRIES {
            *place = Some(Waiting { order, tries, due: now.after_ms(1) });
            Patience::Left
        } else if must_be_done(order) {
            *place = Some(Waiting { order, tries, due: now.after_ms(PATIENT_MS) });
            Patience::Spent
        } else {
            *place = None;
            Patience::Spent
        }
    }

    /// The bell or the battery has not come to rest yet.
    pub(super) fn restless(&self) -> bool {
        self.some && self.waiting.iter().flatten().any(|waiting| must_be_done(waiting.order))
    }

    /// Forgets what it waits for: the device is gone.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Repeats what is due, as far as there is room.
    pub(super) fn handle_time(&mut self, now: Nanos, actions: &mut Actions) {
        if !self.some {
            return;
        }
        self.some = self.waiting.iter().any(Option::is_some);
        for waiting in self.waiting.iter().flatten().filter(|waiting| now >= waiting.due) {
            if actions.room() == 0 {
                return;
            }
            actions.push(Action::Drive(waiting.order));
        }
    }
}

/// Changes of hook, bell and battery that commands may cause: a burst, then so many a second.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChangeBudget {
    left: u32,
    counted_at: Nanos,
}

/// Changes in a burst, and in each second after it.
pub const CHANGES_PER_SECOND: u32 = 8;

impl ChangeBudget {
    pub(super) fn new() -> Self {
        Self { left: CHANGES_PER_SECOND, counted_at: Nanos(0) }
    }

    /// Takes one change; `false` if there is none left.
    pub(super) fn take(&mut self, now: Nanos) -> bool {
        let earned = now.ms_since(self.counted_at) / (1000 / CHANGES_PER_SECOND);
        if earned > 0 {
            self.left = self.left.saturating_add(earned).min(CHANGES_PER_SECOND);
            self.counted_at = now;
        }
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repeated(orders: &mut Orders, now: Nanos) -> Vec<Drive> {
        let mut actions = Actions::new();
        orders.handle_time(now, &mut actions);
        actions
            .iter()
            .map(|action| match action {
                Action::Drive(order) => *order,
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn a_busy_device_is_asked_again_for_a_while() {
        let mut orders = Orders::default();
        let mut now = Nanos(0);
        for tries in 1..=MAX_TRIES {
            let expected = if tries == MAX_TRIES { Patience::Spent } else { Patience::Left };
            assert_eq!(orders.busy(Drive::RingOn, now), expected);
            now = now.after_ms(20);
        }
        assert_eq!(repeated(&mut orders, now), []);
    }

    #[test]
    fn rest_is_ordered_until_it_comes() {
        let mut orders = Orders::default();
        for _ in 0..MAX_TRIES {
            orders.busy(Drive::RingOff, Nanos(0));
        }
        assert!(orders.restless());
        assert_eq!(repeated(&mut orders, Nanos(0).after_ms(980)), []);
        assert_eq!(repeated(&mut orders, Nanos(0).after_ms(1000)), [Drive::RingOff]);
        orders.done(Drive::RingOff);
        assert!(!orders.restless());
    }

    #[test]
    fn an_order_replaces_its_like() {
        let mut orders = Orders::default();
        orders.busy(Drive::RingOn, Nanos(0));
        orders.busy(Drive::OffHook, Nanos(0));
        orders.give(Drive::RingOff, &mut Actions::new());
        assert_eq!(repeated(&mut orders, Nanos(0)), []);
        assert_eq!(repeated(&mut orders, Nanos(0).after_ms(2)), [Drive::OffHook]);
    }

    #[test]
    fn changes_are_bounded_in_any_second() {
        let mut budget = ChangeBudget::new();
        let now = Nanos(5_000_000_000);
        let taken = |budget: &mut ChangeBudget, from: u32| {
            (from..from + 1000).filter(|ms| budget.take(now.after_ms(*ms))).count() as u32
        };
        assert!(taken(&mut budget, 0) < 2 * CHANGES_PER_SECOND);
        assert!(taken(&mut budget, 1000) <= CHANGES_PER_SECOND);
        assert!(budget.take(now.after_ms(60_000)));
    }
}
