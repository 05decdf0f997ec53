//! The span queue by itself: in any order of operations, each span is in exactly one place.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use expense_agent::telemetry::export::queue::{Batch, Queue, SpanCounts};
use expense_agent::telemetry::export::traces::EndedSpan;
use expense_agent::telemetry::sampling::Ratio;
use expense_agent::telemetry::settings::Bounds;
use futures_util::FutureExt;
use opentelemetry::trace::{SpanId, TraceId};
use proptest::collection::vec;
use proptest::prelude::*;

/// One operation on a queue.
#[derive(Clone, Debug)]
enum Operation {
    Start,
    End {
        trace: u8,
        n_bytes: usize,
        is_local_root: bool,
        has_failed: bool,
    },
    Take {
        max_bytes: usize,
    },
    Confirm {
        n_rejected: u64,
    },
    GiveBack,
    Discard,
    Close,
}

fn operation() -> impl Strategy<Value = Operation> {
    let end = (0..6_u8, 0..2_000_usize, any::<bool>(), any::<bool>()).prop_map(
        |(trace, n_bytes, is_local_root, has_failed)| Operation::End {
            trace,
            n_bytes,
            is_local_root,
            has_failed,
        },
    );
    prop_oneof![
        30 => Just(Operation::Start),
        40 => end,
        10 => (1..8_000_usize).prop_map(|max_bytes| Operation::Take { max_bytes }),
        8 => (0..9_u64).prop_map(|n_rejected| Operation::Confirm { n_rejected }),
        8 => Just(Operation::GiveBack),
        3 => Just(Operation::Discard),
        1 => Just(Operation::Close),
    ]
}

/// A span whose bytes begin with a number of its own.
fn ended(
    number: u64,
    trace: u8,
    n_bytes: usize,
    is_local_root: bool,
    has_failed_validation: bool,
) -> EndedSpan {
    let mut encoded = number.to_be_bytes().to_vec();
    encoded.resize(8 + n_bytes, 0);
    let trace_id = TraceId::from_bytes([trace + 1; 16]);
    EndedSpan {
        trace_id,
        span_id: SpanId::from_bytes((number + 1).to_be_bytes()),
        // Mostly the id of an earlier span.
        parent_id: SpanId::from_bytes((number / 2).to_be_bytes()),
        at: Instant::now(),
        is_local_root,
        has_failed_validation,
        must_keep: has_failed_validation,
        encoded: encoded.into(),
    }
}

fn numbers(batch: &Batch) -> Vec<u64> {
    batch
        .spans()
        .map(|span| u64::from_be_bytes(span[..8].try_into().unwrap()))
        .collect()
}

proptest! {
    #[test]
    fn every_span_is_in_exactly_one_place(
        operations in vec(operation(), 1..200), max_bytes in 1..20_000_usize, max_batch_spans in 1..9_usize,
        ratio in prop::sample::select(vec!["0", "0.5", "1"]),
    ) {
        let queue = Queue::new(Bounds { max_bytes, max_spans: None, max_batch_spans }, ratio.parse().unwrap());
        let (mut n_open, mut n_ended, mut n_exported) = (0_u64, 0_u64, 0_u64);
        let mut sending: Option<Batch> = None;
        let mut is_closed = false;
        for operation in operations {
            match operation {
                Operation::Start => { queue.start(); n_open += 1; }
                Operation::End { .. } if n_open == 0 => {}
                Operation::End { trace, n_bytes, is_local_root, has_failed } => {
                    (n_open, n_ended) = (n_open - 1, n_ended + 1);
                    queue.end(ended(n_ended, trace, n_bytes, is_local_root, has_failed));
                }
                Operation::Take { max_bytes } if sending.is_none() => {
                    sending = queue.take(max_bytes);
                    if let Some(batch) = &sending {
                        prop_assert!(batch.n_spans() <= max_batch_spans);
                        let n_bytes: usize = batch.spans().map(<[u8]>::len).sum();
                        prop_assert!(n_bytes <= max_bytes || batch.n_spans() == 1);
                    }
                }
                Operation::Take { .. } => {}
                Operation::Confirm { n_rejected } => if let Some(batch) = sending.take() {
                    queue.confirm(&batch, n_rejected);
                    if !is_closed { n_exported += (batch.n_spans() as u64).saturating_sub(n_rejected); }
                }
                Operation::GiveBack => if let Some(batch) = sending.take() { queue.give_back(batch); }
                Operation::Discard => if let Some(batch) = sending.take() { queue.discard(&batch); }
                Operation::Close => { queue.close(); is_closed = true; }
            }
            let counts = queue.counts();
            prop_assert_eq!(counts.started, counts.exported + counts.sampled_out + counts.dropped + counts.in_flight);
            prop_assert_eq!((counts.started, counts.exported), (n_open + n_ended, n_exported));
            prop_assert!(queue.n_bytes() <= max_bytes || sending.is_some());
        }
    }

    #[test]
    fn batches_keep_the_order_of_spans_and_deliver_none_twice(sizes in vec((0..6_u8, 0..3_000_usize), 1..60), max_bytes in 1..9_000_usize) {
        let queue = Queue::new(Bounds { max_bytes: usize::MAX, max_spans: None, max_batch_spans: 7 }, Ratio::ALL);
        let mut by_trace: BTreeMap<u8, Vec<u64>> = BTreeMap::new();
        for (number, (trace, n_bytes)) in (0..).zip(&sizes) {
            by_trace.entry(*trace).or_default().push(number);
            queue.start();
            queue.end(ended(number, *trace, *n_bytes, false, false));
        }
        let mut received = Vec::new();
        let mut is_first_attempt = true;
        while let Some(batch) = queue.take(max_bytes) {
            // Every other batch fails once.
            is_first_attempt = !is_first_attempt;
            if !is_first_attempt {
                let first = numbers(&batch);
                queue.give_back(batch);
                let again = queue.take(max_bytes).unwrap();
                prop_assert_eq!(first, numbers(&again));
                received.extend(numbers(&again));
                queue.confirm(&again, 0);
            } else {
                received.extend(numbers(&batch));
                queue.confirm(&batch, 0);
            }
        }
        prop_assert_eq!(received.iter().collect::<BTreeSet<_>>().len(), sizes.len());
        for spans in by_trace.values() {
            let of_trace: Vec<_> = received.iter().filter(|number| spans.contains(number)).collect();
            prop_assert_eq!(of_trace, spans.iter().collect::<Vec<_>>());
        }
        let n = sizes.len() as u64;
        prop_assert_eq!(queue.counts(), SpanCounts { started: n, exported: n, ..SpanCounts::default() });
        prop_assert_eq!(queue.n_bytes(), 0);
    }
}

