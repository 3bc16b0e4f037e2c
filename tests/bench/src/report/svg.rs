//! Horizontal bar charts, readable on light and on dark ground.

use std::fmt::Write;

use super::markdown::number;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colour {
    Ours,
    Peer,
    /// A figure that was to be reached and was not.
    Missed,
}

#[derive(Debug, Clone)]
pub(super) struct Bar {
    pub(super) label: String,
    pub(super) value: f64,
    /// The lowest and the highest.
    pub(super) spread: Option<(f64, f64)>,
    pub(super) colour: Colour,
    /// Stands at the end of the bar instead of the value.
    pub(super) text: Option<String>,
}

/// Bars that belong together.
#[derive(Debug, Clone)]
pub(super) struct Group {
    pub(super) title: String,
    pub(super) bars: Vec<Bar>,
}

#[derive(Debug, Clone)]
pub(super) struct Chart {
    pub(super) title: String,
    /// Draws a line across at this value.
    pub(super) line: Option<f64>,
    /// Bars beyond this value are cut off.
    pub(super) max: Option<f64>,
    pub(super) groups: Vec<Group>,
}

const WIDTH: f64 = 760.0;
const LABELS: f64 = 190.0;
const VALUES: f64 = 90.0;
const BAR: f64 = 18.0;
const GAP: f64 = 4.0;
const HEADING: f64 = 24.0;
const TOP: f64 = 40.0;

const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#24292f}.title{font-size:15px;font-weight:600}\
.group{font-weight:600}.ours{fill:#2f7d4f}.peer{fill:#8c959f}.missed{fill:#bf6a02}\
.spread{stroke:#24292f;stroke-width:1.5}.line{stroke:#24292f;stroke-opacity:.6;stroke-dasharray:4 3}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.ours{fill:#3fb950}.peer{fill:#6e7681}.missed{fill:#d29922}\
.spread,.line{stroke:#e6edf3}}";

impl Chart {
    /// The chart as a whole SVG document. Writing to a string does not fail.
    pub(super) fn draw(&self) -> String {
        let bars = self.groups.iter().map(|group| group.bars.len()).sum::<usize>() as f64;
        let height = TOP + self.groups.len() as f64 * (HEADING + 8.0) + bars * (BAR + GAP) + 10.0;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
             height=\"{height}\" role=\"img\" aria-label=\"{title}\">\n<style>{STYLE}</style>\n\
             <text class=\"title\" x=\"0\" y=\"20\">{title}</text>\n",
            title = escaped(&self.title)
        );
        if let Some(line) = self.line {
            let x = self.left() + self.length(line);
            let _ = writeln!(svg, "<path class=\"line\" d=\"M{x:.1} {TOP}V{:.1}\"/>", height - 10.0);
        }
        let mut y = TOP;
        for group in &self.groups {
            let _ = writeln!(
                svg,
                "<text class=\"group\" x=\"0\" y=\"{:.1}\">{}</text>",
                y + 13.0,
                escaped(&group.title)
            );
            y += HEADING;
            for bar in &group.bars {
                self.draw_bar(&mut svg, bar, y);
                y += BAR + GAP;
            }
            y += 8.0;
        }
        svg.push_str("</svg>\n");
        svg
    }

    fn draw_bar(&self, svg: &mut String, bar: &Bar, y: f64) {
        let middle = y + BAR / 2.0;
        let class = match bar.colour {
            Colour::Ours => "ours",
            Colour::Peer => "peer",
            Colour::Missed => "missed",
        };
        let (left, length) = (self.left(), self.length(bar.value));
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
             <rect class=\"{class}\" x=\"{left}\" y=\"{y:.1}\" width=\"{length:.1}\" height=\"{BAR}\"/>",
            left - 8.0,
            middle + 4.5,
            escaped(&bar.label),
        );
        let mut end = length;
        if let Some((min, max)) = bar.spread {
            let (from, to) = (self.length(min), self.length(max));
            end = end.max(to);
            let _ = writeln!(
                svg,
                "<path class=\"spread\" d=\"M{:.1} {middle:.1}H{:.1}\"/>",
                left + from,
                left + to
            );
        }
        let text = bar.text.clone().unwrap_or_else(|| number(bar.value));
        let x = left + end + 6.0;
        let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{:.1}\">{}</text>", middle + 4.5, escaped(&text));
    }

    /// Where bars begin.
    fn left(&self) -> f64 {
        let mut bars = self.groups.iter().flat_map(|group| &group.bars);
        if bars.all(|bar| bar.label.is_empty()) { 0.0 } else { LABELS }
    }

    fn length(&self, value: f64) -> f64 {
        let bars = self.groups.iter().flat_map(|group| &group.bars);
        let longest = bars.map(|bar| bar.spread.map_or(bar.value, |(_, max)| max)).fold(0.0, f64::max);
        let max = self.max.map_or(longest, |max| longest.min(max)).max(self.line.unwrap_or(0.0));
        if max > 0.0 { value.clamp(0.0, max) / max * (WIDTH - self.left() - VALUES) } else { 0.0 }
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_long_as_their_values_say() {
        let bar = |value, colour| Bar { label: "a & b".into(), value, spread: None, colour, text: None };
        let bars = vec![bar(100.0, Colour::Ours), bar(50.0, Colour::Peer), bar(900.0, Colour::Missed)];
        let group = Group { title: "<group>".into(), bars };
        let chart = Chart { title: "title".into(), line: None, max: Some(200.0), groups: vec![group] };
        let svg = chart.draw();
        let full = WIDTH - LABELS - VALUES;
        for width in [full / 2.0, full / 4.0, full] {
            assert!(svg.contains(&format!("width=\"{width:.1}\"")), "{width}: {svg}");
        }
        assert!(svg.contains("a &amp; b") && svg.contains("&lt;group>"), "{svg}");
    }
}
