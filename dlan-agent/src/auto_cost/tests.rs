//! Noise changes nothing for long; what lasts is followed.

use fastrand::Rng;
use proptest::prelude::*;

use super::*;

const BOUNDS: Bounds = Bounds { min: Cost::new(10).unwrap(), max: Cost::new(1000).unwrap() };

fn micros(micros: u64) -> Duration {
    Duration::from_micros(micros)
}

/// Feeds answers and returns after which of them another round-trip time counted.
fn feed(meter: &mut Meter, answers: impl IntoIterator<Item = Option<Duration>>) -> Vec<usize> {
    let answers = answers.into_iter().enumerate();
    answers.filter(|(_, answer)| meter.handle_echo(*answer)).map(|(at, _)| at).collect()
}

#[test]
fn a_cost_is_the_least_and_one_for_each_millisecond_within_its_bounds() {
    let costs = [0, 499, 500, 12_345, 990_400, 5_000_000, u64::MAX / 2000];
    let costs = costs.map(|answer| BOUNDS.cost(Some(micros(answer))).get());
    assert_eq!(costs, [10, 10, 11, 22, 1000, 1000, 1000]);
    assert_eq!(BOUNDS.cost(None).get(), 1000);
}

#[test]
fn only_echoes_since_the_first_answer_over_a_path_count_as_lost() {
    let mut meter = Meter::default();
    let answer = Some(micros(20_000));
    feed(&mut meter, [None; 9]);
    assert_eq!(meter.loss(), (9, 9), "nobody is there");
    feed(&mut meter, [answer, None, answer]);
    assert_eq!(meter.loss(), (3, 1), "what was lost before says nothing of the link");
    feed(&mut meter, [None; 11]);
    feed(&mut meter, [answer]);
    assert_eq!(meter.loss(), (15, 12), "an outage that the path may have outlived");
    feed(&mut meter, [None; 12]);
    assert_eq!(meter.loss(), (27, 24));
    feed(&mut meter, [answer]);
    assert_eq!(meter.loss(), (1, 0), "perhaps another path");
}

#[test]
fn a_link_has_a_round_trip_time_after_its_fourth_answer() {
    let mut meter = Meter::default();
    assert!(feed(&mut meter, [Some(micros(90_000)), None, Some(micros(21_000))]).is_empty());
    assert!(meter.is_young());
    assert_eq!(feed(&mut meter, [Some(micros(20_000)), Some(micros(25_000))]), vec![1]);
    assert_eq!((meter.settled(), meter.is_young()), (Some(micros(20_000)), false));
    assert_eq!(meter.loss(), (5, 1));
}

#[test]
fn a_few_late_answers_are_a_queue_and_no_longer_way() {
    let mut meter = Meter::default();
    feed(&mut meter, [Some(micros(10_000)); 100]);
    for _ in 0..20 {
        assert!(feed(&mut meter, [Some(micros(1_500_000)); FILTERED - 1]).is_empty());
        assert!(feed(&mut meter, [Some(micros(10_000)); 30]).is_empty());
    }
}

#[test]
fn a_link_that_was_silent_for_long_is_measured_afresh_and_costs_what_it_did_meanwhile() {
    let mut meter = Meter::default();
    feed(&mut meter, [Some(micros(10_000)); 40]);
    feed(&mut meter, [None; SILENCE_MAX as usize]);
    assert_eq!((meter.settled(), meter.smoothed()), (Some(micros(10_000)), None));
    assert!(!meter.is_young());
    let changes = feed(&mut meter, [Some(micros(80_000)); FIRST]);
    assert_eq!((changes, meter.settled()), (vec![FIRST - 1], Some(micros(80_000))));
}

#[test]
fn what_an_earlier_start_settled_on_counts_until_it_is_measured_to_be_otherwise() {
    let mut meter = Meter::adopted(micros(30_000));
    assert_eq!(meter.settled(), Some(micros(30_000)));
    assert!(feed(&mut meter, [Some(micros(33_000)); 200]).is_empty());
    assert_eq!(feed(&mut meter, [Some(micros(60_000)); 60]).len(), 1);
}

proptest! {
    #[test]
    fn jitter_moves_no_cost(
        // Beyond that, chance makes silences after which a link is measured afresh.
        base in 100_u64..300_000, jitter in 0_u64..300_000, loss in 0_u64..25, seed: u64,
    ) {
        let mut rng = Rng::with_seed(seed);
        let mut meter = Meter::default();
        let mut answer = || (rng.u64(0..100) >= loss).then(|| micros(base + rng.u64(0..=jitter)));
        let changes = feed(&mut meter, (0..2000).map(|_| answer()));
        // The first, and where it was made of the luckiest four answers another. Each further one is several times rarer.
        prop_assert!(changes.len() <= 8, "{changes:?}");
    }

    #[test]
    fn whatever_comes_changes_are_apart(answers in proptest::collection::vec(proptest::option::of(0_u64..2_000_000), 0..600)) {
        let mut meter = Meter::default();
        let changes = feed(&mut meter, answers.iter().map(|answer| answer.map(micros)));
        prop_assert!(changes.windows(2).all(|pair| pair[1] - pair[0] > STEADY as usize), "{changes:?}");
    }

    #[test]
    fn a_step_is_followed_within_forty_answers(
        from in 1_000_u64..200_000, to in 1_000_u64..200_000, loss in 0_u64..30, seed: u64,
    ) {
        // Above the least difference that counts, with what smoothing leaves of it.
        prop_assume!(from.abs_diff(to) > (from / 3).max(3_000));
        let mut rng = Rng::with_seed(seed);
        let mut meter = Meter::default();
        feed(&mut meter, vec![Some(micros(from)); 100]);
        let mut answered = 0;
        while answered < 40 {
            let is_answered = rng.u64(0..100) >= loss;
            answered += u32::from(is_answered);
            meter.handle_echo(is_answered.then(|| micros(to)));
        }
        let settled = meter.settled().unwrap();
        // What smoothing has not caught up with is an eighth of the step.
        let margin = (settled / 4).max(LEAST).max(micros(from.abs_diff(to) / 8));
        prop_assert!(settled.abs_diff(micros(to)) <= margin, "{settled:?} for {to}");
    }
}
