//! Plots as SVG: a bar for each part of a time range, of the values of several series. The script draws
//! nothing. Colours are classes of the style sheet, because the page allows no inline style; each bar
//! says its values when it is pointed at, and `figures` has them as a table.
//!
//! The drawing stretches to the width that there is, so it has no text: words stand beside it.

use maud::{Markup, html};

/// The height of a drawing and the width of a bar with its gap, in units of the drawing.
const HEIGHT: i64 = 200;
const STEP: i64 = 10;
const GAP: i64 = 2;

/// One colour of a plot: a value for each part.
#[derive(Clone, Debug)]
pub struct Series<'a> {
    /// What the legend calls it.
    pub name: &'a str,
    /// The class of its colour.
    pub class: &'a str,
    /// Its values.
    pub values: Vec<i64>,
}

/// What a plot shows.
#[derive(Clone, Debug)]
pub struct Plot<'a> {
    /// What it is about.
    pub title: &'a str,
    /// The name of each part, such as its day.
    pub parts: &'a [String],
    /// The series, from the bottom of a bar to its top.
    pub series: Vec<Series<'a>>,
    /// Whether the values of a bar add up. Otherwise each begins at the line, and the later ones are
    /// drawn over the earlier ones.
    pub is_stacked: bool,
    /// How a value is written.
    pub written: fn(i64) -> String,
}

impl Plot<'_> {
    /// The plot with its title, legend and axes.
    pub fn draw(&self) -> Markup {
        let scale = self.scale();
        let width = STEP * i64::try_from(self.parts.len()).unwrap_or_default();
        let largest = (self.written)(scale.top);
        html! {
            figure.plot {
                figcaption {
                    (self.title)
                    @if self.series.len() > 1 {
                        @for series in &self.series { " " span.legend { span.swatch.(series.class) {} (series.name) } }
                    }
                }
                div.axis { span.muted.small { (largest) } }
                svg viewBox={ "0 0 " (width) " " (HEIGHT) } preserveAspectRatio="none" role="img"
                    aria-label={ (self.title) ", at most " (largest) } {
                    @for part in 0..self.parts.len() { (self.bar(&scale, part)) }
                    line.base x1="0" x2=(width) y1=(scale.y(0)) y2=(scale.y(0)) {}
                }
                div.axis.muted.small {
                    @if let (Some(first), Some(last)) = (self.parts.first(), self.parts.last()) {
                        span { (first) } span { (last) }
                    }
                }
            }
        }
    }

    /// The bar of one part. Values above zero are stacked upwards, those below zero downwards.
    fn bar(&self, scale: &Scale, part: usize) -> Markup {
        let x = STEP * i64::try_from(part).unwrap_or_default() + GAP / 2;
        let (mut above, mut below) = (0, 0);
        let mut boxes = Vec::new();
        for series in &self.series {
            let value = series.values[part];
            let end = if value < 0 { &mut below } else { &mut above };
            let begin = if self.is_stacked { *end } else { 0 };
            *end = begin + value;
            let (top, bottom) = (scale.y(begin.max(*end)), scale.y(begin.min(*end)));
            if value != 0 {
                // A value that is too small for the scale is still seen.
                boxes.push((series.class, top, (bottom - top).max(1)));
            }
        }
        if boxes.is_empty() {
            return html! {};
        }
        html! {
            g {
                title { (self.words(part)) }
                @for (class, y, height) in boxes { rect.(class) x=(x) y=(y) width=(STEP - GAP) height=(height) {} }
            }
        }
    }

    fn scale(&self) -> Scale {
        let ends = |is_wanted: fn(i64) -> bool| {
            (0..self.parts.len()).flat_map(move |part| {
                let values = self.series.iter().map(move |series| series.values[part]);
                let values = values.filter(move |value| is_wanted(*value));
                match self.is_stacked {
                    true => vec![values.sum()],
                    false => values.collect(),
                }
            })
        };
        Scale {
            bottom: ends(|value| value < 0).min().unwrap_or_default(),
            top: ends(|value| value > 0).max().unwrap_or_default(),
        }
    }

    /// The values of one part in words.
    fn words(&self, part: usize) -> String {
        let values = self.series.iter().filter(|series| series.values[part] != 0);
        let words: Vec<String> = values
            .map(|series| format!("{} {}", series.name, (self.written)(series.values[part])))
            .collect();
        format!("{}: {}", self.parts[part], words.join(", "))
    }
}

/// From which value to which a drawing reaches.
struct Scale {
    bottom: i64,
    top: i64,
}

impl Scale {
    /// How far below the upper edge a value is.
    fn y(&self, value: i64) -> i64 {
        let height = i128::from(self.top) - i128::from(self.bottom);
        let below_top = i128::from(self.top) - i128::from(value);
        let y = (below_top * i128::from(HEIGHT)).checked_div(height);
        y.and_then(|y| i64::try_from(y).ok()).unwrap_or(HEIGHT)
    }
}
