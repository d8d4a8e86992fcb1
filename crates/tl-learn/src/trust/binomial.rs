//! The binomial distribution, exactly: the chance of so few errors, the limits that follow from it, and how many cases
//! a limit takes. Plain sums of positive terms, so nothing cancels; the same result on every machine.

/// The chance of at most `errors` errors among `cases` cases when each is wrong with probability `rate`.
///
/// As a test of "the error rate is above `rate`" it is the p-value. `rate` outside 0 to 1 counts as the nearest end; with
/// `errors >= cases` the answer is 1.
pub fn share_at_most(errors: u64, cases: u64, rate: f64) -> f64 {
    let rate = rate.clamp(0.0, 1.0);
    if errors >= cases || rate == 0.0 {
        return 1.0;
    }
    if rate == 1.0 {
        return 0.0;
    }
    // From the largest term outwards: the others follow from it by ratios, and none of those that count underflows.
    let mode = ((cases as f64 + 1.0) * rate) as u64;
    let from = mode.min(errors);
    let first = term(from, cases, rate);
    let odds = rate / (1.0 - rate);
    let mut total = first;
    let mut at = first;
    for i in (1..=from).rev() {
        at *= i as f64 / ((cases - i + 1) as f64 * odds);
        total += at;
        if at < total * 1e-18 {
            break;
        }
    }
    at = first;
    for i in from + 1..=errors {
        at *= (cases - i + 1) as f64 * odds / i as f64;
        total += at;
        if at < total * 1e-18 {
            break;
        }
    }
    total.min(1.0)
}

/// The chance of exactly `errors` errors: growing and shrinking factors in turn, so that the product stays near 1.
fn term(errors: u64, cases: u64, rate: f64) -> f64 {
    let right = 1.0 - rate;
    let mut left = cases - errors;
    let mut product = 1.0f64;
    for i in 1..=errors {
        product *= (cases - errors + i) as f64 / i as f64 * rate;
        while product > 1.0 && left > 0 {
            product *= right;
            left -= 1;
        }
    }
    for _ in 0..left {
        product *= right;
        if product == 0.0 {
            break;
        }
    }
    product
}

/// The one-sided upper limit of Clopper and Pearson: with probability `level` or more over the draw of the cases, the
/// true rate lies at or below it. 1 when every case is wrong or there is none.
pub fn upper_limit(errors: u64, cases: u64, level: f64) -> f64 {
    if errors >= cases {
        return 1.0;
    }
    let chance = 1.0 - level;
    bisect(errors as f64 / cases as f64, 1.0, |rate| {
        share_at_most(errors, cases, rate) > chance
    })
}

/// The one-sided lower limit of Clopper and Pearson: with probability `level` or more, the true rate lies at or above
/// it. 0 without errors.
pub fn lower_limit(errors: u64, cases: u64, level: f64) -> f64 {
    if errors == 0 || cases == 0 {
        return 0.0;
    }
    // The right answers are the errors of the mirrored question.
    1.0 - upper_limit(cases - errors.min(cases), cases, level)
}

/// The point where a question that is true below and false above changes its answer.
fn bisect(low: f64, high: f64, below: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (low, high);
    loop {
        let middle = low + 0.5 * (high - low);
        if middle <= low || middle >= high {
            return high;
        }
        if below(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
}

/// The fewest cases among which `errors` errors still show, at `level`, that the rate is at most `max_error`.
/// [`None`] where no number of cases does (a target of 0 errors, or a level of 1), or none below a hundred million.
pub fn fewest_cases(errors: u64, max_error: f64, level: f64) -> Option<u64> {
    let enough = |cases: u64| share_at_most(errors, cases, max_error) <= 1.0 - level;
    let mut high = errors + 1;
    while !enough(high) {
        high = high.checked_mul(2).filter(|n| *n <= 100_000_000)?;
    }
    let mut low = errors;
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if enough(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    Some(high)
}