#[test]
fn an_unfinished_trace_is_not_dropped_before_one_that_ended_well() {
    let queue = Queue::new(
        Bounds {
            max_bytes: 40_000,
            max_spans: None,
            max_batch_spans: 512,
        },
        Ratio::ALL,
    );
    let end = |number, trace, is_local_root, has_failed| {
        queue.start();
        queue.end(ended(number, trace, 9_000, is_local_root, has_failed));
    };
    end(0, 0, false, false); // Still open.
    end(1, 1, true, true); // Failed.
    end(2, 2, true, false); // The oldest that ended well.
    end(3, 3, true, false);
    end(4, 4, true, false);
    end(5, 0, true, false); // Now the first has ended well, too, and is the oldest.
    assert_eq!(numbers(&queue.take(usize::MAX).unwrap()), [1, 3, 4]);
    assert_eq!(queue.counts().dropped, 3);
}

#[test]
fn a_bound_on_the_number_of_spans_holds() {
    let queue = Queue::new(
        Bounds {
            max_bytes: usize::MAX,
            max_spans: Some(3),
            max_batch_spans: 512,
        },
        Ratio::ALL,
    );
    for number in 0..10 {
        queue.start();
        queue.end(ended(
            number,
            u8::try_from(number).unwrap(),
            10,
            true,
            false,
        ));
    }
    assert_eq!(numbers(&queue.take(usize::MAX).unwrap()), [7, 8, 9]);
}

#[test]
fn a_queue_smaller_than_a_message_is_sent_before_it_is_full() {
    for (max_bytes, max_spans) in [(usize::MAX, Some(8)), (8_000, None)] {
        let queue = Queue::new(
            Bounds {
                max_bytes,
                max_spans,
                max_batch_spans: 512,
            },
            Ratio::ALL,
        );
        for (number, is_filled) in [(0, false), (1, true)] {
            queue.start();
            queue.end(ended(
                number,
                u8::try_from(number).unwrap(),
                1_000,
                true,
                false,
            ));
            assert_eq!(
                queue.filled().now_or_never().is_some(),
                is_filled,
                "{number} {max_spans:?}"
            );
        }
    }
}

#[test]
fn a_trace_in_progress_is_not_dropped_before_others() {
    let bounds = Bounds {
        max_bytes: 12_000,
        max_spans: None,
        max_batch_spans: 512,
    };
    let queue = Queue::new(bounds, Ratio::ALL);
    let end = |number, trace, is_local_root| {
        queue.start();
        queue.end(ended(number, trace, 1_000, is_local_root, false));
    };
    end(0, 0, false);
    let sending = queue.take(usize::MAX).unwrap();
    // Its root ends while the first part cannot be delivered, and then the queue is full.
    end(1, 0, true);
    for number in 2..20 {
        end(number, u8::try_from(number).unwrap(), true);
    }
    queue.give_back(sending);
    let kept = numbers(&queue.take(usize::MAX).unwrap());
    assert_eq!(kept[..2], [0, 1], "it is whole again: {kept:?}");
    assert!(kept.len() < 12, "others were evicted: {kept:?}");
}
