//! Exponential and logarithm written out in plain arithmetic. The platform's versions may differ in the last bit
//! between machines; a model must come out bit for bit the same everywhere, because its digest is part of a case's
//! evidence.

const LOG2_E: f64 = std::f64::consts::LOG2_E;
const LN2_HIGH: f64 = 6.931_471_803_691_238e-1;
const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;
const EXP_LIMIT: f64 = 700.0;

/// `1 / n!` for n from 13 down to 0.
const TAYLOR: [f64; 14] = [
    1.605_904_383_682_161_5e-10,
    2.087_675_698_786_81e-9,
    2.505_210_838_544_172e-8,
    2.755_731_922_398_589_3e-7,
    2.755_731_922_398_589_3e-6,
    2.480_158_730_158_73e-5,
    1.984_126_984_126_984e-4,
    1.388_888_888_888_889e-3,
    8.333_333_333_333_333e-3,
    4.166_666_666_666_666_4e-2,
    1.666_666_666_666_666_6e-1,
    0.5,
    1.0,
    1.0,
];
/// Added and taken away again, it rounds a small number to a whole one.
const ROUNDING: f64 = 6_755_399_441_055_744.0;

/// `e^x`, with `x` limited to ±700 so that the result is always finite and never a denormal. Training spends much of its
/// time here: no division and no branch.
pub(crate) fn exp(x: f64) -> f64 {
    let x = x.clamp(-EXP_LIMIT, EXP_LIMIT);
    let k = (x * LOG2_E + ROUNDING) - ROUNDING;
    let r = (x - k * LN2_HIGH) - k * LN2_LOW;
    let mut sum = TAYLOR[0];
    let mut n = 1;
    while n < TAYLOR.len() {
        sum = sum * r + TAYLOR[n];
        n += 1;
    }
    sum * power_of_two(k as i64)
}

/// Natural logarithm of a positive number; anything that is not positive and normal counts as the smallest normal.
pub(crate) fn ln(x: f64) -> f64 {
    let bits = if x.is_normal() && x > 0.0 {
        x.to_bits()
    } else {
        f64::MIN_POSITIVE.to_bits()
    };
    let mut exponent = ((bits >> 52) as i64) - 1023;
    let mut mantissa = f64::from_bits((bits & 0x000f_ffff_ffff_ffff) | (1023 << 52));
    if mantissa > std::f64::consts::SQRT_2 {
        mantissa *= 0.5;
        exponent += 1;
    }
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let square = s * s;
    let mut sum = 0.0;
    let mut n = 23.0;
    while n >= 1.0 {
        sum = sum * square + 1.0 / n;
        n -= 2.0;
    }
    let e = exponent as f64;
    e * LN2_HIGH + (2.0 * s * sum + e * LN2_LOW)
}

fn power_of_two(k: i64) -> f64 {
    f64::from_bits(((k + 1023) as u64) << 52)
}

/// Writes `softmax(scores / temperature)` into `out`; returns the logarithm of the normaliser.
pub(crate) fn softmax(scores: &[f64], temperature: f64, out: &mut Vec<f64>) -> f64 {
    let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    out.clear();
    let mut total = 0.0;
    for &score in scores {
        let e = exp((score - top) / temperature);
        total += e;
        out.push(e);
    }
    for p in out.iter_mut() {
        *p /= total;
    }
    ln(total) + top / temperature
}

/// Minimum of a function with one valley on `[low, high]`, by golden-section search.
pub(crate) fn golden_section(low: f64, high: f64, f: impl Fn(f64) -> f64) -> f64 {
    const RATIO: f64 = 0.618_033_988_749_894_9;
    let (mut low, mut high) = (low, high);
    let mut left = high - RATIO * (high - low);
    let mut right = low + RATIO * (high - low);
    let (mut at_left, mut at_right) = (f(left), f(right));
    for _ in 0..48 {
        if at_left <= at_right {
            high = right;
            (right, at_right) = (left, at_left);
            left = high - RATIO * (high - low);
            at_left = f(left);
        } else {
            low = left;
            (left, at_left) = (right, at_right);
            right = low + RATIO * (high - low);
            at_right = f(right);
        }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_and_logarithm_agree_with_the_standard_library() {
        let mut x = -40.0;
        while x < 40.0 {
            assert!((exp(x) / x.exp() - 1.0).abs() < 4e-15, "exp({x})");
            let y = x.exp();
            assert!((ln(y) - x).abs() < 1e-13, "ln({y})");
            x += 0.137;
        }
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(ln(1.0), 0.0);
        assert!(exp(f64::INFINITY).is_finite() && exp(f64::NEG_INFINITY) > 0.0);
    }

    #[test]
    fn golden_section_finds_the_valley() {
        let at = golden_section(-5.0, 9.0, |x| (x - 2.5) * (x - 2.5));
        assert!((at - 2.5).abs() < 1e-6, "{at}");
    }
}
