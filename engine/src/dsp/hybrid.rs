//! The hybrid of a simulated telephone's card: what it gives the phone to hear comes back, weakened
//! and smeared over some milliseconds.
//!
//! *How it works.* A filter of 5 ms, like the ones a two-to-four-wire conversion makes against a line
//! that does not match it: nothing for a millisecond, then an oscillation that dies away. Its power
//! gain for white noise is the return loss. A model of our own, not one of ITU-T G.168 annex D.

use crate::dsp::sample::rounded;
use crate::frame::Linear;
use tipring_shm_proto::units::TenthDb;

/// Length, samples.
const TAPS: usize = 40;
/// Before the first of the echo.
const DELAY: usize = 8;

/// A hybrid.
#[derive(Clone, Debug)]
pub struct Hybrid {
    taps: [f32; TAPS],
    /// The end of what was given before.
    before: [f32; TAPS],
}

impl Hybrid {
    /// With this return loss.
    pub fn new(loss: TenthDb) -> Self {
        let shape: [f32; TAPS] = std::array::from_fn(|tap| {
            let Some(time) = tap.checked_sub(DELAY) else { return 0.0 };
            let time = time as f32;
            (-time / 6.0).exp() * (1.1 * time + 0.4).cos()
        });
        let power: f32 = shape.iter().map(|tap| tap * tap).sum();
        let scale = 10f32.powf(f32::from(loss.0) / -200.0) / power.sqrt();
        Self { taps: shape.map(|tap| tap * scale), before: [0.0; TAPS] }
    }

    /// What comes back in the time in which `given` is heard.
    pub fn echo(&mut self, given: &Linear) -> Linear {
        let mut all = [0.0; TAPS + crate::frame::SILENCE.len()];
        all[..TAPS].copy_from_slice(&self.before);
        for (place, &sample) in all[TAPS..].iter_mut().zip(given) {
            *place = f32::from(sample);
        }
        self.before.copy_from_slice(&all[given.len()..]);
        std::array::from_fn(|n| {
            let heard = all[n + 1..=n + TAPS].iter().rev();
            rounded(heard.zip(&self.taps).map(|(sample, tap)| sample * tap).sum())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_back_is_as_much_weaker_as_it_shall_be() {
        for loss in [0, 60, 200] {
            let mut hybrid = Hybrid::new(TenthDb(loss));
            let mut seed = 1u32;
            let (mut given_power, mut echo_power) = (0.0, 0.0);
            for _ in 0..200 {
                let given: Linear = std::array::from_fn(|_| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (seed >> 16) as i16 / 4
                });
                let echo = hybrid.echo(&given);
                let power =
                    |frame: &Linear| frame.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>();
                given_power += power(&given);
                echo_power += power(&echo);
            }
            let measured = 100.0 * (given_power / echo_power).log10();
            assert!((measured - f64::from(loss)).abs() < 3.0, "{loss}: {measured}");
        }
    }

    #[test]
    fn the_echo_of_one_frame_goes_on_in_the_next() {
        let mut hybrid = Hybrid::new(TenthDb(0));
        let mut click = crate::frame::SILENCE;
        click[159] = 10_000;
        assert!(hybrid.echo(&click).iter().all(|sample| *sample == 0));
        let rest = hybrid.echo(&crate::frame::SILENCE);
        assert!(rest[..DELAY - 1].iter().all(|sample| *sample == 0) && rest[DELAY - 1] != 0);
        assert!(rest[TAPS..].iter().all(|sample| *sample == 0));
    }
}
