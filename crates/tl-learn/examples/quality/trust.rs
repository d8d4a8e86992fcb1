//! How often the promises are broken on populations made to break them, and how fast a rise of errors is seen.

use tl_learn::trust::{DriftLevel, DriftWatch, Evidence, Judgement, Ladder, Target, certify_batch};

use super::share;

/// Numbers that look random and are the same in every run.
struct Sequence(u64);

impl Sequence {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let a = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let b = (a ^ (a >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((b ^ (b >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// How the error rate runs over confidences that are uniform in 0 to 1.
type Rate = fn(f64, f64) -> f64;

/// Populations by name: the chance of an error at a confidence, with the target.
const POPULATIONS: [(&str, Rate); 4] = [
    ("flat, 2 % above the target", |_, max| 1.02 * max),
    ("step", |c, max| max * if c > 0.4 { 1.01 } else { 1.5 }),
    ("most confident 3 % wrong", |c, max| match c {
        c if c > 0.97 => 1.0,
        c if c > 0.5 => 0.0,
        _ => 1.2 * max,
    }),
    ("friendly: errors fall with confidence", |c, max| {
        4.0 * max * (1.0 - c).powi(3)
    }),
];

/// The error rate above a threshold, by adding up.
fn risk(rate: Rate, threshold: f64, max: f64) -> f64 {
    const STEPS: usize = 2_000;
    let width = (1.0 - threshold) / STEPS as f64;
    let at = |i: usize| rate(threshold + (i as f64 + 0.5) * width, max);
    (0..STEPS).map(at).sum::<f64>() / STEPS as f64
}

pub fn run(runs: usize) {
    let mut random = Sequence(1);
    for (name, rate) in POPULATIONS {
        for max_error in [0.05, 0.02] {
            for count in [200, 500, 1_000] {
                batch(name, rate, (max_error, count, runs), &mut random);
            }
            peeking(name, rate, (max_error, runs / 10), &mut random);
        }
    }
    drift(runs / 5, &mut random);
}

fn draw(rate: Rate, max: f64, random: &mut Sequence) -> Judgement {
    let confidence = random.next();
    Judgement {
        confidence,
        wrong: random.next() < rate(confidence, max),
    }
}

fn batch(
    name: &str,
    rate: Rate,
    (max_error, count, runs): (f64, usize, usize),
    random: &mut Sequence,
) {
    let target = Target {
        max_error,
        level: 0.95,
    };
    let (mut broken, mut covered) = (0, 0.0);
    for _ in 0..runs {
        let cases: Vec<Judgement> = (0..count).map(|_| draw(rate, max_error, random)).collect();
        if let Evidence::Enough { threshold, .. } = certify_batch(&cases, target) {
            broken += usize::from(risk(rate, threshold, max_error) > max_error);
            covered += 1.0 - threshold;
        }
    }
    println!(
        "one batch of {count}, target {:.0} %, {name}: broken {}, lets through {:.2}",
        100.0 * max_error,
        share(broken, runs),
        covered / runs as f64
    );
}

/// Looks after each of 2,000 reviews.
fn peeking(name: &str, rate: Rate, (max_error, runs): (f64, usize), random: &mut Sequence) {
    let target = Target {
        max_error,
        level: 0.95,
    };
    let (mut broken, mut covered) = (0, 0.0);
    for _ in 0..runs {
        let mut ladder = Ladder::default();
        let (mut ever, mut last) = (false, 1.0);
        for _ in 0..2_000 {
            let case = draw(rate, max_error, random);
            ladder.see((case.confidence * 1000.0) as u16, case.wrong);
            if let Evidence::Enough { threshold, .. } = ladder.evidence(600, target) {
                ever |= threshold != last && risk(rate, threshold, max_error) > max_error;
                last = threshold;
            }
        }
        broken += usize::from(ever);
        covered += 1.0 - last;
    }
    println!(
        "looking after each of 2000, target {:.0} %, {name}: ever broken {}, lets through {:.2}",
        100.0 * max_error,
        share(broken, runs),
        covered / runs as f64
    );
}

/// Auto-accepted cases until the alarm, 5 % of them reviewed and half while the watch is watchful.
fn drift(runs: usize, random: &mut Sequence) {
    for to in [0.04, 0.08, 0.15] {
        let mut delays: Vec<usize> = (0..runs).map(|_| until_alarm(to, random)).collect();
        delays.sort_unstable();
        println!(
            "errors 1 % for 3000 accepted cases, then {:.0} %: alarm after {} (median), {} (p90) accepted cases",
            100.0 * to,
            delays[runs / 2],
            delays[runs * 9 / 10]
        );
    }
    let (mut alarms, mut reviewed) = (0, 0);
    for _ in 0..runs {
        let mut watch = DriftWatch::new(0.02);
        let mut alarm = false;
        for _ in 0..20_000 {
            reviewed += usize::from(review(&mut watch, 0.01, random));
            alarm |= watch.level() == DriftLevel::Alarm;
        }
        alarms += usize::from(alarm);
    }
    println!(
        "errors 1 %, limit 2 %: false alarm within 20000 accepted cases {}; {:.1} % reviewed",
        share(alarms, runs),
        reviewed as f64 / (200.0 * runs as f64)
    );
}

fn until_alarm(to: f64, random: &mut Sequence) -> usize {
    let mut watch = DriftWatch::new(0.02);
    for _ in 0..3_000 {
        review(&mut watch, 0.01, random);
        if watch.level() == DriftLevel::Alarm {
            watch = DriftWatch::new(0.02);
        }
    }
    let alarmed = |_: &usize| {
        review(&mut watch, to, random);
        watch.level() == DriftLevel::Alarm
    };
    (1..100_000).find(alarmed).unwrap_or(100_000)
}

/// One accepted case; whether it was drawn for review.
fn review(watch: &mut DriftWatch, rate: f64, random: &mut Sequence) -> bool {
    let share = match watch.level() {
        DriftLevel::Calm => 0.05,
        _ => 0.5,
    };
    let drawn = random.next() < share;
    let wrong = random.next() < rate;
    if drawn {
        watch.see(wrong);
    }
    drawn
}
