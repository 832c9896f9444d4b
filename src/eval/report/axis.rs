//! The scale of interval plots: a round range around what is to be shown, and its ticks.

/// No plot has more steps between ticks.
const MOST_STEPS: usize = 5;

/// The steps between ticks that people read easily, for scales up to 100 and below.
const STEPS: [f64; 9] = [0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0];

/// The scale of a plot.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    step: f64,
}

impl Axis {
    /// The smallest round range within 0 and `top` that holds all of `values`; of what is beyond, the end.
    pub(super) fn around(values: impl IntoIterator<Item = f64>, top: f64) -> Self {
        let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.into_iter().filter(|value| value.is_finite()) {
            (least, most) = (least.min(value.clamp(0.0, top)), most.max(value.clamp(0.0, top)));
        }
        if least > most {
            (least, most) = (0.0, top);
        }
        // A point needs some room around it.
        let room = top / 100.0;
        (least, most) = ((least - room).max(0.0), (most + room).min(top));
        let range = |step: f64| ((least / step).floor() * step, ((most / step).ceil() * step).min(top));
        let fits = |&&step: &&f64| {
            let (low, high) = range(step);
            ((high - low) / step).round() as usize <= MOST_STEPS
        };
        // A finer scale would blow up what is hardly a difference, and the decimals of its ticks would touch.
        let mut steps = STEPS.iter().filter(|&&step| step >= top / 100.0);
        let step = steps.find(fits).copied().unwrap_or(top / 5.0);
        let (low, high) = range(step);
        Self { low, high, step }
    }

    /// Where `value` is, from 0 to 1; what is beyond an end is at it.
    pub(super) fn place(&self, value: f64) -> f64 {
        ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }

    /// The values of its ticks, its ends among them.
    pub(super) fn ticks(&self) -> impl Iterator<Item = f64> + '_ {
        let steps = ((self.high - self.low) / self.step).round() as usize;
        (0..=steps).map(|index| self.low + index as f64 * self.step)
    }

    /// A tick's value as it is printed.
    pub(super) fn printed(&self, tick: f64) -> String {
        let decimals = if self.step >= 1.0 { 0 } else { 1 + usize::from(self.step < 0.1) };
        format!("{tick:.decimals$}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(values: &[f64], top: f64) -> Vec<String> {
        let axis = Axis::around(values.iter().copied(), top);
        axis.ticks().map(|tick| axis.printed(tick)).collect()
    }

    #[test]
    fn ranges_are_round_and_hold_all() {
        assert_eq!(printed(&[57.3, 82.2], 100.0), ["50", "60", "70", "80", "90"]);
        assert_eq!(printed(&[3.54, 3.71], 5.0), ["3.4", "3.5", "3.6", "3.7", "3.8"]);
        assert_eq!(printed(&[100.0, 100.0], 100.0), ["99", "100"]);
        assert_eq!(printed(&[57.3], 100.0), ["56", "57", "58", "59"]);
        assert_eq!(printed(&[-20.0, 130.0], 100.0), ["0", "20", "40", "60", "80", "100"]);
        assert_eq!(printed(&[], 100.0).len(), 6);
        assert_eq!(printed(&[f64::NAN], 5.0).last().map(String::as_str), Some("5"));
    }

    #[test]
    fn places_stay_on_the_plot() {
        let axis = Axis::around([0.0, 100.0], 100.0);
        assert_eq!([-5.0, 0.0, 25.0, 100.0, 120.0].map(|value| axis.place(value)), [0.0, 0.0, 0.25, 1.0, 1.0]);
    }
}
