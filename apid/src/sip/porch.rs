//! Where connections wait until they have shaken hands: so many in all, and so many of one address,
//! lest somebody who only connects keeps everybody else out.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Connections that wait, in all.
const MOST: usize = 64;
/// Of one address: the telephones of a house behind one translator, after its power came back.
const MOST_OF_ONE: usize = 16;

/// Who waits.
#[derive(Clone, Debug, Default)]
pub(super) struct Porch(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// One that waits, until it is dropped.
#[derive(Debug)]
pub(super) struct Guest {
    porch: Porch,
    address: IpAddr,
}

impl Porch {
    /// `None` where there is no room for another.
    pub(super) fn enter(&self, address: IpAddr) -> Option<Guest> {
        // One that writes its IPv4 address as IPv6 is the same.
        let address = address.to_canonical();
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.values().sum::<usize>() >= MOST {
            return None;
        }
        let of_one = waiting.entry(address).or_default();
        if *of_one >= MOST_OF_ONE {
            return None;
        }
        *of_one += 1;
        Some(Guest { porch: self.clone(), address })
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut waiting = self.porch.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(of_one) = waiting.get_mut(&self.address) {
            *of_one -= 1;
            if *of_one == 0 {
                waiting.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_never_fills_it() {
        let porch = Porch::default();
        let address = |last: u8| IpAddr::from([192, 0, 2, last]);
        let mut first: Vec<Guest> = std::iter::from_fn(|| porch.enter(address(1))).collect();
        assert_eq!(first.len(), MOST_OF_ONE);
        let mapped = "::ffff:192.0.2.1".parse().expect("an address");
        assert!(porch.enter(mapped).is_none());
        let others: Vec<Guest> = (2..=99).filter_map(|last| porch.enter(address(last))).collect();
        assert_eq!(others.len(), MOST - MOST_OF_ONE);
        first.pop();
        assert!(porch.enter(address(200)).is_some());
        drop((first, others));
        assert!(porch.0.lock().expect("unpoisoned").is_empty());
    }
}
