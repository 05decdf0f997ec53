//! How figures are drawn: golden drawings, and what holds of every plot.

use expense_agent::page::plot::{Plot, Series};
use proptest::prelude::*;

use crate::harness::assert_golden;

/// A plot of these series, each with its class as its name.
fn plot<'a>(parts: &'a [String], series: &[(&'a str, Vec<i64>)]) -> Plot<'a> {
    let series = series.iter().map(|(name, values)| Series {
        name,
        class: name,
        values: values.clone(),
    });
    Plot {
        title: "Decisions <per> hour",
        parts,
        series: series.collect(),
        is_stacked: true,
        written: |n| n.to_string(),
    }
}

fn names(n_parts: usize) -> Vec<String> {
    (0..n_parts).map(|hour| format!("{hour:02}:00")).collect()
}

/// The drawing with a line for each element.
fn lines(plot: &Plot<'_>) -> String {
    plot.draw().into_string().replace("><", ">\n<")
}

#[test]
fn values_of_several_series_are_stacked() {
    let parts = names(4);
    let series = [
        ("approved", vec![10, 0, 5, 0]),
        ("denied", vec![2, 0, 15, 0]),
        ("needs_review", vec![0, 0, 1, 1000]),
    ];
    assert_golden("plot_of_outcomes", &lines(&plot(&parts, &series)));
}

#[test]
fn values_below_zero_hang_from_the_line() {
    let parts = names(3);
    let drawn = lines(&plot(&parts, &[("paid", vec![30, -10, 0])]));
    assert_golden("plot_of_payments", &drawn);
}

#[test]
fn values_that_do_not_add_up_begin_at_the_line() {
    let parts = names(2);
    let mut plot = plot(&parts, &[("p95", vec![40, 9]), ("p50", vec![10, 9])]);
    plot.is_stacked = false;
    assert_golden("plot_of_percentiles", &lines(&plot));
}

#[test]
fn a_plot_of_nothing_is_an_empty_axis() {
    let parts = names(2);
    let drawn = lines(&plot(&parts, &[("paid", vec![0, 0])]));
    assert_golden("plot_of_nothing", &drawn);
}

proptest! {
    #[test]
    fn every_bar_lies_within_the_drawing(
        values in prop::collection::vec((any::<i32>(), any::<i32>()), 1..8),
        is_stacked: bool,
    ) {
        let parts = names(values.len());
        let (one, other): (Vec<i32>, Vec<i32>) = values.into_iter().unzip();
        let series = [one, other].map(|values| values.into_iter().map(i64::from).collect());
        let [one, other] = series;
        let mut plot = plot(&parts, &[("a", one), ("b", other)]);
        plot.is_stacked = is_stacked;
        let drawn = lines(&plot);
        let number = |line: &str, name: &str| -> i64 {
            let (_, rest) = line.split_once(&format!(" {name}=\"")).unwrap();
            rest.split_once('"').unwrap().0.parse().unwrap()
        };
        for bar in drawn.lines().filter(|line| line.starts_with("<rect")) {
            let (y, height) = (number(bar, "y"), number(bar, "height"));
            prop_assert!(y >= 0 && height > 0 && y + height <= 201, "{}", bar);
        }
        prop_assert!(!drawn.contains("style="));
    }
}
