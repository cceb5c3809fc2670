//! Money: whole picodollars (a millionth of a millionth of a US dollar).

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub};

use callboard_core::Value;

const PICODOLLARS_A_DOLLAR: f64 = 1e12;

/// An amount beyond this is no price of anything; it counts as this much, so that no sum of amounts overflows.
const MOST_USD: f64 = 1e15;

/// An amount of US dollars, exact to a picodollar. Sums are equal in whatever order they are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(i128);

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// This many US dollars, to the nearest picodollar; none for a NaN or an infinity.
    pub fn from_usd(usd: f64) -> Option<Self> {
        let bounded = usd.is_finite().then(|| usd.clamp(-MOST_USD, MOST_USD))?;
        Some(Self((bounded * PICODOLLARS_A_DOLLAR).round() as i128))
    }

    /// So many picodollars.
    pub fn from_picodollars(picodollars: i128) -> Self {
        Self(picodollars)
    }

    /// What an attribute says, in US dollars. Only a finite number is an amount: no text, and no truth value.
    pub fn from_value(value: &Value) -> Option<Self> {
        value.as_f64().and_then(Self::from_usd)
    }

    /// The amount in US dollars, as near as a float comes.
    pub fn usd(self) -> f64 {
        self.0 as f64 / PICODOLLARS_A_DOLLAR
    }

    /// The amount in picodollars.
    pub fn picodollars(self) -> i128 {
        self.0
    }

    /// Whether it is more than nothing.
    pub fn is_positive(self) -> bool {
        self.0 > 0
    }
}

impl Add for Money {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Money {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl AddAssign for Money {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for Money {
    /// In dollars with six decimals, a minus before the sign of the currency.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(f, "{sign}${:.6}", self.usd().abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_and_back() {
        for usd in [0.0, 0.000_069, 0.1, 0.2, 1.0, 1_234.567_89, -0.5] {
            assert_eq!(Money::from_usd(usd).unwrap().usd(), usd);
        }
        assert_eq!(Money::from_usd(0.000_069).unwrap().to_string(), "$0.000069");
        assert_eq!(Money::from_usd(-2.5).unwrap().to_string(), "-$2.500000");
    }

    #[test]
    fn sums_are_exact_where_floats_are_not() {
        let dime = Money::from_usd(0.1).unwrap();
        assert_eq!(std::iter::repeat_n(dime, 10).sum::<Money>(), Money::from_usd(1.0).unwrap());
    }

    #[test]
    fn only_a_finite_number_is_an_amount() {
        for value in [true.into(), "0.5".into(), f64::NAN.into(), f64::INFINITY.into(), Value::Null]
        {
            assert_eq!(Money::from_value(&value), None, "{value:?}");
        }
        assert_eq!(Money::from_value(&Value::Int(2)), Money::from_usd(2.0));
        assert_eq!(Money::from_usd(1e300), Money::from_usd(MOST_USD));
    }
}
